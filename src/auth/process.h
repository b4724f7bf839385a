/* SPDX-License-Identifier: Apache-2.0
 * The auth process: the one place where passwords are known. Plain blocking code in a pool of threads behind an event loop that only carries
 * frames. One for each generation of workers. */
#ifndef POSTERN_AUTH_PROCESS_H
#define POSTERN_AUTH_PROCESS_H
#include "config/config.h"

struct privilege_user;

struct auth_start {
    const struct config *config;
    int channel;             /* to the master */
    const struct privilege_user *user;
};

/* Has the configuration anything for it to do: users of ours, or credentials for a next hop? */
bool auth_process_needed(const struct config *c);
/* In the child; returns the exit code.
 *
 * Master → auth: {"op": "worker", "pid"} + descriptor of a channel
 * Worker → auth: {"x": id, "op": "server", "mechanism", "initial"?, "client", "tls", "binding"?}
 *                {"x": id, "op": "client", "hop", "mechanisms", "host", "port", "tls", "binding"?}
 *                {"x": id, "op": "step", "data"}, {"x": id, "op": "done", "success"}, {"x": id, "op": "cancel"}
 * Auth → worker: {"x": id, "outcome", "reason", "data"?, "has_data", "mechanism"?, "account"?, "senders"?, "any_sender"}
 * Data of the mechanisms is in base64. An answer with another outcome than AUTH_CONTINUE ends the exchange; "done" without success and
 * "cancel" are not answered. It ends when the master's channel and those of all workers are closed. */
int auth_process_main(const struct auth_start *s);

#endif
