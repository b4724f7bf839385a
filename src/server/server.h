/* SPDX-License-Identifier: Apache-2.0
 * Receiving mail: the sessions of one worker. */
#ifndef POSTERN_SERVER_SERVER_H
#define POSTERN_SERVER_SERVER_H
#include "config/config.h"
#include "delivery/queue.h"
#include "net/stream.h"

struct server;
struct templates;

struct server_options {
    struct event_base *base;
    struct stream_loop *streams;
    const struct config *config;
    struct queue *queue;
    const struct templates *templates; /* of notices; NULL: the built-in ones */
    struct tls_server *tls;      /* NULL: no TLS */
    struct link *auth;           /* NULL: AUTH is not offered */
    struct provider_keeper *providers; /* NULL: no zone names one */
    struct policy_engine *policy;
    struct link *signer;         /* to the process that has the keys, */
    const struct signer_keys *keys; /* of which these are known; NULL: nothing is signed */
    struct store_link *store;    /* takes the history; NULL: none is kept */
    struct shared *shared;       /* counts sessions over all workers, in this column; NULL: not */
    int column;
};

struct server *server_new(const struct server_options *o);
/* fd: listening, non-blocking, bound to config->listeners[index]; stays open after server_drain. */
void server_listen(struct server *s, int fd, size_t index);
/* Accepts no more. A transaction under way is finished; a client between commands may begin one more within 3 seconds; then it
 * gets 421. Sessions still open after `ms` are cut. on_idle comes when the last one is gone. */
void server_drain(struct server *s, uint64_t ms, void (*on_idle)(void *arg), void *arg);
/* Cuts all sessions. Before queue_free and stream_loop_free. Commits under way go on; their callbacks need no server.
 * NULL is fine. */
void server_free(struct server *s);

struct server_figures {
    uint64_t sessions, accepted_connections, refused_connections, messages, recipients_refused, bytes;
    uint64_t intercepted;        /* connections to others that were taken */
};
void server_get_figures(const struct server *s, struct server_figures *out);

#endif
