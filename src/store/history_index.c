/* SPDX-License-Identifier: Apache-2.0
 * The history's index: blocks are filled, become rows, and go with what is in them. */
#include "store/history_index.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/history.h"

#define CATCH_ROWS 256     /* at a time */
#define CATCH_MS 10
#define DROP_BLOCKS 8      /* at a time */

/* ---- blocks become rows */

static bool put_column(struct history *h, uint64_t n, unsigned column, struct slice data)
{
    struct db *db = &h->db;
    db_bind_number(db, HISTORY_ADD_COLUMN, 1, n * HISTORY_COLUMN_STEP + column);
    db_bind_blob(db, HISTORY_ADD_COLUMN, 2, data);
    return db_run(db, HISTORY_ADD_COLUMN) == DB_DONE;
}

/* What fails was rolled back, which is seen by its count. */
static void seal(struct history *h)
{
    struct history_index *x = &h->index;
    struct db *db = &h->db;
    struct buf checks = { 0 };
    uint64_t n = x->number + 1;
    bool ok = db_write(db);
    block_add_checks(&x->block, &checks);
    for (unsigned i = 0; ok && i < BLOCK_COLUMNS; i++)
        ok = put_column(h, n, i, i == BLOCK_CHECKS ? buf_slice(&checks) : buf_slice(&x->block.columns[i]));
    if (ok) {
        db_bind_number(db, HISTORY_ADD_BLOCK, 1, n);
        db_bind_number(db, HISTORY_ADD_BLOCK, 2, x->block.first);
        db_bind_number(db, HISTORY_ADD_BLOCK, 3, x->block.last);
        db_bind_number(db, HISTORY_ADD_BLOCK, 4, x->block.n);
        ok = db_run(db, HISTORY_ADD_BLOCK) == DB_DONE && db_run(db, HISTORY_CLEAR_LATE) == DB_DONE;
    }
    if (ok) {
        x->number = n;
        if (x->block.last > x->last) x->last = x->block.last;
        block_clear(&x->block);
    }
    buf_deinit(&checks);
}

static void seal_events(struct history *h)
{
    struct history_index *x = &h->index;
    struct db *db = &h->db;
    const struct block_events *b = &x->events;
    if (!db_write(db)) return;
    const uint64_t numbers[] = { b->row, b->first, b->last, b->n, b->kinds };
    for (int i = 0; i < (int)countof(numbers); i++) db_bind_number(db, HISTORY_ADD_EVENT_BLOCK, i + 1, numbers[i]);
    db_bind_blob(db, HISTORY_ADD_EVENT_BLOCK, 6, buf_slice(&b->ids));
    db_bind_blob(db, HISTORY_ADD_EVENT_BLOCK, 7, buf_slice(&b->kind));
    db_bind_blob(db, HISTORY_ADD_EVENT_BLOCK, 8, buf_slice(&b->text));
    if (db_run(db, HISTORY_ADD_EVENT_BLOCK) != DB_DONE) return;
    x->event_row = b->row;
    block_events_clear(&x->events);
}

/* ---- what comes */

void index_reset(struct history *h)
{
    struct history_index *x = &h->index;
    block_clear(&x->block);
    block_events_clear(&x->events);
    x->number = db_pragma(&h->db, "SELECT max(n) FROM block");
    x->last = x->at = db_pragma(&h->db, "SELECT max(last) FROM block");
    x->event_row = x->event_at = db_pragma(&h->db, "SELECT max(n) FROM event_block");
    x->behind = x->events_behind = true;
    x->late_read = false;
    x->rollbacks = h->db.rollbacks;
}

/* What was written and then lost must not be found, and what was written before is not in a block any more. */
static void check(struct history *h)
{
    if (h->index.rollbacks != h->db.rollbacks) index_reset(h);
}

void index_deinit(struct history *h)
{
    block_deinit(&h->index.block);
    block_events_deinit(&h->index.events);
}

static void put(struct history *h, const struct block_doc *d)
{
    block_add(&h->index.block, d);
    if (block_is_full(&h->index.block)) seal(h);
}

void index_add(struct history *h, const struct history_event *e, struct slice rcpts)
{
    struct history_index *x = &h->index;
    check(h);
    if (x->behind && e->id > x->at) return; /* it will be read */
    if (e->id <= x->last) {
        db_bind_number(&h->db, HISTORY_ADD_LATE, 1, e->id);
        (void)db_run(&h->db, HISTORY_ADD_LATE);
        check(h);
    }
    put(h, &(struct block_doc){ .id = e->id, .time = e->when, .kind = (uint8_t)e->kind, .client = e->client, .sender = e->sender,
                                .rcpts = rcpts, .message_id = e->message_id, .subject = e->subject, .text = e->text, .trace = e->trace });
}

static void put_event(struct history *h, uint64_t row, uint64_t id, unsigned kind, struct slice text, struct slice host)
{
    block_events_add(&h->index.events, row, id, kind, text, host);
    if (block_events_are_full(&h->index.events)) seal_events(h);
}

void index_add_event(struct history *h, const struct history_event *e, uint64_t row)
{
    check(h);
    if (!h->index.events_behind) put_event(h, row, e->id, e->kind, e->text, e->host);
}

/* ---- what is in the tables, and in no block */

static void put_row(struct history *h, enum history_statement s)
{
    struct db *db = &h->db;
    struct block_doc d = { .id = db_number(db, s, HISTORY_ID), .time = db_number(db, s, HISTORY_TIME),
                           .kind = (uint8_t)db_number(db, s, HISTORY_KIND), .sender = db_bytes(db, s, HISTORY_SENDER),
                           .rcpts = db_bytes(db, s, HISTORY_RCPTS), .message_id = db_bytes(db, s, HISTORY_MESSAGE_ID),
                           .subject = db_bytes(db, s, HISTORY_SUBJECT), .text = db_bytes(db, s, HISTORY_TEXT),
                           .trace = db_bytes(db, s, HISTORY_TRACE) };
    if (!ip_parse(db_bytes(db, s, HISTORY_CLIENT), &d.client)) d.client = (struct ip){ 0 };
    block_add(&h->index.block, &d);
}

static void read_late(struct history *h)
{
    h->index.late_read = true;
    while (db_step(&h->db, HISTORY_LATE) == DB_ROW) put_row(h, HISTORY_LATE);
    if (block_is_full(&h->index.block)) seal(h);
}

static bool read_messages(struct history *h)
{
    struct history_index *x = &h->index;
    struct db *db = &h->db;
    unsigned n = 0;
    enum db_step step = DB_DONE;
    bool full = false;
    if (!x->late_read) read_late(h);
    db_bind_number(db, HISTORY_CATCH, 1, x->at);
    db_bind_number(db, HISTORY_CATCH, 2, CATCH_ROWS);
    while (!full && (step = db_step(db, HISTORY_CATCH)) == DB_ROW) {
        x->at = db_number(db, HISTORY_CATCH, HISTORY_ID);
        put_row(h, HISTORY_CATCH);
        full = block_is_full(&x->block);
        n++;
    }
    if (full) db_reset(db, HISTORY_CATCH); /* before anything is written */
    if (full) seal(h);
    if (step != DB_FAILED && !full && n < CATCH_ROWS) x->behind = false;
    return x->behind;
}

static bool read_events(struct history *h)
{
    struct history_index *x = &h->index;
    struct db *db = &h->db;
    unsigned n = 0;
    enum db_step step = DB_DONE;
    bool full = false;
    db_bind_number(db, HISTORY_CATCH_EVENTS, 1, x->event_at);
    db_bind_number(db, HISTORY_CATCH_EVENTS, 2, CATCH_ROWS);
    while (!full && (step = db_step(db, HISTORY_CATCH_EVENTS)) == DB_ROW) {
        x->event_at = db_number(db, HISTORY_CATCH_EVENTS, 0);
        block_events_add(&x->events, x->event_at, db_number(db, HISTORY_CATCH_EVENTS, 1), (unsigned)db_number(db, HISTORY_CATCH_EVENTS, 2),
                         db_bytes(db, HISTORY_CATCH_EVENTS, 3), db_bytes(db, HISTORY_CATCH_EVENTS, 4));
        full = block_events_are_full(&x->events);
        n++;
    }
    if (full) db_reset(db, HISTORY_CATCH_EVENTS);
    if (full) seal_events(h);
    if (step != DB_FAILED && !full && n < CATCH_ROWS) x->events_behind = false;
    return x->events_behind;
}

bool index_is_complete(const struct history *h)
{
    return !h->index.behind && !h->index.events_behind;
}

bool index_tend(struct history *h)
{
    uint64_t end = clock_mono_ms() + CATCH_MS;
    if (!h->db.sql || h->db.damaged || h->db.off_until) return false;
    check(h);
    while (!index_is_complete(h) && h->index.rollbacks == h->db.rollbacks && clock_mono_ms() < end) {
        if (h->index.behind) (void)read_messages(h);
        if (h->index.events_behind) (void)read_events(h);
    }
    return !index_is_complete(h);
}

/* ---- what goes */

static bool drop_block(struct history *h, uint64_t oldest)
{
    struct db *db = &h->db;
    db_bind_number(db, HISTORY_OLD_BLOCK, 1, oldest);
    if (db_step(db, HISTORY_OLD_BLOCK) != DB_ROW) return false;
    uint64_t n = db_number(db, HISTORY_OLD_BLOCK, 0);
    db_reset(db, HISTORY_OLD_BLOCK);
    if (!db_write(db)) return false;
    db_bind_number(db, HISTORY_DROP_COLUMNS, 1, n * HISTORY_COLUMN_STEP);
    db_bind_number(db, HISTORY_DROP_COLUMNS, 2, (n + 1) * HISTORY_COLUMN_STEP);
    db_bind_number(db, HISTORY_DROP_BLOCK, 1, n);
    return db_run(db, HISTORY_DROP_COLUMNS) == DB_DONE && db_run(db, HISTORY_DROP_BLOCK) == DB_DONE;
}

void index_trim(struct history *h, uint64_t oldest, uint64_t oldest_event)
{
    struct db *db = &h->db;
    for (unsigned i = 0; i < DROP_BLOCKS && drop_block(h, oldest); i++) continue;
    uint64_t row = db_pragma(db, "SELECT min(n) FROM event_block");
    db_bind_number(db, HISTORY_DROP_EVENT_BLOCKS, 1, oldest_event);
    if (row && row < oldest_event && db_write(db)) (void)db_run(db, HISTORY_DROP_EVENT_BLOCKS);
    if (oldest_event <= INT64_MAX) return;
    block_events_clear(&h->index.events); /* rows are numbered from 1 again */
    h->index.event_row = h->index.event_at = 0;
}
