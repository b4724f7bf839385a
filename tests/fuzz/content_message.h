/* SPDX-License-Identifier: Apache-2.0
 * What holds of every message taken apart. */
#ifndef POSTERN_TESTS_FUZZ_CONTENT_MESSAGE_H
#define POSTERN_TESTS_FUZZ_CONTENT_MESSAGE_H
#include "base/utf8.h"
#include "content/unpack.h"
#include "fuzz.h"

static inline bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F) return false;
    return s.n > 0 && utf8_ok(s);
}

static inline void must_hold_fields(const struct content_field *f, size_t n, struct slice bytes)
{
    must(n <= 2000);
    for (size_t i = 0; i < n; i++) {
        must(utf8_ok(f[i].value) && f[i].name.n && utf8_ascii(f[i].name));
        if (f[i].at == UINT64_MAX) continue;
        must(f[i].at + f[i].n <= bytes.n && f[i].n > f[i].name.n && f[i].name.p == bytes.p + f[i].at);
        must(f[i].at == 0 || bytes.p[f[i].at - 1] == '\n' || f[i].at + f[i].n <= bytes.n);
    }
}

static inline void must_hold_part(const struct content_message *m, size_t n)
{
    const struct content_part *p = &m->parts[n];
    must(n == 0 ? p->depth == 0 : p->parent < n && p->depth == m->parts[p->parent].depth + 1);
    must(utf8_ok(p->type) && utf8_ok(p->declared) && utf8_ok(p->charset));
    for (size_t i = 0; i < p->name_n; i++) must(is_name(p->names[i]));
    must((p->findings & ~m->findings) == 0);
    if (!p->is_mime) return;
    must(p->at <= p->body_at && p->body_at <= p->at + p->n && p->at + p->n <= m->bytes.n);
    const struct content_part *of = &m->parts[p->parent];
    must(n == 0 || !of->is_mime || (p->at >= of->body_at && p->at + p->n <= of->at + of->n));
    must_hold_fields(p->fields, p->field_n, m->bytes);
    for (size_t i = 1; i < n; i++) { /* brothers do not overlap, so that they can be cut out */
        const struct content_part *other = &m->parts[i];
        if (other->is_mime && other->parent == p->parent && i != n) must(other->at + other->n <= p->at);
    }
}

static inline void must_hold(const struct content_message *m)
{
    must(m->part_n > 0 && m->header_n <= m->bytes.n && m->link_n <= 2000);
    must_hold_fields(m->fields, m->field_n, m->bytes);
    must(utf8_ok(m->text) && utf8_ok(m->hidden) && utf8_ok(m->html) && utf8_ok(m->subject));
    must(m->text.n <= 256 * 1024 && m->hidden.n <= 256 * 1024 && m->html.n <= 256 * 1024);
    for (size_t i = 0; i < m->part_n; i++) must_hold_part(m, i);
    for (size_t i = 0; i < m->link_n; i++) {
        const struct content_link *l = &m->links[i];
        must(utf8_ok(l->url) && l->url.n <= 2000 && utf8_ok(l->host) && utf8_ok(l->domain) && utf8_ok(l->shown) && l->shown.n <= 200);
        must(l->part < m->part_n && l->domain.n <= l->host.n);
    }
}

static inline void must_read(struct slice bytes, struct arena *arena, struct content_message *m)
{
    static const struct config_scan limits = { .depth = 8, .parts = 300, .unpacked = 4 << 20, .ratio = 100, .unpack_time = 2000 };
    static bool ready;
    struct err err;
    if (!ready) must(unpack_init(&err));
    ready = true;
    content_message_read(m, bytes, &limits, NULL, arena);
    must_hold(m);
}

#endif
