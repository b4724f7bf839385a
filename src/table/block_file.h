/* SPDX-License-Identifier: Apache-2.0
 * The files of blocks: one for each table, below the folder that all processes look into. */
#ifndef POSTERN_TABLE_BLOCK_FILE_H
#define POSTERN_TABLE_BLOCK_FILE_H
#include "base/err.h"
#include "config/tables.h"

/* The block that is there; NULL: none that is whole. Blocks. */
struct snapshot *block_file_read(const char *directory, const char *id);
/* Puts this in its place, for good: whoever looks sees the old one or the new one, also after a crash. Blocks. */
bool block_file_write(const char *directory, const char *id, const struct snapshot *s, struct err *err) MUST_CHECK;
/* Removes the blocks of tables that there are no more, and what a crash left. */
void block_file_clean(const char *directory, const struct tables *t);

/* Two processes may be there while a reload is under way: only the one that came last reads and writes. When it is gone the other goes on. */
struct block_owner {
    const char *directory;
    int fd;                /* of the lock's file; -1: not ours */
    struct err trouble;    /* why it could not be taken; text empty: it could */
};
void block_owner_take(struct block_owner *o, const char *directory);
/* Is it still us? Blocks hardly. */
bool block_owner_is_us(struct block_owner *o);

#endif
