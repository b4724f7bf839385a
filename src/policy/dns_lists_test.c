/* SPDX-License-Identifier: Apache-2.0
 * The test points of lists in the DNS (RFC 5782 §5): each list is held against them at start, every hour or so, and before it is
 * believed again after it was off. A list that lists what no list may would refuse everybody's mail; one that does not list what it
 * must is no list any more. */
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/resolver.h"
#include "policy/dns_lists_parts.h"

#define EVERY_MS 3600000u

#define ADDRESSES CONFIG_DNS_LIST_CLIENT
#define NAMES (CONFIG_DNS_LIST_REVERSE | CONFIG_DNS_LIST_HELO | CONFIG_DNS_LIST_SENDER)

/* The IPv6 ones are ::FFFF:7F00:2 and ::FFFF:7F00:1, which struct ip would make IPv4 addresses. */
#define IPV6(digit) digit ".0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
static const struct {
    const char *label, *shown;
    uint32_t of;
} points[POINTS] = {
    [IPV4_LISTED] = { "2.0.0.127", "127.0.0.2", ADDRESSES },
    [IPV4_CLEAN] = { "1.0.0.127", "127.0.0.1", ADDRESSES },
    [IPV6_LISTED] = { IPV6("2"), "::FFFF:7F00:2", ADDRESSES },
    [IPV6_CLEAN] = { IPV6("1"), "::FFFF:7F00:1", ADDRESSES },
    [NAME_LISTED] = { "test", "TEST", NAMES },
    [NAME_CLEAN] = { "invalid", "INVALID", NAMES },
};

static void test_again_in(struct dns_list *l, uint64_t ms)
{
    struct timeval when = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    evtimer_add(l->timer, &when);
}

static void cancel_tests(struct dns_list *l)
{
    for (size_t i = 0; i < POINTS; i++) resolver_cancel(&l->tests[i].query);
    l->testing = 0;
}

/* ---- off and on */

void dns_list_switch_off(struct dns_list *l, const char *why, ...)
{
    uint64_t off_for = l->all->o.config->checks.dns_lists.off_for;
    bool was_off = l->state == DNS_LIST_OFF;
    va_list args;
    va_start(args, why);
    vsnprintf(l->reason, sizeof l->reason, why, args);
    va_end(args);
    cancel_tests(l);
    l->state = DNS_LIST_OFF;
    l->until = clock_wall_ms() + off_for;
    test_again_in(l, off_for);
    if (!was_off)
        log_event(LOG_WARNING, "dns-list-off", LOG_STR("zone", l->config->zone), LOG_STR("reason", l->reason),
                  LOG_NUM("seconds", off_for / 1000));
}

static void switch_on(struct dns_list *l)
{
    bool was_off = l->state == DNS_LIST_OFF;
    l->state = DNS_LIST_UP;
    l->failures = 0;
    l->reason[0] = 0;
    test_again_in(l, EVERY_MS + (uint64_t)(l - l->all->lists) % 60 * 10000); /* not all of them at the same time */
    if (was_off) log_event(LOG_WARNING, "dns-list-on", LOG_STR("zone", l->config->zone));
}

/* ---- what the test points said */

static bool is_addresses(const struct dns_list *l) { return l->of & ADDRESSES; }
static enum point_result result_of(const struct dns_list *l, enum point p) { return l->tests[p].result; }

static bool lists_what_it_may_not(struct dns_list *l)
{
    static const enum point clean[] = { IPV4_CLEAN, IPV6_CLEAN, NAME_CLEAN };
    for (size_t i = 0; i < countof(clean); i++)
        if (result_of(l, clean[i]) == POINT_LISTED) {
            dns_list_switch_off(l, "it lists %s, which no list may", points[clean[i]].shown);
            return true;
        }
    return false;
}

/* IPv6 is asked where its test point is listed, or the catalogue knows better. */
static bool fails(struct dns_list *l)
{
    static const enum point needed[] = { IPV4_LISTED, IPV4_CLEAN, NAME_LISTED, NAME_CLEAN };
    for (size_t i = 0; i < countof(needed); i++) {
        const struct dns_list_test *t = &l->tests[needed[i]];
        bool must = needed[i] == IPV4_LISTED || needed[i] == NAME_LISTED;
        if (t->result == POINT_FAILED) dns_list_switch_off(l, "asked for %s: %s", points[t->point].shown, t->reason);
        else if (t->result == POINT_CLEAN && must && l->tested)
            dns_list_switch_off(l, "it does not list its test point %s", points[t->point].shown);
        else continue;
        return true;
    }
    return false;
}

static void judge_tests(struct dns_list *l)
{
    if (lists_what_it_may_not(l) || fails(l)) return;
    l->ipv6 =
        is_addresses(l) && (result_of(l, IPV6_LISTED) == POINT_LISTED || (l->known ? l->known->ipv6 : !l->tested));
    switch_on(l);
}

static void on_answer(void *arg, const struct resolver_answer *a)
{
    static const struct dns_answers any = { .n = 0 };
    struct dns_list_test *t = arg;
    t->query = NULL;
    t->result = a->status == RESOLVER_OK ? POINT_LISTED : a->status == RESOLVER_TEMPFAIL ? POINT_FAILED : POINT_CLEAN;
    if (t->result == POINT_FAILED) snprintf(t->reason, sizeof t->reason, "%s", a->reason);
    for (size_t i = 0; i < a->n && t->result == POINT_LISTED; i++) {
        if (dns_answers_has(&any, &a->ips[i])) continue;
        struct buf b = { 0 };
        ip_add(&b, &a->ips[i]);
        t->result = POINT_FAILED;
        snprintf(t->reason, sizeof t->reason, "it answers %s, which is %s", buf_cstr(&b),
                 dns_answer_is_error(&a->ips[i]) ? "a refusal" : "no answer of a list");
        buf_deinit(&b);
    }
    if (--t->list->testing == 0) judge_tests(t->list);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct dns_list *l = arg;
    for (size_t i = 0; i < POINTS; i++) {
        struct dns_list_test *t = &l->tests[i];
        struct buf name = { 0 };
        *t = (struct dns_list_test){ .list = l, .point = (enum point)i };
        if (!(points[i].of & l->of)) continue;
        buf_addf(&name, "%s.%s", points[i].label, l->config->zone);
        t->result = POINT_ASKED;
        t->query = resolver_addresses(l->all->o.resolver, buf_slice(&name), true, false, on_answer, t);
        l->testing++;
        buf_deinit(&name);
    }
}

void dns_list_test_open(struct dns_list *l)
{
    l->timer = evtimer_new(l->all->o.base, on_timer, l);
    on_timer(-1, 0, l);
}

void dns_list_test_close(struct dns_list *l)
{
    cancel_tests(l);
    event_free(l->timer);
}
