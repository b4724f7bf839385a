/* SPDX-License-Identifier: Apache-2.0
 * Time: the heap of messages that wait for a moment, and the turn-taking between those that are due.
 *
 * There are three sources of messages to work on: queue.due (fresh ones without room at their arrival, those asked for by an
 * administrator, those of a former run), the top of the heap, and the parked messages of destinations that are up
 * again. They take turns, so that none starves another. */
#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include "delivery/internal.h"

#define LOADS_PER_TURN 256

/* ---- the heap */

static void set(struct heap *h, size_t i, struct heap_slot slot)
{
    h->slots[i] = slot;
    slot.m->heap_at = (uint32_t)i + 1;
}

static void sift_up(struct heap *h, size_t i, struct heap_slot slot)
{
    while (i && h->slots[(i - 1) / 4].when > slot.when) {
        set(h, i, h->slots[(i - 1) / 4]);
        i = (i - 1) / 4;
    }
    set(h, i, slot);
}

static void sift_down(struct heap *h, size_t i, struct heap_slot slot)
{
    for (;;) {
        size_t least = i * 4 + 1;
        if (least >= h->n) break;
        for (size_t k = least + 1; k < h->n && k < i * 4 + 5; k++)
            if (h->slots[k].when < h->slots[least].when) least = k;
        if (h->slots[least].when >= slot.when) break;
        set(h, i, h->slots[least]);
        i = least;
    }
    set(h, i, slot);
}

void heap_put(struct heap *h, struct message *m, uint64_t when)
{
    assert(!m->heap_at);
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 64;
        h->slots = mem_grow(h->slots, h->cap, sizeof *h->slots);
    }
    sift_up(h, h->n++, (struct heap_slot){ when, m });
}

void heap_remove(struct heap *h, struct message *m)
{
    if (!m->heap_at) return;
    size_t i = m->heap_at - 1;
    m->heap_at = 0;
    struct heap_slot last = h->slots[--h->n];
    if (i < h->n) {
        if (i && h->slots[(i - 1) / 4].when > last.when) sift_up(h, i, last);
        else sift_down(h, i, last);
    }
    if (h->cap > 1024 && h->n < h->cap / 4) {
        h->cap /= 2;
        h->slots = mem_grow(h->slots, h->cap, sizeof *h->slots);
    }
}

uint64_t retry_delay(uint64_t first, uint64_t max, unsigned n, uint32_t random)
{
    uint64_t delay = first ? first : 1;
    for (; n && delay < max; n--) delay *= 2;
    if (delay > max && max) delay = max;
    uint64_t fifth = delay / 5;
    if (fifth) delay = delay - fifth + random % (2 * fifth + 1);
    return delay;
}

bool queue_is_absurd(const struct queue *q, uint64_t when, uint64_t now)
{
    return when > now && when - now > 2 * q->config->queue.retry_max;
}

void queue_arm(struct queue *q)
{
    if (!q->heap.n || q->draining) return;
    uint64_t top = q->heap.slots[0].when, now = clock_wall_ms();
    if (q->timer_at && q->timer_at <= top && q->timer_at > now) return;
    uint64_t ms = top > now ? top - now : 0;
    if (ms > 60000) ms = 60000; /* the wall clock may be set meanwhile */
    q->timer_at = now + ms;
    event_add(q->timer, &(struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) });
}

/* ---- turns */

static struct message *from_due(struct queue *q)
{
    return list_empty(&q->due) ? NULL : list_entry(q->due.next, struct message, link);
}

static struct message *from_heap(struct queue *q, uint64_t now)
{
    return q->heap.n && q->heap.slots[0].when <= now ? q->heap.slots[0].m : NULL;
}

/* The destinations on the list take turns as well. */
static struct message *from_refill(struct queue *q, struct destination **from)
{
    struct list *node;
    while ((node = list_pop_front(&q->refill))) {
        struct destination *d = list_entry(node, struct destination, refill);
        if (d->blocked || list_empty(&d->parked) || !destination_has_room(d)) continue; /* destination_want brings it back */
        list_push_back(&q->refill, &d->refill);
        *from = d;
        return list_entry(d->parked.next, struct message, link);
    }
    return NULL;
}

static struct message *next_message(struct queue *q, uint64_t now, struct destination **from)
{
    struct message *m = NULL;
    *from = NULL;
    for (unsigned i = 0; i < 3 && !m; i++) {
        switch (q->turn++ % 3) {
        case 0: m = from_due(q); break;
        case 1: m = from_heap(q, now); break;
        case 2: m = from_refill(q, from); break;
        }
    }
    return m;
}

static bool has_room(const struct queue *q)
{
    return q->active < q->config->queue.active && q->files < FILES_MAX &&
           (q->memory < q->config->queue.memory || !q->active);
}

void queue_fill(struct queue *q)
{
    uint64_t now = clock_wall_ms();
    if (q->draining) return;
    for (unsigned n = 0; has_room(q); n++) {
        struct destination *from;
        if (n == LOADS_PER_TURN) {
            queue_kick(q);
            return;
        }
        struct message *m = next_message(q, now, &from);
        if (!m) break;
        work_load(m, from);
    }
    /* With something due and no room the end of some work brings us back here, not the timer. */
    if (!from_heap(q, now)) queue_arm(q);
}
