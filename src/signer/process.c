/* SPDX-License-Identifier: Apache-2.0
 * The signer process: digests of workers become jobs for threads, signatures go back. The loop alone touches peers and channels. */
#include "signer/process.h"
#include <stdlib.h>
#include <unistd.h>
#include "base/base64.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/task.h"
#include "mailauth/key.h"
#include "signer/signer.h"

#define THREADS_MAX 16
#define WAITING_MAX 20000 /* jobs of all workers: some seconds' work */

struct process {
    struct helper_process helper;
    struct dkim_key **keys;  /* by number; NULL: not in use */
    size_t key_n;
    struct pool *pool;
    struct tasks *tasks;
};

struct peer {
    struct helper_peer helper;
    struct task_owner jobs;
};

struct job {
    struct task task;
    const struct dkim_key *key;
    json_int_t id;
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    size_t n;
};

static struct peer *peer_of(struct helper_peer *p) { return container_of(p, struct peer, helper); }
static struct process *process_of(struct helper_process *p) { return container_of(p, struct process, helper); }
static struct job *job_of(struct task *t) { return container_of(t, struct job, task); }

/* ---- in a thread */

static void run(struct task *t)
{
    struct job *j = job_of(t);
    j->n = dkim_key_sign(j->key, j->digest, j->signature);
}

/* ---- answers */

static void answer(const struct peer *peer, json_int_t id, struct slice signature)
{
    struct buf text = { 0 };
    base64_add(&text, signature);
    json_t *m = json_pack("{s:I}", "id", id);
    if (signature.n) json_object_set_new(m, "signature", json_stringn(text.p, text.n));
    channel_send(peer->helper.channel, m, -1);
    json_decref(m);
    buf_deinit(&text);
}

static void on_done(struct task *t)
{
    struct job *j = job_of(t);
    if (t->owner) answer(container_of(t->owner, struct peer, jobs), j->id, slice_of(j->signature, j->n));
    free(j);
}

/* ---- requests: a worker may have been taken over by what it received */

static bool read_digest(const json_t *m, uint8_t out[32])
{
    struct buf b = { .max = 32 };
    bool ok = base64_decode(json_text(m, "digest"), &b) && b.n == 32;
    if (ok) memcpy(out, b.p, 32);
    buf_deinit(&b);
    return ok;
}

/* The file was changed since the workers looked at it, and this process was started again: they would say a=rsa-sha256 of what is not. */
static void log_type(const struct config *c, json_int_t number)
{
    log_event(LOG_ERROR, "key-changed", LOG_STR("file", signer_key_at(c, (size_t)number)->file),
              LOG_STR("reason", "it holds another kind of key than before: reload the configuration"));
}

static bool on_message(struct helper_peer *hp, const json_t *m, int fd)
{
    struct process *p = process_of(hp->process);
    struct peer *peer = peer_of(hp);
    const json_t *id = json_object_get(m, "id"), *key = json_object_get(m, "key");
    struct job *j = mem_new(struct job);
    json_int_t number = json_integer_value(key);
    j->id = json_integer_value(id);
    bool ok = slice_eq(json_text(m, "op"), SLICE("sign")) && json_is_integer(id) && json_is_integer(key) && number >= 0 &&
              (size_t)number < p->key_n && p->keys[number] && read_digest(m, j->digest);
    if (!ok) {
        free(j);
        return false;
    }
    j->key = p->keys[number];
    if (json_integer_value(json_object_get(m, "type")) != (json_int_t)dkim_key_type(j->key)) log_type(hp->process->config, number);
    else if (task_start(p->tasks, p->pool, &peer->jobs, &j->task)) return true;
    answer(peer, j->id, SLICE(""));
    free(j);
    return true;
}

static void peer_open(struct helper_peer *p) { task_owner_init(&peer_of(p)->jobs); }
static void peer_close(struct helper_peer *p) { task_owner_gone(&peer_of(p)->jobs); }

/* ---- the process */

static bool read_keys(struct helper_process *hp, struct err *err)
{
    struct process *p = process_of(hp);
    const struct config *c = hp->config;
    p->key_n = c->dkim.key_n + 1;
    p->keys = mem_zalloc(p->key_n * sizeof *p->keys);
    for (size_t i = 0; i < p->key_n; i++) {
        const struct config_dkim_key *entry = signer_key_at(c, i);
        if (entry && !(p->keys[i] = dkim_key_load(entry->file, err))) return false;
    }
    return true;
}

static unsigned thread_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static bool open_process(struct helper_process *hp, struct err *err)
{
    struct process *p = process_of(hp);
    p->tasks = tasks_new(hp->base, run, on_done, err);
    p->pool = p->tasks ? pool_new(thread_count(), WAITING_MAX, err) : NULL;
    return p->pool != NULL;
}

static void paths(const struct helper_process *p, struct landlock *l) {}

static bool needed(const struct config *c)
{
    for (size_t i = 0; i <= c->dkim.key_n; i++)
        if (signer_key_at(c, i)) return true;
    return false;
}

static const char *user(const struct config *c) { return c->system.sign_user; }

const struct helper_kind signer_helper = {
    .name = "signer", .secrets = true, .process_size = sizeof(struct process), .peer_size = sizeof(struct peer),
    .needed = needed, .user = user, .calls = SECCOMP_ADMIN, .paths = paths, .read_secrets = read_keys, .open = open_process,
    .peer_open = peer_open, .peer_message = on_message, .peer_close = peer_close,
};
