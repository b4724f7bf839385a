/* SPDX-License-Identifier: Apache-2.0
 * Clocks and dates. */
#include "base/clock.h"
#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_mono_us(void) { return read_us(CLOCK_MONOTONIC); }
uint64_t clock_mono_ms(void) { return read_us(CLOCK_MONOTONIC) / 1000; }
uint64_t clock_wall_ms(void) { return read_us(CLOCK_REALTIME) / 1000; }

static struct tm broken_down(uint64_t wall_ms)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm = { 0 };
    gmtime_r(&t, &tm);
    return tm;
}

void clock_add_rfc5322(struct buf *out, uint64_t wall_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = broken_down(wall_ms);
    buf_addf(out, "%.3s, %d %.3s %d %02d:%02d:%02d +0000", days + 3 * tm.tm_wday, tm.tm_mday,
             months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void clock_add_rfc3339(struct buf *out, uint64_t wall_ms)
{
    struct tm tm = broken_down(wall_ms);
    buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, (unsigned)(wall_ms % 1000));
}

void clock_add_span(struct buf *out, uint64_t ms)
{
    static const struct { uint64_t seconds; char unit; } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
    uint64_t left = ms / 1000;
    int shown = 0;
    for (int i = 0; i < 4 && shown < 2; i++) {
        uint64_t n = left / units[i].seconds;
        left %= units[i].seconds;
        if (n || (i == 3 && !shown)) {
            buf_addf(out, "%llu%c", (unsigned long long)n, units[i].unit);
            shown++;
        } else if (shown)
            break;
    }
}
