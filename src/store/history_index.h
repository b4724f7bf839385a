/* SPDX-License-Identifier: Apache-2.0
 * What the history is searched by (block.h), kept in step with its tables. The block that grows is in memory alone; when it is full it
 * becomes rows, in the same transaction as what is in it. What was in memory when the process ended, or of a history that has no blocks
 * yet, is read from the tables again, a few milliseconds at a time. */
#ifndef POSTERN_STORE_HISTORY_INDEX_H
#define POSTERN_STORE_HISTORY_INDEX_H
#include "store/block.h"
#include "store/store.h"

struct history;
struct history_index {
    struct block block;
    struct block_events events;
    uint64_t number;            /* of the last block that is a row */
    uint64_t last;              /* the largest id in one: what is above it is found again by its id, the others stand in the table `late` */
    uint64_t event_row;         /* the last event in a row */
    bool behind, events_behind; /* the tables have more than was read so far: */
    bool late_read;             /* what is in `late` is in the block */
    uint64_t at;                /* messages up to this id, */
    uint64_t event_at;          /* events up to this row */
    unsigned rollbacks;         /* of the database, as it was when all this was read */
};

void index_reset(struct history *h);  /* all is read again; after the database was opened */
void index_deinit(struct history *h);
/* The row is written; rcpts: as in it. */
void index_add(struct history *h, const struct history_event *e, struct slice rcpts);
void index_add_event(struct history *h, const struct history_event *e, uint64_t row);
bool index_tend(struct history *h);   /* some milliseconds; true: there is more to read */
/* Drops what only has messages below this id, and events below this row; UINT64_MAX: all. */
void index_trim(struct history *h, uint64_t oldest, uint64_t oldest_event);
bool index_is_complete(const struct history *h);

#endif
