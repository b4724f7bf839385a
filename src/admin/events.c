/* SPDX-License-Identifier: Apache-2.0
 * GET /v1/events: server-sent events. Store and workers are asked only while somebody listens, once for all who do. A stream ends after a minute, and the
 * browser comes back by itself: so whoever has lost his session, or his rights, hears nothing for long. One that does not read loses events,
 * not our memory. */
#include "admin/events.h"
#include <event2/event.h>
#include <stdlib.h>
#include "admin/web_int.h"
#include "base/clock.h"
#include "base/json.h"

#define LISTENERS 64
#define LISTENERS_AN_ACCOUNT 8
#define POLL_SECONDS 2
#define ASK_MS 1500
#define LIFE_MS 60000
#define BEHIND_MAX (64u << 10)   /* bytes that wait for one who does not read */
#define FRESH_MS 5000

struct listener {
    struct list node;
    struct admin *admin;
    struct MHD_Connection *mhd;
    struct event *crank;
    const struct web *web;       /* NULL: the control socket */
    char name[ACCOUNT_NAME_MAX + 1];
    struct buf out;
    uint64_t until;              /* mono ms */
    bool suspended, ends;
};

struct events {
    struct admin *admin;
    struct list listeners;
    unsigned n;
    struct event *timer;
    bool asking;
    json_t *live;                /* what the store has counted lately; NULL: it did not tell */
    struct buf latest;           /* the last "status", as it was sent */
    uint64_t at;                 /* mono ms of it; 0: none */
    json_int_t messages, connections; /* of the one before, for rates */
};

/* ---- to one listener */

static void wake(struct listener *l)
{
    if (!l->suspended) return;
    l->suspended = false;
    MHD_resume_connection(l->mhd);
    event_add(l->crank, &(struct timeval){ 0, 0 });
}

static void tell(struct listener *l, struct slice text)
{
    if (l->ends || l->out.n + text.n > BEHIND_MAX) return;
    buf_add(&l->out, text);
    wake(l);
}

static void end(struct listener *l)
{
    l->ends = true;
    wake(l);
}

/* libmicrohttpd wants more to send. */
static ssize_t read_stream(void *arg, uint64_t at, char *to, size_t max)
{
    struct listener *l = arg;
    if (!l->out.n && l->ends) return MHD_CONTENT_READER_END_OF_STREAM;
    if (!l->out.n) {
        l->suspended = true;
        MHD_suspend_connection(l->mhd);
        return 0;
    }
    size_t n = l->out.n < max ? l->out.n : max;
    memcpy(to, l->out.p, n);
    buf_consume(&l->out, n);
    return (ssize_t)n;
}

static void free_stream(void *arg)
{
    struct listener *l = arg;
    l->admin->events->n--;
    list_remove(&l->node);
    buf_deinit(&l->out);
    free(l);
}

/* ---- to all */

static void tell_all(struct events *e, struct slice text)
{
    uint64_t now = clock_mono_ms();
    list_each_safe(it, &e->listeners) {
        struct listener *l = list_entry(it, struct listener, node);
        tell(l, text);
        if (now > l->until) end(l);
    }
}

static void add_event(struct buf *out, const char *event, json_t *data)
{
    char *text = json_dumps(data, JSON_COMPACT); /* on one line */
    buf_addf(out, "event: %s\ndata: %s\n\n", event, text ? text : "{}");
    free(text);
    json_decref(data);
}

void events_changed(struct admin *a, const char *what)
{
    struct buf b = { 0 };
    if (!a->events || !a->events->n) return;
    add_event(&b, "changed", json_pack("{s:s}", "what", what));
    tell_all(a->events, buf_slice(&b));
    buf_deinit(&b);
}

/* ---- the figures of all workers, as one */

static void add_number(json_t *to, const char *key, json_int_t n)
{
    json_object_set_new(to, key, json_integer(json_integer_value(json_object_get(to, key)) + n));
}

static void add_numbers(json_t *to, const json_t *from)
{
    const char *key;
    const json_t *v;
    json_object_foreach((json_t *)from, key, v)
        if (json_is_integer(v)) add_number(to, key, json_integer_value(v));
}

static json_t *member(json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    if (!v) json_object_set_new(o, key, v = json_object());
    return v;
}

/* {"client": {"dns_lists": {"pass": 3}}} */
static void add_counts(json_t *counts, const json_t *checks)
{
    const json_t *one;
    size_t i;
    json_array_foreach(checks, i, one) {
        const char *stage = json_string_value(json_object_get(one, "stage")), *check = json_string_value(json_object_get(one, "check"));
        if (stage && check) add_numbers(member(member(counts, stage), check), one);
    }
}

static json_t *sum(const json_t *answers, unsigned missing)
{
    json_t *all = json_pack("{s:I, s:i, s:i}", "time", (json_int_t)clock_wall_ms(), "workers", (int)json_array_size(answers), "missing",
                            (int)missing);
    json_t *queue = member(all, "queue"), *server = member(all, "server"), *spool = member(all, "spool"), *counts = member(all, "counts");
    const json_t *one;
    size_t i;
    json_array_foreach(answers, i, one) {
        add_numbers(queue, json_object_get(one, "queue"));
        add_numbers(server, json_object_get(one, "server"));
        add_number(spool, "bytes", json_integer_value(json_object_get(json_object_get(one, "spool"), "bytes")));
        json_object_set(spool, "free", json_object_get(json_object_get(one, "spool"), "free")); /* one disk */
        json_object_set(spool, "disk", json_object_get(json_object_get(one, "spool"), "disk"));
        add_counts(counts, json_object_get(json_object_get(one, "policy"), "checks"));
    }
    return all;
}

/* A minute. Counters of workers begin at 0 with each of them: then there is none for once. */
static double rate(json_int_t now, json_int_t before, uint64_t ms)
{
    return now >= before && ms ? (double)(now - before) * 60000 / (double)ms : 0;
}

static void add_rates(struct events *e, json_t *all)
{
    const json_t *server = json_object_get(all, "server");
    json_int_t messages = json_integer_value(json_object_get(server, "messages"));
    json_int_t connections = json_integer_value(json_object_get(server, "accepted"));
    uint64_t now = clock_mono_ms(), ms = e->at && now - e->at < 3 * FRESH_MS ? now - e->at : 0;
    json_object_set_new(all, "rates", json_pack("{s:f, s:f}", "messages", rate(messages, e->messages, ms), "connections",
                                                rate(connections, e->connections, ms)));
    e->messages = messages;
    e->connections = connections;
    e->at = now;
}

static void on_status(void *arg, json_t *answers, unsigned missing)
{
    struct events *e = arg;
    e->asking = false;
    json_t *all = sum(answers, missing);
    json_decref(answers);
    add_rates(e, all);
    if (e->live) json_object_set(all, "live", e->live);
    buf_clear(&e->latest);
    add_event(&e->latest, "status", all);
    tell_all(e, buf_slice(&e->latest));
}

static void on_live(void *arg, json_t *answers, unsigned missing)
{
    struct events *e = arg;
    json_decref(e->live);
    e->live = json_incref(json_array_get(answers, 0));
    json_decref(answers);
    ask_workers(e->admin, json_pack("{s:s}", "op", "status"), ASK_MS, on_status, e);
}

static void ask(struct events *e)
{
    if (e->asking) return;
    e->asking = true;
    ask_store(e->admin, json_pack("{s:s}", "op", "statistics-live"), ASK_MS, on_live, e);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct events *e = arg;
    if (e->n) ask(e);
    else event_del(e->timer);
}

/* ---- somebody listens */

static unsigned streams_of(const struct events *e, const char *name)
{
    unsigned n = 0;
    list_each(it, &e->listeners) n += !strcmp(list_entry(it, struct listener, node)->name, name);
    return n;
}

static void begin(struct events *e, struct listener *l)
{
    bool fresh = e->at && clock_mono_ms() - e->at < FRESH_MS;
    buf_add_str(&l->out, "retry: 2000\n\n");
    if (fresh) buf_add(&l->out, buf_slice(&e->latest));
    else ask(e);
    list_push_back(&e->listeners, &l->node);
    e->n++;
    if (!event_pending(e->timer, EV_TIMEOUT, NULL)) event_add(e->timer, &(struct timeval){ POLL_SECONDS, 0 });
}

void events_serve(struct http_request *r)
{
    struct events *e = r->admin->events;
    if (e->n >= LISTENERS || streams_of(e, r->who.name) >= LISTENERS_AN_ACCOUNT) {
        http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too many listen already");
        return;
    }
    struct listener *l = mem_new(struct listener);
    *l = (struct listener){ .admin = r->admin, .mhd = r->connection, .crank = r->front->timer, .web = r->web, .until = clock_mono_ms() + LIFE_MS };
    memcpy(l->name, r->who.name, sizeof l->name);
    begin(e, l);
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_stream, l, free_stream);
    if (!response) {
        free_stream(l);
        http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory");
        return;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream; charset=utf-8");
    MHD_add_response_header(response, "X-Accel-Buffering", "no"); /* a proxy in front must not keep it back */
    http_answer_response(r, MHD_HTTP_OK, response);
}

void events_leave(struct admin *a, const struct web *w)
{
    if (!a->events) return;
    list_each_safe(it, &a->events->listeners) {
        struct listener *l = list_entry(it, struct listener, node);
        if (!w || l->web == w) end(l);
    }
}

void events_open(struct admin *a)
{
    struct events *e = mem_new(struct events);
    e->admin = a;
    list_init(&e->listeners);
    e->timer = event_new(a->base, -1, EV_PERSIST, on_timer, e);
    a->events = e;
}

void events_close(struct admin *a)
{
    event_free(a->events->timer);
    buf_deinit(&a->events->latest);
    json_decref(a->events->live);
    free(a->events);
    a->events = NULL;
}
