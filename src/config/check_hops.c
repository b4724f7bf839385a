/* SPDX-License-Identifier: Apache-2.0
 * Next hops: none may be the relay itself, and none may bear its name. */
#include "config/parse.h"

/* Would a connection to the hop arrive at this listener? Names only when they are surely ours. */
static bool hop_reaches(const struct config_hop *hop, const struct config_listener *l)
{
    static const uint8_t zeros[16];
    if (hop->mx || hop->path || hop->port != l->port) return false;
    struct ip ip = hop->ip;
    if (!ip.family && !strcmp(hop->host, "localhost")) ip = (struct ip){ .family = 4, .bytes = { 127, 0, 0, 1 } };
    if (!ip.family) return false;
    bool any = !l->ip.family || !memcmp(l->ip.bytes, zeros, 16);
    if (any) return ip_is_loopback(&ip) && (l->ip.family != 4 || ip.family == 4);
    return ip_eq(&ip, &l->ip);
}

static void check_hop(const struct check *k, const struct config_hop *hop, const struct yaml_node *node,
                      const struct yaml_node *route)
{
    const struct config *c = k->c;
    const struct yaml_node *source = yaml_either(yaml_get(route, "source"), yaml_get(node, "source"));
    for (size_t i = 0; i < c->listener_n; i++) {
        const struct config_listener *l = &c->listeners[i];
        if (!hop_reaches(hop, l)) continue;
        struct buf b = { 0 };
        value_format_endpoint(&l->ip, l->port, &b);
        if (l->place.line) buf_addf(&b, " (line %u)", l->place.line);
        yaml_error(k->report, node, "name the host that takes the mail, or another port",
                   "%s is this relay itself, which listens on %s: mail would loop",
                   report_quote(k->report, slice_str(hop->text)), buf_cstr(&b));
        buf_deinit(&b);
        break;
    }
    bool helo = c->delivery.helo[0] && !strcmp(hop->host, c->delivery.helo);
    if (!hop->mx && (helo || !strcmp(hop->host, c->hostname)))
        yaml_warning(
            k->report, node, "give the relay a name of its own",
            "the next hop has the name of this relay (%s): it may take the relay's mail for a loop and refuse it",
            helo ? "delivery.helo" : "hostname");
    bool v4 = hop->source4.family, v6 = hop->source6.family;
    if (hop->ip.family && v4 + v6 == 1 && v4 != (hop->ip.family == 4))
        yaml_error(k->report, yaml_either(source, node), NULL,
                   "source and next hop are of different families (IPv4, IPv6)");
    else if (c->delivery.family && hop->ip.family &&
             hop->ip.family != (c->delivery.family == CONFIG_FAMILY_IPV4 ? 4 : 6))
        yaml_error(k->report, node, NULL, "delivery.family excludes this address");
}

void check_each_hop(const struct check *k, check_hop_fn *f)
{
    const struct config *c = k->c;
    if (c->inner_host.host) f(k, &c->inner_host, yaml_get(k->root, "inner_host"), NULL);
    if (c->smarthost.host) f(k, &c->smarthost, yaml_get(k->root, "smarthost"), NULL);
    const struct yaml_node *node = yaml_first(k->root, "domains");
    for (size_t i = 0; i < c->domain_n && node; i++, node = node->next)
        if (c->domains[i].deliver.host) f(k, &c->domains[i].deliver, yaml_get(node, "deliver"), NULL);
    node = yaml_first(k->root, "routes");
    for (size_t i = 0; i < c->route_n && node; i++, node = node->next)
        if (c->routes[i].via.host) f(k, &c->routes[i].via, yaml_get(node, "via"), node);
}

void check_hops(const struct check *k)
{
    const struct config *c = k->c;
    check_each_hop(k, check_hop);
    const struct yaml_node *node = yaml_first(k->root, "domains");
    for (size_t i = 0; i < c->domain_n && node; i++, node = node->next)
        if (!yaml_get(node, "deliver") && !c->inner_host.host && !c->smarthost.host && c->domains[i].name[0])
            yaml_warning(k->report, node, "add deliver to the domain, or set inner_host",
                         "%s has no next hop: its mail goes to its MX, which is most likely this relay",
                         c->domains[i].name);
}
