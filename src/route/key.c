/* SPDX-License-Identifier: Apache-2.0
 * The keys of destinations, and where connections to them come from. A key is made for each recipient, so its pieces are put together
 * once: those of next hops and those of source addresses. */
#include <stdio.h>
#include "base/mem.h"
#include "route/table.h"

#define PATH_SHOWN 250

static void source_text(const struct ip *ip, char out[64])
{
    struct buf b = { 0 };
    out[0] = 0;
    if (!ip->family) return;
    ip_add(&b, ip);
    snprintf(out, 64, ",source=%s", buf_cstr(&b));
    buf_deinit(&b);
}

void route_sources_make(const struct ip *ip4, const struct ip *ip6, struct route_sources *out)
{
    out->ip4 = *ip4;
    out->ip6 = *ip6;
    source_text(ip4, out->text4);
    source_text(ip6, out->text6);
}

static void add_lower(struct buf *b, const char *text)
{
    for (; *text; text++) buf_add_char(b, ascii_lower(*text));
}

static void add_endpoint(const struct config_hop *h, struct buf *b)
{
    buf_add_str(b, h->kind == CONFIG_HOP_LMTP ? "lmtp:" : h->mx ? "mx:" : "host:");
    if (h->ip.family == 6) buf_add_char(b, '[');
    if (h->ip.family) ip_add(b, &h->ip);
    else add_lower(b, h->host);
    if (h->ip.family == 6) buf_add_char(b, ']');
    buf_addf(b, ":%u", h->port);
}

/* Paths are what they are; a long one is cut, and its number tells it apart. */
static void add_path(const struct config_hop *h, struct buf *b)
{
    struct buf path = { 0 };
    buf_add_printable(&path, slice_str(h->path), strlen(h->path));
    buf_addf(b, "%s%.*s", h->kind == CONFIG_HOP_LMTP ? "lmtp:" : "maildir:", PATH_SHOWN, buf_cstr(&path));
    if (path.n > PATH_SHOWN) buf_addf(b, ",hop=%d", h->id);
    buf_deinit(&path);
}

static void stem_make(const struct config *c, const struct config_hop *h, struct route_stem *out)
{
    struct buf b = { 0 };
    if (h->path) add_path(h, &b);
    else add_endpoint(h, &b);
    if (!h->path && h->tls != c->delivery.tls) buf_addf(&b, ",tls=%s", config_client_tls_word(h->tls));
    if (h->implicit_tls) buf_add_str(&b, ",implicit");
    if (h->auth.user || h->ca || h->name_n) buf_addf(&b, ",hop=%d", h->id); /* what is proven, by us or to us, is not shared */
    snprintf(out->text, sizeof out->text, "%s", buf_cstr(&b));
    out->via = h->mx && h->port == 25; /* not the same as a recipient's domain: what has no host there waits */
    route_sources_make(&h->source4, &h->source6, &out->sources);
    buf_deinit(&b);
}

void route_stems_make(struct route_table *t)
{
    const struct config *c = t->config;
    if (c->hop_n) t->stems = mem_grow(NULL, c->hop_n, sizeof *t->stems);
    for (size_t i = 0; i < c->hop_n; i++) stem_make(c, c->hops[i], &t->stems[i]);
}

static char *add(char *to, const char *text)
{
    while (*text) *to++ = *text++;
    return to;
}

static char *add_source(char *to, const struct ip *own, const char *own_text, const struct route_sources *hop, bool v6, struct ip *out)
{
    const struct ip *ip = own && own->family ? own : !hop ? NULL : v6 ? &hop->ip6 : &hop->ip4;
    if (!ip || !ip->family) return to;
    *out = *ip;
    return add(to, ip == own ? own_text : v6 ? hop->text6 : hop->text4);
}

/* For families of which neither route nor hop say anything delivery.source4, source6 do, or the system chooses. But mail that is to come
 * from an IPv4 address does not go over IPv6, unless an address for that is written somewhere, too, or the hop has no other. */
static void finish_sources(const struct config *c, struct route_hop *out)
{
    bool v4 = out->source4.family, v6 = out->source6.family;
    if (!v4) out->source4 = c->delivery.source4;
    if (!v6) out->source6 = c->delivery.source6;
    if (v4 == v6 || (out->source4.family && out->source6.family)) return;
    out->only = v4 ? 4 : 6;
    if (out->hop && out->hop->ip.family && out->hop->ip.family != out->only) out->only = 0;
}

void route_set_key(const struct route_table *t, const struct route_sources *own, struct route_hop *out)
{
    const struct config *c = t->config;
    const struct config_hop *h = out->hop;
    const struct route_stem *stem = NULL;
    struct route_stem made = { 0 };
    char *p = out->key;
    if (h && (size_t)h->id < c->hop_n) stem = &t->stems[h->id];
    else if (h) { /* a configuration put together by hand has no list of hops */
        stem_make(c, h, &made);
        stem = &made;
    }
    if (stem) p = add(p, stem->text);
    else p = add(add(add(p, "mx:"), out->domain), ":25");
    if (own || stem) {
        p = add_source(p, own ? &own->ip4 : NULL, own ? own->text4 : NULL, stem ? &stem->sources : NULL, false, &out->source4);
        p = add_source(p, own ? &own->ip6 : NULL, own ? own->text6 : NULL, stem ? &stem->sources : NULL, true, &out->source6);
    }
    if (stem && stem->via) p = add(p, ",via");
    *p = 0;
    finish_sources(c, out);
}
