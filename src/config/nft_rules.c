/* SPDX-License-Identifier: Apache-2.0
 * The nftables rules of a configuration's transparent zones. They look at what the machine forwards and at nothing else: not at what is sent
 * to one of its own addresses, and not at what it sends itself. A client is judged by the zone that the relay will find for its address: the
 * nearest network decides, also when it is that of a zone which is not transparent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/crc32c.h"
#include "base/mem.h"
#include "config/nft_rules.h"
#include "config/value.h"

/* What one of the two ways needs. */
static const struct way {
    enum config_interception by;
    const char *name, *chain;
} ways[] = {
    { CONFIG_INTERCEPT_REDIRECT, "redirect", "type nat hook prerouting priority dstnat; policy accept;" },
    { CONFIG_INTERCEPT_TPROXY, "tproxy", "type filter hook prerouting priority mangle; policy accept;" },
};

static bool is_taken(const struct config_zone *z, const struct way *w)
{
    return z->mode == CONFIG_ZONE_TRANSPARENT && z->intercept.by == w->by;
}

static bool is_used(const struct config *c, const struct way *w)
{
    for (size_t i = 0; i < c->zone_n; i++)
        if (is_taken(&c->zones[i], w)) return true;
    return false;
}

/* ---- words that come from the configuration: checked there, and once more where they become rules */

static bool consists_of(const char *s, const char *allowed, size_t most)
{
    size_t n = strlen(s);
    return n && n <= most && strspn(s, allowed) == n;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static bool check_words(const struct config_zone *z, struct err *err)
{
    for (size_t i = 0; i < z->interface_n; i++)
        if (!consists_of(z->interfaces[i], LETTERS "-_.@", 15)) return err_set(err, "zones.%s.interfaces: a name that no interface can have", z->name);
    for (size_t i = 0; i < z->intercept.mac_n; i++)
        if (!consists_of(z->intercept.macs[i], "0123456789abcdefABCDEF:", 17)) return err_set(err, "zones.%s.intercept.macs: not a MAC address", z->name);
    return true;
}

/* In comments only. */
static void add_name(const struct config_zone *z, struct buf *out)
{
    for (size_t i = 0; i < 64 && z->name[i]; i++) buf_add_char(out, strchr(LETTERS "-_. ", z->name[i]) ? z->name[i] : '?');
}

/* ---- sets of networks */

static bool net_within(const struct ip_net *inner, const struct ip_net *outer)
{
    return inner->prefix >= outer->prefix && ip_net_has(outer, &inner->ip);
}

/* Some other one of the list holds it; of equal ones the first stays. A set of the kernel must not name an address twice. */
static bool is_covered(const struct ip_net *nets, size_t n, size_t which)
{
    for (size_t i = 0; i < n; i++)
        if (i != which && net_within(&nets[which], &nets[i]) && (nets[i].prefix < nets[which].prefix || i < which)) return true;
    return false;
}

/* "        ip saddr { 10.0.0.0/8, 192.0.2.1 } VERDICT" for one family; nothing when there is none of it. */
static void add_match(struct buf *out, const char *before, int family, const char *side, const struct ip_net *nets, size_t n,
                      const char *verdict)
{
    struct buf set = { 0 };
    bool all = false;
    for (size_t i = 0; i < n; i++) {
        if (nets[i].ip.family != family || is_covered(nets, n, i)) continue;
        all |= nets[i].prefix == 0;
        buf_add_str(&set, set.n ? ", " : "");
        value_format_net(&nets[i], &set);
    }
    if (all) buf_addf(out, "        %smeta nfproto ipv%d %s\n", before, family, verdict);
    else if (set.n) buf_addf(out, "        %s%s %s { %s } %s\n", before, family == 4 ? "ip" : "ip6", side, buf_cstr(&set), verdict);
    buf_deinit(&set);
}

/* ---- whose connections */

/* Of a zone that is left alone only what lies within a network that is taken: the rest meets no rule anyway. */
static bool is_of_use(const struct config_network *all, size_t n, const struct config_network *one, const struct way *w)
{
    if (is_taken(one->zone, w)) return true;
    for (size_t i = 0; i < n; i++)
        if (is_taken(all[i].zone, w) && net_within(&one->net, &all[i].net)) return true;
    return false;
}

static bool same_group(const struct config_network *a, const struct config_network *b)
{
    return a->net.ip.family == b->net.ip.family && a->net.prefix == b->net.prefix && a->zone == b->zone && a->interface == b->interface;
}

/* Networks of one length, zone and interface are one rule: it stands at the first of them. */
static void add_group(const struct config *c, const struct config_network *all, size_t n, size_t first, const struct way *w, struct buf *out)
{
    const struct config_network *one = &all[first];
    char before[40] = "";
    struct buf verdict = { 0 };
    struct ip_net *nets = NULL;
    size_t net_n = 0;
    for (size_t i = 0; i < first; i++)
        if (same_group(&all[i], one)) return;
    for (size_t i = first; i < n; i++) {
        if (!same_group(&all[i], one)) continue;
        nets = mem_grow(nets, net_n + 1, sizeof *nets);
        nets[net_n++] = all[i].net;
    }
    if (one->interface) snprintf(before, sizeof before, "iifname \"%s\" ", one->interface);
    if (is_taken(one->zone, w)) buf_addf(&verdict, "goto zone_%zu_%s", (size_t)(one->zone - c->zones), w->name);
    else {
        buf_add_str(&verdict, "accept comment \"zone ");
        add_name(one->zone, &verdict);
        buf_add_char(&verdict, '"');
    }
    add_match(out, before, one->net.ip.family, "saddr", nets, net_n, buf_cstr(&verdict));
    buf_deinit(&verdict);
    free(nets);
}

static void add_ports(const struct config *c, const struct way *w, struct buf *out)
{
    const char *between = "";
    buf_add_str(out, "        tcp dport != { ");
    for (size_t i = 0; i < c->zone_n; i++) {
        bool before = false;
        for (size_t k = 0; k < i; k++) before |= is_taken(&c->zones[k], w) && c->zones[k].intercept.port == c->zones[i].intercept.port;
        if (before || !is_taken(&c->zones[i], w)) continue;
        buf_addf(out, "%s%u", between, c->zones[i].intercept.port);
        between = ", ";
    }
    buf_add_str(out, " } accept\n");
}

static void add_entry_chain(const struct config *c, const struct way *w, struct buf *out)
{
    size_t n;
    const struct config_network *all = config_networks(c, &n);
    buf_addf(out, "\n    chain %s_connections {\n        %s\n        meta l4proto != tcp accept\n", w->name, w->chain);
    add_ports(c, w, out);
    buf_add_str(out, "        fib daddr type local accept comment \"to this machine itself\"\n");
    for (size_t i = 0; i < n; i++)
        if (is_of_use(all, n, &all[i], w)) add_group(c, all, n, i, w, out);
    buf_add_str(out, "    }\n");
}

/* ---- what becomes of them */

static void add_target(const struct config_listener *l, int family, struct buf *out)
{
    if (l->ip.family == 6) buf_add_char(out, '[');
    if (l->ip.family == family) ip_add(out, &l->ip);
    if (l->ip.family == 6) buf_add_char(out, ']');
    buf_addf(out, ":%u", l->port);
}

static void add_taking(const struct config_zone *z, const struct config_listener *l, int family, struct buf *out)
{
    bool tproxy = z->intercept.by == CONFIG_INTERCEPT_TPROXY;
    const char *verb = tproxy ? "tproxy" : l->ip.family ? "dnat" : "redirect", *name = family == 4 ? " ip" : " ip6";
    if (l->ip.family && l->ip.family != family) return;
    buf_addf(out, "        meta nfproto ipv%d tcp dport %u counter %s%s to ", family, z->intercept.port, verb,
             tproxy || l->ip.family ? name : "");
    add_target(l, family, out);
    buf_addf(out, "%s\n", tproxy ? " meta mark set meta mark or " NFT_MARK " accept" : "");
    /* Where nobody listens the rule above does not hold, and the connection would go on to the server, past every check. */
    if (tproxy) buf_addf(out, "        meta nfproto ipv%d tcp dport %u counter reject with tcp reset\n", family, z->intercept.port);
}

static void add_zone_chain(const struct config *c, size_t index, const struct way *w, struct buf *out)
{
    const struct config_zone *z = &c->zones[index];
    const struct config_listener *l = config_arrival(c, z);
    if (!is_taken(z, w) || !l) return;
    buf_addf(out, "\n    chain zone_%zu_%s { # zone ", index, w->name);
    add_name(z, out);
    buf_add_char(out, '\n');
    for (size_t i = 0; i < z->intercept.mac_n; i++) buf_addf(out, "        ether saddr %s accept\n", z->intercept.macs[i]);
    for (int family = 4; family <= 6; family += 2) {
        add_match(out, "", family, "saddr", z->intercept.sources, z->intercept.source_n, "accept");
        add_match(out, "", family, "daddr", z->intercept.destinations, z->intercept.destination_n, "accept");
    }
    for (int family = 4; family <= 6; family += 2) add_taking(z, l, family, out);
    buf_add_str(out, "    }\n");
}

static void add_way(const struct config *c, const struct way *w, struct buf *out)
{
    if (!is_used(c, w)) return;
    for (size_t i = 0; i < c->zone_n; i++) add_zone_chain(c, i, w, out);
    add_entry_chain(c, w, out);
}

/* ---- the rest */

static void note_zone(const struct config *c, const struct config_zone *z, struct nft_rules *r)
{
    const struct config_listener *l = config_arrival(c, z);
    size_t n, families[7] = { 0 };
    const struct config_network *all = config_networks(c, &n);
    for (size_t i = 0; i < n; i++)
        if (all[i].zone == z) families[all[i].net.ip.family]++;
    for (int family = 4; family <= 6; family += 2) {
        bool there = families[family] && l && (!l->ip.family || l->ip.family == family);
        if (z->intercept.by == CONFIG_INTERCEPT_TPROXY && there) *(family == 4 ? &r->route4 : &r->route6) = true;
        if (families[family] && !there)
            buf_addf(&r->notes, "zone %s: what comes by IPv%d is not taken, as the listener has an address of IPv%d\n", z->name, family, 10 - family);
    }
    for (size_t k = 0; k < z->interface_n; k++) {
        bool found = false;
        for (size_t i = 0; i < n; i++) found |= all[i].zone == z && all[i].interface == z->interfaces[k];
        if (!found) buf_addf(&r->notes, "zone %s: the interface %s is not there, or has no address: nothing is taken from it\n", z->name, z->interfaces[k]);
    }
}

bool nft_rules_make(const struct config *c, struct nft_rules *r, struct err *err)
{
    struct buf rules = { 0 };
    *r = (struct nft_rules){ 0 };
    for (size_t i = 0; i < c->zone_n; i++) {
        if (!check_words(&c->zones[i], err)) return false;
        if (c->zones[i].mode != CONFIG_ZONE_TRANSPARENT) continue;
        r->zones++;
        note_zone(c, &c->zones[i], r);
    }
    for (size_t i = 0; i < countof(ways); i++) add_way(c, &ways[i], &rules);
    snprintf(r->mark, sizeof r->mark, "postern nft %08x", crc32c(0, rules.p, rules.n));
    buf_add_str(&r->text, "add table inet " NFT_TABLE "\ndelete table inet " NFT_TABLE "\n");
    if (r->zones) {
        buf_addf(&r->text, "table inet " NFT_TABLE " {\n    comment \"%s\"\n", r->mark);
        buf_add(&r->text, buf_slice(&rules));
        buf_add_str(&r->text, "}\n");
    }
    buf_deinit(&rules);
    return true;
}

void nft_rules_deinit(struct nft_rules *r)
{
    buf_deinit(&r->text);
    buf_deinit(&r->notes);
}

/* ---- printing */

static void add_commented(struct buf *out, struct slice lines)
{
    struct slice line;
    while (lines.n) {
        slice_cut(&lines, '\n', &line);
        buf_add_str(out, "# ");
        buf_add(out, line);
        buf_add_char(out, '\n');
    }
}

static void add_route_commands(int family, struct buf *out)
{
    buf_addf(out, "#   ip -%d rule add fwmark " NFT_MASKED_MARK " lookup " NFT_ROUTES " pref " NFT_ROUTES "\n", family);
    buf_addf(out, "#   ip -%d route add local default dev lo table " NFT_ROUTES "\n", family);
}

void nft_rules_print(const struct config *c, const struct nft_rules *r, struct buf *out)
{
    buf_add_str(out, "# Rules for the transparent zones of ");
    buf_add_printable(out, slice_str(c->file), 300);
    buf_add_str(out, ", made by `postern nft`.\n");
    if (!r->zones) buf_add_str(out, "# No zone is transparent: these only take away what was there.\n");
    add_commented(out, buf_slice(&r->notes));
    if (r->route4 || r->route6) buf_add_str(out, "# To be run as well, once:\n");
    if (r->route4) add_route_commands(4, out);
    if (r->route6) add_route_commands(6, out);
    buf_add(out, buf_slice(&r->text));
}
