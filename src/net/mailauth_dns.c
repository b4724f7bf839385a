/* SPDX-License-Identifier: Apache-2.0
 * A question of mail authentication is a query of the resolver; its answer is told in the library's words. */
#include "net/mailauth_dns.h"
#include "net/resolver.h"
#include "net/resolver_parts.h"

/* By preference; equal ones stay in their order. */
static void sort_mx(const struct resolver_answer *a, struct auth_dns_mx *out)
{
    for (size_t i = 0; i < a->n; i++) {
        size_t at = i;
        for (; at > 0 && out[at - 1].preference > a->mx[i].preference; at--) out[at] = out[at - 1];
        out[at] = (struct auth_dns_mx){ a->mx[i].preference, slice_str(a->mx[i].name) };
    }
}

static enum auth_dns_status status_of(const struct resolver_answer *a)
{
    switch (a->status) {
    case RESOLVER_OK: return a->n ? AUTH_DNS_OK : AUTH_DNS_NODATA; /* MX records, none of which names a host */
    case RESOLVER_NODATA: return AUTH_DNS_NODATA;
    case RESOLVER_NXDOMAIN: return AUTH_DNS_NXDOMAIN;
    default: return AUTH_DNS_TEMPFAIL;
    }
}

static void on_resolved(void *arg, const struct resolver_answer *a)
{
    struct lookup *l = arg;
    struct auth_dns_mx mx[RESOLVER_MX_MAX];
    struct slice names[RESOLVER_NAMES_MAX];
    struct auth_dns_answer out = { .status = status_of(a), .secure = a->secure };
    l->own = NULL;
    if (out.status == AUTH_DNS_OK) {
        out.n = a->n;
        switch (l->type) {
        case AUTH_DNS_TXT: out.texts = a->texts; break;
        case AUTH_DNS_MX:
            sort_mx(a, mx);
            out.mx = mx;
            break;
        case AUTH_DNS_PTR:
            for (size_t i = 0; i < a->n; i++) names[i] = slice_str(a->names[i].text);
            out.names = names;
            break;
        default: out.ips = a->ips;
        }
    }
    lookup_answer(l, &out);
}

static void start(void *arg, struct lookup *l)
{
    static const enum resolver_any types[] = {
        [AUTH_DNS_TXT] = RESOLVER_ANY_TXT, [AUTH_DNS_A] = RESOLVER_ANY_A, [AUTH_DNS_AAAA] = RESOLVER_ANY_AAAA,
        [AUTH_DNS_MX] = RESOLVER_ANY_MX,
    };
    struct mailauth_dns *d = arg;
    if (l->type == AUTH_DNS_PTR) l->own = resolver_ptr(d->resolver, &l->ip, on_resolved, l);
    else l->own = resolver_any(d->resolver, types[l->type], slice_str(l->name), on_resolved, l);
}

static void cancel(void *arg, struct lookup *l)
{
    struct resolver_query *q = l->own;
    l->own = NULL;
    resolver_cancel(&q);
}

static void on_answer(void *arg)
{
    struct mailauth_dns *d = arg;
    if (d->on_answer) d->on_answer(d->arg);
}

struct lookups_calls mailauth_dns_calls(struct mailauth_dns *d)
{
    return (struct lookups_calls){ .start = start, .cancel = cancel, .on_answer = on_answer, .arg = d };
}
