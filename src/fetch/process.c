/* SPDX-License-Identifier: Apache-2.0
 * The fetch process: questions of workers, and where the answers come from. */
#include "fetch/process.h"
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "fetch/policies.h"
#include "fetch/reports.h"
#include "proc/channel.h"
#include "proc/privilege.h"

#define WAITS_MAX 5000 /* questions of one worker */

struct peer {
    struct list node;
    struct process *process;
    struct channel *channel;
    struct list waits;
    unsigned wait_n;
};

struct wait {
    struct policies_wait wait;
    struct list node;        /* in peer->waits */
    struct peer *peer;
    json_int_t id;
};

struct process {
    const struct config *config;
    struct event_base *base;
    struct resolver *resolver;
    struct https *https;
    struct policies *policies;
    struct reports *reports;
    struct channel *master;
    struct list peers;
    bool stop;
};

static void check_needed(struct process *p)
{
    if (!p->master && list_empty(&p->peers)) p->stop = true;
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
    channel_send(w->peer->channel, m, -1);
    json_decref(m);
    wait_free(w);
}

static bool ask(struct peer *peer, json_int_t id, const char *domain)
{
    if (!domain) return false;
    if (peer->wait_n >= WAITS_MAX) {
        json_t *m = json_pack("{s:I, s:b, s:s, s:i}", "id", id, "known", 0, "reason", "too many policies are being looked up", "ttl",
                              10);
        channel_send(peer->channel, m, -1);
        json_decref(m);
        return true;
    }
    struct wait *w = mem_new(struct wait);
    w->wait.on_answer = on_answer;
    w->peer = peer;
    w->id = id;
    peer->wait_n++;
    list_push_back(&peer->waits, &w->node);
    policies_ask(peer->process->policies, domain, &w->wait);
    return true;
}

static const char *text_of(const json_t *m, const char *key)
{
    return json_string_value(json_object_get(m, key));
}

static bool count(struct process *p, const json_t *m)
{
    struct tls_event e = { .domain = text_of(m, "domain"), .policy_type = text_of(m, "type"),
                           .policy = json_object_get(m, "policy"), .mx_patterns = json_object_get(m, "mx"),
                           .failure = text_of(m, "failure"), .reason = text_of(m, "reason"), .mx_host = text_of(m, "host"),
                           .mx_ip = text_of(m, "ip"), .our_ip = text_of(m, "our") };
    if (!e.domain || !e.policy_type || strlen(e.domain) > 255) return false;
    if (p->reports) reports_count(p->reports, &e);
    return true;
}

/* False: a worker that behaves does not say this. */
static bool take(struct peer *peer, const json_t *m)
{
    struct process *p = peer->process;
    const char *op = text_of(m, "op");
    if (!op) return false;
    if (!strcmp(op, "policy")) return ask(peer, json_integer_value(json_object_get(m, "id")), text_of(m, "domain"));
    if (!strcmp(op, "count")) return count(p, m);
    if (!strcmp(op, "submitted")) {
        uint64_t ticket = (uint64_t)json_integer_value(json_object_get(m, "ticket"));
        if (p->reports) reports_submitted(p->reports, ticket, json_is_true(json_object_get(m, "ok")));
        return true;
    }
    if (strcmp(op, "report") != 0) return false;
    if (p->reports) reports_send_now(p->reports);
    return true;
}

static void on_peer_end(void *arg)
{
    struct peer *peer = arg;
    struct process *p = peer->process;
    list_each_safe(it, &peer->waits) wait_free(list_entry(it, struct wait, node));
    channel_free(&peer->channel);
    list_remove(&peer->node);
    free(peer);
    check_needed(p);
}

static void on_peer_message(void *arg, const json_t *m, int fd)
{
    struct peer *peer = arg;
    if (fd >= 0) close(fd);
    if (take(peer, m)) return;
    log_event(LOG_ERROR, "fetch-protocol", LOG_STR("error", "a worker sent what makes no sense"));
    on_peer_end(peer);
}

/* A report is a message like others: the worker that was connected last is the youngest. */
static bool submit(void *arg, uint64_t ticket, const char *to, struct slice text)
{
    struct process *p = arg;
    if (list_empty(&p->peers) || text.n > CHANNEL_FRAME_MAX - CHANNEL_FRAME_MAX / 8) return false;
    struct peer *peer = list_entry(p->peers.prev, struct peer, node);
    json_t *m = json_pack("{s:I, s:s, s:s%}", "ticket", (json_int_t)ticket, "to", to, "text", text.p, text.n);
    if (m) channel_send(peer->channel, m, -1);
    json_decref(m);
    return m != NULL;
}

/* ---- the master */

static void on_master(void *arg, const json_t *m, int fd)
{
    struct process *p = arg;
    if (fd < 0) return;
    struct peer *peer = mem_new(struct peer);
    peer->process = p;
    list_init(&peer->waits);
    list_push_back(&p->peers, &peer->node);
    peer->channel = channel_new(p->base, fd, on_peer_message, on_peer_end, peer);
}

static void on_master_end(void *arg)
{
    struct process *p = arg;
    channel_free(&p->master);
    check_needed(p);
}

/* ---- start */

static bool restrict_files(const struct process *p, const char *directory, struct err *err)
{
    const char *const write[] = { directory, "/dev/null", NULL };
    const char *anchor = p->config->dns.trust_anchor;
    const char *const read[] = {
        "/etc/resolv.conf", "/etc/hosts",      "/etc/host.conf",   "/etc/nsswitch.conf", "/etc/ssl",
        "/usr/lib/ssl",     "/usr/share/ca-certificates", "/usr/share/dns", "/var/lib/unbound", "/lib", "/lib64", "/usr/lib",
        "/etc/localtime",   "/usr/share/zoneinfo", "/dev/urandom", "/proc/self",
        anchor && *anchor ? anchor : "/usr/share/dns", *p->config->tls.ca ? p->config->tls.ca : NULL, NULL,
    };
    return !p->config->system.sandbox || landlock_restrict(write, read, err);
}

static bool prepare(struct process *p, const struct fetch_start *s, struct err *err)
{
    const struct config *c = p->config;
    if (!privilege_drop(s->user, err) || !restrict_files(p, s->directory, err)) return false;
    p->resolver = resolver_new(p->base, c, err);
    p->https = p->resolver ? https_new(p->base, c->tls.ca, err) : NULL;
    if (!p->https) return false;
    p->policies = policies_new(p->base, p->resolver, p->https, s->directory);
    if (c->delivery.tls_reports)
        p->reports = reports_new(&(struct reports_options){
            .base = p->base, .resolver = p->resolver, .https = p->https, .directory = s->directory, .hostname = c->hostname,
            .contact = c->delivery.tls_report_contact ? c->delivery.tls_report_contact : c->postmaster,
            .submit = submit, .arg = p });
    return !c->system.sandbox || seccomp_restrict(SECCOMP_RELAY, err);
}

bool fetch_process_needed(const struct config *c)
{
    if (c->delivery.mta_sts || c->delivery.tls_reports) return true;
    for (size_t i = 0; i < c->tls_policy_n; i++)
        if (c->tls_policies[i].mta_sts) return true;
    return false;
}

int fetch_process_main(const struct fetch_start *start)
{
    struct process p = { .config = start->config, .base = event_base_new() };
    struct err err;
    list_init(&p.peers);
    p.master = channel_new(p.base, start->channel, on_master, on_master_end, &p);
    if (!prepare(&p, start, &err)) {
        log_event(LOG_ERROR, "fetch-failed-to-start", LOG_ERR(&err));
        return EXIT_FAILURE;
    }
    while (!p.stop) {
        event_base_loop(p.base, EVLOOP_ONCE);
        log_flush();
    }
    reports_free(p.reports);
    policies_free(p.policies);
    https_free(p.https);
    resolver_free(p.resolver);
    channel_free(&p.master);
    event_base_free(p.base);
    return 0;
}
