/* SPDX-License-Identifier: Apache-2.0
 * Reputation: what was thought of the mail of the client's network so far. By itself it only adds to the score. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "policy/checks.h"
#include "policy/client_net.h"
#include "policy/learn.h"
#include "policy/memo.h"
#include "store/store.h"

#define MEMO_MS 60000
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
    if (all + 0.5 >= KNOWN_MIN) check_learn(c)->reputation = (uint8_t)(percent + 1);
    if (all + 0.5 < KNOWN_MIN) check_pass(c, "little is known of its network");
    else if (k->reputation.reject_below && all + 0.5 >= REJECT_MIN && percent < k->reputation.reject_below)
        check_refuse(c, 554, "5.7.1", (struct config_place){ 0 }, "too much unwanted mail came from your network",
                     "%u %% of %.0f verdicts on its network were good, %u %% are wanted", percent, all, k->reputation.reject_below);
    else
        check_score(c, (int)(SCORE_MAX * (bad - good) / all), (struct config_place){ 0 },
                    "%u %% of %.0f verdicts on its network were good", percent, all);
}

static struct slice net_of(const struct check_call *c, char room[17])
{
    const struct config_checks *k = &check_engine(c)->config->checks;
    return slice_of(room, client_net(&check_facts(c)->client.ip, k->reputation.ipv4_prefix, k->reputation.ipv6_prefix, room));
}

static void on_answer(void *arg, const struct store_answer *a)
{
    struct check_call *c = ((struct ask *)arg)->call;
    ((struct ask *)arg)->request = NULL;
    done(c);
    if (a->status == STORE_GONE) {
        check_skip(c, "the store does not answer");
        return;
    }
    float verdicts[2] = { a->status == STORE_FOUND ? (float)a->good : 0, a->status == STORE_FOUND ? (float)a->bad : 0 };
    uint64_t value;
    char net[17];
    memcpy(&value, verdicts, sizeof value);
    if (!check_dry(c)) memo_put(check_parts(c)->memo, MEMO_REPUTATION, net_of(c, net), value, clock_mono_ms() + MEMO_MS);
    conclude(c, verdicts[0], verdicts[1]);
}

static void run(struct check_call *c)
{
    const struct policy_engine_options *e = check_engine(c);
    char net[17];
    float verdicts[2];
    uint64_t value;
    if (!e->store || !check_facts(c)->client.ip.family) {
        check_skip(c, "nothing is remembered");
        return;
    }
    if (memo_get(check_parts(c)->memo, MEMO_REPUTATION, net_of(c, net), clock_mono_ms(), &value)) {
        memcpy(verdicts, &value, sizeof verdicts);
        conclude(c, verdicts[0], verdicts[1]);
        return;
    }
    struct ask *a = c->own = mem_new(struct ask);
    a->call = c;
    a->request = store_get(e->store, STORE_REPUTATION, net_of(c, net), on_answer, a);
}

const struct check check_reputation = { .place_offset = offsetof(struct config, checks.reputation.place), .name = "reputation", .stage = STAGE_CONNECT, .step = 2, .whom = FOR_STRANGERS,
                                        .judges_history = true, .spared_by = ALLOW_CLIENT, .wanted = wanted, .run = run, .cancel = done };
