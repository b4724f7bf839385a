/* SPDX-License-Identifier: Apache-2.0
 * What the files of the admin process share. */
#ifndef POSTERN_ADMIN_INTERNAL_H
#define POSTERN_ADMIN_INTERNAL_H
#include <jansson.h>
#include "admin/admin.h"
#include "admin/identity.h"
#include "admin/routes.h"
#include "base/buf.h"
#include "base/channel.h"
#include "base/list.h"

#define ADMIN_BODY_MAX (1u << 20)
#define ADMIN_LIST_MAX 1000 /* messages in one listing */

struct event;
struct http_front;

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
    struct http_front *http;    /* of the control socket */
    struct peer *master, *store; /* store: NULL while there is none */
    struct list workers, asks;
    struct list bulks;           /* quarantine_bulk.c */
    struct digest *digest;       /* digest.h */
    struct health *health;       /* figures.h */
    struct auth *auth;           /* auth.h */
    struct web_site *site;       /* web.h */
    struct events *events;       /* events.h */
    struct backup *backup;       /* backup.c: the one that is made or goes out; NULL: none */
    uint64_t body_files;         /* http.c: bytes of all bodies that are in files, which are memory */
    bool reads_report;           /* look.c: a TLS report is being read; another one would hold up what is asked of the configuration */
    json_t *keys;                /* keys.c: what there is, of keys_at (mono ms); NULL: not known */
    uint64_t keys_at;
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
void ask_master_with(struct admin *a, const char *op, int fd, unsigned ms, ask_cb *cb, void *arg);
/* message: {"op", more}, taken. */
void ask_master_message(struct admin *a, json_t *message, unsigned ms, ask_cb *cb, void *arg);
void tell_master(struct admin *a, const char *op);    /* no answer is wanted */
void ask_worker_with(struct admin *a, json_t *request, int fd, unsigned ms, ask_cb *cb, void *arg);
void ask_store(struct admin *a, json_t *request, unsigned ms, ask_cb *cb, void *arg); /* takes `request` */
#define NO_STORE "the store is not there or does not answer" /* what an ask without an answer means */
#define NO_WORKER "no relay worker has answered"
/* Within the callback: the descriptor that came with the answer, the caller's then; -1: none. One that nobody takes is closed. */
int ask_take_fd(struct admin *a);

/* ---- http.c: what the control socket and HTTPS have in common */

struct http_request {
    struct admin *admin;
    struct MHD_Connection *connection;
    struct http_front *front;  /* http.h: what it came to */
    struct web *web;           /* web.h; NULL: it came through the control socket */
    const struct route *route;
    const char *method;        /* as it came; HEAD is served by what serves GET */
    struct slice rest;         /* of the path, where the route has an asterisk */
    struct identity who;
    bool tried;                /* he named himself, but is not known: a refusal of it is for the audit log */
    json_t *arguments;         /* of the query: an object, checked against the route's; never NULL when it is served */
    json_t *json;              /* the body: an object, checked; NULL only where it goes into a file */
    struct buf body;
    int file;                  /* of routes with body_file: the body, a memfd; -1: none */
    uint64_t file_n;
    bool crowded;              /* there was no room for it beside those of others */
    char *path;
    bool waiting;              /* suspended until http_answer */
    int status;                /* 0: not answered yet */
    json_t *answer;
    struct http_file *download; /* in place of answer */
    struct MHD_Response *response; /* likewise */
    char *cookie;              /* Set-Cookie; NULL: none */
    char *target, *detail;     /* http_audit */
    /* for routes that ask more than once */
    json_t *parts;
};

struct http_front *http_open(struct admin *a, int listening, struct err *err) MUST_CHECK;
void http_close(struct http_front **f); /* no request may be waiting any more */
/* Takes `answer`; at once or later, once a request. */
void http_answer(struct http_request *r, int status, json_t *answer);
void http_error(struct http_request *r, int status, const char *text);
/* Of what an ask of one brought, which is taken: its answer, the caller's. NULL: there is none, or it is an error, and r is answered.
 * who: "the store". */
json_t *http_only_answer(struct http_request *r, json_t *answers, const char *who);
/* Bytes, and behind them n bytes of fd from `at` on; takes fd. */
void http_answer_file(struct http_request *r, struct slice before, int fd, uint64_t at, uint64_t n);
/* Text that is no JSON: copied. type: of Content-Type. */
void http_answer_text(struct http_request *r, int status, const char *type, struct slice text);
/* A large answer with nothing secret in it, of which packed lengths could tell: packed (gzip) where the client takes that. Takes `answer`. */
void http_answer_packed(struct http_request *r, json_t *answer);
/* Any response; taken. The headers that all answers have are added. */
void http_answer_response(struct http_request *r, int status, struct MHD_Response *response);
/* Who asks, for the log and the notes of the quarantine: "uid 0", "alice". */
void http_client(struct http_request *r, char *out, size_t size);
/* Asked again after a while: who has lost his session or his rights meanwhile gets nothing any more. False: he may not, and is answered. */
bool http_still_may(struct http_request *r) MUST_CHECK;
/* A header of the request; NULL: it is not there. Valid as long as the request. */
const char *http_header(const struct http_request *r, const char *name);
/* The answer sets this cookie: all of the header's value; copied. */
void http_cookie(struct http_request *r, const char *value);
/* What the entry of the audit log says about this request, which changes something; copied. NULL: as it was. Never secrets. */
void http_audit(struct http_request *r, const char *target, const char *detail);
/* As its target, what the body says is meant: ids, "all", filters. */
void http_audit_meant(struct http_request *r);

/* ---- http_check.c */

/* The arguments as a request {"op": op, ...}, the caller's. */
json_t *http_arguments(const struct http_request *r, const char *op);
void http_bad_argument(struct http_request *r); /* 400 */
/* r->arguments; false: the request is answered. */
bool http_check_arguments(struct http_request *r) MUST_CHECK;
/* r->json, of r->body; likewise. */
bool http_check_body(struct http_request *r) MUST_CHECK;

/* ---- quarantine.c, quarantine_bulk.c */
void quarantine_serve_change(struct http_request *r);  /* release, delete, train: the route's last word */
void quarantine_serve_own(struct http_request *r);     /* release, delete: {"ids"}, for the addresses of who asks, and what digests may release */
bool quarantine_sender_proven(int fd); /* of a message's file: by SPF. Blocks on it; -1, and what cannot be read: no */
/* To this recipient alone. done, from the loop: the answer of POST /v1/quarantine/release, which is not the callee's. */
void quarantine_release_one(struct admin *a, const char *id, const char *recipient, const char *by, void (*done)(void *arg, json_t *answer),
                            void *arg);
/* Rows of struct route_field: which messages are meant. */
#define QUARANTINE_FILTERS                                                                                                      \
    { "kind", ROUTE_TEXT, false, "why it is kept: spam, virus, file, rule, crash, auth", NULL },                                \
    { "state", ROUTE_TEXT, false, "of some recipient", "held released deleted" },                                               \
    { "learnt", ROUTE_TEXT, false, "as what it was learnt", NULL },                                                             \
    { "sender", ROUTE_TEXT, false, "\"<>\", \"@example.org\", or a part of the address", NULL },                                \
    { "recipient", ROUTE_TEXT, false, "\"@example.org\", or a part of the address", NULL },                                     \
    { "subject", ROUTE_TEXT, false, "a part of it", NULL }, { "reason", ROUTE_TEXT, false, "a part of it", NULL },              \
    { "since", ROUTE_NUMBER, false, "ms since 1970", NULL }, { "until", ROUTE_NUMBER, false, "ms since 1970", NULL },           \
    { "score_min", ROUTE_NUMBER, false, "hundredths", NULL }, { "score_max", ROUTE_NUMBER, false, "hundredths", NULL },         \
    { "limit", ROUTE_NUMBER, false, "at most so many", NULL },                                                                  \
    { "before", ROUTE_TEXT, false, "where the last answer ended", NULL }

/* ---- digest.c */
void digest_open(struct admin *a);
void digest_close(struct admin *a);
bool digest_on_master(struct admin *a, const json_t *m, int fd); /* false: it is not about digests, and fd is the caller's */
bool digest_may_release(const json_t *message); /* by its recipient */
extern const struct route_field digest_list_arguments[], digest_send_body[];
void digest_serve_show(struct http_request *r);
void digest_serve_send(struct http_request *r);

#endif
