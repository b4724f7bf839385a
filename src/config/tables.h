/* SPDX-License-Identifier: Apache-2.0
 * The tables of a configuration as a process sees them: for each that some option names (`tables`, or a file named in a list) the newest
 * block of entries (table/snapshot.h). The tables process (table/process.h) reads sources and writes blocks to files below
 * `<system.directory>/tables`; every process that looks into tables takes up newer ones from there by itself. A table whose source is
 * broken keeps the last good block; so does one whose process is away.
 *
 * Of one process: what is made before the fork is each child's own afterwards. */
#ifndef POSTERN_CONFIG_TABLES_H
#define POSTERN_CONFIG_TABLES_H
#include "config/config.h"
#include "config/match.h"
#include "table/snapshot.h"

struct tables;
struct table;

/* One table as one option needs it: an entry "sales" is a host in a list of addresses and a name among aliases. */
struct table_source {
    const struct config_table *table; /* of a file that a list names: one made for it, type ANY */
    enum list_of of;
    char id[80];                 /* "<name>-<16 hex digits>": of its file, without ".table"; another definition is another id; the name
                                    of a file that a list names: what of its last part can be one */
    struct config_place place;   /* of the first option that names it */
};

/* All that the configuration names. Reads files (types any, exact, cidr, pcre), which blocks; of directories and databases it takes what
 * was read before. A file that cannot be used while there is a good block of an earlier time: that is taken, and
 * tables_fault tells. NULL: *err names file and line. The configuration must outlive it. */
struct tables *tables_new(const struct config *c, struct err *err) MUST_CHECK;
/* The sources alone: nothing is read, and nothing blocks. */
struct tables *tables_new_of_sources(const struct config *c, struct err *err) MUST_CHECK;
/* Only the files that one list names: for lists beside a configuration. */
struct tables *tables_new_of_list(const struct config_match_list *list, enum list_of of, struct err *err) MUST_CHECK;
void tables_free(struct tables *t); /* lists made with it must be gone; NULL is fine */
/* The first file that could not be used by tables_new, in words that name it; NULL: all could. A configuration that is loaded anew is refused
 * for it. */
const struct err *tables_fault(const struct tables *t);
/* Keeps only what tables_of_name and tables_of_file were asked for; the rest is not read any more. */
void tables_forget_unused(struct tables *t);
size_t tables_size(const struct tables *t); /* bytes of all blocks, the former ones with them */
size_t tables_count(const struct tables *t);
const struct table_source *tables_source(const struct tables *t, size_t i);

/* Takes up what is newer in the folder: a stat for each table; reads what has changed (some ms for 10 MB). What a look-up gave out before
 * stays valid for TABLES_GRACE ms; so a large table that changes all the time is taken up less often, that its former blocks do not fill the
 * memory. Call it every second or so, between look-ups. */
#define TABLES_GRACE 60000u
void tables_poll(struct tables *t);
/* Calls tables_poll every second from the loop (nothing where there are no tables); tables_unwatch before the loop is gone. */
struct event_base;
void tables_watch(struct tables *t, struct event_base *base);
void tables_unwatch(struct tables *t);

/* By what the configuration says; `of` as the option needs it. Never NULL for what tables_new has seen. */
struct table *tables_of_name(const struct tables *t, const char *name, enum list_of of);
struct table *tables_of_file(const struct tables *t, const char *path, enum list_of of);
/* The newest block; NULL: nothing was read yet (a directory that has not been reached since it was configured). */
const struct snapshot *table_snapshot(const struct table *t);
uint64_t table_serial(const struct table *t); /* changes with the block */
const char *table_name(const struct table *t);         /* of a file that a list names: its path */
const struct table_source *table_source(const struct table *t);
/* The first expression of the block that the text fits: over the whole of it, case ignored, as in lists. */
bool table_find_expression(const struct table *t, struct slice text, struct snapshot_entry *out);

/* Reads a file as the tables process does, which does the same with directories and databases: entries are checked as `of` says. A line that
 * is wrong is an error with file and line. The block (table/snapshot.h), malloc'd. */
void *tables_read_file(const struct table_source *s, size_t *n, struct err *err) MUST_CHECK;
/* One row of a source, checked and added; of rows with the same entry the values are put together. value: what an alias or mapping stands
 * for; of others the reason, where it can be one; empty: none. False: *err says what is wrong with the row, in one clause; with
 * err->code E2BIG it is the whole table that is too large. */
bool tables_add_row(struct snapshot_builder *b, const struct table_source *s, struct slice entry, struct slice value, struct err *err) MUST_CHECK;

#endif
