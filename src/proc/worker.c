/* SPDX-License-Identifier: Apache-2.0
 * A relay worker's life: privileges go, a spool comes, sockets come, mail flows, draining, the end. */
#include "proc/worker.h"
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "policy/policy.h"
#include "policy/shared.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/tables.h"
#include "doctor/doctor.h"
#include "net/resolver.h"
#include "policy/provider.h"
#include "proc/privilege.h"
#include "proc/worker_int.h"
#include "store/quarantine_link.h"
#include "store/store.h"

#define CUT_AFTER_MS 10000 /* past the time to drain: what is not over by then is broken off */

/* ---- to the master */

static void tell(struct worker *w, const char *op, int n, const char *error)
{
    json_t *m = json_pack("{s:s}", "op", op);
    if (n >= 0) json_object_set_new(m, "n", json_integer(n));
    if (error) json_object_set_new(m, "error", json_string(error));
    if (w->master) channel_send(w->master, m, -1);
    json_decref(m);
}

static void fail(struct worker *w, int n, const struct err *err)
{
    if (!w->master) log_event(LOG_ERROR, "worker-failed", LOG_ERR(err));
    tell(w, "failed", n, err->text);
    w->exit_code = EXIT_FAILURE;
    w->stop = true;
}

/* ---- draining */

static void check_idle(struct worker *w)
{
    if (w->server_idle && w->queue_idle) w->stop = true;
}

static void on_server_idle(void *arg)
{
    struct worker *w = arg;
    w->server_idle = true;
    check_idle(w);
}

static void on_queue_idle(void *arg)
{
    struct worker *w = arg;
    w->queue_idle = true;
    check_idle(w);
}

static void close_sockets(struct worker *w)
{
    while (w->socket_n) close(w->sockets[--w->socket_n].fd);
}

/* What is still in the spool after that is another worker's. */
static void drain(struct worker *w, uint64_t ms)
{
    uint64_t cut = w->draining && !ms ? 500 : ms + CUT_AFTER_MS;
    struct timeval tv = { (time_t)(cut / 1000), (suseconds_t)(cut % 1000 * 1000) };
    event_add(w->deadline, &tv);
    if (w->draining) return;
    w->draining = true;
    if (!w->server) { /* it has not begun */
        w->stop = true;
        return;
    }
    log_event(LOG_INFO, "draining", LOG_NUM("ms", ms));
    server_drain(w->server, ms, on_server_idle, w);
    close_sockets(w); /* a port that nobody serves any more refuses instead of keeping clients waiting */
    queue_drain(w->queue, ms, on_queue_idle, w);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    log_event(LOG_WARNING, "drain-cut");
    w->stop = true;
}

static void on_terminate(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    drain(w, w->config->system.drain);
}

/* ---- spools */

static void on_spool_empty(void *arg, struct spool *sp)
{
    struct worker *w = arg;
    list_each(it, &w->spools) {
        struct worker_spool *s = list_entry(it, struct worker_spool, node);
        if (s->spool != sp) continue; /* closed already: only a name here */
        tell(w, "emptied", s->n, NULL);
        list_remove(&s->node);
        free(s);
        return;
    }
}

static struct spool *open_spool(struct worker *w, int n, bool adopted, bool *busy, struct err *err)
{
    char dir[4300];
    const struct config *c = w->config;
    snprintf(dir, sizeof dir, "%s/%d", w->start->spool_root, n);
    struct spool_options o = {
        .dir = dir,
        .segment_size = c->queue.segment_size,
        .inline_size = c->queue.inline_size,
        .free_percent = c->queue.free_space,
    };
    *busy = false;
    struct spool *sp = spool_open(w->base, &o, busy, err);
    if (!sp) return NULL;
    struct worker_spool *s = mem_new(struct worker_spool);
    *s = (struct worker_spool){ .n = n, .adopted = adopted, .spool = sp };
    list_push_back(&w->spools, &s->node);
    return sp;
}

static bool needs_local_sockets(const struct config *c)
{
    for (size_t i = 0; i < c->hop_n; i++)
        if (c->hops[i]->kind == CONFIG_HOP_LMTP && c->hops[i]->path) return true;
    return false;
}

/* All threads there will be are running now. */
static bool begin(struct worker *w, int n, struct spool *sp, struct err *err)
{
    w->queue = queue_new(&(struct queue_options){ .base = w->base, .streams = w->streams, .config = w->config,
        .resolver = w->resolver, .tls = w->start->client_tls, .auth = w->auth, .fetch = w->fetch,
        .signer = w->signer, .keys = w->start->keys, .rewriter = w->start->rewriter, .templates = w->start->templates,
        .expander = policy_expander(w->start->policy), .store = w->config->store.history ? w->store : NULL, .maildir = w->maildir, .quarantine = w->quarantine, .worker = (unsigned)n });
    queue_add_spool(w->queue, sp, false, NULL, NULL);
    tables_watch(policy_tables(w->start->policy), w->base);
    w->providers = provider_keeper_new(w->base, w->resolver, w->config, w->start->spool_root);
    w->policy = policy_engine_new(&(struct policy_engine_options){ .base = w->base, .config = w->config,
        .policy = w->start->policy, .resolver = w->resolver, .store = w->store, .shared = w->start->shared, .auth = w->auth, .scan = w->scan,
        .rewriter = w->start->rewriter, .templates = w->start->templates, .queue = w->queue, .providers = w->providers, .alarm = worker_alarm, .alarm_arg = w });
    w->server = server_new(&(struct server_options){ .base = w->base, .streams = w->streams, .config = w->config,
        .queue = w->queue, .templates = w->start->templates, .tls = w->start->server_tls, .auth = w->auth, .providers = w->providers, .policy = w->policy, .signer = w->signer, .keys = w->start->keys,
        .store = w->config->store.history ? w->store : NULL, .shared = w->start->shared, .column = w->column });
    worker_doctor_open(w);
    return !w->config->system.sandbox || seccomp_restrict(needs_local_sockets(w->config) ? SECCOMP_RELAY_LOCAL : SECCOMP_RELAY, err);
}

static void take_spool(struct worker *w, int n)
{
    struct err err;
    bool busy;
    if (w->queue || w->draining) return;
    struct spool *sp = open_spool(w, n, false, &busy, &err);
    if (!sp && busy) tell(w, "busy", n, NULL);
    else if (!sp || !begin(w, n, sp, &err)) fail(w, n, &err);
    else tell(w, "ready", -1, NULL);
}

static void adopt_spool(struct worker *w, int n)
{
    struct err err;
    bool busy;
    if (!w->queue || w->draining) return; /* when we end, the master finds it without owner again */
    struct spool *sp = open_spool(w, n, true, &busy, &err);
    if (sp) {
        tell(w, "adopted", n, NULL);
        queue_add_spool(w->queue, sp, true, on_spool_empty, w);
    } else if (busy) {
        tell(w, "busy", n, NULL);
    } else {
        tell(w, "failed", n, err.text);
    }
}

/* ---- from the master */

static void take_socket(struct worker *w, size_t listener, size_t number, int fd)
{
    bool known = false;
    for (size_t i = 0; i < w->socket_n; i++)
        known |= w->sockets[i].listener == listener && w->sockets[i].socket == number;
    if (known || !w->server || w->draining || listener >= w->config->listener_n) {
        close(fd);
        return;
    }
    w->sockets = mem_grow(w->sockets, w->socket_n + 1, sizeof *w->sockets);
    w->sockets[w->socket_n++] = (struct worker_socket){ .listener = listener, .socket = number, .fd = fd };
    server_listen(w->server, fd, listener);
}

static uint64_t number(const json_t *m, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(m, key));
    return v > 0 ? (uint64_t)v : 0;
}

static void on_master(void *arg, const json_t *m, int fd)
{
    struct worker *w = arg;
    const char *op = json_string_value(json_object_get(m, "op"));
    int n = (int)number(m, "n");
    if (!op) op = "";
    if (fd >= 0) {
        if (!strcmp(op, "listen")) take_socket(w, number(m, "listener"), number(m, "socket"), fd);
        else if (!strcmp(op, "admin")) worker_control_open(w, fd);
        else if (!strcmp(op, "auth")) link_connect(w->auth, fd);
        else if (!strcmp(op, "fetch")) link_connect(w->fetch, fd);
        else if (!strcmp(op, "signer")) link_connect(w->signer, fd);
        else if (!strcmp(op, "scan")) link_connect(w->scan, fd);
        else if (!strcmp(op, "tables")) link_connect(w->tables, fd);
        else if (!strcmp(op, "maildir")) link_connect(w->maildir, fd);
        else if (!strcmp(op, "store")) store_link_connect(w->store, fd);
        else if (!strcmp(op, "quarantine")) quarantine_link_connect(w->quarantine, fd);
        else close(fd);
        return;
    }
    if (!strcmp(op, "spool")) take_spool(w, n);
    else if (!strcmp(op, "adopt")) adopt_spool(w, n);
    else if (!strcmp(op, "drain")) drain(w, number(m, "ms"));
}

/* The master is dead. Another one may start at once: it gets our spool when we are done with it. */
static void on_master_end(void *arg)
{
    struct worker *w = arg;
    channel_free(&w->master);
    log_event(LOG_ERROR, "master-gone");
    drain(w, w->config->system.drain);
}

/* ---- start and end */

static bool restrict_files(const struct worker *w, struct err *err)
{
    struct landlock l;
    if (!w->config->system.sandbox) {
        log_event(LOG_WARNING, "no-sandbox", LOG_STR("reason", "system.sandbox is off"));
        return true;
    }
    landlock_init(&l);
    landlock_add_network(&l);
    landlock_read(&l, w->config->dns.trust_anchor);
    landlock_write(&l, w->start->spool_root);
    landlock_read_below(&l, w->config->system.directory, "tables");
    return landlock_restrict(&l, err);
}

static bool prepare(struct worker *w, struct err *err)
{
    if (!privilege_drop(w->start->user, err) || !restrict_files(w, err)) return false;
    w->streams = stream_loop_new(w->base);
    w->resolver = resolver_new(w->base, w->config, err);
    return w->resolver != NULL;
}

static void worker_deinit(struct worker *w)
{
    worker_control_free(w);
    if (w->server) server_free(w->server);
    doctor_free(&w->doctor);
    policy_engine_free(w->policy);
    if (w->queue) queue_stop(w->queue);
    list_each_safe(it, &w->spools) {
        struct worker_spool *s = list_entry(it, struct worker_spool, node);
        spool_close(s->spool); /* all that was acknowledged is on disk already; this waits for the rest */
        free(s);
    }
    if (w->queue) queue_free(w->queue); /* now that no spool looks at its messages any more */
    provider_keeper_free(w->providers);
    tables_unwatch(policy_tables(w->start->policy));
    link_free(w->auth);
    link_free(w->fetch);
    link_free(w->signer);
    link_free(w->scan);
    link_free(w->tables);
    link_free(w->maildir);
    json_decref(w->table_state);
    json_decref(w->scan_state);
    store_link_free(w->store);
    quarantine_link_free(w->quarantine);
    if (w->resolver) resolver_free(w->resolver);
    if (w->streams) stream_loop_free(w->streams);
    close_sockets(w);
    free(w->sockets);
    event_free(w->terminate);
    event_free(w->deadline);
    channel_free(&w->master);
    event_base_free(w->base);
}

int worker_main(const struct worker_start *start)
{
    struct worker w = { .start = start, .config = start->config, .base = event_base_new(), .started = clock_mono_ms() };
    struct err err;
    list_init(&w.requests);
    list_init(&w.spools);
    list_init(&w.files);
    w.terminate = evsignal_new(w.base, SIGTERM, on_terminate, &w);
    event_add(w.terminate, NULL);
    w.auth = link_new(w.base, NULL, NULL, NULL);
    w.fetch = link_new(w.base, "fetch-process-gone", worker_on_fetch_message, &w);
    w.signer = link_new(w.base, "signer-process-gone", NULL, NULL);
    w.scan = link_new(w.base, "scan-process-gone", worker_on_scan_message, &w);
    w.tables = link_new(w.base, "tables-process-gone", worker_on_table_message, &w);
    w.maildir = link_new(w.base, "maildir-process-gone", NULL, NULL);
    w.store = store_link_new(w.base);
    w.quarantine = quarantine_link_new(w.base);
    w.column = shared_column_take(start->shared);
    w.deadline = evtimer_new(w.base, on_deadline, &w);
    w.master = channel_new(w.base, start->channel, on_master, on_master_end, &w);
    if (prepare(&w, &err)) tell(&w, "hello", -1, NULL);
    else fail(&w, -1, &err);
    while (!w.stop) {
        event_base_loop(w.base, EVLOOP_ONCE);
        store_link_flush(w.store); /* once a turn, like the log */
        log_flush();
    }
    int code = w.exit_code;
    worker_deinit(&w);
    return code;
}
