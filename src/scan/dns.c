/* SPDX-License-Identifier: Apache-2.0
 * The DNS for a process that blocks: questions go out at once, on a loop that runs until all are answered or the time is up. */
#include <arpa/inet.h>
#include <event2/event.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/resolver.h"
#include "scan/parts.h"

struct scan_dns {
    struct event_base *base;
    struct resolver *resolver;
};

struct question {
    struct resolver_query *query;
    uint32_t *answer;
    size_t *open;
};

struct scan_dns *scan_dns_new(const struct config *c, struct err *err)
{
    struct scan_dns *d = mem_new(struct scan_dns);
    d->base = event_base_new();
    d->resolver = resolver_new(d->base, c, err);
    if (d->resolver) return d;
    scan_dns_free(d);
    return NULL;
}

void scan_dns_free(struct scan_dns *d)
{
    if (!d) return;
    if (d->resolver) resolver_free(d->resolver);
    event_base_free(d->base);
    free(d);
}

static void on_answer(void *arg, const struct resolver_answer *a)
{
    struct question *q = arg;
    q->query = NULL;
    --*q->open;
    if (a->status != RESOLVER_OK || !a->n || a->ips[0].family != 4) return;
    uint32_t v;
    memcpy(&v, a->ips[0].bytes, sizeof v);
    *q->answer = ntohl(v);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    *(bool *)arg = true;
}

void scan_dns_ask(void *dns, const char *const *names, uint32_t *answers, size_t n, uint64_t deadline)
{
    struct scan_dns *d = dns;
    uint64_t now = clock_mono_ms(), left = deadline > now ? deadline - now : 0;
    struct question *all = mem_zalloc((n + 1) * sizeof *all);
    size_t open = n;
    bool late = !left;
    struct event *timer = evtimer_new(d->base, on_time, &late);
    event_add(timer, &(struct timeval){ (time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000) });
    for (size_t i = 0; i < n; i++) {
        answers[i] = 0;
        all[i] = (struct question){ .answer = &answers[i], .open = &open };
        all[i].query = resolver_any(d->resolver, RESOLVER_ANY_A, slice_str(names[i]), on_answer, &all[i]);
    }
    while (open && !late) event_base_loop(d->base, EVLOOP_ONCE);
    for (size_t i = 0; i < n; i++) resolver_cancel(&all[i].query);
    event_free(timer);
    free(all);
}
