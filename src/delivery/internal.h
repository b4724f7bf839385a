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
#include "base/list.h"
#include "base/log.h"
#include "delivery/label.h"
#include "delivery/queue.h"
#include "route/route.h"
#include "smtp/reply.h"

struct event;

#define REASON_MAX LABEL_MAX
#define PART_TRIES 3             /* connections a part may lose before it is deferred */
#define BAD_SESSIONS 5           /* sessions in a row that ended without any result: the destination is down */
#define FILES_MAX 200            /* descriptors of large messages held */

/* ---- messages */

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

/* ---- time */

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

/* first * 2^n up to max, a fifth more or less by `random`. */
uint64_t retry_delay(uint64_t first, uint64_t max, unsigned n, uint32_t random);
/* No retry is set so far ahead: the wall clock was wrong, then or now. */
bool queue_is_absurd(const struct queue *q, uint64_t when, uint64_t now);
void queue_fill(struct queue *q);      /* starts to load messages that are due while there is room */
void queue_arm(struct queue *q);       /* the timer for the heap's top */

/* ---- the queue */

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
    uint64_t memory;                   /* of contents held */
    struct list spare_works;
    unsigned spare_work_n;
    struct list unsaved;               /* works with results that are not in the spool yet */
    struct htable destinations;
    struct list refill;                /* destinations that are up and have parked messages */
    struct list kicked;                /* destinations to dispatch from the pump */
    struct list idle;                  /* clients, the longest idle first */
    struct list pumping;               /* clients with more text to write */
    size_t collect_at;                 /* place in destinations */
    unsigned connections;
    struct list starved;               /* destinations that want a connection beyond connections_total */
    struct labels reasons, names;      /* of destinations */
    struct abilities *abilities;       /* ability.c; NULL: nothing was learned yet */
    struct buf scratch;
    struct list ops;                   /* control requests under way */
    uint64_t retried_at;               /* mono ms of the last retry asked for */
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
/* control.c */
void control_forget(struct queue *q, struct message *m); /* it is about to be freed */
void control_free_all(struct queue *q);

/* ---- works */

struct work_rcpt {
    struct label *reason;
    uint32_t next;                     /* of the same part; UINT32_MAX ends */
    uint8_t status;                    /* enum rcpt_status */
    bool settled;                      /* has a result of this attempt */
    bool later;                        /* the server takes no more recipients in the transaction under way */
};

struct work {
    struct list link;                  /* spare, or unsaved */
    struct queue *q;
    struct message *m;
    struct arena arena;
    struct envelope env;
    struct spool_content *content;
    struct spool_load *load;
    uint64_t memory;                   /* its share of queue.memory */
    struct work_rcpt *rcpts;
    struct list parts;
    unsigned open;                     /* parts, and holds */
    struct destination *from;          /* it was parked there, and counts in its loading_n, */
    uint64_t from_bytes;               /* and for so much in its bytes */
    struct destination *blocked;       /* some part could not be tried: that one is down or full; counted in its waiting_n */
    bool deferred;                     /* some recipient was tried and deferred */
    bool counted;                      /* in queue.active */
    bool owed;                         /* a bounce could not be written */
    bool header_known, header_8bit;    /* the text's header was looked at, and has 8-bit bytes: client_utf8.c */
    bool warned;                       /* a warning was tried in this attempt */
    bool file;                         /* it has a descriptor, or will have one when it is loaded: counted in queue.files */
    uint64_t notice_id;                /* of the bounce being written */
    void (*on_told)(struct work *w, bool ok);
    uint64_t began;                    /* mono ms */
    queue_submit_cb *cb;               /* while incoming */
    void *arg;
};

struct part {
    struct list sibling;               /* of work.parts */
    struct list link;                  /* of destination.ready */
    struct work *work;
    struct destination *dest;
    uint32_t first, last, n;           /* recipients */
    unsigned tries;
    unsigned rounds;                   /* transactions its recipients were left over from */
    uint64_t ready_at;                 /* mono ms */
    uint64_t bytes;                    /* its share of destination.bytes */
};

struct work *work_new(struct queue *q, struct message *m);
void work_free(struct work *w);                    /* lets go of content; detaches from the message */
void work_count(struct work *w);                   /* it takes one of queue.active */
bool work_set_content(struct work *w, struct spool_content *c, struct err *err) MUST_CHECK; /* takes c */
void work_load(struct message *m, struct destination *from); /* reads the message, then works on it */
void work_begin(struct work *w);                   /* routes; may end the work */
static inline void work_hold(struct work *w) { w->open++; }
void work_release(struct work *w);                 /* may end the work */
void work_save(struct work *w);                    /* what became of its recipients until now, to the spool */
void work_cancel_ready(struct work *w);            /* parts nobody sends yet are given up; may end the work */
void work_finish(struct work *w);                  /* result.c */

#define PART_EACH(i, p) for (uint32_t i = (p)->first; i != UINT32_MAX; i = (p)->work->rcpts[i].next)
/* What became of a recipient. reason as in reason.h; empty for delivered. */
void part_result(struct part *p, uint32_t i, enum rcpt_status status, struct slice reason);
void part_result_all(struct part *p, enum rcpt_status status, struct slice reason); /* all without a result yet */
uint32_t part_unsettled(const struct part *p);     /* how many have none */
void part_done(struct part *p);                    /* its attempt is over */
void part_drop_settled(struct part *p);            /* they are no recipients of it any more */
/* The unsettled recipients marked `later`, or those beyond the first `most` when it is not 0, become a part of their own, which is ready at
 * once. Those left may be none. */
void part_split(struct part *p, uint32_t most);
void part_blocked(struct part *p);                 /* could not be tried */

/* notify.c: tells the sender (or the postmaster) of the first NOTICE_RCPTS failed recipients, which are closed then, or of the delay.
 * cb comes from the loop, or at once when there is nobody to tell. ok: it is on disk. The caller keeps a hold on w. */
#define NOTICE_RCPTS 500
void notify_failed(struct work *w, void (*cb)(struct work *w, bool ok));
void notify_delayed(struct work *w, void (*cb)(struct work *w, bool ok));
void notify_relayed(struct work *w, void (*cb)(struct work *w, bool ok)); /* as notify_failed, for RCPT_RELAYED */

/* ---- destinations */

struct target {
    struct route_target t;
    uint64_t bad_until;                /* mono ms */
    bool unfit;                        /* bad for want of what REQUIRETLS asks for, which no retry mends */
    uint64_t no_tls_until;             /* mono ms; TLS failed, and mail goes without */
    struct dane *dane;                 /* its TLSA records; NULL: not asked for yet */
};

struct destination {
    struct queue *q;
    uint64_t hash;
    struct route_hop hop;
    struct list ready, parked, clients, idle;
    unsigned ready_n, loading_n, client_n, idle_n, connecting_n;
    unsigned waiting_n;                /* works that are parked here when all of their parts are over */
    uint64_t bytes;                    /* what parts and loading ones take of queue.memory, descriptors as a share of it */
    unsigned soon_n;                   /* clients that can take a part with the text they are about to send */
    uint64_t turn_us;                  /* how long the last group of commands took */
    uint64_t parked_n;
    struct list refill, kicked, starved; /* links */
    struct part *filling;              /* while a work is routed */
    struct route_query *query;
    struct sts *sts;                   /* its MTA-STS policy; NULL: not asked for */
    struct target *targets;
    size_t target_n;
    bool secure;                       /* how the hosts' names were found is DNSSEC validated, or the configuration names them */
    uint64_t targets_until;            /* mono ms */
    struct event *timer;               /* back-off, or ready parts waited too long */
    bool blocked, probing, refused;    /* refused: its DNS says no mail (reason); messages fail */
    bool impatient;
    unsigned failures, bad_sessions;
    uint64_t failed_at, retry_at;      /* mono ms */
    uint64_t asked_until;              /* mono ms: a connection is opened without mail, to learn what is offered: ability.c */
    uint64_t connect_after;            /* mono ms: no more connections than there are until then */
    uint64_t idle_since;               /* mono ms, of its last use */
    char reason[REASON_MAX + 1];
};

uint64_t destination_hash(const void *item);
void destination_on_timer(int fd, short what, void *arg); /* dispatch.c */
struct destination *destination_get(struct queue *q, const struct route_hop *hop);
void destination_add(struct part *p);              /* may finish the part */
void destination_requeue(struct part *p);          /* from a client that lost its connection */
struct part *destination_take(struct destination *d); /* the next part for a client, or NULL */
void destination_unready(struct part *p);          /* out of the ready list */
void destination_park(struct destination *d, struct message *m);
void destination_unpark(struct message *m);
uint64_t destination_weight(const struct queue *q, uint64_t memory, bool file); /* in destination.bytes */
bool destination_has_room(const struct destination *d);
void destination_want(struct destination *d);      /* puts it on queue.refill if there is cause */
void destination_dispatch(struct destination *d);
void destination_kick(struct destination *d);      /* dispatch soon, from the pump */
void destination_retry_now(struct destination *d); /* lifts the back-off */
void destination_block(struct destination *d, struct slice reason);
void destination_collect(struct queue *q);         /* frees those without use */
void destination_free(struct destination *d);
/* A connection's end before it could be used (tls: the handshake failed), its coming to stand, and its end without any result. */
void destination_connect_failed(struct destination *d, const struct route_target *host, bool tls, struct slice reason);
void destination_connected(struct destination *d);
void destination_session_failed(struct destination *d, struct slice reason);
void destination_client_gone(struct destination *d, bool usable);
void destination_wake_starved(struct queue *q);    /* a connection may be had: the next one that wants it is tried */
/* targets.c */
bool targets_ready(struct destination *d);         /* else a look-up is under way, which dispatches */
bool targets_pick(struct destination *d, uint64_t now, size_t *at);
struct target *targets_find(struct destination *d, const struct route_target *host);
void targets_forgive(struct destination *d);       /* none is bad any more */
void targets_free(struct destination *d);

/* ---- clients */

enum client_stage {
    CLIENT_CONNECT, CLIENT_GREETING, CLIENT_EHLO, CLIENT_HELO, CLIENT_STARTTLS, CLIENT_TLS, CLIENT_AUTH,
    CLIENT_IDLE,                       /* no transaction is being set up */
    CLIENT_MAIL, CLIENT_RCPT, CLIENT_DATA, /* the reply that is awaited for `sending`, after that for `ending` */
};

struct client {
    struct queue *q;
    struct destination *d;
    struct stream *s;
    struct list link, idle_link, lru_link, pump_link;
    uint64_t idle_since;               /* mono ms */
    struct route_target host;
    char name[224];                    /* "host[ip]", printable: for logs and reasons */
    enum client_stage stage;
    bool *gone;                        /* set when c is freed, for whoever is on the stack */
    bool usable;                       /* greeting and EHLO are done */
    bool no_tls;
    bool pipelining, has_size, eight_bit, starttls, dsn, utf8, requiretls; /* of the last EHLO reply */
    uint64_t size_max;
    uint32_t rcpt_max, mail_max;       /* LIMITS (RFC 9422); 0: none */
    struct auth_exchange *auth;        /* client_auth.c */
    struct client_sasl *sasl;          /* the same: what is under way; NULL: nothing */
    bool authenticated;
    struct tls_state *tls;             /* client_tls.c: what was asked of TLS and what came of it; NULL: nothing */
    struct part *sending, *ending;     /* MAIL..DATA is under way for the one; the other's text is sent or being sent */
    uint32_t rcpt;                     /* recipient whose RCPT is answered next */
    uint32_t accepted;
    bool mail_refused;
    bool left_over;                    /* some recipients wait for another transaction */
    bool transaction;                  /* MAIL was accepted and neither text nor RSET ended it */
    bool rset_awaited;
    bool nothing_sent;                 /* `ending` had no recipients left: a lone dot went out */
    bool texting;                      /* the text of `ending` is not all written */
    bool worked;                       /* some transaction came to a result */
    unsigned borrowed;                 /* pieces of text the stream holds */
    size_t behind_text;                /* bytes written behind the text of `ending`: the next group of commands */
    unsigned messages, mails;          /* sent; MAIL commands */
    uint64_t turn_at;                  /* mono us: MAIL of `sending` was written */
    uint64_t text_at;                  /* bytes of text written */
    bool line_start;
    char *chunk;                       /* for stuffing dots */
    struct convert *convert;           /* the text under way is made 7-bit */
    struct buf converted;              /* and this piece of it is being sent */
    struct reply_reader reply;
};

/* client_dane.c: the TLSA records of a target (RFC 7672 §2.2). */
enum dane_state {
    DANE_NONE,                         /* none, or not secure: DANE does not apply */
    DANE_USABLE,
    DANE_UNUSABLE,                     /* there are some, and no use can be made of any: TLS without proof (RFC 7672 §2.2) */
    DANE_FAILED,                       /* the look-up failed: the host must not be used */
};
struct tls_tlsa;
bool dane_ready(struct destination *d, struct target *t); /* false: a look-up is under way; it kicks d */
/* After dane_ready. base: the TLSA base domain; records are valid until the loop turns; failure: one clause. */
enum dane_state dane_get(const struct target *t, const char **base, const struct tls_tlsa **records, size_t *n, const char **failure);
void dane_move(struct target *from, struct target *to); /* what is known, when they are the same host */
void dane_free(struct target *t);

/* client_sts.c: the MTA-STS policy of a destination (RFC 8461), and counting for TLS reports. */
enum sts_state {
    STS_STATE_NONE,                    /* no policy */
    STS_STATE_UNKNOWN,                 /* nobody can tell at the moment */
    STS_STATE_ENFORCED,                /* this host is covered: it must prove its name */
    STS_STATE_FORBIDDEN,               /* this host is none of the policy's */
    STS_STATE_TESTING, STS_STATE_TESTING_OTHER, /* the same in mode testing: counted only */
};
bool sts_ready(struct destination *d); /* false: a look-up is under way; it kicks d */
enum sts_state sts_get(const struct destination *d, const char *host, const char **failure); /* failure: one clause, of UNKNOWN */
void sts_free(struct destination *d);
/* A session with a host of d, when reports are wanted. failure: RFC 8460 §4.3, NULL: it went well. our: NULL: not known. */
void tls_count(const struct destination *d, const struct route_target *host, const struct ip *our, const struct tls_tlsa *records,
               size_t n, const char *failure, struct slice reason);

/* client_tls.c: what must hold of TLS on a connection, and whether it held. */
enum tls_need { TLS_NEVER, TLS_MAY, TLS_MUST };
/* May it still have to look something up? Then it calls destination_kick when it knows, and false is returned. Called before
 * a connection is opened. */
bool client_tls_ready(struct destination *d, struct target *target);
/* After client_tls_ready. False: what is asked of TLS cannot hold there, so it must not be connected to; why: a reason. */
bool client_tls_allowed(struct destination *d, const struct target *target, struct buf *why);
void client_tls_open(struct client *c, const struct target *target); /* for a new client */
enum tls_need client_tls_need(const struct client *c);
bool client_tls_implicit(const struct client *c);  /* TLS from the first byte */
/* 220 came to STARTTLS, or TLS is implicit. False with a reason: it cannot even be tried. */
bool client_tls_start(struct client *c, struct buf *reason) MUST_CHECK;
bool client_tls_proven(const struct client *c, struct buf *reason); /* after the handshake: false: this host must not be used */
void client_tls_count(const struct client *c, const char *failure, struct slice reason); /* NULL: as it turned out */
bool client_tls_verified(const struct client *c);  /* encrypted, and it is proven who it is (RFC 8689 §4.2.1) */
const char *client_tls_proof(const struct client *c); /* "dane", "verified", "none": for logs */
void client_tls_add_failure(const struct client *c, struct buf *out); /* why a handshake failed, when it was a proof; else nothing */
void client_tls_add_cause(const struct client *c, struct buf *out);   /* " (tls: verify)", " (it has TLSA records)", or nothing */
void client_tls_free(struct client *c);
/* client_auth.c: AUTH towards the hop. May free c. */
bool client_auth_wanted(const struct client *c);
void client_auth_start(struct client *c);          /* sends AUTH; goes on to client_usable, or fails */
void client_auth_reply(struct client *c);
void client_auth_cancel(struct client *c);
void client_usable(struct client *c);              /* client_hello.c: mail may go */
bool client_open(struct destination *d, struct target *target, struct err *err) MUST_CHECK;
void client_next(struct client *c);                /* takes the next part, or goes idle, or quits; may free c */
void client_set_sending(struct client *c, struct part *p); /* NULL: none */
void client_quit(struct client *c);                /* QUIT; frees c; it has no parts */
void client_free(struct client *c);                /* no parts may be left */
/* The session is of no use any more: parts are requeued or deferred for this reason, c is freed. */
void client_fail(struct client *c, const char *what);
void client_fail_reply(struct client *c);          /* the same, for the reply at hand */
/* A session that stands, with a server that lacks what its mail must have (RFC 8689 §4.2.1): QUIT; the next host's turn. */
void client_fail_unfit(struct client *c, const char *what);
/* The same while TLS is being set up: `code` (RFC 3463) and what went wrong; why TLS must be is added. */
void client_fail_tls(struct client *c, const char *code, struct slice what);
void client_add_reason(const struct client *c, struct buf *out); /* of the reply at hand */
void client_log(const struct client *c, const struct part *p, const char *event, uint32_t rcpt, uint32_t n, struct slice reply);
/* The reply at hand decides all of p's recipients without a result, and is logged. */
void client_decide(struct client *c, struct part *p);
/* client_hello.c: from the greeting to a usable session. May free c. */
void client_hello_reply(struct client *c);
void client_hello_start(struct client *c);         /* EHLO */
void client_hello_tls(struct client *c);           /* begins the handshake */
/* client_mail.c: one transaction. May free c. */
bool client_mail_start(struct client *c, struct part *p); /* false: the part was finished without being sent */
void client_mail_reply(struct client *c);
void client_dot_reply(struct client *c);
void client_set_deadline(struct client *c);        /* for the reply that comes next */
bool client_converts(const struct client *c, const struct work *w); /* the text is made 7-bit for this server (RFC 6152 §3) */
/* client_utf8.c: internationalized mail (RFC 6531) to servers that may not take it. */
/* Why this server cannot have the message at all, or not for one recipient; NULL: it can. Text as in reason.h. */
const char *client_utf8_refuses(const struct client *c, struct work *w);
const char *client_utf8_refuses_rcpt(const struct client *c, struct slice rcpt);
void client_utf8_add_address(const struct client *c, struct slice address, struct buf *out); /* in the form the server takes */
/* client_dsn.c: delivery status notifications (RFC 3461). */
bool dsn_wanted(const struct work *w, uint32_t i, enum envelope_notify what); /* is the sender told that of recipient i? */
void client_dsn_add_mail(const struct client *c, const struct work *w, struct buf *out);
void client_dsn_add_rcpt(const struct client *c, const struct work *w, uint32_t i, struct buf *out);
void client_dsn_relayed(struct client *c, struct part *p); /* 2xx to the text: who is owed a report of that is settled */
/* ability.c */
void ability_learn(const struct client *c);        /* EHLO said all it will say */
void ability_free(struct queue *q);
/* client_text.c. May free c. */
void client_text_start(struct client *c);
void client_text_more(struct client *c);

#endif
