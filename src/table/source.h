/* SPDX-License-Identifier: Apache-2.0
 * Reading directories and databases: what the files of the tables process share. Everything here is plain blocking code of one thread
 * for each table, and what comes is hostile text. */
#ifndef POSTERN_TABLE_SOURCE_H
#define POSTERN_TABLE_SOURCE_H
#include "base/buf.h"
#include "config/tables.h"

/* ---- rows.c: what comes becomes a block for each use of the table */
struct rows_use {
    const struct table_source *source;
    struct snapshot_builder *builder;
    uint64_t skipped;        /* rows that were wrong */
    char first[200];         /* what was wrong with the first of them, printable */
};
struct rows {
    const struct config_table *table;
    struct rows_use *uses;
    size_t use_n;
    uint64_t row_n;
};
void rows_init(struct rows *r, const struct config_table *table, const struct table_source *const *sources, size_t n);
void rows_deinit(struct rows *r);
/* One row: an entry, and what it stands for (p NULL: nothing). False: there are more, or larger ones, than the table may have: *err. */
bool rows_add(struct rows *r, struct slice entry, struct slice value, struct err *err) MUST_CHECK;
/* One that has no entry in it; why: one clause. */
void rows_skip(struct rows *r, const char *why);

/* ---- one reading. False: *err says what is wrong and how it is mended, without secrets; what is in `rows` by then is worth nothing. */
struct reading {
    const struct config *config;
    const struct config_table *table;
    struct slice password;   /* p NULL: none */
    uint64_t deadline;       /* monotonic ms */
    struct rows *rows;
};
typedef bool source_read(struct reading *r, struct err *err);
source_read source_ldap, source_sqlite, source_postgresql;

#endif
