/* SPDX-License-Identifier: Apache-2.0
 * Learning. Of a message that is taken the store hears once, of a connection that brought nothing but refusals once. */
#include "policy/learn.h"
#include "base/clock.h"
#include "policy/client_net.h"
#include "policy/pipeline.h"
#include "store/store.h"

#define TELL_AFTER 50 /* messages of one connection */

static void count(const struct policy_run *run, unsigned good, unsigned bad)
{
    const struct policy_engine_options *e = &run->engine->o;
    const struct config_checks *k = &e->config->checks;
    const struct ip *ip = &run->facts.client.ip;
    char net[17];
    if (run->dry || !e->store || !k->reputation.enabled || run->facts.trusted || !ip->family) return;
    size_t n = client_net(ip, k->reputation.ipv4_prefix, k->reputation.ipv6_prefix, net);
    store_count(e->store, slice_of(net, n), good, bad, k->reputation.keep);
}

/* The last recipient's key will do: all of a transaction have the same client and sender. */
void learn_grey_passed(struct policy_run *run, struct slice key)
{
    if (!run->grey_key.n) run->grey_key = arena_slice(&run->arenas[SCOPE_TRANSACTION], key);
}

static void tell(struct policy_run *run)
{
    count(run, run->untold, 0);
    run->untold = 0;
}

void policy_message_taken(struct policy_run *run)
{
    const struct policy_engine_options *e = &run->engine->o;
    run->taken++;
    if (++run->untold >= TELL_AFTER) tell(run);
    if (run->grey_key.n && e->store)
        store_put(e->store, STORE_AUTO_ALLOW, run->grey_key, SLICE(""), clock_wall_ms() + e->config->checks.greylist.allow_for);
    run->grey_key = SLICE("");
}

void learn_end(struct policy_run *run)
{
    if (run->untold) tell(run);
    if (run->rejected && !run->taken) count(run, 0, 1);
}
