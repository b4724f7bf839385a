/* SPDX-License-Identifier: Apache-2.0
 * The inside of the queue.
 *
 *   message      what is kept in memory of each message in the spool: small, one for each.
 *   work         a message being worked on: its envelope and text in memory, what became of each recipient in this
 *                attempt. There are at most queue.active of them.
 *   part         the recipients of a work that go to one destination in one transaction.
 *   destination  a next hop: parts ready to be sent, messages parked until it is reachable, connections, back-off.
 *   client       one connection to a host of a destination.
 *
 * Who may free what, and when:
 * - A message is freed by message_free only: at the end of its work, by a control request while nobody works on it, or when
 *   its commit failed. A message in MESSAGE_INCOMING is the spool's until the commit's callback.
 * - A work ends in work_finish, which runs when `open` falls to 0. Whoever needs the work to outlive a call that may finish
 *   parts raises `open` meanwhile (work_hold) and lets go with work_release. After part_done or work_release neither part nor
 *   work is to be touched.
 * - A part is owned by its work. It is linked in its destination's `ready`, or is held by exactly one client.
 * - A destination is freed from the queue's tick only, so that pointers to it are good within every callback.
 * - A client is freed by client_free only; it takes its stream along first (which releases borrowed text), then its parts
 *   are given back. Functions that may free the client say so and their callers return at once.
 * - What would call back into a caller is put off to the pump, which runs from the loop with nothing of the queue on the
 *   stack: destination_kick, queue_kick. */
#ifndef POSTERN_DELIVERY_INTERNAL_H
#define POSTERN_DELIVERY_INTERNAL_H
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "delivery/destination.h"
#include "store/store.h"

#define FILES_MAX 200            /* descriptors of large messages held */

struct queue {
    struct queue_options o;
    const struct config *config;
    struct route_table *routes;
    struct event *pump, *tick, *timer;
    bool pump_pending;
    uint64_t timer_at;                 /* wall ms the timer is set to; 0: not set */
    uint64_t wall_ms;                  /* of the last tick, to find out when the clock is set back */
    struct list homes;
    struct home *main;
    struct list all;                   /* messages, about in the order of arrival */
    uint64_t counts[MESSAGE_STATES];
    struct list due;
    struct heap heap;
    unsigned turn;                     /* whose turn it is in queue_fill */
    unsigned active, files, commits;   /* works, of these with a descriptor; commits under way */
    unsigned transfers;                /* works that are on their way into the quarantine */
    uint64_t memory;                   /* of contents held */
    struct list spare_works;
    unsigned spare_work_n;
    uint64_t copies_told_since;        /* mono ms: notify.c */
    unsigned copies_told;
    struct list signing;               /* own.c: mail of our own that waits for its signatures */
    struct list unsaved;               /* works with results that are not in the spool yet */
    struct htable destinations;
    struct list refill;                /* destinations that are up and have parked messages */
    struct list kicked;                /* destinations to dispatch from the pump */
    struct list idle;                  /* clients, the longest idle first */
    struct list pumping;               /* clients with more text to write */
    size_t collect_at;                 /* place in destinations */
    unsigned connections;
    unsigned handings;                 /* parts at the maildir process */
    struct list starved;               /* destinations that want a connection beyond connections_total */
    struct labels reasons, names;      /* of destinations */
    struct abilities *abilities;       /* ability.c; NULL: nothing was learned yet */
    struct buf scratch;
    struct list ops;                   /* control requests under way */
    uint64_t retried_at;               /* mono ms of the last retry asked for */
    int64_t wall_ahead;                /* ms by which the wall clock is ahead of the other, for what is listed; it moves by seconds only */
    uint64_t last_ms;                  /* of ids */
    unsigned id_counter;
    bool draining, dead;
    uint64_t drain_until;              /* mono ms */
    void (*on_idle)(void *arg);
    void *idle_arg;
};

void queue_kick(struct queue *q);      /* runs the pump soon, from the loop */
uint32_t queue_random(struct queue *q);
/* intake.c */
void queue_raise_id(struct queue *q, uint64_t id); /* later ids are larger, if this one is of this worker */
/* own.c */
void own_give_up_signing(struct queue *q); /* what waits for signatures is submitted without */
void own_original(struct slice address, struct buf *out); /* the original recipient (RFC 3461 §4.2) of mail of our own whose recipient was an alias */
/* control.c */
void control_forget(struct queue *q, struct message *m); /* it is about to be freed */
void control_free_all(struct queue *q);

/* ---- history.c: told to the store, if there is a history. text: the reason, or a host's reply with its code; rcpt may be empty, host NULL */
void history_tell(const struct queue *q, uint64_t id, enum history_kind kind, struct slice rcpt, struct slice text, const char *host);
void history_tell_rcpt(const struct work *w, enum history_kind kind, uint32_t rcpt, struct slice text, const char *host);
/* HISTORY_HELD, _RESUMED, _DELETED, and the same to the log: by whom (NULL: nobody is known; then `why`, which may be
 * empty). */
void history_tell_by(const struct message *m, enum history_kind kind, const char *by, struct slice why);
void history_tell_failed(const struct work *w, uint32_t rcpt, struct slice text);

/* ---- time */

/* first * 2^n up to max, a fifth more or less by `random`. */
uint64_t retry_delay(uint64_t first, uint64_t max, unsigned n, uint32_t random);
/* No retry is set so far ahead: the wall clock was wrong, then or now. */
bool queue_is_absurd(const struct queue *q, uint64_t when, uint64_t now);
void queue_fill(struct queue *q);      /* starts to load messages that are due while there is room */
void queue_arm(struct queue *q);       /* the timer for the heap's top */

#endif
