/* SPDX-License-Identifier: Apache-2.0
 * What next hops can take, as their last EHLO said: kept by destination, and longer than that. The table is bounded; what was not
 * heard of for the longest time makes room. A hop that the configuration names is asked by a connection without mail when somebody wants to
 * know and nothing recent is known, which then serves mail or is closed like any idle one. */
#include <stdlib.h>
#include "delivery/client.h"

#define ABILITIES_MAX 10000
#define BELIEVED_MS 3600000     /* where delivery.probe is 0 */
#define ASK_MS 10000            /* so long a connection is tried for */
#define ASK_AGAIN_MS 60000      /* and not again for so long; twice as long each time nothing is learned, */
#define DOUBLE_MAX 5            /* so many times */

struct ability {
    struct list link;           /* the one heard of longest ago first */
    uint64_t hash;
    uint64_t learned_at;        /* mono ms; 0: nothing is known, but it was asked */
    uint64_t asked_at;          /* mono ms; 0: never */
    unsigned doubled;
    struct hop_abilities what;
    char key[];
};

struct abilities {
    struct htable table;
    struct list list;
};

static uint64_t hash_of(const void *item)
{
    return ((const struct ability *)item)->hash;
}

static bool has_key(const void *item, const void *key)
{
    return strcmp(((const struct ability *)item)->key, key) == 0;
}

static struct ability *find(const struct queue *q, const char *key)
{
    return q->abilities ? htable_find(&q->abilities->table, hash_bytes(slice_str(key)), has_key, key) : NULL;
}

static void forget(struct abilities *t, struct ability *a)
{
    htable_remove(&t->table, a);
    list_remove(&a->link);
    free(a);
}

static struct ability *get(struct queue *q, const char *key)
{
    struct ability *a = find(q, key);
    if (a) {
        list_remove(&a->link);
        list_push_back(&q->abilities->list, &a->link);
        return a;
    }
    if (!q->abilities) {
        q->abilities = mem_new(struct abilities);
        htable_init(&q->abilities->table, hash_of);
        list_init(&q->abilities->list);
    }
    struct abilities *t = q->abilities;
    if (t->table.n >= ABILITIES_MAX) forget(t, list_entry(t->list.next, struct ability, link));
    size_t n = strlen(key) + 1;
    a = mem_zalloc(sizeof *a + n);
    memcpy(a->key, key, n);
    a->hash = hash_bytes(slice_str(key));
    htable_add(&t->table, a);
    list_push_back(&t->list, &a->link);
    return a;
}

void ability_free(struct queue *q)
{
    struct abilities *t = q->abilities;
    if (!t) return;
    list_each_safe(node, &t->list) forget(t, list_entry(node, struct ability, link));
    htable_deinit(&t->table);
    free(t);
    q->abilities = NULL;
}

void ability_learn(const struct client *c)
{
    if (c->d->hop.require_tls || c->d->asker) return; /* nobody asks by that key */
    struct ability *a = get(c->q, c->d->hop.key);
    a->learned_at = clock_mono_ms();
    c->d->asked_until = 0;
    a->what = (struct hop_abilities){ .eight_bit = c->eight_bit, .utf8 = c->utf8, .dsn = c->dsn, .size_max = c->size_max };
    /* Offered over TLS only (RFC 8689 §2): where that failed a while ago nobody knows. */
    a->what.requiretls = c->requiretls || c->no_tls || route_is_here(&c->d->hop);
}

/* A connection that nobody needs for mail. A destination that is down tells by itself when it is up again. */
static void probe(struct queue *q, const struct route_hop *hop, uint64_t now)
{
    struct ability *a = get(q, hop->key);
    bool in_vain = a->asked_at > a->learned_at;
    if (!in_vain) a->doubled = 0;
    if (a->asked_at && a->asked_at + ((uint64_t)ASK_AGAIN_MS << a->doubled) > now) return;
    struct destination *d = destination_get(q, hop);
    if (d->blocked || d->refused) return;
    if (in_vain && a->doubled < DOUBLE_MAX) a->doubled++;
    a->asked_at = now;
    d->asked_until = now + ASK_MS;
    d->idle_since = now;
    destination_kick(d);
}

bool queue_route(const struct queue *q, struct slice sender, struct slice rcpt, struct route_hop *out, struct err *err)
{
    return route_find(q->routes, sender, rcpt, out, err);
}

bool queue_abilities(struct queue *q, struct slice sender, struct slice rcpt, struct hop_abilities *out)
{
    struct route_hop hop;
    struct err err;
    uint64_t now = clock_mono_ms(), keep = q->config->delivery.probe;
    if (!route_find(q->routes, sender, rcpt, &hop, &err)) return false;
    if (route_is_maildir(&hop)) { /* a file takes everything */
        *out = (struct hop_abilities){ .eight_bit = true, .utf8 = true, .requiretls = true };
        return true;
    }
    const struct ability *a = find(q, hop.key);
    bool known = a && a->learned_at, recent = known && a->learned_at + (keep ? keep : BELIEVED_MS) > now;
    if (known) *out = a->what;
    if (recent) return true;
    bool asks = hop.hop && keep && !q->draining;
    if (asks) probe(q, &hop, now);
    return known && asks; /* what is old is believed until it is asked again */
}
