/* SPDX-License-Identifier: Apache-2.0
 * One MIME entity (RFC 2045): its header says what its body is. Where it says two things, both are looked at. */
#include "base/mem.h"
#include "content/message_internal.h"
#include "content/unpack_parts.h"

#define ALIKE_MAX 4 /* fields of one name that are taken seriously */

enum encoding { AS_IT_IS, BASE64, QUOTED, UUENCODED, UNKNOWN };

struct entity {
    struct walk *w;
    uint32_t n;
    bool again;                  /* within a second reading, or unpacked: not to be cut out */
    struct slice body;
    struct message_params types[ALIKE_MAX], dispositions[ALIKE_MAX];
    size_t type_n, disposition_n;
    enum encoding encodings[ALIKE_MAX];
    size_t encoding_n;
};

static bool is_multipart(struct slice type) { return slice_starts(type, SLICE("multipart")); }
static bool is_message(struct slice type)
{
    return slice_eq(type, SLICE("message/rfc822")) || slice_eq(type, SLICE("message/global")) || slice_eq(type, SLICE("message/news"));
}

/* Comments, quotes and what follows the word are more than the standard has (RFC 2045 §6.1). */
static enum encoding encoding_of(struct walk *w, struct slice value, bool *strange)
{
    static const struct { const char *name; enum encoding encoding; } known[] = {
        { "7bit", AS_IT_IS }, { "8bit", AS_IT_IS }, { "binary", AS_IT_IS }, { "base64", BASE64 },
        { "quoted-printable", QUOTED }, { "x-uuencode", UUENCODED }, { "uuencode", UUENCODED }, { "x-uue", UUENCODED },
        { "", AS_IT_IS }, { "7-bit", AS_IT_IS }, { "8-bit", AS_IT_IS }, { "7bits", AS_IT_IS }, { "8bits", AS_IT_IS },
    };
    struct message_params p;
    message_params_read(w, value, true, &p);
    *strange |= p.head.n != slice_trim(value).n;
    for (size_t i = 0; i < countof(known); i++)
        if (slice_eq(p.head, slice_str(known[i].name))) return known[i].encoding;
    *strange = true;
    if (memmem(p.head.p, p.head.n, "base64", 6)) return BASE64;
    return memmem(p.head.p, p.head.n, "quoted", 6) ? QUOTED : UNKNOWN;
}

static void take_encoding(struct entity *e, struct slice value)
{
    bool strange = false;
    enum encoding c = encoding_of(e->w, value, &strange);
    if (strange) walk_found(e->w, e->n, CONTENT_MIME_BROKEN);
    for (size_t i = 0; i < e->encoding_n; i++)
        if (e->encodings[i] == c) return;
    if (e->encoding_n < ALIKE_MAX) e->encodings[e->encoding_n++] = c;
    if (strange && c != AS_IT_IS && e->encoding_n < ALIKE_MAX) e->encodings[e->encoding_n++] = AS_IT_IS;
    if (strange && c == UNKNOWN && e->encoding_n < ALIKE_MAX) e->encodings[e->encoding_n++] = BASE64;
}

/* A Content-Type or Content-Disposition field, by both readings where it has what may be a comment. */
static void take_params(struct entity *e, struct slice raw, struct message_params *list, size_t *n)
{
    if (*n == ALIKE_MAX) --*n; /* readers take the first one, or the last */
    message_params_read(e->w, raw, true, &list[(*n)++]);
    if (*n == ALIKE_MAX || slice_find(raw, '(') < 0) return;
    struct message_params *plain = &list[(*n)++], *first = plain - 1;
    message_params_read(e->w, raw, false, plain);
    bool same = plain->n == first->n && slice_eq(plain->head, first->head);
    for (size_t i = 0; same && i < plain->n; i++)
        same = slice_ieq(plain->list[i].name, first->list[i].name) && slice_eq(plain->list[i].value, first->list[i].value);
    if (same) --*n;
    else walk_found(e->w, e->n, CONTENT_MIME_BROKEN);
}

static void take_fields(struct entity *e, const struct message_header *h)
{
    size_t counts[3] = { 0 };
    for (size_t i = 0; i < h->n; i++) {
        const struct content_field *f = &h->fields[i];
        if (f->name.n < 10 || !slice_istarts(f->name, SLICE("content-"))) continue;
        struct slice raw = message_unfold(e->w->arena, f->raw);
        if (slice_ieq(f->name, SLICE("content-type"))) {
            take_params(e, raw, e->types, &e->type_n);
            counts[0]++;
        } else if (slice_ieq(f->name, SLICE("content-disposition"))) {
            take_params(e, raw, e->dispositions, &e->disposition_n);
            counts[1]++;
        } else if (slice_ieq(f->name, SLICE("content-transfer-encoding"))) {
            take_encoding(e, raw);
            counts[2]++;
        }
    }
    if (counts[0] > 1 || counts[1] > 1 || counts[2] > 1) walk_found(e->w, e->n, CONTENT_MIME_BROKEN);
    if (!e->encoding_n) e->encodings[e->encoding_n++] = AS_IT_IS;
}

static struct slice lower(struct walk *w, struct slice s)
{
    char *out = arena_alloc(w->arena, s.n + 1);
    for (size_t i = 0; i < s.n; i++) out[i] = s.p[i] >= ' ' && s.p[i] < 0x7F ? ascii_lower(s.p[i]) : '?';
    return slice_of(out, s.n);
}

static void describe(struct entity *e, struct slice bytes, const struct message_header *h, struct slice default_type)
{
    struct walk *w = e->w;
    struct content_part *p = walk_part(w, e->n);
    p->fields = h->fields;
    p->field_n = h->n;
    p->findings |= (h->broken ? CONTENT_MIME_BROKEN : 0) | (h->more ? CONTENT_LIMIT_PARTS : 0);
    uint64_t at = walk_offset(w, bytes.p);
    p->is_mime = !e->again && at != UINT64_MAX;
    if (p->is_mime) p->at = at, p->n = bytes.n, p->body_at = at + h->size;
    take_fields(e, h);
    p->declared = e->type_n && e->types[0].head.n ? e->types[0].head : default_type;
    if (is_multipart(p->declared) && slice_find(p->declared, '/') < 0) p->findings |= CONTENT_MIME_BROKEN;
    p->inline_shown = !e->disposition_n || !e->dispositions[0].head.n || slice_eq(e->dispositions[0].head, SLICE("inline"));
    struct message_params fields[2 * ALIKE_MAX];
    size_t field_n = 0;
    for (size_t i = 0; i < e->disposition_n; i++) fields[field_n++] = e->dispositions[i];
    for (size_t i = 0; i < e->type_n; i++) fields[field_n++] = e->types[i];
    for (size_t i = 0; i < field_n; i++) p->findings |= fields[i].broken ? CONTENT_MIME_BROKEN : 0;
    message_names_set(w, e->n, fields, field_n);
    bool broken = false;
    struct slice charset;
    if (e->type_n && message_params_get(w, &e->types[0], "charset", false, &charset, 1, &broken))
        p->charset = lower(w, slice_trim(charset));
    bool text = slice_starts(p->declared, SLICE("text/")) || slice_eq(p->declared, SLICE("text")) || slice_find(p->declared, '/') < 0;
    p->is_file = !is_multipart(p->declared) && (!text || p->name_n || !p->inline_shown);
}

/* Base64 that may be none: main is what most readers see. */
static struct slice from_base64(struct entity *e, struct slice body, struct slice *other)
{
    struct message_decoded d = message_decode_base64(e->w->arena, body);
    if (d.cut) walk_found(e->w, e->n, CONTENT_BROKEN);
    if (d.junk || d.behind.n) walk_found(e->w, e->n, CONTENT_MIME_BROKEN);
    *other = d.behind;
    if (d.junk * 8 <= d.good && d.blanks * 20 <= d.good) return d.data;
    walk_found(e->w, e->n, CONTENT_BROKEN | CONTENT_MIME_BROKEN);
    *other = d.data;
    return body;
}

static struct slice decode(struct entity *e, enum encoding c, struct slice *other)
{
    *other = SLICE("");
    if (c == BASE64) return from_base64(e, e->body, other);
    return c == QUOTED ? message_decode_quoted(e->w->arena, e->body, false) : e->body;
}

void message_reading_add(struct walk *w, uint32_t n, struct slice data)
{
    if (!w->readings || slice_trim(data).n < 4) return;
    w->readings--;
    uint32_t other = unpack_add_part(w->u, n);
    if (other == UINT32_MAX) return;
    struct content_part *p = walk_part(w, other), *of = walk_part(w, n);
    p->is_file = true;
    p->names = of->names;
    p->name_n = of->name_n;
    p->data = data;
    p->size = data.n;
    unpack_part(w->u, other);
}

static void read_leaf(struct entity *e)
{
    struct slice other;
    struct content_part *p = walk_part(e->w, e->n);
    p->data = decode(e, e->encodings[0], &other);
    p = walk_part(e->w, e->n);
    p->size = p->data.n;
    struct slice data = p->data, type = p->declared;
    unpack_part(e->w->u, e->n);
    message_text_part(e->w, e->n);
    bool lines = is_multipart(type) || slice_starts(type, SLICE("text")) || e->encodings[0] == UUENCODED;
    if (data.n && lines) unpack_text(e->w->u, e->n, data);
    if (other.n) message_reading_add(e->w, e->n, other);
    for (size_t i = 1; i < e->encoding_n; i++) {
        struct slice more, again = decode(e, e->encodings[i], &more);
        if (!slice_eq(again, data)) message_reading_add(e->w, e->n, again);
    }
}

/* Reads a multipart by all the boundaries its field has. Returns the number of parts. */
static size_t read_multipart(struct entity *e, const struct message_params *type, struct slice body, bool again)
{
    struct slice boundaries[8];
    bool broken = false, digest = slice_eq(type->head, SLICE("multipart/digest"));
    size_t n = message_params_get(e->w, type, "boundary", false, boundaries, 8, &broken), parts = 0;
    for (size_t i = 0; i < n; i++) {
        if (!boundaries[i].n || boundaries[i].n > 1000) continue;
        parts += message_multipart_read(e->w, e->n, body, boundaries[i], digest, again || parts);
        if (broken || n > 1 || boundaries[i].n > 200) walk_found(e->w, e->n, CONTENT_MIME_BROKEN);
    }
    if (parts) return parts;
    walk_found(e->w, e->n, CONTENT_MIME_BROKEN);
    struct slice guess = message_boundary_guess(body);
    return guess.n ? message_multipart_read(e->w, e->n, body, guess, digest, again) : 0;
}

static void read_message(struct entity *e, struct slice body, bool again)
{
    struct walk *w = e->w;
    walk_found(w, e->n, CONTENT_MESSAGE);
    walk_part(w, e->n)->type = SLICE("message/rfc822");
    if (!unpack_may_enter(w->u, e->n)) return;
    uint32_t n = unpack_add_part(w->u, e->n);
    if (n != UINT32_MAX) message_entity_read(w, n, body, "text/plain", again);
}

/* A body that should have no encoding but has one (RFC 2045 §6.4): readers decode it, or do not. */
static void read_container(struct entity *e, const struct message_params *type, struct slice head)
{
    struct slice other, body = e->body;
    bool coded = e->encodings[0] == BASE64 || e->encodings[0] == QUOTED;
    if (is_message(head) || (coded && e->w->readings)) body = decode(e, e->encodings[0], &other);
    else if (coded) walk_found(e->w, e->n, CONTENT_MIME_BROKEN | CONTENT_LIMIT_DEPTH);
    bool encoded = body.p != e->body.p || body.n != e->body.n;
    if (encoded) walk_found(e->w, e->n, CONTENT_MIME_BROKEN);
    if (encoded && !is_message(head)) e->w->readings--;
    if (is_message(head)) {
        walk_part(e->w, e->n)->data = body;
        walk_part(e->w, e->n)->size = body.n;
        read_message(e, body, e->again || encoded);
        return;
    }
    size_t parts = read_multipart(e, type, e->body, e->again);
    if (encoded) parts += read_multipart(e, type, body, true);
    if (!parts) read_leaf(e);
}

/* Those of which the content is elsewhere: the rest in other messages, or somewhere in the network (RFC 2046 §5.2.2, §5.2.3). */
static void read_elsewhere(struct entity *e, struct slice type)
{
    bool partial = slice_eq(type, SLICE("message/partial"));
    walk_found(e->w, e->n, CONTENT_MESSAGE | (partial ? CONTENT_MIME_BROKEN : CONTENT_EXTERNAL_LINK));
    struct content_part *p = walk_part(e->w, e->n);
    p->data = e->body;
    p->size = e->body.n;
    p->type = type;
    if (!unpack_may_enter(e->w->u, e->n)) return;
    uint32_t n = unpack_add_part(e->w->u, e->n);
    if (n != UINT32_MAX) message_entity_read(e->w, n, e->body, partial ? "text/plain" : "application/octet-stream", true);
}

static void read_body(struct entity *e)
{
    static const struct message_params none;
    struct slice type = walk_part(e->w, e->n)->declared;
    if (walk_part(e->w, e->n)->name_n) unpack_judge_names(walk_part(e->w, e->n));
    if (is_multipart(type) || is_message(type))
        read_container(e, e->type_n ? &e->types[0] : &none, type);
    else if (slice_eq(type, SLICE("message/partial")) || slice_eq(type, SLICE("message/external-body")))
        read_elsewhere(e, type);
    else
        read_leaf(e);
    bool leaf = !is_multipart(type) && !is_message(type), read_as_leaf = leaf;
    for (size_t i = 1; i < e->type_n; i++) {
        struct slice other = e->types[i].head;
        if (is_multipart(other) && e->w->readings) {
            e->w->readings--;
            read_multipart(e, &e->types[i], e->body, true);
        } else if (is_message(other) && leaf && e->w->readings) {
            e->w->readings--;
            read_message(e, e->body, true);
        } else if (!is_multipart(other) && !is_message(other) && !read_as_leaf) {
            struct slice more;
            message_reading_add(e->w, e->n, decode(e, e->encodings[0], &more));
            read_as_leaf = true;
        }
    }
}

void message_entity_read(struct walk *w, uint32_t n, struct slice bytes, const char *type, bool again)
{
    struct message_header h;
    message_header_read(w, bytes, &h);
    struct entity e = { .w = w, .n = n, .again = again, .body = slice_sub(bytes, h.size, bytes.n) };
    describe(&e, bytes, &h, slice_str(type));
    if (w->nest >= MESSAGE_NEST_MAX) {
        walk_part(w, n)->data = e.body;
        walk_found(w, n, CONTENT_LIMIT_DEPTH);
        return;
    }
    w->nest++;
    read_body(&e);
    if (h.early && h.broken) unpack_text(w->u, n, slice_sub(bytes, h.early, bytes.n));
    w->nest--;
}
