/* SPDX-License-Identifier: Apache-2.0
 * The history: adding to it, and forgetting. */
#include "store/history.h"
#include "base/clock.h"
#include "base/mem.h"

#define TRIM_MS 1000
#define TRIM_BATCH 200       /* rows a statement */
#define TRIM_BUDGET_MS 10    /* at a time */
#define RCPTS_MAX 8000       /* bytes that refused recipients may add to one message */
#define PAGE 4096

#define HEAD_COLUMNS "id, kind, time, session, client, helo, sender, rcpts, rcpt_n, message_id, subject, size, code, text, trace"
#define HEAD_VALUES "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"

static const char *const statements[HISTORY_STATEMENTS] = {
    [HISTORY_ADD] = "INSERT INTO message(" HEAD_COLUMNS ") " HEAD_VALUES,
    [HISTORY_ADD_EVENT] = "INSERT INTO event(message, kind, time, rcpt, code, text, host, trace)"
                          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [HISTORY_HEAD_TO_EVENT] = "INSERT INTO event(message, kind, time, rcpt, code, text, trace)"
                              " SELECT id, kind, time, rcpts, code, text, trace FROM message WHERE id=?1 AND kind<>?2",
    [HISTORY_REPLACE] = "INSERT INTO message(" HEAD_COLUMNS ") " HEAD_VALUES
                        " ON CONFLICT(id) DO UPDATE SET kind=?2, time=?3, session=?4, client=?5, helo=?6, sender=?7,"
                        " rcpts=CASE kind WHEN ?2 THEN ?8 ELSE ?8||char(10)||rcpts END, rcpt_n=?9, message_id=?10, subject=?11,"
                        " size=?12, code=?13, text=?14, trace=?15",
    [HISTORY_ADD_RCPT] = "UPDATE message SET rcpts=rcpts||char(10)||?2 WHERE id=?1 AND length(rcpts)<?3",
    [HISTORY_OLDEST] = "SELECT (SELECT time FROM message ORDER BY id LIMIT 1), (SELECT time FROM event ORDER BY n LIMIT 1)",
    [HISTORY_DROP] = "DELETE FROM message WHERE id IN (SELECT id FROM message ORDER BY id LIMIT ?2) AND time<?1",
    [HISTORY_DROP_EVENTS] = "DELETE FROM event WHERE n IN (SELECT n FROM event ORDER BY n LIMIT ?2) AND time<?1",
    [HISTORY_ONE] = "SELECT " HEAD_COLUMNS " FROM message WHERE id=?1",
    [HISTORY_EVENTS] = "SELECT kind, time, rcpt, code, text, host, trace FROM event WHERE message=?1 ORDER BY n LIMIT ?2",
    [HISTORY_SUMS] = "SELECT count(DISTINCT CASE kind WHEN 2 THEN rcpt END), count(DISTINCT CASE kind WHEN 4 THEN rcpt END),"
                     " count(CASE kind WHEN 1 THEN 1 END), count(CASE kind WHEN 3 THEN 1 END),"
                     " (SELECT kind FROM event WHERE message=?1 ORDER BY n DESC LIMIT 1) FROM event WHERE message=?1",
    [HISTORY_REASON] = "SELECT text FROM event WHERE message=?1 AND kind<>2 AND length(text)>0 ORDER BY n DESC LIMIT 1",
    [HISTORY_ADD_BLOCK] = "INSERT INTO block(n, first, last, docs) VALUES(?1, ?2, ?3, ?4)",
    [HISTORY_ADD_COLUMN] = "INSERT INTO block_column(at, data) VALUES(?1, ?2)",
    [HISTORY_ADD_EVENT_BLOCK] = "INSERT INTO event_block(n, first, last, docs, kinds, ids, kind, text) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [HISTORY_ADD_LATE] = "INSERT OR IGNORE INTO late(id) VALUES(?1)",
    [HISTORY_CLEAR_LATE] = "DELETE FROM late",
    [HISTORY_LATE] = "SELECT " HEAD_COLUMNS " FROM message WHERE id IN late",
    [HISTORY_CATCH] = "SELECT " HEAD_COLUMNS " FROM message WHERE id>?1 ORDER BY id LIMIT ?2",
    [HISTORY_CATCH_EVENTS] = "SELECT n, message, kind, text, host FROM event WHERE n>?1 ORDER BY n LIMIT ?2",
    [HISTORY_OLD_BLOCK] = "SELECT n FROM block WHERE last<?1 LIMIT 1",
    [HISTORY_DROP_COLUMNS] = "DELETE FROM block_column WHERE at>=?1 AND at<?2",
    [HISTORY_DROP_BLOCK] = "DELETE FROM block WHERE n=?1",
    [HISTORY_DROP_EVENT_BLOCKS] = "DELETE FROM event_block WHERE n IN (SELECT n FROM event_block WHERE n<?1 ORDER BY n LIMIT 8)",
    [HISTORY_BLOCKS] = "SELECT n, first, last, docs, 0 FROM block WHERE last>=?1 AND first<?2 ORDER BY last DESC",
    [HISTORY_COLUMN] = "SELECT data FROM block_column WHERE at=?1",
    [HISTORY_EVENT_BLOCKS] = "SELECT n, first, last, docs, kinds FROM event_block WHERE last>=?1 AND first<?2",
    [HISTORY_EVENT_BLOCK] = "SELECT ids, kind, text FROM event_block WHERE n=?1",
    [HISTORY_ADD_HOUR] = "INSERT OR REPLACE INTO hour(hour, kind, key, n, us) VALUES(?1, ?2, ?3, ?4, ?5)",
    [HISTORY_CLEAR_HOUR] = "DELETE FROM hour WHERE hour=?1 AND kind=?2",
    [HISTORY_HOURS] = "SELECT hour, kind, key, n, us FROM hour WHERE hour>=?1 AND hour<=?2 ORDER BY hour",
    [HISTORY_DROP_HOURS] = "DELETE FROM hour WHERE hour<?1",
};
_Static_assert(HISTORY_STATEMENTS <= DB_STATEMENTS_MAX, "there is room for all");
_Static_assert(HISTORY_REFUSED == 1 && HISTORY_DELIVERED == 2 && HISTORY_DEFERRED == 3 && HISTORY_BOUNCED == 4, "as in SUMS");

/* What came with version 2. A row of `hour` is what was counted in it under a key (statistics.h). */
#define INDEX_TABLES \
    "CREATE TABLE block(n INTEGER PRIMARY KEY, first INTEGER, last INTEGER, docs INTEGER);" \
    "CREATE TABLE block_column(at INTEGER PRIMARY KEY, data BLOB);" \
    "CREATE TABLE late(id INTEGER PRIMARY KEY);" \
    "CREATE TABLE event_block(n INTEGER PRIMARY KEY, first INTEGER, last INTEGER, docs INTEGER, kinds INTEGER, ids BLOB, kind BLOB," \
    " text BLOB);" \
    "CREATE TABLE hour(hour INTEGER, kind INTEGER, key BLOB, n INTEGER, us INTEGER, PRIMARY KEY(hour, kind, key)) WITHOUT ROWID;"

static const char *const upgrades[] = { NULL, INDEX_TABLES };

static const char schema[] =
    "CREATE TABLE message(id INTEGER PRIMARY KEY, kind INTEGER, time INTEGER, session INTEGER, client TEXT, helo TEXT, sender TEXT,"
    " rcpts TEXT, rcpt_n INTEGER, message_id TEXT, subject TEXT, size INTEGER, code INTEGER, text TEXT, trace BLOB);"
    "CREATE TABLE event(n INTEGER PRIMARY KEY, message INTEGER, kind INTEGER, time INTEGER, rcpt TEXT, code INTEGER, text TEXT,"
    " host TEXT, trace BLOB);"
    "CREATE INDEX event_message ON event(message);" INDEX_TABLES;

static void on_open(struct db *db)
{
    struct history *h = db->owner;
    index_reset(h);
    statistics_load(h);
}

static const struct db_kind kind = {
    .name = "history", .application_id = 0x50686973, .version = countof(upgrades), .upgrades = upgrades, .cache_kib = 16384,
    .schema = schema, .statements = statements, .statement_n = countof(statements), .on_open = on_open,
};

const char *history_kind_name(unsigned k)
{
    static const char *const names[] = { "accepted", "refused",     "delivered", "deferred", "bounced",
                                         "deleted",  "quarantined", "released",  "discarded", "held",
                                         "resumed" };
    _Static_assert(countof(names) == HISTORY_KINDS, "each has a name");
    return k < countof(names) ? names[k] : "unknown";
}

bool history_open(struct history *h, const char *directory, uint64_t keep, uint64_t size, struct err *err)
{
    *h = (struct history){ .keep = keep, .size = size };
    statistics_init(&h->statistics);
    return db_open(&h->db, &kind, directory, h, err);
}

void history_close(struct history *h)
{
    statistics_save(h, true);
    db_close(&h->db);
    index_deinit(h);
    statistics_deinit(&h->statistics);
}

/* ---- adding */

static void join_rcpts(const struct history_event *e, struct buf *out)
{
    uint32_t n = e->rcpt_n < 100 ? e->rcpt_n : 100;
    for (uint32_t i = 0; i < n; i++) {
        if (i) buf_add_char(out, '\n');
        buf_add(out, e->rcpts[i]);
    }
    if (out->n && e->given.n) buf_add_char(out, '\n');
    buf_add(out, e->given);
}

static enum db_step add_head(struct history *h, enum history_statement s, const struct history_event *e)
{
    struct db *db = &h->db;
    struct buf client = { 0 }, joined = { 0 };
    if (e->client.family) ip_add(&client, &e->client);
    bool join = e->rcpt_n > 1 || e->given.n;
    if (join) join_rcpts(e, &joined);
    struct slice rcpts = join ? buf_slice(&joined) : e->rcpt_n ? e->rcpts[0] : SLICE("");
    db_bind_number(db, s, 1, e->id);
    db_bind_number(db, s, 2, e->kind);
    db_bind_number(db, s, 3, e->when);
    db_bind_number(db, s, 4, e->session);
    db_bind_text(db, s, 5, buf_slice(&client));
    db_bind_text(db, s, 6, e->helo);
    db_bind_text(db, s, 7, e->sender);
    sqlite3_bind_text(db_statement(db, s), 8, rcpts.n ? rcpts.p : "", (int)rcpts.n, SQLITE_STATIC);
    db_bind_number(db, s, 9, e->rcpt_n);
    db_bind_text(db, s, 10, e->message_id);
    db_bind_text(db, s, 11, e->subject);
    db_bind_number(db, s, 12, e->size);
    db_bind_number(db, s, 13, e->code > 0 ? (uint64_t)e->code : 0);
    db_bind_text(db, s, 14, e->text);
    db_bind_blob(db, s, 15, e->trace);
    enum db_step done = db_run(db, s);
    if (done == DB_DONE) index_add(h, e, rcpts);
    buf_deinit(&client);
    buf_deinit(&joined);
    return done;
}

static enum db_step add_event(struct history *h, const struct history_event *e)
{
    struct db *db = &h->db;
    db_bind_number(db, HISTORY_ADD_EVENT, 1, e->id);
    db_bind_number(db, HISTORY_ADD_EVENT, 2, e->kind);
    db_bind_number(db, HISTORY_ADD_EVENT, 3, e->when);
    db_bind_text(db, HISTORY_ADD_EVENT, 4, e->rcpt_n ? e->rcpts[0] : SLICE(""));
    db_bind_number(db, HISTORY_ADD_EVENT, 5, e->code > 0 ? (uint64_t)e->code : 0);
    db_bind_text(db, HISTORY_ADD_EVENT, 6, e->text);
    db_bind_text(db, HISTORY_ADD_EVENT, 7, e->host);
    db_bind_text(db, HISTORY_ADD_EVENT, 8, e->trace); /* none: NULL */
    enum db_step done = db_run(db, HISTORY_ADD_EVENT);
    if (done == DB_DONE) index_add_event(h, e, (uint64_t)sqlite3_last_insert_rowid(db->sql));
    return done;
}

/* The reference of a refusal may be the id of a message that is taken after all, for other recipients; and one reference may stand in
 * several refusals. Then the message is what the story is about, and the refusals are events of it. */
static void add_again(struct history *h, const struct history_event *e)
{
    struct db *db = &h->db;
    if (e->kind == HISTORY_ACCEPTED) {
        db_bind_number(db, HISTORY_HEAD_TO_EVENT, 1, e->id);
        db_bind_number(db, HISTORY_HEAD_TO_EVENT, 2, HISTORY_ACCEPTED);
        if (db_run(db, HISTORY_HEAD_TO_EVENT) == DB_DONE) (void)add_head(h, HISTORY_REPLACE, e);
        return;
    }
    if (add_event(h, e) != DB_DONE) return;
    index_add(h, e, e->rcpt_n ? e->rcpts[0] : SLICE(""));
    if (!e->rcpt_n || !e->rcpts[0].n) return;
    db_bind_number(db, HISTORY_ADD_RCPT, 1, e->id);
    db_bind_text(db, HISTORY_ADD_RCPT, 2, e->rcpts[0]);
    db_bind_number(db, HISTORY_ADD_RCPT, 3, RCPTS_MAX);
    (void)db_run(db, HISTORY_ADD_RCPT);
}

void history_add(struct history *h, const struct history_event *e)
{
    statistics_count(h, e);
    if (!h->keep || e->id > INT64_MAX || !db_write(&h->db)) return;
    if (e->kind != HISTORY_ACCEPTED && e->kind != HISTORY_REFUSED) (void)add_event(h, e);
    else if (add_head(h, HISTORY_ADD, e) == DB_CONSTRAINT) add_again(h, e);
}

/* ---- forgetting */

uint64_t history_bytes(struct history *h)
{
    uint64_t pages = db_pragma(&h->db, "PRAGMA page_count"), spare = db_pragma(&h->db, "PRAGMA freelist_count");
    return (pages - (spare < pages ? spare : pages)) * PAGE;
}

static int drop(struct history *h, enum history_statement s, uint64_t before)
{
    db_bind_number(&h->db, s, 1, before);
    db_bind_number(&h->db, s, 2, TRIM_BATCH);
    return db_write(&h->db) && db_run(&h->db, s) == DB_DONE ? sqlite3_changes(h->db.sql) : 0;
}

/* Of the oldest message and event; UINT64_MAX: there is none. */
static void find_oldest(struct history *h, uint64_t *message, uint64_t *event)
{
    *message = *event = UINT64_MAX;
    if (db_step(&h->db, HISTORY_OLDEST) != DB_ROW) return;
    if (db_number(&h->db, HISTORY_OLDEST, 0)) *message = db_number(&h->db, HISTORY_OLDEST, 0);
    if (db_number(&h->db, HISTORY_OLDEST, 1)) *event = db_number(&h->db, HISTORY_OLDEST, 1);
    db_reset(&h->db, HISTORY_OLDEST);
}

/* Events of what is forgotten go with it; without any message left, the oldest of them. False: there was nothing to drop. */
static bool drop_batch(struct history *h, uint64_t before)
{
    uint64_t message, event;
    find_oldest(h, &message, &event);
    if (message >= before && event >= before && event >= message) return false;
    int n = drop(h, HISTORY_DROP, before);
    find_oldest(h, &message, &event);
    return n + drop(h, HISTORY_DROP_EVENTS, message < before ? message : before) > 0;
}

/* The file is made smaller when a third of it is of no use and it is not about to grow again. */
static bool give_back(struct history *h)
{
    uint64_t pages = db_pragma(&h->db, "PRAGMA page_count"), spare = db_pragma(&h->db, "PRAGMA freelist_count");
    if (spare < 4096 || spare < pages / 3 || !db_write(&h->db)) return false;
    (void)sqlite3_exec(h->db.sql, "PRAGMA incremental_vacuum(64)", NULL, NULL, NULL);
    return true;
}

/* The first id, and the first row of an event; UINT64_MAX: there is none. */
static void find_first(struct history *h, uint64_t rows[2])
{
    rows[0] = db_pragma(&h->db, "SELECT min(id) FROM message");
    rows[1] = db_pragma(&h->db, "SELECT min(n) FROM event");
    for (int i = 0; i < 2; i++)
        if (!rows[i]) rows[i] = UINT64_MAX;
}

/* True: there is more to do. */
static bool trim(struct history *h)
{
    uint64_t end = clock_mono_ms() + TRIM_BUDGET_MS, now = clock_wall_ms(), before = now > h->keep ? now - h->keep : 0;
    bool more = true;
    while (more && clock_mono_ms() < end) {
        bool large = history_bytes(h) > h->size;
        more = drop_batch(h, large ? UINT64_MAX : before);
    }
    uint64_t rows[2];
    find_first(h, rows);
    index_trim(h, rows[0], rows[1]);
    statistics_trim(h, before);
    return more || give_back(h);
}

unsigned history_tend(struct history *h)
{
    uint64_t now = clock_mono_ms();
    bool committed = h->db.ops > 1000;
    db_tend(&h->db, now);
    committed = committed && !h->db.writing; /* a busy time: the bound is looked at more often */
    if ((h->more || committed || now - h->trimmed >= TRIM_MS) && h->db.sql && !h->db.off_until && !h->db.damaged) {
        h->more = trim(h);
        h->trimmed = now;
    }
    bool behind = index_tend(h);
    statistics_save(h, false);
    return h->more || behind ? 20 : h->db.writing ? 100 : TRIM_MS;
}
