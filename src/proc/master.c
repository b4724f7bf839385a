/* SPDX-License-Identifier: Apache-2.0
 * The master: start, signals, requests from the admin process, the end. */
#include "proc/master.h"
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/watch.h"
#include "net/tls.h"
#include "proc/directory.h"
#include "policy/shared.h"
#include "proc/process.h"
#include "proc/tls.h"

#define FILES_WANTED 524288 /* descriptors: sessions, deliveries, large messages */
#define TICK_SECONDS 2
#define DAY_MS 86400000u

void master_set_log(const struct config *c, const char *process)
{
    log_setup(&(struct log_options){ .format = (enum log_format)c->log.format, .to = (enum log_target)c->log.to, .facility = c->log.facility,
                                     .socket = c->log.socket, .hostname = c->hostname });
    log_open(process, (enum log_level)c->log.level);
}

/* ---- the end */

void master_check_stopped(struct master *m)
{
    if (!m->stopping) return;
    list_each(it, &m->children)
        if (list_entry(it, struct child, node)->role == CHILD_WORKER) return;
    helpers_retire(m);
    store_end(m);
    list_each(it, &m->children)
        if (list_entry(it, struct child, node)->role != CHILD_ADMIN) return;
    if (m->admin) { /* it was of use until the last worker was gone */
        channel_free(&m->admin->channel);
        event_add(m->admin->killer, &(struct timeval){ 2, 0 });
        return;
    }
    event_base_loopbreak(m->base);
}

void master_stop(struct master *m, uint64_t drain_ms, int exit_code)
{
    if (!m->stopping) {
        log_event(LOG_INFO, "stopping", LOG_NUM("drain_ms", drain_ms));
        m->exit_code = exit_code;
        notify_send("STOPPING=1");
    }
    m->stopping = true;
    reload_stop(m);
    backup_work_stop(m);
    event_del(m->admin_timer);
    event_del(m->store_timer);
    list_each(it, &m->children) {
        struct child *c = list_entry(it, struct child, node);
        if (c->role == CHILD_WORKER) child_drain(c, drain_ms);
    }
    /* ours are the last copies of the sockets but the workers', who close theirs: from here on connections are refused
     */
    generation_free(&m->next);
    if (m->current) generation_drain(m->current, drain_ms);
    if (m->current) listen_set_free(&m->current->listeners);
    master_check_stopped(m);
}

/* ---- signals */

static void reap(struct master *m)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        list_each(it, &m->children) {
            struct child *c = list_entry(it, struct child, node);
            if (c->pid != pid) continue;
            workers_on_exit(c, status);
            break;
        }
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct master *m = arg;
    struct signalfd_siginfo s;
    while (read(fd, &s, sizeof s) == sizeof s) {
        switch (s.ssi_signo) {
        case SIGCHLD: reap(m); break;
        case SIGHUP:
            log_event(LOG_INFO, "reload-asked", LOG_STR("by", "SIGHUP"));
            reload_start(m, NULL);
            break;
        case SIGTERM:
        case SIGINT: /* a second one is impatient */
            master_stop(m, m->stopping || !m->current ? 0 : m->current->config->system.drain, 0);
            break;
        }
    }
}

static bool watch_signals(struct master *m, struct err *err)
{
    static const int all[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT };
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < countof(all); i++) sigaddset(&set, all[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return err_sys(err, errno, "sigprocmask");
    m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (m->signal_fd < 0) return err_sys(err, errno, "signalfd");
    m->signals = event_new(m->base, m->signal_fd, EV_READ | EV_PERSIST, on_signal, m);
    event_add(m->signals, NULL);
    return true;
}

/* At the start, and once a day: what is fine today may be about to end. */
static bool check_certificates(struct master *m, const struct config *c, struct err *err)
{
    m->certificates_checked = clock_mono_ms();
    struct config_report report = { 0 };
    bool ok = reload_check_certificates(m->file, c, &report);
    json_decref(reload_log_findings(&report, m->file));
    if (!ok) err_set_text(err, "a certificate cannot be used; postern check tells more");
    for (size_t i = 0; !ok && i < report.n; i++) {
        const struct config_finding *f = &report.findings[i];
        if (f->warning) continue;
        err_set_text(err, "%s: %s%s%s", f->option, f->text, f->hint[0] ? "; " : "", f->hint);
        break;
    }
    config_report_deinit(&report);
    return ok;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct master *m = arg;
    const struct generation *g = m->current ? m->current : m->next;
    uint64_t now = clock_mono_ms();
    struct err err;
    if (g) tls_tickets_rotate(m->tickets, now, g->config->tls.ticket_life);
    if (g && now - m->certificates_checked > DAY_MS) (void)check_certificates(m, g->config, &err);
    workers_adopt(m);
    web_tick(m);
}

/* ---- the admin process */

static void add_helper(json_t *helpers, const char *role, const struct child *c, uint64_t now)
{
    json_array_append_new(helpers, json_pack("{s:s, s:i, s:i, s:s, s:I}", "role", role, "pid", (int)c->pid, "generation",
                                             (int)c->generation, "state", c->channel ? "ready" : "draining", "age", (json_int_t)(now - c->started)));
}

static json_t *describe(struct master *m)
{
    struct buf listeners = { 0 };
    json_t *workers = json_array(), *helpers = json_array();
    uint64_t now = clock_mono_ms();
    list_each(it, &m->children) {
        static const char *const states[] = { "starting", "ready", "draining" };
        const struct child *c = list_entry(it, struct child, node);
        if (c->role == CHILD_ADMIN) add_helper(helpers, "admin", c, now);
        if (c->role == CHILD_HELPER) add_helper(helpers, c->helper->name, c, now);
        if (c->role == CHILD_STORE) add_helper(helpers, "store", c, now);
        if (c->role != CHILD_WORKER) continue;
        json_array_append_new(workers, json_pack("{s:i, s:i, s:i, s:i, s:s, s:I}", "pid", (int)c->pid, "slot",
                                                 (int)c->index, "generation", (int)c->generation, "spool", c->spool,
                                                 "state", states[c->state], "age", (json_int_t)(now - c->started)));
    }
    if (m->current) listen_set_describe(m->current->config, &listeners);
    const struct generation *g = m->current ? m->current : m->next;
    json_t *d = json_pack("{s:s, s:i, s:I, s:s, s:s, s:s, s:i, s:i, s:b, s:o, s:o, s:o, s:s, s:I, s:{s:I, s:I}}", "version", POSTERN_VERSION, "pid",
                          (int)getpid(), "uptime", (json_int_t)(clock_wall_ms() - m->started), "file", m->file,
                          "directory", m->directory, "listeners", buf_cstr(&listeners), "generation",
                          m->current ? (int)m->current->number : 0, "slots", m->current ? (int)m->current->slot_n : 0,
                          "stopping", m->stopping, "workers", workers, "helpers", helpers, "certificates",
                          certificates_describe(m), "hostname", g ? g->config->hostname : "", "started",
                          (json_int_t)m->started, "marks", "messages", (json_int_t)(g ? g->config->queue.warn_messages : 0), "age",
                          (json_int_t)(g ? g->config->queue.warn_age : 0));
    buf_deinit(&listeners);
    if (d && g) json_object_set_new(d, "web", web_describe(m));
    return d ? d : json_object();
}

void master_on_admin_message(void *child, const json_t *message, int fd)
{
    struct child *c = child;
    struct master *m = c->master;
    const char *op = json_string_value(json_object_get(message, "op"));
    json_t *id = json_object_get(message, "id");
    bool users = op && !strcmp(op, "users");
    if (op && json_is_integer(id) && (users || !strcmp(op, "config"))) {
        config_work_ask(m, json_integer_value(id), fd, users);
        return;
    }
    if (fd >= 0) close(fd);
    if (!op || !json_is_integer(id)) return;
    if (backup_work_on_admin(m, op, message)) return;
    if (!strcmp(op, "status")) {
        child_send(c, json_pack("{s:O, s:o}", "id", id, "answer", describe(m)), -1);
    } else if (!strcmp(op, "reload")) {
        log_event(LOG_INFO, "reload-asked", LOG_STR("by", "command"));
        reload_start(m, json_incref(id));
    }
}

void master_start_admin(struct master *m)
{
    struct err err;
    if (m->admin || m->stopping) return;
    m->admin = child_start_admin(m, &err);
    if (!m->admin) {
        log_event(LOG_ERROR, "admin-start", LOG_ERR(&err));
        event_add(m->admin_timer, &(struct timeval){ 5, 0 });
        return;
    }
    list_each(it, &m->children) {
        struct child *c = list_entry(it, struct child, node);
        if (c->role == CHILD_WORKER && c->state != CHILD_STARTING) child_connect(c, m->admin, "admin");
    }
    store_connect(m->admin);
    digest_tell_admin(m);
    web_tell_admin(m);
}

static void on_admin_timer(evutil_socket_t fd, short what, void *arg)
{
    master_start_admin(arg);
}

/* ---- the start */

static void raise_limits(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) return;
    if (r.rlim_max != RLIM_INFINITY && r.rlim_max < FILES_WANTED && geteuid() == 0) {
        struct rlimit more = { FILES_WANTED, FILES_WANTED };
        if (setrlimit(RLIMIT_NOFILE, &more) == 0) return;
    }
    r.rlim_cur = r.rlim_max == RLIM_INFINITY || r.rlim_max > FILES_WANTED ? FILES_WANTED : r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

void master_admin_directory(const struct master *m, char *out, size_t size)
{
    snprintf(out, size, "%s/admin", m->directory);
}

static bool prepare_directories(struct master *m, bool *stale, struct err *err)
{
    char path[4200];
    if (!directory_make(m->directory, 0755, NULL, err) || !directory_make(m->run_directory, 0755, NULL, err))
        return false;
    bool others = m->relay_user.change || m->admin_user.change;
    if (others && (!directory_check_private(m->directory, "system.directory", err) ||
                   !directory_check_private(m->run_directory, "system.run_directory", err)))
        return false;
    m->lock = directory_lock(m->run_directory, stale, err);
    if (m->lock < 0) return false;
    snprintf(path, sizeof path, "%s/spool", m->directory);
    m->spools = spools_new(path, &m->relay_user, err);
    if (!m->spools) return false;
    master_admin_directory(m, path, sizeof path);
    if (!directory_make(path, 0700, &m->admin_user, err)) return false;
    m->control = directory_control_socket(m->control_path, &m->admin_user, err);
    return m->control >= 0;
}

static void log_start(const struct master *m, const struct config *c)
{
    struct buf listeners = { 0 };
    listen_set_describe(c, &listeners);
    log_event(LOG_INFO, "start", LOG_STR("version", POSTERN_VERSION), LOG_STR("configuration", m->file),
              LOG_TEXT("listeners", buf_slice(&listeners)), LOG_NUM("workers", m->next->slot_n),
              LOG_STR("directory", m->directory), LOG_NUM("pid", getpid()));
    buf_deinit(&listeners);
    if (!m->relay_user.change || !m->admin_user.change)
        log_event(LOG_INFO, "no-user-change",
                  LOG_STR("reason", geteuid() ? "not started as root" : "system.user or system.admin_user is empty"));
}

static bool users_there(const struct config *c, struct err *err)
{
    struct buf names = { 0 }, hint = { 0 };
    bool there = master_users_there(c, &names, &hint);
    if (!there) err_set_text(err, "there is no user %s: %s", buf_cstr(&names), buf_cstr(&hint));
    buf_deinit(&names);
    buf_deinit(&hint);
    return there;
}

static bool start(struct master *m, struct config *c, struct err *err)
{
    bool stale = false;
    if (!watch_open(err) || !users_there(c, err) || !privilege_lookup(c->system.user, &m->relay_user, err) ||
        !privilege_lookup(c->system.admin_user, &m->admin_user, err) || !prepare_directories(m, &stale, err) ||
        !store_prepare(m, c, err))
        return false;
    if (!(m->tickets = tls_tickets_new(err)) || !check_certificates(m, c, err)) return false;
    tls_tickets_rotate(m->tickets, clock_mono_ms(), c->tls.ticket_life);
    m->next = generation_new(m, c, NULL, stale, err);
    if (!m->next) return false;
    log_start(m, c);
    if (!watch_signals(m, err)) return false;
    master_start_admin(m);
    store_start(m);
    if (!generation_start(m->next, err)) return false;
    event_add(m->tick, &(struct timeval){ TICK_SECONDS, 0 });
    return true;
}

static void master_free(struct master *m)
{
    while (!list_empty(&m->children)) { /* only when the start broke off */
        struct child *c = list_entry(m->children.next, struct child, node);
        kill(c->pid, SIGKILL);
        child_free(c);
    }
    generation_free(&m->current);
    generation_free(&m->next);
    if (m->signals) event_free(m->signals);
    if (m->signal_fd >= 0) close(m->signal_fd);
    event_free(m->tick);
    event_free(m->admin_timer);
    shared_free(m->shared);
    event_free(m->store_timer);
    event_base_free(m->base);
    if (m->control >= 0) {
        close(m->control);
        (void)unlink(m->control_path);
    }
    web_end(m);
    spools_free(&m->spools);
    tls_tickets_free(m->tickets);
    if (m->lock >= 0) directory_unlock(m->lock);
    json_decref(m->reload_ids);
    json_decref(m->reload_later);
    config_work_free(&m->config_work);
    json_decref(m->reload_findings);
    json_decref(m->certificates);
    free(m->control_path);
    free(m->file);
    free(m->directory);
    free(m->run_directory);
    free(m);
}

static struct master *master_new(const struct master_options *o)
{
    const struct config *c = o->config;
    struct master *m = mem_new(struct master);
    struct buf path = { 0 };
    char *absolute = realpath(o->file, NULL); /* reloads must not depend on where we were started */
    m->base = event_base_new();
    m->file = absolute ? absolute : mem_strdup(o->file);
    m->directory = mem_strdup(c->system.directory);
    m->run_directory = mem_strdup(c->system.run_directory);
    buf_addf(&path, "%s/control.sock", m->run_directory);
    m->control_path = mem_strdup(buf_cstr(&path));
    buf_deinit(&path);
    m->admin_main = o->admin_main;
    m->lock = m->control = m->signal_fd = -1;
    m->started = clock_wall_ms();
    m->pid = getpid();
    web_init(m);
    m->shared = shared_new();
    m->reload_ids = json_array();
    m->reload_later = json_array();
    m->config_work = config_work_new(m);
    m->tick = event_new(m->base, -1, EV_PERSIST, on_tick, m);
    m->admin_timer = evtimer_new(m->base, on_admin_timer, m);
    m->store_timer = store_timer_new(m);
    list_init(&m->children);
    return m;
}

int master_run(const struct master_options *o)
{
    struct err err;
    umask(022);
    master_set_log(o->config, "master");
    raise_limits();
    tls_wipe_what_is_freed();
    struct master *m = master_new(o);
    if (start(m, o->config, &err)) {
        do event_base_loop(m->base, EVLOOP_ONCE), log_flush();
        while (!event_base_got_break(m->base));
    } else {
        log_event(LOG_ERROR, "start-failed", LOG_ERR(&err));
        m->exit_code = err.code == EADDRINUSE || err.code == EAGAIN || err.code == EACCES ? EX_UNAVAILABLE : EX_CONFIG;
        if (!m->next) config_free(o->config);
    }
    int code = m->exit_code;
    log_event(LOG_INFO, "stopped");
    log_finish();
    master_free(m);
    return code;
}
