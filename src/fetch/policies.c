/* SPDX-License-Identifier: Apache-2.0
 * The cache of MTA-STS policies (RFC 8461 §3, §5.1). A policy that was seen holds until it ends by itself, whatever DNS says
 * meanwhile: who takes its record away for a moment must not take the protection away. */
#include "fetch/policies_int.h"
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "smtp/address.h"

#define CHECK_MS (3600u * 1000)      /* a policy's record is looked at again after that */
#define RETRY_MS (300u * 1000)       /* RFC 8461 §3.3: failed fetches are not repeated sooner than every five minutes */
#define FETCH_TIMEOUT_MS 60000       /* RFC 8461 §3.3: one minute */
#define REFRESH_MS (24u * 3600 * 1000) /* RFC 8461 §3.3: fetched anew once a day, long before it ends */
#define REFRESH_RETRY_MS (3600u * 1000)
#define REFRESH_TICK_S 30
#define REFRESH_AT_ONCE 10           /* in one tick */
#define REFRESH_IDLE 30              /* times without a question in between; then the policy is left to its end */
#define TTL_MOST 3600

/* ---- entries */

static uint64_t entry_hash(const void *item)
{
    return hash_bytes(slice_str(((const struct entry *)item)->domain));
}

static bool entry_is(const void *item, const void *domain)
{
    return !strcmp(((const struct entry *)item)->domain, domain);
}

static bool is_busy(const struct entry *e)
{
    return e->lookup || e->request || !list_empty(&e->waits);
}

static void entry_free(struct entry *e)
{
    htable_remove(&e->owner->entries, e);
    list_remove(&e->link);
    while (!list_empty(&e->waits)) list_pop_front(&e->waits);
    resolver_cancel(&e->lookup);
    https_cancel(&e->request);
    json_decref(e->lines);
    free(e);
}

/* Those without a policy first: a flood of made-up domains must not push out what protects. */
static void make_room(struct policies *p)
{
    struct entry *oldest = NULL;
    unsigned looked = 0;
    list_each(it, &p->used) {
        struct entry *e = list_entry(it, struct entry, link);
        if (is_busy(e)) continue;
        if (!oldest) oldest = e;
        if (!e->lines || ++looked > 1000) {
            oldest = e->lines ? oldest : e;
            break;
        }
    }
    if (oldest) entry_free(oldest);
}

struct entry *policies_entry(struct policies *p, const char *domain)
{
    struct entry *e = htable_find(&p->entries, hash_bytes(slice_str(domain)), entry_is, domain);
    if (e) {
        list_remove(&e->link);
        list_push_back(&p->used, &e->link);
        return e;
    }
    if (p->entries.n >= POLICIES_MAX) make_room(p);
    e = mem_new(struct entry);
    e->owner = p;
    snprintf(e->domain, sizeof e->domain, "%s", domain);
    list_init(&e->waits);
    htable_add(&p->entries, e);
    list_push_back(&p->used, &e->link);
    return e;
}

static void forget_policy(struct entry *e)
{
    if (!e->lines) return;
    json_decref(e->lines);
    e->lines = NULL;
    e->id[0] = 0;
    policies_save_soon(e->owner);
}

/* ---- answers */

static void answer_all(struct entry *e, uint64_t good_for_ms)
{
    struct list *node;
    uint64_t now = clock_wall_ms();
    bool holds = policy_holds(e);
    if (!holds) forget_policy(e);
    else if (good_for_ms > e->until - now) good_for_ms = e->until - now;
    uint64_t ttl = good_for_ms / 1000;
    e->checked_until = clock_mono_ms() + good_for_ms;
    json_t *a = json_pack("{s:b, s:s, s:s, s:I}", "known", 1, "failure", e->failure, "reason", e->reason,
                          "ttl", (json_int_t)(ttl < 1 ? 1 : ttl > TTL_MOST ? TTL_MOST : ttl));
    if (holds) json_object_set(a, "policy", e->lines);
    while ((node = list_pop_front(&e->waits))) {
        struct policies_wait *w = list_entry(node, struct policies_wait, link);
        w->on_answer(w, a);
    }
    json_decref(a);
}

/* It could not be refreshed. */
static void postpone(struct entry *e)
{
    uint64_t later = clock_wall_ms() + REFRESH_RETRY_MS;
    if (e->refresh_at < later) e->refresh_at = later;
}

static void fail(struct entry *e, const char *failure, const char *reason)
{
    struct buf b = { 0 };
    postpone(e);
    buf_add_printable(&b, slice_str(reason), sizeof e->reason / 2);
    snprintf(e->failure, sizeof e->failure, "%s", failure);
    snprintf(e->reason, sizeof e->reason, "%.190s", buf_cstr(&b));
    buf_deinit(&b);
    log_event(LOG_WARNING, "sts-policy", LOG_STR("domain", e->domain), LOG_STR("failure", failure), LOG_STR("reason", e->reason),
              LOG_STR("kept", policy_holds(e) ? e->id : NULL));
    answer_all(e, RETRY_MS);
}

/* ---- fetching */

/* What of a policy matters, in the order of the RFC: extensions and repetitions would be kept for nothing. */
static json_t *lines_of(const struct sts_policy *policy)
{
    static const char *const modes[] = { [STS_NONE] = "none", [STS_TESTING] = "testing", [STS_ENFORCE] = "enforce" };
    json_t *lines = json_pack("[s]", "version: STSv1");
    json_array_append_new(lines, json_sprintf("mode: %s", modes[policy->mode]));
    for (size_t i = 0; i < policy->mx_n; i++) json_array_append_new(lines, json_sprintf("mx: %s", policy->mx[i]));
    json_array_append_new(lines, json_sprintf("max_age: %u", policy->max_age));
    return lines;
}

static void keep_policy(struct entry *e, const struct sts_policy *policy)
{
    uint64_t now = clock_wall_ms(), life = (uint64_t)policy->max_age * 1000;
    json_decref(e->lines);
    e->lines = lines_of(policy);
    snprintf(e->id, sizeof e->id, "%s", e->new_id);
    e->until = now + life;
    e->refresh_at = now + (life / 2 < REFRESH_MS ? life / 2 : REFRESH_MS);
    e->failure[0] = e->reason[0] = 0;
    policies_save_soon(e->owner);
    log_event(LOG_INFO, "sts-policy", LOG_STR("domain", e->domain), LOG_STR("id", e->id), LOG_NUM("seconds", policy->max_age));
}

static bool is_plain_text(const char *type) /* RFC 8461 §3.2: "text/plain", perhaps with a charset */
{
    struct slice rest = slice_str(type), kind;
    slice_cut(&rest, ';', &kind);
    return slice_ieq(slice_trim(kind), SLICE("text/plain"));
}

static void on_fetched(void *arg, const struct https_answer *a)
{
    struct entry *e = arg;
    struct sts_policy *policy = mem_new(struct sts_policy);
    struct err err;
    char text[80];
    e->request = NULL;
    e->owner->fetching--;
    if (!a->status) fail(e, a->certificate_bad ? "sts-webpki-invalid" : "sts-policy-fetch-error", a->reason);
    else if (a->status != 200) {
        snprintf(text, sizeof text, "the policy's server answered %ld", a->status);
        fail(e, "sts-policy-fetch-error", text);
    } else if (!is_plain_text(a->type)) fail(e, "sts-policy-invalid", "the policy is not text/plain");
    else if (!sts_policy_parse(a->body, policy, &err)) fail(e, "sts-policy-invalid", err.text);
    else {
        keep_policy(e, policy);
        answer_all(e, CHECK_MS);
    }
    free(policy);
}

static void on_addresses(void *arg, const struct resolver_answer *a)
{
    struct entry *e = arg;
    char host[300];
    e->lookup = NULL;
    if (a->status != RESOLVER_OK || !a->n) {
        fail(e, "sts-policy-fetch-error", a->status == RESOLVER_TEMPFAIL ? a->reason : "the policy's host has no address");
        return;
    }
    if (e->owner->fetching >= POLICIES_FETCHES) {
        fail(e, "sts-policy-fetch-error", "too many policies are being fetched");
        e->checked_until = 0; /* at the next question it is tried again */
        return;
    }
    snprintf(host, sizeof host, "mta-sts.%s", e->domain);
    struct https_target t = { .host = host, .path = "/.well-known/mta-sts.txt", .ips = a->ips, .ip_n = a->n, .port = 443 };
    e->owner->fetching++;
    e->request = https_start(e->owner->https, &t, NULL, NULL, STS_POLICY_MAX, FETCH_TIMEOUT_MS, on_fetched, e);
}

static void fetch(struct entry *e)
{
    char host[300];
    snprintf(host, sizeof host, "mta-sts.%s", e->domain);
    e->lookup = resolver_addresses(e->owner->resolver, slice_str(host), true, true, on_addresses, e);
}

static void on_record(void *arg, const struct resolver_answer *a)
{
    struct entry *e = arg;
    uint64_t good_for = a->ttl < 300 ? RETRY_MS : a->ttl * 1000ull < CHECK_MS ? a->ttl * 1000ull : CHECK_MS;
    e->lookup = NULL;
    e->failure[0] = e->reason[0] = 0;
    bool announced = a->status == RESOLVER_OK && sts_record_parse(a->texts, a->n, e->new_id);
    if (!announced) postpone(e);
    if (a->status == RESOLVER_TEMPFAIL) /* one that is kept holds; without one there is nothing to hold to (RFC 8461 §10.2) */
        answer_all(e, RETRY_MS / 10);
    else if (!announced)
        answer_all(e, good_for); /* nothing is announced (any more); what is kept holds to its end: RFC 8461 §5.1 */
    else if (policy_holds(e) && !strcmp(e->id, e->new_id) && clock_wall_ms() < e->refresh_at)
        answer_all(e, good_for);
    else
        fetch(e);
}

static void look_up(struct entry *e)
{
    char name[300];
    snprintf(name, sizeof name, "_mta-sts.%s", e->domain);
    e->lookup = resolver_txt(e->owner->resolver, slice_str(name), on_record, e);
}

static void on_save(evutil_socket_t fd, short what, void *arg)
{
    policies_save(arg);
}

static void on_refresh(evutil_socket_t fd, short what, void *arg)
{
    struct policies *p = arg;
    uint64_t now = clock_wall_ms();
    size_t at = 0;
    unsigned started = 0;
    struct entry *e;
    while (started < REFRESH_AT_ONCE && (e = htable_next(&p->entries, &at))) {
        if (is_busy(e) || !policy_holds(e) || now < e->refresh_at || e->idle >= REFRESH_IDLE) continue;
        e->idle++;
        look_up(e);
        started++;
    }
}

void policies_ask(struct policies *p, const char *domain, struct policies_wait *w)
{
    if (strlen(domain) > 240 || !address_domain_ok(slice_str(domain), false)) {
        json_t *none = json_pack("{s:b, s:s, s:s, s:i}", "known", 1, "failure", "", "reason", "", "ttl", TTL_MOST);
        w->on_answer(w, none);
        json_decref(none);
        return;
    }
    struct entry *e = policies_entry(p, domain);
    bool busy = e->lookup || e->request;
    e->idle = 0;
    list_push_back(&e->waits, &w->link);
    if (busy) return;
    if (e->checked_until > clock_mono_ms() && (!e->lines || policy_holds(e))) {
        answer_all(e, e->checked_until - clock_mono_ms());
        return;
    }
    if (!policy_holds(e)) policies_read_changes(p);
    look_up(e);
}

/* ---- life */

struct policies *policies_new(struct event_base *base, struct resolver *r, struct https *h, const char *directory)
{
    struct policies *p = mem_new(struct policies);
    char file[4300];
    snprintf(file, sizeof file, "%s/policies.json", directory);
    p->resolver = r;
    p->https = h;
    p->file = mem_strdup(file);
    p->save_timer = evtimer_new(base, on_save, p);
    p->refresh_timer = event_new(base, -1, EV_PERSIST, on_refresh, p);
    event_add(p->refresh_timer, &(struct timeval){ REFRESH_TICK_S, 0 });
    htable_init(&p->entries, entry_hash);
    list_init(&p->used);
    policies_read_changes(p);
    return p;
}

void policies_free(struct policies *p)
{
    if (!p) return;
    if (p->changed) policies_save(p);
    list_each_safe(it, &p->used) entry_free(list_entry(it, struct entry, link));
    htable_deinit(&p->entries);
    event_free(p->save_timer);
    event_free(p->refresh_timer);
    free(p->file);
    free(p);
}
