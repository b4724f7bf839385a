/* SPDX-License-Identifier: Apache-2.0
 * Numbers about links: where they lead, and where they pretend to. */
#include <stdlib.h>
#include "base/mem.h"
#include "spam/facts.h"

#define SEEN_MAX 64              /* different domains that are told apart */
#define SHOWN_TO_RULES 300       /* links that patterns see */
#define ADDRESS_MAX 100          /* bytes of an address that is looked for in links */

/* The host that a text seems to be: of "www.bank.example/login", "https://bank.example"; empty: it is something else. */
static struct slice shown_host(struct slice s)
{
    s = slice_trim(s);
    bool scheme = slice_istarts(s, SLICE("http://")) || slice_istarts(s, SLICE("https://"));
    if (scheme)
        s = slice_sub(s, s.p[4] == ':' ? 7 : 8, s.n);
    size_t n = 0, dots = 0;
    while (n < s.n && ((s.p[n] >= '0' && s.p[n] <= '9') || (ascii_lower(s.p[n]) >= 'a' && ascii_lower(s.p[n]) <= 'z') || s.p[n] == '-' ||
                       s.p[n] == '.'))
        dots += s.p[n++] == '.';
    if (n < s.n && !strchr("/:?# ", s.p[n]))
        return (struct slice){ 0 };
    while (n && s.p[n - 1] == '.') {
        n--;
        dots--;
    }
    bool words = n < s.n && s.p[n] == ' '; /* "Example.com has news" is a sentence */
    if (!dots || n < 4 || (!scheme && (words || !slice_istarts(s, SLICE("www."))) && (words || dots < 1)))
        return (struct slice){ 0 };
    size_t top = n;
    while (top && s.p[top - 1] != '.')
        top--;
    return n - top >= 2 ? slice_sub(s, 0, n) : (struct slice){ 0 };
}

static bool is_address(struct slice host)
{
    size_t digits = 0, dots = 0;
    for (size_t i = 0; i < host.n; i++) {
        digits += host.p[i] >= '0' && host.p[i] <= '9';
        dots += host.p[i] == '.';
    }
    return host.n && ((dots == 3 && digits + dots == host.n) || host.p[0] == '[' || slice_find(host, ':') >= 0);
}

/* Between "://" and the path, as written. */
static struct slice authority(struct slice url)
{
    const char *at = memmem(url.p, url.n, "://", 3);
    if (!at)
        return (struct slice){ 0 };
    struct slice rest = slice_sub(url, (size_t)(at - url.p) + 3, url.n);
    size_t n = 0;
    while (n < rest.n && !strchr("/?#\\", rest.p[n]))
        n++;
    return slice_sub(rest, 0, n);
}

static bool is_number(struct slice host)
{
    bool all = host.n >= 8;
    for (size_t i = 0; i < host.n; i++)
        all = all && host.p[i] >= '0' && host.p[i] <= '9';
    return all || slice_istarts(host, SLICE("0x"));
}

static bool odd_port(struct slice host)
{
    ptrdiff_t colon = -1;
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] == ':')
            colon = (ptrdiff_t)i;
    uint64_t port;
    return colon > 0 && slice_to_u64(slice_sub(host, (size_t)colon + 1, host.n), 65535, &port) && port != 80 && port != 443 && port != 8080;
}

static void take_link(struct facts *f, const struct content_link *l)
{
    struct slice host = authority(l->url), shown = shown_host(l->shown);
    if (slice_find(host, '@') >= 0) {
        f->n[FACT_LINK_USERS]++;
        while (slice_find(host, '@') >= 0)
            host = slice_sub(host, (size_t)slice_find(host, '@') + 1, host.n);
    }
    f->n[FACT_LINK_ADDRESSES] += is_address(l->host);
    f->n[FACT_LINK_NUMBERS] += is_number(host);
    f->n[FACT_LINK_PORTS] += odd_port(host);
    f->n[FACT_LINK_PUNYCODE] += slice_starts(l->host, SLICE("xn--")) || memmem(l->host.p, l->host.n, ".xn--", 5) != NULL;
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] == '%') {
            f->n[FACT_LINK_ENCODED]++;
            break;
        }
    f->n[FACT_LINK_FROM] += f->from_domain.n && slice_ieq(l->domain, f->from_domain);
    if (shown.n && l->domain.n && !slice_iends(shown, l->domain) && !slice_iends(l->domain, shown))
        f->n[FACT_LINK_MISMATCH]++;
    for (size_t i = 0; i < f->texts[LOOK_TO].n && i < 5; i++) {
        struct slice to = f->texts[LOOK_TO].v[i];
        if (to.n >= 3 && to.n <= ADDRESS_MAX && slice_ihas(l->url, to)) {
            f->n[FACT_LINK_RECIPIENT]++;
            break;
        }
    }
}

static bool new_domain(struct slice *seen, size_t *n, struct slice domain)
{
    for (size_t i = 0; i < *n; i++)
        if (slice_ieq(seen[i], domain))
            return false;
    if (*n < SEEN_MAX)
        seen[(*n)++] = domain;
    return true;
}

void facts_take_links(struct facts *f, const struct content_message *m, struct arena *arena)
{
    struct slice seen[SEEN_MAX];
    struct slice *url = arena_alloc(arena, (m->link_n + 1) * sizeof *url), *host = arena_alloc(arena, (m->link_n + 1) * sizeof *host);
    struct slice *shown = arena_alloc(arena, (m->link_n + 1) * sizeof *shown);
    size_t urls = 0, hosts = 0, texts = 0, domains = 0;
    for (size_t i = 0; i < m->link_n; i++) {
        const struct content_link *l = &m->links[i];
        if (l->image) {
            f->n[FACT_LINK_IMAGES] += l->host.n > 0;
            continue;
        }
        if (urls < SHOWN_TO_RULES)
            url[urls++] = l->url;
        if (l->shown.n && texts < SHOWN_TO_RULES)
            shown[texts++] = l->shown;
        f->n[FACT_MAILTO] += slice_istarts(l->url, SLICE("mailto:"));
        f->n[FACT_LINK_DATA] += slice_istarts(l->url, SLICE("data:")) || slice_istarts(l->url, SLICE("javascript:"));
        f->n[FACT_LINK_FORMS] += l->form;
        if (!l->host.n)
            continue;
        if (hosts < SHOWN_TO_RULES)
            host[hosts++] = l->host;
        f->n[FACT_LINKS]++;
        if (new_domain(seen, &domains, l->domain))
            f->n[FACT_LINK_HOSTS]++;
        take_link(f, l);
    }
    f->texts[LOOK_LINK] = (struct fact_texts){ url, urls };
    f->texts[LOOK_HOST] = (struct fact_texts){ host, hosts };
    f->texts[LOOK_SHOWN] = (struct fact_texts){ shown, texts };
}
