/* SPDX-License-Identifier: Apache-2.0
 * The hosts behind a destination: looked up, kept as long as DNS allows, and tried in order. One that failed is passed over for
 * a while, so that not each new connection waits for a dead first host. */
#include <stdlib.h>
#include "delivery/internal.h"

#define REFUSED_KEEP_MS 60000  /* at least this long a domain that takes no mail is not asked for again */
#define KEEP_MIN_MS 5000       /* a TTL of nothing must not make a look-up a message */
#define STALE_MS 60000         /* known hosts serve on for so long when DNS fails, if they serve us at the moment */
#define TTL_MAX 3600u          /* seconds: people who change their DNS do not want to wait longer */

static void drop_targets(struct destination *d)
{
    for (size_t i = 0; i < d->target_n; i++) dane_free(&d->targets[i]);
    free(d->targets);
    d->targets = NULL;
    d->target_n = 0;
}

void targets_free(struct destination *d)
{
    if (d->query) route_cancel(&d->query);
    drop_targets(d);
}

static bool same(const struct route_target *a, const struct route_target *b)
{
    return a->port == b->port && ip_eq(&a->ip, &b->ip);
}

/* What was learned of a host is kept when it is named again. Several MX names may share an address: it is tried once, because
 * what is known is known of the address. */
static void take_targets(struct destination *d, const struct route_answer *a)
{
    struct target *targets = mem_zalloc(a->n * sizeof *targets);
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        size_t twin = 0;
        while (twin < n && !same(&targets[twin].t, &a->targets[i])) twin++;
        if (twin < n) continue;
        struct target *former = targets_find(d, &a->targets[i]);
        targets[n++] = (struct target){ .t = a->targets[i], .bad_until = former ? former->bad_until : 0,
                                        .unfit = former && former->unfit,
                                        .no_tls_until = former ? former->no_tls_until : 0 };
        if (former) dane_move(former, &targets[n - 1]);
    }
    drop_targets(d);
    d->secure = a->secure;
    d->targets = targets;
    d->target_n = n;
}

static const char *refusal(enum route_status status)
{
    switch (status) {
    case ROUTE_NO_SUCH_DOMAIN: return "5.1.2";
    case ROUTE_NULL_MX: return "5.1.10"; /* RFC 7505 §4.2 */
    case ROUTE_NO_ADDRESS: return "5.4.4";
    case ROUTE_LOOP: return "5.4.6";
    default: return NULL;
    }
}

static void on_answer(void *arg, const struct route_answer *a)
{
    struct destination *d = arg;
    struct buf why = { 0 };
    uint32_t ttl = a->ttl < TTL_MAX ? a->ttl : TTL_MAX;
    const char *code = refusal(a->status);
    uint64_t keep = (uint64_t)ttl * 1000;
    d->query = NULL;
    d->refused = code != NULL;
    if (keep < (code ? REFUSED_KEEP_MS : KEEP_MIN_MS)) keep = code ? REFUSED_KEEP_MS : KEEP_MIN_MS;
    d->targets_until = clock_mono_ms() + keep;
    if (a->status == ROUTE_OK && a->n) {
        take_targets(d, a);
        if (!d->blocked) d->reason[0] = 0;
    } else if (!code && d->target_n && d->client_n > d->connecting_n) {
        d->targets_until = clock_mono_ms() + STALE_MS;
    } else {
        buf_addf(&why, "%s ", code ? code : "4.4.3");
        buf_add_printable(&why, slice_str(a->reason), LABEL_MAX);
        if (code) {
            destination_set_reason(d, buf_slice(&why));
            d->blocked = d->probing = false;
        } else {
            d->targets_until = 0;
            destination_block(d, buf_slice(&why));
        }
        buf_deinit(&why);
    }
    destination_want(d);
    destination_kick(d);
}

/* A socket on this machine is where it is. */
static void take_path(struct destination *d)
{
    d->targets = mem_new(struct target);
    d->target_n = 1;
    d->targets_until = UINT64_MAX;
    snprintf(d->targets->t.name, sizeof d->targets->t.name, "%s", d->hop.hop->path);
}

bool targets_ready(struct destination *d)
{
    if (route_is_here(&d->hop) && !d->target_n) take_path(d);
    if (d->targets_until > clock_mono_ms()) return true;
    if (!d->query) d->query = route_resolve(d->q->o.resolver, d->q->routes, &d->hop, on_answer, d);
    return false;
}

bool targets_pick(struct destination *d, uint64_t now, size_t *at)
{
    for (size_t i = 0; i < d->target_n; i++)
        if (d->targets[i].bad_until <= now) {
            *at = i;
            return true;
        }
    return false;
}

void targets_add_name(const struct route_target *t, struct buf *out)
{
    buf_add_printable(out, slice_str(t->name), 150);
    if (!t->ip.family) return; /* a path */
    buf_add_char(out, '[');
    ip_add(out, &t->ip);
    buf_add_char(out, ']');
}

void targets_add_reason(const struct route_target *t, const char *code, struct buf *out)
{
    buf_addf(out, "%s ", code);
    targets_add_name(t, out);
    buf_add_str(out, ": ");
}

void targets_forgive(struct destination *d)
{
    for (size_t i = 0; i < d->target_n; i++) {
        d->targets[i].bad_until = 0;
        d->targets[i].unfit = false;
    }
}

struct target *targets_find(struct destination *d, const struct route_target *host)
{
    for (size_t i = 0; i < d->target_n; i++)
        if (same(&d->targets[i].t, host)) return &d->targets[i];
    return NULL;
}
