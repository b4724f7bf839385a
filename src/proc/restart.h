/* SPDX-License-Identifier: Apache-2.0
 * How long to wait before a process that ended by itself is started again. */
#ifndef POSTERN_PROC_RESTART_H
#define POSTERN_PROC_RESTART_H
#include <event2/event.h>
#include <stdint.h>

#define RESTART_HEALTHY_MS 60000 /* who lived so long begins anew */
#define RESTART_PAUSE_MAX_MS 60000

struct restart {
    unsigned failures; /* in a row */
};

/* Counts one more failure of a process that lived for lived_ms; the pause in ms: 0, 1 s, 2 s, 4 s ... 60 s. */
static inline uint64_t restart_pause(struct restart *r, uint64_t lived_ms)
{
    if (lived_ms >= RESTART_HEALTHY_MS) r->failures = 0;
    unsigned before = r->failures++;
    if (before == 0) return 0;
    if (before > 6) return RESTART_PAUSE_MAX_MS;
    return 1000u << (before - 1);
}

/* The same, and sets the timer that starts it again. */
static inline uint64_t restart_later(struct restart *r, uint64_t lived_ms, struct event *timer)
{
    uint64_t pause = restart_pause(r, lived_ms);
    event_add(timer, &(struct timeval){ (time_t)(pause / 1000), 1000 });
    return pause;
}

#endif
