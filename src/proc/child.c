/* SPDX-License-Identifier: Apache-2.0
 * Starting processes, and seeing to it that they end. A child is forked, not executed: it has what the master loaded
 * (configuration, keys) and gives up the rest at once. */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "net/tls.h"
#include "proc/process.h"
#include "proc/worker.h"

#define KILL_AFTER_MS 15000 /* past the time it was given to drain */

static void close_between(unsigned first, unsigned last)
{
    if (first > last) return;
    if (syscall(SYS_close_range, first, last, 0) == 0) return;
    long most = sysconf(_SC_OPEN_MAX); /* a kernel before 5.9 */
    if (most > 0 && last >= (unsigned)most) last = (unsigned)most - 1;
    for (unsigned fd = first; fd <= last; fd++) close((int)fd);
}

/* Everything but standard input, output, error and these two (b: -1 for none). */
static void close_all_but(int a, int b)
{
    int low = b >= 0 && b < a ? b : a, high = b > a ? b : a;
    close_between(3, (unsigned)low - 1);
    close_between((unsigned)low + 1, (unsigned)high - 1);
    close_between((unsigned)high + 1, ~0u);
}

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

/* In the parent: a child with its channel. In the child: *channel is set and NULL returned with *in_child. */
static struct child *fork_child(struct master *m, int *channel, bool *in_child, struct err *err)
{
    int pair[2];
    *in_child = false;
    if (!channel_pair(pair, err)) return NULL;
    log_flush(); /* or it would be written twice */
    pid_t pid = fork();
    *in_child = pid == 0;
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
    c->spool = -1;
    c->started = clock_mono_ms();
    c->killer = evtimer_new(m->base, on_killer, c);
    list_push_back(&m->children, &c->node);
    *channel = pair[0];
    return c;
}

/* Passwords are for the auth process of their own configuration alone. */
static void forget_secrets(const struct master *m, const struct generation *but)
{
    if (m->current && m->current != but) config_forget_secrets(m->current->config);
    if (m->next && m->next != but) config_forget_secrets(m->next->config);
}

_Noreturn static void be_worker(const struct slot *s, int channel)
{
    const struct generation *g = s->generation;
    const struct master *m = g->master;
    char name[24], root[4200];
    snprintf(name, sizeof name, "relay-%u", s->index);
    snprintf(root, sizeof root, "%s/spool", m->directory);
    prctl(PR_SET_NAME, name);
    log_open(name, (enum log_level)g->config->log.level);
    close_all_but(channel, -1);
    forget_secrets(m, NULL);
    struct worker_start start = {
        .config = g->config, .server_tls = g->server_tls, .client_tls = g->client_tls, .channel = channel,
        .spool_root = root, .slot = s->index, .generation = g->number, .user = &m->relay_user,
    };
    int code = worker_main(&start);
    log_flush();
    _exit(code);
}

struct child *child_start_worker(struct slot *s, struct err *err)
{
    int channel;
    bool in_child;
    struct child *c = fork_child(s->generation->master, &channel, &in_child, err);
    if (in_child) be_worker(s, channel);
    if (!c) return NULL;
    c->channel = channel_new(c->master->base, channel, workers_on_message, workers_on_channel_end, c);
    c->slot = s;
    c->index = s->index;
    c->generation = s->generation->number;
    s->child = c;
    return c;
}

/* Private keys are the workers' alone. OpenSSL wipes what it frees. */
static void forget_keys(const struct generation *g)
{
    if (!g) return;
    tls_server_free(g->server_tls);
    tls_client_free(g->client_tls);
}

_Noreturn static void be_admin(const struct master *m, int channel, bool sandbox)
{
    prctl(PR_SET_NAME, "admin");
    log_open("admin", (enum log_level)(m->current ? m->current : m->next)->config->log.level);
    close_all_but(channel, m->control);
    forget_keys(m->current);
    forget_keys(m->next);
    tls_tickets_free(m->tickets);
    forget_secrets(m, NULL);
    struct admin_start start = { .channel = channel, .socket = m->control, .user = &m->admin_user, .sandbox = sandbox };
    int code = m->admin_main(&start);
    log_flush();
    _exit(code);
}

struct child *child_start_admin(struct master *m, struct err *err)
{
    int channel;
    bool in_child, sandbox = (m->current ? m->current : m->next)->config->system.sandbox;
    struct child *c = fork_child(m, &channel, &in_child, err);
    if (in_child) be_admin(m, channel, sandbox);
    if (!c) return NULL;
    c->channel = channel_new(m->base, channel, master_on_admin_message, workers_on_channel_end, c);
    c->role = CHILD_ADMIN;
    c->state = CHILD_READY;
    return c;
}

_Noreturn static void be_helper(const struct helper *h, int channel)
{
    const struct generation *g = h->generation;
    const struct master *m = g->master;
    prctl(PR_SET_NAME, helper_name(h->kind));
    log_open(helper_name(h->kind), (enum log_level)g->config->log.level);
    close_all_but(channel, -1);
    forget_keys(m->current);
    forget_keys(m->next);
    tls_tickets_free(m->tickets);
    forget_secrets(m, h->kind == HELPER_AUTH ? g : NULL);
    int code = helper_main(h, channel);
    log_flush();
    _exit(code);
}

struct child *child_start_helper(struct helper *h, struct err *err)
{
    int channel;
    bool in_child;
    struct child *c = fork_child(h->generation->master, &channel, &in_child, err);
    if (in_child) be_helper(h, channel);
    if (!c) return NULL;
    c->channel = channel_new(c->master->base, channel, helper_on_message, workers_on_channel_end, c);
    c->role = CHILD_HELPER;
    c->helper = h->kind;
    c->state = CHILD_READY;
    c->generation = h->generation->number;
    return c;
}

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
    struct helper *h = helper_of(c);
    if (h) h->child = NULL;
    channel_free(&c->channel);
    event_free(c->killer);
    free(c);
}

void child_connect_admin(struct child *w)
{
    struct child *admin = w->master->admin;
    struct err err;
    int pair[2];
    if (!admin || !admin->channel || !w->channel) return;
    if (!channel_pair(pair, &err)) {
        log_event(LOG_WARNING, "no-admin-channel", LOG_NUM("pid", w->pid), LOG_ERR(&err));
        return;
    }
    child_send(admin,
               json_pack("{s:s, s:i, s:i, s:i}", "op", "worker", "pid", (int)w->pid, "slot", (int)w->index,
                         "generation", (int)w->generation),
               pair[0]);
    child_send(w, json_pack("{s:s}", "op", "admin"), pair[1]);
    close(pair[0]);
    close(pair[1]);
}
