/* SPDX-License-Identifier: Apache-2.0
 * Header fields as signatures see them: kept, found from the bottom, brought into canonical form. */
#include "mailauth/message.h"
#include "mailauth/dkim_parts.h"

uint32_t auth_name_hash(struct slice name)
{
    uint32_t h = 2166136261u; /* FNV-1a: only to tell most of the names apart quickly */
    for (size_t i = 0; i < name.n; i++) h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
    return h;
}

static void make_room(struct auth_header *h)
{
    if (h->n < h->room) return;
    size_t room = h->room ? h->room * 2 : 32;
    struct auth_field *fields = arena_alloc(h->arena, room * sizeof *fields);
    if (h->n) memcpy(fields, h->fields, h->n * sizeof *fields);
    h->fields = fields;
    h->room = room;
}

void auth_header_add(struct auth_header *h, struct slice raw)
{
    if (raw.n >= 2 && raw.p[raw.n - 2] == '\r' && raw.p[raw.n - 1] == '\n') raw.n -= 2;
    ptrdiff_t colon = slice_find(raw, ':');
    if (colon < 0) return;
    if (h->n >= AUTH_FIELDS_MAX || raw.n > AUTH_HEADER_MAX - h->bytes) {
        h->overflow = true;
        return;
    }
    make_room(h);
    struct slice copy = arena_slice(h->arena, raw);
    struct slice name = slice_sub(copy, 0, (size_t)colon);
    while (name.n && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t')) name.n--;
    h->fields[h->n++] =
        (struct auth_field){ copy, name, slice_sub(copy, (size_t)colon + 1, copy.n), auth_name_hash(name) };
    h->bytes += raw.n;
}

const struct auth_field *auth_header_last(const struct auth_header *h, struct slice name, size_t before)
{
    uint32_t hash = auth_name_hash(name);
    for (size_t i = before < h->n ? before : h->n; i-- > 0;)
        if (h->fields[i].hash == hash && slice_ieq(h->fields[i].name, name)) return &h->fields[i];
    return NULL;
}

size_t auth_header_count(const struct auth_header *h, struct slice name)
{
    uint32_t hash = auth_name_hash(name);
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++) n += h->fields[i].hash == hash && slice_ieq(h->fields[i].name, name);
    return n;
}

static size_t relax_name(struct slice name, char *to)
{
    for (size_t i = 0; i < name.n; i++) to[i] = ascii_lower(name.p[i]);
    return name.n;
}

/* RFC 6376 §3.4.2: folds taken out, runs of blanks made one space, none at the ends. `to` has room for value.n bytes.
 */
static size_t relax_value(struct slice value, char *to)
{
    size_t n = 0;
    bool blank = false;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == ' ' || c == '\t') {
            blank = n > 0;
        } else if (c == '\r' && i + 1 < value.n && value.p[i + 1] == '\n') {
            i++;
        } else {
            if (blank) to[n++] = ' ';
            blank = false;
            to[n++] = c;
            while (i + 1 < value.n && value.p[i + 1] > ' ') to[n++] = value.p[++i];
        }
    }
    return n;
}

size_t auth_relax_field(struct slice raw, char *to)
{
    ptrdiff_t colon = slice_find(raw, ':');
    if (colon < 0) {
        if (raw.n) memmove(to, raw.p, raw.n);
        return raw.n;
    }
    struct slice name = slice_sub(raw, 0, (size_t)colon), value = slice_sub(raw, (size_t)colon + 1, raw.n);
    while (name.n && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t')) name.n--;
    size_t n = relax_name(name, to);
    to[n++] = ':';
    return n + relax_value(value, to + n);
}

void auth_canon_field(enum auth_canon canon, struct slice raw, struct buf *out)
{
    char *to = buf_reserve(out, raw.n + 2);
    if (!to) return;
    size_t n = raw.n;
    if (canon == AUTH_RELAXED) n = auth_relax_field(raw, to);
    else if (n) memcpy(to, raw.p, n); /* §3.4.1 */
    to[n++] = '\r';
    to[n++] = '\n';
    out->n += n;
}
