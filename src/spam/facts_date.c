/* SPDX-License-Identifier: Apache-2.0
 * Reads dates of header fields. */
#include "spam/facts_date.h"

static bool take_number(struct slice *s, size_t digits, int64_t *out)
{
    size_t n = 0;
    *out = 0;
    while (n < s->n && n < digits && s->p[n] >= '0' && s->p[n] <= '9')
        *out = *out * 10 + (s->p[n++] - '0');
    *s = slice_sub(*s, n, s->n);
    return n > 0;
}

static void skip(struct slice *s, const char *what)
{
    size_t n = 0;
    while (n < s->n && s->p[n] && strchr(what, s->p[n]))
        n++;
    *s = slice_sub(*s, n, s->n);
}

static int64_t month_of(struct slice s)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (int64_t m = 0; m < 12; m++)
        if (slice_istarts(s, slice_of(names + 3 * m, 3)))
            return m + 1;
    return 0;
}

static int64_t days_of(int64_t y, int64_t m, int64_t d) /* since 1970-01-01, of the Gregorian calendar */
{
    y -= m <= 2;
    int64_t era = y / 400, yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool read_zone(struct slice s, int64_t *seconds)
{
    static const struct { const char *name; int64_t hours; } zones[] = {
        { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 }, { "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 },
    };
    *seconds = 0;
    if (s.n >= 5 && (s.p[0] == '+' || s.p[0] == '-')) {
        struct slice rest = slice_sub(s, 1, s.n);
        int64_t v;
        if (!take_number(&rest, 4, &v) || v / 100 > 14 || v % 100 > 59)
            return false;
        *seconds = (v / 100 * 3600 + v % 100 * 60) * (s.p[0] == '-' ? -1 : 1);
        return true;
    }
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        if (slice_istarts(s, slice_str(zones[i].name)))
            *seconds = zones[i].hours * 3600;
    return true;
}

bool facts_date_read(struct slice s, int64_t *out)
{
    int64_t day, month, year, hour = 0, minute = 0, second = 0, zone;
    s = slice_trim(s);
    ptrdiff_t comma = slice_find(s, ',');
    if (comma >= 0 && comma < 12)
        s = slice_sub(s, (size_t)comma + 1, s.n);
    skip(&s, " \t");
    if (s.n > 4 && !(s.p[0] >= '0' && s.p[0] <= '9') && !month_of(s)) /* "Mon 23 Sep": a day's name without its comma */
        s = slice_sub(s, 3, s.n);
    skip(&s, " \t");
    if (!take_number(&s, 2, &day) || day < 1 || day > 31)
        return false;
    skip(&s, " \t-");
    month = month_of(s);
    while (s.n && ascii_lower(s.p[0]) >= 'a' && ascii_lower(s.p[0]) <= 'z')
        s = slice_sub(s, 1, s.n);
    skip(&s, " \t-.");
    size_t before = s.n;
    if (!month || !take_number(&s, 4, &year))
        return false;
    year += before - s.n > 2 ? (year < 1000 ? 1900 : 0) : year < 50 ? 2000 : 1900; /* RFC 5322 §4.3 */
    skip(&s, " \t");
    if (!take_number(&s, 2, &hour) || !s.n || s.p[0] != ':')
        return false;
    skip(&s, ":");
    if (!take_number(&s, 2, &minute))
        return false;
    if (s.n && s.p[0] == ':') {
        skip(&s, ":");
        if (!take_number(&s, 2, &second))
            return false;
    }
    skip(&s, " \t");
    if (hour > 23 || minute > 59 || second > 60 || !read_zone(s, &zone))
        return false;
    *out = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone;
    return true;
}
