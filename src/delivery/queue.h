/* SPDX-License-Identifier: Apache-2.0
 * The queue of one worker: what is in the spool, when each recipient is tried next, and the deliveries under way. */
#ifndef POSTERN_DELIVERY_QUEUE_H
#define POSTERN_DELIVERY_QUEUE_H
#include <jansson.h>
#include "config/config.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "spool/envelope.h"
#include "spool/spool.h"

struct queue;

struct queue_options {
    struct event_base *base;
    struct stream_loop *streams;
    const struct config *config;
    struct resolver *resolver;
    struct ssl_ctx_st *client_tls;
    unsigned worker;              /* 0..1023, part of ids */
};

struct queue *queue_new(const struct queue_options *o);
/* A spool to serve. The first one added takes new messages; others are adopted ones that only get emptied; an adopted spool
 * without messages is closed, and on_empty(arg, sp) called so that its directory may be removed. Replays it by spool_recover. */
void queue_add_spool(struct queue *q, struct spool *sp, bool adopted, void (*on_empty)(void *arg, struct spool *sp), void *arg);
/* Starts no new deliveries; on_idle comes once those under way are over (at most `ms` later). For draining. */
void queue_drain(struct queue *q, uint64_t ms, void (*on_idle)(void *arg), void *arg);
void queue_free(struct queue *q); /* breaks off what is under way */

uint64_t queue_new_id(struct queue *q); /* unique over workers and restarts; grows with time */

/* A message that the server has received: commits the draft and on success schedules it. cb comes from the loop with the outcome
 * (ok: on disk). The envelope is copied. */
typedef void queue_submit_cb(void *arg, bool ok, const struct err *err);
void queue_submit(struct queue *q, struct spool_draft *draft, const struct envelope *e, queue_submit_cb *cb, void *arg);
struct spool *queue_spool(struct queue *q); /* the one for new messages */

/* Requests of `postern queue`: {"op": "list"|"show"|"retry"|"hold"|"release"|"delete"|"figures", "ids": [...], "sender": .., "recipient": ..,
 * "destination": .., "older_than": ms, "reason": .., "state": .., "limit": n, "after": id, "sort": ..}. The answer is given to `reply`,
 * from the loop, in slices of time that do not stall mail: {"messages": [...], "matched": n} or {"error": text}. */
void queue_control(struct queue *q, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg);

#endif
