/* SPDX-License-Identifier: Apache-2.0
 * What is put before a subject. */
#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "content/edits.h"

#define WORD_BYTES 42      /* in one encoded word of at most 75 characters (RFC 2047 §2) */
#define PREFIX_MAX 200
#define LINE_MAX_OCTETS 998 /* RFC 5322 §2.1.1 */

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

/* Bytes of the line at which `at` is, up to its end. */
static size_t line_length(struct slice bytes, size_t at)
{
    size_t from = at, to = at;
    while (from && bytes.p[from - 1] != '\n') from--;
    while (to < bytes.n && bytes.p[to] != '\r' && bytes.p[to] != '\n') to++;
    return to - from;
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
        if (text.n) buf_add_char(out, ' ');
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

/* A blank between two encoded words is not shown (RFC 2047 §6.2), one between a word and anything else is. */
struct slice edit_subject_prefix(const struct edit_header *h, uint64_t at, struct slice prefix, struct arena *arena)
{
    struct buf b = { 0 };
    struct slice rest = at ? slice_sub(h->bytes, (size_t)at, h->bytes.n) : SLICE("");
    bool word = slice_starts(rest, SLICE("=?"));
    prefix = clean(prefix, arena);
    if (!slice_trim(prefix).n) return SLICE("");
    if (utf8_ascii(prefix)) {
        buf_add(&b, prefix);
        if (word && prefix.p[prefix.n - 1] != ' ') buf_add_char(&b, ' ');
    } else {
        if (!word && prefix.p[prefix.n - 1] == ' ') prefix.n--;
        add_words(&b, prefix);
        buf_add_char(&b, ' ');
    }
    bool empty = !rest.n || rest.p[0] == '\r', folded = rest.n > 2 && rest.p[0] == '\r' && (rest.p[2] == ' ' || rest.p[2] == '\t');
    bool fold = at && !empty && line_length(h->bytes, (size_t)at) + b.n > LINE_MAX_OCTETS;
    while ((fold || folded) && b.n && b.p[b.n - 1] == ' ') b.n--; /* the blank behind the line end is the one that is shown */
    if (fold) buf_add_str(&b, "\r\n ");
    struct slice s = arena_slice(arena, buf_slice(&b));
    buf_deinit(&b);
    return s;
}
