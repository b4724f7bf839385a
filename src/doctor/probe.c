/* SPDX-License-Identifier: Apache-2.0
 * Probes: what is asked for, the addresses behind a name, the clock of each step, the end. */
#include "doctor/probe.h"
#include <event2/event.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "content/wire.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "smtp/address.h"

#define PROBES_MAX 4 /* at the same time */
#define STEP_MS 15000
#define TEXT_MAX 600
#define HOSTS_MAX 3 /* MX hosts that are looked up */

/* ---- steps and the end */

static void restart_clock(struct probe *p)
{
    static const struct timeval most = { STEP_MS / 1000, 0 };
    p->began = clock_mono_us();
    evtimer_add(p->step, &most);
}

void probe_step(struct probe *p, const char *step, bool ok, const char *text)
{
    double ms = (double)(clock_mono_us() - p->began) / 1000;
    json_array_append_new(p->steps, json_pack("{s:s, s:b, s:o, s:f}", "step", step, "ok", ok, "text",
                                              wire_clean_text(slice_str(text), TEXT_MAX), "ms", ms));
    restart_clock(p);
}

static void probe_free(struct probe *p)
{
    list_remove(&p->node);
    resolver_cancel(&p->query);
    stream_free(&p->stream);
    event_free(p->limit);
    event_free(p->step);
    json_decref(p->steps);
    json_decref(p->extensions);
    json_decref(p->said_of_tls);
    free(p->sender);
    free(p->recipient);
    free(p);
}

void probe_end(struct probe *p)
{
    json_t *a = json_pack("{s:b, s:s, s:i, s:O, s:O}", "ok", !p->failed, "host", p->host, "port", (int)p->port, "steps",
                          p->steps, "extensions", p->extensions);
    void (*reply)(void *arg, json_t *answer) = p->reply;
    void *arg = p->arg;
    if (p->said_of_tls) json_object_set(a, "tls", p->said_of_tls);
    probe_free(p);
    reply(arg, a);
}

void probe_fail(struct probe *p, const char *step, const char *text)
{
    p->failed = true;
    probe_step(p, step, false, text);
    probe_end(p);
}

const char *probe_step_name(const struct probe *p)
{
    static const char *const names[] = { "greeting", "ehlo",      "ehlo",      "starttls",
                                         "starttls", "recipient", "recipient", "quit" };
    if (p->query || !p->target_n) return "resolve";
    return p->stage > PROBE_QUIT ? "connect" : names[p->stage];
}

static const char too_late[] = "no answer in time";

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    struct probe *p = arg;
    if (p->stage == PROBE_QUIT) probe_end(p);
    else probe_fail(p, probe_step_name(p), too_late);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
    struct probe *p = arg;
    if (p->stream && p->stage > PROBE_QUIT) probe_pass_by(p, too_late);
    else on_limit(fd, what, arg);
}

/* ---- addresses */

void probe_pass_by(struct probe *p, const char *why)
{
    struct buf where = { 0 };
    stream_free(&p->stream);
    ip_add(&where, &p->targets[p->target_at - 1].ip);
    buf_addf(&where, " port %u: %s", p->port, why);
    probe_step(p, "connect", false, buf_cstr(&where));
    buf_deinit(&where);
    probe_next_target(p);
}

void probe_next_target(struct probe *p)
{
    struct err err;
    while (p->target_at < p->target_n) {
        const struct probe_target *t = &p->targets[p->target_at++];
        if (probe_connect(p, t, &err)) return;
        probe_step(p, "connect", false, err.text);
    }
    p->failed = true;
    probe_end(p);
}

static void add_target(struct probe *p, const struct ip *ip, const char *name)
{
    enum config_family f = p->doctor->o.config->delivery.family;
    if (p->target_n == PROBE_TARGETS_MAX || (f == CONFIG_FAMILY_IPV4 && ip->family != 4) ||
        (f == CONFIG_FAMILY_IPV6 && ip->family != 6))
        return;
    struct probe_target *t = &p->targets[p->target_n++];
    t->ip = *ip;
    memmove(t->name, name, strlen(name) + 1); /* both have the room of a name */
}

static void tell_targets(struct probe *p)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < p->target_n; i++) {
        if (i) buf_add_str(&b, ", ");
        if (p->by_mx) buf_addf(&b, "%s ", p->targets[i].name);
        ip_add(&b, &p->targets[i].ip);
    }
    probe_step(p, "resolve", true, buf_cstr(&b));
    buf_deinit(&b);
}

static void look_up_next(struct probe *p);

static void on_addresses(void *arg, const struct resolver_answer *a)
{
    struct probe *p = arg;
    p->query = NULL;
    for (size_t i = 0; a->status == RESOLVER_OK && i < a->n; i++) add_target(p, &a->ips[i], p->hosts[p->host_at]);
    if (++p->host_at < p->host_n) {
        look_up_next(p);
        return;
    }
    if (!p->target_n) {
        probe_fail(p, "resolve",
                   a->status == RESOLVER_TEMPFAIL   ? a->reason
                   : a->status == RESOLVER_NXDOMAIN ? "there is no such name"
                                                    : "the name has no address");
        return;
    }
    tell_targets(p);
    probe_next_target(p);
}

static void look_up_next(struct probe *p)
{
    enum config_family f = p->doctor->o.config->delivery.family;
    p->query = resolver_addresses(p->doctor->o.resolver, slice_str(p->hosts[p->host_at]), f != CONFIG_FAMILY_IPV6,
                                  f != CONFIG_FAMILY_IPV4, on_addresses, p);
}

static void on_mx(void *arg, const struct resolver_answer *a)
{
    struct probe *p = arg;
    unsigned last = 0;
    p->query = NULL;
    if (a->status == RESOLVER_TEMPFAIL) {
        probe_fail(p, "resolve", a->reason);
        return;
    }
    while (a->status == RESOLVER_OK && p->host_n < HOSTS_MAX && p->host_n < a->n) { /* by preference */
        size_t best = a->n;
        for (size_t i = 0; i < a->n; i++) {
            bool taken = false;
            for (size_t k = 0; k < p->host_n; k++) taken |= !strcmp(p->hosts[k], a->mx[i].name);
            if (!taken && a->mx[i].preference >= last && (best == a->n || a->mx[i].preference < a->mx[best].preference))
                best = i;
        }
        if (best == a->n) break;
        last = a->mx[best].preference;
        snprintf(p->hosts[p->host_n++], sizeof p->hosts[0], "%s", a->mx[best].name);
    }
    if (p->host_n && !p->hosts[0][0]) {
        probe_fail(p, "resolve", "the domain takes no mail (null MX)");
        return;
    }
    if (!p->host_n) snprintf(p->hosts[p->host_n++], sizeof p->hosts[0], "%s", p->host); /* RFC 5321 §5.1 */
    look_up_next(p);
}

static void begin(struct probe *p)
{
    if (p->by_mx) p->query = resolver_mx(p->doctor->o.resolver, slice_str(p->host), on_mx, p);
    else {
        snprintf(p->hosts[p->host_n++], sizeof p->hosts[0], "%s", p->host);
        look_up_next(p);
    }
}

/* ---- what is asked for */

static const char *take_host(struct probe *p, struct slice host)
{
    struct ip ip;
    p->by_mx = slice_istarts(host, SLICE("mx:"));
    if (p->by_mx) host = slice_sub(host, 3, host.n);
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') host = slice_sub(host, 1, host.n - 1);
    if (!p->by_mx && ip_parse(host, &ip)) {
        snprintf(p->host, sizeof p->host, "%.*s", SLICE_ARG(host));
        return NULL;
    }
    return address_domain_ascii(host, p->host) ? NULL : "host: a host name or an address is expected";
}

static const char *take_mailbox(struct slice text, const char *what, char **out)
{
    struct address a;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~') return what; /* it goes into a command as it is */
    if (address_parse(text, &a)) return what;
    *out = mem_slicedup(text);
    return NULL;
}

static const char *take_request(struct probe *p, const json_t *request)
{
    static const char *const words[] = { "none", "may", "encrypt", "verify" };
    struct slice tls = json_text(request, "tls"), sender = json_text(request, "sender"),
                 rcpt = json_text(request, "recipient");
    const json_t *port = json_object_get(request, "port");
    const char *wrong = take_host(p, json_text(request, "host"));
    json_int_t n = port ? json_integer_value(port) : 25;
    p->tls = PROBE_MAY;
    for (size_t i = 0; i < countof(words); i++)
        if (slice_eq(tls, slice_str(words[i]))) p->tls = (enum probe_tls)i;
    if (!wrong && (n < 1 || n > 65535)) wrong = "port: 1 to 65535";
    p->port = (uint16_t)n;
    p->implicit = n == 465; /* RFC 8314 §3.3 */
    if (!wrong && p->implicit && p->tls == PROBE_NONE) wrong = "tls: port 465 is TLS from the first byte";
    if (!wrong && p->tls != PROBE_NONE && !p->doctor->o.client_tls) wrong = "tls: TLS is not available here";
    if (!wrong && rcpt.n) wrong = take_mailbox(rcpt, "recipient: a mail address in ASCII is expected", &p->recipient);
    if (!wrong && sender.n) wrong = take_mailbox(sender, "sender: a mail address in ASCII is expected", &p->sender);
    return wrong;
}

void doctor_probe(struct doctor *d, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg)
{
    static const struct timeval most = { PROBE_LIMIT_MS / 1000, 0 };
    size_t n = 0;
    list_each(it, &d->probes) n++;
    struct probe *p = mem_new(struct probe);
    *p = (struct probe){ .doctor = d, .reply = reply, .arg = arg, .steps = json_array(), .extensions = json_array() };
    p->limit = evtimer_new(d->o.base, on_limit, p);
    p->step = evtimer_new(d->o.base, on_step, p);
    list_push_back(&d->probes, &p->node);
    const char *wrong = n >= PROBES_MAX ? "too many connections are tried at once: try again in some seconds"
                                        : take_request(p, request);
    if (wrong) {
        probe_free(p);
        reply(arg, json_pack("{s:s}", "error", wrong));
        return;
    }
    evtimer_add(p->limit, &most);
    restart_clock(p);
    begin(p);
}

void doctor_probes_free(struct doctor *d)
{
    while (!list_empty(&d->probes)) {
        struct probe *p = list_entry(d->probes.next, struct probe, node);
        void (*reply)(void *arg, json_t *answer) = p->reply;
        void *arg = p->arg;
        probe_free(p);
        reply(arg, json_pack("{s:s}", "error", "the worker ends"));
    }
}
