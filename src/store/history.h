/* SPDX-License-Identifier: Apache-2.0
 * The history: what became of each message and of each attempt that was refused. A message (or refusal) is one row, what happened to it
 * later are rows of another table. Bounded by age and by bytes: the oldest go. Blocks for as long as SQLite does; for one thread.
 *
 * Ids begin with the millisecond in which they were drawn (42 bits of 64), so the table by id is one by time, too. */
#ifndef POSTERN_STORE_HISTORY_H
#define POSTERN_STORE_HISTORY_H
#include "store/db.h"
#include "store/history_index.h"
#include "store/statistics.h"
#include "store/store.h"

enum history_statement {
    HISTORY_ADD, HISTORY_ADD_EVENT, HISTORY_HEAD_TO_EVENT, HISTORY_REPLACE, HISTORY_ADD_RCPT,
    HISTORY_OLDEST, HISTORY_DROP, HISTORY_DROP_EVENTS,
    HISTORY_ONE, HISTORY_EVENTS, HISTORY_SUMS, HISTORY_REASON,
    /* history_index.c */
    HISTORY_ADD_BLOCK, HISTORY_ADD_COLUMN, HISTORY_ADD_EVENT_BLOCK, HISTORY_ADD_LATE, HISTORY_CLEAR_LATE, HISTORY_LATE, HISTORY_CATCH,
    HISTORY_CATCH_EVENTS, HISTORY_OLD_BLOCK, HISTORY_DROP_COLUMNS, HISTORY_DROP_BLOCK, HISTORY_DROP_EVENT_BLOCKS,
    /* query_search.c */
    HISTORY_BLOCKS, HISTORY_COLUMN, HISTORY_EVENT_BLOCKS, HISTORY_EVENT_BLOCK,
    /* statistics.c */
    HISTORY_ADD_HOUR, HISTORY_CLEAR_HOUR, HISTORY_HOURS, HISTORY_DROP_HOURS,
    HISTORY_STATEMENTS,
};
#define HISTORY_COLUMN_STEP 16 /* between the first columns of two blocks */

struct history {
    struct db db;
    struct history_index index;
    struct statistics statistics;
    uint64_t keep, size;        /* ms; bytes. keep 0: nothing is written */
    uint64_t trimmed;           /* mono ms */
    bool more;                  /* to be trimmed */
};

bool history_open(struct history *h, const char *directory, uint64_t keep, uint64_t size, struct err *err) MUST_CHECK;
void history_close(struct history *h);
void history_add(struct history *h, const struct history_event *e);
/* Commits when it is time, and drops what is too old or too much, a batch at a time. Ms until it wants to be called again. */
unsigned history_tend(struct history *h);
uint64_t history_bytes(struct history *h);  /* that are in use */

const char *history_kind_name(unsigned kind);

/* Columns of HISTORY_ONE (?1: id), HISTORY_CATCH (?1: above this id, ?2: how many) and HISTORY_LATE: */
enum { HISTORY_ID, HISTORY_KIND, HISTORY_TIME, HISTORY_SESSION, HISTORY_CLIENT, HISTORY_HELO, HISTORY_SENDER, HISTORY_RCPTS,
       HISTORY_RCPT_N, HISTORY_MESSAGE_ID, HISTORY_SUBJECT, HISTORY_SIZE, HISTORY_CODE, HISTORY_TEXT, HISTORY_TRACE };
/* Of HISTORY_EVENTS (?1: id, ?2: how many), as they came: */
enum { EVENT_KIND, EVENT_TIME, EVENT_RCPT, EVENT_CODE, EVENT_TEXT, EVENT_HOST, EVENT_TRACE };
/* Of HISTORY_BLOCKS and HISTORY_EVENT_BLOCKS (?1: with ids from here, ?2: below): */
enum { LISTED_N, LISTED_FIRST, LISTED_LAST, LISTED_DOCS, LISTED_KINDS };
/* Of HISTORY_EVENT_BLOCK (?1: n): */
enum { EVENT_BLOCK_IDS, EVENT_BLOCK_KIND, EVENT_BLOCK_TEXT };
/* Of HISTORY_SUMS (?1: id): how many recipients have come to each kind of end, and the kind of the latest event. */
enum { SUM_DELIVERED, SUM_BOUNCED, SUM_REFUSED, SUM_DEFERRED, SUM_LAST };
/* HISTORY_REASON (?1: id): the latest words of an event that was no delivery, in its only column. */

#endif
