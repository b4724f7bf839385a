/* SPDX-License-Identifier: Apache-2.0
 * Counts over the life of the relay, for its metrics: in memory that all processes share, so that they never fall when one of them is
 * replaced. Without locks; a few hundred series. The table of metrics (admin/metrics_table.c) gives them names. */
#ifndef POSTERN_BASE_COUNTERS_H
#define POSTERN_BASE_COUNTERS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum counter {
    COUNTER_ACCEPTED, COUNTER_ACCEPTED_BYTES, COUNTER_DELIVERED, COUNTER_DEFERRED, COUNTER_BOUNCED, COUNTER_QUARANTINED, COUNTER_DISCARDED,
    COUNTER_REFUSED,           /* label: the stage */
    COUNTER_VIRUS,
    COUNTER_AUTH_OK, COUNTER_AUTH_FAILED, COUNTER_LOGIN, COUNTER_LOGIN_FAILED,
    COUNTER_CONNECTION_FAILED, COUNTER_DESTINATION_DOWN,
    COUNTER_PROCESS_ENDED,     /* label: the role; those that did not end by themselves and well */
    COUNTER_SCAN_CRASH, COUNTER_SCAN_TIMEOUT,
    COUNTER_RELOAD, COUNTER_RELOAD_FAILED,
    COUNTER_LOG_LOST,
    COUNTER_HOOK_SENT, COUNTER_HOOK_FAILED, COUNTER_HOOK_LOST, /* label: the hook's host; of LOST why */
    COUNTER_DELIVERY_TIME,     /* label: a bucket's number, or "sum" (ms) */
    COUNTER_CHECK_RUNS, COUNTER_CHECK_TIME, /* label: the check; the latter: us */
    COUNTERS,
};

#define COUNTER_LABEL_MAX 47

/* Before processes are forked; again: nothing. When there is no memory for it, nothing is counted. */
void counters_open(void);
/* This process counts no more (it looks into what strangers sent). */
void counters_forget(void);
/* label: NULL or "" is none; cut to COUNTER_LABEL_MAX. When there are too many series the label is "other". Any thread. */
void counters_add(enum counter c, const char *label, uint64_t n);
/* The same for what is counted very often: a place that is found once; NULL: none, and nothing is counted. */
struct counter_place;
struct counter_place *counters_place(enum counter c, const char *label);
void counters_add_at(struct counter_place *p, uint64_t n);
/* Into the bucket of a histogram, and its sum. */
void counters_time(enum counter c, uint64_t ms);
#define COUNTER_BUCKETS 15     /* and one more for what takes longer */
extern const uint32_t counter_buckets[COUNTER_BUCKETS]; /* ms, upper ends */

/* All that were ever counted, in no order; one series may come in several pieces, which are to be added. */
void counters_each(void (*cb)(void *arg, enum counter c, const char *label, uint64_t n), void *arg);

/* Shared beside them: which events webhooks want (enum watch_kind), as the master says. */
void counters_set_wanted(uint32_t events);
uint32_t counters_wanted(void);

#endif
