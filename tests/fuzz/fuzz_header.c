/* SPDX-License-Identifier: Apache-2.0
 * Header fields: whole and in pieces they are the same fields. The first byte of the input chooses the pieces. */
#include "base/mem.h"
#include "message/header.h"
#include "fuzz.h"

static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    must(name.n > 0 && name.n + value.n < HEADER_FIELD_MAX);
    for (size_t i = 0; i < name.n; i++) must(name.p[i] > 0x20 && name.p[i] < 0x7F && name.p[i] != ':');
    buf_add(arg, name);
    buf_add_char(arg, truncated ? '!' : ':');
    buf_add(arg, value);
    buf_add_char(arg, 0);
}

static struct header_reader read_header(struct slice in, size_t piece_max, struct buf *fields)
{
    struct header_reader r;
    header_reader_init(&r, on_field, fields);
    for (size_t at = 0, k; at < in.n && !r.ended; at += k) {
        k = in.n - at < piece_max ? in.n - at : piece_max;
        char *piece = mem_slicedup(slice_sub(in, at, at + k));
        size_t took = header_read(&r, slice_of(piece, k));
        must(r.ended ? took <= k : took == k);
        free(piece);
    }
    header_finish(&r);
    header_reader_deinit(&r);
    must(r.ended && r.size <= in.n);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1) return 0;
    struct slice in = slice_of(data + 1, n - 1);
    struct buf whole = { 0 }, split = { 0 };
    struct header_reader a = read_header(in, in.n, &whole), b = read_header(in, 1 + data[0] % 40, &split);
    must(a.size == b.size && a.malformed == b.malformed && slice_eq(buf_slice(&whole), buf_slice(&split)));
    buf_deinit(&whole);
    buf_deinit(&split);
    return 0;
}
