/* SPDX-License-Identifier: Apache-2.0
 * What the files of the dispatcher share. It never looks at a message's bytes. */
#ifndef POSTERN_SCAN_DISPATCH_H
#define POSTERN_SCAN_DISPATCH_H
#include <sys/types.h>
#include "base/ip.h"
#include "proc/helper.h"
#include "proc/restart.h"
#include "scan/scanning.h"

#define SCAN_CRASHES_MAX 2   /* a message that ended so many children is given to no other */

struct breaker;

/* A message that waits for a child, or has one. */
struct job {
    struct list node;            /* in process->waiting; not of one that a child has */
    struct peer *peer;           /* NULL: gone */
    json_int_t id;               /* the worker's */
    json_t *frame;               /* as the worker sent it */
    int fd;
    uint64_t size;
    uint64_t expires;            /* mono ms: nobody waits for it after that */
    struct ip client;            /* who brought it, of IPv6 the /64; family 0: not known, or not said */
    uint64_t begun;              /* mono ms: when the child got it */
    unsigned crashes;
    bool scans;                  /* else it is looked at, or learnt */
    bool asked;                  /* by somebody for himself: no mail waits for it */
};

/* A child. */
struct runner {
    struct process *process;
    unsigned number;
    pid_t pid;                   /* 0: none */
    struct channel *channel;
    struct job *job;
    json_int_t id;               /* of the job, as this child knows it */
    struct event *timer;         /* ends what takes too long; while there is none: starts another */
    struct restart restart;
    uint64_t started;            /* mono ms */
    bool ready, late;            /* late: killed for the time it took */
};

struct process {
    struct helper_process helper;
    struct scanning *scanning;   /* inherited by children */
    struct runner *runners;
    unsigned runner_n;
    struct list waiting;
    size_t waiting_n, waiting_max;
    uint64_t waiting_bytes;
    json_int_t last_id;
    struct breaker *breaker;
    struct event *tick;
    char *told;                  /* the state as workers know it */
    char trouble[REPORT_TEXT_MAX + 1]; /* why there is no classifier; empty: there is one, or none is wanted */
    char failure[REPORT_TEXT_MAX + 1]; /* why the last child that did not begin did not; empty: one has begun since */
    uint64_t messages, crashes, timeouts, refused;
};

struct peer {
    struct helper_peer helper;
    bool told;                   /* it knows the state */
};

static inline struct process *process_of(struct helper_process *p) { return container_of(p, struct process, helper); }

/* ---- queue.c */
/* Takes the job; one that does not fit is answered. What people ask for has a part of the room. */
void queue_take(struct process *p, struct job *j);
void queue_again(struct process *p, struct job *j);  /* to the front */
/* Whose message has been looked into for a second gets no other child while somebody else's could have it, and nobody has more than half
 * of the children while others wait. What people ask for comes after all mail, and never has more than half of them. NULL: none that may
 * begin now. */
struct job *queue_next(struct process *p);
struct ip queue_client(const json_t *context);       /* of a job with this context */
void queue_expire(struct process *p);                /* those that have waited too long, though no child may be there */
void queue_cancel(struct process *p, const struct peer *peer, json_int_t id); /* nobody waits for it any more */
void queue_forget_peer(struct process *p, const struct peer *peer);
/* Answers its worker (takes m) and frees it. */
void job_end(struct job *j, json_t *m);
void job_fail(struct job *j, const char *error);

/* ---- runners.c */
void runners_start(struct process *p);
void runners_work(struct process *p);                /* gives jobs to whoever is free */

/* ---- breaker.c: scanners that fail again and again are left alone for a while */
struct breaker *breaker_new(const struct config *c);
void breaker_free(struct breaker *b);
/* The names of those that are not to be asked; some that are on trial are given to this runner alone. */
json_t *breaker_down(struct breaker *b, const struct runner *r);
void breaker_take(struct breaker *b, const json_t *report); /* what a report says of scanners */
void breaker_release(struct breaker *b, const struct runner *r); /* it has ended with its message, or at all */
json_t *breaker_state(const struct breaker *b);

/* ---- child.c */
struct scan_child {
    const struct config *config;
    struct scanning *scanning;
    int channel;
    unsigned number;
    pid_t parent;
};
_Noreturn void scan_child_main(const struct scan_child *c);
bool scan_uses_network(const struct config *c);
bool scan_runs_programs(const struct config *c);

#endif
