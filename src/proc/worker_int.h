/* SPDX-License-Identifier: Apache-2.0
 * What the files of a relay worker share. */
#ifndef POSTERN_PROC_WORKER_INT_H
#define POSTERN_PROC_WORKER_INT_H
#include <jansson.h>
#include "base/channel.h"
#include "base/link.h"
#include "base/list.h"
#include "delivery/queue.h"
#include "proc/worker.h"
#include "server/server.h"

struct event;

struct worker_socket {
    size_t listener, socket; /* as the master counts them */
    int fd;
};

struct worker_spool {
    struct list node;
    int n;
    bool adopted;
    struct spool *spool;
};

struct worker {
    const struct worker_start *start;
    const struct config *config;
    struct event_base *base;
    struct stream_loop *streams;
    struct resolver *resolver;
    struct queue *queue;             /* NULL until there is a spool */
    struct server *server;
    struct provider_keeper *providers; /* NULL: no zone names one */
    struct link *auth, *fetch, *signer, *scan, *tables, *maildir; /* to the helper processes */
    json_t *scan_state;              /* what the scan process last said of itself and the scanners; NULL: nothing yet */
    json_t *table_state;             /* the same of the tables process: how their sources are */
    struct store_link *store;
    struct quarantine_link *quarantine;
    struct list files;               /* worker_quarantine.c: requests about a file */
    struct policy_engine *policy;
    struct doctor *doctor;           /* NULL until there is a spool */
    int column;                      /* of the shared counts; -1: none */
    struct channel *master, *admin;
    unsigned admin_count;            /* tells a new admin process's channel from the former one's */
    struct list requests;            /* of the admin process, not answered yet */
    struct list spools;
    struct worker_socket *sockets;
    size_t socket_n;
    struct event *terminate, *deadline;
    uint64_t started;                /* monotonic ms */
    bool draining, server_idle, queue_idle, stop;
    int exit_code;
};

/* worker_mail.c; arg: the worker */
void worker_alarm(void *arg, const char *check, const char *text); /* something the postmaster must be told, by log and by mail */
void worker_on_fetch_message(void *arg, const json_t *m);          /* a report to send */
void worker_on_scan_message(void *arg, const json_t *m);           /* how the scanners are */
/* queue_submit_own for the zone internet; false also when nothing can be taken now. */
bool worker_submit(struct worker *w, struct envelope *e, struct slice text, queue_submit_cb *cb, void *arg, struct err *err) MUST_CHECK;

/* worker_control.c: requests of the admin process */
void worker_control_open(struct worker *w, int fd);
void worker_control_free(struct worker *w);

/* What `postern status` tells of this worker; takes `queue`, the queue's figures. */
json_t *worker_status(const struct worker *w, json_t *queue);

/* worker_doctor.c: requests as doctor/doctor.h says. False: it is none of these. */
void worker_doctor_open(struct worker *w);
bool worker_doctor_request(struct worker *w, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg);

/* worker_quarantine.c: requests with a descriptor, which is taken. reply: from the loop or at once. False: it is none of these.
 *   {"op": "quarantine-release", "numbers"?: [..]} + file of the quarantine: on its way to these recipients, or all; answered when it is on
 *       disk, {"id": the id under which it goes on, "recipients": how many, "proven": SPF proved the sender}
 *   {"op": "quarantine-details"} + file: {"headers": [[name, value] ..], "findings", "trace", "proven", "helo", "zone", "account"}
 *   {"op": "quarantine-view"} + file: {"view": as of scan_view}
 *   {"op": "quarantine-train", "as": "spam" | "ham" | "forget"} + file; {"op": "learn", "as"} + file that is a message: {"learnt": true}
 *   {"op": "scan"} + file that is a message: report_to_people; {"op": "view"} + the same: {"view": as of scan_view}
 * What cannot be done: {"error": text} */
bool worker_file_request(struct worker *w, const json_t *request, int fd, void (*reply)(void *arg, json_t *answer), void *arg);
void worker_file_requests_free(struct worker *w);

/* worker_tables.c: what the tables process says; what a status tells of tables; and requests:
 *   {"op": "table-list"}: {"generation", "tables": [as of readers_state, with "known": there is a block]}
 *   {"op": "table-show", "name", "use"?, "after"?, "limit"?}: {"table", "entries": [{"entry", "value", "comment", "reason", "line", "file"}], "next"?}
 *   {"op": "table-query", "name", "use"?, "key"}: {"tables": [{..., "found"? or "problem"?}]}
 *   {"op": "table-refresh", "name"?}: {"asked": true}
 * What cannot be done: {"error": text}. False: it is none of these. */
void worker_on_table_message(void *arg, const json_t *m);
void worker_add_tables(const struct worker *w, json_t *answer);
bool worker_table_request(struct worker *w, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg);

/* worker_digest.c: {"op": "digest-mail", "to", "count", "messages": [{"kind", "sender", "subject", "stored", "expires", "link"?}]}: the digest is
 * written and sent; answered when it is on disk, {"id"}, or {"skipped": true}: nobody there gets any, or {"error"}. False: it is no such
 * request. */
bool worker_digest_request(struct worker *w, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg);

/* worker_test.c: {"op": "test-message", "to", "from"?: the postmaster}: a short message is written and sent, to and from addresses of our
 * own alone; answered when it is on disk, {"id"}, or {"error"}. False: it is no such request. */
bool worker_test_request(struct worker *w, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg);

#endif
