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
struct rewriter;
struct signer_keys;
struct quarantine_link;
struct store_link;
struct templates;

struct queue_options {
    struct event_base *base;
    struct stream_loop *streams;
    const struct config *config;
    struct resolver *resolver;
    struct tls_client *tls;       /* NULL: never TLS */
    struct link *auth;            /* NULL: no hop with credentials can be used */
    struct link *fetch;           /* NULL: no MTA-STS, no TLS reports */
    struct link *signer;          /* to the process that has the keys for DKIM, */
    const struct signer_keys *keys; /* of which these are known; NULL: mail of our own is not signed */
    const struct rewriter *rewriter; /* of senders; NULL: none is rewritten */
    const struct expander *expander; /* of recipients of mail of our own; NULL: they stay as they are */
    const struct templates *templates; /* of bounces; NULL: the built-in ones */
    struct store_link *store;     /* NULL: there is no history */
    struct link *maildir;         /* NULL: mail for mailboxes on this machine waits */
    struct quarantine_link *quarantine; /* NULL: what belongs there waits in the queue */
    unsigned worker;              /* 0..1023, part of ids */
};

struct queue *queue_new(const struct queue_options *o);
/* A spool to serve. The first one added takes new messages; others are adopted ones that only get emptied; an adopted spool
 * without messages is closed by the queue (spool_close), then on_empty(arg, sp) tells its owner that sp is gone and its directory may
 * be removed. All other spools stay their owner's to close, between queue_stop and queue_free. Replays it by spool_recover. */
void queue_add_spool(struct queue *q, struct spool *sp, bool adopted, void (*on_empty)(void *arg, struct spool *sp), void *arg);
/* Starts no new deliveries, new messages are still taken; on_idle comes once those under way are over (at most `ms` later). For draining. */
void queue_drain(struct queue *q, uint64_t ms, void (*on_idle)(void *arg), void *arg);
void queue_stop(struct queue *q); /* breaks off what is under way; messages stay, as their spools look at them until they are closed */
void queue_free(struct queue *q); /* stops it if need be */

uint64_t queue_new_id(struct queue *q); /* unique over workers and restarts; grows with time */

/* A message that the server has received: commits the draft and on success schedules it. cb comes from the loop with the outcome
 * (ok: on disk). The envelope is copied. */
typedef void queue_submit_cb(void *arg, bool ok, const struct err *err);
void queue_submit(struct queue *q, struct spool_draft *draft, const struct envelope *e, queue_submit_cb *cb, void *arg);
/* The same of a message that we wrote; it is signed first when there is a key for its author's domain, and goes unsigned when the signer
 * does not answer within dkim.timeout. Fills in the id (unless it has one), arrival, size, and the flags that tell of the text. False:
 * it could not be kept, and cb will not come. There is a spool for new messages. */
bool queue_submit_own(struct queue *q, struct envelope *e, struct slice text, queue_submit_cb *cb, void *arg, struct err *err) MUST_CHECK;
struct spool *queue_spool(struct queue *q); /* the one for new messages */

/* What the next hop of mail from this sender (empty: null) to a recipient takes, as its last EHLO said. False: nothing is known of it. Never blocks. Hops written in the configuration
 * are asked from time to time (delivery.probe), others are known from deliveries. */
struct hop_abilities {
    bool eight_bit, utf8, dsn, requiretls;
    uint64_t size_max;            /* 0: no limit is known */
};
bool queue_abilities(struct queue *q, struct slice sender, struct slice rcpt, struct hop_abilities *out);

/* Which way mail of this sender to this recipient goes, by the configuration (route_find); for explanations. */
struct route_hop;
bool queue_route(const struct queue *q, struct slice sender, struct slice rcpt, struct route_hop *out, struct err *err) MUST_CHECK;

/* Requests of `postern queue`: {"op": "list"|"show"|"retry"|"hold"|"release"|"delete"|"figures", "ids": [...], "sender": .., "recipient": ..,
 * "destination": .., "older_than": ms, "reason": .., "state": .., "limit": n, "after": id, "sort": .., "by": who asks, for the history}. The answer is given to `reply`,
 * from the loop, in slices of time that do not stall mail: {"messages": [...], "matched": n} or {"error": text}.
 * Addresses: "<>", "@domain", a whole address, or a part of one. destination, reason: a part. state: incoming, active, deferred, held.
 * sort: arrival (default), next, size, sender, id, attempts; "-" in front turns it round. limit: 100, at most 1000. Without ids and
 * filters all messages are meant. "retry" also lifts back-off; held messages are only freed by "release". "figures" answers
 * {"messages", "oldest": ms, "incoming", "active", "deferred", "held", "connections", "memory": n, "destinations": [{"name", "messages",
 * "connections", "state": up|idle|down|refused, "reason", "next_try"}], "reasons": [{"reason", "messages"}]}, the 100 largest. */
void queue_control(struct queue *q, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg);

#endif
