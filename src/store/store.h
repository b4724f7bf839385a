/* SPDX-License-Identifier: Apache-2.0
 * The store, as a relay worker sees it: what is remembered beyond one session, by a process of its own (SQLite, one writer). Nothing
 * here blocks. Writes are told and forgotten: when the store is gone they are lost, and counted. Questions are answered within
 * 500 ms, else with STORE_GONE; at most 10,000 are under way, and 4 MiB of writes. */
#ifndef POSTERN_STORE_STORE_H
#define POSTERN_STORE_STORE_H
#include <jansson.h>
#include "base/ip.h"
#include "base/slice.h"

struct event_base;
struct store_link;
struct store_request;

/* Kinds of memory. Each holds at most store.entries; those that end soonest give way. */
enum store_space {
    STORE_GREYLIST,    /* triplet → when it came first, and last */
    STORE_AUTO_ALLOW,  /* client network and sender domain that passed the greylist */
    STORE_PAUSE,       /* clients that waited for the greeting */
    STORE_REPUTATION,  /* network → good and bad verdicts (store_count) */
    STORE_RECIPIENT,   /* recipient → what the inner server said of it */
    STORE_SPACES,
};
#define STORE_KEY_MAX 640
#define STORE_VALUE_MAX 512

struct store_link *store_link_new(struct event_base *base);
void store_link_connect(struct store_link *l, int fd); /* a channel to a (new) store; questions under way are answered GONE */
void store_link_free(struct store_link *l);            /* requests must be cancelled before; NULL is fine */
void store_link_flush(struct store_link *l);           /* sends what was gathered in this turn of the loop; the worker calls it once a turn */

enum store_status { STORE_FOUND, STORE_NONE, STORE_GONE };
struct store_answer {
    enum store_status status;
    struct slice value;          /* of FOUND; valid within the callback */
    uint64_t expires;            /* wall ms */
    double good, bad;            /* of STORE_REPUTATION, with what was forgotten taken off */
};
/* From the loop, once, never before the starter has returned; the request is gone when it returns. */
typedef void store_cb(void *arg, const struct store_answer *a);
struct store_request *store_get(struct store_link *l, enum store_space space, struct slice key, store_cb *cb, void *arg);
/* Puts the value there unless there is one; answers what was there before (FOUND), or NONE. */
struct store_request *store_put_new(struct store_link *l, enum store_space space, struct slice key, struct slice value,
                                    uint64_t expires, store_cb *cb, void *arg);
void store_cancel(struct store_request **r); /* clears the pointer; no callback after; NULL is fine */

void store_put(struct store_link *l, enum store_space space, struct slice key, struct slice value, uint64_t expires);
void store_remove(struct store_link *l, enum store_space space, struct slice key);
/* Adds to the verdicts on a network; half_life: ms after which half of them are forgotten. */
void store_count(struct store_link *l, struct slice key, unsigned good, unsigned bad, uint64_t half_life);

/* ---- the history */

enum history_kind {              /* kept on disk: new ones are appended */
    HISTORY_ACCEPTED, HISTORY_REFUSED, HISTORY_DELIVERED, HISTORY_DEFERRED, HISTORY_BOUNCED, HISTORY_DELETED,
    HISTORY_QUARANTINED,         /* it is in the quarantine now */
    HISTORY_RELEASED,            /* from there; text: the id under which it goes on, and who wanted it */
    HISTORY_DISCARDED,           /* told to be taken, and dropped; text: why */
    HISTORY_HELD,                /* it waits in the queue until somebody lets it go; text: who wanted it, or what a check said */
    HISTORY_RESUMED,             /* let go; text: by whom. So has DELETED */
    HISTORY_KINDS
};
#define HISTORY_COPY "copy"
#define HISTORY_RCPTS_KEPT 100
#define HISTORY_GIVEN_MAX 8000   /* bytes */
/* One event of a message, or an attempt that was refused. Copied. */
struct history_event {
    enum history_kind kind;
    uint64_t id;                 /* of the message; of REFUSED: the reference */
    uint64_t session;            /* 0: none */
    uint64_t when;               /* wall ms */
    struct ip client;            /* family 0: none */
    struct slice helo, sender;
    const struct slice *rcpts;   /* ACCEPTED: all (the first 100 are kept); else the one it is about. Behind an address may stand a TAB with
                                    what it is there for: HISTORY_COPY, or the address that the client wrote in its place */
    uint32_t rcpt_n;
    struct slice given;          /* ACCEPTED: addresses that became others: lines, each a TAB and one of them */
    struct slice message_id, subject;
    uint64_t size;
    int code;                    /* reply given or got; 0: none */
    struct slice text;           /* reply given (REFUSED), or got from `host` */
    struct slice host;           /* the next hop */
    struct slice trace;          /* store/trace.h; empty: none */
};
void store_history(struct store_link *l, const struct history_event *e);

#endif
