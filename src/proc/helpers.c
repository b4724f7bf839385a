/* SPDX-License-Identifier: Apache-2.0
 * The helpers of a generation as the master sees them: started when the configuration has something for them to do,
 * started again when they end, connected with each worker. Workers that drain may still need them, so they stay until
 * the last of these is gone. */
#include <event2/event.h>
#include <stdio.h>
#include "auth/process.h"
#include "base/log.h"
#include "fetch/process.h"
#include "maildir/process.h"
#include "proc/directory.h"
#include "proc/process.h"
#include "scan/process.h"
#include "signer/process.h"
#include "table/process.h"

static const struct helper_kind *const kinds[] = { &auth_helper, &fetch_helper, &signer_helper, &scan_helper, &table_helper, &maildir_helper };
_Static_assert(countof(kinds) == HELPERS, "each has its place in a generation");

static void directory_of(const struct helper *h, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", h->generation->master->directory, h->kind->directory ? h->kind->directory : "");
}

/* Workers and the processes that look into messages read what is in there. */
static bool share(const struct helper *h, const struct config *c, const char *dir, struct err *err)
{
    struct privilege_user scan;
    const struct privilege_user *relay = &h->generation->master->relay_user;
    return privilege_lookup(c->system.scan_user, &scan, err) && directory_share(dir, &h->user, relay, &scan, err);
}

void helpers_each_user(const struct config *c, void (*user)(void *arg, const char *name), void *arg)
{
    for (size_t i = 0; i < HELPERS; i++) {
        if (!kinds[i]->needed(c)) continue;
        user(arg, kinds[i]->user(c));
        if (kinds[i]->shared) user(arg, c->system.scan_user);
    }
}

static bool prepare(struct helper *h, const struct config *c, struct err *err)
{
    char dir[4200];
    if (!privilege_lookup(h->kind->user(c), &h->user, err)) return false;
    directory_of(h, dir, sizeof dir);
    if (h->kind->shared) return share(h, c, dir, err);
    return !h->kind->directory || directory_make(dir, 0700, &h->user, err);
}

bool helpers_prepare(struct generation *g, const struct config *c, struct err *err)
{
    for (size_t i = 0; i < HELPERS; i++) {
        struct helper *h = &g->helpers[i];
        h->generation = g;
        h->kind = kinds[i];
        h->needed = h->kind->needed(c);
        if (h->needed && !prepare(h, c, err)) return false;
    }
    return true;
}

int helper_run(const struct helper *h, int channel)
{
    char dir[4200];
    directory_of(h, dir, sizeof dir);
    return helper_main(&(struct helper_start){
        .kind = h->kind, .config = h->generation->config, .directory = dir, .user = &h->user, .channel = channel });
}

/* ---- life */

static bool belongs(const struct child *c, const struct child *helper)
{
    return c->role == CHILD_WORKER && c->generation == helper->generation;
}

void helpers_connect(struct child *w)
{
    list_each(it, &w->master->children) {
        struct child *c = list_entry(it, struct child, node);
        if (c->role == CHILD_HELPER && belongs(w, c)) child_connect(w, c, c->helper->name);
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
        log_event(LOG_ERROR, "helper-start", LOG_STR("role", h->kind->name), LOG_ERR(&err));
        event_add(h->timer, &(struct timeval){ 5, 0 });
        return;
    }
    list_each(it, &m->children) {
        struct child *c = list_entry(it, struct child, node);
        if (belongs(c, h->child) && c->state != CHILD_STARTING) child_connect(c, h->child, h->kind->name);
    }
}

void helpers_start(struct generation *g)
{
    for (size_t i = 0; i < HELPERS; i++) helper_start(&g->helpers[i]);
}

struct helper *helper_of(const struct child *c)
{
    struct generation *const places[] = { c->master->current, c->master->next };
    for (size_t i = 0; i < countof(places); i++)
        for (size_t k = 0; places[i] && k < HELPERS; k++)
            if (places[i]->helpers[k].child == c) return &places[i]->helpers[k];
    return NULL;
}

void helper_on_exit(struct helper *h, uint64_t lived)
{
    uint64_t pause = restart_later(&h->restart, lived, h->timer);
    if (pause)
        log_event(LOG_WARNING, "helper-pause", LOG_STR("role", h->kind->name), LOG_NUM("seconds", pause / 1000));
}

void helpers_forget_generation(struct generation *g)
{
    for (size_t i = 0; i < HELPERS; i++) {
        struct helper *h = &g->helpers[i];
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
