/* SPDX-License-Identifier: Apache-2.0
 * What is in trouble, found in the figures; begun and ended by comparing with what was before. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include "admin/figures.h"
#include "admin/internal.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define PERIOD_SECONDS 5
#define FIRST_SECONDS 2
#define TROUBLES_MAX 200
#define EXPIRES_SOON_MS (14 * 86400000LL)

struct health {
    struct admin *admin;
    struct event *timer;
    json_t *known;  /* "kind/name": {"kind", "name", "reason", "queue", "since"} */
    bool asking, gone;
};

/* ---- finding */

static void found(json_t *all, bool queue, const char *kind, struct slice name, struct slice reason)
{
    if (json_array_size(all) >= TROUBLES_MAX || !name.p) return;
    json_t *one = json_pack("{s:b, s:s, s:s%, s:s%}", "queue", queue, "kind", kind, "name", name.p, name.n, "reason", reason.p ? reason.p : "",
                            reason.n);
    if (one) json_array_append_new(all, one);
}

static void find_elsewhere(json_t *all, const json_t *first)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(first, "scan"), "scanners"), i, one)
        if (json_is_true(json_object_get(one, "paused"))) found(all, false, "scanner", json_text(one, "name"), json_text(one, "error"));
    json_array_foreach(json_object_get(json_object_get(first, "policy"), "dns_lists"), i, one)
        if (slice_eq(json_text(one, "state"), SLICE("off"))) found(all, false, "dns-list", json_text(one, "zone"), json_text(one, "reason"));
    json_array_foreach(json_object_get(json_object_get(first, "tables"), "broken"), i, one) {
        struct slice name = json_text(one, "table"), other = json_text(one, "name");
        found(all, false, "table", name.p ? name : other, json_text(one, "error"));
    }
}

static void find_certificates(json_t *all, const json_t *figures, json_int_t now)
{
    const json_t *one;
    char text[80];
    size_t i;
    json_array_foreach(json_object_get(figures, "certificates"), i, one) {
        json_int_t left = json_integer_value(json_object_get(one, "not_after")) - now;
        if (left > EXPIRES_SOON_MS) continue;
        if (left > 0) snprintf(text, sizeof text, "it ends in %lld days", (long long)(left / 86400000));
        else snprintf(text, sizeof text, "it has ended");
        found(all, false, "certificate", json_text(one, "name"), slice_str(text));
    }
}

static void find_queue(json_t *all, const json_t *figures)
{
    const json_t *one, *marks = json_object_get(figures, "marks");
    json_int_t messages = 0, oldest = 0, most = json_integer_value(json_object_get(marks, "messages")), age = json_integer_value(json_object_get(marks, "age"));
    bool full = false;
    size_t i;
    char text[80];
    json_array_foreach(json_object_get(figures, "figures"), i, one) {
        const json_t *queue = json_object_get(one, "queue");
        json_int_t its = json_integer_value(json_object_get(queue, "oldest"));
        messages += json_integer_value(json_object_get(queue, "messages"));
        if (its > oldest) oldest = its;
        full |= json_is_true(json_object_get(json_object_get(one, "spool"), "full"));
    }
    snprintf(text, sizeof text, "%lld messages", (long long)messages);
    if (most && messages >= most) found(all, true, "queue", SLICE("size"), slice_str(text));
    snprintf(text, sizeof text, "a message waits for %lld hours", (long long)(oldest / 3600000));
    if (age && oldest >= age) found(all, true, "queue", SLICE("age"), slice_str(text));
    if (full) found(all, true, "disk", SLICE("spool"), SLICE("too little is free: new mail is put off with 452"));
}

static void find_store(json_t *all, const json_t *store)
{
    const json_t *quarantine = json_object_get(store, "quarantine");
    if (!store) return;
    if (json_is_false(json_object_get(store, "writing"))) found(all, false, "store", SLICE("database"), SLICE("it cannot be written"));
    if (json_is_true(json_object_get(quarantine, "full"))) found(all, true, "disk", SLICE("quarantine"), SLICE("it is full, or its disk is"));
}

/* What is there at the moment, an array, the caller's: [{"queue": bool, "kind", "name", "reason"}]. */
static json_t *find_all(const json_t *figures, json_int_t now)
{
    json_t *all = json_array();
    find_elsewhere(all, json_array_get(json_object_get(figures, "figures"), 0));
    find_certificates(all, figures, now);
    find_queue(all, figures);
    find_store(all, json_object_get(figures, "store"));
    return all;
}

/* ---- comparing */

static void begin(struct health *h, const char *key, json_t *one, json_int_t now)
{
    bool queue = json_is_true(json_object_get(one, "queue"));
    json_object_set_new(one, "since", json_integer(now));
    json_object_set(h->known, key, one);
    log_event(LOG_WARNING, queue ? "queue-trouble" : "trouble", LOG_TEXT("kind", json_text(one, "kind")), LOG_TEXT("name", json_text(one, "name")),
              LOG_TEXT("reason", json_text(one, "reason")), LOG_STR("state", "begin"));
}

static void over(const json_t *one, json_int_t now)
{
    bool queue = json_is_true(json_object_get(one, "queue"));
    json_int_t ms = now - json_integer_value(json_object_get(one, "since"));
    log_event(LOG_WARNING, queue ? "queue-trouble-over" : "trouble-over", LOG_TEXT("kind", json_text(one, "kind")),
              LOG_TEXT("name", json_text(one, "name")), LOG_NUM("seconds", ms > 0 ? ms / 1000 : 0), LOG_STR("state", "end"));
}

static void compare(struct health *h, const json_t *all, json_int_t now)
{
    json_t *seen = json_object(), *one;
    const char *key;
    void *next;
    size_t i;
    json_array_foreach(all, i, one) {
        char name[400];
        snprintf(name, sizeof name, "%.20s/%.300s", json_string_value(json_object_get(one, "kind")), json_string_value(json_object_get(one, "name")));
        json_object_set_new(seen, name, json_true());
        if (!json_object_get(h->known, name)) begin(h, name, one, now);
    }
    json_object_foreach_safe(h->known, next, key, one) {
        if (json_object_get(seen, key)) continue;
        over(one, now);
        json_object_del(h->known, key);
    }
    json_decref(seen);
}

/* ---- life */

static void health_free(struct health *h)
{
    json_decref(h->known);
    free(h);
}

static void on_figures(void *arg, const json_t *all)
{
    struct health *h = arg;
    h->asking = false;
    if (h->gone) {
        health_free(h);
        return;
    }
    json_int_t now = (json_int_t)clock_wall_ms();
    if (!json_array_size(json_object_get(all, "figures"))) return; /* nobody is there yet, or any more: nothing is known */
    json_t *found_now = find_all(all, now);
    compare(h, found_now, now);
    json_decref(found_now);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct health *h = arg;
    event_add(h->timer, &(struct timeval){ PERIOD_SECONDS, 0 });
    if (h->asking) return;
    h->asking = true;
    figures_ask(h->admin, on_figures, h);
}

struct health *health_open(struct admin *a)
{
    struct health *h = mem_new(struct health);
    *h = (struct health){ .admin = a, .known = json_object() };
    h->timer = evtimer_new(a->base, on_timer, h);
    event_add(h->timer, &(struct timeval){ FIRST_SECONDS, 0 });
    return h;
}

void health_close(struct health **hp)
{
    struct health *h = *hp;
    *hp = NULL;
    if (!h) return;
    event_free(h->timer);
    h->gone = true;
    if (!h->asking) health_free(h);
}
