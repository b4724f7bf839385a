/* SPDX-License-Identifier: Apache-2.0
 * The auth process: frames of workers become jobs for the threads, what comes of them goes back. The loop alone touches
 * peers, channels and exchanges; a thread has an exchange's insides while it is busy, and no longer. */
#include "auth/process.h"
#include <assert.h>
#include <event2/event.h>
#include <malloc.h>
#include <stdlib.h>
#include "auth/exchange.h"
#include "base/base64.h"

#define SERVER_THREADS 16
#define CLIENT_THREADS 8
#define RECIPIENT_THREADS 4 /* an answer is remembered for long */
#define WAITING_MAX 256    /* jobs */
#define EXCHANGES_MAX 4096 /* of one worker */
#define BRAKE_ENTRIES 100000

struct process {
    struct helper_process helper;
    struct exchange_world world;
};

struct peer {
    struct helper_peer helper;
    struct list exchanges;
    unsigned exchange_n;
};

static struct peer *peer_of(struct helper_peer *p)
{
    return container_of(p, struct peer, helper);
}

static struct process *process_of(struct helper_process *p)
{
    return container_of(p, struct process, helper);
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
    json_t *m = json_pack("{s:I, s:i, s:b, s:b}", "id", e->id, "outcome", (int)a->outcome, "has_data", a->has_data,
                          "any_sender", a->any_sender);
    json_object_set_new(m, "data", json_stringn(data.p ? data.p : "", data.n));
    json_object_set_new(m, "reason", json_string(a->reason));
    if (a->mechanism) json_object_set_new(m, "mechanism", json_string(a->mechanism));
    if (a->account) json_object_set_new(m, "account", json_string(a->account));
    if (a->senders) json_object_set_new(m, "senders", senders_json(a->senders));
    channel_send(e->peer->helper.channel, m, -1);
    json_decref(m);
    buf_wipe(&data);
    if (a->outcome != AUTH_CONTINUE) forget(e);
}

static void on_delay_over(evutil_socket_t fd, short what, void *arg) { answer(arg); }

static void on_result(struct task *t)
{
    struct exchange *e = container_of(t, struct exchange, task);
    const struct process *p = container_of(e->world, struct process, world);
    e->busy = false;
    if (!e->peer || e->silent) {
        forget(e);
    } else if (e->answer.delay) {
        struct timeval tv = { (time_t)(e->answer.delay / 1000), (suseconds_t)(e->answer.delay % 1000 * 1000) };
        e->delaying = evtimer_new(p->helper.base, on_delay_over, e);
        evtimer_add(e->delaying, &tv);
    } else {
        answer(e);
    }
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

static void begin(struct peer *peer, json_int_t id, const json_t *m, enum exchange_kind kind)
{
    struct exchange *e = exchange_new(&process_of(peer->helper.process)->world, m, kind);
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

static bool on_message(struct helper_peer *p, const json_t *m, int fd)
{
    static const char *const beginnings[] = { [EXCHANGE_SERVER] = "server", [EXCHANGE_CLIENT] = "client",
                                              [EXCHANGE_RECIPIENT] = "recipient" };
    struct peer *peer = peer_of(p);
    const char *op = json_string_value(json_object_get(m, "op"));
    json_int_t id = json_integer_value(json_object_get(m, "id"));
    struct exchange *e = find(peer, id);
    if (!op || id <= 0) return false;
    for (size_t kind = 0; kind < countof(beginnings); kind++)
        if (!strcmp(op, beginnings[kind])) {
            if (!e) begin(peer, id, m, (enum exchange_kind)kind);
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

static void peer_open(struct helper_peer *p)
{
    list_init(&peer_of(p)->exchanges);
}

static void peer_close(struct helper_peer *p)
{
    struct peer *peer = peer_of(p);
    while (!list_empty(&peer->exchanges)) cancel(list_entry(peer->exchanges.next, struct exchange, node));
}

/* ---- the process */

/* JSON text holds passwords for a moment. */
static void free_wiped(void *p)
{
    if (p) mem_wipe(p, malloc_usable_size(p));
    free(p);
}

static bool open_process(struct helper_process *hp, struct err *err)
{
    struct process *p = process_of(hp);
    struct exchange_world *w = &p->world;
    json_set_alloc_funcs(malloc, free_wiped);
    if (!exchange_world_init(w, hp->base, on_result, err)) return false;
    if (!auth_services_open(&w->services, hp->config, BRAKE_ENTRIES, err)) return false;
    w->server_pool = pool_new(SERVER_THREADS, WAITING_MAX, err);
    w->client_pool = w->server_pool ? pool_new(CLIENT_THREADS, WAITING_MAX, err) : NULL;
    if (!w->client_pool || !auth_asks_directories(hp->config)) return w->client_pool != NULL;
    w->recipient_pool = pool_new(RECIPIENT_THREADS, WAITING_MAX, err);
    return w->recipient_pool != NULL;
}

static bool needed(const struct config *c)
{
    if (c->auth.backend != CONFIG_AUTH_OFF) return true;
    for (size_t i = 0; i < c->hop_n; i++)
        if (c->hops[i]->auth.user) return true;
    return auth_asks_directories(c);
}

static const char *user(const struct config *c)
{
    return c->system.auth_user;
}

/* Nothing to close: threads may be busy still. */
const struct helper_kind auth_helper = {
    .name = "auth", .secrets = true, .process_size = sizeof(struct process), .peer_size = sizeof(struct peer),
    .needed = needed, .user = user, .calls = SECCOMP_AUTH, .paths = auth_paths, .runs_programs = auth_runs_programs,
    .open = open_process, .peer_open = peer_open, .peer_message = on_message, .peer_close = peer_close,
};
