/* SPDX-License-Identifier: Apache-2.0
 * What `postern table` shows. */
#include "cli/table.h"
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/utf8.h"
#include "cli/common.h"

#define NAME_WIDTH 26 /* 80 columns in all */

static int64_t ago(const json_t *t, const char *key)
{
    int64_t then = cli_number_of(t, key);
    return then ? (int64_t)clock_wall_ms() - then : -1;
}

static void print_trouble(const json_t *t)
{
    const char *error = cli_text_of(t, "error"), *first = cli_text_of(t, "first");
    if (*error) printf("    broken: %s\n", error);
    if (*error && json_is_true(json_object_get(t, "known"))) puts("    the last good state is in use");
    if (*first) printf("    %lld rows passed over; the first: %s\n", (long long)cli_number_of(t, "skipped"), first);
}

/* A name that is longer has a line of its own: it is what the other commands want to hear. */
static void print_name(const char *text)
{
    struct buf name = { 0 };
    int columns = 0;
    buf_add_printable(&name, slice_str(text), SIZE_MAX);
    struct slice rest = buf_slice(&name);
    while (rest.n) {
        uint32_t code = 0;
        size_t n = utf8_char(rest, &code);
        columns += (int)utf8_width(code);
        rest = slice_sub(rest, n ? n : 1, rest.n);
    }
    printf("%s%s%*s ", buf_cstr(&name), columns > NAME_WIDTH ? "\n" : "", columns > NAME_WIDTH ? NAME_WIDTH : NAME_WIDTH - columns, "");
    buf_deinit(&name);
}

static void print_one(const json_t *t)
{
    struct buf changed = { 0 }, next = { 0 };
    int64_t due = cli_number_of(t, "next") - (int64_t)clock_wall_ms(), age = ago(t, "made");
    const char *state = json_is_true(json_object_get(t, "reading")) && strcmp(cli_text_of(t, "state"), "broken") != 0 ? "reading" : cli_text_of(t, "state");
    print_name(cli_text_of(t, "name"));
    printf("%-10s %-9s %-7s ", cli_text_of(t, "type"), cli_text_of(t, "use"), state);
    if (json_is_true(json_object_get(t, "known"))) printf("%9lld %-7s", (long long)cli_number_of(t, "entries"), cli_span(&changed, age < 0 ? 0 : age));
    else printf("%9s %-7s", "-", "-");
    printf(" %s\n", cli_number_of(t, "next") ? cli_span(&next, due < 0 ? 0 : due) : "-");
    print_trouble(t);
    buf_deinit(&changed);
    buf_deinit(&next);
}

void table_print_list(const json_t *answer)
{
    const json_t *all = json_object_get(answer, "tables"), *t;
    size_t i;
    if (!json_array_size(all)) {
        puts("no option uses a table or names a file");
        return;
    }
    printf("%-*s %-10s %-9s %-7s %9s %-7s NEXT\n", NAME_WIDTH, "NAME", "TYPE", "USE", "STATE", "ENTRIES", "CHANGED");
    json_array_foreach(all, i, t) print_one(t);
}

static void print_note(const char *before, const char *text)
{
    if (*text) printf("%s%s", before, text);
}

void table_print_entries(const json_t *answer)
{
    const json_t *table = json_object_get(answer, "table"), *all = json_object_get(answer, "entries"), *e;
    size_t i, n = json_array_size(all);
    if (!json_is_true(json_object_get(table, "known"))) puts("it was never read yet");
    json_array_foreach(all, i, e) {
        fputs(cli_text_of(e, "entry"), stdout);
        print_note("  ", cli_text_of(e, "value"));
        print_note("  reason: ", cli_text_of(e, "reason"));
        print_note("  # ", cli_text_of(e, "comment"));
        putchar('\n');
    }
    if ((size_t)cli_number_of(table, "entries") > n) printf("... %zu of %lld; --limit shows more\n", n, (long long)cli_number_of(table, "entries"));
}

static void print_found(const json_t *t)
{
    const json_t *e = json_object_get(t, "found");
    const char *problem = cli_text_of(t, "problem");
    printf("%s (%s): ", cli_text_of(t, "name"), cli_text_of(t, "use"));
    if (*problem) printf("it cannot be looked for: it is %s\n", problem);
    else if (!json_is_true(json_object_get(t, "known"))) puts("it was never read yet");
    else if (!e) puts("no entry");
    if (!e) return;
    fputs(cli_text_of(e, "entry"), stdout);
    print_note(" -> ", cli_text_of(e, "value"));
    print_note(", reason: ", cli_text_of(e, "reason"));
    print_note("  # ", cli_text_of(e, "comment"));
    if (cli_number_of(e, "line")) printf("  (%s:%lld)", cli_text_of(e, "file"), (long long)cli_number_of(e, "line"));
    putchar('\n');
}

void table_print_found(const json_t *answer)
{
    size_t i;
    const json_t *t;
    json_array_foreach(json_object_get(answer, "tables"), i, t) print_found(t);
}
