/* SPDX-License-Identifier: Apache-2.0
 * Rows of a directory or database: those that are wrong are passed over and counted, the others become entries. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "table/source.h"

void rows_init(struct rows *r, const struct config_table *table, const struct table_source *const *sources, size_t n)
{
    *r = (struct rows){ .table = table, .uses = mem_zalloc(n * sizeof *r->uses), .use_n = n };
    for (size_t i = 0; i < n; i++) r->uses[i] = (struct rows_use){ .source = sources[i], .builder = snapshot_builder_new() };
}

void rows_deinit(struct rows *r)
{
    for (size_t i = 0; i < r->use_n; i++) snapshot_builder_free(r->uses[i].builder);
    free(r->uses);
    *r = (struct rows){ 0 };
}

static void skip(struct rows *r, struct rows_use *use, struct slice entry, const char *why)
{
    struct buf text = { 0 };
    if (use->skipped++) return;
    buf_addf(&text, "row %llu", (unsigned long long)r->row_n);
    if (entry.n) {
        buf_add_str(&text, ", \"");
        buf_add_printable(&text, entry, 80);
        buf_add_char(&text, '"');
    }
    buf_addf(&text, ": %s", why);
    snprintf(use->first, sizeof use->first, "%s", buf_cstr(&text));
    buf_deinit(&text);
}

void rows_skip(struct rows *r, const char *why)
{
    r->row_n++;
    for (size_t i = 0; i < r->use_n; i++) skip(r, &r->uses[i], (struct slice){ 0 }, why);
}

static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F) return true;
    return false;
}

static const char *problem(struct slice entry, struct slice value)
{
    if (!entry.n) return "the entry is empty";
    if (entry.n > SNAPSHOT_TEXT_MAX) return "the entry is too long";
    if (value.n > SNAPSHOT_TEXT_MAX) return "the value is too long";
    if (has_control(entry) || has_control(value)) return "there is a control character in it";
    return NULL;
}

static bool add(struct rows *r, struct rows_use *use, struct slice entry, struct slice value, struct err *err)
{
    struct err wrong;
    if (tables_add_row(use->builder, use->source, entry, value, &wrong)) return true;
    if (wrong.code) return err_set(err, "%.250s: raise its limit, or make the query narrower", wrong.text); /* of the table, not of the row */
    skip(r, use, entry, wrong.text);
    return true;
}

bool rows_add(struct rows *r, struct slice entry, struct slice value, struct err *err)
{
    entry = slice_trim_blanks(entry); /* of a column with a fixed width */
    value = slice_trim_blanks(value);
    const char *why = problem(entry, value);
    if (why) {
        rows_skip(r, why);
        return true;
    }
    r->row_n++;
    for (size_t i = 0; i < r->use_n; i++)
        if (!add(r, &r->uses[i], entry, value, err)) return false;
    return true;
}
