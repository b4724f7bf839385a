/* SPDX-License-Identifier: Apache-2.0
 * The longest common subsequence of lines by dynamic programming, after common lines at both ends are set aside. */
#include "config/diff.h"
#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"
#include "config/secret.h"

#define CONTEXT 3
#define CELLS_MAX (4u << 20)

struct lines {
    struct slice *at;
    size_t n;
};

struct diff {
    struct lines a, b, a_shown, b_shown;
    size_t head, tail;  /* equal lines at both ends */
    bool *gone, *added; /* lines of a that are not in b, and the reverse */
};

static struct lines split(struct slice text)
{
    size_t cap = 64;
    struct lines l = { .at = mem_grow(NULL, cap, sizeof *l.at) };
    while (text.n) {
        ptrdiff_t eol = slice_find(text, '\n');
        size_t n = eol < 0 ? text.n : (size_t)eol + 1;
        if (l.n == cap) l.at = mem_grow(l.at, cap *= 2, sizeof *l.at);
        l.at[l.n++] = slice_sub(text, 0, n);
        text = slice_sub(text, n, text.n);
    }
    return l;
}

/* Marks what differs in the middle. length[i][k]: of the common subsequence of the lines from i and k on. */
static void compare(struct diff *d)
{
    size_t n = d->a.n - d->head - d->tail, m = d->b.n - d->head - d->tail, width = m + 1;
    const struct slice *a = d->a.at + d->head, *b = d->b.at + d->head;
    bool *gone = d->gone + d->head, *added = d->added + d->head;
    memset(gone, true, n);
    memset(added, true, m);
    if (!n || !m || n >= CELLS_MAX || m >= CELLS_MAX || (n + 1) * width > CELLS_MAX) return;
    uint32_t *length = mem_zalloc((n + 1) * width * sizeof *length);
    for (size_t i = n; i-- > 0;)
        for (size_t k = m; k-- > 0;) {
            uint32_t down = length[(i + 1) * width + k], right = length[i * width + k + 1];
            length[i * width + k] = slice_eq(a[i], b[k]) ? length[(i + 1) * width + k + 1] + 1
                                    : down > right       ? down
                                                         : right;
        }
    for (size_t i = 0, k = 0; i < n && k < m;) {
        if (slice_eq(a[i], b[k])) gone[i++] = added[k++] = false;
        else if (length[(i + 1) * width + k] >= length[i * width + k + 1]) i++;
        else k++;
    }
    free(length);
}

static void add_line(struct buf *out, char sign, struct slice line)
{
    buf_add_char(out, sign);
    buf_add(out, line);
    if (!line.n || line.p[line.n - 1] != '\n') buf_add_str(out, "\n\\ No newline at end of file\n");
}

static void add_range(struct buf *out, char sign, size_t from, size_t n)
{
    buf_addf(out, "%c%zu", sign, n ? from + 1 : from);
    if (n != 1) buf_addf(out, ",%zu", n);
}

/* One hunk from lines i, k on, which are CONTEXT lines at the most before a change; moves both behind it. */
static void add_hunk(const struct diff *d, size_t *i, size_t *k, struct buf *out)
{
    struct buf body = { 0 };
    size_t from_a = *i, from_b = *k, quiet = 0;
    bool changed = false;
    while (*i < d->a.n || *k < d->b.n) {
        if (*i < d->a.n && d->gone[*i]) add_line(&body, '-', d->a_shown.at[(*i)++]), quiet = 0, changed = true;
        else if (*k < d->b.n && d->added[*k]) add_line(&body, '+', d->b_shown.at[(*k)++]), quiet = 0, changed = true;
        else {
            if (changed && quiet == CONTEXT) { /* goes on only if the next change is near */
                size_t near = 0;
                while (near <= CONTEXT && *i + near < d->a.n && *k + near < d->b.n && !d->gone[*i + near] &&
                       !d->added[*k + near])
                    near++;
                bool end = *i + near >= d->a.n && *k + near >= d->b.n;
                if (near > CONTEXT || end) break;
            }
            add_line(&body, ' ', d->a_shown.at[(*i)++]);
            ++*k;
            quiet++;
        }
    }
    buf_add_str(out, "@@ ");
    add_range(out, '-', from_a, *i - from_a);
    buf_add_char(out, ' ');
    add_range(out, '+', from_b, *k - from_b);
    buf_add_str(out, " @@\n");
    buf_add(out, buf_slice(&body));
    buf_deinit(&body);
}

static void add_hunks(const struct diff *d, struct buf *out)
{
    size_t i = 0, k = 0;
    while (i < d->a.n || k < d->b.n) {
        bool change = (i < d->a.n && d->gone[i]) || (k < d->b.n && d->added[k]);
        if (!change) {
            i++, k++;
            continue;
        }
        size_t back = 0;
        while (back < CONTEXT && i > back && k > back && !d->gone[i - back - 1] && !d->added[k - back - 1]) back++;
        i -= back;
        k -= back;
        add_hunk(d, &i, &k, out);
    }
}

void diff_unified(struct slice old_text, const char *old_name, struct slice new_text, const char *new_name,
                  struct buf *out)
{
    if (slice_eq(old_text, new_text)) return;
    struct buf a = { 0 }, b = { 0 };
    secret_hide(old_text, &a);
    secret_hide(new_text, &b);
    struct diff d = { split(old_text), split(new_text), split(buf_slice(&a)), split(buf_slice(&b)), .head = 0 };
    assert(d.a.n == d.a_shown.n && d.b.n == d.b_shown.n);
    size_t least = d.a.n < d.b.n ? d.a.n : d.b.n;
    while (d.head < least && slice_eq(d.a.at[d.head], d.b.at[d.head])) d.head++;
    while (d.tail < least - d.head && slice_eq(d.a.at[d.a.n - 1 - d.tail], d.b.at[d.b.n - 1 - d.tail])) d.tail++;
    d.gone = mem_zalloc(d.a.n + 1);
    d.added = mem_zalloc(d.b.n + 1);
    compare(&d);
    buf_addf(out, "--- %s\n+++ %s\n", old_name, new_name);
    add_hunks(&d, out);
    free(d.gone);
    free(d.added);
    free(d.a.at);
    free(d.b.at);
    free(d.a_shown.at);
    free(d.b_shown.at);
    buf_deinit(&a);
    buf_deinit(&b);
}
