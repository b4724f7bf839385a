/* SPDX-License-Identifier: Apache-2.0
 * Conversion to 7-bit: whatever goes in, what comes out is 7-bit, in lines of at most 998 bytes that end in CRLF; in pieces it is the same
 * as whole; and what is 7-bit already is not changed a second time. The first byte of the input chooses the pieces. */
#include "base/mem.h"
#include "message/convert.h"
#include "fuzz.h"

static bool convert(struct slice in, size_t piece_max, struct buf *out)
{
    struct convert *v = convert_new();
    for (size_t at = 0, k; at < in.n; at += k) {
        size_t before = out->n;
        k = in.n - at < piece_max ? in.n - at : piece_max;
        char *piece = mem_slicedup(slice_sub(in, at, at + k));
        convert_push(v, slice_of(piece, k), out);
        must(out->n - before <= (256u << 10) + 5 * k);
        free(piece);
    }
    convert_end(v, out);
    bool taken = !convert_refused(v);
    convert_free(&v);
    return taken;
}

static void check(struct slice out)
{
    size_t line = 0;
    must(out.n >= 2 && out.p[out.n - 1] == '\n');
    for (size_t i = 0; i < out.n; i++) {
        must((unsigned char)out.p[i] < 0x80);
        if (out.p[i] == '\r') must(i + 1 < out.n && out.p[i + 1] == '\n');
        if (out.p[i] == '\n') {
            must(i && out.p[i - 1] == '\r');
            line = 0;
        } else if (out.p[i] != '\r')
            must(++line <= 998);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1) return 0;
    struct slice in = slice_of(data + 1, n - 1);
    struct buf whole = { 0 }, split = { 0 };
    bool taken = convert(in, in.n + 1, &whole);
    must(convert(in, 1 + data[0] % 70, &split) == taken);
    must(slice_eq(buf_slice(&whole), buf_slice(&split)));
    check(buf_slice(&whole));
    buf_deinit(&whole);
    buf_deinit(&split);
    return 0;
}
