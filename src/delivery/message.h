/* SPDX-License-Identifier: Apache-2.0
 * What is kept in memory of each message in the spool, and the heap of those that wait for a moment. */
#ifndef POSTERN_DELIVERY_MESSAGE_H
#define POSTERN_DELIVERY_MESSAGE_H
#include "base/list.h"
#include "delivery/label.h"
#include "delivery/queue.h"

enum message_state {
    MESSAGE_INCOMING,            /* being written to disk */
    MESSAGE_DUE,                 /* in queue.due */
    MESSAGE_ACTIVE,              /* has a work */
    MESSAGE_DEFERRED,            /* in the heap by next_try */
    MESSAGE_PARKED,              /* in its destination's list, and in the heap for its warning or the end of its life */
    MESSAGE_HELD,
    MESSAGE_STATES
};

enum message_flag {
    MESSAGE_WARNED = 1,          /* the sender knows of the delay */
    MESSAGE_HOLD = 2,            /* to be held when its work ends */
    MESSAGE_DELETE = 4,          /* to be removed when its work ends */
    MESSAGE_FORCE = 8,           /* asked for by an administrator: back-off of its destination is lifted */
    MESSAGE_OURS = 16,           /* a bounce or notice made here */
    MESSAGE_QUIET = 32,          /* nobody is warned of a delay */
};

enum rcpt_status {
    RCPT_PENDING,
    RCPT_DELIVERED,
    RCPT_FAILED,                 /* a bounce is owed */
    RCPT_CLOSED,                 /* failed, and that was told, or nobody wants to know */
    RCPT_RELAYED,                /* delivered to a server without DSN; the sender is owed a report of it */
    RCPT_STATUSES
};

struct rcpt_memory {
    struct label *reason;
    enum rcpt_status status;
};

struct home {                    /* a spool and its share of the queue */
    struct list link;
    struct queue *q;
    struct spool *sp;
    uint64_t messages;
    unsigned loads;
    bool adopted, recovered;
    void (*on_empty)(void *arg, struct spool *sp);
    void *arg;
};

struct message {
    struct spool_msg spool;
    struct list all;
    struct list link;            /* in queue.due or destination.parked */
    struct home *home;
    struct work *work;           /* incoming and active */
    struct destination *dest;    /* parked */
    struct label *reason, *where;/* last reason, destination's name; NULL until the first attempt failed */
    struct rcpt_memory *rcpts;   /* rcpt_n; NULL: all pending for `reason` */
    uint64_t arrival, next_try;  /* wall ms */
    uint32_t heap_at;            /* its place in the heap + 1; 0: not there */
    uint32_t rcpt_n;
    uint16_t attempts;
    uint8_t state, flags;
};

struct message *message_new(struct home *h, uint64_t id, const struct envelope *e);
void message_become(struct message *m, enum message_state state); /* takes it out of heap and lists first */
void message_free(struct message *m);
void message_done(struct message *m);                             /* spool_done and message_free */
void message_set_reason(struct message *m, struct slice reason, struct slice where);
void message_clear_rcpts(struct message *m);
void message_save(struct message *m);                             /* its state to the spool */
void message_due(struct message *m);                              /* to be worked on as soon as there is room */
void message_defer(struct message *m, uint64_t when);
void message_hold(struct message *m);
uint64_t message_end(const struct message *m);                    /* wall ms of the end of its life */

/* state.c: what is kept with a message in the spool. */
void state_encode(const struct message *m, struct buf *out);
/* Fills m from what state_encode wrote; false (m unchanged but for what does no harm) when it is not that. */
bool state_decode(struct slice in, struct message *m, struct labels *reasons, struct labels *names);

/* ---- the heap */

struct heap_slot {
    uint64_t when;
    struct message *m;
};
struct heap {
    struct heap_slot *slots;
    size_t n, cap;
};
void heap_put(struct heap *h, struct message *m, uint64_t when); /* m is not in it */
void heap_remove(struct heap *h, struct message *m);             /* nothing if it is not in it */

#endif
