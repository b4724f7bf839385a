/* SPDX-License-Identifier: Apache-2.0
 * Bytes that were deflated, or packed with Microsoft's old COMPRESS. */
#include <zlib.h>
#include "content/unpack_parts.h"

#define PIECE 32768

enum unpack_flate unpack_flate(struct unpack_sink *s, struct slice packed, int window_bits)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)packed.p,
                   .avail_in = (uInt)(packed.n < UINT32_MAX ? packed.n : UINT32_MAX) };
    unsigned char piece[PIECE];
    uInt room = s->most && s->most < sizeof piece ? (uInt)s->most : (uInt)sizeof piece;
    if (!packed.n || inflateInit2(&z, window_bits) != Z_OK) return UNPACK_FLATE_BROKEN;
    int status;
    bool more = true;
    do {
        z.next_out = piece;
        z.avail_out = room;
        status = inflate(&z, Z_NO_FLUSH);
        more = unpack_sink_add(s, slice_of(piece, room - z.avail_out), packed.n);
    } while (more && status == Z_OK && (z.avail_in || !z.avail_out));
    inflateEnd(&z);
    if (status == Z_STREAM_END) return s->stopped ? UNPACK_FLATE_STOPPED : UNPACK_FLATE_OK;
    return more ? UNPACK_FLATE_BROKEN : UNPACK_FLATE_STOPPED;
}

/* A window of 4 KiB that begins as blanks; bits tell bytes from references of 3 to 18 bytes. */
void unpack_szdd(struct unpack *u, uint32_t n)
{
    struct content_part *p = &u->message->parts[n];
    struct slice in = p->data, name = p->name_n ? p->names[0] : (struct slice){ 0 };
    uint32_t child = unpack_add_file(u, n, name);
    if (child == UNPACK_NONE) return;
    struct unpack_sink sink = { .u = u, .n = child };
    char window[4096], out[16 * 8 + 16];
    memset(window, ' ', sizeof window);
    unsigned at = 4096 - 16;
    size_t i = 14, n_out = 0;
    while (i < in.n && !sink.stopped) {
        unsigned bits = unpack_u8(in, i++);
        for (unsigned k = 0; k < 8 && i < in.n; k++) {
            unsigned from = at, count = 1;
            if (bits >> k & 1) {
                window[at] = in.p[i++];
            } else {
                from = unpack_u8(in, i) | (unpack_u8(in, i + 1) & 0xF0u) << 4;
                count = (unpack_u8(in, i + 1) & 0xF) + 3;
                i += 2;
            }
            while (count--) {
                out[n_out++] = window[at] = window[from];
                from = (from + 1) % 4096;
                at = (at + 1) % 4096;
            }
            if (n_out >= 100 || i >= in.n || k == 7) {
                unpack_sink_add(&sink, slice_of(out, n_out), i);
                n_out = 0;
            }
        }
    }
    if (sink.bytes.n != unpack_le32(in, 10) && !sink.stopped) unpack_find(u, child, CONTENT_BROKEN);
    unpack_give(u, child, unpack_sink_take(&sink));
}
