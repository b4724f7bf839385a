/* SPDX-License-Identifier: Apache-2.0
 * The index of the quarantine: what a listing shows of each message, and what became of each recipient. Made from the files
 * (quarantine_files.h), which are what counts. Blocks for as long as SQLite does; for one thread. */
#ifndef POSTERN_STORE_QUARANTINE_INDEX_H
#define POSTERN_STORE_QUARANTINE_INDEX_H
#include "spool/envelope.h"
#include "store/db.h"
#include "store/quarantine_files.h"

enum quarantine_state { QUARANTINE_HELD, QUARANTINE_RELEASED, QUARANTINE_DELETED, QUARANTINE_STATES }; /* of a recipient */
enum quarantine_learnt { QUARANTINE_LEARNT_NOT, QUARANTINE_LEARNT_SPAM, QUARANTINE_LEARNT_HAM, QUARANTINE_LEARNTS };

enum index_statement {
    INDEX_ADD, INDEX_ADD_RCPT, INDEX_DROP, INDEX_DROP_RCPTS, INDEX_MARK, INDEX_MARK_ALL, INDEX_COUNT, INDEX_LEARN, INDEX_SET_SIZE,
    INDEX_SIZE_OF, INDEX_OLDEST, INDEX_SUMS, INDEX_NEXT, INDEX_SCAN, INDEX_ONE, INDEX_RCPTS,
    INDEX_UNTOLD_RCPTS, INDEX_UNTOLD, INDEX_UNTOLD_COUNT, INDEX_TELLING, INDEX_NEXT_TELLING, INDEX_TOLD, INDEX_GET_RAN, INDEX_SET_RAN,
    INDEX_STATEMENTS,
};

struct quarantine_index {
    struct db db;
    uint64_t messages, held, bytes;      /* held: messages with somebody they are still held for; bytes: of the files */
    unsigned opened, rollbacks;          /* counts openings of the database; its rollbacks when the sums were made */
};

bool quarantine_index_open(struct quarantine_index *x, const char *directory, struct err *err) MUST_CHECK;
void quarantine_index_close(struct quarantine_index *x);
/* The sums anew, where they may be wrong. */
void quarantine_index_tend(struct quarantine_index *x);

/* False: it could not be written, which was logged. In place of what there was under this id. */
bool quarantine_index_add(struct quarantine_index *x, const struct quarantine_head *h, const struct envelope *e, uint64_t file_size);
bool quarantine_index_drop(struct quarantine_index *x, uint64_t id);
/* What a note says, of a file that has this size now. */
bool quarantine_index_note(struct quarantine_index *x, uint64_t id, const struct quarantine_note *n, uint64_t file_size);
/* The size its file had; false: there is no such row. */
bool quarantine_index_size(struct quarantine_index *x, uint64_t id, uint64_t *file_size);
bool quarantine_index_oldest(struct quarantine_index *x, uint64_t before, uint64_t *id); /* stored before that, wall ms */
size_t quarantine_index_next(struct quarantine_index *x, uint64_t after, uint64_t *ids, size_t max);
/* How many recipients are in each state. */
bool quarantine_index_counts(struct quarantine_index *x, uint64_t id, uint64_t counts[QUARANTINE_STATES]);
/* The number of a recipient that is still held: the first from `from` on with this address, ASCII case folded; UINT32_MAX: none. */
uint32_t quarantine_index_find(struct quarantine_index *x, uint64_t id, struct slice address, uint32_t from);

const char *quarantine_state_name(unsigned state);       /* held, released, deleted */
const char *quarantine_learnt_name(unsigned learnt);     /* "", spam, ham */

/* Columns of INDEX_SCAN (?1: below this id), newest first, and INDEX_ONE (?1: id): */
enum { ENTRY_ID, ENTRY_KIND, ENTRY_ARRIVAL, ENTRY_STORED, ENTRY_SCORE, ENTRY_SIZE, ENTRY_HELD, ENTRY_RCPT_N, ENTRY_LEARNT, ENTRY_CLIENT,
       ENTRY_SENDER, ENTRY_SUBJECT, ENTRY_REASON, ENTRY_MESSAGE_ID };
/* Of INDEX_RCPTS (?1: id, ?2: how many, ?3: from this number on): */
enum { RECIPIENT_NUMBER, RECIPIENT_ADDRESS, RECIPIENT_STATE };

#endif
