/* SPDX-License-Identifier: Apache-2.0
 * The greeting pause: who cannot wait for the greeting is no mail server. It is told at RCPT. Who waited is greeted at once for a
 * while. */
#include <event2/event.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "policy/checks.h"
#include "config/list.h"
#include "policy/memo.h"
#include "store/store.h"

#define MEMO_MS 600000

struct pause {
    struct check_call *call;
    struct store_request *request;
    struct event *timer;
};

static bool wanted(const struct config *c, const struct policy *p) { return c->checks.greeting_pause.enabled; }

static void done(struct check_call *c)
{
    struct pause *p = c->own;
    c->own = NULL;
    store_cancel(&p->request);
    if (p->timer) event_free(p->timer);
    free(p);
}

static struct slice key_of(const struct ip *ip) { return slice_of(ip->bytes, ip->family == 6 ? 8 : 4); }

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct check_call *c = ((struct pause *)arg)->call;
    const struct policy_engine_options *e = check_engine(c);
    const struct check_facts *f = check_facts(c);
    uint64_t ms = e->config->checks.greeting_pause.pause, keep = e->config->checks.greeting_pause.exempt_for;
    done(c);
    if (f->talked_first) {
        check_refuse(c, 550, "5.5.1", (struct config_place){ 0 }, "protocol error: you talked before you were greeted",
                     "it talked within the pause of %llu ms", (unsigned long long)ms);
        return;
    }
    if (e->store && keep) store_put(e->store, STORE_PAUSE, key_of(&f->client.ip), SLICE(""), clock_wall_ms() + keep);
    check_pass(c, "it waited %llu ms", (unsigned long long)ms);
}

static void begin(struct check_call *c)
{
    const struct policy_engine_options *e = check_engine(c);
    uint64_t ms = e->config->checks.greeting_pause.pause;
    struct timeval t = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    struct pause *p = c->own;
    if (check_dry(c)) {
        done(c);
        check_pass(c, "it would have to wait %llu ms", (unsigned long long)ms);
        return;
    }
    p->timer = evtimer_new(e->base, on_timer, p);
    evtimer_add(p->timer, &t);
}

static void on_answer(void *arg, const struct store_answer *a)
{
    struct check_call *c = ((struct pause *)arg)->call;
    ((struct pause *)arg)->request = NULL;
    if (a->status != STORE_FOUND) {
        begin(c);
        return;
    }
    uint64_t now = clock_wall_ms(), left = a->expires > now ? a->expires - now : 0;
    if (!check_dry(c))
        memo_put(check_parts(c)->memo, MEMO_PAUSE, key_of(&check_facts(c)->client.ip), 0,
                 clock_mono_ms() + (left < MEMO_MS ? left : MEMO_MS));
    done(c);
    check_pass(c, "it waited lately");
}

static void run(struct check_call *c)
{
    const struct policy_engine_options *e = check_engine(c);
    const struct ip *ip = &check_facts(c)->client.ip;
    struct list_found found;
    list_find_ip(check_lists(c)->pause_exempt, ip, &found);
    if (found.kind) {
        check_skip(c, "exempt: %s", found.entry->match);
        return;
    }
    uint64_t nothing;
    if (memo_get(check_parts(c)->memo, MEMO_PAUSE, key_of(ip), clock_mono_ms(), &nothing)) {
        check_pass(c, "it waited lately");
        return;
    }
    struct pause *p = c->own = mem_new(struct pause);
    p->call = c;
    if (e->store && ip->family) p->request = store_get(e->store, STORE_PAUSE, key_of(ip), on_answer, p);
    else begin(c);
}

const struct check check_greeting_pause = { .place_offset = offsetof(struct config, checks.greeting_pause.place), .name = "greeting-pause", .stage = STAGE_CONNECT, .whom = FOR_STRANGERS,
                                            .holds_up = true, .wanted = wanted, .run = run, .cancel = done };
