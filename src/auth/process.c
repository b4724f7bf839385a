/* SPDX-License-Identifier: Apache-2.0
 * The auth process: frames of workers become jobs for the threads, what comes of them goes back. The loop alone touches
 * peers, channels and exchanges; a thread has an exchange's insides while it is busy, and no longer. */
#include "auth/process.h"
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "auth/exchange.h"
#include "base/base64.h"
#include "base/log.h"
#include "proc/channel.h"
#include "proc/privilege.h"

#define SERVER_THREADS 16
#define CLIENT_THREADS 8
#define WAITING_MAX 256    /* jobs */
#define EXCHANGES_MAX 4096 /* of one worker */
#define BRAKE_ENTRIES 100000

struct peer {
    struct list node;
    struct process *process;
    struct channel *channel;
    struct list exchanges;
    unsigned exchange_n;
};

struct process {
    const struct config *config;
    struct event_base *base;
    struct channel *master;
    struct list peers;
    struct exchange_world world;
    struct event *wake;
    bool stop;
};

static void check_needed(struct process *p)
{
    if (!p->master && list_empty(&p->peers)) p->stop = true;
}

/* ---- answers */

static void forget(struct exchange *e)
{
    if (e->peer) {
        list_remove(&e->node);
        e->peer->exchange_n--;
    }
    exchange_free(e);
}

static json_t *senders_json(const struct buf *senders)
{
    json_t *list = json_array();
    for (struct slice rest = buf_slice(senders), one; rest.n;) {
        slice_cut(&rest, '\0', &one);
        json_t *s = json_stringn(one.p, one.n);
        if (s) json_array_append_new(list, s);
    }
    return list;
}

static void answer(struct exchange *e)
{
    const struct exchange_answer *a = &e->answer;
    struct buf data = { 0 };
    base64_add(&data, buf_slice(a->data));
    json_t *m = json_pack("{s:I, s:i, s:b, s:b}", "x", e->id, "outcome", (int)a->outcome, "has_data", a->has_data,
                          "any_sender", a->any_sender);
    json_object_set_new(m, "data", json_stringn(data.p ? data.p : "", data.n));
    json_object_set_new(m, "reason", json_string(a->reason));
    if (a->mechanism) json_object_set_new(m, "mechanism", json_string(a->mechanism));
    if (a->account) json_object_set_new(m, "account", json_string(a->account));
    if (a->senders) json_object_set_new(m, "senders", senders_json(a->senders));
    if (e->peer->channel) channel_send(e->peer->channel, m, -1);
    json_decref(m);
    mem_wipe(data.p, data.n);
    buf_deinit(&data);
    if (a->outcome != AUTH_CONTINUE) forget(e);
}

static void on_delay_over(evutil_socket_t fd, short what, void *arg) { answer(arg); }

static void on_result(struct process *p, struct exchange *e)
{
    e->busy = false;
    if (!e->peer || e->silent) {
        forget(e);
    } else if (e->answer.delay) {
        struct timeval tv = { (time_t)(e->answer.delay / 1000), (suseconds_t)(e->answer.delay % 1000 * 1000) };
        e->delaying = evtimer_new(p->base, on_delay_over, e);
        evtimer_add(e->delaying, &tv);
    } else {
        answer(e);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct process *p = arg;
    struct list done, *node;
    uint64_t n;
    if (read(fd, &n, sizeof n) < 0) return;
    exchange_take_done(&p->world, &done);
    while ((node = list_pop_front(&done))) on_result(p, list_entry(node, struct exchange, done));
}

/* ---- requests */

static struct exchange *find(const struct peer *peer, json_int_t id)
{
    list_each(it, &peer->exchanges) {
        struct exchange *e = list_entry(it, struct exchange, node);
        if (e->id == id) return e;
    }
    return NULL;
}

static void begin(struct peer *peer, json_int_t id, const json_t *m, bool client)
{
    struct exchange *e = exchange_new(&peer->process->world, m, client);
    e->peer = peer;
    e->id = id;
    list_push_back(&peer->exchanges, &e->node);
    if (peer->exchange_n++ >= EXCHANGES_MAX) exchange_refuse(e, "too many authentications are under way");
    if (!exchange_run(e)) answer(e);
}

static void cancel(struct exchange *e)
{
    assert(e->peer); /* it is in that one's list */
    list_remove(&e->node);
    e->peer->exchange_n--;
    e->peer = NULL;
    if (e->busy) return; /* freed when the thread is done with it */
    exchange_free(e);
}

/* False: a worker that behaves does not say this. */
static bool take(struct peer *peer, const json_t *m)
{
    const char *op = json_string_value(json_object_get(m, "op"));
    json_int_t id = json_integer_value(json_object_get(m, "x"));
    struct exchange *e = find(peer, id);
    if (!op || id <= 0) return false;
    if (!strcmp(op, "server") || !strcmp(op, "client")) {
        if (!e) begin(peer, id, m, *op == 'c');
        return e == NULL;
    }
    bool is_cancel = !strcmp(op, "cancel");
    if (!is_cancel && strcmp(op, "step") != 0 && strcmp(op, "done") != 0) return false;
    if (!e) return true; /* our last answer and its word have met on the way */
    if (is_cancel) {
        cancel(e);
        return true;
    }
    if (e->busy || e->delaying) return false;
    if (!exchange_continue(e, m, *op == 'd')) return false;
    if (!exchange_run(e)) {
        if (e->silent) forget(e);
        else answer(e);
    }
    return true;
}

static void on_peer_end(void *arg)
{
    struct peer *peer = arg;
    struct process *p = peer->process;
    while (!list_empty(&peer->exchanges)) cancel(list_entry(peer->exchanges.next, struct exchange, node));
    channel_free(&peer->channel);
    list_remove(&peer->node);
    free(peer);
    check_needed(p);
}

static void on_peer_message(void *arg, const json_t *m, int fd)
{
    struct peer *peer = arg;
    if (fd >= 0) close(fd);
    if (take(peer, m)) return;
    log_event(LOG_ERROR, "auth-protocol", LOG_STR("error", "a worker sent what makes no sense"));
    on_peer_end(peer);
}

/* ---- the master */

static void on_master(void *arg, const json_t *m, int fd)
{
    struct process *p = arg;
    if (fd < 0) return;
    struct peer *peer = mem_new(struct peer);
    peer->process = p;
    list_init(&peer->exchanges);
    list_push_back(&p->peers, &peer->node);
    peer->channel = channel_new(p->base, fd, on_peer_message, on_peer_end, peer);
}

static void on_master_end(void *arg)
{
    struct process *p = arg;
    channel_free(&p->master);
    check_needed(p);
}

/* ---- start */

/* JSON text holds passwords for a moment. */
static void free_wiped(void *p)
{
    if (p) mem_wipe(p, malloc_usable_size(p));
    free(p);
}

static bool prepare(struct process *p, const struct auth_start *s, struct err *err)
{
    struct exchange_world *w = &p->world;
    if (!privilege_drop(s->user, err)) return false;
    /* no core files, and no other process of the same user may look into this one */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return err_sys(err, errno, "PR_SET_DUMPABLE");
    if (!auth_services_open(&w->services, p->config, BRAKE_ENTRIES, err) || !auth_restrict_files(p->config, err))
        return false;
    w->server_pool = pool_new(SERVER_THREADS, WAITING_MAX, err);
    w->client_pool = w->server_pool ? pool_new(CLIENT_THREADS, WAITING_MAX, err) : NULL;
    return w->client_pool && auth_restrict_calls(p->config, err);
}

bool auth_process_needed(const struct config *c)
{
    if (c->auth.backend != CONFIG_AUTH_OFF) return true;
    for (size_t i = 0; i < c->hop_n; i++)
        if (c->hops[i]->auth.user) return true;
    return false;
}

int auth_process_main(const struct auth_start *start)
{
    struct process p = { .config = start->config, .base = event_base_new() };
    struct err err;
    json_set_alloc_funcs(malloc, free_wiped);
    list_init(&p.peers);
    exchange_world_init(&p.world, start->config);
    p.wake = event_new(p.base, p.world.wake_fd, EV_READ | EV_PERSIST, on_wake, &p);
    event_add(p.wake, NULL);
    p.master = channel_new(p.base, start->channel, on_master, on_master_end, &p);
    if (!prepare(&p, start, &err)) {
        log_event(LOG_ERROR, "auth-failed-to-start", LOG_ERR(&err));
        return EXIT_FAILURE;
    }
    while (!p.stop) {
        event_base_loop(p.base, EVLOOP_ONCE);
        log_flush();
    }
    return 0; /* threads may be busy still: the caller ends the process at once */
}
