/* SPDX-License-Identifier: Apache-2.0
 * Messages of the history on a terminal. What came from outside is printed only in printable form. */
#include "cli/history_print.h"
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "cli/common.h"
#include "cli/trace_print.h"

#define WIDTH 80

static const char *address(const char *a)
{
    return *a ? a : "<>";
}

/* Text that goes on in lines below, from column `at` to the last one; broken at blanks where there are some. */
static void print_wrapped(struct buf *line, size_t at, const char *text)
{
    struct buf clean = { 0 };
    buf_add_printable(&clean, slice_str(text), 4000);
    struct slice rest = buf_slice(&clean);
    do {
        size_t n = rest.n < WIDTH - at ? rest.n : WIDTH - at;
        if (n < rest.n) {
            size_t k = n;
            while (k > 0 && rest.p[k] != ' ') k--;
            if (k) n = k;
        }
        while (n < rest.n && ((unsigned char)rest.p[n] & 0xC0) == 0x80) n--; /* not within a character */
        buf_add(line, slice_sub(rest, 0, n));
        rest = slice_sub(rest, n + (n < rest.n && rest.p[n] == ' '), rest.n);
        while (line->n && line->p[line->n - 1] == ' ') line->n--;
        puts(buf_cstr(line));
        buf_clear(line);
        buf_addf(line, "%*s", (int)at, "");
    } while (rest.n);
    buf_clear(line);
    buf_deinit(&clean);
}

/* ---- lists */

/* "11-22 04:31:05", or from "from" on. */
static void add_time(struct buf *out, json_int_t ms, size_t from, size_t n)
{
    struct buf t = { 0 };
    clock_add_rfc3339(&t, ms > 0 ? (uint64_t)ms : 0);
    if (t.n > 10) t.p[10] = ' ';
    buf_add(out, slice_sub(buf_slice(&t), from, from + n));
    buf_deinit(&t);
}

void history_print_head(void)
{
    puts("TIME (UTC)     ID            OUTCOME   FROM > TO");
}

void history_print_line(const json_t *m)
{
    struct buf line = { 0 };
    const json_t *all = json_object_get(m, "recipients");
    const char *given = json_string_value(json_array_get(json_object_get(m, "given"), 0));
    const char *first = given ? given : json_string_value(json_array_get(all, 0));
    json_int_t n = cli_number_of(m, "recipient_count");
    char more[24] = "";
    if (n > 1) snprintf(more, sizeof more, " +%lld", (long long)n - 1);
    add_time(&line, cli_number_of(m, "time"), 5, 14);
    buf_addf(&line, " %-13s %-9s ", cli_text_of(m, "id"), cli_text_of(m, "state"));
    cli_add_fitted(&line, address(cli_text_of(m, "sender")), 18);
    buf_add_str(&line, " > ");
    cli_add_fitted(&line, first ? first : "-", 20 - strlen(more));
    buf_add_str(&line, more);
    puts(buf_cstr(&line));
    buf_deinit(&line);
}

/* ---- stories */

static void print_field(const char *name, const char *text)
{
    struct buf line = { 0 };
    if (!*text) return;
    buf_addf(&line, "%-11s ", name);
    print_wrapped(&line, 12, text);
    buf_deinit(&line);
}

static void add_reply(struct buf *out, const json_t *o)
{
    json_int_t code = cli_number_of(o, "code");
    if (code) buf_addf(out, "%lld%s", (long long)code, *cli_text_of(o, "text") ? " " : "");
    buf_add_str(out, cli_text_of(o, "text"));
}

static bool has_text(const json_t *list, const char *text)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
        if (!strcmp(json_string_value(one), text)) return true;
    return false;
}

static void print_given(const json_t *m)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(m, "given"), i, one) print_field(i ? "" : "written to", json_string_value(one));
}

static void print_recipients(const json_t *m)
{
    struct buf line = { 0 };
    const json_t *all = json_object_get(m, "recipients"), *one;
    size_t i, n = json_array_size(all);
    json_int_t count = cli_number_of(m, "recipient_count");
    json_array_foreach(all, i, one) {
        buf_clear(&line);
        buf_add_str(&line, json_string_value(one));
        if (has_text(json_object_get(m, "copies"), json_string_value(one))) buf_add_str(&line, " (copy)");
        print_field(i ? "" : n > 1 ? "recipients" : "recipient", buf_cstr(&line));
    }
    buf_deinit(&line);
    if (count > (json_int_t)n) printf("%12sand %lld more\n", "", (long long)count - (long long)n);
}

static void print_head(const json_t *m)
{
    struct buf b = { 0 };
    const char *sender = cli_text_of(m, "sender");
    printf("%s  %s\n", cli_text_of(m, "id"), cli_text_of(m, "state"));
    if (!*cli_text_of(m, "kind")) {
        puts("How it came is not in the history: it is of the relay's own, or has been forgotten.");
        return;
    }
    clock_add_rfc3339(&b, (uint64_t)cli_number_of(m, "time"));
    print_field(cli_text_of(m, "kind"), buf_cstr(&b));
    buf_clear(&b);
    buf_add_str(&b, cli_text_of(m, "client"));
    if (*cli_text_of(m, "helo")) buf_addf(&b, " (said %s)", cli_text_of(m, "helo"));
    print_field("client", buf_cstr(&b));
    print_field("session", cli_text_of(m, "session"));
    print_field("sender", *sender || !json_object_get(m, "recipient_count") ? sender : "<>");
    print_given(m);
    print_recipients(m);
    print_field("message-id", cli_text_of(m, "message_id"));
    print_field("subject", cli_text_of(m, "subject"));
    if (cli_number_of(m, "size")) print_field("size", cli_size(&b, (uint64_t)cli_number_of(m, "size")));
    buf_clear(&b);
    add_reply(&b, m);
    print_field("reply", buf_cstr(&b));
    buf_deinit(&b);
}

static void print_event(const json_t *e)
{
    struct buf line = { 0 }, what = { 0 }, reply = { 0 };
    const char *host = cli_text_of(e, "host");
    add_time(&line, cli_number_of(e, "time"), 0, 19);
    buf_addf(&line, "  %-9s ", cli_text_of(e, "kind"));
    buf_add_str(&what, cli_text_of(e, "recipient"));
    if (*cli_text_of(e, "for")) buf_addf(&what, " (for %s)", cli_text_of(e, "for"));
    if (json_is_true(json_object_get(e, "copy"))) buf_add_str(&what, " (copy)");
    if (*host) buf_addf(&what, "%s%s", what.n ? " at " : "", host);
    add_reply(&reply, e);
    if (reply.n) buf_addf(&what, ": %s", buf_cstr(&reply));
    print_wrapped(&line, 31, buf_cstr(&what));
    buf_deinit(&line);
    buf_deinit(&what);
    buf_deinit(&reply);
}

void history_print_story(const json_t *m)
{
    const json_t *events = json_object_get(m, "events"), *e;
    size_t i;
    print_head(m);
    if (json_array_size(events)) puts("\nWHEN (UTC)           WHAT      TO WHOM, AND WHAT WAS SAID");
    json_array_foreach(events, i, e) print_event(e);
    if (json_is_true(json_object_get(m, "truncated"))) puts("... and more");
    if (json_array_size(json_object_get(m, "trace"))) {
        putchar('\n');
        trace_print(json_object_get(m, "trace"));
    }
    json_array_foreach(events, i, e) {
        if (!json_array_size(json_object_get(e, "trace"))) continue;
        printf("\n%s %s\n", cli_text_of(e, "kind"), cli_text_of(e, "recipient"));
        trace_print(json_object_get(e, "trace"));
    }
}
