/* SPDX-License-Identifier: Apache-2.0
 * Messages of the quarantine on a terminal. What came from outside is printed only in printable form. */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "cli/common.h"
#include "cli/quarantine.h"

static const char *address(const char *a)
{
    return *a ? a : "<>";
}

/* "first@example.org +4" */
static void add_recipients(struct buf *out, const json_t *m, size_t width)
{
    json_int_t n = cli_number_of(m, "recipient_count");
    char more[24] = "";
    if (n > 1) snprintf(more, sizeof more, " +%lld", (long long)n - 1);
    cli_add_fitted(out, cli_text_of(json_array_get(json_object_get(m, "recipients"), 0), "address"), width - strlen(more));
    buf_add_str(out, more);
}

static void print_indented(const char *text)
{
    struct buf line = { 0 };
    if (!*text) return;
    buf_add_str(&line, "    ");
    cli_add_fitted(&line, text, 75);
    puts(buf_cstr(&line));
    buf_deinit(&line);
}

static void print_row(const json_t *m)
{
    struct buf b = { 0 }, line = { 0 };
    json_int_t arrival = cli_number_of(m, "arrival"), now = (json_int_t)clock_wall_ms();
    buf_addf(&line, "%-13s %-8s %-5s ", cli_text_of(m, "id"), cli_text_of(m, "state"), cli_text_of(m, "kind"));
    buf_addf(&line, "%-6s ", cli_span(&b, arrival && now > arrival ? now - arrival : 0));
    buf_addf(&line, "%6.1f ", json_number_value(json_object_get(m, "score")));
    cli_add_fitted(&line, address(cli_text_of(m, "sender")), 17);
    buf_add_str(&line, " > ");
    add_recipients(&line, m, 17);
    puts(buf_cstr(&line));
    print_indented(cli_text_of(m, "subject"));
    print_indented(cli_text_of(m, "reason"));
    buf_deinit(&b);
    buf_deinit(&line);
}

void quarantine_print_list(const json_t *answer)
{
    const json_t *messages = json_object_get(answer, "messages"), *m;
    json_int_t matched = cli_number_of(answer, "matched"), shown = (json_int_t)json_array_size(messages);
    bool partial = json_is_true(json_object_get(answer, "partial"));
    size_t i;
    if (shown) puts("ID            STATE    KIND  AGE     SCORE FROM > TO");
    json_array_foreach(messages, i, m) print_row(m);
    if (shown < matched || partial) printf("%lld of %s%lld messages\n", (long long)shown, partial ? "at least " : "", (long long)matched);
    else printf("%lld message%s\n", (long long)shown, shown == 1 ? "" : "s");
    if (*cli_text_of(answer, "before")) printf("more: --before %s\n", cli_text_of(answer, "before"));
    if (json_is_true(json_object_get(answer, "reading")))
        fputs("postern: the index is being made anew from the files: this is not all\n", stderr);
}

/* ---- one message */

static void print_field(const char *name, const char *value)
{
    if (*value) printf("%-13s %s\n", name, value);
}

static void print_time(const json_t *m, const char *key)
{
    struct buf b = { 0 };
    json_int_t at = cli_number_of(m, key);
    if (at > 0) clock_add_rfc3339(&b, (uint64_t)at);
    print_field(key, buf_cstr(&b));
    buf_deinit(&b);
}

static void print_trace(const json_t *trace)
{
    size_t i;
    const json_t *e;
    if (json_array_size(trace)) puts("checks");
    json_array_foreach(trace, i, e)
        printf("  %-8s %-16s %-10s %s\n", cli_text_of(e, "stage"), cli_text_of(e, "check"), cli_text_of(e, "outcome"), cli_text_of(e, "why"));
}

static void print_behind(const char *before, const char *value)
{
    if (*value) printf("%s%s", before, value);
}

static void print_virus(const json_t *v)
{
    print_behind("", cli_text_of(v, "name"));
    print_behind(" in ", cli_text_of(v, "part"));
    print_behind(", found by ", cli_text_of(v, "scanner"));
}

static void print_part(const json_t *p)
{
    const json_t *found = json_object_get(p, "findings"), *v;
    size_t i;
    printf("%s  %s  %lld", *cli_text_of(p, "name") ? cli_text_of(p, "name") : "-", cli_text_of(p, "type"), (long long)cli_number_of(p, "size"));
    json_array_foreach(found, i, v) print_behind(i ? ", " : "  ", json_is_string(v) ? json_string_value(v) : "");
    print_behind("; blocked: ", cli_text_of(p, "blocked"));
}

static void print_symbol(const json_t *s)
{
    printf("%7.2f %s", json_number_value(json_object_get(s, "score")), json_is_string(s) ? json_string_value(s) : cli_text_of(s, "name"));
    print_behind(": ", cli_text_of(s, "text"));
    print_behind(", by ", cli_text_of(s, "engine"));
}

static void print_action(const json_t *a)
{
    json_int_t line = cli_number_of(a, "line");
    printf("%s %s", cli_text_of(a, "by"), cli_text_of(a, "name"));
    if (line) printf(" (line %lld)", (long long)line);
    print_behind(": ", cli_text_of(a, "action"));
    print_behind(" ", cli_text_of(a, "address"));
    print_behind(": ", cli_text_of(a, "text"));
}

static void print_scanner(const json_t *s)
{
    printf("%-16s %s", cli_text_of(s, "name"), cli_text_of(s, "state"));
    print_behind(": ", cli_text_of(s, "text"));
}

/* The report of whoever looked into it; --json has all of it. */
static void print_findings(const json_t *findings)
{
    static const struct {
        const char *key;
        void (*print)(const json_t *one);
    } lists[] = { { "viruses", print_virus }, { "parts", print_part }, { "symbols", print_symbol }, { "actions", print_action },
                  { "scanners", print_scanner } };
    print_field("class", cli_text_of(findings, "class"));
    for (size_t k = 0; k < countof(lists); k++) {
        const json_t *list = json_object_get(findings, lists[k].key), *one;
        size_t i;
        if (json_array_size(list)) puts(lists[k].key);
        json_array_foreach(list, i, one) {
            fputs("  ", stdout);
            lists[k].print(one);
            putchar('\n');
        }
    }
}

void quarantine_print_message(const json_t *m, bool empty_line_before)
{
    static const char *const texts[] = { "id",     "state", "kind", "reason",  "subject", "message_id",
                                         "client", "helo",  "zone", "account", "learnt",  "error" };
    size_t i;
    const json_t *v;
    if (empty_line_before) putchar('\n');
    for (i = 0; i < countof(texts); i++) print_field(texts[i], cli_text_of(m, texts[i]));
    printf("%-13s %.2f\n%-13s %lld\n", "score", json_number_value(json_object_get(m, "score")), "size", (long long)cli_number_of(m, "size"));
    print_time(m, "arrival");
    print_time(m, "expires");
    print_field("sender", address(cli_text_of(m, "sender")));
    puts("recipients");
    json_array_foreach(json_object_get(m, "recipients"), i, v) printf("  %s  %s\n", cli_text_of(v, "address"), cli_text_of(v, "state"));
    print_findings(json_object_get(m, "findings"));
    print_trace(json_object_get(m, "trace"));
    if (json_array_size(json_object_get(m, "headers"))) puts("headers");
    json_array_foreach(json_object_get(m, "headers"), i, v)
        printf("  %s: %s\n", json_string_value(json_array_get(v, 0)), json_string_value(json_array_get(v, 1)));
}

/* ---- what is in it */

/* Line by line, each made printable: a terminal must not be told anything by it. */
static void print_text(const char *text)
{
    while (*text) {
        struct buf line = { 0 };
        size_t n = strcspn(text, "\n");
        buf_add_printable(&line, slice_trim(slice_of(text, n)), 4000);
        printf("  %s\n", buf_cstr(&line));
        buf_deinit(&line);
        text += n + (text[n] != 0);
    }
}

void quarantine_print_view(json_t *view)
{
    json_t *rest = json_copy(view);
    size_t i;
    const json_t *v;
    json_object_del(rest, "text");
    cli_disarm(rest);
    json_array_foreach(json_object_get(rest, "headers"), i, v)
        printf("%s: %s\n", json_string_value(json_array_get(v, 0)), json_string_value(json_array_get(v, 1)));
    puts("text");
    print_text(cli_text_of(view, "text"));
    if (json_array_size(json_object_get(rest, "parts"))) puts("parts");
    json_array_foreach(json_object_get(rest, "parts"), i, v)
        printf("  %s  %s  %lld\n", *cli_text_of(v, "name") ? cli_text_of(v, "name") : "-", cli_text_of(v, "type"),
               (long long)cli_number_of(v, "size"));
    if (json_array_size(json_object_get(rest, "links"))) puts("links");
    json_array_foreach(json_object_get(rest, "links"), i, v)
        printf("  %s  (%s)\n", cli_text_of(v, "url"), *cli_text_of(v, "shown") ? cli_text_of(v, "shown") : cli_text_of(v, "host"));
    json_decref(rest);
}
