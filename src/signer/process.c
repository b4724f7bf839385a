/* SPDX-License-Identifier: Apache-2.0
 * The signer process: digests of workers become jobs for threads, signatures go back. The loop alone touches peers and channels. */
#include "signer/process.h"
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/base64.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "mailauth/key.h"
#include "signer/signer.h"

#define THREADS_MAX 16
#define WAITING_MAX 20000 /* jobs of all workers: some seconds' work */

struct process {
    struct helper_process helper;
    struct dkim_key **keys;  /* by number; NULL: not in use */
    size_t key_n;
    struct pool *pool;
    pthread_mutex_t lock;
    struct list done;        /* jobs whose signature is there; under lock */
    int wake_fd;
    struct event *wake;
};

struct peer {
    struct helper_peer helper;
    struct list jobs;
};

struct job {
    struct list node;        /* in peer->jobs */
    struct list done;
    struct process *process;
    struct peer *peer;       /* NULL: gone */
    const struct dkim_key *key;
    json_int_t id;
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    size_t n;
};

static struct peer *peer_of(struct helper_peer *p) { return container_of(p, struct peer, helper); }
static struct process *process_of(struct helper_process *p) { return container_of(p, struct process, helper); }

/* ---- in a thread */

static void run(void *arg)
{
    struct job *j = arg;
    struct process *p = j->process;
    uint64_t one = 1;
    j->n = dkim_key_sign(j->key, j->digest, j->signature);
    pthread_mutex_lock(&p->lock);
    list_push_back(&p->done, &j->done);
    pthread_mutex_unlock(&p->lock);
    if (write(p->wake_fd, &one, sizeof one) < 0) abort(); /* it cannot be full */
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

static void on_done(struct job *j)
{
    if (j->peer) {
        answer(j->peer, j->id, slice_of(j->signature, j->n));
        list_remove(&j->node);
    }
    free(j);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct process *p = arg;
    struct list done, *node;
    uint64_t n;
    if (read(fd, &n, sizeof n) < 0) return;
    list_init(&done);
    pthread_mutex_lock(&p->lock);
    while ((node = list_pop_front(&p->done))) list_push_back(&done, node);
    pthread_mutex_unlock(&p->lock);
    while ((node = list_pop_front(&done))) on_done(list_entry(node, struct job, done));
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
static void refuse_type(struct job *j, json_int_t number)
{
    log_event(LOG_ERROR, "key-changed", LOG_STR("file", signer_key_at(j->process->helper.config, (size_t)number)->file),
              LOG_STR("reason", "it holds another kind of key than before: reload the configuration"));
    answer(j->peer, j->id, SLICE(""));
    free(j);
}

static bool on_message(struct helper_peer *hp, const json_t *m, int fd)
{
    struct process *p = process_of(hp->process);
    struct peer *peer = peer_of(hp);
    const json_t *id = json_object_get(m, "id"), *key = json_object_get(m, "key");
    struct job *j = mem_new(struct job);
    json_int_t number = json_integer_value(key);
    *j = (struct job){ .process = p, .peer = peer, .id = json_integer_value(id) };
    bool ok = slice_eq(json_text(m, "op"), SLICE("sign")) && json_is_integer(id) && json_is_integer(key) && number >= 0 &&
              (size_t)number < p->key_n && p->keys[number] && read_digest(m, j->digest);
    if (!ok) {
        free(j);
        return false;
    }
    j->key = p->keys[number];
    if (json_integer_value(json_object_get(m, "type")) != (json_int_t)dkim_key_type(j->key)) {
        refuse_type(j, number);
        return true;
    }
    list_push_back(&peer->jobs, &j->node);
    if (pool_add(p->pool, run, j)) return true;
    answer(peer, j->id, SLICE(""));
    list_remove(&j->node);
    free(j);
    return true;
}

static void peer_open(struct helper_peer *p) { list_init(&peer_of(p)->jobs); }

static void peer_close(struct helper_peer *p)
{
    list_each_safe(it, &peer_of(p)->jobs) { /* threads have them */
        list_entry(it, struct job, node)->peer = NULL;
        list_remove(it);
    }
}

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
    pthread_mutex_init(&p->lock, NULL);
    list_init(&p->done);
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->wake_fd < 0) abort();
    p->wake = event_new(hp->base, p->wake_fd, EV_READ | EV_PERSIST, on_wake, p);
    event_add(p->wake, NULL);
    p->pool = pool_new(thread_count(), WAITING_MAX, err);
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
