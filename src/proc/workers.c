/* SPDX-License-Identifier: Apache-2.0
 * What the master does when a worker says something or ends. A worker may have been taken over by what it received:
 * each word of it is checked against what the master knows. */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "policy/shared.h"
#include "proc/process.h"

static const char *text_of(const json_t *m, const char *key)
{
    const char *s = json_string_value(json_object_get(m, key));
    return s ? s : "";
}

/* The spool number in a message; -1 when there is none that can be. */
static int number_of(const json_t *m)
{
    const json_t *n = json_object_get(m, "n");
    json_int_t v = json_is_integer(n) ? json_integer_value(n) : -1;
    return v >= 0 && v < SPOOLS_MAX ? (int)v : -1;
}

/* Gives a starting worker a spool directory of its own. */
static void assign_spool(struct child *c)
{
    struct master *m = c->master;
    struct err err;
    c->spool = spools_take(m->spools, c, clock_mono_ms(), &err);
    if (c->spool >= 0) {
        child_send(c, json_pack("{s:s, s:i}", "op", "spool", "n", c->spool), -1);
        return;
    }
    log_event(LOG_ERROR, "no-spool", LOG_NUM("pid", c->pid), LOG_ERR(&err));
    if (c->slot && c->slot->generation == m->next) reload_failed(m, err.text);
    else kill(c->pid, SIGTERM);
}

static void on_ready(struct child *c)
{
    struct master *m = c->master;
    if (c->state != CHILD_STARTING || c->spool < 0) return;
    c->state = CHILD_READY;
    if (c->master->admin) child_connect(c, c->master->admin, "admin");
    helpers_connect(c);
    store_connect(c);
    if (!c->slot) return;
    if (c->slot->generation == m->next) {
        reload_ready(m);
    } else {
        log_event(LOG_INFO, "worker-started", LOG_NUM("slot", c->index), LOG_NUM("pid", c->pid),
                  LOG_NUM("spool", c->spool));
        generation_share_sockets(c->slot->generation);
    }
}

static void on_failed(struct child *c, int n, const char *error)
{
    struct master *m = c->master;
    log_event(LOG_ERROR, "worker-failed", LOG_NUM("slot", c->index), LOG_NUM("pid", c->pid), LOG_STR("error", error));
    if (n >= 0 && n != c->spool) {
        if (spools_owned(m->spools, n, c)) spools_failed(m->spools, n, clock_mono_ms());
    } else if (c->state == CHILD_STARTING && c->slot && c->slot->generation == m->next) {
        reload_failed(m, error);
    }
}

/* The directory that it was to take has another owner still. */
static void on_busy(struct child *c, int n)
{
    struct master *m = c->master;
    if (!spools_owned(m->spools, n, c)) return;
    spools_busy(m->spools, n, clock_mono_ms());
    if (n == c->spool && c->state == CHILD_STARTING) assign_spool(c);
}

void workers_on_message(void *arg, const json_t *message, int fd)
{
    struct child *c = arg;
    struct slice op = slice_str(text_of(message, "op"));
    int n = number_of(message);
    if (fd >= 0) close(fd); /* workers send none */
    if (slice_eq(op, SLICE("hello")) && c->state == CHILD_STARTING && c->spool < 0) assign_spool(c);
    else if (slice_eq(op, SLICE("ready"))) on_ready(c);
    else if (slice_eq(op, SLICE("busy")) && n >= 0) on_busy(c, n);
    else if (slice_eq(op, SLICE("failed"))) on_failed(c, n, text_of(message, "error"));
    else if (slice_eq(op, SLICE("emptied")) && n >= 0 && n != c->spool && spools_owned(c->master->spools, n, c))
        spools_emptied(c->master->spools, n);
    else if (slice_eq(op, SLICE("adopted")) && n >= 0)
        log_event(LOG_INFO, "spool-adopted", LOG_NUM("spool", n), LOG_NUM("pid", c->pid));
}

/* It ends, or it was taken over and sent what it must not; in either case it is of no use any more. */
void workers_on_channel_end(void *arg)
{
    struct child *c = arg;
    channel_free(&c->channel);
    event_add(c->killer, &(struct timeval){ 5, 0 });
}

static void log_exit(const struct child *c, int status, uint64_t lived)
{
    static const char *const ended[] = { "worker-ended", "admin-ended", "helper-ended", "store-ended", "config-ended", "backup-ended" };
    static const char *const roles[] = { "relay", "admin", "helper", "store", "config", "backup" };
    bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (fine && (c->role == CHILD_CONFIG || c->role == CHILD_BACKUP)) return; /* one for each look at the configuration; it has told already */
    const char *role = c->helper ? c->helper->name : c->role < countof(roles) ? roles[c->role] : "other";
    log_event(fine ? LOG_INFO : LOG_ERROR, ended[c->role], LOG_STR("role", role), LOG_NUM("pid", c->pid),
              LOG_NUM("slot", c->index), LOG_STR("by", WIFSIGNALED(status) ? "signal" : "exit"),
              LOG_NUM("code", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)),
              LOG_NUM("lived_ms", lived));
}

static void restart_slot(struct slot *s, uint64_t lived)
{
    uint64_t pause = restart_later(&s->restart, lived, s->timer);
    if (pause) log_event(LOG_WARNING, "restart-pause", LOG_NUM("slot", s->index), LOG_NUM("seconds", pause / 1000));
    if (pause) generation_share_sockets(s->generation);
}

void workers_on_exit(struct child *c, int status)
{
    struct master *m = c->master;
    struct slot *s = c->slot;
    uint64_t now = clock_mono_ms(), lived = now - c->started;
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    enum child_role role = c->role;
    struct helper *helper = helper_of(c);
    log_exit(c, status, lived);
    if (role == CHILD_WORKER) shared_column_drop(m->shared, c->pid);
    spools_release(m->spools, c, !clean && lived < RESTART_HEALTHY_MS, now);
    child_free(c);
    if (role == CHILD_CONFIG) config_work_on_exit(m);
    if (role == CHILD_BACKUP) backup_work_on_exit(m);
    if (m->stopping) {
        master_check_stopped(m);
        return;
    }
    helpers_retire(m);
    if (role == CHILD_HELPER) {
        if (helper) helper_on_exit(helper, lived);
    } else if (role == CHILD_STORE) {
        store_on_exit(m, lived);
    } else if (role == CHILD_ADMIN) {
        config_work_forget(m->config_work);
        backup_work_forget(m);
        (void)restart_later(&m->admin_restart, lived, m->admin_timer);
    } else if (s && s->generation == m->next) {
        reload_failed(m, "a new worker ended before it was ready");
    } else if (s) {
        restart_slot(s, lived);
    }
    workers_adopt(m);
}

void workers_adopt(struct master *m)
{
    const struct generation *g = m->current;
    if (!g || m->stopping) return;
    for (;;) {
        struct child *to = generation_any(g, m->adopter++ % g->slot_n);
        int n = to ? spools_adopt(m->spools, to, clock_mono_ms()) : -1;
        if (n < 0) return;
        child_send(to, json_pack("{s:s, s:i}", "op", "adopt", "n", n), -1);
    }
}
