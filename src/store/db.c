/* SPDX-License-Identifier: Apache-2.0
 * SQLite as the store uses it: a write-ahead log that a second thread brings into the file, so that nobody waits for the disk; files
 * that are no good are put aside; while the disk is full, what would be written is forgotten. */
#include "store/db.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define COMMIT_MS 200
#define COMMIT_OPS 2000
#define WAL_WANTED 2000  /* pages, after which the thread is woken */
#define WAL_MOST 16384   /* after which we wait for it: 64 MiB */
#define OFF_MS 5000      /* pause after a write that failed */
#define SHARED_PAGE 4096
#define SHARED_ROOM (256u << 10)

/* ---- the thread */

static void checkpoint(const char *path)
{
    sqlite3 *sql = NULL;
    if (sqlite3_open_v2(path, &sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
        (void)sqlite3_wal_checkpoint_v2(sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL); /* what fails is the writer's to find */
    sqlite3_close(sql);
}

static void *checkpoint_main(void *arg)
{
    struct db *db = arg;
    pthread_mutex_lock(&db->mutex);
    while (!db->end) {
        if (!db->wanted) {
            pthread_cond_wait(&db->wake, &db->mutex);
            continue;
        }
        db->wanted = false;
        db->busy = true;
        pthread_mutex_unlock(&db->mutex);
        checkpoint(db->path);
        pthread_mutex_lock(&db->mutex);
        db->busy = false;
        pthread_cond_broadcast(&db->idle);
    }
    pthread_mutex_unlock(&db->mutex);
    return NULL;
}

static bool thread_busy(struct db *db)
{
    pthread_mutex_lock(&db->mutex);
    bool busy = db->busy || db->wanted;
    pthread_mutex_unlock(&db->mutex);
    return busy;
}

static void thread_wake(struct db *db)
{
    pthread_mutex_lock(&db->mutex);
    db->wanted = true;
    pthread_cond_signal(&db->wake);
    pthread_mutex_unlock(&db->mutex);
}

/* It has no file open afterwards. */
static void thread_rest(struct db *db)
{
    pthread_mutex_lock(&db->mutex);
    db->wanted = false;
    while (db->busy) pthread_cond_wait(&db->idle, &db->mutex);
    pthread_mutex_unlock(&db->mutex);
}

/* ---- opening */

static void close_file(struct db *db)
{
    thread_rest(db);
    for (size_t i = 0; i < db->kind->statement_n; i++) {
        sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    sqlite3_close(db->sql);
    db->sql = NULL;
    db->writing = false;
    db->ops = 0;
    db->wal_pages = 0;
}

static int on_wal(void *arg, sqlite3 *sql, const char *name, int pages)
{
    ((struct db *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

static int set_pragma(struct db *db, const char *name, int n)
{
    char sql[80];
    snprintf(sql, sizeof sql, "PRAGMA %s=%d", name, n);
    return sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
}

uint64_t db_pragma(struct db *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    uint64_t v = 0;
    if (db->sql && sqlite3_prepare_v2(db->sql, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        v = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return v;
}

static int make_tables(struct db *db)
{
    int rc = sqlite3_exec(db->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_exec(db->sql, db->kind->schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK) rc = set_pragma(db, "application_id", db->kind->application_id);
    if (rc == SQLITE_OK) rc = set_pragma(db, "user_version", db->kind->version);
    return rc == SQLITE_OK ? sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL) : rc;
}

/* Step by step, each a transaction. NOTADB: not of a version that can be taken over. */
static int upgrade(struct db *db)
{
    const struct db_kind *k = db->kind;
    int version = (int)db_pragma(db, "PRAGMA user_version"), rc = SQLITE_OK;
    while (rc == SQLITE_OK && version != k->version) {
        const char *sql = k->upgrades && version >= 1 && version < k->version ? k->upgrades[version] : NULL;
        rc = sql ? sqlite3_exec(db->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL) : SQLITE_NOTADB;
        if (rc == SQLITE_OK) rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
        if (rc == SQLITE_OK) rc = set_pragma(db, "user_version", ++version);
        if (rc == SQLITE_OK) rc = sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL);
        if (rc == SQLITE_OK) log_event(LOG_INFO, "store-upgraded", LOG_STR("file", db->path), LOG_NUM("version", version));
    }
    return rc;
}

static int prepare_all(struct db *db)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < db->kind->statement_n; i++)
        rc = sqlite3_prepare_v3(db->sql, db->kind->statements[i], -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL);
    return rc;
}

/* SQLite writes one byte of each page of the memory that it shares by a file, and trusts that the page has its place on disk then. Where
 * blocks are smaller than pages and the disk is full, SIGBUS would end us. */
static bool has_room(const struct db *db)
{
    struct statvfs v;
    struct slice folder = slice_sub(slice_str(db->path), 0, (size_t)(strrchr(db->path, '/') - db->path));
    char path[4300];
    snprintf(path, sizeof path, "%.*s", SLICE_ARG(folder));
    return statvfs(path, &v) != 0 || v.f_bsize >= SHARED_PAGE || (uint64_t)v.f_bavail * v.f_frsize >= SHARED_ROOM;
}

/* NOTADB: a file that is not ours. */
static int open_file(struct db *db)
{
    if (!has_room(db)) return SQLITE_FULL;
    int rc = sqlite3_open_v2(db->path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK) return rc;
    sqlite3_busy_timeout(db->sql, 1000); /* the thread may be ending a log of a former run */
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    set_pragma(db, "auto_vacuum", 2); /* incremental; of a new file only */
    rc = sqlite3_exec(db->sql, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;"
                               "PRAGMA journal_size_limit=16777216; PRAGMA cell_size_check=ON", NULL, NULL, NULL);
    if (rc == SQLITE_OK) rc = set_pragma(db, "cache_size", -db->kind->cache_kib);
    if (rc != SQLITE_OK) return rc;
    sqlite3_wal_hook(db->sql, on_wal, db);
    bool fresh = db_pragma(db, "SELECT count(*) FROM sqlite_schema") == 0 && db_pragma(db, "PRAGMA application_id") == 0;
    if (fresh) rc = make_tables(db);
    else rc = (int32_t)db_pragma(db, "PRAGMA application_id") == db->kind->application_id ? upgrade(db) : SQLITE_NOTADB;
    if (rc == SQLITE_OK) rc = prepare_all(db);
    return rc == SQLITE_ERROR ? SQLITE_NOTADB : rc; /* tables that are not as they should be */
}

/* Only the latest of these is kept: they must not fill the disk. */
static void put_aside(struct db *db, const char *why)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    struct buf from = { 0 }, to = { 0 };
    close_file(db);
    for (size_t i = 0; i < countof(ends); i++) {
        buf_clear(&from);
        buf_clear(&to);
        buf_addf(&from, "%s%s", db->path, ends[i]);
        buf_addf(&to, "%s.damaged%s", db->path, ends[i]);
        if (rename(buf_cstr(&from), buf_cstr(&to)) != 0 && errno == ENOENT) (void)unlink(buf_cstr(&to));
    }
    log_event(LOG_ERROR, "store-damaged", LOG_STR("file", db->path), LOG_STR("reason", why),
              LOG_STR("done", "put aside as .damaged; a new one is begun"));
    buf_deinit(&from);
    buf_deinit(&to);
}

static bool is_damage(int rc)
{
    return rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB;
}

static bool open_or_begin(struct db *db, struct err *err)
{
    int rc = open_file(db);
    if (is_damage(rc)) {
        put_aside(db, rc == SQLITE_CORRUPT ? "damaged" : "not a database of this program and version");
        rc = open_file(db);
    }
    db->damaged = false;
    if (rc == SQLITE_OK) {
        if (db->kind->on_open) db->kind->on_open(db);
        return true;
    }
    db->full = (rc & 0xff) == SQLITE_FULL;
    const char *why = db->sql ? sqlite3_errmsg(db->sql) : sqlite3_errstr(rc);
    err_set(err, "%.250s: %.120s", db->path, why);
    close_file(db);
    return false;
}

static void reopen(struct db *db)
{
    struct err err;
    if (db->damaged) put_aside(db, "damaged");
    if (open_or_begin(db, &err)) return;
    if (!db->off_until) log_event(LOG_ERROR, "store-not-written", LOG_STR("file", db->path), LOG_ERR(&err));
    db->off_until = clock_mono_ms() + OFF_MS;
}

bool db_open(struct db *db, const struct db_kind *kind, const char *directory, void *owner, struct err *err)
{
    struct buf path = { 0 };
    *db = (struct db){ .kind = kind, .owner = owner };
    buf_addf(&path, "%s/%s.db", directory, kind->name);
    db->path = mem_strdup(buf_cstr(&path));
    buf_deinit(&path);
    pthread_mutex_init(&db->mutex, NULL);
    pthread_cond_init(&db->wake, NULL);
    pthread_cond_init(&db->idle, NULL);
    int rc = pthread_create(&db->thread, NULL, checkpoint_main, db);
    if (rc == 0) {
        reopen(db);
        return true;
    }
    err_set_sys(err, rc, "a thread");
    free(db->path);
    db->path = NULL;
    return false;
}

void db_close(struct db *db)
{
    if (!db->path) return;
    db_commit(db);
    close_file(db);
    pthread_mutex_lock(&db->mutex);
    db->end = true;
    pthread_cond_signal(&db->wake);
    pthread_mutex_unlock(&db->mutex);
    pthread_join(db->thread, NULL);
    pthread_mutex_destroy(&db->mutex);
    pthread_cond_destroy(&db->wake);
    pthread_cond_destroy(&db->idle);
    free(db->path);
    db->path = NULL;
}

/* ---- errors */

/* What was in the transaction is lost; most likely the disk is full. */
static void failed(struct db *db, int rc)
{
    const char *text = db->sql ? sqlite3_errmsg(db->sql) : "it cannot be opened";
    if (is_damage(rc)) {
        db->damaged = true; /* not now: somebody may be in the middle of a statement */
    } else {
        db->full = (rc & 0xff) == SQLITE_FULL;
        if (!db->off_until)
            log_event(LOG_ERROR, "store-not-written", LOG_STR("file", db->path), LOG_STR("error", text));
        db->off_until = clock_mono_ms() + OFF_MS;
    }
    if (db->sql && !sqlite3_get_autocommit(db->sql)) (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    db->writing = false;
    db->ops = 0;
    db->rollbacks++;
}

/* ---- transactions */

bool db_write(struct db *db)
{
    uint64_t now = db->writing ? 0 : clock_mono_ms();
    if (!db->writing) {
        if (!db->sql || db->damaged || now < db->off_until) return false;
        int rc = sqlite3_exec(db->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        if (rc != SQLITE_OK) {
            failed(db, rc);
            return false;
        }
        db->writing = true;
        db->began = now;
    }
    db->ops++;
    return true;
}

void db_commit(struct db *db)
{
    if (!db->writing) return;
    int rc = sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        failed(db, rc);
        return;
    }
    db->writing = false;
    db->ops = 0;
    if (db->off_until) log_event(LOG_INFO, "store-written-again", LOG_STR("file", db->path));
    db->off_until = 0;
    db->full = false;
    if (db->wal_pages < WAL_WANTED || thread_busy(db)) return;
    /* The thread has been through it, yet the writer was always ahead: the little that is left is done here. */
    if (db->wal_pages > WAL_MOST) (void)sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    else thread_wake(db);
}

void db_tend(struct db *db, uint64_t now)
{
    if (db->writing && (db->ops >= COMMIT_OPS || now - db->began >= COMMIT_MS)) db_commit(db);
    if (db->damaged || (!db->sql && now >= db->off_until)) reopen(db);
}

/* ---- statements */

enum db_step db_step(struct db *db, size_t statement)
{
    if (!db->statements[statement] || db->damaged) return DB_FAILED;
    int rc = sqlite3_step(db->statements[statement]);
    if (rc == SQLITE_ROW) return DB_ROW;
    sqlite3_reset(db->statements[statement]);
    if (rc == SQLITE_DONE) return DB_DONE;
    if (rc == SQLITE_CONSTRAINT) return DB_CONSTRAINT;
    failed(db, rc);
    return DB_FAILED;
}

void db_reset(struct db *db, size_t statement)
{
    sqlite3_reset(db->statements[statement]);
}

enum db_step db_run(struct db *db, size_t statement)
{
    enum db_step s = db_step(db, statement);
    if (s == DB_ROW) db_reset(db, statement);
    return s;
}

void db_bind_number(struct db *db, size_t statement, int at, uint64_t v)
{
    sqlite3_bind_int64(db->statements[statement], at, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

void db_bind_real(struct db *db, size_t statement, int at, double v)
{
    sqlite3_bind_double(db->statements[statement], at, v);
}

void db_bind_text(struct db *db, size_t statement, int at, struct slice s)
{
    if (s.n) sqlite3_bind_text(db->statements[statement], at, s.p, (int)s.n, SQLITE_STATIC);
    else sqlite3_bind_null(db->statements[statement], at);
}

void db_bind_blob(struct db *db, size_t statement, int at, struct slice s)
{
    sqlite3_bind_blob(db->statements[statement], at, s.n ? s.p : "", (int)s.n, SQLITE_STATIC);
}

uint64_t db_number(struct db *db, size_t statement, int column)
{
    int64_t v = sqlite3_column_int64(db->statements[statement], column);
    return v > 0 ? (uint64_t)v : 0;
}

struct slice db_bytes(struct db *db, size_t statement, int column)
{
    const void *p = sqlite3_column_blob(db->statements[statement], column);
    return slice_of(p, (size_t)sqlite3_column_bytes(db->statements[statement], column));
}
