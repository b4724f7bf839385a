/* SPDX-License-Identifier: Apache-2.0
 * Who gets a copy of a message, by `copies`. */
#include <stdlib.h>
#include "base/mem.h"
#include "config/list.h"
#include "route/expand_parts.h"

struct copy_rule {
    const struct config_copy *from;
    struct list_match *senders, *recipients; /* NULL: any */
};

/* An address that a rule names, as it is compared. */
struct candidate {
    struct slice key;
    struct expand_copy copy;
    bool there;                    /* among the recipients */
};

static uint64_t candidate_hash(const void *item) { return hash_bytes(((const struct candidate *)item)->key); }
static bool candidate_is(const void *item, const void *key) { return slice_eq(((const struct candidate *)item)->key, *(const struct slice *)key); }

bool expand_copies_load(struct expander *x, struct err *err)
{
    const struct config *c = x->config;
    x->copies = arena_alloc(&x->arena, (c->copy_n + 1) * sizeof *x->copies);
    for (size_t i = 0; i < c->copy_n; i++) {
        const struct config_copy *k = &c->copies[i];
        if (!k->enabled) continue;
        struct copy_rule *r = &x->copies[x->copy_n++];
        r->from = k;
        if (k->senders.n && !(r->senders = list_new(&k->senders, LIST_OF_ADDRESSES, x->tables, err))) return false;
        if (k->recipients.n && !(r->recipients = list_new(&k->recipients, LIST_OF_ADDRESSES, x->tables, err))) return false;
    }
    return true;
}

void expand_copies_free(struct expander *x)
{
    for (size_t i = 0; i < x->copy_n; i++) {
        list_free(x->copies[i].senders);
        list_free(x->copies[i].recipients);
    }
}

static bool names(const struct list_match *l, struct slice address)
{
    struct slice local = address, domain = SLICE("");
    struct list_found found = { 0 };
    char ascii[256];
    const char *at = address.n ? memrchr(address.p, '@', address.n) : NULL;
    if (at) {
        local.n = (size_t)(at - address.p);
        domain = slice_sub(address, local.n + 1, address.n);
        if (address_domain_ascii(domain, ascii)) domain = slice_str(ascii);
    }
    list_find_address(l, local, domain, &found);
    return found.kind;
}

static bool fits(const struct copy_rule *r, const struct expand_copies *m)
{
    bool outgoing = r->from->mail == CONFIG_COPY_OUTGOING;
    if (r->from->mail != CONFIG_COPY_ALL && outgoing != m->outgoing) return false;
    if (r->senders && !names(r->senders, m->sender)) return false;
    if (!r->recipients) return true;
    for (uint32_t i = 0; i < m->rcpt_n; i++)
        if (names(r->recipients, m->rcpts[i])) return true;
    return false;
}

static void add(const struct expander *x, const struct copy_rule *r, struct htable *all, struct candidate *room, size_t *n, struct arena *arena)
{
    struct expand_name name;
    struct slice to = slice_str(r->from->to);
    if (!expand_name_make(x, to, &name)) return;
    struct slice key = expand_name_all(&name);
    if (htable_find(all, hash_bytes(key), candidate_is, &key)) return;
    room[*n] = (struct candidate){ .key = arena_slice(arena, key), .copy = { to, r->from->place } };
    htable_add(all, &room[(*n)++]);
}

size_t expand_copies(const struct expander *x, const struct expand_copies *m, struct arena *arena, struct expand_copy **out)
{
    struct expand_name name;
    struct htable all;
    size_t n = 0, kept = 0;
    *out = NULL;
    if (!x->copy_n) return 0;
    struct candidate *room = arena_alloc(arena, x->copy_n * sizeof *room);
    htable_init(&all, candidate_hash);
    for (size_t i = 0; i < x->copy_n; i++)
        if (fits(&x->copies[i], m)) add(x, &x->copies[i], &all, room, &n, arena);
    for (uint32_t i = 0; n && i < m->rcpt_n; i++) {
        if (!expand_name_make(x, m->rcpts[i], &name)) continue;
        struct slice key = expand_name_all(&name);
        struct candidate *c = htable_find(&all, hash_bytes(key), candidate_is, &key);
        if (c) c->there = true;
    }
    htable_deinit(&all);
    *out = arena_alloc(arena, (n + 1) * sizeof **out);
    for (size_t i = 0; i < n; i++)
        if (!room[i].there) (*out)[kept++] = room[i].copy;
    return kept;
}
