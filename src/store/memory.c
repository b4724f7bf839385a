/* SPDX-License-Identifier: Apache-2.0
 * What the checks remember, in one table. An index over the ends finds what has ended, and what gives way when a kind is full. */
#include "store/memory.h"
#include <math.h>
#include "base/clock.h"
#include "base/mem.h"

#define SWEEP_MS 1000      /* between two looks for what has ended */
#define SWEEP_BATCH 500
#define EVICT_BATCH 128    /* of a full kind: so that most writes need not look */
#define HALF_LIVES_KEPT 8  /* after which 1/256 is left */
#define HALF_LIFE_MAX (UINT64_C(400) * 86400000)

enum { GET, PUT, REMOVE, COUNT_GET, COUNT_PUT, FIRST_END, SWEEP, EVICT, SIZES };

static const char *const statements[] = {
    [GET] = "SELECT value, expires, good, bad, changed, half_life FROM memory WHERE space=?1 AND key=?2",
    [PUT] = "INSERT INTO memory(space, key, value, expires) VALUES(?1, ?2, ?3, ?4)"
            " ON CONFLICT(space, key) DO UPDATE SET value=?3, expires=?4",
    [REMOVE] = "DELETE FROM memory WHERE space=?1 AND key=?2",
    [COUNT_GET] = "SELECT good, bad, changed, expires FROM memory WHERE space=?1 AND key=?2",
    [COUNT_PUT] = "INSERT INTO memory(space, key, good, bad, changed, half_life, expires) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                  " ON CONFLICT(space, key) DO UPDATE SET good=?3, bad=?4, changed=?5, half_life=?6, expires=?7",
    [FIRST_END] = "SELECT expires FROM memory WHERE space=?1 ORDER BY expires LIMIT 1",
    [SWEEP] = "DELETE FROM memory WHERE space=?1 AND key IN"
              " (SELECT key FROM memory WHERE space=?1 AND expires<=?2 ORDER BY expires LIMIT ?3)",
    [EVICT] = "DELETE FROM memory WHERE space=?1 AND key IN"
              " (SELECT key FROM memory WHERE space=?1 ORDER BY expires LIMIT ?2)",
    [SIZES] = "SELECT space, count(*) FROM memory GROUP BY space",
};

static const char schema[] =
    "CREATE TABLE memory(space INTEGER NOT NULL, key BLOB NOT NULL, value BLOB, expires INTEGER NOT NULL,"
    " good REAL, bad REAL, changed INTEGER, half_life INTEGER, PRIMARY KEY(space, key)) WITHOUT ROWID;"
    "CREATE INDEX memory_expires ON memory(space, expires);";

static void count_all(struct db *db)
{
    struct memory *m = db->owner;
    for (size_t i = 0; i < STORE_SPACES; i++) m->counts[i] = 0;
    while (db_step(db, SIZES) == DB_ROW) {
        uint64_t space = db_number(db, SIZES, 0);
        if (space < STORE_SPACES) m->counts[space] = db_number(db, SIZES, 1);
    }
    m->rollbacks = db->rollbacks;
}

static const struct db_kind kind = {
    .name = "memory", .application_id = 0x506d656d, .version = 1, .cache_kib = 32768, .schema = schema, .statements = statements,
    .statement_n = countof(statements), .on_open = count_all,
};

bool memory_open(struct memory *m, const char *directory, uint64_t entries, struct err *err)
{
    *m = (struct memory){ .entries = entries };
    return db_open(&m->db, &kind, directory, m, err);
}

void memory_close(struct memory *m)
{
    db_close(&m->db);
}

/* ---- bounds */

static void subtract(struct memory *m, enum store_space space)
{
    uint64_t n = m->db.sql ? (uint64_t)sqlite3_changes(m->db.sql) : 0;
    m->counts[space] = m->counts[space] > n ? m->counts[space] - n : 0;
}

static void evict(struct memory *m, enum store_space space, uint64_t n)
{
    db_bind_number(&m->db, EVICT, 1, space);
    db_bind_number(&m->db, EVICT, 2, n);
    if (db_write(&m->db) && db_run(&m->db, EVICT) == DB_DONE) subtract(m, space);
}

static void added(struct memory *m, enum store_space space)
{
    m->counts[space]++;
    if (m->counts[space] > m->entries) evict(m, space, EVICT_BATCH < m->entries / 8 ? EVICT_BATCH : m->entries / 8 + 1);
}

static bool is_due(struct memory *m, enum store_space space, uint64_t now)
{
    db_bind_number(&m->db, FIRST_END, 1, space);
    bool due = db_step(&m->db, FIRST_END) == DB_ROW && (db_number(&m->db, FIRST_END, 0) <= now || m->counts[space] > m->entries);
    db_reset(&m->db, FIRST_END);
    return due;
}

/* True when there is a next batch. */
static bool sweep(struct memory *m, enum store_space space, uint64_t now)
{
    if (!is_due(m, space, now)) return false; /* without a transaction */
    db_bind_number(&m->db, SWEEP, 1, space);
    db_bind_number(&m->db, SWEEP, 2, now);
    db_bind_number(&m->db, SWEEP, 3, SWEEP_BATCH);
    if (!db_write(&m->db) || db_run(&m->db, SWEEP) != DB_DONE) return false;
    bool more = sqlite3_changes(m->db.sql) == SWEEP_BATCH;
    subtract(m, space);
    if (m->counts[space] <= m->entries) return more;
    evict(m, space, SWEEP_BATCH); /* the bound was lowered */
    return true;
}

unsigned memory_tend(struct memory *m)
{
    uint64_t now = clock_mono_ms();
    bool more = false;
    db_tend(&m->db, now);
    if (m->rollbacks != m->db.rollbacks && !m->db.off_until) count_all(&m->db);
    if (now - m->swept >= SWEEP_MS && m->db.sql && !m->db.off_until) {
        for (size_t i = 0; i < STORE_SPACES; i++)
            if (m->counts[i]) more |= sweep(m, (enum store_space)i, clock_wall_ms());
        m->swept = more ? 0 : now;
    }
    return more ? 20 : m->db.writing ? 100 : SWEEP_MS;
}

/* ---- entries */

static void bind_key(struct memory *m, size_t statement, enum store_space space, struct slice key)
{
    db_bind_number(&m->db, statement, 1, space);
    db_bind_blob(&m->db, statement, 2, key);
}

/* What is left of a count after a time. */
static double left(uint64_t changed, uint64_t now, uint64_t half_life)
{
    return half_life && now > changed ? exp2(-(double)(now - changed) / (double)half_life) : 1;
}

void memory_get(struct memory *m, enum store_space space, struct slice key, uint64_t now, struct store_answer *out)
{
    struct db *db = &m->db;
    *out = (struct store_answer){ .status = STORE_GONE };
    bind_key(m, GET, space, key);
    switch (db_step(db, GET)) {
    case DB_ROW: break;
    case DB_DONE: out->status = STORE_NONE; return;
    default: return;
    }
    double rest = left(db_number(db, GET, 4), now, db_number(db, GET, 5));
    out->status = STORE_NONE;
    out->expires = db_number(db, GET, 1);
    if (out->expires > now) {
        struct slice value = slice_sub(db_bytes(db, GET, 0), 0, STORE_VALUE_MAX);
        if (value.n) memcpy(m->value, value.p, value.n);
        out->status = STORE_FOUND;
        out->value = slice_of(m->value, value.n);
        out->good = sqlite3_column_double(db_statement(db, GET), 2) * rest;
        out->bad = sqlite3_column_double(db_statement(db, GET), 3) * rest;
    }
    db_reset(db, GET); /* or the log of the database could not be ended */
}

static bool put(struct memory *m, enum store_space space, struct slice key, struct slice value, uint64_t expires)
{
    if (!db_write(&m->db)) return false;
    bind_key(m, PUT, space, key);
    db_bind_blob(&m->db, PUT, 3, value);
    db_bind_number(&m->db, PUT, 4, expires);
    return db_run(&m->db, PUT) == DB_DONE;
}

void memory_put_new(struct memory *m, enum store_space space, struct slice key, struct slice value, uint64_t expires, uint64_t now,
                    struct store_answer *out)
{
    memory_get(m, space, key, now, out);
    if (out->status != STORE_NONE) return;
    bool known = out->expires != 0; /* one that has ended is there still */
    if (!put(m, space, key, value, expires)) out->status = STORE_GONE; /* or the client would be new for ever */
    else if (!known) added(m, space);
}

static bool has(struct memory *m, enum store_space space, struct slice key)
{
    bind_key(m, COUNT_GET, space, key);
    return db_run(&m->db, COUNT_GET) == DB_ROW;
}

void memory_put(struct memory *m, enum store_space space, struct slice key, struct slice value, uint64_t expires)
{
    bool known = has(m, space, key);
    if (put(m, space, key, value, expires) && !known) added(m, space);
}

void memory_remove(struct memory *m, enum store_space space, struct slice key)
{
    if (!db_write(&m->db)) return;
    bind_key(m, REMOVE, space, key);
    if (db_run(&m->db, REMOVE) == DB_DONE) subtract(m, space);
}

void memory_add_counts(struct memory *m, struct slice key, double good, double bad, uint64_t half_life, uint64_t now)
{
    struct db *db = &m->db;
    if (!half_life || half_life > HALF_LIFE_MAX) half_life = HALF_LIFE_MAX;
    uint64_t kept = half_life * HALF_LIVES_KEPT, grain = kept / 64 + 1;
    uint64_t expires = (now + kept) / grain * grain + grain; /* in steps, so that the index over the ends seldom changes */
    bind_key(m, COUNT_GET, STORE_REPUTATION, key);
    bool known = db_step(db, COUNT_GET) == DB_ROW;
    if (known) {
        double rest = left(db_number(db, COUNT_GET, 2), now, half_life);
        if (db_number(db, COUNT_GET, 3) > now) {
            good += sqlite3_column_double(db_statement(db, COUNT_GET), 0) * rest;
            bad += sqlite3_column_double(db_statement(db, COUNT_GET), 1) * rest;
        }
        db_reset(db, COUNT_GET);
    }
    if (!db_write(db)) return;
    bind_key(m, COUNT_PUT, STORE_REPUTATION, key);
    db_bind_real(db, COUNT_PUT, 3, good);
    db_bind_real(db, COUNT_PUT, 4, bad);
    db_bind_number(db, COUNT_PUT, 5, now);
    db_bind_number(db, COUNT_PUT, 6, half_life);
    db_bind_number(db, COUNT_PUT, 7, expires);
    if (db_run(db, COUNT_PUT) == DB_DONE && !known) added(m, STORE_REPUTATION);
}
