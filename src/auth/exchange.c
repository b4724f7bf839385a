/* SPDX-License-Identifier: Apache-2.0
 * Exchanges of the auth process. What a worker sends is checked here: it may have been taken over by what it received.
 */
#include "auth/exchange.h"
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define ADDRESS_MAX 400 /* of a recipient, bytes */

/* What came with the first frame. */
struct exchange_request {
    struct buf mechanism, binding; /* mechanism: the client's word, or those that the server lists */
    struct ip client;
    bool tls;
    const struct config_hop *hop;
    const struct config_domain *domain; /* of a recipient, */
    struct buf address;                 /* and itself */
    uint64_t deadline;                  /* mono ms */
    char *host;
    uint16_t port;
};

/* ---- frames */

/* Base64 of at most max bytes; true when it is not there at all. */
static bool bytes_of(const json_t *m, const char *key, size_t max, struct buf *out, bool *there)
{
    struct slice text = json_text(m, key);
    *there = text.p != NULL;
    out->max = max;
    return text.n <= (max + 2) / 3 * 4 && base64_decode(text, out) && !out->overflow;
}

void exchange_refuse(struct exchange *e, const char *reason)
{
    e->answer = (struct exchange_answer){ .outcome = AUTH_TEMPFAIL, .data = &e->data, .reason = reason };
    buf_wipe(&e->data);
    e->started = e->ending = true; /* nothing is left to do */
}

static const struct config_hop *hop_of(const struct config *c, const json_t *m)
{
    const json_t *id = json_object_get(m, "hop");
    json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
    if (n < 0 || (size_t)n >= c->hop_n || !c->hops[n]->auth.user) return NULL;
    return c->hops[n];
}

static bool read_recipient(const struct config *c, struct exchange_request *r, const json_t *m)
{
    const json_t *index = json_object_get(m, "domain");
    json_int_t n = json_is_integer(index) ? json_integer_value(index) : -1;
    if (n < 0 || (size_t)n >= c->domain_n || c->domains[n].recipients.verify != CONFIG_VERIFY_LDAP) return false;
    r->domain = &c->domains[n];
    r->deadline = clock_mono_ms() + r->domain->recipients.timeout;
    buf_add(&r->address, json_text(m, "address"));
    return r->address.n && r->address.n <= ADDRESS_MAX;
}

static bool read_request(struct exchange *e, const json_t *m)
{
    struct exchange_request *r = e->request;
    if (e->kind == EXCHANGE_RECIPIENT) return read_recipient(e->world->services.config, r, m);
    bool there;
    json_int_t port = json_integer_value(json_object_get(m, "port"));
    buf_add(&r->mechanism, json_text(m, e->kind == EXCHANGE_CLIENT ? "mechanisms" : "mechanism"));
    r->tls = json_is_true(json_object_get(m, "tls"));
    if (r->mechanism.n > 1000 || !bytes_of(m, "binding", 64, &r->binding, &there)) return false;
    if (e->kind == EXCHANGE_SERVER)
        return ip_parse(json_text(m, "client"), &r->client) &&
               bytes_of(m, "initial", AUTH_DATA_MAX, &e->data, &e->has_data);
    r->hop = hop_of(e->world->services.config, m);
    r->host = mem_slicedup(json_text(m, "host"));
    r->port = (uint16_t)port;
    return r->hop && strlen(r->host) <= 255 && port > 0 && port < 65536;
}

struct exchange *exchange_new(struct exchange_world *w, const json_t *m, enum exchange_kind kind)
{
    struct exchange *e = mem_new(struct exchange);
    e->world = w;
    e->kind = kind;
    e->request = mem_new(struct exchange_request);
    if (!read_request(e, m)) exchange_refuse(e, "the request makes no sense");
    return e;
}

bool exchange_continue(struct exchange *e, const json_t *m, bool done)
{
    if (!e->started || e->ending || (done && e->kind != EXCHANGE_CLIENT)) return false;
    buf_wipe(&e->data);
    if (!done) return bytes_of(m, "data", AUTH_DATA_MAX, &e->data, &e->has_data) && e->has_data;
    e->ending = true;
    e->success = json_is_true(json_object_get(m, "success"));
    e->silent = !e->success;
    /* At once, and not in a thread: what a worker starts after it said that a token was refused must not get that one. */
    if (e->silent) auth_client_end(&e->auth, false, &e->reply);
    return true;
}

/* ---- in a thread */

static void run_server(struct exchange *e)
{
    const struct exchange_request *r = e->request;
    if (!e->server)
        e->server = sasl_server_new(&e->world->services, &(struct sasl_request){ .mechanism = buf_slice(&r->mechanism),
                                                                                 .binding = buf_slice(&r->binding),
                                                                                 .client = r->client,
                                                                                 .tls = r->tls });
    sasl_server_step(e->server, e->has_data, buf_slice(&e->data), &e->sasl);
    const struct auth_verdict *v = &e->sasl.verdict;
    e->answer = (struct exchange_answer){
        .outcome = v->outcome, .data = &e->sasl.data, .reason = v->reason, .delay = e->sasl.delay
    };
    e->answer.account = v->account;
    if (v->outcome != AUTH_OK) return;
    e->answer.senders = &v->senders;
    e->answer.any_sender = v->any_sender || !e->world->services.config->auth.sender_must_match;
}

static void run_client(struct exchange *e)
{
    const struct exchange_request *r = e->request;
    if (e->ending) auth_client_end(&e->auth, e->success, &e->reply);
    else if (!e->started)
        e->auth = auth_client_new(e->world->services.config, r->hop, buf_slice(&r->mechanism), r->host, r->port, r->tls,
                                  buf_slice(&r->binding), &e->reply);
    else auth_client_next(e->auth, buf_slice(&e->data), &e->reply);
    e->answer = (struct exchange_answer){ .outcome = e->reply.outcome,
                                          .data = &e->reply.data,
                                          .has_data = e->reply.has_data,
                                          .mechanism = e->started ? NULL : e->reply.mechanism,
                                          .reason = e->reply.reason };
    if (e->reply.outcome != AUTH_CONTINUE) auth_client_cancel(&e->auth);
}

static void run_recipient(struct exchange *e)
{
    const struct exchange_request *r = e->request;
    struct auth_verdict *v = &e->sasl.verdict;
    ldap_recipient(e->world->services.config, &r->domain->recipients, buf_slice(&r->address), r->deadline, v);
    e->answer = (struct exchange_answer){ .outcome = v->outcome, .data = &e->sasl.data, .reason = v->reason };
}

static struct pool *pool_of(const struct exchange *e)
{
    const struct exchange_world *w = e->world;
    return e->kind == EXCHANGE_CLIENT ? w->client_pool : e->kind == EXCHANGE_SERVER ? w->server_pool : w->recipient_pool;
}

static void run(struct task *t)
{
    struct exchange *e = container_of(t, struct exchange, task);
    if (e->kind == EXCHANGE_CLIENT) run_client(e);
    else if (e->kind == EXCHANGE_SERVER) run_server(e);
    else run_recipient(e);
    e->started = true;
    buf_wipe(&e->data);
}

bool exchange_world_init(struct exchange_world *w, struct event_base *base, void (*on_result)(struct task *t), struct err *err)
{
    w->tasks = tasks_new(base, run, on_result, err);
    return w->tasks != NULL;
}

bool exchange_run(struct exchange *e)
{
    if (e->started && e->ending && !e->auth) return false; /* refused */
    e->busy = true;
    if (task_start(e->world->tasks, pool_of(e), NULL, &e->task)) return true;
    e->busy = false;
    if (e->kind == EXCHANGE_RECIPIENT) { /* which anybody can cause */
        exchange_refuse(e, "too many questions for the directory at once");
        return false;
    }
    log_event(LOG_WARNING, "auth-overload", LOG_STR("reason", "too many authentications wait for a thread"));
    exchange_refuse(e, "too many authentications at once");
    return false;
}

void exchange_free(struct exchange *e)
{
    struct exchange_request *r = e->request;
    auth_client_cancel(&e->auth);
    auth_reply_deinit(&e->reply);
    sasl_server_free(&e->server);
    sasl_reply_deinit(&e->sasl);
    buf_wipe(&e->data);
    buf_deinit(&r->mechanism);
    buf_wipe(&r->binding);
    buf_deinit(&r->address);
    free(r->host);
    free(r);
    if (e->delaying) event_free(e->delaying);
    free(e);
}
