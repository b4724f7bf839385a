/* SPDX-License-Identifier: Apache-2.0
 * Counts that all workers share: a mapping of fixed size, made by the master before they are forked, in which they meet without
 * locks. Where it is full the oldest counts give way, so that a flood of clients costs no memory; counts that strangers cause lie apart
 * from those of our own clients. A worker that dies leaves nothing locked. When two meet at the same count one event may be lost. */
#ifndef POSTERN_POLICY_SHARED_H
#define POSTERN_POLICY_SHARED_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct shared;

/* Also draws the key of base/hash.h, which is the same in all processes thereby. Keys are such hashes; 0 is taken as 1. */
struct shared *shared_new(void); /* never NULL */
void shared_free(struct shared *s); /* unmaps; NULL is fine */

enum shared_table {
    SHARED_STRANGERS, /* what anybody can cause */
    SHARED_OWN,       /* users and trusted clients */
    SHARED_TABLES,
};
/* Events of `key` within the last `window` ms (at least 1000), with these `add` (0: only asks). The window slides: what is older
 * fades out. Counts end at about a million. */
uint32_t shared_count(struct shared *s, enum shared_table t, uint64_t key, uint32_t add, uint64_t window, uint64_t now_mono_ms);
/* Distinct items seen for `key` in this window of `window` ms and the one before, about; up to 200. item: a hash. */
unsigned shared_distinct(struct shared *s, uint64_t key, uint64_t item, uint64_t window, uint64_t now_mono_ms);
/* A mark that all workers see until then. */
void shared_mark(struct shared *s, uint64_t key, uint64_t until_mono_ms);
bool shared_is_marked(const struct shared *s, uint64_t key, uint64_t now_mono_ms);

/* Sessions at once. Each process counts in a column of its own; at most 256 processes, those beyond count nothing. */
int shared_column_take(struct shared *s);                 /* by a worker at its start; -1: none is free */
void shared_column_drop(struct shared *s, pid_t pid);     /* by the master, when the worker is gone */
void shared_session_begin(struct shared *s, int column, uint64_t key);
void shared_session_end(struct shared *s, int column, uint64_t key);
uint32_t shared_sessions(const struct shared *s, uint64_t key); /* of all processes */

#endif
