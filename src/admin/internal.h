/* SPDX-License-Identifier: Apache-2.0
 * What the files of the admin process share. */
#ifndef POSTERN_ADMIN_INTERNAL_H
#define POSTERN_ADMIN_INTERNAL_H
#include <jansson.h>
#include "admin/admin.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/list.h"

#define ADMIN_BODY_MAX (1u << 20)
#define ADMIN_LIST_MAX 1000 /* messages in one listing */

struct event;
struct admin_http;

/* ---- peers.c: the master, the workers and the store */

struct peer {
    struct list node;
    struct admin *admin;
    struct channel *channel;
    int pid;
    bool master;
};

struct admin {
    struct event_base *base;
    struct admin_http *http;
    struct peer *master, *store; /* store: NULL while there is none */
    struct list workers, asks;
    struct list bulks;           /* quarantine_bulk.c */
    struct digest *digest;       /* digest.h */
    json_int_t last_id;
    int came;                    /* within a callback of an ask: the descriptor that came with the answer, or -1 */
    bool stop;
};

/* One question to some peers. answers: array of objects, from those that answered in time; the callee's. missing: how
 * many did not. */
typedef void ask_cb(void *arg, json_t *answers, unsigned missing);
void peers_open(struct admin *a, int master_fd);
void peers_close(struct admin *a);
/* Takes `request`. The callback comes from the loop, always, after ms at the latest. */
void ask_workers(struct admin *a, json_t *request, unsigned ms, ask_cb *cb, void *arg);
void ask_worker(struct admin *a, json_t *request, unsigned ms, ask_cb *cb, void *arg); /* any one of them */
void ask_master(struct admin *a, const char *op, unsigned ms, ask_cb *cb, void *arg);
/* The same with a descriptor, which stays the caller's; -1: none. */
void ask_worker_with(struct admin *a, json_t *request, int fd, unsigned ms, ask_cb *cb, void *arg);
void ask_store(struct admin *a, json_t *request, unsigned ms, ask_cb *cb, void *arg); /* takes `request` */
#define NO_STORE "the store is not there or does not answer" /* what an ask without an answer means */
#define NO_WORKER "no relay worker has answered"
/* Within the callback: the descriptor that came with the answer, the caller's then; -1: none. One that nobody takes is closed. */
int ask_take_fd(struct admin *a);

/* ---- http.c */

struct http_request {
    struct admin *admin;
    struct MHD_Connection *connection;
    const struct route *route;
    struct slice rest;         /* of the path, where the route has an asterisk */
    struct buf body;
    int file;                  /* of routes with body_file: the body, a memfd; -1: none */
    uint64_t file_n;
    char *path;
    bool waiting;              /* suspended until http_answer */
    int status;                /* 0: not answered yet */
    json_t *answer;
    struct http_file *download; /* in place of answer */
    /* for routes that ask more than once */
    json_t *parts;
};

struct admin_http *http_open(struct admin *a, int listening, struct err *err) MUST_CHECK;
void http_close(struct admin_http **h);
/* Takes `answer`; at once or later, once a request. */
void http_answer(struct http_request *r, int status, json_t *answer);
void http_error(struct http_request *r, int status, const char *text);
/* Bytes, and behind them n bytes of fd from `at` on; takes fd. */
void http_answer_file(struct http_request *r, struct slice before, int fd, uint64_t at, uint64_t n);
/* Who is at the other end of the control socket: "uid 0". */
void http_client(struct http_request *r, char *out, size_t size);
/* The query as a request {"op": op, ...}, the caller's. NULL: it has an argument that is not among the n known ones, or a value that
 * cannot be, and r is answered. */
struct http_argument {
    const char *name;
    bool number;
    bool selects; /* of listings: narrows what is meant, rather than how it is shown */
};
json_t *http_arguments(struct http_request *r, const char *op, const struct http_argument *known, size_t n);
void http_bad_argument(struct http_request *r); /* that answer */

/* ---- routes.c */

struct route {
    const char *method, *path; /* an asterisk in it stands for one segment */
    void (*serve)(struct http_request *r);
    const char *help;
    bool body_file;            /* the body goes into a file, and may be large */
};
/* NULL: *status is 404 or 405. */
const struct route *api_route_find(const char *method, struct slice path, struct slice *rest, int *status);

/* ---- trace.c */
void trace_serve(struct http_request *r);

/* ---- tables.c */
void tables_serve_list(struct http_request *r);
void tables_serve_show(struct http_request *r);
void tables_serve_query(struct http_request *r);
void tables_serve_refresh(struct http_request *r);

/* ---- quarantine.c, quarantine_bulk.c */
void quarantine_serve_list(struct http_request *r);
void quarantine_serve_show(struct http_request *r);
void quarantine_serve_view(struct http_request *r);
void quarantine_serve_raw(struct http_request *r);
void quarantine_serve_change(struct http_request *r);  /* release, delete, train: the route's last word */
void quarantine_serve_learn(struct http_request *r);
/* To this recipient alone. done, from the loop: the answer of POST /v1/quarantine/release, which is not the callee's. */
void quarantine_release_one(struct admin *a, const char *id, const char *recipient, const char *by, void (*done)(void *arg, json_t *answer),
                            void *arg);
extern const struct http_argument quarantine_filters[];
extern const size_t quarantine_filter_n;

/* ---- digest.c */
void digest_open(struct admin *a);
void digest_close(struct admin *a);
bool digest_on_master(struct admin *a, const json_t *m, int fd); /* false: it is not about digests, and fd is the caller's */
bool digest_may_release(const json_t *message); /* by its recipient */
void digest_serve_show(struct http_request *r);
void digest_serve_send(struct http_request *r);

#endif
