/* SPDX-License-Identifier: Apache-2.0
 * A relay worker: SMTP in, its spool, SMTP out. */
#ifndef POSTERN_PROC_WORKER_H
#define POSTERN_PROC_WORKER_H
#include "config/config.h"

struct privilege_user;
struct tls_server;
struct tls_client;
struct rewriter;
struct signer_keys;
struct templates;

struct worker_start {
    const struct config *config;
    struct tls_server *server_tls;
    struct tls_client *client_tls;
    const struct policy *policy;
    const struct signer_keys *keys;
    const struct rewriter *rewriter;
    const struct templates *templates;
    struct shared *shared;
    int channel;             /* to the master */
    const char *spool_root;  /* directories with numbers for names */
    unsigned slot, generation;
    const struct privilege_user *user;
};

/* In the child; returns the exit code.
 *
 * Master → worker: {"op": "spool", "n"}  take this directory; answered by "ready", "busy" or "failed"
 *                  {"op": "listen", "listener", "socket"} + descriptor
 *                  {"op": "adopt", "n"}  answered by "adopted", "busy" or "failed"; later "emptied"
 *                  {"op": "admin"} + descriptor of a channel
 *                  {"op": "auth"}, {"op": "fetch"}, {"op": "signer"}, {"op": "scan"}, {"op": "tables"}, {"op": "maildir"}, {"op": "store"}, {"op": "quarantine"} + descriptor of a channel, again
 *                  when there is another such process
 *                  {"op": "drain", "ms"}
 * Worker → master: {"op": "hello"} (it can take a spool), {"op": "ready"}, {"op": "busy", "n"}, {"op": "failed", "n",
 * "error"}, {"op": "adopted", "n"},
 *                  {"op": "emptied", "n"}
 * Admin → worker:  {"id", "request": {"op": "status"} or what queue_control takes}; answered by {"id", "answer"}.
 * When the master's end closes, the worker drains and ends. */
int worker_main(const struct worker_start *s);

#endif
