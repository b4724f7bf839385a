/* SPDX-License-Identifier: Apache-2.0
 * Filters of PDF streams (ISO 32000-1 §7.4). */
#include <stdlib.h>
#include "base/mem.h"
#include "content/unpack_pdf.h"

static enum unpack_flate hex(struct unpack_sink *s, struct slice in)
{
    struct buf out = { 0 };
    int high = -1;
    for (size_t i = 0; i < in.n && in.p[i] != '>'; i++) {
        int v = ascii_hex(in.p[i]);
        if (v < 0) continue;
        if (high >= 0) buf_add_char(&out, (char)(high << 4 | v));
        high = high < 0 ? v : -1;
    }
    if (high >= 0) buf_add_char(&out, (char)(high << 4));
    unpack_sink_add(s, buf_slice(&out), in.n);
    buf_deinit(&out);
    return s->stopped ? UNPACK_FLATE_STOPPED : UNPACK_FLATE_OK;
}

static enum unpack_flate ascii85(struct unpack_sink *s, struct slice in)
{
    struct buf out = { 0 };
    uint32_t word = 0;
    unsigned n = 0;
    for (size_t i = 0; i < in.n && in.p[i] != '~'; i++) {
        char c = in.p[i];
        if (c == 'z' && !n) {
            buf_add(&out, slice_of("\0\0\0\0", 4));
            continue;
        }
        if (c < '!' || c > 'u') continue;
        word = word * 85 + (uint32_t)(c - '!');
        if (++n < 5) continue;
        for (int k = 24; k >= 0; k -= 8) buf_add_char(&out, (char)(word >> k));
        word = n = 0;
    }
    if (n > 1) {
        for (unsigned k = n; k < 5; k++) word = word * 85 + 84;
        for (unsigned k = 0; k + 1 < n; k++) buf_add_char(&out, (char)(word >> (24 - 8 * k)));
    }
    unpack_sink_add(s, buf_slice(&out), in.n);
    buf_deinit(&out);
    return s->stopped ? UNPACK_FLATE_STOPPED : UNPACK_FLATE_OK;
}

/* §7.4.4: codes of 9 to 12 bits; one code early. */
struct lzw {
    uint16_t before[4096];
    char last[4096];
    uint16_t length[4096];
    char text[4096];
};

static size_t lzw_text(struct lzw *z, unsigned code)
{
    size_t n = code < 256 ? 1 : z->length[code];
    for (size_t i = n; i > 1; i--) {
        z->text[i - 1] = z->last[code];
        code = z->before[code];
    }
    z->text[0] = (char)code;
    return n;
}

static enum unpack_flate lzw(struct unpack_sink *s, struct slice in)
{
    struct lzw *z = mem_zalloc(sizeof *z);
    uint64_t bits = 0;
    unsigned have = 0, width = 9, next = 258, before = 4096;
    for (size_t i = 0; i < in.n && !s->stopped;) {
        while (have < width && i < in.n) {
            bits = bits << 8 | unpack_u8(in, i++);
            have += 8;
        }
        if (have < width) break;
        unsigned code = (unsigned)(bits >> (have -= width)) & ((1u << width) - 1);
        if (code == 257) break;
        if (code == 256) {
            width = 9;
            next = 258;
            before = 4096;
            continue;
        }
        if (code > next || (code == next && before == 4096)) break;
        size_t n;
        if (before != 4096 && next < 4096) {
            lzw_text(z, code < next ? code : before);
            z->before[next] = (uint16_t)before;
            z->last[next] = z->text[0];
            z->length[next] = (uint16_t)((before < 256 ? 1 : z->length[before]) + 1);
            next++;
        }
        if (code >= 258 && code >= next) break;
        n = lzw_text(z, code);
        unpack_sink_add(s, slice_of(z->text, n), in.n);
        before = code;
        if (next + 1 >= (1u << width) && width < 12) width++;
    }
    free(z);
    return s->stopped ? UNPACK_FLATE_STOPPED : UNPACK_FLATE_OK;
}

static unsigned paeth(unsigned a, unsigned b, unsigned c)
{
    int p = (int)a + (int)b - (int)c, x = abs(p - (int)a), y = abs(p - (int)b), z = abs(p - (int)c);
    return x <= y && x <= z ? a : y <= z ? b : c;
}

/* PNG's predictors (§7.4.4.4), in the bytes themselves. */
static struct slice unpredict(const struct pdf_stream *p, struct slice in, struct arena *arena)
{
    uint32_t colors = p->colors ? p->colors : 1, bits = p->bits ? p->bits : 8, columns = p->columns ? p->columns : 1;
    if (colors > 64 || bits > 32 || columns > 100000) return in;
    size_t pixel = ((size_t)colors * bits + 7) / 8, row = ((size_t)columns * colors * bits + 7) / 8, n = 0;
    if (p->predictor < 10 || !row || row > 100000 || !pixel) return in;
    char *out = arena_alloc(arena, in.n + 1);
    for (size_t at = 0; at < in.n; at += row + 1) {
        unsigned how = unpack_u8(in, at);
        for (size_t i = 0; i < row && at + 1 + i < in.n; i++, n++) {
            unsigned left = i >= pixel ? (unsigned char)out[n - pixel] : 0, up = n >= row ? (unsigned char)out[n - row] : 0;
            unsigned corner = i >= pixel && n >= row ? (unsigned char)out[n - row - pixel] : 0;
            unsigned guess = how == 1   ? left
                             : how == 2 ? up
                             : how == 3 ? (left + up) / 2
                             : how == 4 ? paeth(left, up, corner)
                                        : 0;
            out[n] = (char)(unpack_u8(in, at + 1 + i) + guess);
        }
    }
    return slice_of(out, n);
}

struct slice pdf_decode(struct unpack *u, uint32_t n, const struct pdf_stream *p, bool *ok)
{
    struct slice raw = p->raw;
    *ok = true;
    for (unsigned i = 0; i < p->filter_n; i++) {
        struct unpack_sink s = { .u = u, .n = n };
        enum unpack_flate status;
        switch (p->filters[i]) {
        case PDF_FLATE: status = unpack_flate(&s, raw, 15); break;
        case PDF_HEX: status = hex(&s, raw); break;
        case PDF_85: status = ascii85(&s, raw); break;
        case PDF_LZW: status = lzw(&s, raw); break;
        case PDF_CRYPT: continue;
        default:
            *ok = false;
            return raw;
        }
        bool flate = p->filters[i] == PDF_FLATE || p->filters[i] == PDF_LZW;
        raw = unpack_sink_take(&s);
        if (status == UNPACK_FLATE_BROKEN && !raw.n)
            *ok = false; /* readers take what there is of a stream that is cut off */
        if (flate && p->predictor >= 10) raw = unpredict(p, raw, u->message->arena);
    }
    return raw;
}
