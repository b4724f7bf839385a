/* SPDX-License-Identifier: Apache-2.0
 * A worker's link to the fetch process. What that one answers is checked like anything from outside: it speaks with strangers. */
#include <event2/event.h>
#include <stdlib.h>
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "fetch/fetch.h"
#include "proc/channel.h"

#define ANSWER_MS 90000 /* a minute for the policy, the rest for DNS */
#define RETRY_TTL 60

struct fetch_link {
    struct event_base *base;
    struct channel *channel; /* NULL: the process is away */
    struct list queries;
    fetch_submit_cb *submit;
    void *arg;
    json_int_t last_id;
};

struct fetch_query {
    struct list link;
    struct fetch_link *owner;
    struct event *timer;
    json_int_t id;
    bool calling;
    fetch_policy_cb *cb;
    void *arg;
    char domain[256];
};

static void query_free(struct fetch_query *q)
{
    list_remove(&q->link);
    event_free(q->timer);
    free(q);
}

static void answer(struct fetch_query *q, const struct fetch_policy *p)
{
    q->calling = true;
    q->cb(q->arg, p);
    query_free(q);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    answer(arg, &(struct fetch_policy){ .failure = "", .reason = "MTA-STS policies cannot be looked up at the moment",
                                        .ttl = RETRY_TTL });
}

/* ---- answers */

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

static const char *text_of(const json_t *m, const char *key)
{
    const char *text = json_string_value(json_object_get(m, key));
    return text ? text : "";
}

static void take_answer(struct fetch_query *q, const json_t *m)
{
    struct sts_policy *policy = mem_new(struct sts_policy);
    struct buf reason = { 0 };
    json_int_t ttl = json_integer_value(json_object_get(m, "ttl"));
    buf_add_printable(&reason, slice_str(text_of(m, "reason")), 250);
    struct fetch_policy p = { .known = json_is_true(json_object_get(m, "known")), .failure = text_of(m, "failure"),
                              .reason = buf_cstr(&reason), .ttl = ttl > 0 && ttl < 86400 ? (uint32_t)ttl : RETRY_TTL };
    const json_t *lines = json_object_get(m, "policy");
    if (p.known && json_array_size(lines)) {
        p.known = read_policy(lines, policy);
        p.mode = policy->mode;
        p.policy = policy;
        p.lines = lines;
    }
    answer(q, &p);
    buf_deinit(&reason);
    free(policy);
}

static void take_mail(struct fetch_link *l, const json_t *m)
{
    const char *to = text_of(m, "to"), *text = text_of(m, "text");
    struct fetch_mail mail = { .ticket = (uint64_t)json_integer_value(json_object_get(m, "ticket")), .to = slice_str(to),
                               .text = slice_str(text) };
    l->submit(l->arg, &mail);
}

static void on_message(void *arg, const json_t *m, int fd)
{
    struct fetch_link *l = arg;
    json_int_t id = json_integer_value(json_object_get(m, "id"));
    if (fd >= 0) evutil_closesocket(fd);
    if (json_object_get(m, "ticket")) {
        take_mail(l, m);
        return;
    }
    list_each(it, &l->queries) {
        struct fetch_query *q = list_entry(it, struct fetch_query, link);
        if (q->id != id) continue;
        take_answer(q, m);
        return;
    }
}

static void on_channel_end(void *arg)
{
    struct fetch_link *l = arg;
    channel_free(&l->channel);
    log_event(LOG_WARNING, "fetch-process-gone");
}

/* ---- questions */

static void send_message(struct fetch_link *l, json_t *m)
{
    if (l->channel && m) channel_send(l->channel, m, -1);
    json_decref(m);
}

static void ask(struct fetch_query *q)
{
    send_message(q->owner, json_pack("{s:s, s:I, s:s}", "op", "policy", "id", q->id, "domain", q->domain));
}

struct fetch_query *fetch_policy_start(struct fetch_link *l, const char *domain, fetch_policy_cb *cb, void *arg)
{
    struct fetch_query *q = mem_new(struct fetch_query);
    q->owner = l;
    q->id = ++l->last_id;
    q->cb = cb;
    q->arg = arg;
    snprintf(q->domain, sizeof q->domain, "%s", domain);
    q->timer = evtimer_new(l->base, on_timeout, q);
    event_add(q->timer, &(struct timeval){ ANSWER_MS / 1000, 0 });
    list_push_back(&l->queries, &q->link);
    ask(q);
    return q;
}

void fetch_cancel(struct fetch_query **qp)
{
    struct fetch_query *q = *qp;
    *qp = NULL;
    if (q && !q->calling) query_free(q);
}

void fetch_count(struct fetch_link *l, const struct tls_event *e)
{
    send_message(l, json_pack("{s:s, s:s, s:s, s:O*, s:O*, s:s*, s:s*, s:s*, s:s*, s:s*}", "op", "count", "domain",
                              e->domain, "type", e->policy_type, "policy", (json_t *)(uintptr_t)e->policy, "mx",
                              (json_t *)(uintptr_t)e->mx_patterns, "failure", e->failure, "reason", e->reason, "host",
                              e->mx_host, "ip", e->mx_ip, "our", e->our_ip));
}

void fetch_submitted(struct fetch_link *l, uint64_t ticket, bool ok)
{
    send_message(l, json_pack("{s:s, s:I, s:b}", "op", "submitted", "ticket", (json_int_t)ticket, "ok", ok));
}

void fetch_report_now(struct fetch_link *l)
{
    send_message(l, json_pack("{s:s}", "op", "report"));
}

/* ---- life */

struct fetch_link *fetch_link_new(struct event_base *base, fetch_submit_cb *submit, void *arg)
{
    struct fetch_link *l = mem_new(struct fetch_link);
    l->base = base;
    l->submit = submit;
    l->arg = arg;
    list_init(&l->queries);
    return l;
}

void fetch_link_connect(struct fetch_link *l, int fd)
{
    channel_free(&l->channel);
    l->channel = channel_new(l->base, fd, on_message, on_channel_end, l);
    list_each(it, &l->queries) ask(list_entry(it, struct fetch_query, link));
}

void fetch_link_free(struct fetch_link *l)
{
    if (!l) return;
    channel_free(&l->channel);
    free(l);
}
