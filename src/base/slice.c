/* SPDX-License-Identifier: Apache-2.0
 * Byte slices: comparison, search, cutting. */
#include "base/slice.h"
#include <assert.h>

struct slice slice_sub(struct slice s, size_t from, size_t to)
{
    if (to > s.n) to = s.n;
    if (from > to) from = to;
    return (struct slice){ s.p ? s.p + from : NULL, to - from };
}

bool slice_ieq(struct slice a, struct slice b)
{
    return a.n == b.n && slice_istarts(a, b);
}

bool slice_starts(struct slice s, struct slice prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool slice_istarts(struct slice s, struct slice prefix)
{
    if (s.n < prefix.n) return false;
    assert(!prefix.n || s.p);
    for (size_t i = 0; i < prefix.n; i++)
        if (ascii_lower(s.p[i]) != ascii_lower(prefix.p[i])) return false;
    return true;
}

bool slice_iends(struct slice s, struct slice suffix)
{
    return s.n >= suffix.n && slice_ieq(slice_sub(s, s.n - suffix.n, s.n), suffix);
}

bool slice_ihas(struct slice s, struct slice part)
{
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (slice_ieq(slice_sub(s, i, i + part.n), part)) return true;
    return false;
}

int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

ptrdiff_t slice_find(struct slice s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
    while (s.n && is_space(s.p[0])) s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

struct slice slice_trim_blanks(struct slice s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s = slice_sub(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

bool slice_cut(struct slice *s, char c, struct slice *head)
{
    ptrdiff_t at = slice_find(*s, c);
    if (at < 0) {
        *head = *s;
        *s = (struct slice){ s->p + s->n, 0 };
        return false;
    }
    *head = slice_sub(*s, 0, (size_t)at);
    *s = slice_sub(*s, (size_t)at + 1, s->n);
    return true;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > 20) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        unsigned digit = (unsigned)(s.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10) return false;
        v = v * 10 + digit;
    }
    if (v > max) return false;
    *out = v;
    return true;
}
