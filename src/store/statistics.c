/* SPDX-License-Identifier: Apache-2.0
 * Counting the history's events, and writing down what was counted. */
#include "store/statistics.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/history.h"

#define SAVE_MS 1000
#define PLAIN_DIGITS 3 /* a word with more of them is not plain */

const char *statistics_kind_name(unsigned kind)
{
    static const char *const names[] = { "outcomes", "checks", "reasons", "senders", "recipients", "clients", "destinations", "viruses" };
    _Static_assert(countof(names) == STATISTICS_KINDS, "each has a name");
    return kind < countof(names) ? names[kind] : "unknown";
}

/* ---- names */

static uint64_t hash_of(const void *item)
{
    return ((const struct statistics_name *)item)->hash;
}

static bool is_key(const void *item, const void *key)
{
    const struct statistics_name *m = item;
    return slice_eq(slice_of(m->key, m->key_n), *(const struct slice *)key);
}

static int most_first(const void *a, const void *b)
{
    const struct statistics_name *x = *(const struct statistics_name *const *)a, *y = *(const struct statistics_name *const *)b;
    return (x->n < y->n) - (x->n > y->n);
}

/* All of them, the most frequent first; the caller's. */
static struct statistics_name **sorted(const struct statistics_names *t, size_t *n)
{
    struct statistics_name **all = mem_zalloc((t->table.n + 1) * sizeof(struct statistics_name *)), *m;
    size_t at = 0;
    for (*n = 0; (m = htable_next(&t->table, &at));) all[(*n)++] = m;
    qsort(all, *n, sizeof(struct statistics_name *), most_first);
    return all;
}

static void names_clear(struct statistics_names *t)
{
    struct statistics_name *m;
    size_t at = 0;
    while ((m = htable_next(&t->table, &at))) free(m);
    htable_deinit(&t->table);
    htable_init(&t->table, hash_of);
    t->other = 0;
}

/* The rarer half goes. */
static void names_halve(struct statistics_names *t)
{
    size_t n;
    struct statistics_name **all = sorted(t, &n);
    for (size_t i = n / 2; i < n; i++) {
        t->other += all[i]->n;
        htable_remove(&t->table, all[i]);
        free(all[i]);
    }
    free(all);
}

static void names_add(struct statistics_names *t, struct slice key, uint64_t n)
{
    char folded[STATISTICS_KEY_MAX];
    key = slice_sub(key, 0, sizeof folded);
    for (size_t i = 0; i < key.n; i++) folded[i] = ascii_lower(key.p[i]);
    key.p = folded;
    uint64_t hash = hash_bytes(key);
    struct statistics_name *m = htable_find(&t->table, hash, is_key, &key);
    if (m) {
        m->n += n;
        return;
    }
    if (t->table.n >= STATISTICS_MOST) names_halve(t);
    m = mem_alloc(sizeof *m + key.n);
    *m = (struct statistics_name){ .hash = hash, .n = n, .key_n = (uint8_t)key.n };
    if (key.n) memcpy(m->key, key.p, key.n);
    htable_add(&t->table, m);
}

/* ---- reasons */

static bool is_plain(struct slice word)
{
    size_t digits = 0;
    for (size_t i = 0; i < word.n; i++) {
        char c = word.p[i];
        digits += c >= '0' && c <= '9';
        if (strchr("@<>[]()=\"'", c) || (unsigned char)c < ' ') return false;
    }
    return digits < PLAIN_DIGITS;
}

/* The longest run of words without numbers, addresses and the like. */
struct slice statistics_reason(struct slice text)
{
    struct slice best = { 0 };
    size_t from = 0, at = 0;
    while (at < text.n) {
        size_t end = at;
        while (end < text.n && text.p[end] != ' ') end++;
        struct slice word = slice_sub(text, at, end);
        bool plain = is_plain(word);
        if (plain && end - from > best.n) best = slice_sub(text, from, end);
        at = end + 1;
        if (!plain) from = at;
    }
    best = slice_trim(best);
    while (best.n && strchr(",;:-", best.p[best.n - 1])) best.n--;
    return slice_sub(best.n >= 4 ? best : slice_trim(text), 0, STATISTICS_KEY_MAX);
}

/* ---- counting */

static void count_name(struct statistics *s, enum statistics_kind kind, struct slice key)
{
    if (!key.n) return;
    names_add(&s->names[kind - STATISTICS_NAMES], key, 1);
    s->changed |= UINT32_C(1) << kind;
}

static struct statistics_check *find_check(struct statistics *s, unsigned stage, unsigned outcome, struct slice name, size_t *hint)
{
    name = slice_sub(name, 0, sizeof s->checks->name);
    for (size_t k = 0; k < s->check_n; k++) {
        struct statistics_check *c = &s->checks[(*hint + k) % s->check_n]; /* they mostly come in the same order */
        if (c->stage != stage || c->outcome != outcome || !slice_eq(slice_of(c->name, c->name_n), name)) continue;
        *hint = (size_t)(c - s->checks) + 1;
        return c;
    }
    if (s->check_n == STATISTICS_CHECKS) return NULL;
    struct statistics_check *c = &s->checks[s->check_n++];
    *c = (struct statistics_check){ .stage = (uint8_t)stage, .outcome = (uint8_t)outcome, .name_n = (uint8_t)name.n };
    if (name.n) memcpy(c->name, name.p, name.n);
    return c;
}

/* "the virus Eicar-Signature in invoice.exe, found by clamav" */
static void count_virus(struct statistics *s, struct slice why)
{
    const struct slice before = SLICE("the virus ");
    size_t n = 0;
    if (!slice_starts(why, before)) return;
    why = slice_sub(why, before.n, why.n);
    while (n < why.n && why.p[n] != ' ' && why.p[n] != ',') n++;
    count_name(s, STATISTICS_VIRUSES, slice_sub(why, 0, n));
}

static void count_trace(struct statistics *s, struct slice trace)
{
    struct trace_entry e;
    struct slice in;
    size_t hint = 0;
    if (!trace_open(trace, &in)) return;
    while (trace_next(&in, &e)) {
        if (e.stage >= TRACE_STAGES || e.outcome >= TRACE_OUTCOMES) continue;
        struct statistics_check *c = find_check(s, e.stage, e.outcome, e.check, &hint);
        if (!c) continue;
        c->n++;
        c->us += e.us;
        c->live[s->slot % STATISTICS_LIVE]++;
        if (slice_eq(e.check, SLICE("virus"))) count_virus(s, e.why);
    }
    s->changed |= UINT32_C(1) << STATISTICS_OF_CHECKS;
}

static void count_heads(struct statistics *s, const struct history_event *e)
{
    struct buf client = { 0 };
    struct slice one, tail;
    count_name(s, STATISTICS_SENDERS, e->sender.n || !e->rcpt_n ? e->sender : SLICE("<>"));
    for (uint32_t i = 0; i < e->rcpt_n && i < HISTORY_RCPTS_KEPT; i++) {
        tail = e->rcpts[i];
        slice_cut(&tail, '\t', &one);
        if (!slice_eq(tail, SLICE(HISTORY_COPY))) count_name(s, STATISTICS_RECIPIENTS, one);
    }
    if (e->client.family) ip_add(&client, &e->client);
    count_name(s, STATISTICS_CLIENTS, buf_slice(&client));
    buf_deinit(&client);
    count_trace(s, e->trace);
}

/* Slots that lie between the last event and now are empty. */
static void move_live(struct statistics *s)
{
    uint64_t slot = clock_mono_ms() / STATISTICS_LIVE_MS;
    for (uint64_t k = s->slot + 1; k <= slot && k <= s->slot + STATISTICS_LIVE; k++) {
        memset(s->live[k % STATISTICS_LIVE], 0, sizeof s->live[0]);
        for (size_t i = 0; i < s->check_n; i++) s->checks[i].live[k % STATISTICS_LIVE] = 0;
    }
    s->slot = slot;
}

static void begin_hour(struct history *h)
{
    struct statistics *s = &h->statistics;
    uint64_t now = clock_wall_ms(), hour = now - now % STATISTICS_HOUR_MS;
    if (s->hour == hour) return;
    if (s->hour) statistics_save(h, true);
    s->hour = hour;
    s->changed = 0;
    memset(s->outcomes, 0, sizeof s->outcomes);
    for (size_t i = 0; i < s->check_n; i++) s->checks[i].n = s->checks[i].us = 0;
    for (size_t i = 0; i < countof(s->names); i++) names_clear(&s->names[i]);
}

void statistics_count(struct history *h, const struct history_event *e)
{
    struct statistics *s = &h->statistics;
    begin_hour(h);
    move_live(s);
    s->outcomes[e->kind]++;
    s->live[s->slot % STATISTICS_LIVE][e->kind]++;
    s->changed |= UINT32_C(1) << STATISTICS_OUTCOMES;
    if (e->kind == HISTORY_ACCEPTED || e->kind == HISTORY_REFUSED) count_heads(s, e);
    if (e->kind == HISTORY_DELIVERED || e->kind == HISTORY_DEFERRED || e->kind == HISTORY_BOUNCED)
        count_name(s, STATISTICS_DESTINATIONS, e->host);
    const uint32_t plain = 1u << HISTORY_ACCEPTED | 1u << HISTORY_DELIVERED | 1u << HISTORY_DELETED | 1u << HISTORY_RELEASED |
                           1u << HISTORY_HELD | 1u << HISTORY_RESUMED;
    if (!(plain >> e->kind & 1) && e->text.n) count_name(s, STATISTICS_REASONS, statistics_reason(e->text));
}

/* ---- rows */

static bool put_row(struct history *h, unsigned kind, struct slice key, uint64_t n, uint64_t us)
{
    struct db *db = &h->db;
    db_bind_number(db, HISTORY_ADD_HOUR, 1, h->statistics.hour);
    db_bind_number(db, HISTORY_ADD_HOUR, 2, kind);
    db_bind_blob(db, HISTORY_ADD_HOUR, 3, key);
    db_bind_number(db, HISTORY_ADD_HOUR, 4, n);
    db_bind_number(db, HISTORY_ADD_HOUR, 5, us);
    return db_run(db, HISTORY_ADD_HOUR) == DB_DONE;
}

static void save_names(struct history *h, unsigned kind)
{
    const struct statistics_names *t = &h->statistics.names[kind - STATISTICS_NAMES];
    size_t n, kept;
    uint64_t other = t->other;
    struct statistics_name **all = sorted(t, &n);
    db_bind_number(&h->db, HISTORY_CLEAR_HOUR, 1, h->statistics.hour);
    db_bind_number(&h->db, HISTORY_CLEAR_HOUR, 2, kind);
    bool ok = db_run(&h->db, HISTORY_CLEAR_HOUR) == DB_DONE;
    for (kept = 0; ok && kept < n && kept < STATISTICS_KEPT; kept++) ok = put_row(h, kind, slice_of(all[kept]->key, all[kept]->key_n), all[kept]->n, 0);
    for (size_t i = kept; i < n; i++) other += all[i]->n;
    if (ok && other) (void)put_row(h, kind, SLICE(""), other, 0);
    free(all);
}

static void save_kind(struct history *h, unsigned kind)
{
    struct statistics *s = &h->statistics;
    if (!(s->changed >> kind & 1) || !h->keep || !db_write(&h->db)) return;
    s->changed &= ~(UINT32_C(1) << kind);
    if (kind >= STATISTICS_NAMES) {
        save_names(h, kind);
    } else if (kind == STATISTICS_OUTCOMES) {
        for (unsigned i = 0; i < HISTORY_KINDS; i++) {
            char key = (char)i;
            if (s->outcomes[i] && !put_row(h, kind, slice_of(&key, 1), s->outcomes[i], 0)) return;
        }
    } else {
        for (size_t i = 0; i < s->check_n; i++) {
            const struct statistics_check *c = &s->checks[i];
            char key[40] = { (char)c->stage, (char)c->outcome };
            memcpy(key + 2, c->name, c->name_n);
            if (c->n && !put_row(h, kind, slice_of(key, 2 + (size_t)c->name_n), c->n, c->us)) return;
        }
    }
}

void statistics_save(struct history *h, bool all)
{
    struct statistics *s = &h->statistics;
    uint64_t now = clock_mono_ms();
    if (!s->hour || (!all && now - s->saved < SAVE_MS)) return;
    s->saved = now;
    for (unsigned i = 0; i < (all ? STATISTICS_KINDS : 1); i++) save_kind(h, s->turn++ % STATISTICS_KINDS);
}

static void load_row(struct statistics *s, unsigned kind, struct slice key, uint64_t n, uint64_t us)
{
    size_t hint = 0;
    struct statistics_check *c = NULL;
    if (kind == STATISTICS_OUTCOMES && key.n && (uint8_t)key.p[0] < HISTORY_KINDS) s->outcomes[(uint8_t)key.p[0]] += n;
    if (kind == STATISTICS_OF_CHECKS && key.n > 2 && (uint8_t)key.p[0] < TRACE_STAGES && (uint8_t)key.p[1] < TRACE_OUTCOMES)
        c = find_check(s, (uint8_t)key.p[0], (uint8_t)key.p[1], slice_sub(key, 2, key.n), &hint);
    if (c) c->n += n;
    if (c) c->us += us;
    if (kind < STATISTICS_NAMES || kind >= STATISTICS_KINDS) return;
    if (key.n) names_add(&s->names[kind - STATISTICS_NAMES], key, n);
    else s->names[kind - STATISTICS_NAMES].other += n;
}

void statistics_load(struct history *h)
{
    struct statistics *s = &h->statistics;
    if (s->hour) return; /* another file: what is in memory is more */
    begin_hour(h);
    db_bind_number(&h->db, HISTORY_HOURS, 1, s->hour);
    db_bind_number(&h->db, HISTORY_HOURS, 2, s->hour);
    while (db_step(&h->db, HISTORY_HOURS) == DB_ROW)
        load_row(s, (unsigned)db_number(&h->db, HISTORY_HOURS, 1), db_bytes(&h->db, HISTORY_HOURS, 2), db_number(&h->db, HISTORY_HOURS, 3),
                 db_number(&h->db, HISTORY_HOURS, 4));
}

void statistics_trim(struct history *h, uint64_t before)
{
    struct db *db = &h->db;
    uint64_t first = db_pragma(db, "SELECT min(hour) FROM hour");
    if (!first || first + STATISTICS_HOUR_MS > before || !db_write(db)) return;
    db_bind_number(db, HISTORY_DROP_HOURS, 1, before - STATISTICS_HOUR_MS);
    (void)db_run(db, HISTORY_DROP_HOURS);
}

/* ---- life */

void statistics_init(struct statistics *s)
{
    *s = (struct statistics){ .checks = mem_zalloc(STATISTICS_CHECKS * sizeof *s->checks), .slot = clock_mono_ms() / STATISTICS_LIVE_MS };
    for (size_t i = 0; i < countof(s->names); i++) htable_init(&s->names[i].table, hash_of);
}

void statistics_deinit(struct statistics *s)
{
    for (size_t i = 0; i < countof(s->names); i++) names_clear(&s->names[i]);
    for (size_t i = 0; i < countof(s->names); i++) htable_deinit(&s->names[i].table);
    free(s->checks);
}
