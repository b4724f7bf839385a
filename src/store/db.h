/* SPDX-License-Identifier: Apache-2.0
 * A database of the store: one writer, a transaction that is kept open for many operations, and a file that may be damaged or a disk
 * that may be full without anybody having to stop. */
#ifndef POSTERN_STORE_DB_H
#define POSTERN_STORE_DB_H
#include <pthread.h>
#include <sqlite3.h>
#include "base/err.h"
#include "base/slice.h"

#define DB_STATEMENTS_MAX 64

struct db;
struct db_kind {
    const char *name;                      /* of the file, without ".db" */
    int32_t application_id;
    int version;                           /* of the tables, from 1; a file with another one is put aside, */
    const char *const *upgrades;           /* unless this is there: [v]: what makes version v + 1 of v; NULL: v is put aside */
    int cache_kib;
    const char *schema;
    const char *const *statements;         /* prepared in this order; at most DB_STATEMENTS_MAX */
    size_t statement_n;
    void (*on_open)(struct db *db);        /* also when another file was begun; may use the statements */
};

struct db {
    const struct db_kind *kind;
    void *owner;                           /* the kind's */
    char *path;
    sqlite3 *sql;                          /* NULL: could not be opened; then all fails */
    sqlite3_stmt *statements[DB_STATEMENTS_MAX];
    bool writing;                          /* a transaction is open */
    unsigned ops;                          /* in it */
    uint64_t began;                        /* mono ms */
    uint64_t off_until;                    /* mono ms: writes failed, and are tried again then; 0: they work */
    bool full;                             /* they failed as the disk is full */
    unsigned rollbacks;                    /* counts them: what the kind remembers of the tables may be wrong */
    bool damaged;                          /* is put aside by db_tend */
    int wal_pages;
    /* the thread that brings the log into the file */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake, idle;
    bool wanted, busy, end;
};

/* Opens or begins DIRECTORY/NAME.db, now or, when the disk does not let it, as soon as it does. Starts a thread; false: it cannot. */
bool db_open(struct db *db, const struct db_kind *kind, const char *directory, void *owner, struct err *err) MUST_CHECK;
void db_close(struct db *db);              /* commits */

/* Before each write: begins a transaction when none is open. False: nothing can be written now, which was logged. */
bool db_write(struct db *db);
/* When the transaction is due: after 200 ms, or 2,000 operations. `now`: mono ms. */
void db_tend(struct db *db, uint64_t now);
void db_commit(struct db *db);

enum db_step { DB_ROW, DB_DONE, DB_CONSTRAINT, DB_FAILED };
/* One step. After all but ROW the statement is ready for the next use; after ROW the caller calls db_reset when it has read. FAILED is
 * dealt with here: rolled back, logged; a statement may be another one afterwards. */
enum db_step db_step(struct db *db, size_t statement);
void db_reset(struct db *db, size_t statement);
/* A statement whose rows are of no interest. */
enum db_step db_run(struct db *db, size_t statement);

static inline sqlite3_stmt *db_statement(struct db *db, size_t n) { return db->statements[n]; }
void db_bind_number(struct db *db, size_t statement, int at, uint64_t v);   /* past INT64_MAX: that */
void db_bind_real(struct db *db, size_t statement, int at, double v);
void db_bind_text(struct db *db, size_t statement, int at, struct slice s); /* must live until the step; empty: NULL */
void db_bind_blob(struct db *db, size_t statement, int at, struct slice s); /* likewise, but empty: an empty one */
uint64_t db_number(struct db *db, size_t statement, int column);            /* below 0: 0 */
struct slice db_bytes(struct db *db, size_t statement, int column);
uint64_t db_pragma(struct db *db, const char *sql); /* a number it tells; 0 when it cannot */

#endif
