/* SPDX-License-Identifier: Apache-2.0
 * MTA-STS (RFC 8461) as a destination sees it: its policy, asked for when its turn comes; and what became of TLS sessions, counted for
 * reports (RFC 8460). */
#include <stdio.h>
#include <stdlib.h>
#include "delivery/internal.h"
#include "fetch/fetch.h"

struct sts {
    struct fetch_query *query;
    uint64_t until;                    /* mono ms */
    bool known;
    struct sts_policy *policy;         /* NULL: there is none, or its mode is none */
    json_t *lines;                     /* of it */
    char failure[40];                  /* why one that is announced cannot be had; "" : it can, or is not */
    char reason[200];
};

static void forget(struct sts *s)
{
    free(s->policy);
    json_decref(s->lines);
    s->policy = NULL;
    s->lines = NULL;
}

static void on_policy(void *arg, const struct fetch_policy *p)
{
    struct destination *d = arg;
    struct sts *s = d->sts;
    s->query = NULL;
    s->until = clock_mono_ms() + p->ttl * 1000ull;
    s->known = p->known;
    snprintf(s->failure, sizeof s->failure, "%s", p->failure);
    snprintf(s->reason, sizeof s->reason, "%s", p->reason);
    forget(s);
    if (p->policy && p->mode != STS_NONE) {
        s->policy = mem_new(struct sts_policy);
        *s->policy = *p->policy;
        s->lines = json_incref((json_t *)(uintptr_t)p->lines);
    }
    destination_kick(d);
}

bool sts_ready(struct destination *d)
{
    if (!d->sts) d->sts = mem_new(struct sts);
    if (d->sts->until > clock_mono_ms()) return true;
    if (!d->sts->query) d->sts->query = fetch_policy_start(d->q->o.fetch, destination_name(d), on_policy, d);
    return false;
}

enum sts_state sts_get(const struct destination *d, const char *host)
{
    const struct sts *s = d->sts;
    if (s && !s->known) return STS_STATE_UNKNOWN;
    if (!s || !s->policy) return STS_STATE_NONE;
    bool covered = sts_policy_covers(s->policy, slice_str(host));
    if (s->policy->mode == STS_TESTING) return covered ? STS_STATE_TESTING : STS_STATE_TESTING_OTHER;
    return covered ? STS_STATE_ENFORCED : STS_STATE_FORBIDDEN;
}

const char *sts_failure(const struct destination *d)
{
    return d->sts->reason;
}

void sts_free(struct destination *d)
{
    if (!d->sts) return;
    fetch_cancel(&d->sts->query);
    forget(d->sts);
    free(d->sts);
    d->sts = NULL;
}

/* ---- reports */

static json_t *patterns_of(const struct sts_policy *p)
{
    json_t *list = json_array();
    for (size_t i = 0; p && i < p->mx_n; i++) json_array_append_new(list, json_string(p->mx[i]));
    return list;
}

static json_t *lines_of(const struct dane_records *records)
{
    json_t *list = json_array();
    for (size_t i = 0; i < records->n; i++) { /* RFC 8460 §4.4: as in a zone file */
        const struct tls_tlsa *r = &records->all[i];
        struct buf b = { 0 };
        buf_addf(&b, "%u %u %u ", r->usage, r->selector, r->matching);
        for (size_t k = 0; k < r->n; k++) buf_addf(&b, "%02x", r->data[k]);
        json_array_append_new(list, json_stringn(b.p, b.n));
        buf_deinit(&b);
    }
    return list;
}

void tls_count(const struct destination *d, const struct route_target *host, const struct ip *our, const struct dane_records *records,
               const char *failure, struct slice reason)
{
    const struct sts *s = d->sts;
    const struct sts_policy *policy = s ? s->policy : NULL;
    struct buf ip = { 0 }, our_ip = { 0 }, why = { 0 };
    if (!d->q->config->delivery.tls_reports || !d->q->o.fetch || !destination_by_mx(d)) return;
    if (!failure && !records && s && s->failure[0]) { /* the session went well, its policy could not be had */
        failure = s->failure;
        reason = slice_str(s->reason);
    }
    ip_add(&ip, &host->ip);
    if (our) ip_add(&our_ip, our);
    buf_add_printable(&why, reason, 200);
    json_t *lines = records ? lines_of(records) : policy ? json_incref(s->lines) : NULL;
    json_t *patterns = !records && policy ? patterns_of(policy) : NULL;
    bool sts = policy || (s && s->failure[0]);
    struct tls_event e = { .domain = destination_name(d),
                           .policy_type = records ? "tlsa" : sts ? "sts" : "no-policy-found", .policy = lines, .mx_patterns = patterns,
                           .failure = failure, .reason = failure ? buf_cstr(&why) : NULL, .mx_host = host->name,
                           .mx_ip = buf_cstr(&ip), .our_ip = our ? buf_cstr(&our_ip) : NULL };
    fetch_count(d->q->o.fetch, &e);
    json_decref(lines);
    json_decref(patterns);
    buf_deinit(&ip);
    buf_deinit(&our_ip);
    buf_deinit(&why);
}
