/* SPDX-License-Identifier: Apache-2.0
 * One exchange in the auth process: from a frame to a job in a thread to an answer. */
#ifndef POSTERN_AUTH_EXCHANGE_H
#define POSTERN_AUTH_EXCHANGE_H
#include <jansson.h>
#include "auth/client.h"
#include "auth/internal.h"
#include "base/task.h"

struct event;
struct helper_process;
struct landlock;
struct peer;

/* What all exchanges of the process share. */
struct exchange_world {
    struct sasl_services services;
    struct pool *server_pool, *client_pool, *recipient_pool; /* a slow token server or directory does not keep users out */
    struct tasks *tasks;
};

/* Points into the exchange. */
struct exchange_answer {
    enum auth_outcome outcome;
    const struct buf *data, *senders;
    bool has_data, any_sender;
    const char *mechanism, *account, *reason;
    uint64_t delay;          /* ms */
};

enum exchange_kind { EXCHANGE_SERVER, EXCHANGE_CLIENT, EXCHANGE_RECIPIENT };

struct exchange {
    struct list node;        /* of the peer */
    struct task task;
    struct exchange_world *world;
    struct peer *peer;       /* NULL: cancelled */
    json_int_t id;
    bool busy;               /* a thread has it */
    bool silent;             /* nobody waits for an answer to what is being done */
    enum exchange_kind kind;
    bool started, ending, success, has_data;
    struct event *delaying;
    struct buf data;         /* what the other side sent */
    struct exchange_request *request; /* until the first job */
    struct sasl_server *server;
    struct auth_client *auth;
    struct sasl_reply sasl;
    struct auth_reply reply;
    struct exchange_answer answer;
};

/* All but its services and pools. on_result: on the loop, for each whose thread is ready. */
bool exchange_world_init(struct exchange_world *w, struct event_base *base, void (*on_result)(struct task *t), struct err *err) MUST_CHECK;
/* From a frame that begins one; one that makes no sense is answered AUTH_TEMPFAIL. */
struct exchange *exchange_new(struct exchange_world *w, const json_t *m, enum exchange_kind kind);
void exchange_refuse(struct exchange *e, const char *reason); /* exchange_run will do nothing */
/* A "step" or "done" frame; false: not fit for this exchange. */
bool exchange_continue(struct exchange *e, const json_t *m, bool done);
/* Hands it to a thread: false: not done, and e->answer says why. */
bool exchange_run(struct exchange *e);
void exchange_free(struct exchange *e);

/* ---- services.c: the back ends and the sandbox of this process */
bool auth_services_open(struct sasl_services *s, const struct config *c, size_t brake_entries, struct err *err) MUST_CHECK;
void auth_paths(const struct helper_process *p, struct landlock *l);
bool auth_asks_directories(const struct config *c); /* for recipients */
const char *auth_runs_programs(const struct config *c); /* helper_kind.runs_programs */

#endif
