/* SPDX-License-Identifier: Apache-2.0
 * The queue's life: its clock, its pump, draining and the end. What happens to a message is in intake.c (it comes in), work.c
 * (it is worked on) and result.c (what follows from that). */
#include "delivery/client.h"
#include <event2/event.h>
#include <stdlib.h>
#include <sys/random.h>

#define TICK_MS 1000
#define SET_BACK_MS 60000 /* a wall clock set back by less than this is none of our business */

/* Results of works that still go on: at most a second of them is forgotten in a crash, and then delivered twice. */
static void save_results(struct queue *q)
{
    struct list *node;
    while ((node = list_pop_front(&q->unsaved))) work_save(list_entry(node, struct work, link));
}

static void quit_idle(struct queue *q, uint64_t since)
{
    while (!list_empty(&q->idle)) {
        struct client *c = list_entry(q->idle.next, struct client, lru_link);
        if (c->idle_since > since) break;
        client_quit(c);
    }
}

/* Nobody is to wait for a moment that was near and is far now. */
static void look_at_clock(struct queue *q)
{
    uint64_t now = clock_wall_ms(), before = q->wall_ms;
    q->wall_ms = now;
    if (now + SET_BACK_MS > before) return;
    log_event(LOG_WARNING, "clock-set-back", LOG_NUM("ms", before - now));
    list_each(node, &q->all) {
        struct message *m = list_entry(node, struct message, all);
        if (m->state == MESSAGE_DEFERRED && queue_is_absurd(q, m->next_try, now)) message_due(m);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct queue *q = arg;
    uint64_t now = clock_mono_ms(), keep = q->config->delivery.idle;
    save_results(q);
    look_at_clock(q);
    quit_idle(q, now > keep ? now - keep : 0);
    destination_collect(q);
    queue_kick(q); /* also for a wall clock that was set, and for the end of draining */
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct queue *q = arg;
    q->timer_at = 0;
    queue_kick(q);
}

static void close_empty_homes(struct queue *q)
{
    list_each_safe(node, &q->homes) {
        struct home *h = list_entry(node, struct home, link);
        if (!h->adopted || !h->recovered || h->messages || h->loads) continue;
        log_event(LOG_INFO, "adopted-spool-empty");
        list_remove(&h->link);
        struct spool *sp = h->sp;
        spool_close(sp);
        if (h->on_empty) h->on_empty(h->arg, sp);
        free(h);
    }
}

static void check_drained(struct queue *q)
{
    if (!q->draining || !q->on_idle) return;
    if ((q->commits || q->connections || q->handings || !list_empty(&q->signing)) && clock_mono_ms() < q->drain_until) return;
    void (*on_idle)(void *arg) = q->on_idle;
    q->on_idle = NULL;
    save_results(q);
    on_idle(q->idle_arg); /* may free the queue */
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
    struct queue *q = arg;
    struct list now = { 0 }, *node;
    q->pump_pending = false;
    /* What is kicked meanwhile waits for the next turn. */
    list_init(&now);
    while ((node = list_pop_front(&q->kicked))) list_push_back(&now, node);
    while ((node = list_pop_front(&now))) destination_dispatch(list_entry(node, struct destination, kicked));
    while ((node = list_pop_front(&q->pumping))) list_push_back(&now, node);
    while ((node = list_pop_front(&now))) client_text_more(list_entry(node, struct client, pump_link));
    queue_fill(q);
    close_empty_homes(q);
    check_drained(q);
}

/* A timer of no time rather than an active event: input and output get their turn in between. */
void queue_kick(struct queue *q)
{
    if (q->pump_pending || q->dead) return;
    q->pump_pending = true;
    event_add(q->pump, &(struct timeval){ 0, 0 });
}

uint32_t queue_random(struct queue *q)
{
    uint32_t v = 0;
    if (getrandom(&v, sizeof v, 0) != (ssize_t)sizeof v) v = (uint32_t)clock_mono_us();
    return v;
}

struct queue *queue_new(const struct queue_options *o)
{
    struct queue *q = mem_new(struct queue);
    q->o = *o;
    q->config = o->config;
    q->routes = route_table_new(o->config);
    q->pump = evtimer_new(o->base, on_pump, q);
    q->timer = evtimer_new(o->base, on_timer, q);
    q->tick = event_new(o->base, -1, EV_PERSIST, on_tick, q);
    if (!q->pump || !q->timer || !q->tick) abort();
    event_add(q->tick, &(struct timeval){ TICK_MS / 1000, 0 });
    struct list *heads[] = { &q->homes, &q->all, &q->due, &q->spare_works, &q->signing, &q->unsaved, &q->refill,
                             &q->kicked, &q->idle, &q->pumping, &q->starved, &q->ops };
    for (size_t i = 0; i < countof(heads); i++) list_init(heads[i]);
    labels_init(&q->reasons);
    labels_init(&q->names);
    htable_init(&q->destinations, destination_hash);
    return q;
}

void queue_drain(struct queue *q, uint64_t ms, void (*on_idle)(void *arg), void *arg)
{
    q->draining = true;
    q->drain_until = clock_mono_ms() + ms;
    q->on_idle = on_idle;
    q->idle_arg = arg;
    event_del(q->timer);
    quit_idle(q, UINT64_MAX);
    size_t at = 0;
    for (struct destination *d; (d = htable_next(&q->destinations, &at));)
        list_each_safe(node, &d->clients) {
            struct client *c = list_entry(node, struct client, link);
            if (!c->usable) client_free(c); /* still connecting: nothing was promised */
        }
    queue_kick(q);
    if (ms < TICK_MS) { /* the tick would come late */
        struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
        event_add(q->timer, &tv);
    }
}

static void free_works(struct queue *q)
{
    list_each(node, &q->all) {
        struct message *m = list_entry(node, struct message, all);
        if (m->work && m->state == MESSAGE_ACTIVE) work_free(m->work);
    }
    while (!list_empty(&q->spare_works)) {
        struct work *w = list_entry(list_pop_front(&q->spare_works), struct work, link);
        arena_deinit(&w->arena);
        free(w);
    }
}

/* Clients let go of their parts without a verdict: whoever takes over the spool tries again. */
static void free_clients(struct queue *q)
{
    size_t at = 0;
    for (struct destination *d; (d = htable_next(&q->destinations, &at));) {
        maildir_stop(d);
        while (!list_empty(&d->clients)) {
            struct client *c = list_entry(d->clients.next, struct client, link);
            c->ending = NULL;
            client_set_sending(c, NULL);
            client_free(c);
        }
    }
}

void queue_stop(struct queue *q)
{
    if (q->dead) return;
    save_results(q);
    own_give_up_signing(q);
    q->draining = q->dead = true;
    control_free_all(q);
    free_clients(q);
    free_works(q);
}

/* The spools were closed: nobody calls back for what was on its way to them. */
static void forget_commits(struct queue *q)
{
    list_each_safe(node, &q->all) {
        struct message *m = list_entry(node, struct message, all);
        if (m->state != MESSAGE_INCOMING) continue;
        work_free(m->work);
        message_free(m);
    }
    q->commits = 0;
    free_works(q);
}

void queue_free(struct queue *q)
{
    if (!q) return;
    if (q->dead) forget_commits(q);
    queue_stop(q);
    list_each_safe(node, &q->all) {
        struct message *m = list_entry(node, struct message, all);
        if (m->state != MESSAGE_INCOMING) message_free(m);
    }
    size_t at = 0;
    for (struct destination *d; (d = htable_next(&q->destinations, &at));) destination_free(d);
    htable_deinit(&q->destinations);
    ability_free(q);
    labels_deinit(&q->reasons);
    labels_deinit(&q->names);
    route_table_free(q->routes);
    free(q->heap.slots);
    q->heap = (struct heap){ 0 };
    buf_deinit(&q->scratch);
    event_free(q->pump);
    event_free(q->timer);
    event_free(q->tick);
    if (q->commits) return; /* the last commit's callback frees what the spool still writes to */
    list_each_safe(node, &q->homes) free(list_entry(node, struct home, link));
    free(q);
}
