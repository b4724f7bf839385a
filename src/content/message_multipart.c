/* SPDX-License-Identifier: Apache-2.0
 * A multipart's body and its boundaries (RFC 2046 §5.1): where the parts stand, and what hides before, behind and between them. */
#include "content/message_internal.h"

#define TRIES_MAX 1000
#define REMARKABLE 16 /* bytes before or behind the parts that are worth a look */

/* A delimiter line. */
struct delimiter {
    size_t at;                   /* of its first hyphen */
    size_t end;                  /* behind its line end */
    bool close;
    bool strange;                /* something follows in the line, or a lone CR is before it: some readers do not take it for one */
};

struct splitter {
    struct walk *w;
    uint32_t n;                  /* the multipart */
    struct slice body, needle;   /* needle: "--" and the boundary */
    bool digest, again;
    bool lax;                    /* strange delimiters count */
    bool strange;                /* there were some */
    size_t parts;
};

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* What stands behind a boundary up to the line's end makes it a delimiter or something that only begins like one. */
static bool judge(const struct splitter *s, size_t at, struct delimiter *d)
{
    struct slice b = s->body;
    *d = (struct delimiter){ .at = at };
    if (at && b.p[at - 1] != '\n') {
        if (b.p[at - 1] != '\r') return false;
        d->strange = true;
    }
    size_t i = at + s->needle.n;
    d->close = i + 1 < b.n && b.p[i] == '-' && b.p[i + 1] == '-';
    if (d->close) i += 2;
    while (i < b.n && is_blank(b.p[i])) i++;
    if (i < b.n && b.p[i] != '\n' && b.p[i] != '\r') d->strange = true;
    const char *lf = memchr(b.p + i, '\n', b.n - i), *cr = d->strange ? memchr(b.p + i, '\r', b.n - i) : NULL;
    d->end = lf ? (size_t)(lf - b.p) + 1 : b.n;
    if (cr && (size_t)(cr - b.p) + 2 < d->end) d->end = (size_t)(cr - b.p) + 1;
    return true;
}

/* The next delimiter at or behind `from`; false: none. */
static bool next_delimiter(struct splitter *s, size_t from, struct delimiter *d)
{
    while (from < s->body.n) {
        const char *p = memmem(s->body.p + from, s->body.n - from, s->needle.p, s->needle.n);
        if (!p) return false;
        size_t at = (size_t)(p - s->body.p);
        if (judge(s, at, d)) {
            if (d->strange) s->strange = true;
            if (!d->strange || s->lax) return true;
        }
        from = at + s->needle.n;
    }
    return false;
}

/* The end of what is before a delimiter: the line end before it is its own. */
static size_t before(const struct splitter *s, size_t from, const struct delimiter *d)
{
    size_t end = d->at;
    if (end > from && s->body.p[end - 1] == '\n') end--;
    if (end > from && s->body.p[end - 1] == '\r') end--;
    return end;
}

static void take_part(struct splitter *s, size_t from, size_t to)
{
    s->parts++;
    uint32_t n = unpack_add_part(s->w->u, s->n);
    if (n == UINT32_MAX) return;
    message_entity_read(s->w, n, slice_sub(s->body, from, to), s->digest ? "message/rfc822" : "text/plain", s->again);
}

/* Text that MIME readers do not show; others do. A part that hides in it is looked at. */
static void look_outside(struct splitter *s, size_t from, size_t to)
{
    struct slice text = slice_sub(s->body, from, to);
    if (slice_trim(text).n < REMARKABLE || s->again) return;
    bool header = false;
    for (size_t at = 0; at < text.n && !header;) {
        struct slice line = slice_sub(text, at, text.n);
        if (slice_istarts(line, SLICE("content-type:")) || slice_istarts(line, SLICE("content-disposition:")) ||
            slice_istarts(line, SLICE("content-transfer-encoding:"))) {
            text = line;
            header = true;
        }
        const char *lf = memchr(line.p, '\n', line.n);
        at += lf ? (size_t)(lf - line.p) + 1 : line.n;
    }
    bool wrapped = memmem(text.p, text.n, "begin", 5) || memmem(text.p, text.n, "BinHex", 6);
    if (!header && !wrapped) return;
    uint32_t n = unpack_add_part(s->w->u, s->n);
    if (n == UINT32_MAX) return;
    walk_found(s->w, n, header ? CONTENT_MIME_BROKEN : 0);
    if (header) {
        message_entity_read(s->w, n, text, "text/plain", true);
        return;
    }
    walk_part(s->w, n)->data = text;
    walk_part(s->w, n)->size = text.n;
    unpack_text(s->w->u, n, text);
}

static void split(struct splitter *s)
{
    struct delimiter d, next;
    if (!next_delimiter(s, 0, &d)) return;
    look_outside(s, 0, d.at);
    for (;; d = next) {
        bool found = next_delimiter(s, d.end, &next);
        if (d.close) look_outside(s, d.end, found ? next.at : s->body.n);
        else take_part(s, d.end, found ? before(s, d.end, &next) : s->body.n);
        if (d.close == found) walk_found(s->w, s->n, CONTENT_MIME_BROKEN); /* only the last one closes; some read on behind another */
        if (!found) break;
    }
}

/* Do lines that begin like this boundary belong to another one, which a part declares? */
static bool is_prefix_of_another(const struct splitter *s)
{
    const char *p = s->body.p, *end = s->body.p + s->body.n;
    struct slice boundary = slice_sub(s->needle, 2, s->needle.n);
    for (int i = 0; i < TRIES_MAX && (p = memmem(p, (size_t)(end - p), boundary.p, boundary.n)); i++) {
        struct slice line = slice_of(s->body.p, (size_t)(p - s->body.p));
        size_t from = line.n;
        while (from && line.p[from - 1] != '\n' && line.n - from < 200) from--;
        line = slice_sub(line, from, line.n);
        for (size_t k = 0; k + 9 <= line.n; k++)
            if (slice_istarts(slice_sub(line, k, line.n), SLICE("boundary="))) {
                char behind = p + boundary.n < end ? p[boundary.n] : 0;
                if (behind != '"' && behind != '\r' && behind != '\n' && behind != ';') return true;
            }
        p += boundary.n;
    }
    return false;
}

size_t message_multipart_read(struct walk *w, uint32_t n, struct slice body, struct slice boundary, bool digest, bool again)
{
    char *needle = arena_alloc(w->arena, boundary.n + 3);
    needle[0] = needle[1] = '-';
    if (boundary.n) memcpy(needle + 2, boundary.p, boundary.n);
    struct splitter s = { .w = w, .n = n, .body = body, .needle = slice_of(needle, boundary.n + 2), .digest = digest, .again = again };
    if (!walk_spend(w, n, body.n)) return 0;
    split(&s);
    if (!s.strange || is_prefix_of_another(&s)) return s.parts;
    walk_found(w, n, CONTENT_MIME_BROKEN);
    if (!w->readings) return s.parts;
    w->readings--;
    struct splitter t = { .w = w, .n = n, .body = body, .needle = s.needle, .digest = digest, .again = again || s.parts > 0, .lax = true };
    if (walk_spend(w, n, body.n)) split(&t);
    return s.parts + t.parts;
}

struct slice message_boundary_guess(struct slice body)
{
    int tries = 0;
    for (size_t at = 0; at < body.n && tries < 20;) {
        const char *lf = memchr(body.p + at, '\n', body.n - at);
        size_t next = lf ? (size_t)(lf - body.p) + 1 : body.n;
        struct slice line = slice_trim(slice_sub(body, at, next)), rest = slice_sub(body, next, body.n);
        if (line.n > 2 && line.n <= 200 && memcmp(line.p, "--", 2) == 0 && body.p[at] == '-') {
            tries++;
            bool blanks = slice_find(line, ' ') >= 0;
            bool header = slice_istarts(rest, SLICE("content-")) || memmem(rest.p, rest.n, line.p, line.n);
            if (header && !blanks) return slice_sub(line, 2, line.n);
        }
        at = next;
    }
    return SLICE("");
}
