/* SPDX-License-Identifier: Apache-2.0
 * Chunks of text, and text of old devices: the way they are cut into pieces changes nothing; what is accepted is clean lines.
 * The first byte of the input chooses the size of the pieces. */
#include "base/buf.h"
#include "base/mem.h"
#include "smtp/data.h"
#include "fuzz.h"

static void same(const struct data_reader *a, const struct data_reader *b)
{
    must(a->state == b->state && a->size == b->size && a->line_n == b->line_n && a->bare_cr == b->bare_cr &&
         a->bare_lf == b->bare_lf && a->nul == b->nul && a->long_line == b->long_line && a->has_dots == b->has_dots &&
         a->has_8bit == b->has_8bit);
}

static void clean(struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\r') must(i + 1 == text.n || text.p[i + 1] == '\n');
        if (text.p[i] == '\n') must(i > 0 && text.p[i - 1] == '\r');
    }
}

static void chunks(struct slice in, size_t piece, struct data_reader *r)
{
    data_reader_init(r, 100);
    for (size_t at = 0; at < in.n; at += piece) {
        struct slice s = slice_sub(in, at, at + piece);
        char *copy = mem_slicedup(s), *out = mem_alloc(s.n);
        data_read_chunk(r, slice_of(copy, s.n), out);
        must(!memcmp(copy, out, s.n));
        free(copy);
        free(out);
    }
    if (!r->bare_cr && !r->bare_lf) clean(in);
    data_end_chunks(r);
}

static size_t lenient(struct slice in, size_t piece, struct data_reader *r, struct buf *text)
{
    enum data_status status = DATA_MORE;
    size_t at = 0;
    data_reader_init(r, 100);
    r->lenient = true;
    while (at < in.n && status != DATA_END) {
        size_t used, put;
        char *out = mem_alloc(piece);
        status = data_read(r, slice_sub(in, at, at + piece), &used, out, piece, &put);
        must(used || put);
        buf_add(text, slice_of(out, put));
        at += used;
        free(out);
    }
    must(!r->bare_lf && r->size == text->n);
    if (!r->bare_cr) clean(buf_slice(text));
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct data_reader a, b;
    struct buf one = { 0 }, other = { 0 };
    if (n < 2) return 0;
    struct slice in = slice_of(data + 1, n - 1);
    chunks(in, in.n, &a);
    chunks(in, 1 + data[0] % 40, &b);
    same(&a, &b);
    must(lenient(in, in.n, &a, &one) == lenient(in, 1 + data[0] % 40, &b, &other));
    same(&a, &b);
    must(slice_eq(buf_slice(&one), buf_slice(&other)));
    buf_deinit(&one);
    buf_deinit(&other);
    return 0;
}
