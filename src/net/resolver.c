/* SPDX-License-Identifier: Apache-2.0
 * The resolver: libunbound with a thread of its own, its answers picked up on the event loop.
 *
 * A query goes waiting -> active -> done. Whatever ends it (answer, time-out, a name that cannot exist) only moves it to `done`
 * and wakes `deliver`, the one place that calls back: so nobody is called from within a starter or from within libunbound. */
#include "net/resolver.h"
#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "net/resolver_parts.h"

#define ACTIVE_MAX 128  /* queries libunbound works on for us at once; the others wait within their time-out */
#define TTL_MAX 86400

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16, TYPE_AAAA = 28, TYPE_TLSA = 52, CLASS_IN = 1 };
enum { RCODE_NOERROR = 0, RCODE_NXDOMAIN = 3 };

struct resolver {
    struct ub_ctx *ub;
    struct event *readable, *deliver;
    struct event_base *base;
    struct timeval timeout;
    struct list active, waiting, done;
    size_t active_n;
};

enum state { WAITING, ACTIVE, DONE, CALLING };

struct lookup {
    struct resolver_query *q;
    uint16_t type;
    bool running;
    int id;                 /* libunbound's, while running */
    enum resolver_status status;
    bool secure, bogus;
    uint32_t ttl;
    struct ip ips[RESOLVER_IPS_MAX];
    size_t n;
};

struct resolver_query {
    struct list link;
    struct resolver *r;
    resolver_cb *cb;
    void *arg;
    struct event *timer;
    enum state state;
    struct lookup lookups[2];
    size_t lookup_n, running;
    struct resolver_mx *mx; /* of an MX look-up that was answered; likewise the next three */
    struct slice *texts;
    struct tls_tlsa *tlsa;
    struct resolver_name *names;
    char *bytes;            /* of texts */
    struct ub_result *kept; /* tlsa points into it */
    bool any;               /* of resolver_any */
    struct ip *ips;         /* of such a one */
    char *question;         /* the name with its odd bytes escaped; NULL: there are none */
    size_t n;               /* of mx, texts, tlsa, names or ips */
    char name[256];
    char owner[256];        /* CNAMEs followed */
    char reason[160];       /* the first failure's */
};

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct resolver *r = arg;
    int code = ub_process(r->ub);
    if (code) log_event(LOG_ERROR, "resolver-failed", LOG_STR("error", ub_strerror(code)));
}

static void on_deliver(evutil_socket_t fd, short what, void *arg);

struct resolver *resolver_new(struct event_base *base, const struct config *c, struct err *err)
{
    struct ub_ctx *ub = ub_ctx_create();
    if (!ub) {
        err_set(err, "DNS resolver: out of memory");
        return NULL;
    }
    if (!resolver_set_up(ub, c, err)) {
        ub_ctx_delete(ub);
        return NULL;
    }
    struct resolver *r = mem_new(struct resolver);
    r->ub = ub;
    r->base = base;
    r->timeout = (struct timeval){ (time_t)(c->dns.timeout / 1000), (suseconds_t)(c->dns.timeout % 1000 * 1000) };
    list_init(&r->active);
    list_init(&r->waiting);
    list_init(&r->done);
    r->readable = event_new(base, ub_fd(ub), EV_READ | EV_PERSIST, on_readable, r);
    r->deliver = event_new(base, -1, 0, on_deliver, r);
    event_add(r->readable, NULL);
    return r;
}

void resolver_free(struct resolver *r)
{
    if (!r) return;
    assert(list_empty(&r->active) && list_empty(&r->waiting) && list_empty(&r->done));
    event_free(r->readable);
    event_free(r->deliver);
    ub_ctx_delete(r->ub);
    free(r);
}

static void query_free(struct resolver_query *q)
{
    if (q->timer) event_free(q->timer);
    ub_resolve_free(q->kept);
    free(q->mx);
    free(q->texts);
    free(q->tlsa);
    free(q->names);
    free(q->bytes);
    free(q->ips);
    free(q->question);
    free(q);
}

static void note_failure(struct lookup *l, const char *why, const char *detail)
{
    l->status = RESOLVER_TEMPFAIL;
    l->ttl = 1;
    if (l->q->reason[0]) return;
    struct buf b = { 0 };
    buf_add_str(&b, why);
    if (detail) buf_add_printable(&b, slice_str(detail), 100); /* it may quote what a name server sent */
    snprintf(l->q->reason, sizeof l->q->reason, "%s", buf_cstr(&b));
    buf_deinit(&b);
}

static void finish(struct resolver_query *q)
{
    struct resolver *r = q->r;
    if (q->state == ACTIVE) r->active_n--;
    if (q->timer) event_del(q->timer);
    q->state = DONE;
    list_remove(&q->link);
    list_push_back(&r->done, &q->link);
    event_active(r->deliver, EV_TIMEOUT, 0);
}

static void take_mx(struct lookup *l, const struct ub_result *res)
{
    struct resolver_query *q = l->q;
    const char *odd = NULL;
    q->mx = mem_alloc(RESOLVER_MX_MAX * sizeof *q->mx);
    q->n = resolver_read_mx(res->data, res->len, q->mx, &odd);
    if (!odd) return;
    log_event(LOG_DEBUG, "mx-ignored", LOG_STR("domain", q->name), LOG_STR("reason", odd));
    if (!q->n) snprintf(q->reason, sizeof q->reason, "%s", odd);
}

static size_t count(const struct ub_result *res, size_t max)
{
    size_t n = 0;
    while (n < max && res->data[n]) n++;
    return n;
}

static void take_texts(struct lookup *l, const struct ub_result *res)
{
    struct resolver_query *q = l->q;
    size_t max = count(res, q->any ? RESOLVER_ANY_MAX : RESOLVER_RECORDS_MAX);
    q->texts = mem_alloc(max * sizeof *q->texts);
    q->n = resolver_read_txt_max(res->data, res->len, q->texts, max, &q->bytes);
    if (!q->n) l->status = RESOLVER_NODATA;
}

/* True: res is kept until the query ends. */
static bool take_records(struct lookup *l, struct ub_result *res)
{
    struct resolver_query *q = l->q;
    struct slice owner = slice_str(res->canonname ? res->canonname : "");
    if (owner.n && owner.p[owner.n - 1] == '.') owner.n--;
    if (resolver_name_ok(owner))
        for (size_t i = 0; i <= owner.n; i++) q->owner[i] = i < owner.n ? ascii_lower(owner.p[i]) : 0;
    l->status = RESOLVER_OK;
    switch (l->type) {
    case TYPE_MX: take_mx(l, res); return false;
    case TYPE_TXT:
        take_texts(l, res);
        return false;
    case TYPE_TLSA: /* records that cannot be read are still there: RFC 7672 §2.2 calls them unusable */
        q->tlsa = mem_alloc(RESOLVER_RECORDS_MAX * sizeof *q->tlsa);
        q->n = resolver_read_tlsa(res->data, res->len, q->tlsa);
        q->kept = res;
        return true;
    case TYPE_CNAME: return false;
    case TYPE_PTR:
        q->names = mem_alloc(RESOLVER_NAMES_MAX * sizeof *q->names);
        q->n = resolver_read_ptr(res->data, res->len, q->names);
        if (!q->n) l->status = RESOLVER_NODATA;
        return false;
    default:
        if (q->any) {
            size_t max = count(res, RESOLVER_ANY_MAX);
            q->ips = mem_alloc(max * sizeof *q->ips);
            q->n = resolver_read_ips_max(res->data, res->len, l->type == TYPE_AAAA, q->ips, max);
            if (!q->n) l->status = RESOLVER_NODATA;
            return false;
        }
        l->n = resolver_read_ips(res->data, res->len, l->type == TYPE_AAAA, l->ips);
        if (!l->n) l->status = RESOLVER_NODATA;
        return false;
    }
}

static void on_answer(void *arg, int code, struct ub_result *res)
{
    struct lookup *l = arg;
    struct resolver_query *q = l->q;
    bool kept = false;
    l->running = false;
    if (code || !res)
        note_failure(l, "the resolver failed: ", ub_strerror(code));
    else if (res->bogus) {
        l->bogus = true;
        note_failure(l, "DNSSEC validation failed: ", res->why_bogus);
    } else {
        l->secure = res->secure;
        l->ttl = res->ttl < 1 ? 1 : res->ttl > TTL_MAX ? TTL_MAX : (uint32_t)res->ttl;
        if (res->havedata) kept = take_records(l, res);
        else if (res->nxdomain || res->rcode == RCODE_NXDOMAIN) l->status = RESOLVER_NXDOMAIN;
        else if (res->rcode == RCODE_NOERROR) l->status = RESOLVER_NODATA;
        else note_failure(l, "the name servers could not be asked or answered with an error (SERVFAIL)", NULL);
    }
    if (!kept) ub_resolve_free(res);
    if (--q->running == 0) finish(q);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct resolver_query *q = arg;
    for (size_t i = 0; i < q->lookup_n; i++) {
        struct lookup *l = &q->lookups[i];
        if (q->state == ACTIVE && !l->running) continue;
        if (l->running) ub_cancel(q->r->ub, l->id);
        l->running = false;
        note_failure(l, "the name servers did not answer in time", NULL);
    }
    finish(q);
}

static void start(struct resolver_query *q)
{
    struct resolver *r = q->r;
    q->state = ACTIVE;
    r->active_n++;
    list_push_back(&r->active, &q->link);
    for (size_t i = 0; i < q->lookup_n; i++) {
        struct lookup *l = &q->lookups[i];
        int code = ub_resolve_async(r->ub, q->question ? q->question : q->name, l->type, CLASS_IN, l, on_answer, &l->id);
        l->running = code == 0;
        if (l->running) q->running++;
        else note_failure(l, "the resolver failed: ", ub_strerror(code));
    }
    if (!q->running) finish(q);
}

static void start_waiting(struct resolver *r)
{
    while (r->active_n < ACTIVE_MAX && !list_empty(&r->waiting))
        start(list_entry(list_pop_front(&r->waiting), struct resolver_query, link));
}

static bool is_address(const struct lookup *l) { return l->type == TYPE_A || l->type == TYPE_AAAA; }

/* One answer out of one or two look-ups: records beat everything, a failure beats a denial (the other family might have had
 * records). ips has room for RESOLVER_IPS_MAX. */
static struct resolver_answer combine(const struct resolver_query *q, struct ip *ips)
{
    struct resolver_answer a = { .status = q->lookups[0].status, .secure = true, .ttl = TTL_MAX, .ips = ips, .mx = q->mx,
                                 .texts = q->texts, .tlsa = q->tlsa, .names = q->names, .n = q->n, .reason = q->reason };
    const struct lookup *v6 = &q->lookups[0], *v4 = &q->lookups[q->lookup_n - 1];
    for (const struct lookup *l = v6; l <= v4; l++) {
        if (l->status == RESOLVER_OK) a.status = RESOLVER_OK;
        else if (a.status == RESOLVER_OK) continue;
        else if (l->status > a.status) a.status = l->status;
    }
    for (const struct lookup *l = v6; l <= v4; l++) {
        if (l->status != a.status) continue;
        a.secure = a.secure && l->secure;
        a.bogus = a.bogus || l->bogus;
        if (l->ttl < a.ttl) a.ttl = l->ttl;
    }
    if (q->ips) a.ips = q->ips;
    for (size_t i = 0; !q->any && i < RESOLVER_IPS_MAX && a.n < RESOLVER_IPS_MAX && is_address(v6); i++) {
        if (i < v6->n) ips[a.n++] = v6->ips[i];
        if (v4 != v6 && i < v4->n && a.n < RESOLVER_IPS_MAX) ips[a.n++] = v4->ips[i];
    }
    snprintf(a.name, sizeof a.name, "%s", q->owner);
    return a;
}

static void on_deliver(evutil_socket_t fd, short what, void *arg)
{
    struct resolver *r = arg;
    struct list batch; /* those ended until now; what callbacks start and end comes with the next turn */
    struct ip ips[RESOLVER_IPS_MAX];
    list_init(&batch);
    while (!list_empty(&r->done)) list_push_back(&batch, list_pop_front(&r->done));
    start_waiting(r); /* before any callback: the last one may free the resolver */
    while (!list_empty(&batch)) {
        struct resolver_query *q = list_entry(list_pop_front(&batch), struct resolver_query, link);
        struct resolver_answer a = combine(q, ips);
        q->state = CALLING;
        q->cb(q->arg, &a);
        query_free(q);
    }
}

/* A query without look-ups yet. */
static struct resolver_query *query_new(struct resolver *r, struct slice name, resolver_cb *cb, void *arg)
{
    struct resolver_query *q = mem_new(struct resolver_query);
    q->r = r;
    q->cb = cb;
    q->arg = arg;
    for (size_t i = 0; i < name.n && i < sizeof q->name - 1; i++) q->name[i] = ascii_lower(name.p[i]);
    return q;
}

static void add_lookup(struct resolver_query *q, uint16_t type)
{
    q->lookups[q->lookup_n++] = (struct lookup){ .q = q, .type = type, .status = RESOLVER_NXDOMAIN, .ttl = TTL_MAX };
}

static struct resolver_query *submit(struct resolver_query *q, struct slice name)
{
    struct resolver *r = q->r;
    if (!resolver_name_ok(name)) {
        if (q->any) q->question = resolver_escape_name(name);
        if (!q->question) {
            finish(q);
            return q;
        }
    }
    q->timer = evtimer_new(r->base, on_timeout, q);
    evtimer_add(q->timer, &r->timeout);
    list_push_back(&r->waiting, &q->link);
    start_waiting(r);
    return q;
}

struct resolver_query *resolver_addresses(struct resolver *r, struct slice name, bool ipv4, bool ipv6, resolver_cb *cb, void *arg)
{
    struct resolver_query *q = query_new(r, name, cb, arg);
    struct ip ip;
    assert(ipv4 || ipv6);
    if (ip_parse(name, &ip)) {
        add_lookup(q, TYPE_A);
        q->lookups[0].status = RESOLVER_OK;
        q->lookups[0].ips[0] = ip;
        q->lookups[0].n = 1;
        finish(q);
        return q;
    }
    if (ipv6) add_lookup(q, TYPE_AAAA);
    if (ipv4) add_lookup(q, TYPE_A);
    return submit(q, name);
}

static struct resolver_query *ask(struct resolver *r, struct slice name, uint16_t type, resolver_cb *cb, void *arg)
{
    struct resolver_query *q = query_new(r, name, cb, arg);
    add_lookup(q, type);
    return submit(q, name);
}

struct resolver_query *resolver_any(struct resolver *r, enum resolver_any what, struct slice name, resolver_cb *cb, void *arg)
{
    static const uint16_t types[] = {
        [RESOLVER_ANY_A] = TYPE_A, [RESOLVER_ANY_AAAA] = TYPE_AAAA, [RESOLVER_ANY_MX] = TYPE_MX, [RESOLVER_ANY_TXT] = TYPE_TXT,
    };
    struct resolver_query *q = query_new(r, name, cb, arg);
    q->any = true;
    add_lookup(q, types[what]);
    return submit(q, name);
}

struct resolver_query *resolver_mx(struct resolver *r, struct slice name, resolver_cb *cb, void *arg)
{
    return ask(r, name, TYPE_MX, cb, arg);
}

struct resolver_query *resolver_cname(struct resolver *r, struct slice name, resolver_cb *cb, void *arg)
{
    return ask(r, name, TYPE_CNAME, cb, arg);
}

struct resolver_query *resolver_txt(struct resolver *r, struct slice name, resolver_cb *cb, void *arg)
{
    return ask(r, name, TYPE_TXT, cb, arg);
}

struct resolver_query *resolver_ptr(struct resolver *r, const struct ip *ip, resolver_cb *cb, void *arg)
{
    struct buf b = { 0 };
    resolver_add_reversed(&b, ip);
    buf_add_str(&b, ip->family == 4 ? ".in-addr.arpa" : ".ip6.arpa");
    struct resolver_query *q = ask(r, buf_slice(&b), TYPE_PTR, cb, arg);
    buf_deinit(&b);
    return q;
}

struct resolver_query *resolver_tlsa(struct resolver *r, struct slice name, uint16_t port, resolver_cb *cb, void *arg)
{
    struct buf b = { 0 };
    buf_addf(&b, "_%u._tcp.%.*s", port, SLICE_ARG(name)); /* RFC 6698 §3 */
    struct resolver_query *q = ask(r, buf_slice(&b), TYPE_TLSA, cb, arg);
    buf_deinit(&b);
    return q;
}

void resolver_cancel(struct resolver_query **qp)
{
    struct resolver_query *q = *qp;
    *qp = NULL;
    if (!q || q->state == CALLING) return; /* freed when its callback returns */
    for (size_t i = 0; i < q->lookup_n; i++)
        if (q->lookups[i].running) ub_cancel(q->r->ub, q->lookups[i].id);
    if (q->state == ACTIVE) {
        q->r->active_n--;
        if (!list_empty(&q->r->waiting)) event_active(q->r->deliver, EV_TIMEOUT, 0);
    }
    list_remove(&q->link);
    query_free(q);
}
