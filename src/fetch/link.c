/* SPDX-License-Identifier: Apache-2.0
 * The fetch process as a worker has it. What that one answers is checked like anything from outside: it speaks with
 * strangers. */
#include <stdlib.h>
#include "base/json.h"
#include "base/link.h"
#include "fetch/fetch.h"

#define ANSWER_MS 90000 /* a minute for the policy, the rest for DNS */
#define RETRY_TTL 60

struct fetch_query {
    struct link_request request;
    bool calling;
    fetch_policy_cb *cb;
    void *arg;
};

/* ---- policies */

static void query_free(struct fetch_query *q)
{
    link_end(&q->request);
    free(q);
}

static void tell(struct fetch_query *q, const struct fetch_policy *p)
{
    q->calling = true;
    q->cb(q->arg, p);
    query_free(q);
}

static bool read_policy(const json_t *lines, struct sts_policy *out)
{
    struct buf text = { 0 };
    const json_t *line;
    struct err err;
    size_t i;
    json_array_foreach(lines, i, line) {
        buf_add_str(&text, json_is_string(line) ? json_string_value(line) : "");
        buf_add_char(&text, '\n');
    }
    bool ok = sts_policy_parse(buf_slice(&text), out, &err);
    buf_deinit(&text);
    return ok;
}

static void take_answer(struct fetch_query *q, const json_t *m)
{
    struct sts_policy *policy = mem_new(struct sts_policy);
    struct buf reason = { 0 };
    const char *failure = json_text(m, "failure").p;
    json_int_t ttl = json_integer_value(json_object_get(m, "ttl"));
    buf_add_printable(&reason, json_text(m, "reason"), 250);
    struct fetch_policy p = { .known = json_is_true(json_object_get(m, "known")), .failure = failure ? failure : "",
                              .reason = buf_cstr(&reason), .ttl = ttl > 0 && ttl < 86400 ? (uint32_t)ttl : RETRY_TTL };
    const json_t *lines = json_object_get(m, "policy");
    if (p.known && json_array_size(lines)) {
        p.known = read_policy(lines, policy);
        p.mode = policy->mode;
        p.policy = policy;
        p.lines = lines;
    }
    tell(q, &p);
    buf_deinit(&reason);
    free(policy);
}

static void on_answer(struct link_request *r, const json_t *m)
{
    struct fetch_query *q = container_of(r, struct fetch_query, request);
    if (m) take_answer(q, m);
    else tell(q, &(struct fetch_policy){ .failure = "", .reason = "MTA-STS policies cannot be looked up at the moment",
                                         .ttl = RETRY_TTL });
}

struct fetch_query *fetch_policy_start(struct link *l, const char *domain, fetch_policy_cb *cb, void *arg)
{
    struct fetch_query *q = mem_new(struct fetch_query);
    q->cb = cb;
    q->arg = arg;
    link_ask(l, &q->request, json_pack("{s:s, s:s}", "op", "policy", "domain", domain), ANSWER_MS, on_answer);
    return q;
}

void fetch_cancel(struct fetch_query **qp)
{
    struct fetch_query *q = *qp;
    *qp = NULL;
    if (q && !q->calling) query_free(q);
}

/* ---- reports */

bool fetch_read_mail(const json_t *m, struct fetch_mail *out)
{
    if (!json_object_get(m, "ticket")) return false;
    *out = (struct fetch_mail){ .ticket = (uint64_t)json_integer_value(json_object_get(m, "ticket")),
                                .to = json_text(m, "to"), .text = json_text(m, "text") };
    return true;
}

void fetch_count(struct link *l, const struct tls_event *e)
{
    link_send(l, json_pack("{s:s, s:s, s:s, s:O*, s:O*, s:s*, s:s*, s:s*, s:s*, s:s*}", "op", "count", "domain",
                              e->domain, "type", e->policy_type, "policy", (json_t *)(uintptr_t)e->policy, "mx",
                              (json_t *)(uintptr_t)e->mx_patterns, "failure", e->failure, "reason", e->reason, "host",
                              e->mx_host, "ip", e->mx_ip, "our", e->our_ip));
}

void fetch_submitted(struct link *l, uint64_t ticket, bool ok)
{
    link_send(l, json_pack("{s:s, s:I, s:b}", "op", "submitted", "ticket", (json_int_t)ticket, "ok", ok));
}

void fetch_report_now(struct link *l)
{
    link_send(l, json_pack("{s:s}", "op", "report"));
}

/* ---- webhooks */

struct hooks_trial {
    struct link_request request;
    void (*cb)(void *arg, json_t *answer);
    void *arg;
};

static void on_tried(struct link_request *r, const json_t *m)
{
    struct hooks_trial *t = container_of(r, struct hooks_trial, request);
    json_t *answer = m ? json_copy((json_t *)(uintptr_t)m) : json_pack("{s:s}", "error", "the process that posts to webhooks does not answer");
    json_object_del(answer, "id");
    link_end(&t->request);
    t->cb(t->arg, answer);
    free(t);
}

void fetch_try_hooks(struct link *l, const char *url, void (*cb)(void *arg, json_t *answer), void *arg)
{
    struct hooks_trial *t = mem_new(struct hooks_trial);
    t->cb = cb;
    t->arg = arg;
    link_ask(l, &t->request, json_pack("{s:s, s:s*}", "op", "webhook-test", "url", url), ANSWER_MS, on_tried);
}
