/* SPDX-License-Identifier: Apache-2.0
 * Tables in an SQLite database. Somebody else writes to it: it is opened for each reading, only to be read, and what is in it may be
 * anything. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "table/source.h"

#define BUSY_MS 5000
#define STEPS 10000               /* of SQLite's machine between two looks at the clock */
#define CELL_MAX (64 << 20)       /* bytes; what is too long for an entry is passed over as a row, up to here */

static int on_progress(void *deadline)
{
    return clock_mono_ms() >= *(const uint64_t *)deadline;
}

static bool broken(const struct reading *r, sqlite3 *db, const char *what, struct err *err)
{
    struct buf text = { 0 };
    int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
    const char *mend = "";
    if (code == SQLITE_INTERRUPT) mend = ": the query took too long";
    else if ((code & 0xFF) == SQLITE_CANTOPEN || (code & 0xFF) == SQLITE_READONLY || (code & 0xFF) == SQLITE_PERM)
        mend = ": system.table_user must be able to read it and, where it is written ahead, its -wal and -shm files";
    buf_add_printable(&text, slice_str(db ? sqlite3_errmsg(db) : "no memory"), 120);
    err_set_text(err, "SQLite, %.120s, %s: %s%s", r->table->file, what, buf_cstr(&text), mend);
    buf_deinit(&text);
    return false;
}

static void set_limits(sqlite3 *db, struct reading *r)
{
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_progress_handler(db, STEPS, on_progress, &r->deadline);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, CELL_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL); /* views and triggers in it are not ours */
}

static bool check(const struct reading *r, sqlite3_stmt *s, const char *rest, struct err *err)
{
    int columns = sqlite3_column_count(s);
    if (!s || slice_trim(slice_str(rest)).n) return err_set(err, "tables.%.60s.query must be one statement", r->table->name);
    if (!sqlite3_stmt_readonly(s)) return err_set(err, "tables.%.60s.query writes: it must be a SELECT", r->table->name);
    if (columns == 1 || columns == 2) return true;
    return err_set(err, "tables.%.60s.query gives %d columns: it must be one (the entry) or two (and its value)", r->table->name, columns);
}

static struct slice cell(sqlite3_stmt *s, int i)
{
    const void *p = sqlite3_column_type(s, i) == SQLITE_BLOB ? sqlite3_column_blob(s, i) : sqlite3_column_text(s, i);
    return slice_of(p, p ? (size_t)sqlite3_column_bytes(s, i) : 0);
}

static bool read_rows(struct reading *r, sqlite3 *db, sqlite3_stmt *s, struct err *err)
{
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        bool null = sqlite3_column_type(s, 0) == SQLITE_NULL;
        if (null) rows_skip(r->rows, "its entry is NULL");
        else if (!rows_add(r->rows, cell(s, 0), sqlite3_column_count(s) > 1 ? cell(s, 1) : (struct slice){ 0 }, err)) return false;
        if (clock_mono_ms() >= r->deadline) return err_set(err, "SQLite, %.120s: the query took too long", r->table->file);
    }
    return rc == SQLITE_DONE ? true : broken(r, db, "reading", err);
}

/* ---- a database that is written ahead, while nobody has it open: there are no files to share with a writer, and who may only read cannot
 * make them. Its own file is then all there is, and it changes in no other way than through a -wal file that is put into it. */

static bool look(const struct reading *r, struct stat *st)
{
    char ahead[4300];
    struct stat wal;
    snprintf(ahead, sizeof ahead, "%s-wal", r->table->file);
    return stat(r->table->file, st) == 0 && (stat(ahead, &wal) == 0 ? wal.st_size == 0 : errno == ENOENT);
}

static bool changed(const struct stat *a, const struct stat *b)
{
    return a->st_ino != b->st_ino || a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

static void add_uri(struct buf *out, const char *path)
{
    buf_add_str(out, "file:");
    for (; *path; path++) {
        if (strchr("%?#", *path)) buf_addf(out, "%%%02x", (unsigned)(unsigned char)*path);
        else buf_add_char(out, *path);
    }
    buf_add_str(out, "?immutable=1");
}

/* ---- one reading */

/* *code: of SQLite. */
static bool attempt(struct reading *r, const char *name, int *code, struct err *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    const char *rest = "";
    bool ok = false;
    if (sqlite3_open_v2(name, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL) != SQLITE_OK) {
        broken(r, db, "opening", err);
    } else {
        set_limits(db, r);
        if (sqlite3_prepare_v2(db, r->table->query, -1, &s, &rest) != SQLITE_OK) broken(r, db, "preparing the query", err);
        else ok = check(r, s, rest, err) && read_rows(r, db, s, err);
    }
    *code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
    sqlite3_finalize(s);
    sqlite3_close(db);
    return ok;
}

bool source_sqlite(struct reading *r, struct err *err)
{
    struct buf uri = { 0 };
    struct stat before, after;
    int code;
    if (stat(r->table->file, &before) == 0 && !S_ISREG(before.st_mode)) /* whose opening might wait for ever */
        return err_set(err, "SQLite, %.120s: it is not a file", r->table->file);
    if (attempt(r, r->table->file, &code, err)) return true;
    if ((code != SQLITE_CANTOPEN && code != SQLITE_READONLY) || r->rows->row_n || !look(r, &before)) return false;
    add_uri(&uri, r->table->file);
    bool ok = attempt(r, buf_cstr(&uri), &code, err);
    buf_deinit(&uri);
    if (stat(r->table->file, &after) == 0 && !changed(&before, &after)) return ok;
    return err_set(err, "SQLite, %.120s: it was written to meanwhile", r->table->file);
}
