/* SPDX-License-Identifier: Apache-2.0
 * What the checks remember: entries of a few kinds (store.h, enum store_space), each with a key, and an end. No kind has more than its
 * bound for longer than a few milliseconds. Blocks for as long as SQLite does; for one thread. */
#ifndef POSTERN_STORE_MEMORY_H
#define POSTERN_STORE_MEMORY_H
#include "store/db.h"
#include "store/store.h"

struct memory {
    struct db db;
    uint64_t entries;               /* at most, of each kind */
    uint64_t counts[STORE_SPACES];
    uint64_t secret[2];             /* of the file, for the hashes in it */
    unsigned rollbacks;             /* of the database, when they were counted */
    uint64_t swept;                 /* mono ms */
    char value[STORE_VALUE_MAX];    /* of the last answer */
};

bool memory_open(struct memory *m, const char *directory, uint64_t entries, struct err *err) MUST_CHECK;
void memory_close(struct memory *m);

/* value and what else the answer holds: until the next call. `now`: wall ms. */
void memory_get(struct memory *m, enum store_space space, struct slice key, uint64_t now, struct store_answer *out);
void memory_put_new(struct memory *m, enum store_space space, struct slice key, struct slice value, uint64_t expires, uint64_t now,
                    struct store_answer *out);
void memory_put(struct memory *m, enum store_space space, struct slice key, struct slice value, uint64_t expires);
void memory_remove(struct memory *m, enum store_space space, struct slice key);
void memory_add_counts(struct memory *m, struct slice key, double good, double bad, uint64_t half_life, uint64_t now);

/* Commits when it is time, and sweeps what has ended, a batch at a time. Ms until it wants to be called again. */
unsigned memory_tend(struct memory *m);

#endif
