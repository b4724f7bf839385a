/* SPDX-License-Identifier: Apache-2.0
 * "Did you mean": the name with the smallest edit distance (insertion, deletion, replacement, swap of neighbours). */
#include "config/value.h"

#define WORD_MAX 40

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t distance(struct slice a, struct slice b)
{
    size_t d[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= a.n; i++) d[i][0] = i;
    for (size_t k = 0; k <= b.n; k++) d[0][k] = k;
    for (size_t i = 1; i <= a.n; i++)
        for (size_t k = 1; k <= b.n; k++) {
            bool same = ascii_lower(a.p[i - 1]) == ascii_lower(b.p[k - 1]);
            d[i][k] = least(d[i - 1][k - 1] + !same, least(d[i - 1][k], d[i][k - 1]) + 1);
            if (i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] && a.p[i - 2] == b.p[k - 1])
                d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1);
        }
    return d[a.n][b.n];
}

/* Words people write with a blank, hyphen or in another number are the same word. */
static struct slice plain(struct slice s, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '-' && s.p[i] != '_' && s.p[i] != ' ') out[n++] = s.p[i];
    return slice_of(out, n);
}

const char *suggest(struct slice word, const char *const *names, size_t n)
{
    if (!word.n || word.n > WORD_MAX) return NULL;
    char a[WORD_MAX], b[WORD_MAX];
    struct slice wanted = plain(word, a);
    size_t best = wanted.n <= 3 ? 1 : wanted.n <= 6 ? 2 : 3;
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        struct slice name = slice_str(names[i]);
        if (name.n > WORD_MAX) continue;
        size_t d = distance(wanted, plain(name, b));
        if (d < best || (d == best && !found && d < wanted.n)) best = d, found = names[i];
    }
    return found;
}
