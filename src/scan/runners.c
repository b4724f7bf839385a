/* SPDX-License-Identifier: Apache-2.0
 * The children: started, given one message after the other, ended when they take too long, replaced. */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "content/wire.h"
#include "scan/dispatch.h"

#define START_MS 60000  /* a child that is not ready by then will not be */
#define GRACE_MS 2000   /* a child keeps scan.timeout by itself; this is for the rest */

static void runner_start(struct runner *r);

static void set_timer(struct runner *r, uint64_t ms)
{
    event_add(r->timer, &(struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) });
}

/* ---- the end of a child */

static void tell_end(const struct runner *r, int status)
{
    const json_t *context = r->job ? json_object_get(r->job->frame, "context") : NULL;
    const char *event = !r->ready ? "scan-failed" : r->late ? "scan-timeout" : "scan-crash";
    int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0, code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    uint64_t id = (uint64_t)json_integer_value(json_object_get(context, "message"));
    if (id) log_event(LOG_ERROR, event, LOG_ID(id), LOG_NUM("pid", r->pid), LOG_NUM("signal", by), LOG_NUM("code", code));
    else log_event(LOG_ERROR, event, LOG_NUM("pid", r->pid), LOG_NUM("signal", by), LOG_NUM("code", code));
}

/* A message is given to another one once. */
static void job_crashed(struct runner *r)
{
    struct job *j = r->job;
    struct report crashed = { .crashed = true };
    r->job = NULL;
    if (!j) return;
    if (++j->crashes < SCAN_CRASHES_MAX && j->peer) queue_again(r->process, j);
    else if (!j->scans) job_fail(j, "the message ended the process that looked into it");
    else job_end(j, json_pack("{s:o}", "report", report_encode(&crashed)));
}

static void runner_ended(struct runner *r)
{
    struct process *p = r->process;
    int status = 0;
    channel_free(&r->channel);
    kill(r->pid, SIGKILL); /* it may only have closed its end */
    waitpid(r->pid, &status, 0);
    tell_end(r, status);
    if (!r->ready && !p->failure[0])
        snprintf(p->failure, sizeof p->failure, WIFSIGNALED(status) ? "it was ended by signal %d" : "it ended with code %d",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (r->late) p->timeouts++;
    else p->crashes++;
    /* one that worked is replaced at once: else whoever sends what ends them could stop all mail */
    uint64_t pause = restart_pause(&r->restart, r->ready ? RESTART_HEALTHY_MS : clock_mono_ms() - r->started);
    breaker_release(p->breaker, r);
    r->pid = 0;
    r->ready = r->late = false;
    job_crashed(r);
    set_timer(r, pause);
    runners_work(p);
}

static void on_end(void *runner) { runner_ended(runner); }

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct runner *r = arg;
    if (!r->pid) {
        runner_start(r);
        return;
    }
    r->late = true;
    kill(r->pid, SIGKILL); /* its channel ends then */
}

/* ---- what it says */

static bool is_answer(const struct runner *r, const json_t *m)
{
    const char *const keys[] = { "report", "view", "learnt", "error" };
    bool any = false;
    for (size_t i = 0; i < countof(keys); i++) any |= json_object_get(m, keys[i]) != NULL;
    return any && r->job && json_integer_value(json_object_get(m, "id")) == r->id;
}

static void keep_text(char out[static REPORT_TEXT_MAX + 1], const json_t *m, const char *key)
{
    json_t *clean = wire_clean_text(json_text(m, key), REPORT_TEXT_MAX);
    snprintf(out, REPORT_TEXT_MAX + 1, "%s", json_string_value(clean));
    json_decref(clean);
}

/* All children of a configuration meet the same trouble: it is said once. */
static void on_ready(struct runner *r, const json_t *m)
{
    struct process *p = r->process;
    bool had_trouble = p->trouble[0] != 0;
    r->ready = true;
    event_del(r->timer);
    p->failure[0] = 0;
    keep_text(p->trouble, m, "trouble");
    if (p->trouble[0] && !had_trouble)
        log_event(LOG_WARNING, "no-classifier", LOG_STR("error", p->trouble), LOG_STR("text", "messages are looked into without it"));
}

static void on_message(void *runner, const json_t *m, int fd)
{
    struct runner *r = runner;
    struct process *p = r->process;
    if (fd >= 0) close(fd);
    if (!r->ready && slice_eq(json_text(m, "op"), SLICE("ready"))) {
        on_ready(r, m);
    } else if (!r->ready && slice_eq(json_text(m, "op"), SLICE("failed"))) {
        keep_text(p->failure, m, "error");
        return;
    } else if (is_answer(r, m)) {
        struct job *j = r->job;
        r->job = NULL;
        event_del(r->timer);
        breaker_take(p->breaker, json_object_get(m, "report"));
        breaker_release(p->breaker, r);
        p->messages += j->scans;
        job_end(j, json_copy((json_t *)m));
    } else {
        kill(r->pid, SIGKILL); /* it is not ours any more */
        return;
    }
    runners_work(p);
}

/* ---- work */

static void give(struct runner *r, struct job *j)
{
    struct process *p = r->process;
    json_t *m = json_copy(j->frame), *context = json_copy(json_object_get(j->frame, "context"));
    r->job = j;
    r->id = ++p->last_id;
    j->begun = clock_mono_ms();
    json_object_set_new(m, "id", json_integer(r->id));
    if (context) json_object_set_new(context, "down", breaker_down(p->breaker, r));
    if (context) json_object_set_new(m, "context", context);
    set_timer(r, p->helper.config->scan.timeout + GRACE_MS);
    channel_send(r->channel, m, j->fd);
    json_decref(m);
}

void runners_work(struct process *p)
{
    for (unsigned i = 0; i < p->runner_n; i++) {
        struct runner *r = &p->runners[i];
        struct job *j = r->ready && !r->late && !r->job ? queue_next(p) : NULL;
        if (j) give(r, j);
    }
}

/* ---- the beginning of a child */

static void runner_start(struct runner *r)
{
    struct process *p = r->process;
    struct err err;
    int pair[2];
    if (!channel_pair(pair, &err)) {
        log_event(LOG_ERROR, "scan-failed", LOG_ERR(&err));
        set_timer(r, RESTART_PAUSE_MAX_MS);
        return;
    }
    log_flush(); /* or it would be written twice */
    struct scan_child child = { p->helper.config, p->scanning, pair[1], r->number, getpid() };
    pid_t pid = fork();
    if (pid == 0) scan_child_main(&child);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        log_event(LOG_ERROR, "scan-failed", LOG_STR("error", "no process can be started"));
        set_timer(r, RESTART_PAUSE_MAX_MS);
        return;
    }
    r->pid = pid;
    r->started = clock_mono_ms();
    r->channel = channel_new(p->helper.base, pair[0], on_message, on_end, r);
    set_timer(r, START_MS);
}

void runners_start(struct process *p)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    p->runner_n = p->helper.config->scan.processes;
    if (!p->runner_n) p->runner_n = cores > 2 ? (unsigned)cores : 2; /* a long one holds up no other */
    p->runners = mem_zalloc(p->runner_n * sizeof *p->runners);
    for (unsigned i = 0; i < p->runner_n; i++) {
        struct runner *r = &p->runners[i];
        r->process = p;
        r->number = i;
        r->timer = evtimer_new(p->helper.base, on_timer, r);
        runner_start(r);
    }
}
