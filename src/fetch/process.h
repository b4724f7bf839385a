/* SPDX-License-Identifier: Apache-2.0
 * The fetch process: HTTPS with strangers, on an event loop. One for each generation of workers. */
#ifndef POSTERN_FETCH_PROCESS_H
#define POSTERN_FETCH_PROCESS_H
#include "config/config.h"

struct privilege_user;

struct fetch_start {
    const struct config *config;
    int channel;                 /* to the master */
    const char *directory;       /* its own, to keep policies and counts in */
    const struct privilege_user *user;
};

/* Has the configuration anything for it to do: MTA-STS policies, or TLS reports? */
bool fetch_process_needed(const struct config *c);
/* In the child; returns the exit code.
 *
 * Master → fetch: {"op": "worker", "pid"} + descriptor of a channel
 * Worker → fetch: {"op": "policy", "id", "domain"}; answered by {"id", "known", "policy": [lines]?, "failure", "reason", "ttl"}
 *                 {"op": "count", "domain", "type", "policy"?, "mx"?, "failure"?, "reason"?, "host"?, "ip"?, "our"?}
 *                 {"op": "submitted", "ticket", "ok"}, {"op": "report"}: send all reports now
 * Fetch → worker: {"ticket", "to", "text"}: a message to be sent
 * It ends when the master's channel and those of all workers are closed. */
int fetch_process_main(const struct fetch_start *s);

#endif
