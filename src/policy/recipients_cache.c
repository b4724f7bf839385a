/* SPDX-License-Identifier: Apache-2.0
 * The recipients a worker knows of. */
#include "policy/recipients_cache.h"
#include <stdlib.h>
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"

struct entry {
    struct list link;       /* the one put longest ago first */
    uint64_t hash, until;
    size_t key_n, why_n;
    char what;
    char text[];            /* key, why */
};

struct recipients_cache {
    struct htable table;
    struct list list;
    size_t most;
};

static uint64_t hash_of(const void *item) { return ((const struct entry *)item)->hash; }

static bool has_key(const void *item, const void *key)
{
    const struct entry *e = item;
    return slice_eq(slice_of(e->text, e->key_n), *(const struct slice *)key);
}

struct recipients_cache *recipients_cache_new(size_t entries_max)
{
    struct recipients_cache *c = mem_new(struct recipients_cache);
    c->most = entries_max;
    htable_init(&c->table, hash_of);
    list_init(&c->list);
    return c;
}

static void drop(struct recipients_cache *c, struct entry *e)
{
    htable_remove(&c->table, e);
    list_remove(&e->link);
    free(e);
}

void recipients_cache_free(struct recipients_cache *c)
{
    if (!c) return;
    list_each_safe(node, &c->list) drop(c, list_entry(node, struct entry, link));
    htable_deinit(&c->table);
    free(c);
}

bool recipients_cache_get(struct recipients_cache *c, struct slice key, uint64_t now, struct cached_recipient *out)
{
    struct entry *e = htable_find(&c->table, hash_bytes(key), has_key, &key);
    if (!e || e->until <= now) return false;
    out->what = e->what;
    out->why = slice_of(e->text + e->key_n, e->why_n);
    return true;
}

void recipients_cache_put(struct recipients_cache *c, struct slice key, char what, struct slice why, uint64_t now, uint64_t ms)
{
    uint64_t hash = hash_bytes(key);
    struct entry *e = htable_find(&c->table, hash, has_key, &key);
    if (!e && c->table.n >= c->most) e = list_entry(c->list.next, struct entry, link);
    struct entry *made = mem_zalloc(sizeof *made + key.n + why.n); /* before the old one goes: key and why may be in it */
    *made = (struct entry){ .hash = hash, .until = now + ms, .key_n = key.n, .why_n = why.n, .what = what };
    memcpy(made->text, key.p, key.n);
    if (why.n) memcpy(made->text + key.n, why.p, why.n);
    if (e) drop(c, e);
    htable_add(&c->table, made);
    list_push_back(&c->list, &made->link);
}
