/* SPDX-License-Identifier: Apache-2.0
 * When digests are due, in local time. */
#include <time.h>
#include "admin/digest.h"

/* That minute of the day `days` after the one of `now`; 0: there is no such time. A minute that a change of the clocks leaves out is the one
 * into which it is moved. */
static uint64_t time_of(uint64_t now, int days, uint32_t minute)
{
    time_t t = (time_t)(now / 1000);
    struct tm tm;
    if (!localtime_r(&t, &tm)) return 0;
    tm.tm_mday += days;
    tm.tm_hour = (int)(minute / 60);
    tm.tm_min = (int)(minute % 60);
    tm.tm_sec = 0;
    tm.tm_isdst = -1;
    t = mktime(&tm);
    return t > 0 ? (uint64_t)t * 1000 : 0;
}

uint64_t digest_due(const uint32_t *minutes, size_t n, uint64_t now)
{
    uint64_t best = 0;
    for (size_t i = 0; i < n; i++)
        for (int day = -1; day <= 0; day++) {
            uint64_t t = time_of(now, day, minutes[i]);
            if (t <= now && t > best) best = t;
        }
    return best;
}

uint64_t digest_next(const uint32_t *minutes, size_t n, uint64_t now)
{
    uint64_t best = 0;
    for (size_t i = 0; i < n; i++)
        for (int day = 0; day <= 1; day++) {
            uint64_t t = time_of(now, day, minutes[i]);
            if (t > now && (!best || t < best)) best = t;
        }
    return best;
}
