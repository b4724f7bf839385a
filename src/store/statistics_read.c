/* SPDX-License-Identifier: Apache-2.0
 * What was counted, told: hours from their rows, the last minutes from memory. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/history.h"

#define DAY_MS UINT64_C(86400000)
#define STEPS_MAX 2400 /* of one answer, which must fit into a frame: a time of more hours is told in larger steps */
#define LIMIT 20
#define SLICE_US 4000
#define NAMES_MOST 8000 /* of a kind while it is read: whoever changes his name with each message must not fill the memory */

/* ---- sums over hours */

struct statistics_reading {
    struct history *h;
    uint64_t hour, until;         /* the hour that is read next, the end of all */
    unsigned kind;                /* of names, which is sorted next */
    size_t limit;
    uint64_t step;                /* ms */
    json_t *hours;                /* of one step each */
    json_t *stages[TRACE_STAGES]; /* name → object of counts */
    json_t *names[STATISTICS_KINDS], *top, *other;
};

static void add_number(json_t *o, const char *key, json_int_t n)
{
    json_object_set_new(o, key, json_integer(json_integer_value(json_object_get(o, key)) + n));
}

static json_t *text_json(struct slice s)
{
    struct buf shown = { 0 };
    buf_add_printable(&shown, s, s.n);
    json_t *out = json_stringn(shown.p ? shown.p : "", shown.n);
    buf_deinit(&shown);
    return out ? out : json_string("");
}

static json_t *begin_step(const struct statistics_reading *s, uint64_t at)
{
    json_t *o = json_pack("{s:I}", "time", (json_int_t)at);
    for (unsigned i = 0; i < HISTORY_KINDS; i++) json_object_set_new(o, history_kind_name(i), json_integer(0));
    json_array_append_new(s->hours, o);
    return o;
}

/* Each step has all of them, so that a picture has no holes. */
static void add_outcome(const struct statistics_reading *s, uint64_t when, unsigned kind, uint64_t n)
{
    json_t *last = json_array_get(s->hours, json_array_size(s->hours) - 1);
    uint64_t at = (uint64_t)json_integer_value(json_object_get(last, "time")), begun = when - when % s->step;
    while (last && at < begun) last = begin_step(s, at += s->step);
    if (kind < HISTORY_KINDS && at == begun) add_number(last, history_kind_name(kind), (json_int_t)n);
}

static const char *outcome_word(unsigned outcome)
{
    return outcome == TRACE_SCORE ? "tag" : trace_outcome_name(outcome);
}

static void add_check(const struct statistics_reading *s, struct slice key, uint64_t n, uint64_t us)
{
    unsigned stage = (uint8_t)key.p[0], outcome = (uint8_t)key.p[1];
    if (stage >= TRACE_STAGES || outcome >= TRACE_OUTCOMES) return;
    json_t *name = text_json(slice_sub(key, 2, key.n)), *o = json_object_get(s->stages[stage], json_string_value(name));
    if (!o) {
        o = json_pack("{s:O, s:i, s:f}", "check", name, "seen", 0, "ms", 0.0);
        for (unsigned i = 0; i < TRACE_OUTCOMES; i++) json_object_set_new(o, outcome_word(i), json_integer(0));
        json_object_set_new(s->stages[stage], json_string_value(name), o);
    }
    add_number(o, "seen", (json_int_t)n);
    add_number(o, outcome_word(outcome), (json_int_t)n);
    json_object_set_new(o, "ms", json_real(json_real_value(json_object_get(o, "ms")) + (double)us / 1000));
    json_decref(name);
}

struct counted {
    const char *key;
    json_int_t n;
};

static int most_first(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;
    return (x->n < y->n) - (x->n > y->n);
}

/* The caller's. */
static struct counted *sorted(json_t *names)
{
    struct counted *all = mem_zalloc((json_object_size(names) + 1) * sizeof *all);
    json_t *v;
    const char *key;
    size_t n = 0;
    json_object_foreach(names, key, v) all[n++] = (struct counted){ key, json_integer_value(v) };
    qsort(all, n, sizeof *all, most_first);
    return all;
}

/* Those that came least so far are counted, and forgotten. */
static void forget_rare(json_t *names, json_t *other, const char *kind)
{
    size_t n = json_object_size(names);
    struct counted *all = sorted(names);
    for (size_t i = NAMES_MOST / 2; i < n; i++) {
        add_number(other, kind, all[i].n);
        json_object_del(names, all[i].key);
    }
    free(all);
}

static void add_row(const struct statistics_reading *s)
{
    struct db *db = &s->h->db;
    uint64_t hour = db_number(db, HISTORY_HOURS, 0), n = db_number(db, HISTORY_HOURS, 3);
    unsigned kind = (unsigned)db_number(db, HISTORY_HOURS, 1);
    struct slice key = db_bytes(db, HISTORY_HOURS, 2);
    if (kind == STATISTICS_OUTCOMES && key.n) add_outcome(s, hour, (uint8_t)key.p[0], n);
    if (kind == STATISTICS_OF_CHECKS && key.n > 2) add_check(s, key, n, db_number(db, HISTORY_HOURS, 4));
    if (kind < STATISTICS_NAMES || kind >= STATISTICS_KINDS) return;
    if (key.n) {
        json_t *name = text_json(key);
        add_number(s->names[kind], json_string_value(name), (json_int_t)n);
        json_decref(name);
        if (json_object_size(s->names[kind]) > NAMES_MOST) forget_rare(s->names[kind], s->other, statistics_kind_name(kind));
    } else {
        add_number(s->other, statistics_kind_name(kind), (json_int_t)n);
    }
}

/* ---- the answer */

/* The most frequent; the others are added to *other. */
static json_t *top_of(json_t *names, size_t limit, json_int_t *other)
{
    struct counted *all = sorted(names);
    json_t *list = json_array();
    size_t n = json_object_size(names);
    for (size_t i = 0; i < n; i++) {
        if (i < limit) json_array_append_new(list, json_pack("{s:s, s:I}", "key", all[i].key, "n", all[i].n));
        else *other += all[i].n;
    }
    free(all);
    return list;
}

static json_t *stages_json(const struct statistics_reading *s)
{
    json_t *list = json_array(), *v;
    const char *key;
    for (unsigned i = 0; i < TRACE_STAGES; i++) {
        json_t *checks = json_array();
        json_object_foreach(s->stages[i], key, v) json_array_append(checks, v);
        json_array_append_new(list, json_pack("{s:s, s:o}", "stage", trace_stage_name(i), "checks", checks));
    }
    return list;
}

static void sort_names(const struct statistics_reading *s, unsigned kind)
{
    const char *name = statistics_kind_name(kind);
    json_int_t other = json_integer_value(json_object_get(s->other, name));
    json_object_set_new(s->top, name, top_of(s->names[kind], s->limit, &other));
    json_object_set_new(s->other, name, json_integer(other));
}

json_t *statistics_reading_answer(const struct statistics_reading *s)
{
    return json_pack("{s:I, s:O, s:o, s:O, s:O}", "step", (json_int_t)s->step, "hours", s->hours,
                     "stages", stages_json(s), "top", s->top, "other", s->other);
}

/* ---- what is asked */

static uint64_t number_of(const json_t *request, const char *key, uint64_t fallback)
{
    const json_t *v = json_object_get(request, key);
    return json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v) : fallback;
}

/* Hours, days, weeks and so on: the first of them. */
static void begin_hours(struct statistics_reading *s, uint64_t since, uint64_t until)
{
    s->step = STATISTICS_HOUR_MS;
    while (until > since && (until - since) / s->step >= STEPS_MAX) s->step *= s->step == STATISTICS_HOUR_MS ? 24 : 7;
    if (until >= since - since % s->step) (void)begin_step(s, since - since % s->step);
}

struct statistics_reading *statistics_reading_new(struct history *h, const json_t *request)
{
    uint64_t now = clock_wall_ms(), until = number_of(request, "until", now), limit = number_of(request, "limit", LIMIT);
    uint64_t since = number_of(request, "since", now > DAY_MS ? now - DAY_MS : 0);
    struct statistics_reading *s = mem_new(struct statistics_reading);
    *s = (struct statistics_reading){ .h = h, .until = until < now ? until : now, .kind = STATISTICS_NAMES,
                                      .limit = limit < 1 || limit > STATISTICS_KEPT ? STATISTICS_KEPT : (size_t)limit,
                                      .hours = json_array(), .top = json_object(), .other = json_object() };
    for (size_t i = 0; i < countof(s->stages); i++) s->stages[i] = json_object();
    for (size_t i = 0; i < countof(s->names); i++) s->names[i] = json_object();
    statistics_save(h, true);
    uint64_t first = db_pragma(&h->db, "SELECT min(hour) FROM hour"), from = since > first ? since : first;
    s->hour = first ? from - from % STATISTICS_HOUR_MS : UINT64_MAX;
    /* What was before the first hour is not known. */
    begin_hours(s, json_object_get(request, "since") ? from : since, s->until);
    return s;
}

static void read_hour(const struct statistics_reading *s)
{
    struct db *db = &s->h->db;
    db_bind_number(db, HISTORY_HOURS, 1, s->hour);
    db_bind_number(db, HISTORY_HOURS, 2, s->hour);
    while (db_step(db, HISTORY_HOURS) == DB_ROW) add_row(s);
}

bool statistics_reading_run(struct statistics_reading *s)
{
    uint64_t end = clock_mono_us() + SLICE_US;
    do {
        if (s->hour <= s->until) {
            read_hour(s);
            s->hour += STATISTICS_HOUR_MS;
        } else if (s->kind < STATISTICS_KINDS) sort_names(s, s->kind++);
        else {
            add_outcome(s, s->until, HISTORY_KINDS, 0);
            return true;
        }
    } while (clock_mono_us() < end);
    return false;
}

void statistics_reading_free(struct statistics_reading *s)
{
    if (!s) return;
    for (size_t i = 0; i < countof(s->stages); i++) json_decref(s->stages[i]);
    for (size_t i = 0; i < countof(s->names); i++) json_decref(s->names[i]);
    json_decref(s->hours);
    json_decref(s->top);
    json_decref(s->other);
    free(s);
}

/* ---- the last minutes */

/* Slots of the last so many that have not been overtaken. */
static bool is_within(uint64_t slot, uint64_t now, unsigned n)
{
    return slot <= now && now - slot < n;
}

static json_t *live_counts(const struct statistics *s, uint64_t now, unsigned slots)
{
    json_t *o = json_object();
    for (unsigned k = 0; k < HISTORY_KINDS; k++) {
        json_int_t n = 0;
        for (unsigned i = 0; i < STATISTICS_LIVE && i <= s->slot; i++)
            if (is_within(s->slot - i, now, slots)) n += s->live[(s->slot - i) % STATISTICS_LIVE][k];
        json_object_set_new(o, history_kind_name(k), json_integer(n));
    }
    return o;
}

/* NULL: nothing was counted yet. */
static json_t *hour_counts(const struct statistics *s)
{
    if (!s->hour) return NULL;
    json_t *o = json_pack("{s:I}", "time", (json_int_t)s->hour);
    for (unsigned k = 0; k < HISTORY_KINDS; k++) json_object_set_new(o, history_kind_name(k), json_integer((json_int_t)s->outcomes[k]));
    return o;
}

json_t *statistics_live(struct history *h)
{
    const struct statistics *s = &h->statistics;
    uint64_t now = clock_mono_ms() / STATISTICS_LIVE_MS;
    json_t *checks = json_array();
    for (size_t k = 0; k < s->check_n; k++) {
        const struct statistics_check *c = &s->checks[k];
        json_int_t n = 0;
        for (unsigned i = 0; i < STATISTICS_LIVE && i <= s->slot; i++)
            if (is_within(s->slot - i, now, STATISTICS_LIVE)) n += c->live[(s->slot - i) % STATISTICS_LIVE];
        if (n) json_array_append_new(checks, json_pack("{s:s, s:o, s:s, s:I}", "stage", trace_stage_name(c->stage), "check",
                                                       text_json(slice_of(c->name, c->name_n)), "outcome", outcome_word(c->outcome), "n", n));
    }
    return json_pack("{s:i, s:o, s:o, s:o, s:o*}", "ms", (int)(STATISTICS_LIVE * STATISTICS_LIVE_MS), "counts",
                     live_counts(s, now, STATISTICS_LIVE), "minute", live_counts(s, now, 60000 / STATISTICS_LIVE_MS), "checks", checks, "hour",
                     hour_counts(s));
}
