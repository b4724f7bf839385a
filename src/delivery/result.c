/* SPDX-License-Identifier: Apache-2.0
 * What follows from an attempt: the message is finished, a bounce or a warning is written, it waits for the next attempt, for
 * its destination, or for an administrator. */
#include <assert.h>
#include <stdlib.h>
#include "delivery/internal.h"

#define OWED_RETRY_MS 60000 /* until the next try to write a bounce that could not be written */

static uint32_t count(const struct work *w, enum rcpt_status status)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->m->rcpt_n; i++) n += w->rcpts[i].status == status;
    return n;
}

static uint32_t count_failed_copies(const struct work *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; w->env.rcpt_marks && i < w->m->rcpt_n; i++) n += w->rcpts[i].status == RCPT_FAILED && work_is_copy(w, i);
    return n;
}

static void finish(struct work *w)
{
    struct message *m = w->m;
    uint64_t now = clock_wall_ms();
    log_event(LOG_INFO, "removed", LOG_ID(m->spool.id), LOG_NUM("ms", now > m->arrival ? now - m->arrival : 0));
    work_free(w);
    message_done(m);
}

/* ---- the end of a message's life */

static void expire(struct work *w)
{
    struct message *m = w->m;
    uint64_t now = clock_wall_ms();
    if (now < message_end(m) || m->flags & MESSAGE_HOLD) return;
    struct buf text = { 0 }, original = { 0 };
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        struct work_rcpt *r = &w->rcpts[i];
        if (r->status != RCPT_PENDING) continue;
        struct slice last = label_text(r->reason ? r->reason : m->reason);
        if (!r->settled && w->blocked && w->blocked->reason[0]) last = slice_str(w->blocked->reason);
        buf_clear(&text);
        buf_add_str(&text, "4.4.7 could not be delivered within ");
        clock_add_span(&text, message_end(m) - m->arrival);
        if (last.n) buf_add_str(&text, "; the last attempt: ");
        buf_add(&text, last);
        label_set(&w->q->reasons, &r->reason, buf_slice(&text));
        r->status = RCPT_FAILED;
        history_tell_failed(w, i, buf_slice(&text));
        if (first == UINT32_MAX) first = i;
    }
    if (first != UINT32_MAX)
        log_event(LOG_INFO, "bounced", LOG_ID(m->spool.id), LOG_TEXT("to", w->env.rcpts[first]),
                  LOG_NUM("recipients", count(w, RCPT_FAILED)), LOG_TEXT("reply", label_text(w->rcpts[first].reason)),
                  work_for(w, first, &original));
    buf_deinit(&original);
    buf_deinit(&text);
}

/* ---- waiting */

/* Statuses and reasons go back to the message; nothing is kept when all recipients are alike. */
static void keep_rcpts(struct work *w)
{
    struct message *m = w->m;
    bool alike = true;
    for (uint32_t i = 0; alike && i < m->rcpt_n; i++)
        alike = w->rcpts[i].status == RCPT_PENDING && (!w->rcpts[i].reason || w->rcpts[i].reason == m->reason);
    message_clear_rcpts(m);
    if (alike) return;
    m->rcpts = mem_grow(NULL, m->rcpt_n, sizeof *m->rcpts);
    for (uint32_t i = 0; i < m->rcpt_n; i++)
        m->rcpts[i] = (struct rcpt_memory){ .reason = label_ref(w->rcpts[i].reason), .status = w->rcpts[i].status };
}

static void defer(struct message *m)
{
    struct queue *q = m->home->q;
    const struct config_queue *c = &q->config->queue;
    uint64_t now = clock_wall_ms(), end = message_end(m);
    uint64_t next = now + retry_delay(c->retry_first, c->retry_max, m->attempts, queue_random(q));
    if (m->attempts < UINT16_MAX) m->attempts++;
    if (next > end && end > now) next = end; /* one last attempt */
    message_defer(m, next);
    message_save(m);
}

static void suspend(struct work *w)
{
    struct message *m = w->m;
    struct destination *d = w->blocked;
    bool deferred = w->deferred, owed = w->owed, changed;
    bool had = m->rcpts != NULL;
    keep_rcpts(w);
    changed = had || m->rcpts;
    char *by = work_take_by(w);
    work_free(w);
    if (m->flags & MESSAGE_HOLD) {
        message_hold(m);
        message_save(m);
        history_tell_by(m, HISTORY_HELD, by, SLICE(""));
    } else if (owed) {
        message_defer(m, clock_wall_ms() + OWED_RETRY_MS);
        message_save(m);
    } else if (deferred)
        defer(m);
    else if (d) {
        destination_park(d, m);
        if (changed) message_save(m);
    } else
        message_due(m);
}

/* ---- the steps */

static void on_failure_told(struct work *w, bool ok);
static void on_relay_told(struct work *w, bool ok);
static void on_delay_told(struct work *w, bool ok);

static bool warning_due(const struct work *w)
{
    const struct message *m = w->m;
    uint64_t after = w->q->config->queue.delay_warning;
    return after && !w->warned && !(m->flags & (MESSAGE_WARNED | MESSAGE_QUIET)) && clock_wall_ms() >= m->arrival + after;
}

/* Failures that the sender does not want to hear of (RFC 3461 §4.1), nor anybody else. Copies are the administrator's matter. */
static void waive_failures(struct work *w)
{
    uint32_t first = UINT32_MAX, n = 0;
    if (!w->env.rcpt_dsn) return;
    for (uint32_t i = 0; i < w->m->rcpt_n; i++) {
        if (w->rcpts[i].status != RCPT_FAILED || work_is_copy(w, i) || dsn_wanted(w, i, NOTIFY_FAILURE)) continue;
        w->rcpts[i].status = RCPT_CLOSED;
        if (!n++) first = i;
    }
    if (n)
        log_event(LOG_INFO, "failure-not-reported", LOG_ID(w->m->spool.id), LOG_TEXT("to", w->env.rcpts[first]), LOG_NUM("recipients", n));
}

static bool warning_wanted(const struct work *w)
{
    for (uint32_t i = 0; i < w->m->rcpt_n; i++)
        if (w->rcpts[i].status == RCPT_PENDING && dsn_wanted(w, i, NOTIFY_DELAY)) return true;
    w->m->flags |= MESSAGE_WARNED; /* not looked at again */
    return false;
}

static void settle(struct work *w)
{
    if (w->m->flags & MESSAGE_DELETE) {
        struct message *m = w->m;
        history_tell_by(m, HISTORY_DELETED, w->by, SLICE(""));
        work_free(w);
        message_done(m);
        return;
    }
    waive_failures(w);
    uint32_t failed = count(w, RCPT_FAILED), relayed = count(w, RCPT_RELAYED), pending = count(w, RCPT_PENDING);
    /* In one flush with the notice: who has the message must not get it again when we die in between. */
    if ((failed || relayed) && !w->owed && w->m->rcpt_n > failed) work_save(w);
    w->telling_copies = failed && failed == count_failed_copies(w); /* when all others are told */
    if (failed && !w->owed) {
        work_hold(w); /* nobody else may end the work meanwhile */
        notify_failed(w, on_failure_told);
    } else if (relayed && !w->owed) {
        work_hold(w);
        notify_relayed(w, on_relay_told);
    } else if (!failed && !relayed && !pending)
        finish(w);
    else if (pending && warning_due(w) && warning_wanted(w)) {
        w->warned = true;
        work_hold(w);
        notify_delayed(w, on_delay_told);
    } else
        suspend(w);
}

/* The message goes on only when its bounce is on disk; else the bounce stays owed. */
static void on_told(struct work *w, bool ok, enum rcpt_status from, enum rcpt_status to)
{
    uint32_t n = 0;
    for (uint32_t i = 0; ok && i < w->m->rcpt_n && n < NOTICE_RCPTS; i++)
        if (w->rcpts[i].status == from && (from != RCPT_FAILED || work_is_copy(w, i) == w->telling_copies)) {
            w->rcpts[i].status = (uint8_t)to;
            n++;
        }
    if (!ok) w->owed = true;
    w->open--;
    settle(w);
}

static void on_failure_told(struct work *w, bool ok)
{
    on_told(w, ok, RCPT_FAILED, RCPT_CLOSED);
}

static void on_relay_told(struct work *w, bool ok)
{
    on_told(w, ok, RCPT_RELAYED, RCPT_DELIVERED);
}

static void on_delay_told(struct work *w, bool ok)
{
    if (ok) {
        w->m->flags |= MESSAGE_WARNED;
        message_save(w->m);
    }
    w->open--;
    settle(w);
}

void work_finish(struct work *w)
{
    assert(list_empty(&w->parts));
    list_remove(&w->link); /* the results are saved below or not needed any more */
    expire(w);
    settle(w);
}
