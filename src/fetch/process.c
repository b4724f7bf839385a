/* SPDX-License-Identifier: Apache-2.0
 * The fetch process: questions of workers, and where the answers come from. */
#include "fetch/process.h"
#include <stdlib.h>
#include "base/json.h"
#include "base/watch.h"
#include "fetch/hooks.h"
#include "fetch/policies.h"
#include "fetch/reports.h"

#define WAITS_MAX 5000 /* questions of one worker */

struct process {
    struct helper_process helper;
    struct resolver *resolver;
    struct https *https;
    struct policies *policies;
    struct reports *reports; /* NULL: none are sent */
    struct hooks_secrets *secrets;
    struct hooks *hooks;     /* NULL: there are no webhooks */
    unsigned peers;          /* counts them */
};

struct peer {
    struct helper_peer helper;
    struct list waits;
    unsigned wait_n, number;
};

struct wait {
    struct policies_wait wait;
    struct list node;        /* in peer->waits */
    struct peer *peer;
    json_int_t id;
};

static struct peer *peer_of(struct helper_peer *p)
{
    return container_of(p, struct peer, helper);
}

static struct process *process_of(struct helper_process *p)
{
    return container_of(p, struct process, helper);
}

/* ---- questions */

static void wait_free(struct wait *w)
{
    list_remove(&w->wait.link);
    list_remove(&w->node);
    w->peer->wait_n--;
    free(w);
}

static void on_answer(struct policies_wait *pw, const json_t *answer)
{
    struct wait *w = container_of(pw, struct wait, wait);
    json_t *m = json_copy((json_t *)(uintptr_t)answer); /* shallow: the policy is shared */
    json_object_set_new(m, "id", json_integer(w->id));
    channel_send(w->peer->helper.channel, m, -1);
    json_decref(m);
    wait_free(w);
}

static bool ask(struct peer *peer, json_int_t id, const char *domain)
{
    if (!domain) return false;
    if (peer->wait_n >= WAITS_MAX) {
        json_t *m = json_pack("{s:I, s:b, s:s, s:i}", "id", id, "known", 0, "reason",
                              "too many policies are being looked up", "ttl", 10);
        channel_send(peer->helper.channel, m, -1);
        json_decref(m);
        return true;
    }
    struct wait *w = mem_new(struct wait);
    w->wait.on_answer = on_answer;
    w->peer = peer;
    w->id = id;
    peer->wait_n++;
    list_push_back(&peer->waits, &w->node);
    policies_ask(process_of(peer->helper.process)->policies, domain, &w->wait);
    return true;
}

static bool count(struct process *p, const json_t *m)
{
    struct tls_event e = { .domain = json_text(m, "domain").p, .policy_type = json_text(m, "type").p,
                           .policy = json_object_get(m, "policy"), .mx_patterns = json_object_get(m, "mx"),
                           .failure = json_text(m, "failure").p, .reason = json_text(m, "reason").p,
                           .mx_host = json_text(m, "host").p, .mx_ip = json_text(m, "ip").p,
                           .our_ip = json_text(m, "our").p };
    if (!e.domain || !e.policy_type || strlen(e.domain) > 255) return false;
    if (p->reports) reports_count(p->reports, &e);
    return true;
}

/* ---- trying webhooks */

struct trial {
    struct process *process;
    unsigned peer;           /* its number: it may have gone meanwhile */
    json_int_t id;
};

static void on_tried(void *arg, json_t *answer)
{
    struct trial *t = arg;
    json_object_set_new(answer, "id", json_integer(t->id));
    list_each(it, &t->process->helper.peers) {
        const struct helper_peer *peer = list_entry(it, struct helper_peer, node);
        if (container_of(peer, struct peer, helper)->number == t->peer) channel_send(peer->channel, answer, -1);
    }
    json_decref(answer);
    free(t);
}

static bool try_hooks(struct peer *peer, const json_t *m)
{
    struct process *p = process_of(peer->helper.process);
    struct trial *t = mem_new(struct trial);
    *t = (struct trial){ p, peer->number, json_integer_value(json_object_get(m, "id")) };
    if (!p->hooks || !hooks_test(p->hooks, json_text(m, "url").p, on_tried, t))
        on_tried(t, json_pack("{s:s}", "error", p->hooks ? "others are trying already" : "there are no webhooks in the configuration"));
    return true;
}

static bool on_message(struct helper_peer *peer, const json_t *m, int fd)
{
    struct process *p = process_of(peer->process);
    const char *op = json_text(m, "op").p;
    if (!op) return false;
    if (!strcmp(op, "policy"))
        return ask(peer_of(peer), json_integer_value(json_object_get(m, "id")), json_text(m, "domain").p);
    if (!strcmp(op, "count")) return count(p, m);
    if (!strcmp(op, "webhook-test")) return try_hooks(peer_of(peer), m);
    if (!strcmp(op, "submitted")) {
        uint64_t ticket = (uint64_t)json_integer_value(json_object_get(m, "ticket"));
        if (p->reports) reports_submitted(p->reports, ticket, json_is_true(json_object_get(m, "ok")));
        return true;
    }
    if (strcmp(op, "report") != 0) return false;
    if (p->reports) reports_send_now(p->reports);
    return true;
}

static void peer_open(struct helper_peer *p)
{
    list_init(&peer_of(p)->waits);
    peer_of(p)->number = ++process_of(p->process)->peers;
}

static void peer_close(struct helper_peer *p)
{
    list_each_safe(it, &peer_of(p)->waits) wait_free(list_entry(it, struct wait, node));
}

/* A report is a message like others: the worker that was connected last is the youngest. */
static bool submit(void *arg, uint64_t ticket, const char *to, struct slice text)
{
    const struct helper_process *p = arg;
    if (list_empty(&p->peers) || text.n > CHANNEL_FRAME_MAX - CHANNEL_FRAME_MAX / 8) return false;
    const struct helper_peer *peer = list_entry(p->peers.prev, struct helper_peer, node);
    json_t *m = json_pack("{s:I, s:s, s:s%}", "ticket", (json_int_t)ticket, "to", to, "text", text.p, text.n);
    if (m) channel_send(peer->channel, m, -1);
    json_decref(m);
    return m != NULL;
}

/* ---- the process */

static void paths(const struct helper_process *p, struct landlock *l)
{
    landlock_add_network(l);
    landlock_read(l, p->config->dns.trust_anchor);
    landlock_read(l, p->config->tls.ca);
    landlock_write(l, p->directory);
}

/* By whoever started the relay: the files may be his alone. */
static bool read_secrets(struct helper_process *hp, struct err *err)
{
    if (!hp->config->webhook_n) return true;
    return (process_of(hp)->secrets = hooks_secrets_read(hp->config, err)) != NULL;
}

static bool open_process(struct helper_process *hp, struct err *err)
{
    struct process *p = process_of(hp);
    const struct config *c = hp->config;
    p->resolver = resolver_new(hp->base, c, err);
    p->https = p->resolver ? https_new(hp->base, c->tls.ca, err) : NULL;
    if (!p->https) return false;
    p->policies = policies_new(hp->base, p->resolver, p->https, hp->directory);
    if (p->secrets)
        p->hooks = hooks_new(&(struct hooks_options){ .base = hp->base, .resolver = p->resolver, .https = p->https, .config = c,
                                                      .directory = hp->directory, .events = watch_reader(), .secrets = p->secrets });
    if (c->delivery.tls_reports)
        p->reports = reports_new(&(struct reports_options){
            .base = hp->base, .resolver = p->resolver, .https = p->https, .directory = hp->directory,
            .hostname = c->hostname,
            .contact = c->delivery.tls_report_contact ? c->delivery.tls_report_contact : c->postmaster,
            .submit = submit, .arg = hp });
    return true;
}

static void close_process(struct helper_process *hp)
{
    struct process *p = process_of(hp);
    hooks_free(p->hooks);
    reports_free(p->reports);
    policies_free(p->policies);
    https_free(p->https);
    resolver_free(p->resolver);
}

static bool needed(const struct config *c)
{
    if (c->delivery.mta_sts || c->delivery.tls_reports || c->webhook_n) return true;
    for (size_t i = 0; i < c->tls_policy_n; i++)
        if (c->tls_policies[i].mta_sts) return true;
    return false;
}

static const char *user(const struct config *c)
{
    return c->system.user;
}

const struct helper_kind fetch_helper = {
    .name = "fetch", .directory = "fetch", .process_size = sizeof(struct process), .peer_size = sizeof(struct peer),
    .needed = needed, .user = user, .calls = SECCOMP_RELAY, .paths = paths, .read_secrets = read_secrets, .open = open_process, .close = close_process,
    .peer_open = peer_open, .peer_message = on_message, .peer_close = peer_close,
};
