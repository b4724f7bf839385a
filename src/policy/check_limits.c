/* SPDX-License-Identifier: Apache-2.0
 * Limits for strangers: connections of one client at once and in a time, over all workers; recipients of one message. An IPv6 client is
 * its /64, in which anybody has as many addresses as there are. */
#include <stdio.h>
#include "base/clock.h"
#include "base/hash.h"
#include "policy/checks.h"
#include "config/list.h"
#include "policy/shared.h"

uint64_t policy_client_key(const struct ip *ip)
{
    return hash_bytes(slice_of(ip->bytes, ip->family == 6 ? 8 : 4)) ^ ip->family;
}

static bool limits_wanted(const struct config *c, const struct policy *p) { return c->checks.client_limits.enabled; }

static void run_limits(struct check_call *c)
{
    const struct policy_engine_options *e = check_engine(c);
    const struct config_checks *k = &e->config->checks;
    const struct ip *ip = &check_facts(c)->client.ip;
    struct list_found found;
    list_find_ip(check_lists(c)->limits_exempt, ip, &found);
    if (found.kind) {
        check_skip(c, "exempt: %s", found.entry->match);
        return;
    }
    if (!e->shared || !ip->family) {
        check_skip(c, "nothing is counted");
        return;
    }
    uint64_t key = policy_client_key(ip), per = k->client_limits.per;
    uint32_t open = shared_sessions(e->shared, key);
    uint32_t rate = shared_count(e->shared, SHARED_STRANGERS, key, check_dry(c) ? 0 : 1, per, clock_mono_ms());
    struct config_place none = { 0 };
    if (k->client_limits.connections && open > k->client_limits.connections)
        check_refuse(c, 421, "4.7.0", none, "too many connections from you at once, please use those first",
                     "%u connections at once, %u are allowed", open, k->client_limits.connections);
    else if (k->client_limits.rate && rate > k->client_limits.rate)
        check_refuse(c, 421, "4.7.0", none, "too many connections from you in a short time, please try again later",
                     "%u connections within %llu s, %u are allowed", rate, (unsigned long long)per / 1000, k->client_limits.rate);
    else check_pass(c, "%u at once, %u within %llu s", open, rate, (unsigned long long)per / 1000);
}

const struct check check_client_limits = { .place_offset = offsetof(struct config, checks.client_limits.place), .name = "client-limits", .stage = STAGE_CONNECT, .whom = FOR_STRANGERS,
                                           .told_at_once = true, .wanted = limits_wanted, .run = run_limits };

static bool recipients_wanted(const struct config *c, const struct policy *p) { return c->checks.recipient_limit.enabled; }

static void run_recipients(struct check_call *c)
{
    uint32_t most = check_engine(c)->config->checks.recipient_limit.most, taken = check_facts(c)->taken;
    if (taken >= most)
        check_refuse(c, 452, "4.5.3", (struct config_place){ 0 }, "too many recipients for one message, please send it in parts",
                     "%u recipients were taken, %u are allowed", taken, most);
    else check_pass(c, "number %u of %u", taken + 1, most);
}

const struct check check_recipient_limit = { .place_offset = offsetof(struct config, checks.recipient_limit.place), .name = "recipient-limit", .stage = STAGE_RCPT, .step = 1, .whom = FOR_STRANGERS,
                                             .wanted = recipients_wanted, .run = run_recipients };
