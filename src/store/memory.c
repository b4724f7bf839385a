/* SPDX-License-Identifier: Apache-2.0
 * What the checks remember, in one table. An index over the ends finds what has ended, and what gives way when a kind is full. */
#include "store/memory.h"
#include <math.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

#define SWEEP_MS 1000      /* between two looks for what has ended */
#define SWEEP_BATCH 500
#define EVICT_BATCH 128    /* of a full kind: so that most writes need not look */
#define HALF_LIVES_KEPT 8  /* after which 1/256 is left */
#define HALF_LIFE_MAX (UINT64_C(400) * 86400000)

enum { GET, ADD, SET, REMOVE, FIRST_END, SWEEP, EVICT, SIZES, SECRET, SECRET_DRAW };

static const char *const statements[] = {
    [GET] = "SELECT n, value, expires, good, bad, changed, half_life FROM memory WHERE hash=?1 AND +space=?2 AND key=?3",
    [ADD] = "INSERT INTO memory(hash, space, key, value, expires, good, bad, changed, half_life) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [SET] = "UPDATE memory SET value=?4, expires=?5, good=?6, bad=?7, changed=?8, half_life=?9 WHERE n=?1",
    [REMOVE] = "DELETE FROM memory WHERE n=?1",
    [FIRST_END] = "SELECT expires FROM memory WHERE space=?1 ORDER BY expires LIMIT 1",
    [SWEEP] = "DELETE FROM memory WHERE n IN (SELECT n FROM memory WHERE space=?1 AND expires<=?2 ORDER BY expires LIMIT ?3)",
    [EVICT] = "DELETE FROM memory WHERE n IN (SELECT n FROM memory WHERE space=?1 ORDER BY expires LIMIT ?2)",
    [SIZES] = "SELECT space, count(*) FROM memory GROUP BY space",
    [SECRET] = "SELECT a, b FROM secret",
    [SECRET_DRAW] = "INSERT INTO secret VALUES(random(), random())",
};

/* Rows stand in the order in which they came, and mostly go in it, too. The only thing that is written all over the file is the index
 * over short hashes of the keys. (With the keys themselves as the order of
 * the table a flood of new ones took three times as long.) */
static const char schema[] =
    "CREATE TABLE memory(n INTEGER PRIMARY KEY, hash INTEGER NOT NULL, space INTEGER NOT NULL, key BLOB NOT NULL, value BLOB,"
    " expires INTEGER NOT NULL, good REAL, bad REAL, changed INTEGER, half_life INTEGER);"
    "CREATE INDEX memory_hash ON memory(hash);"
    "CREATE INDEX memory_expires ON memory(space, expires);"
    "CREATE TABLE secret(a INTEGER, b INTEGER);";

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

static bool read_secret(struct memory *m)
{
    if (db_step(&m->db, SECRET) != DB_ROW) return false;
    for (int i = 0; i < 2; i++) m->secret[i] = (uint64_t)sqlite3_column_int64(db_statement(&m->db, SECRET), i);
    db_reset(&m->db, SECRET);
    return true;
}

static void on_open(struct db *db)
{
    struct memory *m = db->owner;
    if (!read_secret(m) && db_run(db, SECRET_DRAW) == DB_DONE) (void)read_secret(m);
    count_all(db);
}

static const struct db_kind kind = {
    .name = "memory", .application_id = 0x506d656d, .version = 2, .cache_kib = 32768, .schema = schema, .statements = statements,
    .statement_n = countof(statements), .on_open = on_open,
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

struct entry {
    uint64_t n;              /* 0: there is none */
    struct slice value;
    uint64_t expires;
    double good, bad;
    uint64_t changed, half_life;
};

/* What is left of a count after a time. */
static double left(uint64_t changed, uint64_t now, uint64_t half_life)
{
    return half_life && now > changed ? exp2(-(double)(now - changed) / (double)half_life) : 1;
}

static void bind_key(struct memory *m, size_t statement, enum store_space space, struct slice key)
{
    db_bind_number(&m->db, statement, 1, hash_keyed(m->secret, key) >> 17); /* six bytes in the index; the key itself is compared, too */
    db_bind_number(&m->db, statement, 2, space);
    db_bind_blob(&m->db, statement, 3, key);
}

/* value: until the next call. False: it is not known. */
static bool find(struct memory *m, enum store_space space, struct slice key, struct entry *e)
{
    struct db *db = &m->db;
    *e = (struct entry){ 0 };
    bind_key(m, GET, space, key);
    enum db_step step = db_step(db, GET);
    if (step != DB_ROW) return step == DB_DONE;
    struct slice value = slice_sub(db_bytes(db, GET, 1), 0, STORE_VALUE_MAX);
    if (value.n) memcpy(m->value, value.p, value.n);
    *e = (struct entry){ .n = db_number(db, GET, 0), .value = slice_of(m->value, value.n), .expires = db_number(db, GET, 2),
                         .good = sqlite3_column_double(db_statement(db, GET), 3), .bad = sqlite3_column_double(db_statement(db, GET), 4),
                         .changed = db_number(db, GET, 5), .half_life = db_number(db, GET, 6) };
    db_reset(db, GET); /* or the log of the database could not be ended */
    return true;
}

/* In the place of the one with e->n, or as a new one. */
static bool keep(struct memory *m, enum store_space space, struct slice key, const struct entry *e)
{
    struct db *db = &m->db;
    size_t s = e->n ? SET : ADD;
    if (!db_write(db)) return false;
    if (e->n) db_bind_number(db, s, 1, e->n);
    else bind_key(m, s, space, key);
    db_bind_blob(db, s, 4, e->value);
    db_bind_number(db, s, 5, e->expires);
    db_bind_real(db, s, 6, e->good);
    db_bind_real(db, s, 7, e->bad);
    db_bind_number(db, s, 8, e->changed);
    db_bind_number(db, s, 9, e->half_life);
    if (db_run(db, s) != DB_DONE) return false;
    if (!e->n) added(m, space);
    return true;
}

void memory_get(struct memory *m, enum store_space space, struct slice key, uint64_t now, struct store_answer *out)
{
    struct entry e;
    *out = (struct store_answer){ .status = STORE_GONE };
    if (!find(m, space, key, &e)) return;
    out->status = STORE_NONE;
    if (!e.n || e.expires <= now) return;
    double rest = left(e.changed, now, e.half_life);
    *out = (struct store_answer){ .status = STORE_FOUND, .value = e.value, .expires = e.expires, .good = e.good * rest,
                                  .bad = e.bad * rest };
}

void memory_put_new(struct memory *m, enum store_space space, struct slice key, struct slice value, uint64_t expires, uint64_t now,
                    struct store_answer *out)
{
    struct entry e;
    *out = (struct store_answer){ .status = STORE_GONE };
    if (!find(m, space, key, &e)) return;
    if (e.n && e.expires > now) {
        *out = (struct store_answer){ .status = STORE_FOUND, .value = e.value, .expires = e.expires };
    } else if (keep(m, space, key, &(struct entry){ .n = e.n, .value = value, .expires = expires })) {
        out->status = STORE_NONE; /* what cannot be remembered is not NONE, or the client would be new for ever */
    }
}

void memory_put(struct memory *m, enum store_space space, struct slice key, struct slice value, uint64_t expires)
{
    struct entry e;
    if (find(m, space, key, &e)) (void)keep(m, space, key, &(struct entry){ .n = e.n, .value = value, .expires = expires });
}

void memory_remove(struct memory *m, enum store_space space, struct slice key)
{
    struct entry e;
    if (!find(m, space, key, &e) || !e.n || !db_write(&m->db)) return;
    db_bind_number(&m->db, REMOVE, 1, e.n);
    if (db_run(&m->db, REMOVE) == DB_DONE) subtract(m, space);
}

void memory_add_counts(struct memory *m, struct slice key, double good, double bad, uint64_t half_life, uint64_t now)
{
    struct entry e;
    if (!find(m, STORE_REPUTATION, key, &e)) return;
    if (!half_life || half_life > HALF_LIFE_MAX) half_life = HALF_LIFE_MAX;
    uint64_t kept = half_life * HALF_LIVES_KEPT, grain = kept / 64 + 1;
    double rest = e.n && e.expires > now ? left(e.changed, now, half_life) : 0;
    struct entry sum = { .n = e.n, .good = e.good * rest + good, .bad = e.bad * rest + bad, .changed = now, .half_life = half_life,
                         .expires = (now + kept) / grain * grain + grain }; /* in steps: the index over the ends seldom changes */
    (void)keep(m, STORE_REPUTATION, key, &sum);
}
