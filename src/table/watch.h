/* SPDX-License-Identifier: Apache-2.0
 * What is known of a table in one of its uses, and what becomes of a reading: the block on disk, the log, the state. Its thread alone calls
 * these; what is told to others is under the lock. */
#ifndef POSTERN_TABLE_WATCH_H
#define POSTERN_TABLE_WATCH_H
#include <jansson.h>
#include <pthread.h>
#include "config/tables.h"
#include "table/block_file.h"

#define WATCH_RETRY_MS 30000 /* at most, after a reading that failed */

enum watch_state { WATCH_WAITING, WATCH_KEPT, WATCH_GOOD, WATCH_BROKEN };
struct watch_told {
    enum watch_state state;
    bool reading;
    uint64_t entries, made, tried, next, skipped; /* wall ms */
    char error[sizeof(((struct err *)0)->text)], first[200];
};
struct watch_world {
    pthread_mutex_t lock;
    pthread_cond_t wake;         /* of threads that wait for their time */
    const char *directory;
    struct block_owner owner;    /* under the lock */
    int told_fd;
};
struct watch {
    struct watch_world *world;
    const struct table_source *source;
    struct watch_told told;      /* under the lock */
    bool wanted;                 /* likewise: it is to be read now */
};

/* The state of a block from before. */
void watch_init(struct watch *w, struct watch_world *world, const struct table_source *s);
void watch_begin(struct watch *w);
bool watch_wanted(struct watch *w);
void watch_put_off(struct watch *w); /* it could not be read yet: it is still wanted */
/* It was read: takes s. next: wall ms; 0: when it changes; where it cannot be kept, after WATCH_RETRY_MS at the
 * latest. always: it is written though nothing is new in it. */
void watch_take(struct watch *w, struct snapshot *s, uint64_t skipped, const char *first, uint64_t next, bool always);
/* It could not be read: the last good block stays. */
void watch_break(struct watch *w, const struct err *err, uint64_t next);
json_t *watch_json(struct watch *w);
void watch_tell(struct watch_world *world); /* the loop: something has changed */

#endif
