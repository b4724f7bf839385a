/* SPDX-License-Identifier: Apache-2.0
 * The workers' side of the store: frames are gathered and written once a turn of the loop, answers find their questions by number. */
#include <assert.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "store/socket.h"

#define ANSWER_MS 500
#define QUESTIONS_MAX 10000
#define GATHER_BYTES 32768
#define GATHER_MS 20
#define LOST_EVERY_MS 60000 /* between two lines of the log */

struct store_request {
    struct list node;        /* in link->asked, or link->failed */
    struct store_link *link;
    uint32_t id;             /* 0: failed */
    uint64_t deadline;       /* mono ms */
    store_cb *cb;
    void *arg;
};

struct store_link {
    struct event_base *base;
    struct socket socket;    /* closed: there is no store */
    struct event *timer, *later, *failing;
    bool full;               /* the socket takes nothing now */
    bool due;                /* what was gathered goes out now */
    struct htable ids;       /* of the questions in asked */
    struct list asked;       /* the oldest first */
    struct list failed;
    uint32_t last_id;
    uint64_t lost, lost_told; /* writes; when that was logged, mono ms */
};

/* ---- questions */

static uint64_t hash_of(const void *item)
{
    return hash_u64(((const struct store_request *)item)->id);
}

static bool has_id(const void *item, const void *key)
{
    return ((const struct store_request *)item)->id == *(const uint32_t *)key;
}

static void request_free(struct store_request *r)
{
    if (r->id) htable_remove(&r->link->ids, r);
    list_remove(&r->node);
    free(r);
}

static void tell(struct store_request *r, const struct store_answer *a)
{
    store_cb *cb = r->cb;
    void *arg = r->arg;
    request_free(r);
    cb(arg, a);
}

/* Answered from the loop. */
static void fail(struct store_request *r)
{
    struct store_link *l = r->link;
    if (r->id) htable_remove(&l->ids, r);
    r->id = 0;
    list_remove(&r->node);
    if (list_empty(&l->failed)) event_add(l->failing, &(struct timeval){ 0, 0 });
    list_push_back(&l->failed, &r->node);
}

static void on_failing(evutil_socket_t fd, short what, void *arg)
{
    struct store_link *l = arg;
    struct list now;
    list_init(&now);
    while (!list_empty(&l->failed)) list_push_back(&now, list_pop_front(&l->failed)); /* what fails meanwhile waits for its turn */
    while (!list_empty(&now)) /* a callback may cancel others of these */
        tell(list_entry(now.next, struct store_request, node), &(struct store_answer){ .status = STORE_GONE });
}

static void set_timer(struct store_link *l)
{
    if (list_empty(&l->asked)) {
        event_del(l->timer);
        return;
    }
    uint64_t at = list_entry(l->asked.next, struct store_request, node)->deadline, now = clock_mono_ms();
    uint64_t ms = at > now ? at - now : 0;
    event_add(l->timer, &(struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) });
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct store_link *l = arg;
    uint64_t now = clock_mono_ms();
    while (!list_empty(&l->asked)) {
        struct store_request *r = list_entry(l->asked.next, struct store_request, node);
        if (r->deadline > now) break;
        fail(r);
    }
    set_timer(l);
}

/* ---- the socket */

static void gone(struct store_link *l)
{
    if (!socket_is_open(&l->socket)) return;
    socket_close(&l->socket);
    l->full = false;
    while (!list_empty(&l->asked)) fail(list_entry(l->asked.next, struct store_request, node));
    set_timer(l);
}

static bool may_wait(const struct store_link *l)
{
    size_t n = socket_unsent(&l->socket);
    return n && n < GATHER_BYTES && list_empty(&l->asked) && !l->due;
}

/* Writes that nobody waits for are gathered for some milliseconds: each time the store is woken costs both sides more than what it
 * is told. */
void store_link_flush(struct store_link *l)
{
    if (!socket_is_open(&l->socket)) return;
    if (may_wait(l)) {
        if (!event_pending(l->later, EV_TIMEOUT, NULL)) event_add(l->later, &(struct timeval){ 0, GATHER_MS * 1000 });
        return;
    }
    l->due = false;
    if (!l->full) l->full = !socket_send(&l->socket);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct store_link *l = arg;
    l->due = true;
    store_link_flush(l);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct store_link *l = arg;
    l->full = false;
    store_link_flush(l);
}

static void take_answer(struct store_link *l, const struct wire_frame *f)
{
    struct store_request *r = htable_find(&l->ids, hash_u64(f->id), has_id, &f->id);
    if (!r) return; /* cancelled, or too late */
    tell(r, &(struct store_answer){ .status = (enum store_status)f->status, .value = f->value, .expires = f->until, .good = f->good,
                                    .bad = f->bad });
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct store_link *l = arg;
    struct wire_frame f;
    enum wire_status status;
    if (!socket_receive(&l->socket)) {
        gone(l);
        return;
    }
    struct slice in = buf_slice(&l->socket.in);
    while ((status = wire_take(&in, &f)) == WIRE_FRAME && f.op == WIRE_ANSWER) take_answer(l, &f);
    buf_consume(&l->socket.in, l->socket.in.n - in.n);
    if (status != WIRE_MORE) gone(l);
    else set_timer(l);
}

/* ---- the link */

struct store_link *store_link_new(struct event_base *base)
{
    struct store_link *l = mem_new(struct store_link);
    l->base = base;
    l->socket.fd = -1;
    l->timer = evtimer_new(base, on_timer, l);
    l->later = evtimer_new(base, on_later, l);
    l->failing = evtimer_new(base, on_failing, l);
    list_init(&l->asked);
    list_init(&l->failed);
    htable_init(&l->ids, hash_of);
    return l;
}

void store_link_connect(struct store_link *l, int fd)
{
    gone(l);
    socket_open(&l->socket, l->base, fd, on_readable, on_writable, l);
}

void store_link_free(struct store_link *l)
{
    if (!l) return;
    l->due = true;
    store_link_flush(l); /* what was told last, if there is room for it */
    gone(l);
    while (!list_empty(&l->failed)) request_free(list_entry(l->failed.next, struct store_request, node));
    htable_deinit(&l->ids);
    event_free(l->timer);
    event_free(l->later);
    event_free(l->failing);
    free(l);
}

/* ---- asking and telling */

static bool has_room(const struct store_link *l)
{
    return socket_is_open(&l->socket) && socket_unsent(&l->socket) < SOCKET_OUT_MAX;
}

static struct store_request *ask(struct store_link *l, struct wire_frame *f, store_cb *cb, void *arg)
{
    struct store_request *r = mem_new(struct store_request);
    *r = (struct store_request){ .link = l, .cb = cb, .arg = arg };
    assert(f->space < STORE_SPACES);
    if (!has_room(l) || l->ids.n >= QUESTIONS_MAX || !f->key.n || f->key.n > STORE_KEY_MAX || f->value.n > STORE_VALUE_MAX) {
        fail(r);
        return r;
    }
    if (!++l->last_id) l->last_id = 1;
    r->id = f->id = l->last_id;
    r->deadline = clock_mono_ms() + ANSWER_MS;
    htable_add(&l->ids, r);
    list_push_back(&l->asked, &r->node);
    if (l->asked.next == &r->node) set_timer(l);
    socket_add(&l->socket, f);
    return r;
}

struct store_request *store_get(struct store_link *l, enum store_space space, struct slice key, store_cb *cb, void *arg)
{
    return ask(l, &(struct wire_frame){ .op = WIRE_GET, .space = (uint8_t)space, .key = key }, cb, arg);
}

struct store_request *store_put_new(struct store_link *l, enum store_space space, struct slice key, struct slice value,
                                    uint64_t expires, store_cb *cb, void *arg)
{
    return ask(l, &(struct wire_frame){ .op = WIRE_PUT_NEW, .space = (uint8_t)space, .key = key, .value = value, .until = expires },
               cb, arg);
}

void store_cancel(struct store_request **rp)
{
    struct store_request *r = *rp;
    *rp = NULL;
    if (r) request_free(r);
}

static void lose(struct store_link *l)
{
    uint64_t now = clock_mono_ms();
    l->lost++;
    if (l->lost_told && now - l->lost_told < LOST_EVERY_MS) return;
    log_event(LOG_WARNING, "store-lost", LOG_NUM("writes", l->lost),
              LOG_STR("reason", socket_is_open(&l->socket) ? "the store is too slow" : "the store is not there"));
    l->lost = 0;
    l->lost_told = now;
}

static void put(struct store_link *l, struct wire_frame *f)
{
    if (has_room(l)) socket_add(&l->socket, f);
    else lose(l);
}

static bool fits(struct slice key, struct slice value)
{
    return key.n && key.n <= STORE_KEY_MAX && value.n <= STORE_VALUE_MAX;
}

void store_put(struct store_link *l, enum store_space space, struct slice key, struct slice value, uint64_t expires)
{
    assert(space < STORE_SPACES);
    if (fits(key, value))
        put(l, &(struct wire_frame){ .op = WIRE_PUT, .space = (uint8_t)space, .key = key, .value = value, .until = expires });
}

void store_remove(struct store_link *l, enum store_space space, struct slice key)
{
    assert(space < STORE_SPACES);
    if (fits(key, SLICE(""))) put(l, &(struct wire_frame){ .op = WIRE_REMOVE, .space = (uint8_t)space, .key = key });
}

void store_count(struct store_link *l, struct slice key, unsigned good, unsigned bad, uint64_t half_life)
{
    if (fits(key, SLICE("")))
        put(l, &(struct wire_frame){ .op = WIRE_COUNT, .key = key, .until = half_life, .good = good, .bad = bad });
}

void store_history(struct store_link *l, const struct history_event *e)
{
    struct wire_frame f;
    memset(&f, 0, offsetof(struct wire_frame, rcpts));
    f.op = WIRE_HISTORY;
    f.event = *e;
    put(l, &f);
}
