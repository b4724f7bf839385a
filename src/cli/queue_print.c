/* SPDX-License-Identifier: Apache-2.0
 * Messages of the queue on a terminal. What came from outside is printed only in printable form. */
#include "cli/queue_print.h"
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "cli/common.h"

void queue_print_missing(const json_t *answer)
{
    if (cli_number_of(answer, "missing")) fputs("postern: some worker has not answered in time: this is not all\n", stderr);
    if (json_is_true(json_object_get(answer, "truncated")))
        fputs("postern: this is not all: use filters or --limit\n", stderr);
}

static const char *address(const char *a)
{
    return *a ? a : "<>";
}

/* "first@example.org +4" */
static void add_recipients(struct buf *out, const json_t *m, size_t width)
{
    const json_t *all = json_object_get(m, "recipients"), *first = json_array_get(all, 0);
    const char *given = cli_text_of(first, "for");
    const char *name = json_is_object(first) ? cli_text_of(first, *given ? "for" : "address") : json_string_value(first);
    json_int_t n = cli_number_of(m, "recipient_count");
    char more[24] = "";
    if (!n) n = (json_int_t)json_array_size(all);
    if (n > 1) snprintf(more, sizeof more, " +%lld", (long long)n - 1);
    cli_add_fitted(out, name ? name : "", width - strlen(more));
    buf_add_str(out, more);
}

static int64_t until(json_int_t wall)
{
    json_int_t now = (json_int_t)clock_wall_ms();
    return wall <= 0 ? -1 : wall > now ? wall - now : 0;
}

static void print_row(const json_t *m)
{
    struct buf b = { 0 }, line = { 0 };
    json_int_t arrival = cli_number_of(m, "arrival"), now = (json_int_t)clock_wall_ms();
    buf_addf(&line, "%-13s ", cli_text_of(m, "id"));
    buf_addf(&line, "%-8s ", cli_text_of(m, "state"));
    buf_addf(&line, "%-6s ", cli_span(&b, arrival && now > arrival ? now - arrival : 0));
    buf_addf(&line, "%5s ", cli_size(&b, (uint64_t)cli_number_of(m, "size")));
    buf_addf(&line, "%-6s ", cli_span(&b, until(cli_number_of(m, "next_try"))));
    cli_add_fitted(&line, address(cli_text_of(m, "sender")), 17);
    buf_add_str(&line, " > ");
    add_recipients(&line, m, 17);
    puts(buf_cstr(&line));
    buf_clear(&line);
    if (*cli_text_of(m, "reason")) {
        buf_add_str(&line, "    ");
        cli_add_fitted(&line, cli_text_of(m, "reason"), 75);
        puts(buf_cstr(&line));
    }
    buf_deinit(&b);
    buf_deinit(&line);
}

void queue_print_list(const json_t *answer)
{
    const json_t *messages = json_object_get(answer, "messages"), *m;
    json_int_t matched = cli_number_of(answer, "matched"), shown = (json_int_t)json_array_size(messages);
    size_t i;
    if (shown) puts("ID            STATE    AGE     SIZE NEXT   FROM > TO");
    json_array_foreach(messages, i, m) print_row(m);
    if (shown < matched) printf("%lld of %lld messages\n", (long long)shown, (long long)matched);
    else printf("%lld message%s\n", (long long)shown, shown == 1 ? "" : "s");
    queue_print_missing(answer);
}

void queue_print_groups(const json_t *answer)
{
    const json_t *groups = json_object_get(answer, "groups"), *g;
    json_int_t now = (json_int_t)clock_wall_ms(), others = cli_number_of(answer, "others"), total = cli_number_of(answer, "total");
    size_t i;
    if (json_array_size(groups)) puts("MESSAGES    SIZE OLDEST NEXT   FOR");
    json_array_foreach(groups, i, g) {
        struct buf b = { 0 }, line = { 0 };
        const char *key = cli_text_of(g, "key");
        json_int_t oldest = cli_number_of(g, "oldest");
        buf_addf(&line, "%8lld ", (long long)cli_number_of(g, "messages"));
        buf_addf(&line, "%7s ", cli_size(&b, (uint64_t)cli_number_of(g, "bytes")));
        buf_addf(&line, "%-6s ", cli_span(&b, oldest && now > oldest ? now - oldest : 0));
        buf_addf(&line, "%-6s ", cli_span(&b, until(cli_number_of(g, "next_try"))));
        cli_add_fitted(&line, *key ? key : "(not tried yet)", 48);
        puts(buf_cstr(&line));
        buf_deinit(&b);
        buf_deinit(&line);
    }
    if (others) printf("%8lld %29s\n", (long long)others, "others");
    printf("%lld message%s\n", (long long)total, total == 1 ? "" : "s");
    queue_print_missing(answer);
}

/* A value in words: times as times, everything else as it is. */
static void add_value(struct buf *out, const char *key, const json_t *v)
{
    bool time = !strcmp(key, "arrival") || !strcmp(key, "next_try") || !strcmp(key, "expires");
    if (json_is_string(v)) buf_add_printable(out, slice_of(json_string_value(v), json_string_length(v)), 2000);
    else if (time && json_integer_value(v) > 0) clock_add_rfc3339(out, (uint64_t)json_integer_value(v));
    else if (json_is_integer(v)) buf_addf(out, "%lld", (long long)json_integer_value(v));
    else if (json_is_boolean(v)) buf_add_str(out, json_is_true(v) ? "yes" : "no");
}

static void print_recipient(const json_t *r)
{
    struct buf line = { 0 };
    const char *key, *name = json_is_object(r) ? cli_text_of(r, "address") : json_string_value(r);
    const json_t *v;
    buf_add_str(&line, "  ");
    buf_add_printable(&line, slice_str(name), 400);
    if (*cli_text_of(r, "for")) {
        buf_add_str(&line, " (for ");
        buf_add_printable(&line, slice_str(cli_text_of(r, "for")), 400);
        buf_add_char(&line, ')');
    }
    json_object_foreach((json_t *)r, key, v) {
        if (!strcmp(key, "address") || !strcmp(key, "for") || !strcmp(key, "original")) continue;
        buf_add_str(&line, "  ");
        add_value(&line, key, v);
    }
    puts(buf_cstr(&line));
    buf_deinit(&line);
}

void queue_print_message(const json_t *message, bool empty_line_before)
{
    struct buf line = { 0 };
    const char *key;
    const json_t *v;
    size_t i;
    if (empty_line_before) putchar('\n');
    json_object_foreach((json_t *)message, key, v) {
        if (json_is_array(v) || json_is_object(v) || json_is_null(v)) continue;
        buf_clear(&line);
        buf_addf(&line, "%-14s ", key);
        if (!strcmp(key, "sender")) buf_add_printable(&line, slice_str(address(cli_text_of(message, key))), 400);
        else add_value(&line, key, v);
        puts(buf_cstr(&line));
    }
    puts("recipients");
    json_array_foreach(json_object_get(message, "recipients"), i, v) print_recipient(v);
    buf_deinit(&line);
}
