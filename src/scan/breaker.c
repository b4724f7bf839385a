/* SPDX-License-Identifier: Apache-2.0
 * Scanners that fail again and again: each further message would wait for its time-out. After three failures in a row nobody asks for
 * a while, then one message tries. */
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "content/wire.h"
#include "scan/dispatch.h"

#define FAILURES_MAX 3
#define PAUSE_FIRST_MS 10000
#define PAUSE_MAX_MS 120000

struct health {
    const char *name;            /* the configuration's */
    unsigned failures;           /* in a row */
    bool open;                   /* nobody asks */
    uint64_t until, pause;       /* of open: mono ms, ms */
    uint64_t since;              /* wall ms of the last change between fine and not */
    enum scanner_state state;
    char error[REPORT_TEXT_MAX + 1];
    const struct runner *trial;  /* who may ask though it is open; NULL: nobody */
};

struct breaker {
    struct health *all;
    size_t n;
};

struct breaker *breaker_new(const struct config *c)
{
    struct breaker *b = mem_new(struct breaker);
    b->all = mem_zalloc((c->scanner_n + 1) * sizeof *b->all);
    for (size_t i = 0; i < c->scanner_n; i++) {
        if (!c->scanners[i].enabled) continue;
        b->all[b->n++] = (struct health){ .name = c->scanners[i].name, .since = clock_wall_ms() };
    }
    return b;
}

void breaker_free(struct breaker *b)
{
    if (!b) return;
    free(b->all);
    free(b);
}

json_t *breaker_down(struct breaker *b, const struct runner *r)
{
    json_t *down = json_array();
    uint64_t now = clock_mono_ms();
    for (size_t i = 0; i < b->n; i++) {
        struct health *h = &b->all[i];
        if (!h->open) continue;
        if (now >= h->until && !h->trial) h->trial = r;
        if (h->trial != r) json_array_append_new(down, json_string(h->name));
    }
    return down;
}

void breaker_release(struct breaker *b, const struct runner *r)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->all[i].trial == r) b->all[i].trial = NULL;
}

static void on_fine(struct health *h)
{
    if (h->open)
        log_event(LOG_INFO, "scanner-up", LOG_STR("scanner", h->name), LOG_NUM("seconds", (clock_wall_ms() - h->since) / 1000));
    if (h->state != SCANNER_FINE) h->since = clock_wall_ms();
    h->open = false;
    h->failures = 0;
    h->state = SCANNER_FINE;
    h->error[0] = 0;
}

static void on_failure(struct health *h, enum scanner_state state, struct slice text)
{
    if (h->state == SCANNER_FINE) h->since = clock_wall_ms();
    h->state = state;
    json_t *clean = wire_clean_text(text, REPORT_TEXT_MAX);
    snprintf(h->error, sizeof h->error, "%s", json_string_value(clean));
    json_decref(clean);
    if (!h->open && ++h->failures < FAILURES_MAX) return;
    h->pause = !h->open ? PAUSE_FIRST_MS : h->pause < PAUSE_MAX_MS / 2 ? h->pause * 2 : PAUSE_MAX_MS;
    h->until = clock_mono_ms() + h->pause;
    if (!h->open)
        log_event(LOG_WARNING, "scanner-down", LOG_STR("scanner", h->name), LOG_STR("state", report_scanner_state_name(state)),
                  LOG_STR("error", h->error));
    h->open = true;
}

static void take_one(struct breaker *b, const json_t *o)
{
    struct slice name = json_text(o, "name"), text = json_text(o, "text");
    json_int_t state = json_integer_value(json_object_get(o, "state"));
    for (size_t i = 0; i < b->n; i++) {
        struct health *h = &b->all[i];
        if (!slice_eq(name, slice_str(h->name))) continue;
        if (state == SCANNER_FINE || state == SCANNER_TOO_LARGE) on_fine(h);
        else if (state == SCANNER_DOWN || state == SCANNER_TIMEOUT || state == SCANNER_NONSENSE)
            on_failure(h, (enum scanner_state)state, text);
    }
}

void breaker_take(struct breaker *b, const json_t *report)
{
    const json_t *all = json_object_get(report, "scanners");
    for (size_t i = 0; i < json_array_size(all); i++) take_one(b, json_array_get(all, i));
}

json_t *breaker_state(const struct breaker *b)
{
    json_t *all = json_array();
    for (size_t i = 0; i < b->n; i++) {
        const struct health *h = &b->all[i];
        json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:s, s:b}", "name", h->name, "state", report_scanner_state_name(h->state),
                                             "since", (json_int_t)h->since, "error", h->error, "paused", h->open));
    }
    return all;
}
