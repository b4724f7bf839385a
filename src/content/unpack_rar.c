/* SPDX-License-Identifier: Apache-2.0
 * Headers of RAR files (versions 4 and 5): what is encrypted, and the names of what cannot be unpacked. */
#include "content/unpack_parts.h"

#define BLOCKS_MAX 100000

static void add_listed(struct unpack *u, uint32_t n, struct slice name, uint64_t size, bool encrypted)
{
    uint32_t child = unpack_add_file(u, n, name);
    if (child == UNPACK_NONE) return;
    u->message->parts[child].size = size;
    unpack_find(u, child, encrypted ? CONTENT_ENCRYPTED : CONTENT_BROKEN);
    unpack_part(u, child);
}

static bool go_on(struct unpack *u, uint32_t n, bool add)
{
    return (!add || unpack_has_room(u, n)) && unpack_in_time(u, n);
}

/* A header: CRC 2, type 1, flags 2, size 2; with 0x8000 the data's size 4. */
static void headers_4(struct unpack *u, uint32_t n, struct slice d, size_t at, bool add)
{
    for (unsigned i = 0; i < BLOCKS_MAX && at + 7 <= d.n && go_on(u, n, add); i++) {
        unsigned type = unpack_u8(d, at + 2), flags = unpack_le16(d, at + 3), size = unpack_le16(d, at + 5);
        if (size < 7) return;
        if (type == 0x73 && (flags & 0x80)) { /* all headers behind this one are encrypted */
            unpack_find(u, n, CONTENT_ENCRYPTED);
            return;
        }
        bool file = type == 0x74 && (flags & 0xE0) != 0xE0;
        if (file && (flags & 4)) unpack_find(u, n, CONTENT_ENCRYPTED);
        if (file && add) {
            size_t name_at = at + (flags & 0x100 ? 40 : 32);
            struct slice name = unpack_at(d, name_at, unpack_le16(d, at + 26));
            ptrdiff_t nul = slice_find(name, '\0');
            if (nul > 0) name = slice_sub(name, 0, (size_t)nul);
            add_listed(u, n, unpack_utf8_of_437(u->message->arena, name), unpack_le32(d, at + 11), (flags & 4) != 0);
        }
        uint64_t data = flags & 0x8000 || type == 0x74 ? unpack_le32(d, at + 7) : 0;
        if (flags & 0x100 && type == 0x74) data += (uint64_t)unpack_le32(d, at + 32) << 32;
        if (type == 0x7B || data > d.n) return;
        at += size + data;
    }
}

static uint64_t number(struct slice d, size_t *at) /* seven bits a byte, least first */
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 63 && *at < d.n; shift += 7) {
        unsigned c = unpack_u8(d, (*at)++);
        v |= (uint64_t)(c & 0x7F) << shift;
        if (!(c & 0x80)) break;
    }
    return v;
}

static bool extra_encrypted(struct slice extra)
{
    for (size_t at = 0; at < extra.n;) {
        uint64_t size = number(extra, &at);
        size_t inside = at;
        if (number(extra, &inside) == 1) return true;
        if (size > extra.n - at || !size) break;
        at += size;
    }
    return false;
}

/* A file header, behind type and flags. */
static void file_5(struct unpack *u, uint32_t n, struct slice header, size_t at, struct slice extra, bool add)
{
    bool encrypted = extra_encrypted(extra);
    if (encrypted) unpack_find(u, n, CONTENT_ENCRYPTED);
    uint64_t flags = number(header, &at), size = number(header, &at);
    number(header, &at); /* attributes */
    at += (flags & 2 ? 4 : 0) + (flags & 4 ? 4 : 0);
    number(header, &at); /* compression */
    number(header, &at); /* system */
    uint64_t name_n = number(header, &at);
    if (add && !(flags & 1)) add_listed(u, n, unpack_at(header, at, name_n), size, encrypted);
}

/* A header: CRC 4, size, type, flags, extra's size when flags & 1, data's size when flags & 2. */
static void headers_5(struct unpack *u, uint32_t n, struct slice d, size_t at, bool add)
{
    for (unsigned i = 0; i < BLOCKS_MAX && at + 7 <= d.n && go_on(u, n, add); i++) {
        at += 4;
        uint64_t size = number(d, &at);
        struct slice header = unpack_at(d, at, size);
        size_t in = 0;
        uint64_t type = number(header, &in), flags = number(header, &in), extra_n = flags & 1 ? number(header, &in) : 0,
                 data_n = flags & 2 ? number(header, &in) : 0;
        if (type == 4) {
            unpack_find(u, n, CONTENT_ENCRYPTED);
            return;
        }
        struct slice extra = extra_n <= header.n ? slice_sub(header, header.n - extra_n, header.n) : (struct slice){ 0 };
        if (type == 2) file_5(u, n, header, in, extra, add);
        if (type == 5 || size > d.n || data_n > d.n || !size) return;
        at += size + data_n;
    }
}

void unpack_rar_headers(struct unpack *u, uint32_t n, bool add)
{
    struct slice d = u->message->parts[n].data;
    if (unpack_u8(d, 6) == 1) headers_5(u, n, d, 8, add);
    else headers_4(u, n, d, 7, add);
}
