/* SPDX-License-Identifier: Apache-2.0
 * TLSA records of the hosts mail goes to (RFC 7672 §2.2): asked for when a host's turn comes, kept as long as DNS allows.
 *
 * Where the host's name is an alias and the whole way to its addresses is validated, the records are looked for at the alias' end
 * first, then at the name itself (§2.2.2). Where only the alias itself is validated they are looked for at the name. */
#include <stdio.h>
#include <stdlib.h>
#include "delivery/internal.h"
#include "net/tls.h"

#define KEEP_MIN_MS 5000
#define KEEP_MAX_S 3600u

enum step { STEP_CNAME, STEP_ALIAS_END, STEP_NAME, STEP_DONE };

struct dane {
    struct destination *d;
    struct route_target of;            /* the host this is about */
    struct resolver_query *query;
    enum step step;
    enum dane_state state;
    uint64_t until;                    /* mono ms */
    struct dane_records *records;      /* of DANE_USABLE */
    char failure[260];
};

static void ask(struct dane *x);

void dane_records_put(struct dane_records **rp)
{
    struct dane_records *r = *rp;
    *rp = NULL;
    if (r && !--r->refs) free(r);
}

static void settle(struct dane *x, enum dane_state state, uint32_t ttl)
{
    uint64_t keep = (uint64_t)(ttl < KEEP_MAX_S ? ttl : KEEP_MAX_S) * 1000;
    x->step = STEP_DONE;
    x->state = state;
    x->until = clock_mono_ms() + (keep < KEEP_MIN_MS ? KEEP_MIN_MS : keep);
    destination_kick(x->d);
}

/* The usable ones; their data stand behind them. NULL: there are none. */
static struct dane_records *records_of(const struct resolver_answer *a, const char *base)
{
    size_t bytes = 0;
    for (size_t i = 0; i < a->n; i++) bytes += a->tlsa[i].n;
    struct dane_records *r = mem_zalloc(sizeof *r + a->n * sizeof *r->all + bytes);
    unsigned char *data = (unsigned char *)(r->all + a->n);
    r->refs = 1;
    snprintf(r->base, sizeof r->base, "%s", base);
    for (size_t i = 0; i < a->n; i++) {
        if (!tls_tlsa_usable(&a->tlsa[i])) continue;
        r->all[r->n] = a->tlsa[i];
        r->all[r->n++].data = memcpy(data, a->tlsa[i].data, a->tlsa[i].n);
        data += a->tlsa[i].n;
    }
    if (!r->n) dane_records_put(&r);
    return r;
}

static const char *base_of(const struct dane *x)
{
    return x->step == STEP_ALIAS_END ? x->of.cname : x->of.name;
}

static void fail(struct dane *x, const struct resolver_answer *a)
{
    snprintf(x->failure, sizeof x->failure, "its %s at %.80s could not be looked up: %.80s",
             x->step == STEP_CNAME ? "CNAME" : "TLSA records", base_of(x), a->reason);
    settle(x, DANE_FAILED, a->ttl);
}

static void on_answer(void *arg, const struct resolver_answer *a)
{
    struct dane *x = arg;
    x->query = NULL;
    if (a->status == RESOLVER_TEMPFAIL) fail(x, a); /* RFC 7672 §2.1.3: as if the host were not reachable */
    else if (x->step == STEP_CNAME) {
        x->step = STEP_NAME;
        if (a->status == RESOLVER_OK && a->secure) ask(x);
        else settle(x, DANE_NONE, a->ttl);
    } else if (a->status == RESOLVER_OK && a->secure) {
        dane_records_put(&x->records);
        x->records = records_of(a, base_of(x));
        settle(x, x->records ? DANE_USABLE : DANE_UNUSABLE, a->ttl);
    } else if (x->step == STEP_ALIAS_END) {
        x->step = STEP_NAME;
        ask(x);
    } else
        settle(x, DANE_NONE, a->ttl);
}

static void ask(struct dane *x)
{
    struct resolver *r = x->d->q->o.resolver;
    if (x->step == STEP_CNAME) x->query = resolver_cname(r, slice_str(x->of.name), on_answer, x);
    else x->query = resolver_tlsa(r, slice_str(base_of(x)), x->of.port, on_answer, x);
}

static bool can_have_records(const struct destination *d, const struct target *t)
{
    struct ip ip;
    return d->secure && t->t.name[0] && !ip_parse(slice_str(t->t.name), &ip) && (t->t.secure || t->t.cname[0]);
}

bool dane_ready(struct destination *d, struct target *t)
{
    struct dane *x = t->dane;
    if (!can_have_records(d, t)) {
        dane_free(t);
        return true;
    }
    if (x && x->query) return false;
    if (x && x->until > clock_mono_ms()) return true;
    if (!x) {
        x = t->dane = mem_new(struct dane);
        x->d = d;
        x->of = t->t;
    }
    x->step = !x->of.cname[0] ? STEP_NAME : x->of.secure ? STEP_ALIAS_END : STEP_CNAME;
    ask(x);
    return false;
}

enum dane_state dane_get(const struct target *t)
{
    return t->dane && t->dane->step == STEP_DONE ? t->dane->state : DANE_NONE;
}

struct dane_records *dane_records_get(const struct target *t)
{
    t->dane->records->refs++;
    return t->dane->records;
}

const char *dane_failure(const struct target *t)
{
    return t->dane->failure;
}

static bool same_host(const struct route_target *a, const struct route_target *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->cname, b->cname) == 0 && a->secure == b->secure && a->port == b->port;
}

void dane_move(struct target *from, struct target *to)
{
    if (!from->dane || to->dane || !same_host(&from->t, &to->t)) return;
    to->dane = from->dane;
    from->dane = NULL;
}

void dane_free(struct target *t)
{
    struct dane *x = t->dane;
    if (!x) return;
    resolver_cancel(&x->query);
    dane_records_put(&x->records);
    free(x);
    t->dane = NULL;
}
