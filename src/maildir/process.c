/* SPDX-License-Identifier: Apache-2.0
 * The maildir process: its loop carries frames, its threads write. */
#include "maildir/process.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/task.h"
#include "maildir/folder.h"

#define THREADS 16       /* each waits for the disk most of the time */
#define WAITING_MAX 20000
#define PEER_MAX 2000    /* of one worker, each with a descriptor */
#define ANSWER_MS 5000   /* before the worker gives up */

struct process {
    struct helper_process helper;
    struct pool *pool;
    struct tasks *tasks;
};

struct peer {
    struct helper_peer helper;
    struct task_owner jobs;
};

struct job {
    struct task task;
    const struct config *config;
    uint64_t since;
    const struct config_hop *hop;
    json_int_t id;
    char *to;
    struct buf bytes;    /* of head and what is put in */
    struct maildir_run runs[MAILDIR_RUNS_MAX];
    size_t run_n, head_n;
    int fd;
    const char *state;
    char text[400];
};

static struct peer *peer_of(struct helper_peer *p) { return container_of(p, struct peer, helper); }
static struct process *process_of(struct helper_process *p) { return container_of(p, struct process, helper); }
static struct job *job_of(struct task *t) { return container_of(t, struct job, task); }

static void job_free(struct job *j)
{
    if (j->fd >= 0) close(j->fd);
    free(j->to);
    buf_deinit(&j->bytes);
    free(j);
}

/* ---- in a thread */

__attribute__((format(printf, 3, 4)))
static void conclude(struct job *j, const char *state, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(j->text, sizeof j->text, fmt, ap);
    va_end(ap);
    j->state = state;
}

static void conclude_failure(struct job *j, const struct err *err)
{
    const char *code = "4.3.0", *hint = "";
    if (err->code == EDQUOT) code = "4.2.2";
    if (err->code == ENOSPC) code = "4.3.1";
    if (err->code == ENAMETOOLONG) {
        conclude(j, "failed", "5.1.1 there can be no mailbox of this name: %s", err->text);
        return;
    }
    if (err->code == EACCES || err->code == EPERM || err->code == ENOENT || err->code == ENOTDIR || err->code == ELOOP) {
        code = "4.3.5";
        hint = " (system.mail_user must be able to write there, and no symbolic link may lead away)";
    }
    conclude(j, "later", "%s %.200s%s", code, err->text, hint);
}

static void deliver(struct job *j)
{
    struct buf folder = { 0 };
    struct err err;
    const char *why = maildir_folder(j->hop->path, slice_str(j->to), &folder);
    const struct maildir_mail m = { .hostname = j->config->hostname, .head = slice_of(j->bytes.p, j->head_n), .fd = j->fd,
                                    .runs = j->runs, .run_n = j->run_n };
    if (why) conclude(j, "failed", "5.1.1 there can be no mailbox of this name: %s", why);
    else if (maildir_write(buf_cstr(&folder), maildir_fixed(j->hop->path), &m, &err)) conclude(j, "done", "2.1.5 delivered to the mailbox");
    else conclude_failure(j, &err);
    buf_deinit(&folder);
}

/* Else it was or will be asked for again. */
static bool is_awaited(const struct job *j)
{
    return !atomic_load(&j->task.gone) && clock_mono_ms() - j->since < MAILDIR_WAIT_MS - ANSWER_MS;
}

static void run(struct task *t)
{
    struct job *j = job_of(t);
    if (is_awaited(j)) deliver(j);
    else conclude(j, "later", "4.3.0 it took too long until the message's turn came");
}

/* ---- answers */

static void answer(const struct peer *peer, const struct job *j)
{
    json_t *m = json_pack("{s:I, s:s, s:o}", "id", j->id, "state", j->state, "text", json_stringn(j->text, strlen(j->text)));
    channel_send(peer->helper.channel, m, -1);
    json_decref(m);
}

static void on_done(struct task *t)
{
    if (t->owner) answer(container_of(t->owner, struct peer, jobs), job_of(t));
    job_free(job_of(t));
}

/* ---- requests: a worker may have been taken over by what it received */

/* Bytes are appended; where they are is set when all are there. */
static bool read_runs(struct job *j, const json_t *runs)
{
    size_t n = json_array_size(runs), at = j->head_n;
    if (n % 2 || n / 2 > MAILDIR_RUNS_MAX) return false;
    for (size_t i = 0; i < n; i += 2) {
        const json_t *first = json_array_get(runs, i), *second = json_array_get(runs, i + 1);
        json_int_t from = json_integer_value(first), size = json_integer_value(second);
        struct maildir_run *r = &j->runs[j->run_n++];
        if (json_is_string(first)) {
            size_t before = j->bytes.n;
            if (!base64_decode(slice_of(json_string_value(first), json_string_length(first)), &j->bytes)) return false;
            *r = (struct maildir_run){ .n = j->bytes.n - before, .with = SLICE("") };
        } else if (json_is_integer(first) && from >= 0 && size >= 0)
            *r = (struct maildir_run){ .from = (uint64_t)from, .n = (uint64_t)size };
        else return false;
    }
    for (size_t i = 0; i < j->run_n; i++) {
        if (!j->runs[i].with.p) continue;
        j->runs[i].with = slice_of(j->bytes.p + at, j->runs[i].n);
        at += j->runs[i].n;
    }
    return true;
}

static bool read_job(struct job *j, const json_t *m)
{
    const struct config *c = j->config;
    const json_t *id = json_object_get(m, "id"), *hop = json_object_get(m, "hop");
    json_int_t number = json_integer_value(hop);
    if (!slice_eq(json_text(m, "op"), SLICE("deliver")) || !json_is_integer(id) || !json_is_integer(hop) || number < 0 ||
        (size_t)number >= c->hop_n || c->hops[number]->kind != CONFIG_HOP_MAILDIR)
        return false;
    j->id = json_integer_value(id);
    j->hop = c->hops[number];
    j->to = mem_slicedup(json_text(m, "to"));
    if (!base64_decode(json_text(m, "head"), &j->bytes)) return false;
    j->head_n = j->bytes.n;
    return read_runs(j, json_object_get(m, "runs"));
}

static bool on_message(struct helper_peer *hp, const json_t *m, int fd)
{
    struct process *p = process_of(hp->process);
    struct peer *peer = peer_of(hp);
    struct job *j = mem_new(struct job);
    j->config = p->helper.config;
    j->fd = fd;
    if (!read_job(j, m)) {
        job_free(j);
        return false;
    }
    j->since = clock_mono_ms();
    if (fd < 0) conclude(j, "later", "4.3.0 the message could not be handed over"); /* no more descriptors */
    else if (peer->jobs.n < PEER_MAX && task_start(p->tasks, p->pool, &peer->jobs, &j->task)) return true;
    else conclude(j, "later", "4.3.2 too much mail waits for mailboxes");
    answer(peer, j);
    job_free(j);
    return true;
}

static void peer_open(struct helper_peer *p) { task_owner_init(&peer_of(p)->jobs); }
static void peer_close(struct helper_peer *p) { task_owner_gone(&peer_of(p)->jobs); }

/* ---- the process */

static bool open_process(struct helper_process *hp, struct err *err)
{
    struct process *p = process_of(hp);
    p->tasks = tasks_new(hp->base, run, on_done, err);
    p->pool = p->tasks ? pool_new(THREADS, WAITING_MAX, err) : NULL;
    return p->pool != NULL;
}

static void paths(const struct helper_process *p, struct landlock *l)
{
    for (size_t i = 0; i < p->config->hop_n; i++) {
        const struct config_hop *h = p->config->hops[i];
        if (h->kind != CONFIG_HOP_MAILDIR) continue;
        char *folder = mem_slicedup(slice_of(h->path, maildir_fixed(h->path)));
        landlock_write(l, folder);
        free(folder);
    }
}

static bool needed(const struct config *c)
{
    for (size_t i = 0; i < c->hop_n; i++)
        if (c->hops[i]->kind == CONFIG_HOP_MAILDIR) return true;
    return false;
}

static const char *user(const struct config *c) { return c->system.mail_user; }

/* Nothing to close: threads may be busy still. */
const struct helper_kind maildir_helper = {
    .name = "maildir", .descriptors = true, .process_size = sizeof(struct process), .peer_size = sizeof(struct peer), .needed = needed,
    .user = user, .calls = SECCOMP_MAILDIR, .paths = paths, .open = open_process, .peer_open = peer_open, .peer_message = on_message,
    .peer_close = peer_close,
};
