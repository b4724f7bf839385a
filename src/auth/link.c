/* SPDX-License-Identifier: Apache-2.0
 * A worker's end of the channel to the auth process. Answers are told from the loop, also those that we give ourselves
 * because there is no process. */
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>
#include "auth/auth.h"
#include "base/base64.h"
#include "base/list.h"
#include "base/log.h"
#include "proc/channel.h"

#define SENDERS_MAX 1000

struct auth_link {
    struct event_base *base;
    struct channel *channel; /* NULL: none yet, or it is gone */
    struct list exchanges;
    struct event *failing; /* tells those in state FAILED */
    json_int_t last_id;
};

struct auth_exchange {
    struct list node;
    struct auth_link *link;
    json_int_t id;
    bool server;
    bool failed; /* the callback is due from `failing` */
    auth_cb *cb;
    void *arg;
};

/* ---- answers */

static void exchange_free(struct auth_exchange *e)
{
    list_remove(&e->node);
    free(e);
}

static void tell(struct auth_exchange *e, const struct auth_answer *a)
{
    auth_cb *cb = e->cb;
    void *arg = e->arg;
    if (a->outcome != AUTH_CONTINUE) exchange_free(e);
    cb(arg, a);
}

static void on_failing(evutil_socket_t fd, short what, void *arg)
{
    struct auth_link *l = arg;
    struct list failed, *node;
    list_init(&failed);
    list_each_safe(it, &l->exchanges) {
        if (!list_entry(it, struct auth_exchange, node)->failed) continue;
        list_remove(it);
        list_push_back(&failed, it);
    }
    while ((node = failed.next) != &failed) /* a callback may cancel others of these */
        tell(list_entry(node, struct auth_exchange, node),
             &(struct auth_answer){ .outcome = AUTH_TEMPFAIL, .reason = "the auth process is not there" });
}

static void fail(struct auth_exchange *e)
{
    static const struct timeval at_once = { 0, 0 };
    e->failed = true;
    evtimer_add(e->link->failing, &at_once);
}

static struct auth_exchange *find(const struct auth_link *l, json_int_t id)
{
    list_each(it, &l->exchanges) {
        struct auth_exchange *e = list_entry(it, struct auth_exchange, node);
        if (e->id == id && !e->failed) return e;
    }
    return NULL;
}

static struct slice text_of(const json_t *m, const char *key)
{
    const json_t *s = json_object_get(m, key);
    return slice_of(json_string_value(s), json_string_length(s));
}

static const char *known_mechanism(struct slice name)
{
    static const char *const names[] = { "PLAIN",         "LOGIN",
                                         "CRAM-MD5",      "DIGEST-MD5",
                                         "SCRAM-SHA-1",   "SCRAM-SHA-1-PLUS",
                                         "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS",
                                         "XOAUTH2",       "OAUTHBEARER" };
    for (size_t i = 0; i < countof(names); i++)
        if (slice_eq(name, slice_str(names[i]))) return names[i];
    return NULL;
}

static size_t read_senders(const json_t *list, struct slice **out)
{
    size_t n = json_array_size(list);
    if (n > SENDERS_MAX) n = SENDERS_MAX;
    if (!n) return 0;
    *out = mem_zalloc(n * sizeof **out);
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(list, i);
        (*out)[i] = slice_of(json_string_value(s), json_string_length(s));
    }
    return n;
}

static void on_message(void *arg, const json_t *m, int fd)
{
    struct auth_exchange *e = find(arg, json_integer_value(json_object_get(m, "x")));
    json_int_t outcome = json_integer_value(json_object_get(m, "outcome"));
    struct buf data = { 0 };
    struct slice *senders = NULL, reason = text_of(m, "reason");
    if (fd >= 0) close(fd);
    if (!e || outcome < AUTH_CONTINUE || outcome > AUTH_BRAKED) return; /* cancelled meanwhile */
    buf_reserve(&data, text_of(m, "data").n + 1); /* at once: growing would leave copies of secrets */
    base64_decode(text_of(m, "data"), &data);
    struct auth_answer a = {
        .outcome = (enum auth_outcome)outcome,
        .data = buf_slice(&data),
        .has_data = json_is_true(json_object_get(m, "has_data")),
        .mechanism = known_mechanism(text_of(m, "mechanism")),
        .account = text_of(m, "account"),
        .any_sender = json_is_true(json_object_get(m, "any_sender")),
        .reason = reason.p ? reason.p : "",
    };
    a.sender_n = read_senders(json_object_get(m, "senders"), &senders);
    a.senders = senders;
    if (a.outcome == AUTH_OK && e->server && !a.account.n) a.outcome = AUTH_TEMPFAIL; /* a name that is no UTF-8 */
    tell(e, &a);
    free(senders);
    mem_wipe(data.p, data.n);
    buf_deinit(&data);
}

static void on_channel_end(void *arg)
{
    struct auth_link *l = arg;
    channel_free(&l->channel);
    list_each(it, &l->exchanges) fail(list_entry(it, struct auth_exchange, node));
}

/* ---- the link */

struct auth_link *auth_link_new(struct event_base *base)
{
    struct auth_link *l = mem_new(struct auth_link);
    l->base = base;
    l->failing = evtimer_new(base, on_failing, l);
    list_init(&l->exchanges);
    return l;
}

void auth_link_connect(struct auth_link *l, int fd)
{
    if (l->channel) on_channel_end(l);
    l->channel = channel_new(l->base, fd, on_message, on_channel_end, l);
}

void auth_link_free(struct auth_link *l)
{
    if (!l) return;
    while (!list_empty(&l->exchanges)) exchange_free(list_entry(l->exchanges.next, struct auth_exchange, node));
    channel_free(&l->channel);
    event_free(l->failing);
    free(l);
}

/* ---- exchanges */

static void post(struct auth_exchange *e, json_t *m)
{
    struct auth_link *l = e->link;
    if (!m || !l->channel) {
        fail(e);
    } else {
        json_object_set_new(m, "x", json_integer(e->id));
        channel_send(l->channel, m, -1);
    }
    json_decref(m);
}

static struct auth_exchange *start(struct auth_link *l, auth_cb *cb, void *arg)
{
    struct auth_exchange *e = mem_new(struct auth_exchange);
    *e = (struct auth_exchange){ .link = l, .id = ++l->last_id, .cb = cb, .arg = arg };
    list_push_back(&l->exchanges, &e->node);
    return e;
}

static void set_base64(json_t *m, const char *key, struct slice bytes)
{
    struct buf b = { 0 };
    buf_reserve(&b, bytes.n * 2 + 8);
    base64_add(&b, bytes);
    json_object_set_new(m, key, json_stringn(b.p ? b.p : "", b.n));
    mem_wipe(b.p, b.n);
    buf_deinit(&b);
}

struct auth_exchange *auth_server_start(struct auth_link *l, const struct auth_server_request *r, auth_cb *cb,
                                        void *arg)
{
    struct auth_exchange *e = start(l, cb, arg);
    struct buf client = { 0 };
    e->server = true;
    ip_add(&client, &r->client);
    json_t *m = json_pack("{s:s, s:s%, s:s, s:b}", "op", "server", "mechanism", r->mechanism.p, r->mechanism.n,
                          "client", buf_cstr(&client), "tls", r->tls);
    if (m && r->has_initial) set_base64(m, "initial", r->initial);
    if (m && r->binding.n) set_base64(m, "binding", r->binding);
    buf_deinit(&client);
    post(e, m);
    return e;
}

struct auth_exchange *auth_client_start(struct auth_link *l, const struct auth_client_request *r, auth_cb *cb,
                                        void *arg)
{
    struct auth_exchange *e = start(l, cb, arg);
    json_t *m = json_pack("{s:s, s:i, s:s%, s:s, s:i, s:b}", "op", "client", "hop", r->hop, "mechanisms",
                          r->mechanisms.p ? r->mechanisms.p : "", r->mechanisms.n, "host", r->host, "port",
                          (int)r->port, "tls", r->tls);
    if (m && r->binding.n) set_base64(m, "binding", r->binding);
    post(e, m); /* no m: mechanisms that are not UTF-8, which fails */
    return e;
}

void auth_step(struct auth_exchange *e, struct slice data)
{
    json_t *m = json_pack("{s:s}", "op", "step");
    set_base64(m, "data", data);
    post(e, m);
}

void auth_client_done(struct auth_exchange *e, bool success)
{
    post(e, json_pack("{s:s, s:b}", "op", "done", "success", success));
    if (!success) exchange_free(e);
}

void auth_cancel(struct auth_exchange **ep)
{
    struct auth_exchange *e = *ep;
    *ep = NULL;
    if (!e) return;
    if (!e->failed && e->link->channel) post(e, json_pack("{s:s}", "op", "cancel"));
    exchange_free(e);
}
