/* SPDX-License-Identifier: Apache-2.0
 * Events of the log that others are told of: counted for the metrics, and, where a webhook wants them, sent to the fetch process over one
 * socketpair that all processes share. What is logged is what is told, from one table. Nobody waits: a socket that is full loses an event,
 * and counts it. */
#ifndef POSTERN_BASE_WATCH_H
#define POSTERN_BASE_WATCH_H
#include "base/err.h"

#define WATCH_MESSAGE_MAX 16384  /* bytes of one event */

/* The kinds of events; a set. */
enum watch_kind {
    WATCH_VIRUS = 1,      /* a message with a virus */
    WATCH_QUARANTINED = 2,
    WATCH_REFUSED = 4,
    WATCH_BOUNCED = 8,
    WATCH_DELIVERED = 16,
    WATCH_QUEUE = 32,     /* the queue, or the disk, is past a mark, and is not any more */
    WATCH_HEALTH = 64,    /* a scanner, list, table, certificate is in trouble, and is not any more */
    WATCH_LOGIN = 128,    /* of the web administration, and attempts that were braked */
    WATCH_CONFIG = 256,   /* it was changed or reloaded */
};

/* In the master, before it forks: counting begins, and the socketpair is made. Later processes have both. */
bool watch_open(struct err *err) MUST_CHECK;
/* The ends: events go into one and come out of the other, one at a time: {"kinds", "log": the log's event, "level", "time": wall ms,
 * "fields": {...}}. -1: none. */
int watch_writer(void);
int watch_reader(void);
void watch_only_write(void); /* this process does not read them */
/* This process neither counts nor tells any more: it handles what strangers wrote. */
void watch_forget(void);

#endif
