/* SPDX-License-Identifier: Apache-2.0
 * The brake on guessing: failures of a client (an IPv6 client is its /64) and of an account are counted; before the
 * limit each answer comes later than the one before, after it the back end is not asked any more. The tables are
 * bounded. When one is full, the entry that goes is the oldest that is not braked: names by the thousand do not set
 * anybody free. */
#include <pthread.h>
#include <stdlib.h>
#include "auth/internal.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"

#define DELAY_FIRST_MS 250
#define DELAY_MAX_MS 4000

struct entry {
    struct list node;      /* of table->idle or table->braked; the oldest first */
    uint64_t hash;         /* stands for the key: SipHash with a key of this process */
    uint64_t since, until; /* the window's begin; end of the braking, 0: none */
    uint32_t failures;
};

struct table {
    struct htable index;
    struct list idle, braked;
    size_t n, max;
};

struct brake {
    pthread_mutex_t lock;
    uint32_t failures;
    uint64_t window, block;
    struct table clients, names, known; /* known: client and name that went together; braked is not used */
};

static uint64_t hash_of(const void *item) { return ((const struct entry *)item)->hash; }

static bool match(const void *item, const void *key)
{
    return ((const struct entry *)item)->hash == *(const uint64_t *)key;
}

static void table_init(struct table *t, size_t max)
{
    htable_init(&t->index, hash_of);
    list_init(&t->idle);
    list_init(&t->braked);
    t->max = max;
}

static void entry_free(struct table *t, struct entry *e)
{
    htable_remove(&t->index, e);
    list_remove(&e->node);
    t->n--;
    free(e);
}

static void table_deinit(struct table *t)
{
    while (!list_empty(&t->idle)) entry_free(t, list_entry(t->idle.next, struct entry, node));
    while (!list_empty(&t->braked)) entry_free(t, list_entry(t->braked.next, struct entry, node));
    htable_deinit(&t->index);
}

static struct entry *table_find(const struct table *t, uint64_t key)
{
    return htable_find(&t->index, key, match, &key);
}

static struct entry *table_get(struct table *t, uint64_t key, uint64_t now)
{
    struct entry *e = table_find(t, key);
    if (!e) {
        if (t->n >= t->max)
            entry_free(t, list_entry(list_empty(&t->idle) ? t->braked.next : t->idle.next, struct entry, node));
        e = mem_new(struct entry);
        e->hash = key;
        e->since = now;
        t->n++;
        htable_add(&t->index, e);
    } else list_remove(&e->node);
    list_push_back(e->until ? &t->braked : &t->idle, &e->node);
    return e;
}

static uint64_t client_key(const struct ip *client)
{
    unsigned char key[10] = { client->family };
    memcpy(key + 1, client->bytes, client->family == 6 ? 8 : 4);
    return hash_bytes(slice_of(key, sizeof key));
}

static uint64_t pair_key(const struct ip *client, struct slice name)
{
    uint64_t both[2] = { client_key(client), hash_ibytes(name) };
    return hash_bytes(slice_of(both, sizeof both));
}

struct brake *brake_new(uint32_t failures, uint64_t window, uint64_t block, size_t max)
{
    struct brake *b = mem_new(struct brake);
    pthread_mutex_init(&b->lock, NULL);
    b->failures = failures;
    b->window = window;
    b->block = block;
    table_init(&b->clients, max);
    table_init(&b->names, max);
    table_init(&b->known, max);
    return b;
}

void brake_free(struct brake *b)
{
    if (!b) return;
    table_deinit(&b->clients);
    table_deinit(&b->names);
    table_deinit(&b->known);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static bool is_braked(struct table *t, uint64_t key, uint64_t now)
{
    struct entry *e = table_find(t, key);
    if (!e || !e->until) return false;
    if (now < e->until) return true;
    entry_free(t, e); /* begins anew */
    return false;
}

static bool is_known(struct table *t, uint64_t key, uint64_t now)
{
    const struct entry *e = table_find(t, key);
    return e && now - e->since < UINT64_C(30) * 86400 * 1000;
}

bool brake_allows(struct brake *b, const struct ip *client, struct slice name, uint64_t now)
{
    if (!b) return true;
    pthread_mutex_lock(&b->lock);
    bool ok = !is_braked(&b->clients, client_key(client), now);
    if (ok && name.n)
        ok = !is_braked(&b->names, hash_ibytes(name), now) || is_known(&b->known, pair_key(client, name), now);
    pthread_mutex_unlock(&b->lock);
    return ok;
}

static uint32_t count(struct brake *b, struct table *t, uint64_t key, uint64_t now)
{
    struct entry *e = table_get(t, key, now);
    if (now - e->since > b->window && !e->until) {
        e->since = now;
        e->failures = 0;
    }
    if (++e->failures >= b->failures && !e->until) {
        e->until = now + b->block;
        list_remove(&e->node);
        list_push_back(&t->braked, &e->node);
    }
    return e->failures;
}

uint64_t brake_failed(struct brake *b, const struct ip *client, struct slice name, uint64_t now)
{
    if (!b) return 0;
    pthread_mutex_lock(&b->lock);
    uint32_t n = count(b, &b->clients, client_key(client), now),
             of_name = name.n ? count(b, &b->names, hash_ibytes(name), now) : 0;
    pthread_mutex_unlock(&b->lock);
    if (of_name > n) n = of_name;
    return n > 4 ? DELAY_MAX_MS : (uint64_t)DELAY_FIRST_MS << (n - 1);
}

void brake_succeeded(struct brake *b, const struct ip *client, struct slice name, uint64_t now)
{
    if (!b) return;
    pthread_mutex_lock(&b->lock);
    struct entry *e = table_find(&b->names, hash_ibytes(name));
    if (e && !e->until)
        entry_free(&b->names,
                   e); /* who owns the account mistyped; a client's count stays: it may own one and guess others */
    table_get(&b->known, pair_key(client, name), now)->since = now;
    pthread_mutex_unlock(&b->lock);
}
