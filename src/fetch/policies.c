/* SPDX-License-Identifier: Apache-2.0
 * The cache of MTA-STS policies (RFC 8461 §3, §5.1). A policy that was seen holds until it ends by itself, whatever DNS says
 * meanwhile: who takes its record away for a moment must not take the protection away. */
#include "fetch/policies.h"
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "fetch/mta_sts.h"
#include "smtp/address.h"

#define CHECK_MS (3600u * 1000)      /* a policy's record is looked at again after that */
#define RETRY_MS (300u * 1000)       /* RFC 8461 §3.3: failed fetches are not repeated sooner than every five minutes */
#define FETCH_TIMEOUT_MS 60000       /* RFC 8461 §3.3: one minute */
#define SAVE_AFTER_S 10
#define TTL_MOST 3600

struct entry {
    struct list link;                /* in policies.used, the longest unused first */
    struct policies *owner;
    char domain[256];
    char id[STS_ID_MAX + 1];         /* of the policy kept; "" : none */
    char new_id[STS_ID_MAX + 1];     /* of the one being fetched */
    json_t *lines;                   /* the policy kept; NULL: none */
    uint64_t until;                  /* wall ms: it holds so long */
    uint64_t refresh_at;             /* wall ms: half of its life: fetched again though the id is the same */
    uint64_t checked_until;          /* mono ms: the answer is good without asking anybody */
    char failure[40], reason[200];   /* of a policy announced but not to be had */
    struct resolver_query *lookup;
    struct https_request *request;
    struct list waits;
};

struct policies {
    struct event_base *base;
    struct resolver *resolver;
    struct https *https;
    char *file;
    struct htable entries;
    struct list used;
    unsigned fetching;
    struct event *save_timer;
    bool changed;
};

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

static struct entry *entry_get(struct policies *p, const char *domain)
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

static void save_soon(struct policies *p)
{
    if (!p->changed) event_add(p->save_timer, &(struct timeval){ SAVE_AFTER_S, 0 });
    p->changed = true;
}

static bool policy_holds(const struct entry *e)
{
    return e->lines && clock_wall_ms() < e->until;
}

static void forget_policy(struct entry *e)
{
    if (!e->lines) return;
    json_decref(e->lines);
    e->lines = NULL;
    e->id[0] = 0;
    save_soon(e->owner);
}

/* ---- answers */

static void answer_all(struct entry *e, uint64_t good_for_ms)
{
    struct list *node;
    uint64_t ttl = good_for_ms / 1000;
    e->checked_until = clock_mono_ms() + good_for_ms;
    bool holds = policy_holds(e);
    if (!holds) forget_policy(e);
    json_t *a = json_pack("{s:b, s:s, s:s, s:I}", "known", 1, "failure", e->failure, "reason", e->reason,
                          "ttl", (json_int_t)(ttl < 1 ? 1 : ttl > TTL_MOST ? TTL_MOST : ttl));
    if (holds) json_object_set(a, "policy", e->lines);
    while ((node = list_pop_front(&e->waits))) {
        struct policies_wait *w = list_entry(node, struct policies_wait, link);
        w->on_answer(w, a);
    }
    json_decref(a);
}

static void fail(struct entry *e, const char *failure, const char *reason)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_str(reason), sizeof e->reason / 2);
    snprintf(e->failure, sizeof e->failure, "%s", failure);
    snprintf(e->reason, sizeof e->reason, "%.190s", buf_cstr(&b));
    buf_deinit(&b);
    log_event(LOG_WARNING, "sts-policy", LOG_STR("domain", e->domain), LOG_STR("failure", failure), LOG_STR("reason", e->reason));
    answer_all(e, RETRY_MS);
}

/* ---- fetching */

static void keep_policy(struct entry *e, struct slice text, const struct sts_policy *policy)
{
    uint64_t now = clock_wall_ms(), life = (uint64_t)policy->max_age * 1000;
    struct slice line;
    json_t *lines = json_array();
    while (text.n) {
        slice_cut(&text, '\n', &line);
        line = slice_trim(line);
        if (line.n) json_array_append_new(lines, json_stringn(line.p, line.n)); /* nothing, when it is not UTF-8 */
    }
    json_decref(e->lines);
    e->lines = lines;
    snprintf(e->id, sizeof e->id, "%s", e->new_id);
    e->until = now + life;
    e->refresh_at = now + life / 2;
    e->failure[0] = e->reason[0] = 0;
    save_soon(e->owner);
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
        keep_policy(e, a->body, policy);
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
    struct https_target t = { .host = host, .path = "/.well-known/mta-sts.txt", .ips = a->ips, .ip_n = a->n < 16 ? a->n : 16,
                              .port = 443 };
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
    if (a->status == RESOLVER_TEMPFAIL) /* one that is kept holds; without one there is nothing to hold to (RFC 8461 §10.2) */
        answer_all(e, RETRY_MS / 10);
    else if (a->status != RESOLVER_OK || !sts_record_parse(a->texts, a->n, e->new_id))
        answer_all(e, good_for); /* nothing is announced (any more); what is kept holds to its end: RFC 8461 §5.1 */
    else if (policy_holds(e) && !strcmp(e->id, e->new_id) && clock_wall_ms() < e->refresh_at)
        answer_all(e, good_for);
    else
        fetch(e);
}

void policies_ask(struct policies *p, const char *domain, struct policies_wait *w)
{
    char name[300];
    if (strlen(domain) > 240 || !address_domain_ok(slice_str(domain), false)) {
        json_t *none = json_pack("{s:b, s:s, s:s, s:i}", "known", 1, "failure", "", "reason", "", "ttl", TTL_MOST);
        w->on_answer(w, none);
        json_decref(none);
        return;
    }
    struct entry *e = entry_get(p, domain);
    bool busy = e->lookup || e->request;
    list_push_back(&e->waits, &w->link);
    if (busy) return;
    if (e->checked_until > clock_mono_ms() && (!e->lines || policy_holds(e))) {
        answer_all(e, e->checked_until - clock_mono_ms());
        return;
    }
    snprintf(name, sizeof name, "_mta-sts.%s", domain);
    e->lookup = resolver_txt(p->resolver, slice_str(name), on_record, e);
}

/* ---- on disk */

static void save(struct policies *p)
{
    char part[4400];
    size_t at = 0;
    struct entry *e;
    json_t *all = json_object();
    p->changed = false;
    while ((e = htable_next(&p->entries, &at)))
        if (policy_holds(e))
            json_object_set_new(all, e->domain, json_pack("{s:s, s:I, s:I, s:O}", "id", e->id, "until", (json_int_t)e->until,
                                                          "refresh", (json_int_t)e->refresh_at, "policy", e->lines));
    snprintf(part, sizeof part, "%s.part", p->file);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && json_dumpfd(all, fd, JSON_COMPACT) == 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    if (!ok || rename(part, p->file) != 0)
        log_event(LOG_WARNING, "sts-policies-not-saved", LOG_STR("file", p->file), LOG_NUM("errno", errno));
    json_decref(all);
}

static void on_save(evutil_socket_t fd, short what, void *arg)
{
    save(arg);
}

static void load(struct policies *p)
{
    json_t *all = json_load_file(p->file, 0, NULL), *v;
    const char *domain;
    if (!all) return; /* the first start, or damaged: it is all fetched again */
    json_object_foreach(all, domain, v) {
        const char *id = json_string_value(json_object_get(v, "id"));
        json_t *lines = json_object_get(v, "policy");
        if (!id || strlen(id) > STS_ID_MAX || !json_is_array(lines) || strlen(domain) > 240) continue;
        struct entry *e = entry_get(p, domain);
        snprintf(e->id, sizeof e->id, "%s", id);
        e->until = (uint64_t)json_integer_value(json_object_get(v, "until"));
        e->refresh_at = (uint64_t)json_integer_value(json_object_get(v, "refresh"));
        json_decref(e->lines);
        e->lines = json_incref(lines);
    }
    json_decref(all);
}

struct policies *policies_new(struct event_base *base, struct resolver *r, struct https *h, const char *directory)
{
    struct policies *p = mem_new(struct policies);
    char file[4300];
    snprintf(file, sizeof file, "%s/policies.json", directory);
    p->base = base;
    p->resolver = r;
    p->https = h;
    p->file = mem_strdup(file);
    p->save_timer = evtimer_new(base, on_save, p);
    htable_init(&p->entries, entry_hash);
    list_init(&p->used);
    load(p);
    return p;
}

void policies_free(struct policies *p)
{
    if (!p) return;
    if (p->changed) save(p);
    list_each_safe(it, &p->used) entry_free(list_entry(it, struct entry, link));
    htable_deinit(&p->entries);
    event_free(p->save_timer);
    free(p->file);
    free(p);
}
