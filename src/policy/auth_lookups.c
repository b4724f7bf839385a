/* SPDX-License-Identifier: Apache-2.0
 * Look-ups of mail authentication: with each answer all checks that wait are tried again, and their time is limited. Signatures take
 * up to a millisecond each, those of somebody who means harm more: they are spread over turns of the loop. */
#include "policy/auth_lookups.h"
#include <event2/event.h>
#include <stdlib.h>
#include "base/mem.h"
#include "net/mailauth_dns.h"

#define KEYS_PER_TURN 2

struct waiting {
    struct check_call *call;     /* NULL: free */
    void (*go_on)(struct check_call *c);
};
struct auth_lookups {
    const struct policy_engine_options *engine;
    struct mailauth_dns dns;
    struct lookups *set;
    struct event *timer;         /* NULL: no limit yet */
    bool *gone;                  /* of a wake() under way */
    unsigned keys;               /* told in this turn */
    struct event *turn;          /* the next one; NULL: nobody needed it yet */
    struct waiting waiting[AUTH_WAITING_MAX];
};

/* What a check answers may end all of this. */
static void wake(void *arg)
{
    struct auth_lookups *l = arg;
    bool gone = false;
    l->gone = &gone;
    for (size_t i = 0; i < AUTH_WAITING_MAX; i++) {
        struct waiting w = l->waiting[i];
        if (!w.call) continue;
        l->waiting[i].call = NULL;
        w.go_on(w.call);
        if (gone) return;
    }
    l->gone = NULL;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct auth_lookups *l = arg;
    lookups_give_up(l->set);
    wake(l);
}

struct auth_lookups *auth_lookups_new(const struct policy_engine_options *e)
{
    struct auth_lookups *l = mem_new(struct auth_lookups);
    l->engine = e;
    l->dns = (struct mailauth_dns){ .resolver = e->resolver, .on_answer = wake, .arg = l };
    struct lookups_calls calls = mailauth_dns_calls(&l->dns);
    l->set = lookups_new(&calls);
    return l;
}

void auth_lookups_free(struct auth_lookups **lp)
{
    struct auth_lookups *l = *lp;
    *lp = NULL;
    if (!l) return;
    if (l->gone) *l->gone = true;
    if (l->timer) event_free(l->timer);
    if (l->turn) event_free(l->turn);
    lookups_free(&l->set);
    free(l);
}

struct auth_dns auth_lookups_dns(struct auth_lookups *l) { return lookups_dns(l->set); }

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct auth_lookups *l = arg;
    l->keys = 0;
    wake(l);
}

static const struct auth_dns_answer *get_key(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip)
{
    static const struct timeval at_once = { 0, 0 };
    struct auth_lookups *l = arg;
    struct auth_dns dns = lookups_dns(l->set);
    const struct auth_dns_answer *a = dns.get(dns.arg, type, name, ip);
    if (!a || l->keys++ < KEYS_PER_TURN) return a;
    if (!l->turn && !(l->turn = evtimer_new(l->engine->base, on_turn, l))) abort(); /* as mem_alloc */
    evtimer_add(l->turn, &at_once);
    return NULL;
}

struct auth_dns auth_lookups_keys(struct auth_lookups *l) { return (struct auth_dns){ .get = get_key, .arg = l }; }

void auth_lookups_limit(struct auth_lookups *l)
{
    uint64_t ms = l->engine->config->checks.authentication_timeout;
    struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    if (l->timer) return;
    l->timer = evtimer_new(l->engine->base, on_timer, l);
    if (!l->timer) abort(); /* as mem_alloc */
    evtimer_add(l->timer, &tv);
}

bool auth_lookups_open(const struct auth_lookups *l)
{
    return lookups_pending(l->set) || (l->turn && evtimer_pending(l->turn, NULL));
}

void auth_lookups_wait(struct auth_lookups *l, struct check_call *c, void (*go_on)(struct check_call *c))
{
    size_t i = 0;
    while (i < AUTH_WAITING_MAX && l->waiting[i].call) i++;
    if (i == AUTH_WAITING_MAX) abort(); /* there are fewer checks than that */
    l->waiting[i] = (struct waiting){ c, go_on };
}

void auth_lookups_forget(struct auth_lookups *l, const struct check_call *c)
{
    for (size_t i = 0; i < AUTH_WAITING_MAX; i++)
        if (l->waiting[i].call == c) l->waiting[i].call = NULL;
}
