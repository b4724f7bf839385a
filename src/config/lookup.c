/* SPDX-License-Identifier: Apache-2.0
 * Finding a client's zone, a recipient's relay domain and a destination's TLS policy. Networks are sorted by family,
 * prefix length (long ones first) and address, one run for each length: a search per length in use. Domains and
 * policies are hashed. */
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"
#include "config/parse.h"
#include "config/tables.h"
#include "smtp/address.h"

struct run { /* entries of one family and prefix length */
    uint8_t family, prefix;
    size_t from, n;
};

struct config_lookup {
    struct htable domains, policies, routes;
    struct config_network *entries;
    size_t entry_n;
    struct run *runs;
    size_t run_n;
    struct domain_table *tables; /* of domains[].table, in their order */
    size_t table_n;
};

struct domain_table {
    const struct config_domain *domain;
    const struct table *table;
};

static uint64_t hash_of_domain(const void *item)
{
    return hash_ibytes(slice_str(((const struct config_domain *)item)->name));
}
static bool domain_is(const void *item, const void *key)
{
    return slice_ieq(slice_str(((const struct config_domain *)item)->name), *(const struct slice *)key);
}

static uint64_t hash_of_policy(const void *item)
{
    return hash_ibytes(slice_str(((const struct config_tls_policy *)item)->to));
}
static bool policy_is(const void *item, const void *key)
{
    return slice_ieq(slice_str(((const struct config_tls_policy *)item)->to), *(const struct slice *)key);
}

static uint64_t hash_of_route(const void *item) { return hash_ibytes(slice_str(((const struct config_route *)item)->to)); }
static bool route_is(const void *item, const void *key)
{
    return slice_ieq(slice_str(((const struct config_route *)item)->to), *(const struct slice *)key);
}

static int by_length(const void *pa, const void *pb)
{
    const struct config_network *a = pa, *b = pb;
    if (a->net.ip.family != b->net.ip.family) return a->net.ip.family - b->net.ip.family;
    if (a->net.prefix != b->net.prefix) return b->net.prefix - a->net.prefix;
    return memcmp(a->net.ip.bytes, b->net.ip.bytes, 16);
}

static void add_entry(struct config_lookup *l, struct ip_net net, const struct config_zone *zone, const char *interface)
{
    l->entries = mem_grow(l->entries, l->entry_n + 1, sizeof *l->entries);
    l->entries[l->entry_n++] = (struct config_network){ net, zone, interface };
}

static unsigned mask_length(const struct ip *ip)
{
    unsigned n = 0;
    while (n < (ip->family == 4 ? 32u : 128u) && (ip->bytes[n / 8] & (0x80 >> (n % 8)))) n++;
    return n;
}

/* The networks attached to an interface. One that is as wide as the internet is nobody's
 * own and is left out. */
static bool add_interface(struct config_lookup *l, const struct ifaddrs *all, const char *name,
                          const struct config_zone *zone)
{
    bool found = false;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct ip_net net = { 0 };
        struct ip netmask;
        if (strcmp(i->ifa_name, name) != 0) continue;
        found = true;
        if (!i->ifa_addr || !i->ifa_netmask || !ip_from_sockaddr(i->ifa_addr, &net.ip, NULL) ||
            !ip_from_sockaddr(i->ifa_netmask, &netmask, NULL) || netmask.family != net.ip.family)
            continue;
        net.prefix = (uint8_t)mask_length(&netmask);
        net.ip.scope = 0;
        ip_mask(&net.ip, net.prefix);
        if (net.prefix >= (net.ip.family == 4 ? 8 : 16)) add_entry(l, net, zone, name);
    }
    return found;
}

static void add_interfaces(struct config_lookup *l, const struct config *c, const struct yaml_node *root,
                           struct config_report *r)
{
    struct ifaddrs *all = NULL;
    const struct yaml_node *node = yaml_first(root, "zones");
    for (size_t i = 0; i < c->zone_n; i++, node = node ? node->next : NULL)
        for (size_t k = 0; k < c->zones[i].interface_n; k++) {
            if (!c->zones[i].interfaces[k][0] || (!all && getifaddrs(&all) < 0)) continue;
            if (add_interface(l, all, c->zones[i].interfaces[k], &c->zones[i])) continue;
            const struct yaml_node *list = yaml_get(node, "interfaces"), *item = yaml_at(list, k);
            yaml_warning(r, item ? item : list, NULL, "this machine has no interface %s now",
                         c->zones[i].interfaces[k]);
        }
    if (all) freeifaddrs(all);
}

static void make_runs(struct config_lookup *l)
{
    qsort(l->entries, l->entry_n, sizeof *l->entries, by_length);
    for (size_t i = 0; i < l->entry_n; i++) {
        const struct ip_net *net = &l->entries[i].net;
        struct run *last = l->run_n ? &l->runs[l->run_n - 1] : NULL;
        if (!last || last->family != net->ip.family || last->prefix != net->prefix) {
            l->runs = mem_grow(l->runs, l->run_n + 1, sizeof *l->runs);
            last = &l->runs[l->run_n++];
            *last = (struct run){ net->ip.family, net->prefix, i, 0 };
        }
        last->n++;
    }
}

void lookup_build(struct config *c, const struct yaml_node *root, struct config_report *report)
{
    struct config_lookup *l = mem_new(struct config_lookup);
    c->lookup = l;
    htable_init(&l->domains, hash_of_domain);
    for (size_t i = 0; i < c->domain_n; i++) {
        struct slice name = slice_str(c->domains[i].name);
        if (name.n && !c->domains[i].table && !htable_find(&l->domains, hash_ibytes(name), domain_is, &name))
            htable_add(&l->domains, &c->domains[i]);
    }
    htable_init(&l->policies, hash_of_policy);
    for (size_t i = 0; i < c->tls_policy_n; i++) {
        struct slice to = slice_str(c->tls_policies[i].to);
        if (to.n && !htable_find(&l->policies, hash_ibytes(to), policy_is, &to))
            htable_add(&l->policies, &c->tls_policies[i]);
    }
    htable_init(&l->routes, hash_of_route);
    for (size_t i = 0; i < c->route_n; i++) {
        struct slice to = slice_str(c->routes[i].to);
        if (to.n && !htable_find(&l->routes, hash_ibytes(to), route_is, &to)) htable_add(&l->routes, &c->routes[i]);
    }
    for (size_t i = 0; i < c->zone_n; i++)
        for (size_t k = 0; k < c->zones[i].network_n; k++)
            if (c->zones[i].networks[k].ip.family) add_entry(l, c->zones[i].networks[k], &c->zones[i], NULL);
    add_interfaces(l, c, root, report);
    if (l->entry_n) make_runs(l);
}

void lookup_free(struct config *c)
{
    if (!c->lookup) return;
    htable_deinit(&c->lookup->domains);
    htable_deinit(&c->lookup->policies);
    htable_deinit(&c->lookup->routes);
    free(c->lookup->entries);
    free(c->lookup->runs);
    free(c->lookup->tables);
    free(c->lookup);
    c->lookup = NULL;
}

/* A configuration put together by hand has no tables and is searched from end to end. */
static const struct config_zone *zone_by_scan(const struct config *c, const struct ip *client)
{
    const struct config_zone *found = &c->zones[c->zone_n - 1];
    int best = -1;
    for (size_t i = 0; i < c->zone_n; i++)
        for (size_t k = 0; k < c->zones[i].network_n; k++) {
            const struct ip_net *net = &c->zones[i].networks[k];
            if (net->prefix > best && ip_net_has(net, client)) best = net->prefix, found = &c->zones[i];
        }
    return found;
}

const struct config_zone *config_zone_of(const struct config *c, const struct config_listener *l,
                                         const struct ip *client)
{
    if (l && l->zone >= 0) return &c->zones[l->zone];
    const struct config_lookup *t = c->lookup;
    if (!t) return zone_by_scan(c, client);
    for (size_t i = 0; i < t->run_n; i++) {
        const struct run *r = &t->runs[i];
        if (r->family != client->family) continue;
        struct config_network key = { .net = { *client, r->prefix } };
        ip_mask(&key.net.ip, r->prefix);
        const struct config_network *found = bsearch(&key, t->entries + r->from, r->n, sizeof key, by_length);
        if (found) return found->zone;
    }
    return &c->zones[c->zone_n - 1];
}

const struct config_network *config_networks(const struct config *c, size_t *n)
{
    *n = c->lookup ? c->lookup->entry_n : 0;
    return c->lookup ? c->lookup->entries : NULL;
}

bool config_zone_sends(const struct config_zone *zone, struct slice sender)
{
    if (!zone->sender_n) return true;
    for (size_t i = 0; sender.n && i < zone->sender_n; i++)
        if (slice_ieq(slice_str(zone->senders[i]), sender)) return true;
    return false;
}

bool config_is_own_host(const struct config *c, struct slice domain)
{
    return slice_ieq(domain, slice_str(c->hostname)) || (c->main_domain && slice_ieq(domain, slice_str(c->main_domain)));
}

static const struct config_domain *find_domain(const struct config *c, struct slice name)
{
    if (c->lookup) return htable_find(&c->lookup->domains, hash_ibytes(name), domain_is, &name);
    for (size_t i = 0; i < c->domain_n; i++)
        if (!c->domains[i].table && domain_is(&c->domains[i], &name)) return &c->domains[i];
    return NULL;
}

void config_set_tables(const struct config *c, const struct tables *t)
{
    struct config_lookup *l = c->lookup;
    if (!l) return;
    l->table_n = 0;
    for (size_t i = 0; t && i < c->domain_n; i++) {
        const struct table *table = c->domains[i].table ? tables_of_name(t, c->domains[i].name, LIST_OF_DOMAINS) : NULL;
        if (!table) continue;
        l->tables = mem_grow(l->tables, l->table_n + 1, sizeof *l->tables);
        l->tables[l->table_n++] = (struct domain_table){ &c->domains[i], table };
    }
}

/* tree: it is some name above the one that is looked for. An entry ".example.org" has all below it, whatever `subdomains` says. */
static const struct config_domain *find_in_tables(const struct config *c, struct slice name, bool tree)
{
    char dotted[257] = ".";
    struct snapshot_entry e;
    for (size_t i = 0; c->lookup && i < c->lookup->table_n; i++) {
        const struct domain_table *t = &c->lookup->tables[i];
        const struct snapshot *s = table_snapshot(t->table);
        if (!s || !name.n) continue;
        if ((!tree || t->domain->subdomains) && snapshot_find_key(s, name, &e)) return t->domain;
        memcpy(dotted + 1, name.p, name.n);
        if (snapshot_tree_labels(s) && snapshot_find_key(s, slice_of(dotted, name.n + 1), &e)) return t->domain;
    }
    return NULL;
}

const struct config_domain *config_domain_of(const struct config *c, struct slice domain)
{
    if (domain.n > 255) return NULL;
    bool exact = true;
    struct slice label;
    do {
        const struct config_domain *d = find_domain(c, domain);
        if (!d || !(exact || d->subdomains)) d = find_in_tables(c, domain, !exact);
        if (d) return d;
        exact = false;
    } while (slice_cut(&domain, '.', &label) && domain.n);
    return NULL;
}

bool config_may_be_domain(const struct config *c, struct slice domain)
{
    for (size_t i = 0; i < c->domain_n; i++)
        if (c->domains[i].table) return true;
    return config_domain_of(c, domain);
}

const struct config_domain *config_domain_of_address(const struct config *c, struct slice address)
{
    struct address a;
    char domain[256];
    return !address_parse(address, &a) && address_domain_ascii(a.domain, domain) ? config_domain_of(c, slice_str(domain)) : NULL;
}

static const struct config_tls_policy *find_policy(const struct config *c, struct slice to)
{
    if (c->lookup) return htable_find(&c->lookup->policies, hash_ibytes(to), policy_is, &to);
    for (size_t i = 0; i < c->tls_policy_n; i++)
        if (policy_is(&c->tls_policies[i], &to)) return &c->tls_policies[i];
    return NULL;
}

static bool needs_dnssec(enum config_client_tls level)
{
    return level == CONFIG_CLIENT_TLS_DANE || level == CONFIG_CLIENT_TLS_DANE_ONLY;
}

bool config_wants_dnssec(const struct config *c)
{
    bool wanted = needs_dnssec(c->delivery.tls);
    for (size_t i = 0; i < c->hop_n; i++) wanted |= needs_dnssec(c->hops[i]->tls);
    for (size_t i = 0; i < c->tls_policy_n; i++) wanted |= needs_dnssec(c->tls_policies[i].tls);
    return wanted;
}

const struct config_tls_policy *config_tls_policy_of(const struct config *c, struct slice name)
{
    if (!c->tls_policy_n || !name.n || name.n > 255) return NULL;
    const struct config_tls_policy *found = find_policy(c, name);
    char dotted[256] = { '.' };
    memcpy(dotted + 1, name.p, name.n);
    struct slice tree = slice_of(dotted, name.n + 1);
    while (!found && tree.n > 1) {
        found = find_policy(c, tree);
        ptrdiff_t dot = slice_find(slice_sub(tree, 1, tree.n), '.');
        tree = dot < 0 ? slice_of("", 0) : slice_sub(tree, (size_t)dot + 1, tree.n);
    }
    return found;
}

static bool find_route(const struct config *c, struct slice to)
{
    if (c->lookup) return htable_find(&c->lookup->routes, hash_ibytes(to), route_is, &to);
    for (size_t i = 0; i < c->route_n; i++)
        if (c->routes[i].to && route_is(&c->routes[i], &to)) return true;
    return false;
}

bool config_has_route(const struct config *c, struct slice local, struct slice domain)
{
    char text[400];
    if (!c->route_n || !domain.n || domain.n > 255) return false;
    if (find_route(c, domain)) return true;
    int n = snprintf(text, sizeof text, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(domain));
    if (n < (int)sizeof text && find_route(c, slice_of(text, (size_t)n))) return true;
    text[0] = '.';
    memcpy(text + 1, domain.p, domain.n);
    for (struct slice tree = slice_of(text, domain.n + 1); tree.n > 1;) {
        if (find_route(c, tree)) return true;
        ptrdiff_t dot = slice_find(slice_sub(tree, 1, tree.n), '.');
        tree = dot < 0 ? SLICE("") : slice_sub(tree, (size_t)dot + 1, tree.n);
    }
    return false;
}
