/* SPDX-License-Identifier: Apache-2.0
 * Guards over those who may relay. The outbound guard holds the mail of an account, client or sender domain that suddenly sends very
 * much. The open relay guard looks for strangers behind an address that is trusted, as a NAT, a container bridge or a load balancer
 * makes them appear: many names in EHLO, senders that are not ours, recipients that are. Its trust is withdrawn for a while. */
#include <stdio.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "policy/checks.h"
#include "policy/shared.h"
#include "route/expand.h"

#define HOUR_MS 3600000u
static const struct config_place nowhere = { 0 };

/* ---- the open relay guard */

static bool open_relay_wanted(const struct config *c, const struct policy *p) { return c->guard.open_relay.enabled; }

static uint64_t distrust_key(const struct ip *ip) { return hash_u64(policy_client_key(ip) + 1); }

static void run_open_relay(struct check_call *c)
{
    const struct policy_engine_options *e = check_engine(c);
    const struct check_facts *f = check_facts(c);
    if (f->account.n) check_pass(c, "a user of ours");
    else if (f->own_address) {
        check_distrust(c);
        check_pass(c, "this address is the relay's own, and the zone %s does not name it alone: it is not trusted", f->client.zone->name);
    } else if (e->shared && shared_is_marked(e->shared, distrust_key(&f->client.ip), clock_mono_ms())) {
        check_distrust(c);
        check_pass(c, "strangers came from this address: it is not trusted at the moment");
    } else if (f->listed) check_pass(c, "trusted, by the list relaying");
    else check_pass(c, "trusted, by the zone %s", f->client.zone->name);
}

const struct check check_open_relay = { .name = "open-relay-guard", .never_skipped = true, .stage = STAGE_CONNECT, .whom = FOR_TRUSTED,
                                        .wanted = open_relay_wanted, .run = run_open_relay };

/* Those whose name in `relaying` makes them trusted are so only now. */
static bool open_relay_names_wanted(const struct config *c, const struct policy *p)
{
    for (size_t i = 0; i < c->relaying_n && c->guard.open_relay.enabled; i++)
        if (c->relaying[i].action == CONFIG_RELAYING_RELAY && relaying_is_name(&c->relaying[i])) return true;
    return false;
}

const struct check check_open_relay_names = { .name = "open-relay-names", .never_skipped = true, .stage = STAGE_CONNECT, .step = 1, .whom = FOR_TRUSTED,
                                              .wanted = open_relay_names_wanted, .run = run_open_relay };

static void raise_distrust(struct check_call *c, unsigned names)
{
    const struct policy_engine_options *e = check_engine(c);
    const struct check_facts *f = check_facts(c);
    uint64_t now = clock_mono_ms();
    struct buf ip = { 0 };
    ip_add(&ip, &f->client.ip);
    bool known = shared_is_marked(e->shared, distrust_key(&f->client.ip), now);
    shared_mark(e->shared, distrust_key(&f->client.ip), now + e->config->guard.open_relay.distrust_for);
    if (!known)
        check_alarm(c, "open-relay-guard",
                    "Strangers arrive from the inner address %s: about %u different names in EHLO within an hour, with senders from "
                    "elsewhere and recipients here. A NAT, container or load balancer seems to hide their addresses. The address is "
                    "not trusted for now. Let it pass addresses on (PROXY protocol), or take it out of the zone %s.",
                    buf_cstr(&ip), names, f->client.zone->name);
    buf_deinit(&ip);
    check_distrust(c);
    check_pass(c, "about %u names with foreign senders within the hour: strangers, who are not trusted from now on", names);
}

static void run_strangers(struct check_call *c)
{
    const struct policy_engine_options *e = check_engine(c);
    const struct expander *x = check_lists(c)->expander;
    const struct check_facts *f = check_facts(c);
    if (f->account.n) check_pass(c, "a user of ours");
    else if (!e->shared || check_dry(c)) check_skip(c, "nothing is counted");
    else if (!f->sender.n || expand_is_ours(x, f->sender_domain)) check_pass(c, "the sender is one of ours");
    else if (!expand_is_ours(x, f->rcpt_domain)) check_pass(c, "the recipient is none of ours");
    else {
        unsigned names = shared_distinct(e->shared, policy_client_key(&f->client.ip), hash_ibytes(f->helo), HOUR_MS, clock_mono_ms());
        if (names >= e->config->guard.open_relay.strangers) raise_distrust(c, names);
        else check_pass(c, "about %u names with foreign senders within the hour", names);
    }
}

const struct check check_strangers = { .place_offset = offsetof(struct config, guard.open_relay.place), .name = "stranger-watch", .never_skipped = true, .stage = STAGE_RCPT, .step = 1, .whom = FOR_TRUSTED,
                                       .wanted = open_relay_wanted, .run = run_strangers };

/* ---- the outbound guard */

static bool outbound_wanted(const struct config *c, const struct policy *p) { return c->guard.outbound.enabled; }

struct counted {
    const char *what;
    struct slice who;
    uint64_t key;
    const struct config_guard_limit *limit;
};

/* For a command that somebody may paste into a shell. */
static bool is_plain(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] && strchr("@._+-:", s.p[i])) && !(s.p[i] >= '0' && s.p[i] <= '9') && !((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z')) return false;
    return true;
}

/* Counts the message; true when it is too much. Two counts lie side by side: of messages and of recipients. */
static bool is_over(struct check_call *c, const struct counted *k, char why[160])
{
    const struct policy_engine_options *e = check_engine(c);
    uint32_t n = check_facts(c)->taken, add = check_dry(c) ? 0 : 1;
    uint64_t now = clock_mono_ms();
    uint32_t messages = shared_count(e->shared, SHARED_OWN, k->key, add, HOUR_MS, now);
    uint32_t recipients = shared_count(e->shared, SHARED_OWN, hash_u64(k->key), add ? n : 0, HOUR_MS, now);
    bool many = k->limit->messages && messages > k->limit->messages;
    if (!many && (!k->limit->recipients || recipients <= k->limit->recipients)) return false;
    snprintf(why, 160, "outbound guard: %s %s", k->what, check_show(c, k->who));
    if (!add || shared_is_marked(e->shared, k->key, now)) return true;
    const char *lot = is_plain(k->who) ? why : "outbound guard:";
    shared_mark(e->shared, k->key, now + HOUR_MS);
    check_alarm(c, "outbound-guard",
                "The %s %s has sent to %u recipients in %u messages within an hour; %u recipients and %u messages are allowed. Its "
                "mail is held from now on. To see it: postern queue list --reason '%s'. To let it go, or to delete it: "
                "postern queue release (or delete) --reason '%s'.",
                k->what, check_show(c, k->who), recipients, messages, k->limit->recipients, k->limit->messages, lot, lot);
    return true;
}

static void run_outbound(struct check_call *c)
{
    const struct policy_engine_options *e = check_engine(c);
    const struct check_facts *f = check_facts(c);
    const struct config_guard *g = &e->config->guard;
    char why[160] = "", ip[64] = "";
    struct buf b = { 0 };
    if (!e->shared) {
        check_skip(c, "nothing is counted");
        return;
    }
    ip_add(&b, &f->client.ip);
    snprintf(ip, sizeof ip, "%s", buf_cstr(&b));
    buf_deinit(&b);
    const struct counted all[] = {
        { "account", f->account, hash_ibytes(f->account) ^ 1, &g->outbound.account },
        { "client", slice_str(ip), policy_client_key(&f->client.ip) ^ 2, &g->outbound.client },
        { "sender domain", f->sender_domain, hash_ibytes(f->sender_domain) ^ 3, &g->outbound.sender_domain },
    };
    bool over = false;
    char first[160] = "";
    for (size_t i = 0; i < countof(all); i++) {
        if (!all[i].who.n || (i == 1 && f->account.n)) continue;
        if (is_over(c, &all[i], why) && !over) over = true, memcpy(first, why, sizeof first);
    }
    if (over) check_hold(c, nowhere, "%s", first);
    else check_pass(c, "within the limits of an hour");
}

const struct check check_outbound = { .place_offset = offsetof(struct config, guard.outbound.place), .name = "outbound-guard", .never_skipped = true, .stage = STAGE_DATA, .whom = FOR_TRUSTED, .wanted = outbound_wanted,
                                      .run = run_outbound };
