/* SPDX-License-Identifier: Apache-2.0
 * Counts that all workers share: a mapping of fixed size, made by the master before they are forked, in which they meet without
 * locks. When it is full the oldest counts give way; a flood of clients costs no memory. A worker that dies leaves nothing locked. */
#ifndef POSTERN_POLICY_SHARED_H
#define POSTERN_POLICY_SHARED_H
#include <stdbool.h>
#include <stdint.h>

struct shared;

struct shared *shared_new(unsigned workers); /* workers: processes at the same time, those that drain included; never NULL */
void shared_free(struct shared *s);          /* NULL is fine */

/* Events of `key` within the last `window` ms, with these `add` (0: only asks). The count of a window that slides: what is older fades out.
 * Key 0 is not allowed. */
uint64_t shared_count(struct shared *s, uint64_t key, uint32_t add, uint64_t window, uint64_t now_mono_ms);
/* Distinct items seen for `key` within the last `window` ms, about; up to 60. item: a hash. */
unsigned shared_distinct(struct shared *s, uint64_t key, uint64_t item, uint64_t window, uint64_t now_mono_ms);
/* A mark that stays for a while, seen by all workers. */
void shared_mark(struct shared *s, uint64_t key, uint64_t until_mono_ms);
bool shared_is_marked(struct shared *s, uint64_t key, uint64_t now_mono_ms);

/* Sessions at once. Each process has a column, which is emptied when a process takes it. */
int shared_column_take(struct shared *s);    /* by a worker at its start; -1: none is free, nothing is counted then */
void shared_column_leave(struct shared *s, int column); /* by the master, or the worker, when it is over */
void shared_session_begin(struct shared *s, int column, uint64_t key);
void shared_session_end(struct shared *s, int column, uint64_t key);
uint32_t shared_sessions(const struct shared *s, uint64_t key);

#endif
