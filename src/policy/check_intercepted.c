/* SPDX-License-Identifier: Apache-2.0
 * Whom the client of a transparent zone meant to reach: for the trace and what reads it. It judges nothing. */
#include "policy/check.h"

static bool wanted(const struct config *c, const struct policy *p)
{
    for (size_t i = 0; i < c->zone_n; i++)
        if (c->zones[i].mode == CONFIG_ZONE_TRANSPARENT) return true;
    return false;
}

static void run(struct check_call *c)
{
    const struct policy_client *client = &check_facts(c)->client;
    if (!client->intended.family) {
        check_skip(c, "the client connected to the relay itself");
        return;
    }
    struct buf b = { 0 };
    if (client->intended.family == 6) buf_add_char(&b, '[');
    ip_add(&b, &client->intended);
    if (client->intended.family == 6) buf_add_char(&b, ']');
    check_pass_by(c, client->zone->place, "taken on its way to %s:%u", buf_cstr(&b), client->intended_port);
    buf_deinit(&b);
}

const struct check check_intercepted = { .name = "intercepted", .stage = STAGE_CONNECT, .step = 0, .whom = FOR_ALL, .never_skipped = true,
                                         .wanted = wanted, .run = run };
