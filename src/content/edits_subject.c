/* SPDX-License-Identifier: Apache-2.0
 * What is put before a subject. */
#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "content/edits.h"

#define WORD_BYTES 39      /* in one encoded word: a line holds it and "Subject: " */
#define PREFIX_MAX 200
#define LINE_MAX_OCTETS 998 /* RFC 5322 §2.1.1 */
#define LINE_MAX_WORDS 76  /* with an encoded word in it (RFC 2047 §2) */

uint64_t edit_subject_in(struct slice field)
{
    size_t at = 8;
    if (!slice_istarts(field, SLICE("Subject:"))) return 0;
    while (at < field.n && (field.p[at] == ' ' || field.p[at] == '\t')) at++;
    return at;
}

uint64_t edit_subject_at(const struct edit_header *h)
{
    for (size_t i = 0; i < h->field_n; i++) {
        const struct edit_field *f = &h->fields[i];
        if (!slice_ieq(f->name, SLICE("Subject"))) continue;
        size_t at = (size_t)(f->value.p - h->bytes.p);
        while (at < h->bytes.n && (h->bytes.p[at] == ' ' || h->bytes.p[at] == '\t')) at++;
        return at;
    }
    return 0;
}

/* Bytes of the last line of it. */
static size_t last_line(struct slice s)
{
    size_t n = 0;
    while (n < s.n && s.p[s.n - n - 1] != '\n') n++;
    return n;
}

static struct slice first_line(struct slice s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n') n++;
    return slice_sub(s, 0, n);
}

static void add_words(struct buf *out, struct slice text)
{
    while (text.n) {
        size_t n = 0;
        uint32_t code;
        while (n < text.n) {
            size_t k = utf8_char(slice_sub(text, n, text.n), &code);
            if (n + (k ? k : 1) > WORD_BYTES) break;
            n += k ? k : 1;
        }
        buf_add_str(out, "=?utf-8?B?");
        base64_add(out, slice_sub(text, 0, n));
        buf_add_str(out, "?=");
        text = slice_sub(text, n, text.n);
        if (text.n) buf_add_str(out, "\r\n ");
    }
}

static struct slice clean(struct slice prefix, struct arena *arena)
{
    char *p = arena_alloc(arena, PREFIX_MAX + 1);
    prefix = slice_sub(prefix, 0, PREFIX_MAX);
    while (prefix.n && ((unsigned char)prefix.p[prefix.n - 1] & 0xC0) == 0x80 && !utf8_ok(prefix)) prefix.n--; /* within a character */
    if (prefix.n && !utf8_ok(prefix)) prefix.n--;
    for (size_t i = 0; i < prefix.n; i++) p[i] = (unsigned char)prefix.p[i] < 32 || prefix.p[i] == 127 ? ' ' : prefix.p[i];
    return slice_of(p, prefix.n);
}

/* One that ends a line is left out: the blank behind the line end is the one that is shown. */
static void fold(struct buf *b)
{
    while (b->n && b->p[b->n - 1] == ' ') b->n--;
    buf_add_str(b, "\r\n ");
}

/* A blank between two encoded words is not shown (RFC 2047 §6.2), one between a word and anything else is. */
struct slice edit_subject_prefix(struct slice text, uint64_t at, struct slice before, struct slice prefix, struct arena *arena)
{
    struct buf b = { 0 };
    struct slice head = at ? slice_sub(text, 0, (size_t)at) : SLICE("Subject: "), rest = at ? slice_sub(text, (size_t)at, text.n) : SLICE("");
    struct slice line = first_line(rest);
    bool word = slice_starts(rest, SLICE("=?")), empty = !line.n;
    bool folded = empty && rest.n > 2 && (rest.p[2] == ' ' || rest.p[2] == '\t');
    prefix = clean(prefix, arena);
    if (!slice_trim(prefix).n) return SLICE("");
    bool ascii = utf8_ascii(prefix);
    char last = before.n ? before.p[before.n - 1] : head.p[head.n - 1];
    size_t limit = !ascii || slice_find(line, '?') >= 0 || slice_find(before, '?') >= 0 ? LINE_MAX_WORDS : LINE_MAX_OCTETS;
    size_t column = last_line(before) + (slice_find(before, '\n') < 0 ? last_line(head) : 0);
    if (!ascii && !word && prefix.p[prefix.n - 1] == ' ') prefix.n--;
    if (before.n && column + (ascii ? prefix.n : (prefix.n < WORD_BYTES ? prefix.n : WORD_BYTES) * 4 / 3 + 15) > limit) buf_add_str(&b, "\r\n ");
    else if (last == ':' || (last != ' ' && last != '\t' && (folded || !ascii || (before.n && last == '=')))) buf_add_char(&b, ' ');
    if (ascii) {
        buf_add(&b, prefix);
        if (word && prefix.p[prefix.n - 1] != ' ') buf_add_char(&b, ' ');
    } else {
        add_words(&b, prefix);
        buf_add_char(&b, ' ');
    }
    column = last_line(buf_slice(&b)) + (slice_find(buf_slice(&b), '\n') < 0 ? column : 0);
    if (at && !empty && column + line.n > limit) fold(&b);
    while (folded && b.n && b.p[b.n - 1] == ' ') b.n--;
    return buf_keep(&b, arena);
}
