/* SPDX-License-Identifier: Apache-2.0
 * From a next hop to the addresses to try: MX records, the addresses of their hosts, ourselves taken out (RFC 5321 §5.1).
 * A next hop that is one host, or one address, is a list of one. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "route/table.h"

#define HOSTS_MAX 20    /* MX hosts looked up for one domain: strangers decide how many they list */
#define PARALLEL_MAX 8
#define TTL_MAX 86400
#define NO_CUT 0x10000  /* above every preference */

struct host {
    struct route_query *q;
    struct resolver_query *lookup;
    uint32_t preference;
    uint64_t draw; /* order among equal preferences */
    enum resolver_status status;
    bool secure;
    struct ip *ips;
    size_t n;
    char name[256];
    char cname[256]; /* what it is an alias of; "" : of nothing */
    char reason[160];
};

struct route_query {
    struct resolver *resolver;
    const struct route_table *table;
    const struct config_hop *hop; /* NULL: by MX of the recipient's domain */
    char name[256];               /* what is looked up */
    uint16_t port;
    bool mx, ipv4, ipv6;
    route_cb *cb;
    void *arg;
    bool calling;
    struct resolver_query *mx_lookup;
    enum resolver_status mx_status;
    struct host *hosts;
    size_t host_n, started, running;
    uint32_t cut;                 /* the best preference at which we stand ourselves */
    char self[320];               /* the host and address found to be ourselves */
    uint32_t ttl;
    struct route_target *targets;
    struct route_answer answer;
};

static void query_free(struct route_query *q)
{
    resolver_cancel(&q->mx_lookup);
    for (size_t i = 0; i < q->host_n; i++) {
        resolver_cancel(&q->hosts[i].lookup);
        free(q->hosts[i].ips);
    }
    free(q->hosts);
    free(q->targets);
    free(q);
}

static bool by_mx_records(const struct route_query *q) { return q->mx && q->mx_status == RESOLVER_OK; }

/* Ends the query with one sentence. */
__attribute__((format(printf, 3, 4)))
static void conclude(struct route_query *q, enum route_status status, const char *fmt, ...)
{
    bool absent = status == ROUTE_NO_SUCH_DOMAIN || status == ROUTE_NULL_MX || status == ROUTE_NO_ADDRESS;
    struct route_answer *a = &q->answer;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->reason, sizeof a->reason, fmt, ap);
    va_end(ap);
    /* A next hop from the configuration that is not in DNS is a slip to be mended: nobody's mail is returned for it. */
    a->status = q->hop && absent ? ROUTE_TEMPFAIL : status;
    a->ttl = q->ttl ? q->ttl : 1;
    a->targets = q->targets;
    q->calling = true;
    q->cb(q->arg, a);
    query_free(q);
}

static const char *address_words(const struct route_query *q)
{
    return q->ipv4 && q->ipv6 ? "address" : q->ipv4 ? "IPv4 address" : "IPv6 address";
}

static void keep_ttl(struct route_query *q, uint32_t ttl)
{
    if (ttl < q->ttl) q->ttl = ttl;
}

/* Finds ourselves among the hosts' addresses, and cuts off there (RFC 5321 §5.1). */
static void find_self(struct route_query *q)
{
    for (size_t i = 0; i < q->host_n; i++) {
        const struct host *h = &q->hosts[i];
        for (size_t j = 0; j < h->n && h->preference < q->cut; j++) {
            if (!(q->mx ? route_is_self : route_is_listener)(q->table, &h->ips[j], q->port)) continue;
            struct buf b = { 0 };
            ip_add(&b, &h->ips[j]);
            q->cut = h->preference;
            snprintf(q->self, sizeof q->self, "%.200s at %s port %u", h->name, buf_cstr(&b), q->port);
            buf_deinit(&b);
        }
    }
}

static void collect_targets(struct route_query *q)
{
    q->targets = mem_alloc(ROUTE_TARGETS_MAX * sizeof *q->targets);
    for (size_t i = 0; i < q->host_n; i++) {
        const struct host *h = &q->hosts[i];
        if (h->preference >= q->cut) continue;
        for (size_t j = 0; j < h->n && q->answer.n < ROUTE_TARGETS_MAX; j++) {
            struct route_target *t = &q->targets[q->answer.n];
            if (route_is_unusable(&h->ips[j])) continue;
            q->answer.n++;
            *t = (struct route_target){ .ip = h->ips[j], .port = q->port, .secure = h->secure };
            memcpy(t->name, h->name, sizeof t->name);
            memcpy(t->cname, h->cname, sizeof t->cname);
        }
    }
}

/* Nothing to try and nobody to wait for: says which of the reasons it is. */
static void conclude_absent(struct route_query *q)
{
    const struct host *first = &q->hosts[0];
    if (!q->mx)
        conclude(q, ROUTE_NO_ADDRESS, first->status == RESOLVER_NXDOMAIN ? "the next hop %s does not exist in the DNS (no %s)"
                                                                         : "the next hop %s has no usable %s in the DNS",
                 q->name, address_words(q));
    else if (by_mx_records(q))
        conclude(q, ROUTE_NO_ADDRESS, "none of the MX hosts of %.100s has a usable %s (first asked for: %.100s)", q->name,
                 address_words(q), first->name);
    else if (q->mx_status == RESOLVER_NXDOMAIN && first->status == RESOLVER_NXDOMAIN)
        conclude(q, ROUTE_NO_SUCH_DOMAIN, "the domain %s does not exist (NXDOMAIN for its MX and address records)", q->name);
    else
        conclude(q, ROUTE_NO_ADDRESS, "the domain %s has neither an MX record nor a usable %s", q->name, address_words(q));
}

static void all_answered(struct route_query *q)
{
    const struct host *failed = NULL;
    find_self(q);
    collect_targets(q);
    if (q->answer.n) {
        conclude(q, ROUTE_OK, "%s", "");
        return;
    }
    for (size_t i = 0; i < q->host_n && !failed; i++)
        if (q->hosts[i].status == RESOLVER_TEMPFAIL && q->hosts[i].preference < q->cut) failed = &q->hosts[i];
    if (failed)
        conclude(q, ROUTE_TEMPFAIL, "the address of %.100s%s%.60s could not be looked up: %.100s", failed->name,
                 by_mx_records(q) ? ", mail host of " : "", by_mx_records(q) ? q->name : "", failed->reason);
    else if (q->cut == NO_CUT)
        conclude_absent(q);
    else if (q->mx)
        conclude(q, ROUTE_LOOP, "mail for %.100s loops back to this machine: its best mail host left is %.130s, ourselves", q->name,
                 q->self);
    else
        conclude(q, ROUTE_LOOP, "the next hop %.220s is one of our own listeners: mail would loop", q->self);
}

static void start_hosts(struct route_query *q);

static void on_host(void *arg, const struct resolver_answer *a)
{
    struct host *h = arg;
    struct route_query *q = h->q;
    h->lookup = NULL;
    h->status = a->status;
    if (a->status == RESOLVER_OK) {
        h->n = a->n;
        h->ips = mem_grow(NULL, a->n, sizeof *h->ips);
        memcpy(h->ips, a->ips, a->n * sizeof *h->ips);
        h->secure = a->secure;
        if (a->name[0] && !slice_ieq(slice_str(a->name), slice_str(h->name))) memcpy(h->cname, a->name, sizeof h->cname);
        if (q->hop && q->hop->ip.family) h->ips[0] = q->hop->ip; /* its scope is not in the text that was asked for */
    }
    snprintf(h->reason, sizeof h->reason, "%s", a->reason);
    keep_ttl(q, a->ttl);
    q->running--;
    start_hosts(q);
    if (!q->running) all_answered(q);
}

static void start_hosts(struct route_query *q)
{
    for (; q->started < q->host_n && q->running < PARALLEL_MAX; q->started++, q->running++) {
        struct host *h = &q->hosts[q->started];
        h->lookup = resolver_addresses(q->resolver, slice_str(h->name), q->ipv4, q->ipv6, on_host, h);
    }
}

static void add_host(struct route_query *q, const char *name, uint32_t preference, uint64_t draw)
{
    struct host *h = &q->hosts[q->host_n++];
    *h = (struct host){ .q = q, .preference = preference, .draw = draw };
    snprintf(h->name, sizeof h->name, "%s", name);
}

static int by_preference(const void *pa, const void *pb)
{
    const struct host *a = pa, *b = pb;
    if (a->preference != b->preference) return a->preference < b->preference ? -1 : 1;
    return (a->draw > b->draw) - (a->draw < b->draw);
}

static bool is_our_name(const struct route_query *q, const char *name)
{
    return slice_ieq(slice_str(name), slice_str(q->table->config->hostname));
}

/* The hosts in the order they are tried, equal preferences shuffled, those at and behind our own name left out. */
static void take_mx(struct route_query *q, const struct resolver_answer *a)
{
    uint64_t salt = hash_u64(clock_mono_us() ^ (uint64_t)(uintptr_t)q);
    q->hosts = mem_zalloc((a->n + 1) * sizeof *q->hosts);
    for (size_t i = 0; i < a->n; i++) {
        if (!a->mx[i].name[0]) continue; /* RFC 7505 §3: "." is alone or nothing */
        add_host(q, a->mx[i].name, a->mx[i].preference, hash_u64(salt + i));
        if (!is_our_name(q, a->mx[i].name) || a->mx[i].preference >= q->cut) continue;
        q->cut = a->mx[i].preference;
        snprintf(q->self, sizeof q->self, "%s", a->mx[i].name);
    }
    qsort(q->hosts, q->host_n, sizeof *q->hosts, by_preference);
    if (q->host_n > HOSTS_MAX) q->host_n = HOSTS_MAX;
    while (q->host_n && q->hosts[q->host_n - 1].preference >= q->cut) q->host_n--;
}

/* RFC 5321 §5.1: without MX records the domain's own addresses are an MX of preference 0. A server that says NXDOMAIN is asked as
 * well: the name may be in /etc/hosts. */
static void take_implicit(struct route_query *q)
{
    q->hosts = mem_zalloc(sizeof *q->hosts);
    if (is_our_name(q, q->name)) {
        q->cut = 0;
        snprintf(q->self, sizeof q->self, "%s", q->name);
    } else
        add_host(q, q->name, 0, 0);
}

/* Our own names, which nobody delivers. Mail for them waits: it is for the postmaster, mostly, and lost otherwise. */
static bool is_nowhere(const struct route_query *q)
{
    return !q->hop && route_is_nowhere(q->table->config, slice_str(q->name));
}

static void on_mx(void *arg, const struct resolver_answer *a)
{
    struct route_query *q = arg;
    q->mx_lookup = NULL;
    if (is_nowhere(q)) {
        q->ttl = 60;
        conclude(q, ROUTE_TEMPFAIL, "nobody delivers mail for %.120s here: set postmaster to a mailbox that somebody reads", q->name);
        return;
    }
    q->mx_status = a->status;
    q->answer.secure = a->secure; /* that there are none, too: RFC 7672 §2.2.1 */
    keep_ttl(q, a->ttl);
    if (a->status == RESOLVER_TEMPFAIL) {
        conclude(q, ROUTE_TEMPFAIL, "the MX records of %.100s could not be looked up: %.150s", q->name, a->reason);
        return;
    }
    if (a->status == RESOLVER_OK && a->n == 1 && !a->mx[0].name[0]) {
        conclude(q, ROUTE_NULL_MX, "the domain %s accepts no mail (null MX, RFC 7505)", q->name);
        return;
    }
    if (a->status == RESOLVER_OK) take_mx(q, a);
    else take_implicit(q);
    if (a->status == RESOLVER_OK && !q->host_n && q->cut == NO_CUT) {
        conclude(q, ROUTE_NO_ADDRESS, "no MX record of %.100s names a host: %.150s", q->name,
                 a->reason[0] ? a->reason : "they name the root");
        return;
    }
    start_hosts(q);
    if (!q->running) all_answered(q);
}

struct route_query *route_resolve(struct resolver *r, const struct route_table *t, const struct route_hop *hop, route_cb *cb, void *arg)
{
    const struct config_hop *h = hop->hop;
    enum config_family family = t->config->delivery.family;
    struct route_query *q = mem_new(struct route_query);
    *q = (struct route_query){ .resolver = r, .table = t, .hop = h, .port = h ? h->port : 25, .mx = !h || (h->mx && !h->ip.family),
                               .ipv4 = family != CONFIG_FAMILY_IPV6, .ipv6 = family != CONFIG_FAMILY_IPV4, .cb = cb, .arg = arg,
                               .cut = NO_CUT, .ttl = TTL_MAX };
    if (hop->only) { /* from an IPv4 address only IPv4 hosts can be reached */
        q->ipv4 = hop->only == 4;
        q->ipv6 = hop->only == 6;
    }
    if (h && h->ip.family) {
        struct buf b = { 0 };
        ip_add(&b, &h->ip);
        snprintf(q->name, sizeof q->name, "%s", buf_cstr(&b));
        buf_deinit(&b);
    } else
        snprintf(q->name, sizeof q->name, "%s", h ? h->host : hop->domain);
    if (q->mx) {
        q->mx_lookup = resolver_mx(r, slice_str(q->name), on_mx, q);
    } else {
        q->answer.secure = true; /* the administrator said so */
        q->hosts = mem_zalloc(sizeof *q->hosts);
        add_host(q, q->name, 0, 0);
        start_hosts(q);
    }
    return q;
}

void route_cancel(struct route_query **qp)
{
    struct route_query *q = *qp;
    *qp = NULL;
    if (q && !q->calling) query_free(q);
}
