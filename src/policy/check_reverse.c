/* SPDX-License-Identifier: Apache-2.0
 * The client's name: looked up for all checks that want it, and required of strangers where that is asked for. Whoever owns an
 * address may give it any name: only one that leads back to the address is believed. */
#include "base/mem.h"
#include "net/resolver.h"
#include "policy/checks.h"
#include "config/list.h"

#define NAMES_MAX 3

/* ---- finding it */

struct naming;
struct candidate {
    struct naming *naming;
    struct resolver_query *query;
    struct slice name;
    bool confirmed, failed;
};
struct naming {
    struct check_call *call;
    struct resolver_query *query;
    struct candidate names[NAMES_MAX];
    size_t n;
};

static void stop(struct naming *n)
{
    resolver_cancel(&n->query);
    for (size_t i = 0; i < n->n; i++) resolver_cancel(&n->names[i].query);
    n->call->own = NULL;
}

static void cancel_naming(struct check_call *call) { stop(call->own); }

/* The first name that leads back; so it does not depend on who answers first, one is taken when those before it have answered. */
static void conclude(struct naming *n)
{
    struct check_call *call = n->call;
    struct check_facts *f = check_learn(call);
    const struct candidate *confirmed = NULL;
    bool failed = false;
    for (size_t i = 0; i < n->n && !confirmed; i++) {
        if (n->names[i].query) return;
        if (n->names[i].confirmed) confirmed = &n->names[i];
        failed |= n->names[i].failed;
    }
    stop(n);
    f->reverse = confirmed ? REVERSE_CONFIRMED : failed ? REVERSE_TEMPFAIL : REVERSE_UNCONFIRMED;
    f->reverse_name = confirmed ? confirmed->name : n->names[0].name;
    const char *shown = check_show(call, f->reverse_name);
    if (confirmed) check_pass(call, "%s", shown);
    else if (failed) check_skip(call, "whether %s leads back to the client could not be found out", shown);
    else check_pass(call, "%s, which does not lead back to the client", shown);
}

static void on_address(void *arg, const struct resolver_answer *a)
{
    struct candidate *c = arg;
    const struct ip *client = &check_facts(c->naming->call)->client.ip;
    c->query = NULL;
    c->failed = a->status == RESOLVER_TEMPFAIL;
    for (size_t i = 0; i < a->n; i++) {
        struct ip plain = *client;
        plain.scope = a->ips[i].scope;
        c->confirmed |= ip_eq(&plain, &a->ips[i]);
    }
    conclude(c->naming);
}

static void on_names(void *arg, const struct resolver_answer *a)
{
    struct naming *n = arg;
    struct check_call *call = n->call;
    bool ipv4 = check_facts(call)->client.ip.family == 4;
    n->query = NULL;
    if (a->status == RESOLVER_TEMPFAIL) {
        check_learn(call)->reverse = REVERSE_TEMPFAIL;
        stop(n);
        check_skip(call, "%s", a->reason);
        return;
    }
    if (!a->n) {
        check_learn(call)->reverse = REVERSE_NONE;
        stop(n);
        check_pass(call, "the client's address has no name");
        return;
    }
    for (; n->n < a->n && n->n < NAMES_MAX; n->n++) {
        struct candidate *c = &n->names[n->n];
        c->naming = n;
        c->name = arena_slice(check_arena(call), slice_str(a->names[n->n].text));
        c->query = resolver_addresses(check_engine(call)->resolver, c->name, ipv4, !ipv4, on_address, c);
    }
}

static void name_run(struct check_call *call)
{
    const struct ip *ip = &check_facts(call)->client.ip;
    if (!ip->family) {
        check_learn(call)->reverse = REVERSE_NONE;
        check_skip(call, "the client's address is not known");
        return;
    }
    if (!check_wants_reverse_now(call)) {
        check_skip(call, "no list has names of hosts now");
        return;
    }
    struct naming *n = arena_alloc(check_arena(call), sizeof *n);
    n->call = call;
    call->own = n;
    n->query = resolver_ptr(check_engine(call)->resolver, ip, on_names, n);
}

static bool name_wanted(const struct config *c, const struct policy *p) { return check_wants_reverse(p); }

const struct check check_reverse_name = { .name = "reverse-name", .never_skipped = true, .stage = STAGE_CONNECT, .step = 0, .whom = FOR_ALL,
                                          .wanted = name_wanted, .run = name_run, .cancel = cancel_naming };

/* ---- requiring it */

static bool is_exempt(struct check_call *call, struct list_found *found)
{
    const struct check_facts *f = check_facts(call);
    const struct list_match *exempt = check_lists(call)->reverse_exempt;
    list_find_ip(exempt, &f->client.ip, found);
    if (!found->kind && f->reverse == REVERSE_CONFIRMED) list_find_host(exempt, f->reverse_name, found);
    return found->kind;
}

static void act(struct check_call *call, const char *text, const char *why)
{
    static const struct config_place nowhere;
    switch (check_engine(call)->config->checks.reverse_dns.action) {
    case CONFIG_ACTION_REJECT: check_refuse(call, 550, "5.7.25", nowhere, text, "%s", why); break;
    case CONFIG_ACTION_DEFER: check_refuse(call, 450, "4.7.25", nowhere, text, "%s", why); break;
    case CONFIG_ACTION_SCORE: check_score(call, 1, nowhere, "%s", why); break;
    }
}

static void dns_run(struct check_call *call)
{
    const struct check_facts *f = check_facts(call);
    struct list_found exempt;
    struct buf text = { 0 };
    const char *name = check_show(call, f->reverse_name);
    if (is_exempt(call, &exempt)) {
        check_pass(call, "exempt: %s", check_show(call, slice_str(exempt.entry->match)));
        return;
    }
    ip_add(&text, &f->client.ip);
    switch (f->reverse) {
    case REVERSE_CONFIRMED: check_pass(call, "%s", name); break;
    case REVERSE_NONE:
        buf_add_str(&text, " has no name in the DNS (PTR record); ask whoever provides this address for one");
        act(call, buf_cstr(&text), "the client's address has no name");
        break;
    case REVERSE_UNCONFIRMED:
        buf_addf(&text, " has the name %s, which does not lead back to it (A or AAAA record)", name);
        act(call, buf_cstr(&text), "the client's name does not lead back to it");
        break;
    case REVERSE_TEMPFAIL:
    case REVERSE_UNKNOWN:
        buf_add_str(&text, ": the name of this address could not be looked up, please try again later");
        if (check_engine(call)->config->checks.reverse_dns.action == CONFIG_ACTION_DEFER)
            act(call, buf_cstr(&text), "the client's name could not be looked up");
        else
            check_skip(call, "the client's name could not be looked up");
        break;
    }
    buf_deinit(&text);
}

static bool dns_wanted(const struct config *c, const struct policy *p) { return c->checks.reverse_dns.enabled; }

const struct check check_reverse_dns = { .place_offset = offsetof(struct config, checks.reverse_dns.place), .name = "reverse-dns",
                                         .stage = STAGE_CONNECT,
                                         .step = 1,
                                         .whom = FOR_STRANGERS,
                                         .spared_by = ALLOW_CLIENT,
                                         .wanted = dns_wanted,
                                         .run = dns_run };
