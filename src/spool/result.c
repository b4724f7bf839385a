/* SPDX-License-Identifier: Apache-2.0
 * What becomes of messages, and the hand-over of all that is ready to the flush thread. The order of a hand-over
 * is: ends of messages, messages and what compaction carries on, states, syncs. So an end never meets a message
 * that came with it or later under the same id, and a new state is behind an old one carried on. */
#include "spool/private.h"
#include <assert.h>
#include <stdlib.h>

#define LATER_MS 100
#define DONES_MAX 4096 /* entries of one record, and so many are not kept waiting */
#define STATE_MAX (64u << 10)

/* ---- hand-over */

static void hand_dones(struct spool *sp, struct list *out)
{
    struct buf *b = &sp->dones;
    for (size_t at = 0; at < b->n;) {
        size_t n = b->n - at < DONES_MAX * DONE_ENTRY ? b->n - at : DONES_MAX * DONE_ENTRY;
        struct item *it = mem_new(struct item);
        it->kind = ITEM_DONE;
        it->record = mem_alloc(RECORD_HEAD + n + PAD_ROOM);
        memcpy(it->record + RECORD_HEAD, b->p + at, n);
        it->meta_n = (uint32_t)n;
        it->done = done_item_done;
        list_push_back(out, &it->link);
        at += n;
    }
    b->n = 0;
    if (b->cap > DONES_MAX * DONE_ENTRY) buf_deinit(b);
}

void handover_now(struct spool *sp)
{
    struct list out;
    list_init(&out);
    hand_dones(sp, &out);
    list_move_all(&sp->commits, &out);
    list_move_all(&sp->states, &out);
    list_move_all(&sp->syncs, &out);
    sp->handover_due = false;
    if (list_empty(&out)) return;
    event_del(sp->later_event);
    list_each(node, &out) {
        list_entry(node, struct item, link)->handed = true;
        sp->in_flight++;
    }
    flush_handover(sp, &out);
}

void handover_on_event(evutil_socket_t fd, short what, void *arg)
{
    handover_now(arg);
}

/* The event runs behind those of this turn of the loop, so that all messages that ended in it share the flush. */
void handover_soon(struct spool *sp)
{
    if (sp->handover_due) return;
    sp->handover_due = true;
    event_active(sp->handover_event, EV_TIMEOUT, 0);
}

void handover_later(struct spool *sp)
{
    static const struct timeval wait = { 0, LATER_MS * 1000 };
    tick_arm(sp); /* which sees to it that it is synced in a while */
    if (sp->handover_due || event_pending(sp->later_event, EV_TIMEOUT, NULL)) return;
    event_add(sp->later_event, &wait);
}

/* ---- ends */

void done_queue(struct spool *sp, uint64_t id, uint64_t sequence)
{
    char *p = buf_reserve(&sp->dones, DONE_ENTRY);
    done_entry_put(p, id, sequence);
    sp->dones.n += DONE_ENTRY;
    if (sp->dones.n >= DONES_MAX * DONE_ENTRY)
        handover_soon(sp);
    else
        handover_later(sp);
}

void done_item_done(struct spool *sp, struct item *it)
{
    if (!it->error) {
        struct segment *s = segment_get(sp, it->sequence);
        segment_place(sp, it, RECORD_HEAD + it->meta_n);
        for (size_t i = 0; i < it->meta_n / DONE_ENTRY; i++) {
            uint64_t id, sequence;
            done_entry(it->record + RECORD_HEAD, i, &id, &sequence);
            segment_refer(sp, s, sequence);
        }
        tick_arm(sp);
    }
    free(it->record);
    free(it);
}

void spool_done(struct spool *sp, struct spool_msg *msg)
{
    assert(!msg->dead && spool_find(sp, msg->id) == msg);
    crash_point("done-queued");
    struct item *state = htable_find(&sp->state_items, hash_u64(msg->id), state_item_match, &msg->id);
    if (state && !state->handed) { /* nobody will ask for it */
        htable_remove(&sp->state_items, state);
        list_remove(&state->link);
        free(state->record);
        free(state);
    }
    msg->dead = true;
    htable_remove(&sp->messages, msg);
    done_queue(sp, msg->id, sp->first_sequence + msg->segment - 1);
    segment_live(sp, msg->segment, message_cost(msg), -1);
    if (msg->state_segment) segment_live(sp, msg->state_segment, STATE_COST, -1);
    if (msg->big) trash_big(sp, msg->id, msg->text_n);
    tick_arm(sp);
}

/* ---- states */

uint64_t state_item_hash(const void *item)
{
    return hash_u64(((const struct item *)item)->id);
}

bool state_item_match(const void *item, const void *key)
{
    return ((const struct item *)item)->id == *(const uint64_t *)key;
}

bool state_in_flight(const struct spool *sp, uint64_t id)
{
    return htable_find(&sp->state_items, hash_u64(id), state_item_match, &id) != NULL;
}

static void state_item_done(struct spool *sp, struct item *it)
{
    struct spool_msg *msg = spool_find(sp, it->id);
    if (htable_find(&sp->state_items, hash_u64(it->id), state_item_match, &it->id) == it)
        htable_remove(&sp->state_items, it);
    if (!it->error) {
        segment_place(sp, it, RECORD_HEAD + it->meta_n);
        if (msg) {
            if (msg->state_segment) segment_live(sp, msg->state_segment, STATE_COST, -1);
            msg->state_segment = segment_index(sp, it->sequence);
            msg->state_offset = it->offset;
            segment_live(sp, msg->state_segment, STATE_COST, 1);
        }
        tick_arm(sp);
    }
    free(it->record);
    free(it);
}

struct item *state_item_new(struct spool *sp, uint64_t id, struct slice state)
{
    assert(state.n <= STATE_MAX);
    struct item *it = mem_new(struct item);
    it->kind = ITEM_STATE;
    it->id = id;
    it->meta_n = (uint32_t)state.n;
    it->record = mem_alloc(RECORD_HEAD + state.n + PAD_ROOM);
    if (state.n) memcpy(it->record + RECORD_HEAD, state.p, state.n);
    it->done = state_item_done;
    return it;
}

void spool_save_state(struct spool *sp, struct spool_msg *msg, struct slice state)
{
    assert(!msg->dead && spool_find(sp, msg->id) == msg);
    struct item *old = htable_find(&sp->state_items, hash_u64(msg->id), state_item_match, &msg->id);
    struct item *it = state_item_new(sp, msg->id, state);
    if (old) htable_remove(&sp->state_items, old);
    if (old && !old->handed) {
        list_remove(&old->link);
        free(old->record);
        free(old);
    }
    htable_add(&sp->state_items, it);
    list_push_back(&sp->states, &it->link);
    handover_later(sp);
}

/* ---- syncs */

struct sync_wait {
    struct item item;
    struct list link;  /* in spool.sync_waits, until the big messages committed before it are in the log */
    uint64_t ticket;
    uint64_t late_ends; /* spool.late_ends when it was handed over */
    void (*cb)(void *arg, bool ok);
    void *arg;
};

void barrier_queue(struct spool *sp, void (*done)(struct spool *sp, struct item *it), struct item *it)
{
    it->kind = ITEM_SYNC;
    it->done = done;
    list_push_back(&sp->syncs, &it->link);
    handover_soon(sp);
}

static void sync_done(struct spool *sp, struct item *it)
{
    struct sync_wait *w = container_of(it, struct sync_wait, item);
    void (*cb)(void *, bool) = w->cb;
    void *arg = w->arg;
    bool ok = !it->error;
    if (ok && w->late_ends != sp->late_ends && !sp->closing) { /* the end of a copy is on its way only now */
        w->late_ends = sp->late_ends;
        barrier_queue(sp, sync_done, it);
        return;
    }
    free(w);
    if (!sp->closing) cb(arg, ok);
}

void sync_waits_check(struct spool *sp)
{
    uint64_t oldest = big_oldest_ticket(sp);
    list_each_safe(node, &sp->sync_waits) {
        struct sync_wait *w = list_entry(node, struct sync_wait, link);
        if (w->ticket >= oldest) break;
        list_remove(node);
        w->late_ends = sp->late_ends;
        barrier_queue(sp, sync_done, &w->item);
    }
}

void spool_sync(struct spool *sp, void (*cb)(void *arg, bool ok), void *arg)
{
    struct sync_wait *w = mem_new(struct sync_wait);
    w->cb = cb;
    w->arg = arg;
    w->ticket = sp->ticket;
    list_push_back(&sp->sync_waits, &w->link);
    sync_waits_check(sp);
}
