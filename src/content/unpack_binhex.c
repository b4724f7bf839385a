/* SPDX-License-Identifier: Apache-2.0
 * BinHex 4.0 (RFC 1741): six bits a character, then runs, then a header with two forks. */
#include "content/unpack_binhex.h"
#include "base/mem.h"

static const char alphabet[] = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";

/* Characters between two colons, without what is no character of it; packs six bits each into bytes. */
static size_t six_bits(struct slice text, size_t at, struct buf *out)
{
    unsigned char value[256];
    memset(value, 255, sizeof value);
    for (unsigned char i = 0; i < 64; i++) value[(unsigned char)alphabet[i]] = i;
    uint32_t bits = 0;
    unsigned have = 0;
    for (; at < text.n && text.p[at] != ':'; at++) {
        unsigned v = value[(unsigned char)text.p[at]];
        if (v == 255) {
            if (strchr("\r\n\t ", text.p[at])) continue;
            break;
        }
        bits = bits << 6 | v;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        buf_add_char(out, (char)(bits >> have));
    }
    return at;
}

/* 0x90 and a count repeat the byte before; 0x90 0 is 0x90 itself. */
static void expand(struct unpack_sink *s, struct slice in)
{
    char run[256], last = 0;
    for (size_t i = 0; i < in.n && !s->stopped; i++) {
        if ((unsigned char)in.p[i] != 0x90 || i + 1 >= in.n || !in.p[i + 1]) {
            last = in.p[i];
            unpack_sink_add(s, slice_of(&last, 1), i + 1);
            i += (unsigned char)last == 0x90;
            continue;
        }
        unsigned n = unpack_u8(in, ++i);
        memset(run, last, sizeof run);
        if (n > 1) unpack_sink_add(s, slice_of(run, n - 1), i + 1);
    }
}

static void take_forks(struct unpack *u, uint32_t child, struct slice all)
{
    unsigned name_n = unpack_u8(all, 0);
    size_t at = 1 + name_n + 1; /* a NUL ends the name; then type, creator, flags */
    uint32_t data_n = unpack_be32(all, at + 10), resource_n = unpack_be32(all, at + 14);
    unpack_add_name(u, child, unpack_utf8_of_1252(u->message->arena, unpack_at(all, 1, name_n)));
    struct slice data = unpack_at(all, at + 20, data_n), resource = unpack_at(all, at + 22 + (uint64_t)data_n, resource_n);
    if (data.n < data_n) unpack_find(u, child, CONTENT_BROKEN);
    unpack_give(u, child, data.n ? data : resource);
}

void unpack_binhex(struct unpack *u, uint32_t n, struct slice text)
{
    for (size_t at = 0; (at = unpack_search(text, at, SLICE("(This file must be converted with BinHex"))) != SIZE_MAX;) {
        size_t colon = unpack_search(text, at + 40, SLICE(":"));
        if (colon == SIZE_MAX || !unpack_may_enter(u, n)) return;
        uint32_t child = unpack_add_file(u, n, (struct slice){ 0 });
        if (child == UNPACK_NONE) return;
        struct buf packed = { 0 };
        at = six_bits(text, colon + 1, &packed);
        struct unpack_sink s = { .u = u, .n = child };
        expand(&s, buf_slice(&packed));
        buf_deinit(&packed);
        unpack_find(u, child, CONTENT_BINHEX | (at < text.n && text.p[at] == ':' ? 0 : CONTENT_BROKEN));
        take_forks(u, child, unpack_sink_take(&s));
    }
}
