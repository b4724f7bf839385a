/* SPDX-License-Identifier: Apache-2.0
 * A search goes through blocks of columns (block.h), the newest first. What fits there is looked up in the tables and compared once more.
 * Where an event is asked for (an outcome, a reason) it is looked for in the tables, too, until that was in vain too often: then the blocks of
 * events are gone through, and tell which messages to look at. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/query_int.h"

#define LOOKED_UP_MOST 2000
#define BLOCKS_LEAST 64 /* that are looked at before a search may end for lack of time: so it gets on */

/* ---- sets of ids */

static uint64_t *set_slot(uint64_t *slots, size_t cap, uint64_t id)
{
    size_t i = (size_t)((id * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (cap - 1);
    while (slots[i] && slots[i] != id) i = (i + 1) & (cap - 1);
    return &slots[i];
}

static void set_add(struct id_set *s, uint64_t id)
{
    if (2 * (s->n + 1) > s->cap) {
        size_t cap = s->cap ? 4 * s->cap : 1024;
        uint64_t *slots = mem_zalloc(cap * sizeof *slots);
        for (size_t i = 0; i < s->cap; i++)
            if (s->slots[i]) *set_slot(slots, cap, s->slots[i]) = s->slots[i];
        free(s->slots);
        s->slots = slots;
        s->cap = cap;
    }
    uint64_t *slot = set_slot(s->slots, s->cap, id);
    if (!s->n || id < s->first) s->first = id;
    if (!s->n || id > s->last) s->last = id;
    s->n += !*slot;
    *slot = id;
}

static bool set_has(const struct id_set *s, uint64_t id)
{
    return s->n && *set_slot(s->slots, s->cap, id) == id;
}

void search_free(struct query *q)
{
    free(q->by_outcome.slots);
    free(q->by_reason.slots);
    free(q->event_blocks.blocks);
    free(q->message_blocks.blocks);
    free(q->hits);
    for (size_t i = 0; i < countof(q->needles); i++) buf_deinit(&q->needles[i]);
}

/* ---- which blocks */

/* Those with a kind of event that is in the mask; of messages all. */
static void list_blocks(struct query *q, struct listing *l, enum history_statement s, uint32_t kinds)
{
    struct db *db = &q->h->db;
    l->n = l->at = 0;
    db_bind_number(db, s, 1, q->from);
    db_bind_number(db, s, 2, q->below);
    while (db_step(db, s) == DB_ROW) {
        if (kinds && !(db_number(db, s, LISTED_KINDS) & kinds)) continue;
        if (l->n == l->cap) {
            l->cap = l->cap ? 2 * l->cap : 256;
            l->blocks = mem_grow(l->blocks, l->cap, sizeof *l->blocks);
        }
        l->blocks[l->n++] = (struct listed){ .n = db_number(db, s, LISTED_N), .first = db_number(db, s, LISTED_FIRST),
                                             .last = db_number(db, s, LISTED_LAST), .docs = db_number(db, s, LISTED_DOCS) };
    }
}

/* ---- events */

static bool outcome_is_event(const struct query *q)
{
    return q->outcome >= 0 && q->outcome != HISTORY_ACCEPTED;
}

static bool asks_events(const struct query *q)
{
    return outcome_is_event(q) || q->reason;
}

static void look_at_events(struct query *q, struct slice ids, struct slice kinds, struct slice text, unsigned n)
{
    struct block_bits said = { 0 };
    uint64_t id;
    if (q->reason) block_mark(text, buf_slice(&q->needles[2]), false, &said);
    for (unsigned i = 0; i < n && i < BLOCK_DOCS && i < kinds.n && (i + 1) * sizeof id <= ids.n; i++) {
        bool kind = !outcome_is_event(q) || (uint8_t)kinds.p[i] == q->outcome;
        if (!kind || (q->reason && !block_has(&said, i) && !outcome_is_event(q))) continue;
        memcpy(&id, ids.p + i * sizeof id, sizeof id);
        if (!id || id < q->from || id >= q->below) continue;
        if (outcome_is_event(q)) set_add(&q->by_outcome, id);
        if (block_has(&said, i)) set_add(&q->by_reason, id);
    }
}

void search_begin(struct query *q)
{
    const char *const texts[] = { q->message_id, q->subject, q->reason };
    for (size_t i = 0; i < countof(texts); i++) block_fold(&q->needles[i], slice_str(texts[i]));
    q->direct = asks_events(q);
}

bool search_events(struct query *q)
{
    struct db *db = &q->h->db;
    const struct block_events *open = &q->h->index.events;
    if (q->direct) {
        q->direct = false;
        look_at_events(q, buf_slice(&open->ids), buf_slice(&open->kind), buf_slice(&open->text), open->n);
        list_blocks(q, &q->event_blocks, HISTORY_EVENT_BLOCKS, outcome_is_event(q) ? UINT32_C(1) << q->outcome : 0);
        return true;
    }
    if (q->event_blocks.at >= q->event_blocks.n) return false;
    const struct listed *l = &q->event_blocks.blocks[q->event_blocks.at++];
    db_bind_number(db, HISTORY_EVENT_BLOCK, 1, l->n);
    if (db_step(db, HISTORY_EVENT_BLOCK) != DB_ROW) return true; /* gone meanwhile */
    look_at_events(q, db_bytes(db, HISTORY_EVENT_BLOCK, EVENT_BLOCK_IDS), db_bytes(db, HISTORY_EVENT_BLOCK, EVENT_BLOCK_KIND),
                   q->reason ? db_bytes(db, HISTORY_EVENT_BLOCK, EVENT_BLOCK_TEXT) : SLICE(""), (unsigned)l->docs);
    db_reset(db, HISTORY_EVENT_BLOCK);
    return true;
}

/* ---- columns of one block */

struct view {
    struct query *q;
    const struct block *open; /* the one in memory; NULL: the row n */
    uint64_t n;
    struct buf made;
};

static struct slice column_open(struct view *v, enum block_column c)
{
    struct db *db = &v->q->h->db;
    if (v->open && c < BLOCK_CHECKS) return buf_slice(&v->open->columns[c]);
    if (v->open) {
        block_add_checks(v->open, &v->made);
        return buf_slice(&v->made);
    }
    db_bind_number(db, HISTORY_COLUMN, 1, v->n * HISTORY_COLUMN_STEP + c);
    return db_step(db, HISTORY_COLUMN) == DB_ROW ? db_bytes(db, HISTORY_COLUMN, 0) : SLICE("");
}

static void column_close(struct view *v)
{
    if (!v->open) db_reset(&v->q->h->db, HISTORY_COLUMN);
    buf_deinit(&v->made);
}

static void mark_text(struct view *v, enum block_column c, struct slice needle, bool whole, struct block_bits *found)
{
    block_mark(column_open(v, c), needle, whole, found);
    column_close(v);
}

/* A superset: rows_fit says for sure. */
static void mark_address(struct view *v, enum block_column c, const char *pattern, struct block_bits *found)
{
    struct buf needle = { 0 };
    struct slice p = slice_str(pattern);
    bool null = slice_eq(p, SLICE("<>")), open = p.n && (p.p[0] == '@' || p.p[0] == '.');
    if (null && c != BLOCK_SENDER) return; /* no recipient is empty */
    if (null) buf_add_char(&needle, '\n');
    else block_fold(&needle, p);
    buf_add_char(&needle, '\n');
    mark_text(v, c, buf_slice(&needle), !null && !open, found);
    buf_deinit(&needle);
}

static void match_origin(struct view *v, struct block_bits *io)
{
    const struct query *q = v->q;
    if (q->kind < 0 && !q->has_client && q->outcome != HISTORY_ACCEPTED) return;
    struct slice origin = column_open(v, BLOCK_ORIGIN);
    if (q->kind >= 0) block_match_kind(origin, (unsigned)q->kind, io);
    if (q->outcome == HISTORY_ACCEPTED) block_match_kind(origin, HISTORY_ACCEPTED, io);
    if (q->has_client) block_match_client(origin, &q->client, io);
    column_close(v);
}

static void match_check(struct view *v, struct block_bits *io)
{
    const struct query *q = v->q;
    if (block_is_none(io) || (q->stage < 0 && q->result < 0 && !q->check)) return;
    block_match_check(column_open(v, BLOCK_CHECKS), q->stage, q->result, slice_str(q->check), io);
    column_close(v);
}

static void match_texts(struct view *v, struct block_bits *io)
{
    const struct query *q = v->q;
    const struct {
        const char *wanted;
        enum block_column a, b;
    } fields[] = { { q->sender, BLOCK_SENDER, BLOCK_SENDER },         { q->recipient, BLOCK_RCPTS, BLOCK_RCPTS },
                   { q->address, BLOCK_SENDER, BLOCK_RCPTS },         { q->message_id, BLOCK_MESSAGE_ID, BLOCK_MESSAGE_ID },
                   { q->subject, BLOCK_SUBJECT, BLOCK_SUBJECT } };
    for (size_t i = 0; i < countof(fields); i++) {
        struct block_bits found = { 0 };
        if (!fields[i].wanted || block_is_none(io)) continue;
        if (i < 3) mark_address(v, fields[i].a, fields[i].wanted, &found);
        else mark_text(v, fields[i].a, buf_slice(&q->needles[i - 3]), false, &found);
        if (fields[i].a != fields[i].b) mark_address(v, fields[i].b, fields[i].wanted, &found);
        block_both(io, &found);
    }
}

/* ---- hits */

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* Those of which an event may fit, or what the block itself says. */
static void match_events(struct view *v, uint64_t first, uint64_t last, struct block_bits *io)
{
    const struct query *q = v->q;
    struct block_bits said = { 0 }, refused = { 0 };
    uint64_t id, time;
    if (q->reason) mark_text(v, BLOCK_REASON, buf_slice(&q->needles[2]), false, &said);
    else block_fill(&said, BLOCK_DOCS);
    if (!outcome_is_event(q) || q->outcome == HISTORY_REFUSED) block_fill(&refused, BLOCK_DOCS);
    if (q->outcome == HISTORY_REFUSED) {
        block_match_kind(column_open(v, BLOCK_ORIGIN), HISTORY_REFUSED, &refused);
        column_close(v);
    }
    const struct id_set *sets[2] = { outcome_is_event(q) ? &q->by_outcome : NULL, q->reason ? &q->by_reason : NULL };
    struct block_bits *const bits[2] = { &refused, &said };
    struct slice ids = { 0 };
    for (unsigned k = 0; k < 2; k++) {
        const struct id_set *set = sets[k];
        if (!set || !set->n || set->first > last || set->last < first) continue;
        if (!ids.n) ids = column_open(v, BLOCK_IDS);
        for (unsigned i = 0; i < BLOCK_DOCS; i++)
            if (block_has(io, i) && !block_has(bits[k], i) && block_id(ids, i, &id, &time) && set_has(set, id)) block_set(bits[k], i);
    }
    if (ids.n) column_close(v);
    block_both(io, &said);
    block_both(io, &refused);
}

/* Ids of this block that may fit; how many. */
static unsigned take_ids(struct view *v, const struct block_bits *bits, uint64_t ids[BLOCK_DOCS])
{
    const struct query *q = v->q;
    struct slice column = column_open(v, BLOCK_IDS);
    uint64_t id, time;
    unsigned n = 0;
    for (unsigned i = 0; i < BLOCK_DOCS; i++)
        if (block_has(bits, i) && block_id(column, i, &id, &time) && id >= q->from && id < q->below && time >= q->since && time <= q->until)
            ids[n++] = id;
    column_close(v);
    qsort(ids, n, sizeof *ids, newest_first);
    return n;
}

static void add_hits(struct query *q, const uint64_t *ids, unsigned n)
{
    size_t before = q->hit_n, kept = 0;
    for (unsigned i = 0; i < n && q->hit_n - before < q->limit; i++) {
        if (i && ids[i] == ids[i - 1]) continue;
        if (before >= q->limit && ids[i] <= q->hits[q->limit - 1]) break;
        q->too_many = q->direct && ++q->looked_up > LOOKED_UP_MOST;
        if (q->too_many) return;
        if (!rows_fit(q, ids[i])) continue;
        if (q->hit_n == q->hit_cap) {
            q->hit_cap = q->hit_cap ? 2 * q->hit_cap : 256;
            q->hits = mem_grow(q->hits, q->hit_cap, sizeof *q->hits);
        }
        q->hits[q->hit_n++] = ids[i];
    }
    if (q->hit_n == before) return;
    qsort(q->hits, q->hit_n, sizeof *q->hits, newest_first);
    for (size_t i = 0; i < q->hit_n && kept < q->limit; i++)
        if (!kept || q->hits[i] != q->hits[kept - 1]) q->hits[kept++] = q->hits[i];
    q->hit_n = kept;
}

static void look_into(struct view *v, unsigned docs, uint64_t first, uint64_t last)
{
    struct block_bits bits;
    uint64_t ids[BLOCK_DOCS];
    block_fill(&bits, docs);
    match_origin(v, &bits);
    match_check(v, &bits);
    match_texts(v, &bits);
    if (!block_is_none(&bits) && asks_events(v->q) && !v->q->direct) match_events(v, first, last, &bits);
    if (!block_is_none(&bits)) add_hits(v->q, ids, take_ids(v, &bits, ids));
}

void search_begin_messages(struct query *q)
{
    const struct block *open = &q->h->index.block;
    struct view v = { .q = q, .open = open };
    list_blocks(q, &q->message_blocks, HISTORY_BLOCKS, 0);
    q->hit_n = 0;
    q->too_many = false;
    look_into(&v, open->n, open->first, open->last);
}

bool search_messages(struct query *q)
{
    struct listing *m = &q->message_blocks;
    if (q->too_many || m->at >= m->n) return false;
    const struct listed *l = &m->blocks[m->at];
    if (q->hit_n >= q->limit && q->hits[q->limit - 1] > l->last) return false;
    if (m->at >= BLOCKS_LEAST && clock_mono_ms() > q->end) { /* what is newer than the next block is complete */
        while (q->hit_n && q->hits[q->hit_n - 1] <= l->last) q->hit_n--;
        q->more = true;
        q->go_on = l->last + 1;
        return false;
    }
    struct view v = { .q = q, .n = l->n };
    m->at++;
    look_into(&v, (unsigned)l->docs, l->first, l->last);
    return !q->too_many;
}
