/* SPDX-License-Identifier: Apache-2.0
 * The store process: owns the databases. There is one beside all generations of workers. */
#ifndef POSTERN_STORE_PROCESS_H
#define POSTERN_STORE_PROCESS_H
#include <stdbool.h>
#include "store/server.h"

struct privilege_user;

struct store_start {
    int channel;                 /* to the master */
    const char *directory;       /* its own */
    struct store_limits limits;
    const struct privilege_user *user;
    bool sandbox;
};

/* In the child; returns the exit code.
 *
 * Master → store: {"op": "worker"} + descriptor of a socket for frames (store/wire.h), {"op": "quarantine"} + descriptor of a
 *                 worker's channel (store/quarantine_link.h), {"op": "admin"} + descriptor of a channel (store/server.h),
 *                 {"op": "limits", "entries", "history", "history_size", "quarantine", "quarantine_size"}
 * It ends when the master's channel and the sockets of all workers are closed, so that what these told last is kept. */
int store_process_main(const struct store_start *start);

#endif
