/* SPDX-License-Identifier: Apache-2.0
 * Routes: for recipients or senders, and with something to say; deliveries on this machine: where they can be, and to whom. */
#include <assert.h>
#include "base/mem.h"
#include "config/parse.h"

static void check_route(const struct check *k, const struct config_route *r, const struct yaml_node *node)
{
    const struct yaml_node *to = yaml_get(node, "to"), *from = yaml_get(node, "from"), *via = yaml_get(node, "via"), *tls = yaml_get(node, "tls"),
                           *source = yaml_get(node, "source");
    uint8_t wanted = k->c->delivery.family == CONFIG_FAMILY_ANY ? 0 : k->c->delivery.family == CONFIG_FAMILY_IPV4 ? 4 : 6;
    if (node->kind != YAML_GROUP) return;
    if (!to && !from)
        yaml_error(k->report, node, "add to: partner.example for recipients, or from: for senders", "it says neither to nor from whom");
    if (to && from)
        yaml_error(k->report, from, "make two routes of it; the recipient's wins", "a route is for recipients (to) or for senders (from), not both");
    if (!via && !source) yaml_error(k->report, node, "add via: and the next hop, or source:", "it changes nothing: neither via nor source");
    if (!via && tls) yaml_error(k->report, tls, "add via, or write it below tls_policies", "tls is that of the next hop, and there is no via");
    bool v4 = r->source4.family, v6 = r->source6.family;
    if (source && v4 + v6 == 1 && wanted && wanted != (v4 ? 4 : 6))
        yaml_error(k->report, source, NULL, "delivery.family excludes this address");
    if (from && r->via.kind)
        yaml_error(k->report, via, "write it in a route with to:, or as deliver of a domain",
                   "%s holds mailboxes of recipients; what a sender sends is for anybody", report_quote(k->report, slice_str(r->via.text)));
}

/* What a next hop that is a path cannot have. */
static void check_path(const struct check *k, const struct config_hop *hop, const struct yaml_node *node, const struct yaml_node *route)
{
    static const char *const others[] = { "port", "mx", "tls", "source", "implicit_tls", "ca", "names", "user", "password", "password_file",
                                          "methods", "token" };
    for (size_t i = 0; i < countof(others); i++) {
        const struct yaml_node *own = yaml_get(node, others[i]), *beside = i == 2 || i == 3 ? yaml_get(route, others[i]) : NULL;
        bool none = i == 2 && yaml_either(own, beside) && slice_eq(yaml_either(own, beside)->text, SLICE("none")); /* that is how it is shown */
        if ((own || beside) && !none)
            yaml_error(k->report, yaml_either(own, beside), "remove it", "%s means nothing for %s: it is on this machine", others[i],
                       report_quote(k->report, slice_str(hop->text)));
    }
}

static void check_folder(const struct check *k, const struct config_hop *hop, const struct yaml_node *node, const struct yaml_node *route)
{
    const struct yaml_node *to = yaml_get(route, "to");
    bool one = to && slice_find(to->text, '@') >= 0;
    assert(hop->path);
    size_t fixed = strcspn(hop->path, "%");
    if (!memchr(hop->path + 1, '/', fixed - 1))
        yaml_error(k->report, node, "write for example maildir:/var/mail/%d/%n",
                   "%s has no folder in front of it: whoever writes mailboxes could write anywhere", report_quote(k->report, slice_str(hop->text)));
    bool user = strstr(hop->path, "%u"), name = user || strstr(hop->path, "%n"), domain = user || strstr(hop->path, "%d");
    if (!name && !one)
        yaml_warning(k->report, node, "write for example maildir:/var/mail/%d/%n", "all mail goes into one folder: neither %%n nor %%u is in the path");
    else if (!domain && hop == &k->c->inner_host && k->c->domain_n > 1)
        yaml_warning(k->report, node, "add %d to the path, or use %u", "people of the same name in different domains share one folder");
}

static void check_local(const struct check *k, const struct config_hop *hop, const struct yaml_node *node, const struct yaml_node *route)
{
    if (!hop->kind) return;
    if (hop == &k->c->smarthost)
        yaml_error(k->report, node, "write it as deliver of a domain, or as inner_host",
                   "the smarthost takes mail for everybody; %s holds mailboxes", report_quote(k->report, slice_str(hop->text)));
    if (hop->path) check_path(k, hop, node, route);
    if (hop->kind == CONFIG_HOP_MAILDIR) check_folder(k, hop, node, route);
}

static void check_domain_name(const struct check *k, const struct config_domain *d, const struct yaml_node *node)
{
    const struct yaml_node *name = yaml_get(node, "name"), *table = yaml_get(node, "table");
    if (node->kind != YAML_GROUP) return;
    if (!name && !table)
        report_error(k->report, node->place, report_text(k->report, "%s.name", yaml_path(k->report, node)), "add for example name: example.com",
                     "is missing");
    else if (name && table) yaml_error(k->report, table, "make two entries of it", "a domain has either name or table, not both");
    check_table_name(k, d->names, LIST_OF_DOMAINS, table);
}

void check_routes(const struct check *k)
{
    const struct yaml_node *node = yaml_first(k->root, "routes");
    for (size_t i = 0; i < k->c->route_n && node; i++, node = node->next) check_route(k, &k->c->routes[i], node);
    node = yaml_first(k->root, "domains");
    for (size_t i = 0; i < k->c->domain_n && node; i++, node = node->next) check_domain_name(k, &k->c->domains[i], node);
    check_each_hop(k, check_local);
}
