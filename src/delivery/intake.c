/* SPDX-License-Identifier: Apache-2.0
 * How messages get into the queue: ids, submission, and what former runs left in a spool. */
#include <assert.h>
#include <stdlib.h>
#include "delivery/internal.h"

/* ---- ids: milliseconds (42 bits), worker (10), counter (12) */

uint64_t queue_new_id(struct queue *q)
{
    uint64_t now = clock_wall_ms();
    if (now > q->last_ms) {
        q->last_ms = now;
        q->id_counter = 0;
    } else if (++q->id_counter > 0xFFF) { /* also when the clock was set back: run on from the latest id */
        q->last_ms++;
        q->id_counter = 0;
    }
    return q->last_ms << 22 | (uint64_t)(q->o.worker & 0x3FF) << 12 | q->id_counter;
}

void queue_raise_id(struct queue *q, uint64_t id)
{
    if ((id >> 12 & 0x3FF) != (q->o.worker & 0x3FF) || id >> 22 < q->last_ms) return;
    q->last_ms = id >> 22;
    q->id_counter = 0xFFF;
}

/* ---- submission */

static struct work *end_commit(struct work *w, queue_submit_cb **cb, void **arg)
{
    w->q->commits--;
    *cb = w->cb;
    *arg = w->arg;
    w->cb = NULL;
    return w;
}

/* The queue was freed while the spool was still writing. */
static void after_death(struct work *w)
{
    struct queue *q = w->q;
    struct message *m = w->m;
    work_free(w);
    message_free(m);
    if (q->commits) return;
    list_each_safe(node, &q->homes) free(list_entry(node, struct home, link));
    while (!list_empty(&q->spare_works)) {
        struct work *spare = list_entry(list_pop_front(&q->spare_works), struct work, link);
        arena_deinit(&spare->arena);
        free(spare);
    }
    free(q);
}

static bool may_start_now(const struct queue *q, const struct spool_content *c)
{
    return !q->draining && q->active < q->config->queue.active && q->memory + c->memory <= q->config->queue.memory;
}

/* From the loop: the message is on disk (or is not). The client hears of it first. */
static void on_commit(void *arg, bool ok, struct spool_content *content, const struct err *err)
{
    struct work *w = arg;
    struct queue *q = w->q;
    struct message *m = w->m;
    struct err decode_err;
    queue_submit_cb *cb;
    end_commit(w, &cb, &arg);
    if (q->dead) {
        spool_content_free(content);
        after_death(w);
        return;
    }
    cb(arg, ok, err);
    bool start = ok && !(m->flags & (MESSAGE_HOLD | MESSAGE_DELETE)) && content && may_start_now(q, content);
    if (start) {
        message_become(m, MESSAGE_ACTIVE);
        work_count(w);
        if (work_set_content(w, content, &decode_err)) {
            work_begin(w);
            return;
        }
        content = NULL; /* cannot be: we wrote it a moment ago. It is tried again from the disk. */
        log_event(LOG_ERROR, "envelope-unreadable", LOG_ID(m->spool.id), LOG_ERR(&decode_err));
    }
    spool_content_free(content);
    char *by = work_take_by(w);
    work_free(w);
    if (!ok) message_free(m);
    else if (m->flags & MESSAGE_DELETE) {
        history_tell_by(m, HISTORY_DELETED, by, SLICE(""));
        message_done(m);
    } else if (m->flags & MESSAGE_HOLD) {
        message_hold(m);
        message_save(m); /* the envelope does not know of an administrator's wish */
        history_tell_by(m, HISTORY_HELD, by, label_text(m->reason));
    } else message_due(m);
    free(by);
}

static void arrive_held(struct message *m, const struct envelope *e)
{
    m->flags |= MESSAGE_HOLD;
    if (e->hold.n) message_set_reason(m, e->hold, slice_of(NULL, 0));
}

void queue_submit(struct queue *q, struct spool_draft *draft, const struct envelope *e, queue_submit_cb *cb, void *arg)
{
    struct message *m = message_new(q->main, e->id, e);
    struct work *w = work_new(q, m);
    struct buf *b = &q->scratch;
    w->cb = cb;
    w->arg = arg;
    if (e->flags & ENVELOPE_HELD) arrive_held(m, e);
    q->commits++;
    buf_clear(b);
    envelope_encode(e, b);
    spool_draft_commit(draft, e->id, buf_slice(b), &m->spool, on_commit, w);
}

/* ---- spools */

static struct spool_msg *on_recovered(void *arg, uint64_t id, struct slice encoded, struct slice state)
{
    struct home *h = arg;
    struct queue *q = h->q;
    struct arena arena = { 0 };
    struct envelope e = { 0 };
    struct err err;
    uint64_t now = clock_wall_ms();
    bool readable = envelope_decode(encoded, &arena, &e, &err), stated = false;
    struct message *m = message_new(h, id, &e);
    queue_raise_id(q, id);
    if (!readable) {
        log_event(LOG_ERROR, "envelope-unreadable-held", LOG_ID(id), LOG_ERR(&err));
        m->arrival = id >> 22;
        message_set_reason(m, slice_str(err.text), slice_of(NULL, 0));
        message_hold(m);
    } else if (state.n && !(stated = state_decode(state, m, &q->reasons, &q->names)))
        log_event(LOG_WARNING, "state-unreadable", LOG_ID(id));
    if (!stated && e.flags & ENVELOPE_HELD) arrive_held(m, &e);
    arena_deinit(&arena);
    if (!readable) return &m->spool;
    if (m->flags & MESSAGE_HOLD) message_hold(m);
    else if (m->next_try > now && !queue_is_absurd(q, m->next_try, now)) {
        uint64_t end = message_end(m);
        message_defer(m, m->next_try < end ? m->next_try : end);
    } else message_due(m);
    return &m->spool;
}

static void on_recovery_done(void *arg, uint64_t messages, uint64_t damaged)
{
    struct home *h = arg;
    h->recovered = true;
    log_event(damaged ? LOG_ERROR : LOG_INFO, "spool-read", LOG_NUM("messages", messages), LOG_NUM("damaged", damaged),
              LOG_STR("kind", h->adopted ? "adopted" : "own"));
    queue_kick(h->q);
}

void queue_add_spool(struct queue *q, struct spool *sp, bool adopted, void (*on_empty)(void *arg, struct spool *sp), void *arg)
{
    struct home *h = mem_new(struct home);
    *h = (struct home){ .q = q, .sp = sp, .adopted = adopted, .on_empty = on_empty, .arg = arg };
    list_push_back(&q->homes, &h->link);
    if (!q->main) {
        q->main = h;
        h->adopted = false;
    }
    spool_recover(sp, &(struct spool_recovery){ .on_message = on_recovered, .on_done = on_recovery_done, .arg = h });
}

struct spool *queue_spool(struct queue *q)
{
    return q->main->sp;
}
