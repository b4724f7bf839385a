/* SPDX-License-Identifier: Apache-2.0
 * What is reported: each line that was left out, or means something else here. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "import/parts.h"

#define SHOWN_MAX 160

const char *import_show(struct import *im, struct slice s)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_trim(s), SHOWN_MAX);
    return buf_keep(&b, &im->arena).p;
}

#define RECENT 60 /* what is read twice is told once */

static bool is_told(const struct import *im, const struct import_note *n)
{
    for (size_t i = im->note_n; i-- > 0 && im->note_n - i <= RECENT;) {
        const struct import_note *o = &im->notes[i];
        if (o->kind == n->kind && o->line == n->line && !strcmp(o->file, n->file) && !strcmp(o->text, n->text) && !strcmp(o->why, n->why)) return true;
    }
    return false;
}

void import_note(struct import *im, enum import_kind kind, const struct import_from *from, const char *todo, const char *fmt, ...)
{
    char why[1000];
    if (im->note_n == IMPORT_NOTES_MAX) {
        im->counts[kind]++;
        return;
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    struct import_note n = { kind, from->file, import_show(im, from->text), arena_strdup(&im->arena, slice_str(why)), todo, from->line };
    if (is_told(im, &n)) return;
    im->counts[kind]++;
    import_grow(im->notes, im->note_n, im->note_cap);
    im->notes[im->note_n++] = n;
}

static int by_place(const void *pa, const void *pb)
{
    const struct import_note *a = pa, *b = pb;
    int c = strcmp(a->file, b->file);
    if (!strcmp(a->file, "main.cf") != !strcmp(b->file, "main.cf")) c = strcmp(a->file, "main.cf") != 0 ? 1 : -1;
    if (!c) c = a->line < b->line ? -1 : a->line > b->line;
    return c;
}

static struct import_note *sorted(const struct import *im)
{
    struct import_note *all = mem_zalloc((im->note_n + 1) * sizeof *all);
    for (size_t i = 0; i < im->note_n; i++) all[i] = im->notes[i];
    qsort(all, im->note_n, sizeof *all, by_place);
    return all;
}

static void add_kind(const struct import_note *all, size_t n, enum import_kind kind, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct import_note *note = &all[i];
        if (note->kind != kind) continue;
        if (note->line) buf_addf(out, "  %s:%u: %s\n", note->file, note->line, note->text);
        else buf_addf(out, "  %s: %s\n", note->file, note->text);
        buf_addf(out, "      %s\n", note->why);
        if (note->todo) buf_addf(out, "      -> %s\n", note->todo);
    }
}

void import_add_report(const struct import *im, struct buf *out)
{
    struct import_note *all = sorted(im);
    if (im->counts[IMPORT_LEFT_OUT]) buf_add_str(out, "Left out:\n");
    add_kind(all, im->note_n, IMPORT_LEFT_OUT, out);
    if (im->counts[IMPORT_DIFFERENT]) buf_add_str(out, im->counts[IMPORT_LEFT_OUT] ? "\nDifferent:\n" : "Different:\n");
    add_kind(all, im->note_n, IMPORT_DIFFERENT, out);
    if (im->note_n < im->counts[0] + im->counts[1])
        buf_addf(out, "  ... and %zu more\n", im->counts[0] + im->counts[1] - im->note_n);
    buf_addf(out, "%s%zu taken over, %zu left out, %zu with another meaning\n", im->note_n ? "\n" : "", im->taken,
             im->counts[IMPORT_LEFT_OUT], im->counts[IMPORT_DIFFERENT]);
    free(all);
}

json_t *import_report_json(const struct import *im)
{
    struct import_note *all = sorted(im);
    json_t *notes = json_array();
    for (size_t i = 0; i < im->note_n; i++)
        json_array_append_new(notes, json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "kind",
                                               all[i].kind == IMPORT_LEFT_OUT ? "left_out" : "different", "file", all[i].file, "line",
                                               (int)all[i].line, "text", all[i].text, "why", all[i].why, "todo", all[i].todo ? all[i].todo : ""));
    free(all);
    return json_pack("{s:I, s:I, s:I, s:o}", "taken", (json_int_t)im->taken, "left_out", (json_int_t)im->counts[IMPORT_LEFT_OUT],
                     "different", (json_int_t)im->counts[IMPORT_DIFFERENT], "notes", notes);
}

size_t import_count(const struct import *im, enum import_kind kind) { return im->counts[kind]; }
