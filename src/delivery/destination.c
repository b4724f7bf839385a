/* SPDX-License-Identifier: Apache-2.0
 * Destinations: the messages that go there, ready to be sent or parked until it is reachable or less busy. When connections are
 * opened is in dispatch.c. */
#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include "delivery/internal.h"

#define KEEP_MS 60000           /* a destination without work is kept this long */
#define COLLECT_PER_TICK 2000
#define PARKED_AGAIN_MS 60000   /* for a parked message whose warning or bounce was due and could not be written */

const char *destination_name(const struct destination *d)
{
    return d->hop.hop ? d->hop.hop->host : d->hop.domain;
}

bool destination_by_mx(const struct destination *d)
{
    const struct config_hop *h = d->hop.hop;
    return !h || (h->mx && !h->ip.family);
}

uint64_t destination_hash(const void *item)
{
    return ((const struct destination *)item)->hash;
}

static bool has_key(const void *item, const void *key)
{
    return strcmp(((const struct destination *)item)->hop.key, key) == 0;
}

struct destination *destination_get(struct queue *q, const struct route_hop *hop)
{
    uint64_t hash = hash_bytes(slice_str(hop->key));
    struct destination *d = htable_find(&q->destinations, hash, has_key, hop->key);
    if (d) return d;
    d = mem_new(struct destination);
    d->q = q;
    d->hash = hash;
    d->hop = *hop;
    d->idle_since = clock_mono_ms();
    list_init(&d->ready);
    list_init(&d->parked);
    list_init(&d->clients);
    list_init(&d->idle);
    list_init(&d->handings);
    d->timer = evtimer_new(q->o.base, destination_on_timer, d);
    if (!d->timer) abort();
    htable_add(&q->destinations, d);
    return d;
}

void destination_free(struct destination *d)
{
    targets_free(d);
    sts_free(d);
    verify_free(d);
    event_free(d->timer);
    list_remove(&d->refill);
    list_remove(&d->kicked);
    list_remove(&d->starved);
    free(d);
}

static bool is_useless(const struct destination *d, uint64_t now)
{
    return !d->ready_n && !d->parked_n && !d->loading_n && !d->waiting_n && !d->client_n && !d->handing_n && !d->query && !verify_is_used(d) &&
           d->idle_since + KEEP_MS < now && (!d->failures || d->retry_at < now);
}

/* Some at a time: the place in the table is only a hint, as it changes in between. */
void destination_collect(struct queue *q)
{
    uint64_t now = clock_mono_ms();
    struct destination *d;
    for (unsigned n = 0; n < COLLECT_PER_TICK; n++) {
        if (!(d = htable_next(&q->destinations, &q->collect_at))) {
            q->collect_at = 0;
            return;
        }
        if (!is_useless(d, now)) continue;
        htable_remove(&q->destinations, d);
        destination_free(d);
    }
}

void destination_set_reason(struct destination *d, struct slice reason)
{
    if (reason.p == d->reason) return;
    struct slice cut = label_cut(reason, REASON_MAX);
    snprintf(d->reason, sizeof d->reason, "%.*s", SLICE_ARG(cut));
}

/* ---- ready parts */

uint64_t destination_weight(const struct queue *q, uint64_t memory, bool file)
{
    return memory + (file ? q->config->queue.memory / FILES_MAX : 0);
}

/* One destination may not have all the room: what is beyond waits parked, without its text in memory. */
bool destination_has_room(const struct destination *d)
{
    const struct config_queue *c = &d->q->config->queue;
    unsigned most = c->active / 4 * 3, n = d->ready_n + d->loading_n;
    return n < (most < 100 ? 100 : most) && (!n || d->bytes < c->memory / 4 * 3);
}

static void enter_ready(struct part *p, bool front)
{
    struct destination *d = p->dest;
    p->ready_at = d->idle_since = clock_mono_ms();
    if (front) list_push_front(&d->ready, &p->link);
    else list_push_back(&d->ready, &p->link);
    d->ready_n++;
}

void destination_add(struct part *p)
{
    struct destination *d = p->dest;
    if (p->work->m->flags & MESSAGE_FORCE && d->failed_at <= d->q->retried_at) destination_retry_now(d);
    if (d->blocked || !destination_has_room(d)) {
        part_blocked(p);
        return;
    }
    p->bytes = destination_weight(d->q, p->work->memory, p->work->file);
    d->bytes += p->bytes;
    enter_ready(p, false);
    destination_dispatch(d);
}

void destination_unready(struct part *p)
{
    struct destination *d = p->dest;
    assert(list_linked(&p->link));
    list_remove(&p->link);
    d->ready_n--;
    if (d->parked_n) destination_want(d);
}

struct part *destination_take(struct destination *d)
{
    if (list_empty(&d->ready)) return NULL;
    struct part *p = list_entry(d->ready.next, struct part, link);
    destination_unready(p);
    return p;
}

void destination_requeue(struct part *p)
{
    struct message *m = p->work->m;
    part_drop_settled(p); /* they are left out of the next try */
    if (!p->n || m->flags & (MESSAGE_DELETE | MESSAGE_HOLD)) {
        part_done(p);
    } else if (p->dest->blocked) {
        part_blocked(p);
    } else {
        enter_ready(p, true);
        destination_kick(p->dest);
    }
}

/* ---- parked messages */

void destination_want(struct destination *d)
{
    if (!d->parked_n || d->blocked || list_linked(&d->refill) || !destination_has_room(d)) return;
    list_push_back(&d->q->refill, &d->refill);
    queue_kick(d->q);
}

void destination_park(struct destination *d, struct message *m)
{
    struct queue *q = d->q;
    uint64_t now = clock_wall_ms(), when = message_end(m), warning = q->config->queue.delay_warning;
    if (d->blocked)
        log_event(LOG_INFO, "deferred", LOG_ID(m->spool.id), LOG_STR("destination", d->hop.key), LOG_STR("reply", d->reason));
    if (d->blocked) history_tell(q, m->spool.id, HISTORY_DEFERRED, SLICE(""), slice_str(d->reason), d->hop.key);
    message_become(m, MESSAGE_PARKED);
    if (warning && !(m->flags & (MESSAGE_WARNED | MESSAGE_QUIET)) && m->arrival + warning < when) when = m->arrival + warning;
    if (when <= now) when = now + PARKED_AGAIN_MS;
    if (!m->where) m->where = label_get(&q->names, slice_str(d->hop.key));
    m->dest = d;
    m->next_try = when;
    list_push_back(&d->parked, &m->link);
    d->parked_n++;
    heap_put(&q->heap, m, when);
    queue_arm(q);
    destination_want(d);
}

void destination_unpark(struct message *m)
{
    struct destination *d = m->dest;
    list_remove(&m->link);
    m->dest = NULL;
    d->idle_since = clock_mono_ms();
    if (--d->parked_n == 0) list_remove(&d->refill);
}
