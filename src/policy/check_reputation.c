/* SPDX-License-Identifier: Apache-2.0
 * Reputation: what was thought of the mail of the client's network so far. By itself it only adds to the score. */
#include <stdlib.h>
#include "base/mem.h"
#include "policy/checks.h"
#include "policy/client_net.h"
#include "policy/learn.h"
#include "store/store.h"

#define KNOWN_MIN 5     /* verdicts without which nothing is concluded */
#define REJECT_MIN 20   /* and without which nobody is refused */
#define SCORE_MAX 5

struct ask {
    struct check_call *call;
    struct store_request *request;
};

static bool wanted(const struct config *c, const struct policy *p) { return c->checks.reputation.enabled; }

static void done(struct check_call *c)
{
    struct ask *a = c->own;
    c->own = NULL;
    store_cancel(&a->request);
    free(a);
}

static void conclude(struct check_call *c, double good, double bad)
{
    const struct config_checks *k = &check_engine(c)->config->checks;
    double all = good + bad;
    unsigned percent = all > 0 ? (unsigned)(100 * good / all) : 0;
    if (all < KNOWN_MIN) check_pass(c, "little is known of its network");
    else if (k->reputation.reject_below && all >= REJECT_MIN && percent < k->reputation.reject_below)
        check_refuse(c, 554, "5.7.1", (struct config_place){ 0 }, "too much unwanted mail came from your network",
                     "%u %% of %.0f verdicts on its network were good, %u %% are wanted", percent, all, k->reputation.reject_below);
    else
        check_score(c, (int)(SCORE_MAX * (bad - good) / all), (struct config_place){ 0 },
                    "%u %% of %.0f verdicts on its network were good", percent, all);
}

static void on_answer(void *arg, const struct store_answer *a)
{
    struct check_call *c = ((struct ask *)arg)->call;
    ((struct ask *)arg)->request = NULL;
    done(c);
    if (a->status == STORE_GONE) check_skip(c, "the store does not answer");
    else conclude(c, a->status == STORE_FOUND ? a->good : 0, a->status == STORE_FOUND ? a->bad : 0);
}

static void run(struct check_call *c)
{
    const struct policy_engine_options *e = check_engine(c);
    const struct config_checks *k = &e->config->checks;
    const struct ip *ip = &check_facts(c)->client.ip;
    char net[17];
    if (!e->store || !ip->family) {
        check_skip(c, "nothing is remembered");
        return;
    }
    struct ask *a = c->own = mem_new(struct ask);
    a->call = c;
    size_t n = client_net(ip, k->reputation.ipv4_prefix, k->reputation.ipv6_prefix, net);
    a->request = store_get(e->store, STORE_REPUTATION, slice_of(net, n), on_answer, a);
}

const struct check check_reputation = { .name = "reputation", .stage = STAGE_CONNECT, .step = 2, .whom = FOR_STRANGERS,
                                        .judges_history = true, .spared_by = ALLOW_CLIENT, .wanted = wanted, .run = run, .cancel = done };
