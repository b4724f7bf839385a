/* SPDX-License-Identifier: Apache-2.0
 * Exchanges with the auth process, as a worker has them. */
#include <stdlib.h>
#include "auth/auth.h"
#include "auth/methods.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/link.h"

#define SENDERS_MAX 1000

struct auth_exchange {
    struct link_request request;
    bool server;
    auth_cb *cb;
    void *arg;
};

/* ---- answers */

static void exchange_free(struct auth_exchange *e)
{
    link_end(&e->request);
    free(e);
}

static void tell(struct auth_exchange *e, const struct auth_answer *a)
{
    auth_cb *cb = e->cb;
    void *arg = e->arg;
    if (a->outcome != AUTH_CONTINUE) exchange_free(e);
    cb(arg, a);
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

static void on_answer(struct link_request *r, const json_t *m)
{
    struct auth_exchange *e = container_of(r, struct auth_exchange, request);
    uint32_t mechanism = auth_method_of(json_text(m, "mechanism"));
    json_int_t outcome = json_integer_value(json_object_get(m, "outcome"));
    struct buf data = { 0 };
    struct slice *senders = NULL, reason = json_text(m, "reason");
    if (!m) {
        tell(e, &(struct auth_answer){ .outcome = AUTH_TEMPFAIL, .reason = "the auth process is not there" });
        return;
    }
    if (outcome < AUTH_CONTINUE || outcome > AUTH_BRAKED) return;
    buf_reserve(&data, json_text(m, "data").n + 1); /* at once: growing would leave copies of secrets */
    base64_decode(json_text(m, "data"), &data);
    struct auth_answer a = {
        .outcome = (enum auth_outcome)outcome,
        .data = buf_slice(&data),
        .has_data = json_is_true(json_object_get(m, "has_data")),
        .mechanism = mechanism ? auth_method_name(mechanism) : NULL,
        .account = json_text(m, "account"),
        .any_sender = json_is_true(json_object_get(m, "any_sender")),
        .reason = reason.p ? reason.p : "",
    };
    a.sender_n = read_senders(json_object_get(m, "senders"), &senders);
    a.senders = senders;
    if (a.outcome == AUTH_OK && e->server && !a.account.n) a.outcome = AUTH_TEMPFAIL; /* a name that is no UTF-8 */
    tell(e, &a);
    free(senders);
    buf_wipe(&data);
}

/* ---- exchanges */

static struct auth_exchange *exchange_new(auth_cb *cb, void *arg)
{
    struct auth_exchange *e = mem_new(struct auth_exchange);
    e->cb = cb;
    e->arg = arg;
    return e;
}

static void set_base64(json_t *m, const char *key, struct slice bytes)
{
    struct buf b = { 0 };
    buf_reserve(&b, bytes.n * 2 + 8);
    base64_add(&b, bytes);
    json_object_set_new(m, key, json_stringn(b.p ? b.p : "", b.n));
    buf_wipe(&b);
}

struct auth_exchange *auth_server_start(struct link *l, const struct auth_server_request *r, auth_cb *cb, void *arg)
{
    struct auth_exchange *e = exchange_new(cb, arg);
    struct buf client = { 0 };
    e->server = true;
    ip_add(&client, &r->client);
    json_t *m = json_pack("{s:s, s:s%, s:s, s:b}", "op", "server", "mechanism", r->mechanism.p, r->mechanism.n,
                          "client", buf_cstr(&client), "tls", r->tls);
    if (m && r->has_initial) set_base64(m, "initial", r->initial);
    if (m && r->binding.n) set_base64(m, "binding", r->binding);
    buf_deinit(&client);
    link_ask(l, &e->request, m, 0, on_answer);
    return e;
}

struct auth_exchange *auth_client_start(struct link *l, const struct auth_client_request *r, auth_cb *cb, void *arg)
{
    struct auth_exchange *e = exchange_new(cb, arg);
    json_t *m = json_pack("{s:s, s:i, s:s%, s:s, s:i, s:b}", "op", "client", "hop", r->hop, "mechanisms",
                          r->mechanisms.p ? r->mechanisms.p : "", r->mechanisms.n, "host", r->host, "port",
                          (int)r->port, "tls", r->tls);
    if (m && r->binding.n) set_base64(m, "binding", r->binding);
    link_ask(l, &e->request, m, 0, on_answer); /* no m: mechanisms that are not UTF-8, which fails */
    return e;
}

struct auth_exchange *auth_recipient_start(struct link *l, size_t domain, struct slice address, auth_cb *cb, void *arg)
{
    struct auth_exchange *e = exchange_new(cb, arg);
    json_t *m = json_pack("{s:s, s:I, s:s%}", "op", "recipient", "domain", (json_int_t)domain, "address", address.p, address.n);
    link_ask(l, &e->request, m, 0, on_answer); /* no m: an address that is not UTF-8, which fails */
    return e;
}

void auth_step(struct auth_exchange *e, struct slice data)
{
    json_t *m = json_pack("{s:s}", "op", "step");
    set_base64(m, "data", data);
    link_ask_on(&e->request, m);
}

void auth_client_done(struct auth_exchange *e, bool success)
{
    link_ask_on(&e->request, json_pack("{s:s, s:b}", "op", "done", "success", success));
    if (!success) exchange_free(e);
}

void auth_cancel(struct auth_exchange **ep)
{
    struct auth_exchange *e = *ep;
    *ep = NULL;
    if (!e) return;
    link_ask_on(&e->request, json_pack("{s:s}", "op", "cancel"));
    exchange_free(e);
}
