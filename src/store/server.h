/* SPDX-License-Identifier: Apache-2.0
 * The store's own side: the databases, and the connections of workers (store/wire.h) and of the admin process (JSON). On an event loop,
 * which waits for SQLite for microseconds at a time. */
#ifndef POSTERN_STORE_SERVER_H
#define POSTERN_STORE_SERVER_H
#include <stdint.h>
#include "base/err.h"
#include "store/quarantine.h"

struct event_base;
struct store_server;

struct store_limits {
    uint64_t entries;               /* of each kind of memory */
    uint64_t history, history_size; /* ms, bytes */
    struct quarantine_limits quarantine;
};

/* Files that are no good are put aside and begun anew; a disk that is full is waited for. */
struct store_server *store_server_new(struct event_base *base, const char *directory, const struct store_limits *limits,
                                      struct err *err) MUST_CHECK;
void store_server_set_limits(struct store_server *s, const struct store_limits *limits);
void store_server_add_worker(struct store_server *s, int fd); /* takes the descriptor */
void store_server_add_quarantine(struct store_server *s, int fd); /* a worker's channel to the quarantine; takes the descriptor */
/* Admin → store: {"id", "request": {"op": "trace", ..}}, the rest as in query.h, {"op": "quarantine-.."} as in
 *                quarantine.h, {"op": "statistics" | "statistics-live"} as in statistics.h, or {"op": "figures"}
 * Store → admin: {"id", "answer": {..}}; what cannot be done: {"error": text} */
void store_server_add_admin(struct store_server *s, int fd);
bool store_server_has_workers(const struct store_server *s);
void store_server_free(struct store_server *s);               /* commits; NULL is fine */

#endif
