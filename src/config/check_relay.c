/* SPDX-License-Identifier: Apache-2.0
 * Nothing may relay for strangers: trust only for networks that can be somebody's own, fixed zones only where strangers
 * cannot connect, relay domains that are not half the world; and networks that belong to two zones. */
#include <stdlib.h>
#include "base/mem.h"
#include "config/parse.h"

/* Trust relay needs at least these prefix lengths; every entry that overlaps a network counts. Private ranges
 * (RFC 1918, 6598, 3927, 4193, 4291) may be trusted whole. The transition ranges hold all of IPv4 in a few bits
 * (RFC 6052, 3056, 4380). */
static const struct {
    const char *network;
    unsigned least;
    const char *why;
} rules[] = {
    { "10.0.0.0/8", 8, NULL },     { "172.16.0.0/12", 12, NULL }, { "192.168.0.0/16", 16, NULL },
    { "100.64.0.0/10", 10, NULL }, { "127.0.0.0/8", 8, NULL },    { "169.254.0.0/16", 16, NULL },
    { "::1/128", 128, NULL },      { "fc00::/7", 7, NULL },       { "fe80::/10", 10, NULL },
    { "0.0.0.0/0", 8, "wider than any organisation's network" },
    { "::/0", 16, "wider than any organisation's network" },
    { "64:ff9b::/96", 104, "all of IPv4 (NAT64)" },
    { "2002::/16", 24, "all of IPv4 (6to4)" },
    { "2001::/32", 64, "anybody's (Teredo)" },
};
#define PRIVATE_RULES 9

static bool net_within(const struct ip_net *inner, const struct ip_net *outer)
{
    return inner->prefix >= outer->prefix && ip_net_has(outer, &inner->ip);
}

static bool net_is_private(const struct ip_net *net)
{
    struct ip_net rule;
    for (size_t i = 0; i < PRIVATE_RULES; i++)
        if (!ip_net_parse(slice_str(rules[i].network), &rule) && net_within(net, &rule)) return true;
    return false;
}

const char *check_net_too_wide(const struct ip_net *net)
{
    if (net_is_private(net)) return NULL;
    struct ip_net rule;
    for (size_t i = PRIVATE_RULES; i < countof(rules); i++) {
        if (ip_net_parse(slice_str(rules[i].network), &rule)) continue;
        if ((net_within(net, &rule) || net_within(&rule, net)) && net->prefix < rules[i].least) return rules[i].why;
    }
    return NULL;
}

bool check_too_many(const struct ip_net *net, uint64_t *public)
{
    if (net->ip.family != 4 || net_is_private(net)) return false;
    uint64_t before = *public;
    *public += 1ull << (32 - net->prefix);
    return before <= CHECK_PUBLIC_MAX && *public > CHECK_PUBLIC_MAX;
}

static const char trust_hint[] = "trust only networks of your own; mail from strangers for your domains needs no trust";

static void check_zone(const struct check *k, const struct config_zone *z, const struct yaml_node *node,
                       uint64_t *public)
{
    if (z->trust != CONFIG_TRUST_RELAY) return;
    if (!strcmp(z->name, "internet"))
        yaml_error(k->report, yaml_get(node, "trust"), trust_hint,
                   "the zone internet is everybody: it would relay for strangers");
    const struct yaml_node *item = yaml_items(yaml_get(node, "networks"));
    for (size_t i = 0; i < z->network_n && item; i++, item = item->next) {
        if (!z->networks[i].ip.family) continue;
        const char *why = check_net_too_wide(&z->networks[i]);
        if (why)
            yaml_error(k->report, item, trust_hint, "zone %s would relay for strangers: %s is %s", z->name,
                       report_quote(k->report, item->text), why);
        else if (check_too_many(&z->networks[i], public))
            yaml_error(k->report, item, trust_hint,
                       "the trusted public networks up to this one hold more than %llu addresses: the relay would relay for strangers",
                       CHECK_PUBLIC_MAX);
    }
}

/* A fixed zone takes in whoever can connect. */
static void check_listener(const struct check *k, const struct config_listener *l, const struct yaml_node *node)
{
    if (l->zone < 0 || k->c->zones[l->zone].trust != CONFIG_TRUST_RELAY) return;
    struct ip_net here = { l->ip, l->ip.family == 4 ? 32 : 128 };
    if (l->proxy_n || l->xclient_n) {
        yaml_error(k->report, yaml_get(node, "zone"), "leave out zone, so that the client who is named decides",
                   "it would relay for strangers: everybody whom a proxy speaks for would be in zone %s, which may relay",
                   k->c->zones[l->zone].name);
        return;
    }
    if (l->ip.family && net_is_private(&here)) return;
    struct buf b = { 0 };
    value_format_endpoint(&l->ip, l->port, &b);
    yaml_error(k->report, yaml_get(node, "zone"),
               "leave out zone, so that the client's address decides, or listen on a private address",
               "it would relay for strangers: everybody who reaches %s would be in zone %s, which may relay",
               buf_cstr(&b), k->c->zones[l->zone].name);
    buf_deinit(&b);
}

/* Who is believed about the client's address can give himself one of a trusted zone. */
static void check_believed(const struct check *k, const struct ip_net *nets, size_t n, const struct yaml_node *list)
{
    const struct yaml_node *item = yaml_items(list);
    for (size_t i = 0; i < n && item; i++, item = item->next) {
        const char *why = nets[i].ip.family ? check_net_too_wide(&nets[i]) : NULL;
        if (why)
            yaml_error(k->report, item, "name the addresses of your own proxies",
                       "it would relay for strangers: %s is %s, and may give any client's address",
                       report_quote(k->report, item->text), why);
    }
}

/* "co.uk", "com.au": registries below a country's domain, by their look. */
bool check_is_registry(struct slice name)
{
    static const char *const words[] = { "co", "com", "net", "org", "edu", "gov", "ac", "or", "ne", "gob", "gouv" };
    struct slice head, tail = name;
    if (!slice_cut(&tail, '.', &head) || tail.n != 2) return false;
    for (size_t i = 0; i < countof(words); i++)
        if (slice_eq(head, slice_str(words[i]))) return true;
    return false;
}

static void check_domain(const struct check *k, const struct config_domain *d, const struct yaml_node *node)
{
    if (!d->subdomains || !d->name[0] || d->table) return;
    const struct yaml_node *where = yaml_get(node, "name");
    if (!strchr(d->name, '.'))
        yaml_error(k->report, where, "name your own domain below it",
                   "it would relay for strangers: every domain below %s", d->name);
    else if (check_is_registry(slice_str(d->name)))
        yaml_warning(k->report, where, "name your own domain below it",
                     "%s looks like a registry: with subdomains, mail for every domain below it is relayed", d->name);
}

struct owned {
    struct ip_net net;
    size_t zone;
    const struct yaml_node *node;
};

static int by_net(const void *pa, const void *pb)
{
    const struct owned *a = pa, *b = pb;
    if (a->net.ip.family != b->net.ip.family) return a->net.ip.family - b->net.ip.family;
    int c = memcmp(a->net.ip.bytes, b->net.ip.bytes, 16);
    if (!c) c = a->net.prefix - b->net.prefix;
    if (!c) c = (a->node->from > b->node->from) - (a->node->from < b->node->from);
    return c;
}

/* The same network in two zones has no right answer. */
static void check_overlap(const struct check *k)
{
    size_t n = 0, most = 0;
    for (size_t i = 0; i < k->c->zone_n; i++) most += k->c->zones[i].network_n;
    struct owned *all = mem_zalloc((most + 1) * sizeof *all);
    const struct yaml_node *node = yaml_first(k->root, "zones");
    for (size_t i = 0; i < k->c->zone_n && node; i++, node = node->next) {
        const struct yaml_node *item = yaml_items(yaml_get(node, "networks"));
        for (size_t j = 0; j < k->c->zones[i].network_n && item; j++, item = item->next)
            if (k->c->zones[i].networks[j].ip.family) all[n++] = (struct owned){ k->c->zones[i].networks[j], i, item };
    }
    qsort(all, n, sizeof *all, by_net);
    for (size_t i = 1; i < n; i++) {
        const struct owned *a = &all[i - 1], *b = &all[i];
        if (!ip_eq(&a->net.ip, &b->net.ip) || a->net.prefix != b->net.prefix) continue;
        report_add(k->report, a->zone == b->zone, b->node->place, yaml_path(k->report, b->node),
                   "remove one of the two", "%s is in zone %s already: line %u", report_quote(k->report, b->node->text),
                   k->c->zones[a->zone].name, a->node->place.line);
    }
    free(all);
}

static bool zone_is_named(const struct config *c, size_t zone)
{
    for (size_t i = 0; i < c->listener_n; i++)
        if (c->listeners[i].zone == (int)zone) return true;
    return false;
}

void check_closed_relay(const struct check *k)
{
    const struct config *c = k->c;
    uint64_t public = 0;
    const struct yaml_node *node = yaml_first(k->root, "zones");
    for (size_t i = 0; i < c->zone_n && node; i++, node = node->next) {
        check_zone(k, &c->zones[i], node, &public);
        bool internet = !strcmp(c->zones[i].name, "internet");
        bool some = c->zones[i].network_n || c->zones[i].interface_n || c->zones[i].providers;
        if (internet && some)
            yaml_error(k->report, node, "remove its networks, interfaces and providers, or give the zone another name",
                       "the zone internet is everybody who is in no other zone");
        else if (!internet && !some && !yaml_get(node, "providers") && !zone_is_named(c, i))
            yaml_warning(k->report, node, "add networks, interfaces, or name it in a listener",
                         "no client is ever in this zone");
    }
    node = yaml_first(k->root, "listeners");
    for (size_t i = 0; i < c->listener_n && node; i++, node = node->next) {
        const struct config_listener *l = &c->listeners[i];
        check_listener(k, l, node);
        check_believed(k, l->proxies, l->proxy_n, yaml_get(node, "proxies"));
        check_believed(k, l->xclient, l->xclient_n, yaml_get(node, "xclient"));
    }
    node = yaml_first(k->root, "domains");
    for (size_t i = 0; i < c->domain_n && node; i++, node = node->next) check_domain(k, &c->domains[i], node);
    check_overlap(k);
}
