/* SPDX-License-Identifier: Apache-2.0
 * Next hops: what is ready or parked for them, their hosts, and what they publish about TLS. */
#ifndef POSTERN_DELIVERY_DESTINATION_H
#define POSTERN_DELIVERY_DESTINATION_H
#include "delivery/work.h"
#include "net/tlsa.h"
#include "route/route.h"

#define REASON_MAX LABEL_MAX

struct event;

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
    struct part *filling[4];           /* while a work is routed: with the sender as it is, and rewritten; the same of copies */
    struct route_query *query;
    struct sts *sts;                   /* its MTA-STS policy; NULL: not asked for */
    struct list handings;              /* maildir.c: parts at the maildir process */
    unsigned handing_n;
    struct asker *asker;               /* verify.c: it is asked about recipients, and no mail goes there; NULL: a next hop for mail */
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
const char *destination_name(const struct destination *d); /* the domain whose MX records lead there, or the next hop's own name */
bool destination_by_mx(const struct destination *d);
void destination_set_reason(struct destination *d, struct slice reason);
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
void targets_add_name(const struct route_target *t, struct buf *out); /* "host[ip]", printable */
void targets_add_reason(const struct route_target *t, const char *code, struct buf *out); /* "4.4.1 host[ip]: ", to go on */
void targets_forgive(struct destination *d);       /* none is bad any more */
void targets_free(struct destination *d);

/* maildir.c: mailboxes on this machine */
void maildir_dispatch(struct destination *d);      /* ready parts go to the process */
void maildir_stop(struct destination *d);          /* no answer is waited for any more; the parts are the caller's to forget */

/* verify.c: questions about recipients (verify.h). The first three are false where there is no asker. */
bool verify_waits(const struct destination *d);    /* some question has no connection */
bool verify_is_used(const struct destination *d);
void verify_refused(struct destination *d);        /* d->reason says why nobody can be asked; nothing without an asker */
bool verify_wants_connection(const struct destination *d); /* the rest: with an asker only */
void verify_down(struct destination *d, struct slice why); /* all are answered, and it is left alone for a while */
void verify_host_failed(struct destination *d);
void verify_free(struct destination *d);

/* ---- what it publishes about TLS */

/* client_dane.c: the TLSA records of a target (RFC 7672 §2.2). */
enum dane_state {
    DANE_NONE,                         /* none, or not secure: DANE does not apply */
    DANE_USABLE,
    DANE_UNUSABLE,                     /* there are some, and no use can be made of any: TLS without proof (RFC 7672 §2.2) */
    DANE_FAILED,                       /* the look-up failed: the host must not be used */
};
struct dane_records {                  /* shared by a target and its connections */
    unsigned refs;
    char base[256];                    /* the TLSA base domain */
    size_t n;                          /* at least 1 */
    struct tls_tlsa all[];
};
bool dane_ready(struct destination *d, struct target *t); /* false: a look-up is under way; it kicks d */
enum dane_state dane_get(const struct target *t); /* NONE also when nobody asked */
struct dane_records *dane_records_get(const struct target *t); /* of DANE_USABLE: a new reference */
void dane_records_put(struct dane_records **r);   /* gives it back, clears the pointer; NULL is fine */
const char *dane_failure(const struct target *t); /* of DANE_FAILED: one clause */
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
enum sts_state sts_get(const struct destination *d, const char *host); /* NONE also when nobody asked */
const char *sts_failure(const struct destination *d); /* of UNKNOWN: one clause */
void sts_free(struct destination *d);
/* A session with a host of d, when reports are wanted. failure: RFC 8460 §4.3, NULL: it went well. our: NULL: not known. */
void tls_count(const struct destination *d, const struct route_target *host, const struct ip *our,
               const struct dane_records *records, const char *failure, struct slice reason);

#endif
