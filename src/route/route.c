/* SPDX-License-Identifier: Apache-2.0
 * The next hop of a recipient by the configuration. Routes are hashed once; a look-up tries the address, then its domain, then
 * each parent domain; the sender is looked at where routes for senders may decide. */
#include "route/route.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "route/table.h"
#include "smtp/address.h"

#define KEY_MAX 324 /* 64 + 255 and a little: nothing longer is an address (RFC 5321 §4.5.3.1) */

struct entry {
    struct slice key; /* lower case, local parts unquoted; points behind the struct */
    const struct config_route *route;
    struct route_sources sources;
};

/* A key under construction, of which the suffixes are keys too. */
struct key {
    char text[KEY_MAX];
    size_t n;
};

static uint64_t entry_hash(const void *item) { return hash_bytes(((const struct entry *)item)->key); }

static bool entry_match(const void *item, const void *key)
{
    return slice_eq(((const struct entry *)item)->key, *(const struct slice *)key);
}

static const struct entry *entry_find(const struct htable *t, struct slice key)
{
    return htable_find(t, hash_bytes(key), entry_match, &key);
}

/* Splits at the last '@': a domain holds none, a quoted local part may. */
static bool split(struct slice text, struct slice *local, struct slice *domain)
{
    const char *at = text.n ? memrchr(text.p, '@', text.n) : NULL;
    *local = at ? slice_sub(text, 0, (size_t)(at - text.p)) : slice_sub(text, 0, 0);
    *domain = at ? slice_sub(text, local->n + 1, text.n) : text;
    return at != NULL;
}

/* "Local"@Domain, .Domain or Domain in the form that is compared; false when it is longer than any address. */
static bool key_make(struct slice local, struct slice domain, struct key *k)
{
    if (local.n + 1 + domain.n >= sizeof k->text) return false;
    k->n = local.n ? address_local_unquote(local, k->text) : 0;
    if (local.n) k->text[k->n++] = '@';
    memcpy(k->text + k->n, domain.p, domain.n);
    k->n += domain.n;
    for (size_t i = 0; i < k->n; i++) k->text[i] = ascii_lower(k->text[i]);
    return true;
}

static void entry_add(struct htable *t, const char *address, const struct config_route *route)
{
    struct key k;
    struct slice local, domain;
    split(slice_str(address), &local, &domain);
    if (!key_make(local, domain, &k) || entry_find(t, slice_of(k.text, k.n))) return; /* of equal entries the first counts */
    struct entry *item = mem_zalloc(sizeof *item + k.n);
    memcpy(item + 1, k.text, k.n);
    item->key = slice_of(item + 1, k.n);
    item->route = route;
    route_sources_make(&route->source4, &route->source6, &item->sources);
    htable_add(t, item);
}

struct route_table *route_table_new(const struct config *c)
{
    struct route_table *t = mem_new(struct route_table);
    t->config = c;
    htable_init(&t->to, entry_hash);
    htable_init(&t->from, entry_hash);
    for (size_t i = 0; i < c->route_n; i++) {
        if (c->routes[i].to) entry_add(&t->to, c->routes[i].to, &c->routes[i]);
        else if (c->routes[i].from) entry_add(&t->from, c->routes[i].from, &c->routes[i]);
    }
    route_stems_make(t);
    route_self_read(t);
    return t;
}

static void entries_free(struct htable *t)
{
    size_t at = 0;
    for (void *item; (item = htable_next(t, &at));) free(item);
    htable_deinit(t);
}

void route_table_free(struct route_table *t)
{
    if (!t) return;
    entries_free(&t->to);
    entries_free(&t->from);
    free(t->own);
    free(t->stems);
    free(t);
}

static const struct entry *find_one(const struct htable *t, struct slice key, bool with_hop)
{
    const struct entry *e = entry_find(t, key);
    return e && with_hop && !e->route->via.host ? NULL : e;
}

/* The route with the narrowest match; with_hop: of those that name a next hop. `key` is local@domain in compared form. */
static const struct entry *find_route(const struct htable *t, const struct key *k, size_t local_n, bool with_hop)
{
    const struct entry *e = NULL;
    if (!t->n) return NULL;
    e = find_one(t, slice_of(k->text, k->n), with_hop);
    struct slice domain = slice_sub(slice_of(k->text, k->n), local_n + 1, k->n);
    if (!e) e = find_one(t, domain, with_hop);
    /* ".example.com" covers example.com too: borrow a dot for the whole domain, then use the dots that are there. */
    char dotted[KEY_MAX];
    dotted[0] = '.';
    memcpy(dotted + 1, domain.p, domain.n);
    struct slice rest = slice_of(dotted, domain.n + 1);
    while (!e && rest.n) {
        e = find_one(t, rest, with_hop);
        ptrdiff_t dot = slice_find(slice_sub(rest, 1, rest.n), '.');
        rest = dot < 0 ? slice_sub(rest, rest.n, rest.n) : slice_sub(rest, (size_t)dot + 1, rest.n);
    }
    return e;
}

/* What is written about one side: the route that says where connections come from, and the one that says where to; often the same. */
struct rules {
    const struct entry *nearest, *hop;
};

static struct rules find_rules(const struct htable *t, const struct key *k, size_t local_n)
{
    struct rules r = { .nearest = find_route(t, k, local_n, false) };
    r.hop = r.nearest && !r.nearest->route->via.host ? find_route(t, k, local_n, true) : r.nearest;
    return r;
}

/* Senders of whom nothing can be written in a route have none. */
static struct rules find_sender(const struct route_table *t, struct slice sender)
{
    struct slice local, domain;
    char ascii[256];
    struct key k;
    if (!sender.n || !t->from.n || !split(sender, &local, &domain) || !local.n || !domain.n) return (struct rules){ 0 };
    if (!address_domain_ascii(domain, ascii) || !key_make(local, slice_str(ascii), &k)) return (struct rules){ 0 };
    return find_rules(&t->from, &k, k.n - strlen(ascii) - 1);
}

static void choose(struct route_hop *out, const struct config_hop *hop, const char *why, struct config_place place)
{
    out->hop = hop;
    out->why = why;
    out->place = place;
}

bool route_is_nowhere(const struct config *c, struct slice domain)
{
    return config_is_own_host(c, domain) && !config_domain_of(c, domain);
}

static void decide(const struct route_table *t, const struct key *k, size_t local_n, struct slice sender, struct route_hop *out)
{
    const struct config *c = t->config;
    struct slice domain = slice_sub(slice_of(k->text, k->n), local_n + 1, k->n);
    struct rules rules = find_rules(&t->to, k, local_n);
    const struct config_domain *relay = rules.hop ? NULL : config_domain_of(c, domain);
    const char *why = "route to";
    bool nowhere = !rules.hop && !relay && route_is_nowhere(c, domain);
    if (!rules.nearest && !relay && !nowhere) { /* what the recipient's side decided is left as it is */
        rules = find_sender(t, sender);
        why = "route from";
    }
    *out = (struct route_hop){ .why = "mx" };
    if (rules.hop) choose(out, &rules.hop->route->via, why, rules.hop->route->place);
    else if (relay && relay->deliver.host) choose(out, &relay->deliver, "domain", relay->place);
    else if (relay && c->inner_host.host) choose(out, &c->inner_host, "inner_host", c->inner_host.place);
    else if (!relay && !nowhere && c->smarthost.host) choose(out, &c->smarthost, "smarthost", c->smarthost.place);
    else memcpy(out->domain, domain.p, domain.n);
    out->rewrite_sender = rules.hop ? rules.hop->route->rewrite_sender : relay && relay->rewrite_sender;
    if (rules.nearest != rules.hop) {
        out->source_place = rules.nearest->route->place;
        out->rewrite_sender |= rules.nearest->route->rewrite_sender;
    }
    route_set_key(t, rules.nearest ? &rules.nearest->sources : NULL, out);
}

void route_require_tls(struct route_hop *hop)
{
    size_t n = strlen(hop->key);
    hop->require_tls = true;
    snprintf(hop->key + n, sizeof hop->key - n, ",requiretls");
}

void route_to_ask(struct route_hop *hop)
{
    size_t n = strlen(hop->key);
    snprintf(hop->key + n, sizeof hop->key - n, ",verify");
}

static bool refuse(struct slice rcpt, const char *why, struct err *err)
{
    struct buf b = { 0 };
    buf_add_printable(&b, rcpt, 120);
    err_set(err, "the recipient address <%.250s> cannot be routed: %s", buf_cstr(&b), why);
    buf_deinit(&b);
    return false;
}

bool route_find(const struct route_table *t, struct slice sender, struct slice rcpt, struct route_hop *out, struct err *err)
{
    struct slice local, domain, name = rcpt;
    char ascii[256];
    struct key k;
    if (slice_ieq(name, SLICE("postmaster"))) name = slice_str(t->config->postmaster); /* RFC 5321 §4.5.1 */
    if (!name.n) return refuse(rcpt, "it is empty", err);
    if (!split(name, &local, &domain)) return refuse(rcpt, "it has no domain", err);
    if (!local.n) return refuse(rcpt, "it has no local part", err);
    if (domain.n && domain.p[0] == '[') return refuse(rcpt, "address literals are not relayed", err);
    if (!domain.n || domain.p[domain.n - 1] == '.' || !address_domain_ascii(domain, ascii))
        return refuse(rcpt, "what follows the @ is not a domain name", err);
    domain = slice_str(ascii); /* U-labels and A-labels are the same domain */
    if (!key_make(local, domain, &k)) return refuse(rcpt, "it is too long", err);
    decide(t, &k, k.n - domain.n - 1, sender, out);
    return true;
}
