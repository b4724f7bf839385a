/* SPDX-License-Identifier: Apache-2.0
 * The store process: rights go, databases are opened, workers come and go, and the end. */
#include "store/process.h"
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/channel.h"
#include "base/log.h"
#include "base/mem.h"
#include "proc/privilege.h"

struct process {
    struct event_base *base;
    struct channel *master; /* NULL: gone */
    struct store_server *server;
};

static void on_limits(struct process *p, const json_t *m)
{
    static const char *const keys[] = { "entries", "history", "history_size", "quarantine", "quarantine_size" };
    uint64_t v[countof(keys)];
    for (size_t i = 0; i < countof(keys); i++) v[i] = (uint64_t)json_integer_value(json_object_get(m, keys[i]));
    store_server_set_limits(p->server, &(struct store_limits){ .entries = v[0], .history = v[1], .history_size = v[2],
                                                               .quarantine = { .keep = v[3], .size = v[4] } });
}

static void on_master(void *arg, const json_t *m, int fd)
{
    struct process *p = arg;
    const char *op = json_string_value(json_object_get(m, "op"));
    if (!op) op = "";
    if (fd >= 0 && !strcmp(op, "worker")) store_server_add_worker(p->server, fd);
    else if (fd >= 0 && !strcmp(op, "quarantine")) store_server_add_quarantine(p->server, fd);
    else if (fd >= 0 && !strcmp(op, "admin")) store_server_add_admin(p->server, fd);
    else if (fd >= 0) close(fd);
    else if (!strcmp(op, "limits")) on_limits(p, m);
}

static void on_master_end(void *arg)
{
    struct process *p = arg;
    channel_free(&p->master);
}

static bool prepare(struct process *p, const struct store_start *s, struct err *err)
{
    struct landlock l;
    if (!privilege_drop(s->user, err)) return false;
    if (s->sandbox) {
        landlock_init(&l);
        landlock_write(&l, s->directory);
        if (!landlock_restrict(&l, err)) return false;
    }
    umask(077); /* who wrote to whom */
    p->server = store_server_new(p->base, s->directory, &s->limits, err);
    return p->server && (!s->sandbox || seccomp_restrict(SECCOMP_STORE, err));
}

int store_process_main(const struct store_start *start)
{
    struct process p = { .base = event_base_new() };
    struct err err;
    signal(SIGTERM, SIG_IGN); /* it serves until the last worker is gone; the master's channel tells */
    if (!prepare(&p, start, &err)) {
        log_event(LOG_ERROR, "store-failed", LOG_ERR(&err));
        return EXIT_FAILURE;
    }
    p.master = channel_new(p.base, start->channel, on_master, on_master_end, &p);
    while (p.master || store_server_has_workers(p.server)) {
        event_base_loop(p.base, EVLOOP_ONCE);
        log_flush();
    }
    store_server_free(p.server);
    event_base_free(p.base);
    return 0;
}
