/* SPDX-License-Identifier: Apache-2.0
 * Parts taken out, texts put in front, fields removed. */
#include "content/edits.h"
#include <stdio.h>
#include "base/mem.h"
#include "base/utf8.h"
#include "content/wire.h"
#include "message/encode.h"
#include "message/header.h"

#define FIELDS_MAX 4000
#define NAMED_MAX 20       /* files named in one note */
#define NAME_MAX_N 300     /* bytes of a name with those that it is packed in */
#define NAME_EACH_N 90
#define NAME_LEVELS 2
#define NOTE_MAX 8192
#define CONTENT_FIELDS SLICE("Content-")

/* ---- the header */

struct reading {
    struct edit_header *h;
    struct header_reader reader;
    struct arena *arena;
    size_t room;
    bool full;
};

static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct reading *g = arg;
    struct edit_header *h = g->h;
    uint64_t at = g->reader.size - g->reader.field_n;
    if (h->field_n == g->room) {
        struct edit_field *more = g->room < FIELDS_MAX ? arena_alloc(g->arena, (2 * g->room + 32) * sizeof *more) : NULL;
        if (!more) {
            g->full = true;
            return;
        }
        if (h->field_n) memcpy(more, h->fields, h->field_n * sizeof *more);
        h->fields = more;
        g->room = 2 * g->room + 32;
    }
    struct slice raw = slice_sub(h->bytes, (size_t)at, (size_t)(at + g->reader.field_n)), head;
    struct slice rest = raw;
    if (!slice_cut(&rest, ':', &head)) return;
    if (rest.n && rest.p[rest.n - 1] == '\n') rest.n--;
    if (rest.n && rest.p[rest.n - 1] == '\r') rest.n--;
    h->fields[h->field_n++] = (struct edit_field){ slice_sub(raw, 0, name.n), rest, at, (uint32_t)g->reader.field_n };
    h->mime |= slice_ieq(name, SLICE("MIME-Version"));
}

bool edit_header_read(struct edit_header *h, struct slice bytes, uint64_t text_size, struct arena *arena)
{
    struct reading g = { .h = h, .arena = arena };
    *h = (struct edit_header){ .bytes = arena_slice(arena, bytes) };
    header_reader_init(&g.reader, on_field, &g);
    header_read(&g.reader, h->bytes);
    bool cut = !g.reader.ended && bytes.n < text_size;
    if (!cut) header_finish(&g.reader);
    h->whole = g.reader.ended && !g.reader.malformed && g.reader.size >= 2 && memcmp(h->bytes.p + g.reader.size - 2, "\r\n", 2) == 0 &&
               (!h->field_n || g.reader.size >= h->fields[h->field_n - 1].at + h->fields[h->field_n - 1].n + 2);
    h->end = h->whole ? g.reader.size - 2 : g.reader.size;
    header_reader_deinit(&g.reader);
    return !cut && !g.full;
}

/* ---- building */

static bool add(struct edits *e, uint64_t at, uint64_t n, struct slice with)
{
    struct envelope_cut *last = e->n ? &e->cuts[e->n - 1] : NULL;
    if (last && !last->with.n && !with.n && last->at + last->n == at) { /* in their order, mostly */
        last->n += n;
        return true;
    }
    return e->n < EDITS_MAX && envelope_cuts_add(e->cuts, &e->n, (struct envelope_cut){ at, n, with });
}

bool edits_remove(struct edits *out, const struct edit_header *h, struct slice prefix)
{
    out->n = 0;
    for (size_t i = 0; i < h->field_n; i++)
        if (slice_istarts(h->fields[i].name, prefix) && !add(out, h->fields[i].at, h->fields[i].n, SLICE(""))) return false;
    return true;
}

/* Text as a MIME part's header and body; the last line has no end. Not quoted-printable: a name that somebody chose could begin a line of it
 * with a boundary. */
static void add_text(struct buf *b, struct slice text)
{
    bool dashes = slice_starts(text, SLICE("--")) || (text.n && memmem(text.p, text.n, "\n--", 3)); /* of a template */
    bool plain = utf8_ascii(text) && !dashes;
    struct base64_lines lines = { 0 };
    buf_addf(b, "Content-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n", plain ? "us-ascii" : "utf-8",
             plain ? "7bit" : "base64");
    if (plain) buf_add(b, text);
    else {
        base64_lines_add(&lines, text, b);
        base64_lines_end(&lines, b);
    }
    while (b->n && (b->p[b->n - 1] == '\n' || b->p[b->n - 1] == '\r')) b->n--;
}

/* ---- parts that go */

/* The MIME part that a part is in; 0: the message as a whole. */
static size_t target_of(const struct report *r, size_t i)
{
    while (i && !r->parts[i].is_mime) i = r->parts[i].parent < i ? r->parts[i].parent : 0;
    return i;
}

/* The outermost of the targets that a part is in. */
static size_t outermost(const struct report *r, const bool *targets, size_t i)
{
    size_t found = target_of(r, i);
    for (size_t k = found; k;) {
        k = target_of(r, r->parts[k].parent < k ? r->parts[k].parent : 0);
        if (targets[k]) found = k;
    }
    return found;
}

static void add_name(struct buf *b, struct slice name)
{
    json_t *clean = wire_clean_text(name, NAME_MAX_N);
    buf_add(b, slice_of(json_string_value(clean), json_string_length(clean)));
    json_decref(clean);
}

struct slice edits_file_name(const struct report *r, size_t part, struct arena *arena)
{
    struct buf b = { 0 };
    const struct report_part *p = &r->parts[part];
    buf_add(&b, slice_sub(p->name, 0, NAME_EACH_N));
    for (unsigned levels = 0; b.n && !p->is_mime && p->parent < (size_t)(p - r->parts) && levels < NAME_LEVELS; levels++) {
        p = &r->parts[p->parent];
        if (!p->name.n || !p->is_file) continue;
        buf_add_str(&b, " in ");
        buf_add(&b, slice_sub(p->name, 0, NAME_EACH_N));
    }
    return buf_keep(&b, arena);
}

static void add_file(struct buf *b, const struct report *r, size_t part, const struct edit_notes *notes, struct arena *arena)
{
    const struct report_part *p = &r->parts[part];
    struct slice type = p->type.n ? p->type : p->declared, name = edits_file_name(r, part, arena);
    if (!name.n) name = type;
    if (name.n) add_name(b, name);
    else template_add_phrase(&notes->wording, TEMPLATE_WORDS, "no-name", NULL, 0, b);
    buf_add_str(b, " (");
    add_name(b, notes->why[part]);
    buf_add_str(b, ")\n");
}

static void add_note(struct buf *b, const struct report *r, const bool *targets, size_t target, const struct edit_notes *notes,
                     struct arena *arena)
{
    struct buf files = { 0 };
    size_t named = 0, more = 0;
    char count[24];
    for (size_t i = 0; i < r->part_n; i++) {
        if (!notes->why[i].n || outermost(r, targets, i) != target) continue;
        if (named++ < NAMED_MAX && files.n < NOTE_MAX) add_file(&files, r, i, notes, arena);
        else more++;
    }
    snprintf(count, sizeof count, "%zu", more);
    const struct template_value v = { .name = "count", .text = slice_str(count) };
    if (more) template_add_phrase(&notes->wording, TEMPLATE_WORDS, "more", &v, 1, &files);
    const struct template_value values[] = {
        { .name = "hostname", .text = slice_str(notes->hostname) }, { .name = "id", .text = slice_str(notes->reference) },
        { .name = "files", .text = slice_trim(buf_slice(&files)), .lines = true },
    };
    template_add_body(&notes->wording, TEMPLATE_REMOVED, values, countof(values), b);
    buf_deinit(&files);
}

/* All of the content: the header says something else of it from now on. */
static bool strip_all(struct edits *out, const struct edit_header *h, uint64_t text_size, struct slice note, struct arena *arena)
{
    struct buf b = { 0 };
    if (h->end > text_size || !edits_remove(out, h, CONTENT_FIELDS)) return false;
    if (!h->mime) buf_add_str(&b, "MIME-Version: 1.0\r\n");
    add_text(&b, note);
    buf_add_str(&b, "\r\n");
    return add(out, h->end, text_size - h->end, buf_keep(&b, arena));
}

static bool strip_part(struct edits *out, const struct report_part *p, uint64_t text_size, struct slice note, struct arena *arena)
{
    struct buf b = { 0 };
    if (!p->n || p->at > text_size || p->n > text_size - p->at) return false;
    add_text(&b, note);
    if (p->at + p->n == text_size) buf_add_str(&b, "\r\n"); /* no boundary follows, whose line end it would be */
    return add(out, p->at, p->n, buf_keep(&b, arena));
}

/* Was it found in a text, whose words would go with it? */
static bool is_among_words(const struct report *r, const bool *targets, const struct slice *why, size_t i)
{
    size_t target = target_of(r, i);
    const struct report_part *p = &r->parts[target];
    bool words = !p->is_file && (!p->declared.n || slice_starts(p->declared, SLICE("text/")) || slice_starts(p->declared, SLICE("multipart/")));
    return target != i && words && !why[target].n && outermost(r, targets, i) == target;
}

bool edits_strip(struct edits *out, const struct edit_header *h, const struct report *r, uint64_t text_size, const struct edit_notes *notes,
                 struct arena *arena)
{
    bool *targets = arena_alloc(arena, r->part_n + 1);
    out->n = 0;
    for (size_t i = 0; i < r->part_n; i++)
        if (notes->why[i].n) targets[target_of(r, i)] = true;
    for (size_t i = 0; i < r->part_n; i++)
        if (notes->why[i].n && is_among_words(r, targets, notes->why, i)) return false;
    for (size_t i = 0; i < r->part_n; i++) {
        if (!targets[i] || outermost(r, targets, i) != i) continue;
        struct buf note = { 0 };
        add_note(&note, r, targets, i, notes, arena);
        bool ok = i ? strip_part(out, &r->parts[i], text_size, buf_slice(&note), arena)
                    : strip_all(out, h, text_size, buf_slice(&note), arena);
        buf_deinit(&note);
        if (!ok) return false;
    }
    return true;
}

/* ---- a text in front */

bool edits_wrap(struct edits *out, const struct edit_header *h, uint64_t text_size, const char *boundary, struct slice text,
                struct arena *arena)
{
    struct buf b = { 0 };
    out->n = 0;
    if (!h->whole || h->end + 2 > text_size || !edits_remove(out, h, CONTENT_FIELDS)) return false;
    if (!h->mime) buf_add_str(&b, "MIME-Version: 1.0\r\n");
    buf_addf(&b, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n", boundary, boundary);
    add_text(&b, text);
    buf_addf(&b, "\r\n\r\n--%s\r\n", boundary);
    for (size_t i = 0; i < h->field_n; i++)
        if (slice_istarts(h->fields[i].name, CONTENT_FIELDS))
            buf_add(&b, slice_sub(h->bytes, (size_t)h->fields[i].at, (size_t)h->fields[i].at + h->fields[i].n));
    buf_add_str(&b, "\r\n");
    bool ok = b.n < ENVELOPE_CUTS_TEXT_MAX / 2 && add(out, h->end, 2, arena_slice(arena, buf_slice(&b)));
    buf_clear(&b);
    buf_addf(&b, "\r\n--%s--\r\n", boundary);
    return add(out, text_size, 0, buf_keep(&b, arena)) && ok;
}
