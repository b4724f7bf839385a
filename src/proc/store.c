/* SPDX-License-Identifier: Apache-2.0
 * The store process as the master sees it: started first, started again when it ends, connected with each worker and the admin
 * process, told when a configuration changes its bounds, and the last but one to go. */
#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "proc/directory.h"
#include "proc/process.h"
#include "store/process.h"

static void directory_of(const struct master *m, char *out, size_t size)
{
    snprintf(out, size, "%s/store", m->directory);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    store_start(arg);
}

struct event *store_timer_new(struct master *m)
{
    return evtimer_new(m->base, on_pause_over, m);
}

bool store_prepare(struct master *m, const struct config *c, struct err *err)
{
    char dir[4200];
    directory_of(m, dir, sizeof dir);
    return privilege_lookup(c->system.store_user, &m->store_user, err) && directory_make(dir, 0700, &m->store_user, err);
}

static struct store_limits limits_of(const struct config *c)
{
    return (struct store_limits){ .entries = c->store.entries, .history = c->store.history, .history_size = c->store.history_size,
                                  .quarantine = { .keep = c->quarantine.keep, .size = c->quarantine.size } };
}

int store_run(const struct master *m, const struct config *c, int channel)
{
    char dir[4200];
    directory_of(m, dir, sizeof dir);
    return store_process_main(&(struct store_start){ .channel = channel, .directory = dir, .limits = limits_of(c),
                                                     .user = &m->store_user, .sandbox = c->system.sandbox });
}

/* as, name: how the store and the other end know it. */
static void connect_as(struct child *c, const char *as, const char *name)
{
    struct child *s = c->master->store;
    struct err err;
    int pair[2];
    if (!channel_pair(pair, &err)) {
        log_event(LOG_WARNING, "no-helper-channel", LOG_NUM("pid", c->pid), LOG_ERR(&err));
        return;
    }
    child_send(s, json_pack("{s:s, s:i}", "op", as, "pid", (int)c->pid), pair[0]);
    child_send(c, json_pack("{s:s}", "op", name), pair[1]);
    close(pair[0]);
    close(pair[1]);
}

void store_connect(struct child *c)
{
    const struct child *s = c->master->store;
    if (!s || !s->channel || !c->channel) return;
    connect_as(c, c->role == CHILD_ADMIN ? "admin" : "worker", "store");
    if (c->role == CHILD_WORKER) connect_as(c, "quarantine", "quarantine");
}

void store_start(struct master *m)
{
    struct err err;
    if (m->store || m->stopping) return;
    m->store = child_start_store(m, &err);
    if (!m->store) {
        log_event(LOG_ERROR, "store-start", LOG_ERR(&err));
        event_add(m->store_timer, &(struct timeval){ 5, 0 });
        return;
    }
    list_each(it, &m->children) {
        struct child *c = list_entry(it, struct child, node);
        if (c->role == CHILD_ADMIN || (c->role == CHILD_WORKER && c->state != CHILD_STARTING)) store_connect(c);
    }
}

void store_set_limits(struct master *m)
{
    struct store_limits l = limits_of(m->current->config);
    if (m->store)
        child_send(m->store, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "op", "limits", "entries", (json_int_t)l.entries, "history",
                                       (json_int_t)l.history, "history_size", (json_int_t)l.history_size, "quarantine",
                                       (json_int_t)l.quarantine.keep, "quarantine_size", (json_int_t)l.quarantine.size), -1);
}

void store_on_exit(struct master *m, uint64_t lived)
{
    uint64_t pause = restart_later(&m->store_restart, lived, m->store_timer);
    if (pause) log_event(LOG_WARNING, "helper-pause", LOG_STR("role", "store"), LOG_NUM("seconds", pause / 1000));
}

void store_end(struct master *m)
{
    if (!m->store || !m->store->channel) return;
    channel_free(&m->store->channel); /* which tells it to end */
    event_add(m->store->killer, &(struct timeval){ 10, 0 });
}
