/* SPDX-License-Identifier: Apache-2.0
 * The next hop of a recipient by the configuration. Routes are hashed once; a look-up tries the address, then its domain, then
 * each parent domain. */
#include "route/route.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "route/table.h"
#include "smtp/address.h"

#define MX_SUFFIX ":25"
#define KEY_MAX 324 /* 64 + 255 and a little: nothing longer is an address (RFC 5321 §4.5.3.1) */

struct entry {
    struct slice key; /* lower case, local parts unquoted; points behind the struct */
    const struct config_route *route;
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

static void entry_add(struct htable *t, const struct config_route *route)
{
    struct key k;
    struct slice local, domain;
    split(slice_str(route->to), &local, &domain);
    if (!key_make(local, domain, &k) || entry_find(t, slice_of(k.text, k.n))) return; /* of equal entries the first counts */
    struct entry *item = mem_zalloc(sizeof *item + k.n);
    memcpy(item + 1, k.text, k.n);
    *item = (struct entry){ slice_of(item + 1, k.n), route };
    htable_add(t, item);
}

static void format_key(const struct config *c, const struct config_hop *h, char *out, size_t room)
{
    struct buf b = { 0 };
    buf_add_str(&b, h->mx ? "mx:" : "host:");
    if (h->ip.family == 6) buf_add_char(&b, '[');
    if (h->ip.family) ip_add(&b, &h->ip);
    else buf_add_str(&b, h->host);
    if (h->ip.family == 6) buf_add_char(&b, ']');
    buf_addf(&b, ":%u", h->port);
    if (h->tls != c->delivery.tls) buf_addf(&b, ",tls=%s", config_client_tls_word(h->tls));
    if (h->implicit_tls) buf_add_str(&b, ",implicit");
    if (h->auth.user || h->ca || h->name_n) buf_addf(&b, ",hop=%d", h->id); /* what is proven, by us or to us, is not shared */
    if (h->source.family) {
        buf_add_str(&b, ",source=");
        ip_add(&b, &h->source);
    }
    if (h->mx && h->port == 25) buf_add_str(&b, ",via"); /* not the same as a recipient's domain: what has no host there waits */
    snprintf(out, room, "%s", buf_cstr(&b));
    for (char *p = out; *p; p++) *p = ascii_lower(*p);
    buf_deinit(&b);
}

struct route_table *route_table_new(const struct config *c)
{
    struct route_table *t = mem_new(struct route_table);
    t->config = c;
    htable_init(&t->routes, entry_hash);
    for (size_t i = 0; i < c->route_n; i++) entry_add(&t->routes, &c->routes[i]);
    if (c->hop_n) t->keys = mem_grow(NULL, c->hop_n, sizeof *t->keys);
    for (size_t i = 0; i < c->hop_n; i++) format_key(c, c->hops[i], t->keys[i], sizeof t->keys[i]);
    route_self_read(t);
    return t;
}

void route_table_free(struct route_table *t)
{
    if (!t) return;
    size_t at = 0;
    for (void *item; (item = htable_next(&t->routes, &at));) free(item);
    htable_deinit(&t->routes);
    free(t->own);
    free(t->keys);
    free(t);
}

/* The route with the narrowest match. `key` is local@domain in compared form. */
static const struct config_route *find_route(const struct route_table *t, struct slice key, size_t local_n)
{
    const struct entry *e = NULL;
    if (!t->routes.n) return NULL;
    e = entry_find(&t->routes, key);
    struct slice domain = slice_sub(key, local_n + 1, key.n);
    if (!e) e = entry_find(&t->routes, domain);
    /* ".example.com" covers example.com too: borrow a dot for the whole domain, then use the dots that are there. */
    char dotted[KEY_MAX];
    dotted[0] = '.';
    memcpy(dotted + 1, domain.p, domain.n);
    struct slice rest = slice_of(dotted, domain.n + 1);
    while (!e && rest.n) {
        e = entry_find(&t->routes, rest);
        ptrdiff_t dot = slice_find(slice_sub(rest, 1, rest.n), '.');
        rest = dot < 0 ? slice_sub(rest, rest.n, rest.n) : slice_sub(rest, (size_t)dot + 1, rest.n);
    }
    return e ? e->route : NULL;
}

/* Asked for each recipient, so those of next hops are made once. */
static void set_key(const struct route_table *t, struct route_hop *out)
{
    const struct config *c = t->config;
    const struct config_hop *h = out->hop;
    size_t n = strlen(out->domain);
    if (!h) {
        memcpy(out->key, "mx:", 3);
        memcpy(out->key + 3, out->domain, n);
        memcpy(out->key + 3 + n, MX_SUFFIX, sizeof MX_SUFFIX);
    } else if ((size_t)h->id < c->hop_n)
        memcpy(out->key, t->keys[h->id], sizeof out->key);
    else /* a configuration put together by hand has no list of hops */
        format_key(c, h, out->key, sizeof out->key);
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

static void choose(struct route_hop *out, const struct config_hop *hop, const char *why, struct config_place place)
{
    out->hop = hop;
    out->why = why;
    out->place = place;
}

static void decide(const struct route_table *t, const struct key *k, size_t local_n, struct route_hop *out)
{
    const struct config *c = t->config;
    struct slice domain = slice_sub(slice_of(k->text, k->n), local_n + 1, k->n);
    const struct config_route *route = find_route(t, slice_of(k->text, k->n), local_n);
    const struct config_domain *relay = route ? NULL : config_domain_of(c, domain);
    *out = (struct route_hop){ .why = "mx" };
    if (route) choose(out, &route->via, "route", route->place);
    else if (relay && relay->deliver.host) choose(out, &relay->deliver, "domain", relay->place);
    else if (relay && c->inner_host.host) choose(out, &c->inner_host, "inner_host", c->inner_host.place);
    else if (!relay && c->smarthost.host) choose(out, &c->smarthost, "smarthost", c->smarthost.place);
    else memcpy(out->domain, domain.p, domain.n);
    out->rewrite_sender = route ? route->rewrite_sender : relay && relay->rewrite_sender;
    set_key(t, out);
}

static bool refuse(struct slice rcpt, const char *why, struct err *err)
{
    struct buf b = { 0 };
    buf_add_printable(&b, rcpt, 120);
    err_set(err, "the recipient address <%.250s> cannot be routed: %s", buf_cstr(&b), why);
    buf_deinit(&b);
    return false;
}

bool route_find(const struct route_table *t, struct slice rcpt, struct route_hop *out, struct err *err)
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
    decide(t, &k, k.n - domain.n - 1, out);
    return true;
}
