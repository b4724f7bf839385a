/* SPDX-License-Identifier: Apache-2.0
 * Starting processes, and seeing to it that they end. A child is forked, not executed: it has what the master loaded
 * (configuration, keys) and gives up the rest at once. */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/watch.h"
#include "fetch/process.h"
#include "net/tls.h"
#include "policy/shared.h"
#include "proc/process.h"
#include "proc/worker.h"
#include "route/rewrite.h"

#define KILL_AFTER_MS 15000 /* past the time it was given to drain */

/* The terminal's Ctrl-C and Ctrl-\ go to all of us; the master alone acts on them. */
static void set_child_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void on_killer(evutil_socket_t fd, short what, void *arg)
{
    struct child *c = arg;
    log_event(LOG_WARNING, "worker-killed", LOG_NUM("pid", c->pid), LOG_STR("reason", "it did not end in time"));
    kill(c->pid, SIGKILL);
}

/* In the parent: a child with its channel. In the child: NULL and its end of the channel; elsewhere that is -1. */
static struct child *fork_child(struct master *m, enum child_role role, channel_message_cb *on_message, int *channel,
                                struct err *err)
{
    int pair[2];
    *channel = -1;
    if (!channel_pair(pair, err)) return NULL;
    log_flush(); /* or it would be written twice */
    pid_t pid = fork();
    if (pid == 0) {
        *channel = pair[1];
        set_child_signals();
        (void)!chdir("/"); /* where the master was started is none of its business */
        return NULL;
    }
    close(pair[1]);
    if (pid < 0) {
        err_sys(err, errno, "fork");
        close(pair[0]);
        return NULL;
    }
    struct child *c = mem_new(struct child);
    c->master = m;
    c->pid = pid;
    c->role = role;
    c->state = role == CHILD_WORKER ? CHILD_STARTING : CHILD_READY;
    c->spool = -1;
    c->started = clock_mono_ms();
    c->killer = evtimer_new(m->base, on_killer, c);
    c->channel = channel_new(m->base, pair[0], on_message, workers_on_channel_end, c);
    list_push_back(&m->children, &c->node);
    return c;
}

/* ---- what a child does first and last */

static void set_name(const char *name, const struct config *c)
{
    prctl(PR_SET_NAME, name);
    master_set_log(c, name);
    if (strcmp(name, fetch_helper.name) != 0) watch_only_write();
}

/* Passwords are for the auth process of their own configuration alone. */
static void forget_secrets(const struct master *m, const struct generation *but)
{
    if (m->current && m->current != but) config_forget_secrets(m->current->config);
    if (m->next && m->next != but) config_forget_secrets(m->next->config);
}

/* Private keys, secrets of rewritten senders and what is counted for limits are the workers' alone. OpenSSL wipes what it frees. */
static void forget_keys(const struct master *m)
{
    const struct generation *const all[] = { m->current, m->next };
    for (size_t i = 0; i < countof(all); i++) {
        if (!all[i]) continue;
        tls_server_free(all[i]->server_tls);
        tls_client_free(all[i]->client_tls);
        rewriter_free(all[i]->rewriter);
    }
    tls_tickets_free(m->tickets);
    shared_free(m->shared); /* what workers count together: others could write it */
}

_Noreturn static void leave(int code)
{
    log_finish();
    _exit(code);
}

/* ---- workers */

_Noreturn static void be_worker(const struct slot *s, int channel)
{
    const struct generation *g = s->generation;
    const struct master *m = g->master;
    char name[24], root[4200];
    snprintf(name, sizeof name, "relay-%u", s->index);
    snprintf(root, sizeof root, "%s/spool", m->directory);
    set_name(name, g->config);
    privilege_close_all_but(channel, -1);
    forget_secrets(m, NULL);
    leave(worker_main(&(struct worker_start){
        .config = g->config, .server_tls = g->server_tls, .client_tls = g->client_tls, .policy = g->policy, .keys = g->keys, .rewriter = g->rewriter, .templates = g->templates, .shared = g->master->shared, .channel = channel,
        .spool_root = root, .slot = s->index, .generation = g->number, .user = &m->relay_user,
    }));
}

struct child *child_start_worker(struct slot *s, struct err *err)
{
    int channel;
    struct child *c = fork_child(s->generation->master, CHILD_WORKER, workers_on_message, &channel, err);
    if (channel >= 0) be_worker(s, channel);
    if (!c) return NULL;
    c->slot = s;
    c->index = s->index;
    c->generation = s->generation->number;
    s->child = c;
    return c;
}

/* ---- the admin process */

_Noreturn static void be_admin(const struct master *m, const struct config *c, int channel)
{
    bool sandbox = c->system.sandbox;
    set_name("admin", c);
    privilege_close_all_but(channel, m->control);
    forget_keys(m);
    forget_secrets(m, NULL);
    char directory[4200];
    master_admin_directory(m, directory, sizeof directory);
    leave(m->admin_main(&(struct admin_start){ .channel = channel, .socket = m->control, .directory = directory, .user = &m->admin_user, .sandbox = sandbox }));
}

struct child *child_start_admin(struct master *m, struct err *err)
{
    int channel;
    struct child *c = fork_child(m, CHILD_ADMIN, master_on_admin_message, &channel, err);
    if (channel >= 0) be_admin(m, (m->current ? m->current : m->next)->config, channel);
    return c;
}

/* ---- helpers */

_Noreturn static void be_helper(const struct helper *h, int channel)
{
    const struct generation *g = h->generation;
    set_name(h->kind->name, g->config);
    if (h->kind != &fetch_helper) watch_forget();
    privilege_close_all_but(channel, -1);
    forget_keys(g->master);
    forget_secrets(g->master, h->kind->secrets ? g : NULL);
    leave(helper_run(h, channel));
}

static void on_helper_message(void *child, const json_t *m, int fd)
{
    if (fd >= 0) close(fd); /* helpers have nothing to say to us */
}

struct child *child_start_helper(struct helper *h, struct err *err)
{
    int channel;
    struct child *c = fork_child(h->generation->master, CHILD_HELPER, on_helper_message, &channel, err);
    if (channel >= 0) be_helper(h, channel);
    if (!c) return NULL;
    c->helper = h->kind;
    c->generation = h->generation->number;
    return c;
}

/* ---- the store */

_Noreturn static void be_store(const struct master *m, const struct config *c, int channel)
{
    set_name("store", c);
    privilege_close_all_but(channel, -1);
    forget_keys(m);
    forget_secrets(m, NULL);
    leave(store_run(m, c, channel));
}

struct child *child_start_store(struct master *m, struct err *err)
{
    int channel;
    struct child *c = fork_child(m, CHILD_STORE, on_helper_message, &channel, err);
    if (channel >= 0) be_store(m, (m->current ? m->current : m->next)->config, channel);
    return c;
}

/* ---- for one request about the configuration */

_Noreturn static void be_config(const struct master *m, int channel, int request, bool users)
{
    set_name("config", (m->current ? m->current : m->next)->config);
    privilege_close_all_but(channel, request);
    forget_keys(m);
    forget_secrets(m, NULL);
    leave(config_child_main(m, channel, request, users));
}

struct child *child_start_config(struct master *m, int request, bool users, struct err *err)
{
    int channel;
    struct child *c = fork_child(m, CHILD_CONFIG, config_work_on_message, &channel, err);
    if (channel >= 0) be_config(m, channel, request, users);
    return c;
}

/* ---- for a backup */

_Noreturn static void be_backup(const struct master *m, int channel)
{
    set_name("backup", (m->current ? m->current : m->next)->config);
    watch_forget();
    privilege_close_all_but(channel, -1);
    forget_keys(m);
    forget_secrets(m, NULL);
    leave(backup_child_main(m, channel));
}

struct child *child_start_backup(struct master *m, struct err *err)
{
    int channel;
    struct child *c = fork_child(m, CHILD_BACKUP, backup_work_on_message, &channel, err);
    if (channel >= 0) be_backup(m, channel);
    return c;
}

/* ---- all of them */

void child_send(struct child *c, json_t *message, int fd)
{
    if (c->channel) channel_send(c->channel, message, fd);
    json_decref(message);
}

void child_drain(struct child *c, uint64_t ms)
{
    struct timeval tv = { (time_t)((ms + KILL_AFTER_MS) / 1000), 0 };
    if (c->slot) c->slot->child = NULL;
    c->slot = NULL;
    c->state = CHILD_DRAINING;
    child_send(c, json_pack("{s:s, s:I}", "op", "drain", "ms", (json_int_t)ms), -1);
    event_add(c->killer, &tv);
}

void child_free(struct child *c)
{
    list_remove(&c->node);
    if (c->slot) c->slot->child = NULL;
    if (c->master->admin == c) c->master->admin = NULL;
    if (c->master->store == c) c->master->store = NULL;
    struct helper *h = helper_of(c);
    if (h) h->child = NULL;
    channel_free(&c->channel);
    event_free(c->killer);
    free(c);
}

void child_connect(struct child *w, struct child *other, const char *name)
{
    struct err err;
    int pair[2];
    if (!other->channel || !w->channel) return;
    if (!channel_pair(pair, &err)) {
        log_event(LOG_WARNING, other->role == CHILD_ADMIN ? "no-admin-channel" : "no-helper-channel",
                  LOG_NUM("pid", w->pid), LOG_ERR(&err));
        return;
    }
    child_send(other, json_pack("{s:s, s:i}", "op", "worker", "pid", (int)w->pid), pair[0]);
    child_send(w, json_pack("{s:s}", "op", name), pair[1]);
    close(pair[0]);
    close(pair[1]);
}
