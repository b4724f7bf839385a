/* SPDX-License-Identifier: Apache-2.0
 * Frames of workers become operations on the databases, at once and in their order; searches of the admin process go on in between. */
#include "store/server.h"
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/channel.h"
#include "store/history.h"
#include "store/memory.h"
#include "store/query.h"
#include "store/socket.h"

#define SEARCHES_MAX 16
#define SEARCH_PAUSE_US 1000

struct store_server {
    struct event_base *base;
    struct memory memory;
    struct history history;
    struct quarantine *quarantine;
    struct list workers, admins, searches;
    unsigned search_n;
    struct event *tend, *searching;
    uint64_t tend_at;      /* mono ms */
    uint64_t questions, writes;
};

struct worker {
    struct list node;
    struct store_server *server;
    struct socket socket;
};

struct admin {
    struct list node;
    struct store_server *server;
    struct channel *channel;
};

struct search {
    struct list node;
    struct admin *admin;
    json_int_t id;
    struct query *query;
    struct statistics_reading *statistics; /* or this; the other is NULL */
};

/* ---- what is due */

static void tend_within(struct store_server *s, unsigned ms)
{
    uint64_t at = clock_mono_ms() + ms;
    if (s->tend_at && s->tend_at <= at) return;
    s->tend_at = at;
    event_add(s->tend, &(struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) });
}

static void tend(struct store_server *s)
{
    unsigned a = memory_tend(&s->memory), b = history_tend(&s->history);
    tend_within(s, a < b ? a : b);
}

static void on_tend(evutil_socket_t fd, short what, void *arg)
{
    struct store_server *s = arg;
    s->tend_at = 0;
    tend(s);
}

/* ---- workers */

static void worker_free(struct worker *w)
{
    list_remove(&w->node);
    socket_close(&w->socket);
    free(w);
}

/* A worker that does not take its answers is not listened to until it does. */
static void send_answers(struct worker *w)
{
    if (!socket_send(&w->socket) && socket_unsent(&w->socket) > SOCKET_OUT_MAX) event_del(w->socket.readable);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    send_answers(w);
    if (socket_unsent(&w->socket) <= SOCKET_OUT_MAX) event_add(w->socket.readable, NULL);
}

static void answer(struct worker *w, uint32_t id, const struct store_answer *a)
{
    socket_add(&w->socket, &(struct wire_frame){ .op = WIRE_ANSWER, .id = id, .status = (uint8_t)a->status, .until = a->expires,
                                                 .value = slice_sub(a->value, 0, STORE_VALUE_MAX), .good = a->good, .bad = a->bad });
}

static bool take_frame(struct worker *w, const struct wire_frame *f)
{
    struct store_server *s = w->server;
    struct memory *m = &s->memory;
    struct store_answer a = { .status = STORE_GONE };
    enum store_space space = (enum store_space)f->space;
    bool question = f->op == WIRE_GET || f->op == WIRE_PUT_NEW;
    switch (f->op) {
    case WIRE_GET: memory_get(m, space, f->key, clock_wall_ms(), &a); break;
    case WIRE_PUT_NEW: memory_put_new(m, space, f->key, f->value, f->until, clock_wall_ms(), &a); break;
    case WIRE_PUT: memory_put(m, space, f->key, f->value, f->until); break;
    case WIRE_REMOVE: memory_remove(m, space, f->key); break;
    case WIRE_COUNT: memory_add_counts(m, f->key, f->good, f->bad, f->until, clock_wall_ms()); break;
    case WIRE_HISTORY: history_add(&s->history, &f->event); break;
    default: return false;
    }
    if (question) answer(w, f->id, &a);
    if (question) s->questions++;
    else s->writes++;
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    struct store_server *s = w->server;
    struct wire_frame f;
    enum wire_status status;
    if (!socket_receive(&w->socket)) {
        worker_free(w);
        return;
    }
    struct slice in = buf_slice(&w->socket.in);
    while ((status = wire_take(&in, &f)) == WIRE_FRAME && take_frame(w, &f)) {}
    buf_consume(&w->socket.in, w->socket.in.n - in.n);
    if (status == WIRE_MORE) {
        send_answers(w);
    } else {
        log_event(LOG_ERROR, "store-protocol", LOG_STR("error", "a worker sent what makes no sense"));
        worker_free(w);
    }
    tend(s);
}

void store_server_add_worker(struct store_server *s, int fd)
{
    struct worker *w = mem_new(struct worker);
    w->server = s;
    socket_open(&w->socket, s->base, fd, on_readable, on_writable, w);
    list_push_back(&s->workers, &w->node);
}

/* ---- the admin process */

static void reply_with(void *arg, json_int_t id, json_t *answer, int fd)
{
    const struct admin *a = arg;
    json_t *m = json_pack("{s:I, s:o}", "id", id, "answer", answer);
    channel_send(a->channel, m, fd);
    json_decref(m);
    if (fd >= 0) close(fd);
}

static void reply(struct admin *a, json_int_t id, json_t *answer)
{
    reply_with(a, id, answer, -1);
}

static void search_free(struct search *k)
{
    k->admin->server->search_n--;
    list_remove(&k->node);
    query_free(k->query);
    statistics_reading_free(k->statistics);
    free(k);
}

static void on_searching(evutil_socket_t fd, short what, void *arg)
{
    struct store_server *s = arg;
    struct list *node = list_pop_front(&s->searches);
    if (!node) return;
    struct search *k = list_entry(node, struct search, node);
    list_push_back(&s->searches, node); /* others have the next turn */
    if (k->query ? query_run(k->query) : statistics_reading_run(k->statistics)) {
        reply(k->admin, k->id, k->query ? query_answer(k->query) : statistics_reading_answer(k->statistics));
        search_free(k);
    }
    if (!list_empty(&s->searches)) event_add(s->searching, &(struct timeval){ 0, SEARCH_PAUSE_US });
}

static void start_search(struct admin *a, json_int_t id, const json_t *request, bool statistics)
{
    struct store_server *s = a->server;
    struct err err;
    struct query *q = NULL;
    struct statistics_reading *r = NULL;
    if (s->search_n >= SEARCHES_MAX) err_set_text(&err, "too many searches are under way");
    else if (statistics) r = statistics_reading_new(&s->history, request);
    else q = query_new(&s->history, request, &err);
    if (!q && !r) {
        reply(a, id, json_pack("{s:s}", "error", err.text));
        return;
    }
    struct search *k = mem_new(struct search);
    *k = (struct search){ .admin = a, .id = id, .query = q, .statistics = r };
    s->search_n++;
    list_push_back(&s->searches, &k->node);
    event_add(s->searching, &(struct timeval){ 0, SEARCH_PAUSE_US });
}

static json_t *figures(struct store_server *s)
{
    static const char *const names[STORE_SPACES] = { "greylist", "auto_allow", "pause", "reputation", "recipients" };
    json_t *entries = json_object();
    for (size_t i = 0; i < STORE_SPACES; i++) json_object_set_new(entries, names[i], json_integer((json_int_t)s->memory.counts[i]));
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:b}", "entries", entries, "quarantine", quarantine_figures(s->quarantine),
                     "history_bytes", (json_int_t)history_bytes(&s->history), "questions", (json_int_t)s->questions, "writes",
                     (json_int_t)s->writes, "writing", !s->memory.db.off_until && !s->history.db.off_until);
}

static void on_admin_message(void *arg, const json_t *m, int fd)
{
    struct admin *a = arg;
    const json_t *request = json_object_get(m, "request");
    const char *op = json_string_value(json_object_get(request, "op"));
    json_int_t id = json_integer_value(json_object_get(m, "id"));
    if (fd >= 0) close(fd);
    if (op && !strcmp(op, "trace")) start_search(a, id, request, false);
    else if (op && !strcmp(op, "statistics")) start_search(a, id, request, true);
    else if (op && slice_starts(slice_str(op), SLICE("quarantine-"))) quarantine_request(a->server->quarantine, request, reply_with, a, id);
    else if (op && !strcmp(op, "figures")) reply(a, id, figures(a->server));
    else if (op && !strcmp(op, "statistics-live")) reply(a, id, statistics_live(&a->server->history));
    else reply(a, id, json_pack("{s:s}", "error", "the store does not know this"));
}

static void on_admin_end(void *arg)
{
    struct admin *a = arg;
    list_each_safe(it, &a->server->searches)
        if (list_entry(it, struct search, node)->admin == a) search_free(list_entry(it, struct search, node));
    quarantine_forget(a->server->quarantine, a);
    list_remove(&a->node);
    channel_free(&a->channel);
    free(a);
}

void store_server_add_admin(struct store_server *s, int fd)
{
    struct admin *a = mem_new(struct admin);
    a->server = s;
    list_push_back(&s->admins, &a->node);
    a->channel = channel_new(s->base, fd, on_admin_message, on_admin_end, a);
}

/* ---- life */

void store_server_set_limits(struct store_server *s, const struct store_limits *limits)
{
    s->memory.entries = limits->entries;
    s->history.keep = limits->history;
    s->history.size = limits->history_size;
    quarantine_set_limits(s->quarantine, &limits->quarantine);
}

struct store_server *store_server_new(struct event_base *base, const char *directory, const struct store_limits *limits,
                                      struct err *err)
{
    struct store_server *s = mem_new(struct store_server);
    s->base = base;
    list_init(&s->workers);
    list_init(&s->admins);
    list_init(&s->searches);
    bool memory = memory_open(&s->memory, directory, limits->entries, err);
    bool history = memory && history_open(&s->history, directory, limits->history, limits->history_size, err);
    if (history) s->quarantine = quarantine_new(base, directory, &limits->quarantine, &s->history, err);
    if (!s->quarantine) {
        if (memory) memory_close(&s->memory);
        if (history) history_close(&s->history);
        free(s);
        return NULL;
    }
    s->tend = evtimer_new(base, on_tend, s);
    s->searching = evtimer_new(base, on_searching, s);
    tend_within(s, 0);
    return s;
}

void store_server_add_quarantine(struct store_server *s, int fd)
{
    quarantine_add_worker(s->quarantine, fd);
}

bool store_server_has_workers(const struct store_server *s)
{
    return !list_empty(&s->workers);
}

void store_server_free(struct store_server *s)
{
    if (!s) return;
    while (!list_empty(&s->admins)) on_admin_end(list_entry(s->admins.next, struct admin, node));
    while (!list_empty(&s->workers)) worker_free(list_entry(s->workers.next, struct worker, node));
    event_free(s->tend);
    event_free(s->searching);
    quarantine_free(s->quarantine);
    memory_close(&s->memory);
    history_close(&s->history);
    free(s);
}
