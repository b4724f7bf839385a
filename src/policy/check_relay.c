/* SPDX-License-Identifier: Apache-2.0
 * The right to relay: clients that the list `relaying` trusts, and the verdict over each recipient (relay.h). */
#include "base/clock.h"
#include "policy/checks.h"
#include "config/list.h"
#include "policy/pipeline.h"
#include "policy/relay.h"

/* ---- clients that the list lets relay: trusted like those of a zone that may */

static bool lets_relay(const struct config_relaying *r)
{
    return r->on & CONFIG_RELAYING_CONNECT && r->action == CONFIG_RELAYING_RELAY;
}

static bool client_wanted(const struct config *c, const struct policy *p)
{
    for (size_t i = 0; i < c->relaying_n; i++)
        if (lets_relay(&c->relaying[i])) return true;
    return false;
}

static bool name_wanted(const struct config *c, const struct policy *p)
{
    for (size_t i = 0; i < c->relaying_n; i++)
        if (lets_relay(&c->relaying[i]) && relaying_is_name(&c->relaying[i])) return true;
    return false;
}

static void find_trust(struct check_call *c, struct slice name)
{
    struct relaying_found found;
    relaying_find_client(check_lists(c)->relaying, &check_facts(c)->client.ip, name, &found);
    if (!found.entry || found.action != CONFIG_RELAYING_RELAY) {
        check_pass(c, "the list relaying lends it no trust");
        return;
    }
    check_trust(c);
    check_pass_by(c, found.entry->place, "relaying: %s may relay", found.entry->match);
}

static void run_client(struct check_call *c) { find_trust(c, SLICE("")); }

static void run_name(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    if (f->reverse == REVERSE_CONFIRMED) find_trust(c, f->reverse_name);
    else check_skip(c, "the client has no name that leads back to it");
}

const struct check check_relaying_client = { .name = "relaying-client", .never_skipped = true, .stage = STAGE_CONNECT, .step = 0, .whom = FOR_ALL,
                                             .wanted = client_wanted, .run = run_client };
const struct check check_relaying_name = { .name = "relaying-name", .never_skipped = true, .stage = STAGE_CONNECT, .step = 1, .whom = FOR_ALL,
                                           .wanted = name_wanted, .run = run_name };

/* ---- each recipient */

static void run_relay(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct relay_client who = { .zone = f->client.zone, .authed = f->account.n, .distrusted = f->distrusted,
                                      .sender = f->sender_domain, .ip = f->client.ip,
                                      .name = f->reverse == REVERSE_CONFIRMED ? f->reverse_name : SLICE(""),
                                      .rewriter = check_engine(c)->rewriter, .now_ms = clock_wall_ms(),
                                      .list = check_lists(c)->relaying, .expander = check_lists(c)->expander };
    struct relay_verdict v;
    relay_judge(check_engine(c)->config, &who, f->rcpt_address, &v);
    run_keep_relay(c, &v);
    const char *before = v.entry ? ": " : "", *entry = v.entry ? v.entry : "";
    if (v.rewritten) check_pass_by(c, v.place, "%s: it leads back to %s", v.why, v.original);
    else if (v.allowed) check_pass_by(c, v.place, "%s%s%s", v.why, before, entry);
    else check_refuse(c, v.code, v.enhanced, v.place, v.text, "%s%s%s", v.why, before, entry);
}

const struct check check_relay = { .name = "relay", .never_skipped = true, .stage = STAGE_RCPT, .step = 0, .whom = FOR_ALL, .run = run_relay };
