/* SPDX-License-Identifier: Apache-2.0
 * Base64: by the table, without leniency. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buf *out, struct slice in)
{
    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        uint32_t v = (uint32_t)(unsigned char)in.p[i] << 16;
        if (left > 1) v |= (uint32_t)(unsigned char)in.p[i + 1] << 8;
        if (left > 2) v |= (unsigned char)in.p[i + 2];
        char four[4] = { digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                         left > 2 ? digits[v & 63] : '=' };
        buf_add(out, slice_of(four, 4));
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct slice in, struct buf *out)
{
    size_t before = out->n, pad = 0;
    if (in.n % 4) return false;
    if (in.n && in.p[in.n - 1] == '=') pad = in.p[in.n - 2] == '=' ? 2 : 1;
    for (size_t i = 0; i < in.n; i += 4) {
        size_t n = i + 4 == in.n ? 4 - pad : 4;
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            int d = k < n ? value_of(in.p[i + k]) : 0;
            if (d < 0) goto bad;
            v = v << 6 | (uint32_t)d;
        }
        char three[3] = { (char)(v >> 16), (char)(v >> 8), (char)v };
        if ((n < 4 && three[2]) || (n < 3 && three[1])) goto bad;
        buf_add(out, slice_of(three, n - 1));
    }
    return true;
bad:
    out->n = before;
    return false;
}
