/* SPDX-License-Identifier: Apache-2.0
 * What can only be said when everything is read: the zone internet, zones of listeners, defaults that follow from other
 * options, the numbers of next hops. */
#include <stdlib.h>
#include "base/mem.h"
#include "config/parse.h"

/* The zone "internet" stands last, in the tree as in the array; it is added when it is not written. */
void parse_order_zones(struct yaml_node *root)
{
    struct yaml_node *zones = yaml_get(root, "zones"), *internet = yaml_get(zones, "internet");
    if (!internet || internet == zones->last) return;
    struct yaml_node **at = &zones->children;
    while (*at != internet) at = &(*at)->next;
    *at = internet->next;
    zones->last->next = internet;
    zones->last = internet;
    internet->next = NULL;
}

static void add_internet(struct parser *p)
{
    struct config *c = p->c;
    if (c->zone_n && !strcmp(c->zones[c->zone_n - 1].name, "internet")) return;
    struct config_zone *zones = arena_alloc(&c->arena, (c->zone_n + 1) * sizeof *zones);
    if (c->zone_n) memcpy(zones, c->zones, c->zone_n * sizeof *zones);
    parse_fill(p, schema_find(&schema_root, "zones", 5)->table, NULL, (char *)&zones[c->zone_n]);
    zones[c->zone_n].name = "internet";
    c->zones = zones;
    c->zone_n++;
}

/* The nodes of a list in the order of the structs; NULL for an entry that is not written. */
static const struct yaml_node *first_of(const struct yaml_node *root, const char *list)
{
    const struct yaml_node *node = yaml_get(root, list);
    return node && node->kind == YAML_LIST ? node->children : NULL;
}

int parse_zone(const struct config *c, struct slice name, const struct yaml_node *node, struct config_report *report)
{
    for (size_t z = 0; z < c->zone_n; z++)
        if (slice_eq(name, slice_str(c->zones[z].name))) return (int)z;
    const char **names = mem_zalloc(c->zone_n * sizeof *names);
    for (size_t z = 0; z < c->zone_n; z++) names[z] = c->zones[z].name;
    const char *near = suggest(name, names, c->zone_n);
    yaml_error(report, node, near ? report_text(report, "did you mean %s?", near) : "declare it below zones:",
               "there is no zone \"%s\"", report_quote(report, name));
    free(names);
    return -1;
}

static void resolve_zones(struct parser *p, const struct yaml_node *root)
{
    struct config *c = p->c;
    const struct yaml_node *item = first_of(root, "listeners");
    for (size_t i = 0; i < c->listener_n && item; i++, item = item->next) {
        const struct yaml_node *node = yaml_get(item, "zone");
        if (node && node->kind == YAML_SCALAR && !yaml_is_null(node)) c->listeners[i].zone = parse_zone(c, node->text, node, p->report);
    }
}

/* The listener where a transparent zone's connections arrive, by its address. */
static int find_listener(struct parser *p, const struct yaml_node *node)
{
    const struct config *c = p->c;
    struct config_listener wanted = { 0 };
    struct value_source v = { &p->c->arena, p->report, p->directory, node };
    if (!value_parse_net(&v, NULL, SCHEMA_ENDPOINT, node->text, &wanted.ip)) return -1;
    for (size_t i = 0; i < c->listener_n; i++)
        if (c->listeners[i].port == wanted.port && ip_eq(&c->listeners[i].ip, &wanted.ip)) return (int)i;
    yaml_error(p->report, node, "write it as its address stands in listeners", "there is no listener %s",
               report_quote(p->report, node->text));
    return -1;
}

static void resolve_listeners(struct parser *p, const struct yaml_node *root)
{
    const struct yaml_node *zone = yaml_first(root, "zones");
    for (size_t i = 0; i < p->c->zone_n && zone; i++, zone = zone->next) {
        const struct yaml_node *node = yaml_get(yaml_get(zone, "intercept"), "listener");
        if (node && node->kind == YAML_SCALAR && !yaml_is_null(node)) p->c->zones[i].intercept.listener = find_listener(p, node);
    }
}

/* `source` beside `via` is that of the hop; one inside it shows beside it. */
static void finish_routes(struct config *c)
{
    for (size_t i = 0; i < c->route_n; i++) {
        struct config_route *r = &c->routes[i];
        if (!r->via.host) continue;
        if (r->source4.family || r->source6.family) r->via.source4 = r->source4, r->via.source6 = r->source6;
        else r->source4 = r->via.source4, r->source6 = r->via.source6;
    }
}

static void finish_domains(struct config *c)
{
    for (size_t i = 0; i < c->domain_n; i++) {
        struct config_domain *d = &c->domains[i];
        d->table = d->names && !d->name[0];
        if (d->table) d->name = d->names;
    }
}

static void finish_hop(struct config *c, struct config_hop *hop)
{
    if (hop->path) hop->tls = CONFIG_CLIENT_TLS_NONE; /* it stays on this machine */
    else if (hop->tls == SCHEMA_UNSET && hop->host) hop->tls = c->delivery.tls;
    if (!hop->host) { /* nobody will look for its password there */
        if (hop->auth.password) mem_wipe(hop->auth.password, strlen(hop->auth.password));
        return;
    }
    hop->id = (int)c->hop_n;
    c->hops[c->hop_n++] = hop;
}

static void finish_hops(struct config *c)
{
    c->hops = arena_alloc(&c->arena, (2 + c->domain_n + c->route_n) * sizeof *c->hops);
    finish_hop(c, &c->inner_host);
    finish_hop(c, &c->smarthost);
    for (size_t i = 0; i < c->domain_n; i++) finish_hop(c, &c->domains[i].deliver);
    for (size_t i = 0; i < c->route_n; i++) finish_hop(c, &c->routes[i].via);
}

static void finish_listeners(struct config *c, const struct yaml_node *root)
{
    const struct yaml_node *node = first_of(root, "listeners");
    for (size_t i = 0; i < c->listener_n; i++, node = node ? node->next : NULL) {
        struct config_listener *l = &c->listeners[i];
        if (l->tls == SCHEMA_UNSET) l->tls = l->port == 465 ? CONFIG_TLS_IMPLICIT : CONFIG_TLS_OFFER;
        if (!yaml_get(node, "auth")) l->auth = l->role == CONFIG_ROLE_SUBMISSION;
    }
}

static void finish_policies(struct config *c, const struct yaml_node *root)
{
    const struct yaml_node *node = first_of(root, "tls_policies");
    for (size_t i = 0; i < c->tls_policy_n; i++, node = node ? node->next : NULL) {
        struct config_tls_policy *t = &c->tls_policies[i];
        if (t->tls == SCHEMA_UNSET) t->tls = c->delivery.tls;
        if (!yaml_get(node, "mta_sts")) t->mta_sts = c->delivery.mta_sts;
    }
}

static void finish_auth(struct config *c, const struct yaml_node *auth)
{
    bool by_bind = c->auth.backend == CONFIG_AUTH_IMAP || c->auth.backend == CONFIG_AUTH_LDAP;
    if (by_bind && !yaml_get(auth, "methods")) c->auth.methods &= CONFIG_SASL_PLAIN | CONFIG_SASL_LOGIN;
    if (!yaml_get(yaml_get(auth, "imap"), "implicit_tls")) c->auth.imap.implicit_tls = c->auth.imap.port == 993;
    if (!c->auth.users[0]) c->auth.users = arena_printf(&c->arena, "%s/users", c->system.directory);
}

/* Users' own mail is not judged, but viruses in it are found. */
static void finish_scanners(struct config *c, const struct yaml_node *root)
{
    const struct yaml_node *node = first_of(root, "scanners");
    for (size_t i = 0; i < c->scanner_n; i++, node = node ? node->next : NULL) {
        struct config_scanner *s = &c->scanners[i];
        if (!yaml_get(node, "trusted_mail")) s->trusted_mail = !scanner_is_for_spam(s->type);
    }
}

static void lower_all(struct config *c, const char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *lower = arena_strdup(&c->arena, slice_str(texts[i]));
        for (char *p = lower; *p; p++) *p = ascii_lower(*p);
        texts[i] = lower;
    }
}

void parse_finish(struct parser *p, const struct yaml_node *root)
{
    struct config *c = p->c;
    add_internet(p);
    resolve_zones(p, root);
    if (!c->system.store_user[0]) c->system.store_user = c->system.user;
    if (!c->system.scan_user[0]) c->system.scan_user = c->system.user;
    if (!c->system.table_user[0]) c->system.table_user = c->system.auth_user;
    if (!c->system.mail_user[0]) c->system.mail_user = c->system.user;
    if (!c->postmaster[0] && c->hostname[0]) c->postmaster = arena_printf(&c->arena, "postmaster@%s", c->hostname);
    if (!c->limits.message_size_filtered) c->limits.message_size_filtered = 2 * c->limits.message_size;
    if (!c->listener_n) {
        c->listeners = arena_alloc(&c->arena, sizeof *c->listeners);
        c->listener_n = 1;
        parse_fill(p, schema_find(&schema_root, "listeners", 9)->table,
                   &(struct yaml_node){
                       .kind = YAML_GROUP,
                       .children =
                           &(struct yaml_node){ .kind = YAML_SCALAR, .key = SLICE("address"), .text = SLICE("*:25") } },
                   (char *)c->listeners);
    }
    finish_listeners(c, root);
    resolve_listeners(p, root);
    finish_domains(c);
    finish_routes(c);
    finish_hops(c);
    finish_policies(c, root);
    finish_auth(c, yaml_get(root, "auth"));
    finish_scanners(c, root);
    lower_all(c, c->attachments.extensions, c->attachments.extension_n);
    lower_all(c, c->attachments.types, c->attachments.type_n);
}
