/* SPDX-License-Identifier: Apache-2.0
 * The workers of one configuration, and which of them looks after which sockets: slot i after socket i of each
 * listener, and after i + n, i + 2n ... when an earlier configuration had more workers, so that none is ever left
 * alone. */
#include <event2/event.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "config/tables.h"
#include "net/tls.h"
#include "notice/template.h"
#include "policy/policy.h"
#include "proc/directory.h"
#include "proc/process.h"
#include "proc/tls.h"
#include "route/rewrite.h"
#include "scan/scanning.h"
#include "signer/signer.h"

#define WORKERS_MAX 256
#define READY_SECONDS 60

static unsigned worker_count(const struct config *c)
{
    cpu_set_t cores;
    unsigned n = c->system.workers;
    if (!n) n = sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
    return n < WORKERS_MAX ? n : WORKERS_MAX;
}

static bool load_tls(struct generation *g, const struct config *c, struct err *err)
{
    char dir[4200];
    snprintf(dir, sizeof dir, "%s/tls", g->master->directory);
    if (!*c->tls.certificate && (!directory_make(dir, 0700, NULL, err) || !tls_self_signed(dir, c->hostname, err)))
        return false;
    g->server_tls = tls_server_new(c, dir, g->master->tickets, err);
    g->client_tls = g->server_tls ? tls_client_new(c, err) : NULL;
    return g->client_tls != NULL;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct generation *g = arg;
    if (g == g->master->next) reload_failed(g->master, "the new workers were not ready in time");
}

/* At the start the relay runs with what it had before; who changes the configuration can mend what is wrong. */
static bool tables_are_good(const struct generation *g, struct err *err)
{
    const struct err *fault = tables_fault(policy_tables(g->policy));
    if (!fault) return true;
    *err = *fault;
    if (!g->master->current) log_event(LOG_WARNING, "table-broken", LOG_ERR(err), LOG_STR("keeps", "the last good state"));
    return !g->master->current;
}

/* "line 5: ...": of which file? */
static void name_file(const struct config *c, struct err *err)
{
    struct err before = *err;
    if (!strncmp(before.text, "line ", 5)) err_set_text(err, "%.150s:%s", c->file, before.text + 5);
}

struct generation *generation_new(struct master *m, struct config *c, const struct listen_set *former, bool patient,
                                  struct err *err)
{
    struct generation *g = mem_new(struct generation);
    g->master = m;
    g->number = ++m->generations;
    g->digest_fd = -1;
    g->slot_n = worker_count(c);
    g->slots = mem_zalloc(g->slot_n * sizeof *g->slots);
    g->deadline = evtimer_new(m->base, on_deadline, g);
    if (!helpers_prepare(g, c, err) || !load_tls(g, c, err) || !(g->policy = policy_new(c, err)) || !tables_are_good(g, err) || !scanning_check(c, policy_tables(g->policy), err) || !(g->keys = signer_keys_new(c, err)) ||
        !(g->rewriter = rewriter_new(c, err)) || !(g->templates = templates_load(c->notices.templates, err)) ||
        !(g->listeners = listen_set_open(c, g->slot_n, former, patient, err)) || !digest_prepare(g, c, err)) {
        name_file(c, err);
        generation_free(&g);
        return NULL;
    }
    g->config = c;
    return g;
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    struct slot *s = arg;
    struct err err;
    if (s->child || child_start_worker(s, &err)) return;
    log_event(LOG_ERROR, "worker-start", LOG_NUM("slot", s->index), LOG_ERR(&err));
    event_add(s->timer, &(struct timeval){ 5, 0 });
}

bool generation_start(struct generation *g, struct err *err)
{
    for (unsigned i = 0; i < g->slot_n; i++) {
        struct slot *s = &g->slots[i];
        s->generation = g;
        s->index = i;
        s->timer = evtimer_new(g->master->base, on_pause_over, s);
    }
    helpers_start(g);
    for (unsigned i = 0; i < g->slot_n; i++)
        if (!child_start_worker(&g->slots[i], err)) return false;
    event_add(g->deadline, &(struct timeval){ READY_SECONDS, 0 });
    return true;
}

static bool slot_ready(const struct slot *s)
{
    return s->child && s->child->state == CHILD_READY;
}

bool generation_ready(const struct generation *g)
{
    for (unsigned i = 0; i < g->slot_n; i++)
        if (!slot_ready(&g->slots[i])) return false;
    return true;
}

struct child *generation_any(const struct generation *g, unsigned from)
{
    for (unsigned i = 0; i < g->slot_n; i++)
        if (slot_ready(&g->slots[(from + i) % g->slot_n])) return g->slots[(from + i) % g->slot_n].child;
    return NULL;
}

static void hand_sockets(const struct generation *g, unsigned slot, struct child *to)
{
    for (size_t i = 0; i < g->config->listener_n; i++)
        for (size_t k = slot; k < listen_set_sockets(g->listeners, i); k += g->slot_n)
            child_send(to, json_pack("{s:s, s:i, s:i}", "op", "listen", "listener", (int)i, "socket", (int)k),
                       listen_set_fd(g->listeners, i, k));
}

/* Workers pass over sockets that they have already. */
void generation_share_sockets(struct generation *g)
{
    if (!g->serving) return;
    for (unsigned i = 0; i < g->slot_n; i++) {
        struct child *to = generation_any(g, i); /* its own worker, or the next one there is */
        if (to) hand_sockets(g, i, to);
    }
}

void generation_serve(struct generation *g)
{
    g->serving = true;
    event_del(g->deadline);
    generation_share_sockets(g);
}

void generation_drain(struct generation *g, uint64_t ms)
{
    g->serving = false;
    event_del(g->deadline);
    for (unsigned i = 0; i < g->slot_n; i++) {
        if (g->slots[i].timer) event_del(g->slots[i].timer);
        if (g->slots[i].child) child_drain(g->slots[i].child, ms);
    }
}

void generation_free(struct generation **gp)
{
    struct generation *g = *gp;
    *gp = NULL;
    if (!g) return;
    helpers_forget_generation(g);
    if (g->digest_fd >= 0) close(g->digest_fd);
    for (unsigned i = 0; i < g->slot_n; i++)
        if (g->slots[i].timer) event_free(g->slots[i].timer);
    event_free(g->deadline);
    listen_set_free(&g->listeners);
    policy_free(g->policy);
    signer_keys_free(g->keys);
    rewriter_free(g->rewriter);
    templates_free(g->templates);
    tls_server_free(g->server_tls);
    tls_client_free(g->client_tls);
    config_free(g->config);
    free(g->slots);
    free(g);
}
