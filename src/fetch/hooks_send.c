/* SPDX-License-Identifier: Apache-2.0
 * One event posted to a webhook: the name is looked up, the body signed, the answer judged. */
#include <event2/event.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "fetch/hooks_int.h"
#include "net/resolver.h"

#define ANSWER_MAX 65536

struct hook_post {
    const struct hook_sender *sender;
    struct config_webhook_url url;
    char host[256];
    struct buf body, path;
    char header[HOOK_SIGNATURE_N + 32];
    uint64_t started, timeout;
    struct resolver_query *lookup;
    struct https_request *request;
    struct event *soon;
    void (*cb)(void *arg, const struct hook_result *r);
    void *arg;
};

void hook_sign(struct slice secret, struct slice body, char out[HOOK_SIGNATURE_N + 1])
{
    unsigned char mac[32];
    unsigned n = sizeof mac;
    memcpy(out, "sha256=", 8);
    HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)body.p, body.n, mac, &n);
    for (size_t i = 0; i < sizeof mac; i++) snprintf(out + 7 + 2 * i, 3, "%02x", mac[i]);
}

static void post_free(struct hook_post *p)
{
    resolver_cancel(&p->lookup);
    https_cancel(&p->request);
    if (p->soon) event_free(p->soon);
    buf_deinit(&p->body);
    buf_deinit(&p->path);
    free(p);
}

static void finish(struct hook_post *p, long status, const char *error)
{
    struct hook_result r = { .status = status, .error = error, .ms = clock_mono_ms() - p->started };
    p->cb(p->arg, &r);
    post_free(p);
}

static void on_answer(void *arg, const struct https_answer *a)
{
    struct hook_post *p = arg;
    char text[80];
    p->request = NULL;
    snprintf(text, sizeof text, "it answered %ld%s", a->status, a->status >= 300 && a->status < 400 ? ", which is not followed" : "");
    if (!a->status) finish(p, 0, a->reason);
    else finish(p, a->status, a->status >= 200 && a->status < 300 ? "" : text);
}

static void start(struct hook_post *p, const struct ip *ips, size_t n)
{
    const struct slice body = buf_slice(&p->body);
    struct https_target t = { .host = p->host, .path = buf_cstr(&p->path), .ips = ips, .ip_n = n, .port = p->url.port, .plain = !p->url.secure,
                              .header = p->header[0] ? p->header : NULL };
    p->request = https_start(p->sender->https, &t, "application/json", &body, ANSWER_MAX, p->timeout, on_answer, p);
}

/* Plain HTTP stays on this machine, whatever the DNS says. */
static size_t only_here(const struct ip *ips, size_t n, struct ip *out, size_t max)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k < max; i++)
        if (ip_is_loopback(&ips[i])) out[k++] = ips[i];
    return k;
}

static void on_addresses(void *arg, const struct resolver_answer *a)
{
    struct hook_post *p = arg;
    struct ip here[4];
    p->lookup = NULL;
    if (a->status != RESOLVER_OK || !a->n) {
        finish(p, 0, a->status == RESOLVER_TEMPFAIL ? a->reason : "its host has no address");
        return;
    }
    if (p->url.secure) {
        start(p, a->ips, a->n);
        return;
    }
    size_t n = only_here(a->ips, a->n, here, countof(here));
    if (n) start(p, here, n);
    else finish(p, 0, "its host is not this machine, and it has no TLS");
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
    struct hook_post *p = arg;
    struct ip ip[2];
    size_t n = ip_parse(slice_str(p->host), &ip[0]) ? 1 : 0;
    if (!n && slice_ieq(slice_str(p->host), SLICE("localhost")) && ip_parse(SLICE("127.0.0.1"), &ip[0]) && ip_parse(SLICE("::1"), &ip[1])) n = 2;
    if (n) start(p, ip, n);
    else p->lookup = resolver_addresses(p->sender->resolver, slice_str(p->host), true, true, on_addresses, p);
}

struct hook_post *hook_post_start(const struct hook_sender *s, const struct config_webhook *c, struct slice secret, struct slice body,
                                  void (*cb)(void *arg, const struct hook_result *r), void *arg)
{
    struct hook_post *p = mem_new(struct hook_post);
    char signature[HOOK_SIGNATURE_N + 1];
    p->sender = s;
    p->cb = cb;
    p->arg = arg;
    p->started = clock_mono_ms();
    p->timeout = c->timeout;
    (void)config_webhook_url_parse(c->url, &p->url); /* it was checked */
    for (size_t i = 0; i < p->url.host.n && i < sizeof p->host - 1; i++) p->host[i] = ascii_lower(p->url.host.p[i]);
    if (!p->url.path.n) buf_add_char(&p->path, '/');
    buf_add(&p->path, p->url.path);
    buf_add(&p->body, body);
    if (secret.n) {
        hook_sign(secret, body, signature);
        snprintf(p->header, sizeof p->header, "X-Postern-Signature: %s", signature);
    }
    p->soon = evtimer_new(s->base, on_soon, p);
    event_add(p->soon, &(struct timeval){ 0, 0 });
    return p;
}

void hook_post_cancel(struct hook_post **pp)
{
    struct hook_post *p = *pp;
    *pp = NULL;
    if (p) post_free(p);
}
