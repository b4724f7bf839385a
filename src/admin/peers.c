/* SPDX-License-Identifier: Apache-2.0
 * Questions to the master, to the store, and to all workers at once. */
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>
#include "admin/internal.h"
#include "admin/web.h"
#include "base/log.h"

struct wait { /* for one peer's answer */
    struct list node;
    struct peer *peer;
};

struct ask {
    struct list node;
    struct admin *admin;
    json_int_t id;
    struct list waits;
    unsigned missing;
    json_t *answers;
    int fd;              /* that came with an answer; -1: none */
    struct event *timer;
    ask_cb *cb;
    void *arg;
};

static void finish(evutil_socket_t fd, short what, void *arg)
{
    struct ask *k = arg;
    struct list *node;
    list_remove(&k->node);
    while ((node = list_pop_front(&k->waits))) {
        k->missing++;
        free(list_entry(node, struct wait, node));
    }
    k->admin->came = k->fd;
    k->cb(k->arg, k->answers, k->missing);
    if (k->admin->came >= 0) close(k->admin->came);
    k->admin->came = -1;
    event_free(k->timer);
    free(k);
}

int ask_take_fd(struct admin *a)
{
    int fd = a->came;
    a->came = -1;
    return fd;
}

static void finish_soon(struct ask *k)
{
    event_add(k->timer, &(struct timeval){ 0, 0 });
}

static struct ask *ask_new(struct admin *a, unsigned ms, ask_cb *cb, void *arg)
{
    struct ask *k = mem_new(struct ask);
    struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };
    k->admin = a;
    k->id = ++a->last_id;
    k->answers = json_array();
    k->fd = -1;
    k->cb = cb;
    k->arg = arg;
    k->timer = evtimer_new(a->base, finish, k);
    list_init(&k->waits);
    list_push_back(&a->asks, &k->node);
    event_add(k->timer, &tv);
    return k;
}

/* What is too large for a frame is not sent, and has no answer: it must not cost us the channel. */
static void wait_for(struct ask *k, struct peer *p, json_t *message, int fd)
{
    if (json_dumpb(message, NULL, 0, JSON_COMPACT) > CHANNEL_FRAME_MAX) {
        k->missing++;
    } else {
        struct wait *w = mem_new(struct wait);
        w->peer = p;
        list_push_back(&k->waits, &w->node);
        channel_send(p->channel, message, fd);
    }
    json_decref(message);
}

void ask_workers(struct admin *a, json_t *request, unsigned ms, ask_cb *cb, void *arg)
{
    struct ask *k = ask_new(a, ms, cb, arg);
    list_each(it, &a->workers)
        wait_for(k, list_entry(it, struct peer, node), json_pack("{s:I, s:O}", "id", k->id, "request", request), -1);
    json_decref(request);
    if (list_empty(&k->waits)) finish_soon(k);
}

void ask_worker_with(struct admin *a, json_t *request, int fd, unsigned ms, ask_cb *cb, void *arg)
{
    struct ask *k = ask_new(a, ms, cb, arg);
    if (list_empty(&a->workers)) k->missing++;
    else wait_for(k, list_entry(a->workers.prev, struct peer, node), json_pack("{s:I, s:O}", "id", k->id, "request", request), fd);
    if (list_empty(&k->waits)) finish_soon(k);
    json_decref(request);
}

void ask_worker(struct admin *a, json_t *request, unsigned ms, ask_cb *cb, void *arg)
{
    ask_worker_with(a, request, -1, ms, cb, arg);
}

void ask_master_with(struct admin *a, const char *op, int fd, unsigned ms, ask_cb *cb, void *arg)
{
    struct ask *k = ask_new(a, ms, cb, arg);
    wait_for(k, a->master, json_pack("{s:s, s:I}", "op", op, "id", k->id), fd);
}

void ask_master(struct admin *a, const char *op, unsigned ms, ask_cb *cb, void *arg)
{
    ask_master_with(a, op, -1, ms, cb, arg);
}

void ask_master_message(struct admin *a, json_t *message, unsigned ms, ask_cb *cb, void *arg)
{
    struct ask *k = ask_new(a, ms, cb, arg);
    json_object_set_new(message, "id", json_integer(k->id));
    wait_for(k, a->master, message, -1);
}

void tell_master(struct admin *a, const char *op)
{
    json_t *m = json_pack("{s:s, s:I}", "op", op, "id", ++a->last_id);
    channel_send(a->master->channel, m, -1);
    json_decref(m);
}

void ask_store(struct admin *a, json_t *request, unsigned ms, ask_cb *cb, void *arg)
{
    struct ask *k = ask_new(a, ms, cb, arg);
    if (a->store) wait_for(k, a->store, json_pack("{s:I, s:O}", "id", k->id, "request", request), -1);
    else k->missing++;
    if (list_empty(&k->waits)) finish_soon(k);
    json_decref(request);
}

/* The peer has answered, or never will. */
static void settle(struct ask *k, const struct peer *p, const json_t *answer)
{
    list_each_safe(it, &k->waits) {
        struct wait *w = list_entry(it, struct wait, node);
        if (w->peer != p) continue;
        list_remove(&w->node);
        free(w);
        if (json_is_object(answer)) json_array_append_new(k->answers, json_incref((json_t *)answer));
        else k->missing++;
    }
    if (list_empty(&k->waits)) finish_soon(k);
}

static void peer_free(struct peer *p)
{
    if (p->admin->store == p) p->admin->store = NULL;
    list_each_safe(it, &p->admin->asks) settle(list_entry(it, struct ask, node), p, NULL);
    list_remove(&p->node);
    channel_free(&p->channel);
    free(p);
}

static void on_peer_end(void *arg)
{
    struct peer *p = arg;
    if (p->master) p->admin->stop = true; /* nobody to be here for */
    else peer_free(p);
}

static void on_message(void *arg, const json_t *m, int fd);

static struct peer *peer_new(struct admin *a, const json_t *m, int fd)
{
    struct peer *p = mem_new(struct peer);
    p->admin = a;
    p->pid = (int)json_integer_value(json_object_get(m, "pid"));
    p->channel = channel_new(a->base, fd, on_message, on_peer_end, p);
    return p;
}

static void add_store(struct admin *a, const json_t *m, int fd)
{
    if (a->store) peer_free(a->store);
    a->store = peer_new(a, m, fd);
}

static void on_message(void *arg, const json_t *m, int fd)
{
    struct peer *p = arg;
    const char *op = json_string_value(json_object_get(m, "op"));
    if (p->master && fd >= 0 && op && !strcmp(op, "worker")) {
        list_push_back(&p->admin->workers, &peer_new(p->admin, m, fd)->node);
        return;
    }
    if (p->master && fd >= 0 && op && !strcmp(op, "store")) {
        add_store(p->admin, m, fd);
        return;
    }
    if (p->master && (digest_on_master(p->admin, m, fd) || web_on_master(p->admin, m, fd))) return;
    const json_t *answer = json_object_get(m, "answer");
    json_int_t id = json_integer_value(json_object_get(m, "id"));
    list_each_safe(it, &p->admin->asks) {
        struct ask *k = list_entry(it, struct ask, node);
        if (k->id != id) continue;
        if (fd >= 0 && k->fd < 0 && (p->master || p == p->admin->store)) {
            k->fd = fd;
            fd = -1;
        }
        settle(k, p, answer);
        break;
    }
    if (fd >= 0) close(fd);
}

void peers_open(struct admin *a, int master_fd)
{
    list_init(&a->workers);
    list_init(&a->asks);
    list_init(&a->bulks);
    a->came = -1;
    a->master = mem_new(struct peer);
    a->master->admin = a;
    a->master->master = true;
    a->master->channel = channel_new(a->base, master_fd, on_message, on_peer_end, a->master);
}

void peers_close(struct admin *a)
{
    list_each_safe(it, &a->workers) peer_free(list_entry(it, struct peer, node));
    if (a->store) peer_free(a->store);
    while (!list_empty(&a->asks)) finish(-1, 0, list_entry(a->asks.next, struct ask, node)); /* one may ask the next, and of the master */
    peer_free(a->master);
}
