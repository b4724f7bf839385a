/* SPDX-License-Identifier: Apache-2.0
 * Findings: kept, ordered, and shown to people. */
#include "config/report.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/secret.h"

__attribute__((format(printf, 2, 0))) static char *format(struct arena *a, const char *fmt, va_list ap)
{
    char text[1000];
    vsnprintf(text, sizeof text, fmt, ap);
    return arena_strdup(a, slice_str(text));
}

/* Nothing more is kept: words for further findings need not be made. */
static bool is_full(const struct config_report *r) { return r->n >= REPORT_FINDINGS_MAX; }

const char *report_text(struct config_report *r, const char *fmt, ...)
{
    if (is_full(r)) return "";
    va_list ap;
    va_start(ap, fmt);
    const char *text = format(&r->arena, fmt, ap);
    va_end(ap);
    return text;
}

void report_add(struct config_report *r, bool warning, struct config_place at, const char *option, const char *hint,
                const char *fmt, ...)
{
    if (!warning) r->errors++;
    if (is_full(r)) return;
    if (!r->findings) r->findings = mem_zalloc(REPORT_FINDINGS_MAX * sizeof *r->findings);
    va_list ap;
    va_start(ap, fmt);
    r->findings[r->n++] = (struct config_finding){
        .warning = warning,
        .place = at,
        .option = arena_strdup(&r->arena, slice_str(option)),
        .text = format(&r->arena, fmt, ap),
        .hint = arena_strdup(&r->arena, slice_str(hint)),
    };
    va_end(ap);
}

const char *report_quote(struct config_report *r, struct slice s)
{
    if (is_full(r)) return "";
    struct buf b = { 0 };
    buf_add_printable(&b, s, 60);
    const char *text = arena_strdup(&r->arena, buf_slice(&b));
    buf_deinit(&b);
    return text;
}

static int by_place(const void *pa, const void *pb)
{
    const struct config_finding *a = pa, *b = pb;
    if (a->place.line != b->place.line) return a->place.line < b->place.line ? -1 : 1;
    return (a->place.column > b->place.column) - (a->place.column < b->place.column);
}

void report_sort(struct config_report *r)
{
    if (r->n) qsort(r->findings, r->n, sizeof *r->findings, by_place);
}

static struct slice line_of(struct slice text, uint32_t line)
{
    struct slice at = { 0 };
    for (uint32_t i = 0; i < line; i++) {
        if (!text.n) return (struct slice){ 0 };
        slice_cut(&text, '\n', &at);
    }
    while (at.n && at.p[at.n - 1] == '\r') at.n--;
    return at;
}

/* Where a byte of `line` is once secrets are hidden: what follows them moves, a place within one is its beginning. */
static size_t byte_shown(struct slice line, struct slice shown, size_t byte)
{
    size_t same = 0, tail = 0;
    while (same < line.n && same < shown.n && line.p[same] == shown.p[same]) same++;
    if (byte <= same) return byte;
    while (tail < line.n && tail < shown.n && line.p[line.n - 1 - tail] == shown.p[shown.n - 1 - tail]) tail++;
    return line.n - byte <= tail ? shown.n - (line.n - byte) : same;
}

/* Printable; a backslash is one that was typed, and stays. */
static void add_shown(struct buf *out, struct slice s)
{
    struct slice run;
    while (s.n) {
        bool more = slice_cut(&s, '\\', &run);
        buf_add_printable(out, run, run.n);
        if (more) buf_add_char(out, '\\');
    }
}

/* The source line, cut to a window of 100 columns around the place, and a caret below. */
static void add_excerpt(struct buf *out, struct slice original, struct slice line, uint32_t column)
{
    size_t byte = 0; /* columns count characters */
    for (uint32_t c = 1; c < column && byte < original.n; c++) {
        byte++;
        while (byte < original.n && ((unsigned char)original.p[byte] & 0xC0) == 0x80) byte++;
    }
    byte = byte_shown(original, line, byte);
    size_t from = byte > 70 ? byte - 70 : 0;
    while (from && from < line.n && ((unsigned char)line.p[from] & 0xC0) == 0x80) from++;
    size_t to = line.n > from + 100 ? from + 100 : line.n;
    while (to > from && to < line.n && ((unsigned char)line.p[to] & 0xC0) == 0x80) to--;
    buf_add_str(out, "    ");
    add_shown(out, slice_sub(line, from, to));
    struct buf before = { 0 };
    add_shown(&before, slice_sub(line, from, byte));
    size_t width = 0;
    for (size_t i = 0; i < before.n; i++) width += ((unsigned char)before.p[i] & 0xC0) != 0x80;
    buf_addf(out, "\n    %*s^\n", (int)width, "");
    buf_deinit(&before);
}

void report_format(const struct config_report *r, const char *file, struct slice text, struct buf *out)
{
    struct buf hidden = { 0 };
    if (r->n) secret_hide(text, &hidden);
    for (size_t i = 0; i < r->n; i++) {
        const struct config_finding *f = &r->findings[i];
        buf_add_str(out, file);
        if (f->place.line) buf_addf(out, ":%u:%u", f->place.line, f->place.column);
        buf_addf(out, ": %s: ", f->warning ? "warning" : "error");
        if (f->option[0]) buf_addf(out, "%s: ", f->option);
        buf_addf(out, "%s\n", f->text);
        struct slice line = f->place.line ? line_of(text, f->place.line) : (struct slice){ 0 };
        if (line.n) add_excerpt(out, line, line_of(buf_slice(&hidden), f->place.line), f->place.column);
        if (f->hint[0]) buf_addf(out, "  hint: %s\n", f->hint);
    }
    size_t kept_errors = 0;
    for (size_t i = 0; i < r->n; i++) kept_errors += !r->findings[i].warning;
    if (r->errors > kept_errors) buf_addf(out, "%s: %zu more errors\n", file, r->errors - kept_errors);
    buf_deinit(&hidden);
}

void config_report_deinit(struct config_report *r)
{
    free(r->findings);
    arena_deinit(&r->arena);
    *r = (struct config_report){ 0 };
}
