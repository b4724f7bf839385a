/* SPDX-License-Identifier: Apache-2.0
 * Which connection sends what: ready parts go to idle connections; more are opened, one after the other, while there is more
 * ready than connections or something waits too long; and a destination that cannot be reached is left alone for a growing
 * time, then tried by a single connection while its messages stay parked. */
#include <event2/event.h>
#include "delivery/client.h"

#define BAD_SESSIONS 5         /* sessions in a row that ended without any result: the destination is down */
#define PATIENCE_MS 50         /* a part waits at most this long for a busy connection */
#define QUICK_TURN_US 5000     /* replies to a group of commands came within this time */
#define CROWDED_MS 30000       /* no more connections for so long when a host that serves us refuses another one */
#define NO_TLS_MS 1800000      /* a host with which TLS failed is offered none for so long: the reason may pass */
#define UNFIT_MS 60000         /* so long nobody asks again hosts that lack what REQUIRETLS asks for */
#define TARGET_BAD_MS 600000   /* a host that failed is passed over for so long while others serve */

static void arm(struct destination *d, uint64_t ms)
{
    event_add(d->timer, &(struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) });
}

static unsigned usable_n(const struct destination *d)
{
    return d->client_n - d->connecting_n;
}

void destination_kick(struct destination *d)
{
    if (list_linked(&d->kicked)) return;
    list_push_back(&d->q->kicked, &d->kicked);
    queue_kick(d->q);
}

/* ---- back-off */

/* No mail waits: somebody only wanted to know what is offered (ability.c). That it failed puts nobody's mail off. */
static bool is_only_asked(const struct destination *d)
{
    return d->asked_until && !d->ready_n && !d->probing && !d->client_n;
}

static void stop_asking(struct destination *d)
{
    d->asked_until = 0;
    targets_forgive(d);
}

void destination_block(struct destination *d, struct slice reason)
{
    const struct config_queue *c = &d->q->config->queue;
    if (is_only_asked(d)) {
        stop_asking(d);
        return;
    }
    if (d->asker) {
        verify_down(d, reason);
        return;
    }
    uint64_t delay = retry_delay(c->retry_first, c->retry_max, d->failures, queue_random(d->q));
    destination_set_reason(d, reason);
    d->failures++;
    d->failed_at = clock_mono_ms();
    d->retry_at = d->failed_at + delay;
    d->blocked = true;
    d->probing = false;
    d->bad_sessions = 0;
    list_remove(&d->refill);
    list_remove(&d->starved);
    log_event(LOG_INFO, "destination-down", LOG_STR("destination", d->hop.key), LOG_STR("reply", d->reason),
              LOG_NUM("failures", d->failures), LOG_NUM("again_ms", delay));
    arm(d, delay);
    while (!list_empty(&d->ready)) {
        struct part *p = list_entry(d->ready.next, struct part, link);
        destination_unready(p);
        part_blocked(p);
    }
}

static void unblock(struct destination *d)
{
    if (!d->blocked) return;
    d->blocked = d->probing = false;
    event_del(d->timer);
    targets_forgive(d);
    destination_want(d);
    destination_kick(d);
}

void destination_retry_now(struct destination *d)
{
    d->failures = 0;
    d->failed_at = clock_mono_ms();
    d->connect_after = 0;
    targets_forgive(d);
    if (d->refused) {
        d->refused = false;
        d->targets_until = 0;
    }
    unblock(d);
}

void destination_on_timer(int fd, short what, void *arg)
{
    struct destination *d = arg;
    if (!d->blocked) {
        d->impatient = true;
        destination_dispatch(d);
        d->impatient = false;
        return;
    }
    if (!d->parked_n || usable_n(d)) {
        unblock(d); /* the next message is the probe */
        return;
    }
    d->probing = true;
    targets_forgive(d);
    destination_dispatch(d);
}

/* ---- what connections tell */

static bool is_served_by(const struct destination *d, const struct route_target *host)
{
    list_each(node, &d->clients) {
        const struct client *c = list_entry(node, struct client, link);
        if (c->usable && ip_eq(&c->host.ip, &host->ip) && c->host.port == host->port) return true;
    }
    return false;
}

static void set_bad(const struct destination *d, struct target *t, uint64_t now, struct slice reason)
{
    t->bad_until = now + TARGET_BAD_MS;
    t->unfit = d->hop.require_tls && slice_starts(reason, SLICE("5.7."));
}

void destination_connect_failed(struct destination *d, const struct route_target *host, bool tls, struct slice reason)
{
    uint64_t now = clock_mono_ms();
    struct target *t = targets_find(d, host);
    log_event(is_only_asked(d) ? LOG_DEBUG : LOG_INFO, tls ? "tls-failed-trying-without" : "connection-failed",
              LOG_STR("destination", d->hop.key), LOG_TEXT("reply", reason));
    if (t && tls) t->no_tls_until = now + NO_TLS_MS;
    else if (is_served_by(d, host)) d->connect_after = now + CROWDED_MS;
    else {
        if (t) set_bad(d, t, now, reason);
        destination_set_reason(d, reason);
        if (is_only_asked(d) && d->asked_until <= now) stop_asking(d);
    }
    if (d->asker) verify_host_failed(d);
    destination_kick(d); /* the next host's turn */
}

void destination_connected(struct destination *d)
{
    d->connecting_n--;
    if (d->ready_n || verify_waits(d)) destination_kick(d); /* it works: there may be more */
    if (!d->probing) return; /* one that was under way when sessions failed proves nothing */
    log_event(LOG_INFO, "destination-up", LOG_STR("destination", d->hop.key));
    unblock(d);
}

void destination_session_failed(struct destination *d, struct slice reason)
{
    if (d->blocked || ++d->bad_sessions < BAD_SESSIONS) return;
    destination_block(d, reason);
}

/* In front of all others, or the one that just let go of a connection might have it again. */
void destination_wake_starved(struct queue *q)
{
    struct list *node;
    while ((node = list_pop_front(&q->starved))) {
        struct destination *d = list_entry(node, struct destination, starved);
        if (!d->ready_n && !d->probing && !verify_waits(d)) continue;
        list_remove(&d->kicked);
        list_push_front(&q->kicked, &d->kicked);
        queue_kick(q);
        return;
    }
}

void destination_client_gone(struct destination *d, bool usable)
{
    struct queue *q = d->q;
    d->client_n--;
    if (!usable) d->connecting_n--;
    d->idle_since = clock_mono_ms();
    q->connections--;
    destination_wake_starved(q);
    if (d->ready_n || d->probing || verify_waits(d)) destination_kick(d);
    if (q->draining) queue_kick(q);
}

/* ---- dispatch */

static void refuse_ready(struct destination *d)
{
    while (!list_empty(&d->ready)) {
        struct part *p = list_entry(d->ready.next, struct part, link);
        struct work *w = p->work;
        struct buf room = { 0 };
        destination_unready(p);
        log_event(LOG_INFO, "bounced", LOG_ID(w->m->spool.id), LOG_TEXT("to", w->env.rcpts[p->first]),
                  LOG_NUM("recipients", p->n), LOG_STR("destination", d->hop.key), LOG_STR("reply", d->reason),
                  work_for(w, p->first, &room));
        buf_deinit(&room);
        PART_EACH(i, p) history_tell_failed(w, i, slice_str(d->reason));
        part_result_all(p, RCPT_FAILED, slice_str(d->reason));
        part_done(p);
    }
}

/* More than the connections at hand can take at once; and growing with what is found to work. */
static bool wants_connection(struct destination *d)
{
    unsigned most = d->q->config->delivery.connections, usable = usable_n(d);
    uint64_t now = clock_mono_ms();
    if (d->asker) return verify_wants_connection(d);
    if (d->blocked) return d->probing && !d->client_n;
    if (!d->ready_n && d->asked_until > now) return !d->client_n;
    if (!d->ready_n || d->ready_n <= d->connecting_n || (most && d->client_n >= most)) return false;
    if (d->connecting_n >= (usable ? usable : 1)) return false;
    if (usable && d->connect_after > now) {
        if (!event_pending(d->timer, EV_TIMEOUT, NULL)) arm(d, d->connect_after - now);
        return false;
    }
    if (!usable || d->ready_n > d->client_n) return true;
    const struct part *oldest = list_entry(d->ready.next, struct part, link);
    if (d->impatient && now - oldest->ready_at >= PATIENCE_MS) return true;
    if (!event_pending(d->timer, EV_TIMEOUT, NULL)) arm(d, PATIENCE_MS);
    return false;
}

/* Where replies come at once a part goes with the next text of a busy connection rather than alone over an idle one: that is one
 * write and one read for a message instead of two, and costs it no more than a turn. */
static bool can_wait(struct destination *d)
{
    if (d->impatient || d->turn_us > QUICK_TURN_US || d->ready_n > d->soon_n) return false;
    if (!event_pending(d->timer, EV_TIMEOUT, NULL)) arm(d, PATIENCE_MS);
    return true;
}

static bool has_slot(struct destination *d)
{
    struct queue *q = d->q;
    if (q->connections < q->config->delivery.connections_total) return true;
    if (!list_empty(&q->idle)) { /* an idle one makes room */
        client_quit(list_entry(q->idle.next, struct client, lru_link));
        return true;
    }
    if (!list_linked(&d->starved)) list_push_back(&q->starved, &d->starved);
    return false;
}

static bool are_all_unfit(const struct destination *d)
{
    for (size_t i = 0; i < d->target_n; i++)
        if (!d->targets[i].unfit) return false;
    return d->target_n > 0;
}

/* RFC 8689 §4.2.1: no host has what REQUIRETLS asks for, so the mail goes back. */
static void refuse_all(struct destination *d)
{
    d->refused = true;
    d->blocked = d->probing = false;
    d->targets_until = clock_mono_ms() + UNFIT_MS;
    targets_forgive(d);
    destination_want(d);
    destination_kick(d);
}

/* No host is left to try. */
static void round_failed(struct destination *d)
{
    if (d->client_n) d->connect_after = clock_mono_ms() + CROWDED_MS;
    else if (are_all_unfit(d)) refuse_all(d);
    else destination_block(d, slice_str(d->reason));
}

/* False: none can be opened, or what must be known of TLS first is being looked up, which dispatches again. */
static bool open_one(struct destination *d)
{
    size_t at;
    struct err err;
    uint64_t now = clock_mono_ms();
    while (targets_pick(d, now, &at)) {
        struct target *t = &d->targets[at];
        struct buf why = { 0 };
        if (!client_tls_ready(d, t)) return false;
        if (client_tls_allowed(d, t, &why)) {
            if (client_open(d, t, &err)) return true;
            targets_add_reason(&t->t, "4.4.1", &why);
            buf_add_str(&why, err.text);
        } else
            log_event(LOG_INFO, "host-not-used", LOG_STR("destination", d->hop.key), LOG_TEXT("reply", buf_slice(&why)));
        set_bad(d, t, now, buf_slice(&why));
        destination_set_reason(d, buf_slice(&why));
        buf_deinit(&why);
    }
    round_failed(d);
    return false;
}

void destination_dispatch(struct destination *d)
{
    struct queue *q = d->q;
    if (q->draining && !d->asker) return;
    if (route_is_maildir(&d->hop)) {
        maildir_dispatch(d);
        return;
    }
    if (d->refused && d->targets_until <= clock_mono_ms()) d->refused = false;
    if (d->refused) {
        refuse_ready(d);
        verify_refused(d);
        destination_want(d);
        return;
    }
    while (d->ready_n && !list_empty(&d->idle) && !can_wait(d)) client_next(list_entry(d->idle.next, struct client, idle_link));
    while (verify_waits(d) && !list_empty(&d->idle)) client_next(list_entry(d->idle.next, struct client, idle_link));
    while (wants_connection(d))
        if (!targets_ready(d) || !has_slot(d) || !open_one(d)) break;
}
