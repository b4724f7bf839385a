/* SPDX-License-Identifier: Apache-2.0
 * The helpers of a generation - the auth and the fetch process - as the master sees them: started when the configuration has something
 * for them to do, started again when they end, connected with each worker. Workers that drain may still need them, so they stay until the
 * last of these is gone. */
#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>
#include "auth/process.h"
#include "base/log.h"
#include "fetch/process.h"
#include "proc/directory.h"
#include "proc/process.h"

static const struct {
    const char *name;
    bool (*needed)(const struct config *c);
} kinds[] = {
    [HELPER_AUTH] = { "auth", auth_process_needed },
    [HELPER_FETCH] = { "fetch", fetch_process_needed },
};

const char *helper_name(enum helper_kind kind)
{
    return kinds[kind].name;
}

static void fetch_directory(const struct master *m, char *out, size_t size)
{
    snprintf(out, size, "%s/fetch", m->directory);
}

bool helpers_prepare(struct generation *g, const struct config *c, struct err *err)
{
    char dir[4200];
    for (int kind = 0; kind < HELPERS; kind++) {
        struct helper *h = &g->helpers[kind];
        h->generation = g;
        h->kind = (enum helper_kind)kind;
        h->needed = kinds[kind].needed(c);
    }
    if (g->helpers[HELPER_AUTH].needed && !privilege_lookup(c->system.auth_user, &g->helpers[HELPER_AUTH].user, err))
        return false;
    fetch_directory(g->master, dir, sizeof dir);
    return !g->helpers[HELPER_FETCH].needed || (privilege_lookup(c->system.user, &g->helpers[HELPER_FETCH].user, err) &&
                                                directory_make(dir, 0700, &g->helpers[HELPER_FETCH].user, err));
}

int helper_main(const struct helper *h, int channel)
{
    const struct generation *g = h->generation;
    char dir[4200];
    if (h->kind == HELPER_AUTH)
        return auth_process_main(&(struct auth_start){ .config = g->config, .channel = channel, .user = &h->user });
    fetch_directory(g->master, dir, sizeof dir);
    return fetch_process_main(
        &(struct fetch_start){ .config = g->config, .channel = channel, .directory = dir, .user = &h->user });
}

/* ---- life */

static bool belongs(const struct child *c, const struct child *helper)
{
    return c->role == CHILD_WORKER && c->generation == helper->generation;
}

static void connect_pair(struct child *worker, struct child *helper)
{
    struct err err;
    int pair[2];
    if (!helper->channel || !worker->channel) return;
    if (!channel_pair(pair, &err)) {
        log_event(LOG_WARNING, "no-helper-channel", LOG_NUM("pid", worker->pid), LOG_ERR(&err));
        return;
    }
    child_send(helper, json_pack("{s:s, s:i}", "op", "worker", "pid", (int)worker->pid), pair[0]);
    child_send(worker, json_pack("{s:s}", "op", helper_name(helper->helper)), pair[1]);
    close(pair[0]);
    close(pair[1]);
}

void helpers_connect(struct child *w)
{
    list_each(it, &w->master->children) {
        struct child *c = list_entry(it, struct child, node);
        if (c->role == CHILD_HELPER && belongs(w, c)) connect_pair(w, c);
    }
}

static void helper_start(struct helper *h);

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    helper_start(arg);
}

static void helper_start(struct helper *h)
{
    struct master *m = h->generation->master;
    struct err err;
    if (!h->needed || h->child || m->stopping) return;
    if (!h->timer) h->timer = evtimer_new(m->base, on_pause_over, h);
    h->child = child_start_helper(h, &err);
    if (!h->child) {
        log_event(LOG_ERROR, "helper-start", LOG_STR("role", helper_name(h->kind)), LOG_ERR(&err));
        event_add(h->timer, &(struct timeval){ 5, 0 });
        return;
    }
    list_each(it, &m->children) {
        struct child *c = list_entry(it, struct child, node);
        if (belongs(c, h->child) && c->state != CHILD_STARTING) connect_pair(c, h->child);
    }
}

void helpers_start(struct generation *g)
{
    for (int kind = 0; kind < HELPERS; kind++) helper_start(&g->helpers[kind]);
}

struct helper *helper_of(const struct child *c)
{
    struct generation *const places[] = { c->master->current, c->master->next };
    for (size_t i = 0; i < countof(places) && c->role == CHILD_HELPER; i++)
        if (places[i] && places[i]->helpers[c->helper].child == c) return &places[i]->helpers[c->helper];
    return NULL;
}

void helper_on_exit(struct helper *h, uint64_t lived)
{
    uint64_t pause = restart_pause(&h->restart, lived);
    if (pause)
        log_event(LOG_WARNING, "helper-pause", LOG_STR("role", helper_name(h->kind)), LOG_NUM("seconds", pause / 1000));
    event_add(h->timer, &(struct timeval){ (time_t)(pause / 1000), 1000 });
}

void helper_on_message(void *child, const json_t *m, int fd)
{
    if (fd >= 0) close(fd); /* helpers have nothing to say to us */
}

void helpers_forget_generation(struct generation *g)
{
    for (int kind = 0; kind < HELPERS; kind++) {
        struct helper *h = &g->helpers[kind];
        if (h->timer) event_free(h->timer);
        h->timer = NULL;
        h->child = NULL;
    }
    helpers_retire(g->master);
}

static bool needed(const struct child *helper)
{
    if (!helper->master->stopping && helper_of(helper)) return true;
    list_each(it, &helper->master->children) {
        if (belongs(list_entry(it, struct child, node), helper)) return true;
    }
    return false;
}

void helpers_retire(struct master *m)
{
    list_each(it, &m->children) {
        struct child *c = list_entry(it, struct child, node);
        if (c->role != CHILD_HELPER || !c->channel || needed(c)) continue;
        channel_free(&c->channel); /* which tells it to end */
        event_add(c->killer, &(struct timeval){ 5, 0 });
    }
}
