/* SPDX-License-Identifier: Apache-2.0
 * The auth process of a generation, as the master sees it: started when the configuration has something for it to do,
 * started again when it ends, connected with each worker. Workers that drain may still need it, so it stays until the
 * last of them is gone. */
#include <event2/event.h>
#include <unistd.h>
#include "auth/process.h"
#include "base/log.h"
#include "proc/process.h"

bool auth_prepare(struct generation *g, const struct config *c, struct err *err)
{
    return !auth_process_needed(c) || privilege_lookup(c->system.auth_user, &g->auth_user, err);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg) { auth_start(arg); }

static bool belongs(const struct child *c, const struct child *auth)
{
    return c->role == CHILD_WORKER && c->generation == auth->generation;
}

void auth_start(struct generation *g)
{
    struct err err;
    if (g->auth || g->master->stopping || !auth_process_needed(g->config)) return;
    if (!g->auth_timer) g->auth_timer = evtimer_new(g->master->base, on_pause_over, g);
    g->auth = child_start_auth(g, &err);
    if (!g->auth) {
        log_event(LOG_ERROR, "auth-start", LOG_ERR(&err));
        event_add(g->auth_timer, &(struct timeval){ 5, 0 });
        return;
    }
    list_each(it, &g->master->children)
    {
        struct child *c = list_entry(it, struct child, node);
        if (belongs(c, g->auth) && c->state != CHILD_STARTING) auth_connect(c);
    }
}

struct generation *auth_generation(const struct child *c)
{
    struct master *m = c->master;
    if (m->current && m->current->auth == c) return m->current;
    return m->next && m->next->auth == c ? m->next : NULL;
}

void auth_is_gone(struct child *c)
{
    struct generation *g = auth_generation(c);
    if (g) g->auth = NULL;
}

void auth_on_exit(struct generation *g, uint64_t lived)
{
    uint64_t pause = restart_pause(&g->auth_restart, lived);
    if (pause) log_event(LOG_WARNING, "auth-pause", LOG_NUM("seconds", pause / 1000));
    event_add(g->auth_timer, &(struct timeval){ (time_t)(pause / 1000), 1000 });
}

/* The one of its generation, which may have lost its place already. */
static struct child *find(const struct child *worker)
{
    list_each(it, &worker->master->children)
    {
        struct child *c = list_entry(it, struct child, node);
        if (c->role == CHILD_AUTH && c->channel && belongs(worker, c)) return c;
    }
    return NULL;
}

void auth_connect(struct child *w)
{
    struct child *auth = find(w);
    struct err err;
    int pair[2];
    if (!auth || !w->channel) return;
    if (!channel_pair(pair, &err)) {
        log_event(LOG_WARNING, "no-auth-channel", LOG_NUM("pid", w->pid), LOG_ERR(&err));
        return;
    }
    child_send(auth, json_pack("{s:s, s:i}", "op", "worker", "pid", (int)w->pid), pair[0]);
    child_send(w, json_pack("{s:s}", "op", "auth"), pair[1]);
    close(pair[0]);
    close(pair[1]);
}

void auth_on_message(void *child, const json_t *m, int fd)
{
    if (fd >= 0) close(fd); /* it has nothing to say to us */
}

void auth_forget_generation(struct generation *g)
{
    if (g->auth_timer) event_free(g->auth_timer);
    g->auth_timer = NULL;
    g->auth = NULL;
    auth_retire(g->master);
}

static bool needed(const struct child *auth)
{
    if (!auth->master->stopping && auth_generation(auth)) return true;
    list_each(it, &auth->master->children) if (belongs(list_entry(it, struct child, node), auth)) return true;
    return false;
}

void auth_retire(struct master *m)
{
    list_each(it, &m->children)
    {
        struct child *c = list_entry(it, struct child, node);
        if (c->role != CHILD_AUTH || !c->channel || needed(c)) continue;
        channel_free(&c->channel); /* which tells it to end */
        event_add(c->killer, &(struct timeval){ 5, 0 });
    }
}
