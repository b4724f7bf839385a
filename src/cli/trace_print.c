/* SPDX-License-Identifier: Apache-2.0
 * Traces for a terminal. */
#include "cli/trace_print.h"
#include <stdio.h>
#include <string.h>
#include "cli/common.h"

#define COLUMNS 80
#define WHY_AT 50

/* Prints as many whole words as fit and returns the rest. */
static const char *print_words(const char *text, size_t room)
{
    size_t n = strlen(text), cut = n;
    if (n > room) {
        for (cut = room; cut && text[cut] != ' '; cut--) continue;
        if (!cut) cut = room;
    }
    printf("%.*s\n", (int)cut, text);
    text += cut;
    while (*text == ' ') text++;
    return text;
}

void trace_print_wrapped(const char *text, int indent)
{
    while (*text) {
        printf("%*s", indent, "");
        text = print_words(text, (size_t)(COLUMNS - indent));
    }
}

void trace_print(const json_t *trace)
{
    size_t i;
    const json_t *e;
    const char *about = "";
    printf("%-8s %-16s %-10s %4s %6s  %s\n", "stage", "check", "outcome", "line", "ms", "why");
    json_array_foreach(trace, i, e) {
        char line[16] = "";
        const char *rcpt = cli_text_of(e, "recipient");
        if (*rcpt && strcmp(rcpt, about) != 0) printf("-- %.*s\n", COLUMNS - 3, rcpt);
        about = rcpt;
        if (cli_number_of(e, "line")) snprintf(line, sizeof line, "%d", (int)cli_number_of(e, "line"));
        const char *why = cli_text_of(e, "why");
        printf("%-8s %-16s %-10s %4s %6.1f", cli_text_of(e, "stage"), cli_text_of(e, "check"), cli_text_of(e, "outcome"), line,
               json_real_value(json_object_get(e, "ms")));
        if (!*why) {
            putchar('\n');
            continue;
        }
        fputs("  ", stdout);
        const char *rest = print_words(why, COLUMNS - WHY_AT);
        if (*rest) trace_print_wrapped(rest, WHY_AT);
    }
}
