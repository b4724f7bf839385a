/* SPDX-License-Identifier: Apache-2.0
 * The index of the quarantine: its tables and what is written to them. */
#include "store/quarantine_index.h"
#include "base/mem.h"

#define COLUMNS "id, kind, arrival, stored, score, size, held, rcpt_n, learnt, client, sender, subject, reason, message_id"

static const char *const statements[INDEX_STATEMENTS] = {
    [INDEX_ADD] = "INSERT OR REPLACE INTO entry(" COLUMNS ", file_size)"
                  " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0, ?8, ?9, ?10, ?11, ?12, ?13)",
    [INDEX_ADD_RCPT] = "INSERT INTO recipient(entry, n, address, state, told) VALUES(?1, ?2, ?3, 0, 0)",
    [INDEX_DROP] = "DELETE FROM entry WHERE id=?1",
    [INDEX_DROP_RCPTS] = "DELETE FROM recipient WHERE entry=?1",
    [INDEX_MARK] = "UPDATE recipient SET state=?3 WHERE entry=?1 AND n=?2",
    [INDEX_MARK_ALL] = "UPDATE recipient SET state=?2 WHERE entry=?1 AND state=0",
    [INDEX_COUNT] = "SELECT count(CASE state WHEN 0 THEN 1 END), count(CASE state WHEN 1 THEN 1 END), count(CASE state WHEN 2 THEN 1 END)"
                    " FROM recipient WHERE entry=?1",
    [INDEX_LEARN] = "UPDATE entry SET learnt=?2 WHERE id=?1",
    [INDEX_SET_SIZE] = "UPDATE entry SET file_size=?2, held=(SELECT count(*) FROM recipient WHERE entry=?1 AND state=0) WHERE id=?1",
    [INDEX_SIZE_OF] = "SELECT file_size, held FROM entry WHERE id=?1",
    [INDEX_OLDEST] = "SELECT id FROM entry WHERE stored<?1 ORDER BY stored LIMIT 1",
    [INDEX_SUMS] = "SELECT count(*), count(CASE WHEN held>0 THEN 1 END), total(file_size) FROM entry",
    [INDEX_NEXT] = "SELECT id FROM entry WHERE id>?1 ORDER BY id LIMIT ?2",
    [INDEX_SCAN] = "SELECT " COLUMNS " FROM entry WHERE id<?1 ORDER BY id DESC",
    [INDEX_ONE] = "SELECT " COLUMNS " FROM entry WHERE id=?1",
    [INDEX_RCPTS] = "SELECT n, address, state FROM recipient WHERE entry=?1 AND n>=?3 ORDER BY n LIMIT ?2",
    /* Digests (quarantine_digest.c). told: 0 no, 1 yes, 2 about to be, which is not yet. All of these read the index recipient_untold. */
    [INDEX_UNTOLD_RCPTS] = "SELECT address, count(*) FROM recipient WHERE state=0 AND told<>1 AND address>ifnull(?1, '') COLLATE NOCASE"
                           " GROUP BY address COLLATE NOCASE ORDER BY address COLLATE NOCASE LIMIT ?2",
    [INDEX_UNTOLD] = "SELECT e.id, e.kind, e.stored, e.sender, e.subject, r.n, r.address FROM recipient r JOIN entry e ON e.id=r.entry"
                     " WHERE r.state=0 AND r.told<>1 AND r.address=?1 COLLATE NOCASE ORDER BY r.entry DESC, r.n LIMIT ?2",
    [INDEX_UNTOLD_COUNT] = "SELECT count(DISTINCT entry) FROM recipient WHERE state=0 AND told<>1 AND address=?1 COLLATE NOCASE",
    [INDEX_TELLING] = "UPDATE recipient SET told=2 WHERE state=0 AND told<>1 AND address=?1 COLLATE NOCASE",
    [INDEX_NEXT_TELLING] = "SELECT entry, n FROM recipient WHERE state=0 AND told<>1 AND told=2 AND address=?1 COLLATE NOCASE"
                           " AND (entry, n)>(?2, ?3) ORDER BY entry, n LIMIT 1",
    [INDEX_TOLD] = "UPDATE recipient SET told=1 WHERE entry=?1 AND n=?2",
    [INDEX_GET_RAN] = "SELECT value FROM mark WHERE name='digest'",
    [INDEX_SET_RAN] = "INSERT OR REPLACE INTO mark(name, value) VALUES('digest', ?1)",
};
_Static_assert(INDEX_STATEMENTS <= DB_STATEMENTS_MAX, "there is room for all");
_Static_assert(QUARANTINE_HELD == 0 && QUARANTINE_RELEASED == 1 && QUARANTINE_DELETED == 2, "as in the statements");

static const char schema[] =
    "CREATE TABLE entry(id INTEGER PRIMARY KEY, kind INTEGER, arrival INTEGER, stored INTEGER, score INTEGER, size INTEGER, held INTEGER,"
    " rcpt_n INTEGER, learnt INTEGER, client TEXT, sender TEXT, subject TEXT, reason TEXT, message_id TEXT, file_size INTEGER);"
    "CREATE TABLE recipient(entry INTEGER, n INTEGER, address TEXT, state INTEGER, told INTEGER, PRIMARY KEY(entry, n)) WITHOUT ROWID;"
    "CREATE INDEX entry_stored ON entry(stored);"
    "CREATE INDEX recipient_untold ON recipient(address COLLATE NOCASE, entry, n, told) WHERE state=0 AND told<>1;"
    "CREATE TABLE mark(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;";

static void make_sums(struct quarantine_index *x)
{
    struct db *db = &x->db;
    x->rollbacks = db->rollbacks;
    if (db_step(db, INDEX_SUMS) != DB_ROW) return;
    x->messages = db_number(db, INDEX_SUMS, 0);
    x->held = db_number(db, INDEX_SUMS, 1);
    x->bytes = db_number(db, INDEX_SUMS, 2);
    db_reset(db, INDEX_SUMS);
}

static void on_open(struct db *db)
{
    struct quarantine_index *x = db->owner;
    x->opened++;
    make_sums(x);
}

static const struct db_kind kind = {
    .name = "quarantine", .application_id = 0x50717561, .version = 2, .cache_kib = 8192, .schema = schema, .statements = statements,
    .statement_n = countof(statements), .on_open = on_open,
};

const char *quarantine_state_name(unsigned s)
{
    static const char *const names[QUARANTINE_STATES] = { "held", "released", "deleted" };
    return s < countof(names) ? names[s] : "unknown";
}

const char *quarantine_learnt_name(unsigned l)
{
    static const char *const names[QUARANTINE_LEARNTS] = { "", "spam", "ham" };
    return l < countof(names) ? names[l] : "";
}

bool quarantine_index_open(struct quarantine_index *x, const char *directory, struct err *err)
{
    *x = (struct quarantine_index){ 0 };
    return db_open(&x->db, &kind, directory, x, err);
}

void quarantine_index_close(struct quarantine_index *x)
{
    db_close(&x->db);
}

void quarantine_index_tend(struct quarantine_index *x)
{
    if (x->rollbacks != x->db.rollbacks && x->db.sql && !x->db.damaged) make_sums(x);
}

/* ---- writing */

static void bind_entry(struct quarantine_index *x, const struct quarantine_head *h, const struct envelope *e, struct slice client,
                       uint32_t rcpt_n, uint64_t file_size)
{
    struct db *db = &x->db;
    db_bind_number(db, INDEX_ADD, 1, h->id);
    db_bind_number(db, INDEX_ADD, 2, e->quarantine);
    db_bind_number(db, INDEX_ADD, 3, e->arrival);
    db_bind_number(db, INDEX_ADD, 4, h->stored);
    sqlite3_bind_int64(db_statement(db, INDEX_ADD), 5, e->score);
    db_bind_number(db, INDEX_ADD, 6, e->text_size);
    db_bind_number(db, INDEX_ADD, 7, rcpt_n);
    db_bind_text(db, INDEX_ADD, 8, client);
    db_bind_text(db, INDEX_ADD, 9, e->sender);
    db_bind_text(db, INDEX_ADD, 10, e->subject);
    db_bind_text(db, INDEX_ADD, 11, e->hold);
    db_bind_text(db, INDEX_ADD, 12, e->message_id);
    db_bind_number(db, INDEX_ADD, 13, file_size);
}

/* Who gets a copy that nobody is to know of is told nothing, and goes the way of the others. */
static bool is_listed(const struct envelope *e, uint32_t rcpt) { return !(envelope_marks(e, rcpt) & (MARK_COPY | MARK_GROUP)); }

bool quarantine_index_add(struct quarantine_index *x, const struct quarantine_head *h, const struct envelope *e, uint64_t file_size)
{
    struct db *db = &x->db;
    struct buf client = { 0 };
    uint32_t rcpt_n = 0;
    if (h->id > INT64_MAX || !quarantine_index_drop(x, h->id) || !db_write(db)) return false;
    if (e->client.family) ip_add(&client, &e->client);
    for (uint32_t i = 0; i < e->rcpt_n; i++) rcpt_n += is_listed(e, i);
    bind_entry(x, h, e, buf_slice(&client), rcpt_n, file_size);
    bool ok = db_run(db, INDEX_ADD) == DB_DONE;
    buf_deinit(&client);
    for (uint32_t i = 0; ok && i < e->rcpt_n; i++) {
        if (!is_listed(e, i)) continue;
        db_bind_number(db, INDEX_ADD_RCPT, 1, h->id);
        db_bind_number(db, INDEX_ADD_RCPT, 2, i);
        db_bind_text(db, INDEX_ADD_RCPT, 3, e->rcpts[i]);
        ok = db_run(db, INDEX_ADD_RCPT) == DB_DONE;
    }
    if (!ok) return false;
    x->messages++;
    x->held += rcpt_n > 0;
    x->bytes += file_size;
    return true;
}

static bool find(struct quarantine_index *x, uint64_t id, uint64_t *file_size, bool *held)
{
    struct db *db = &x->db;
    db_bind_number(db, INDEX_SIZE_OF, 1, id);
    if (db_step(db, INDEX_SIZE_OF) != DB_ROW) return false;
    *file_size = db_number(db, INDEX_SIZE_OF, 0);
    *held = db_number(db, INDEX_SIZE_OF, 1) > 0;
    db_reset(db, INDEX_SIZE_OF);
    return true;
}

bool quarantine_index_size(struct quarantine_index *x, uint64_t id, uint64_t *file_size)
{
    bool held;
    return find(x, id, file_size, &held);
}

static bool run_with_id(struct quarantine_index *x, enum index_statement s, uint64_t id)
{
    db_bind_number(&x->db, s, 1, id);
    return db_run(&x->db, s) == DB_DONE;
}

bool quarantine_index_drop(struct quarantine_index *x, uint64_t id)
{
    uint64_t size;
    bool held;
    if (!find(x, id, &size, &held)) return x->db.sql && !x->db.damaged;
    if (!db_write(&x->db) || !run_with_id(x, INDEX_DROP_RCPTS, id) || !run_with_id(x, INDEX_DROP, id)) return false;
    x->messages -= x->messages > 0;
    x->held -= held && x->held;
    x->bytes -= size < x->bytes ? size : x->bytes;
    return true;
}

static bool mark(struct quarantine_index *x, uint64_t id, const struct quarantine_note *n)
{
    struct db *db = &x->db;
    bool all = n->which == QUARANTINE_NOTE_ALL;
    enum index_statement s = n->what == QUARANTINE_NOTE_LEARNT ? INDEX_LEARN : n->what == QUARANTINE_NOTE_TOLD ? INDEX_TOLD
                             : all ? INDEX_MARK_ALL : INDEX_MARK;
    unsigned state = n->what == QUARANTINE_NOTE_DELETED ? QUARANTINE_DELETED : QUARANTINE_RELEASED;
    db_bind_number(db, s, 1, id);
    if (s == INDEX_LEARN) {
        db_bind_number(db, s, 2, n->which < QUARANTINE_LEARNTS ? n->which : 0);
    } else if (s == INDEX_TOLD) {
        db_bind_number(db, s, 2, n->which);
    } else if (all) {
        db_bind_number(db, s, 2, state);
    } else {
        db_bind_number(db, s, 2, n->which);
        db_bind_number(db, s, 3, state);
    }
    return db_run(db, s) == DB_DONE;
}

bool quarantine_index_note(struct quarantine_index *x, uint64_t id, const struct quarantine_note *n, uint64_t file_size)
{
    struct db *db = &x->db;
    uint64_t before = 0, after = 0;
    bool held = false, still = false;
    if (!find(x, id, &before, &held) || !db_write(db) || !mark(x, id, n)) return false;
    db_bind_number(db, INDEX_SET_SIZE, 1, id);
    db_bind_number(db, INDEX_SET_SIZE, 2, file_size);
    if (db_run(db, INDEX_SET_SIZE) != DB_DONE || !find(x, id, &after, &still)) return false;
    x->bytes = x->bytes + after - before;
    x->held = x->held + still - held;
    return true;
}

/* ---- reading */

bool quarantine_index_oldest(struct quarantine_index *x, uint64_t before, uint64_t *id)
{
    db_bind_number(&x->db, INDEX_OLDEST, 1, before);
    if (db_step(&x->db, INDEX_OLDEST) != DB_ROW) return false;
    *id = db_number(&x->db, INDEX_OLDEST, 0);
    db_reset(&x->db, INDEX_OLDEST);
    return true;
}

size_t quarantine_index_next(struct quarantine_index *x, uint64_t after, uint64_t *ids, size_t max)
{
    size_t n = 0;
    db_bind_number(&x->db, INDEX_NEXT, 1, after);
    db_bind_number(&x->db, INDEX_NEXT, 2, max);
    while (n < max && db_step(&x->db, INDEX_NEXT) == DB_ROW) ids[n++] = db_number(&x->db, INDEX_NEXT, 0);
    if (n == max) db_reset(&x->db, INDEX_NEXT);
    return n;
}

bool quarantine_index_counts(struct quarantine_index *x, uint64_t id, uint64_t counts[QUARANTINE_STATES])
{
    db_bind_number(&x->db, INDEX_COUNT, 1, id);
    if (db_step(&x->db, INDEX_COUNT) != DB_ROW) return false;
    for (int i = 0; i < QUARANTINE_STATES; i++) counts[i] = db_number(&x->db, INDEX_COUNT, i);
    db_reset(&x->db, INDEX_COUNT);
    return true;
}

uint32_t quarantine_index_find(struct quarantine_index *x, uint64_t id, struct slice address, uint32_t from)
{
    struct db *db = &x->db;
    uint32_t found = UINT32_MAX;
    db_bind_number(db, INDEX_RCPTS, 1, id);
    db_bind_number(db, INDEX_RCPTS, 2, UINT32_MAX);
    db_bind_number(db, INDEX_RCPTS, 3, from);
    while (db_step(db, INDEX_RCPTS) == DB_ROW) {
        if (db_number(db, INDEX_RCPTS, RECIPIENT_STATE) != QUARANTINE_HELD ||
            !slice_ieq(db_bytes(db, INDEX_RCPTS, RECIPIENT_ADDRESS), address))
            continue;
        found = (uint32_t)db_number(db, INDEX_RCPTS, RECIPIENT_NUMBER);
        db_reset(db, INDEX_RCPTS);
        break;
    }
    return found;
}
