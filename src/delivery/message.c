/* SPDX-License-Identifier: Apache-2.0
 * Messages in memory: small, and always in exactly one state, each with its place (list, heap, work). */
#include <assert.h>
#include <stdlib.h>
#include "delivery/internal.h"

/* With its slot in the heap (16 bytes, half of the array may be spare) and what malloc adds a deferred message stays under
 * 300 bytes, labels of its own included. */
static_assert(sizeof(struct message) <= 168, "messages are many: keep them small");

struct message *message_new(struct home *h, uint64_t id, const struct envelope *e)
{
    struct queue *q = h->q;
    struct message *m = mem_new(struct message);
    m->spool.id = id;
    m->home = h;
    m->arrival = e->arrival;
    m->rcpt_n = e->rcpt_n;
    m->state = MESSAGE_INCOMING;
    if (e->flags & ENVELOPE_BOUNCE) m->flags |= MESSAGE_OURS;
    if (e->flags & (ENVELOPE_BOUNCE | ENVELOPE_NO_DSN | ENVELOPE_FORGED) || !e->sender.n) m->flags |= MESSAGE_QUIET;
    list_push_back(&q->all, &m->all);
    q->counts[m->state]++;
    h->messages++;
    return m;
}

void message_become(struct message *m, enum message_state state)
{
    struct queue *q = m->home->q;
    if (m->state == MESSAGE_PARKED) destination_unpark(m);
    list_remove(&m->link);
    heap_remove(&q->heap, m);
    q->counts[m->state]--;
    q->counts[state]++;
    m->state = (uint8_t)state;
}

void message_clear_rcpts(struct message *m)
{
    if (!m->rcpts) return;
    for (uint32_t i = 0; i < m->rcpt_n; i++) label_put(&m->home->q->reasons, &m->rcpts[i].reason);
    free(m->rcpts);
    m->rcpts = NULL;
}

void message_free(struct message *m)
{
    struct home *h = m->home;
    struct queue *q = h->q;
    assert(!m->work);
    message_become(m, MESSAGE_HELD); /* the state without a place */
    q->counts[MESSAGE_HELD]--;
    if (!list_empty(&q->ops)) control_forget(q, m);
    list_remove(&m->all);
    message_clear_rcpts(m);
    label_put(&q->reasons, &m->reason);
    label_put(&q->names, &m->where);
    h->messages--;
    if (h->adopted && !h->messages) queue_kick(q); /* it may be closed now */
    free(m);
}

void message_done(struct message *m)
{
    spool_done(m->home->sp, &m->spool);
    message_free(m);
}

void message_set_reason(struct message *m, struct slice reason, struct slice where)
{
    struct queue *q = m->home->q;
    label_set(&q->reasons, &m->reason, reason);
    label_set(&q->names, &m->where, where);
}

void message_save(struct message *m)
{
    struct buf state = { 0 };
    state_encode(m, &state);
    spool_save_state(m->home->sp, &m->spool, buf_slice(&state));
    buf_deinit(&state);
}

uint64_t message_end(const struct message *m)
{
    const struct config_queue *c = &m->home->q->config->queue;
    return m->arrival + (m->flags & MESSAGE_OURS ? c->bounce_lifetime : c->lifetime);
}

void message_due(struct message *m)
{
    struct queue *q = m->home->q;
    message_become(m, MESSAGE_DUE);
    m->next_try = clock_wall_ms();
    list_push_back(&q->due, &m->link);
    queue_kick(q);
}

void message_defer(struct message *m, uint64_t when)
{
    struct queue *q = m->home->q;
    message_become(m, MESSAGE_DEFERRED);
    m->next_try = when;
    heap_put(&q->heap, m, when);
    queue_arm(q);
}

void message_hold(struct message *m)
{
    message_become(m, MESSAGE_HELD);
    m->flags &= (uint8_t)~MESSAGE_HOLD;
}
