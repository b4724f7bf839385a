/* SPDX-License-Identifier: Apache-2.0
 * Time: a monotonic clock for timers, a wall clock for people and for what is kept on disk. */
#ifndef POSTERN_BASE_CLOCK_H
#define POSTERN_BASE_CLOCK_H
#include "base/buf.h"

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
uint64_t clock_wall_ms(void); /* since 1970, UTC */

/* RFC 5322 §3.3 date-time in UTC: "Sat, 21 Nov 2026 21:30:11 +0000". */
void clock_add_rfc5322(struct buf *out, uint64_t wall_ms);
/* RFC 3339 in UTC with milliseconds: "2026-11-21T21:30:11.123Z". */
void clock_add_rfc3339(struct buf *out, uint64_t wall_ms);
/* "3d4h", "2h5m", "90s" -> two units at most: how long something took or will take. */
void clock_add_span(struct buf *out, uint64_t ms);

#endif
