/* SPDX-License-Identifier: Apache-2.0
 * TNEF, winmail.dat (MS-OXTNEF): attachments, and what Outlook keeps in properties. */
#include "base/mem.h"
#include "content/unpack_parts.h"

#define ATTRIBUTE(type, id) ((uint32_t)(type) << 16 | (id))
#define PROPERTIES_MAX 10000

struct tnef {
    struct unpack *u;
    uint32_t n;
    /* The attachment at hand. */
    bool any;
    struct slice title, long_name, data, object;
};

/* Attachments become parts when the next begins, or at the end: their names come behind their data. */
static void finish(struct tnef *t)
{
    struct slice data = t->data.n ? t->data : t->object;
    if (t->any && (data.n || t->title.n || t->long_name.n)) {
        uint32_t child = unpack_add_file(t->u, t->n, t->long_name.n ? t->long_name : t->title);
        if (child != UNPACK_NONE) {
            unpack_add_name(t->u, child, t->title);
            unpack_find(t->u, child, CONTENT_TNEF);
            if (!unpack_spend(t->u, child, data.n)) data = (struct slice){ 0 };
            unpack_give(t->u, child, data);
        }
    }
    t->any = false;
    t->title = t->long_name = t->data = t->object = (struct slice){ 0 };
}

static struct slice c_string(struct tnef *t, struct slice d)
{
    ptrdiff_t nul = slice_find(d, '\0');
    return unpack_utf8_of_1252(t->u->message->arena, nul >= 0 ? slice_sub(d, 0, (size_t)nul) : d);
}

static uint64_t fixed_size(unsigned type)
{
    switch (type) {
    case 2: case 3: case 4: case 10: case 11: return 4;
    case 5: case 6: case 7: case 20: case 64: return 8;
    case 0x48: return 16;
    default: return 0;
    }
}

static void on_property(struct tnef *t, unsigned type, unsigned id, struct slice value)
{
    if (id == 0x3707 || (id == 0x3704 && !t->long_name.n)) /* PidTagAttachLongFilename, PidTagAttachFilename */
        t->long_name = type == 0x1F ? unpack_utf8_of_utf16(t->u->message->arena, value) : c_string(t, value);
    if (id == 0x3701 && type == 0x0D)
        t->object = slice_sub(value, 16, value.n); /* behind the interface's name: a message, or OLE */
    if (id == 0x3701 && type == 0x102) t->object = value;
}

/* §2.1.3.5: where the name of a named property ends. */
static uint64_t skip_name(struct slice d, uint64_t at)
{
    uint32_t kind = unpack_le32(d, at + 16);
    at += 20;
    if (!kind) return at + 4;
    uint64_t n = unpack_le32(d, at);
    return at + 4 + ((n + 3) & ~3ull);
}

static void read_properties(struct tnef *t, struct slice d)
{
    uint32_t count = unpack_le32(d, 0);
    uint64_t at = 4;
    for (uint32_t i = 0; i < count && i < PROPERTIES_MAX && at + 4 <= d.n; i++) {
        unsigned type = unpack_le16(d, at), id = unpack_le16(d, at + 2);
        at += 4;
        if (id >= 0x8000) at = skip_name(d, at);
        bool many = (type & 0x1000) != 0;
        type &= 0xFFF;
        uint64_t size = fixed_size(type), values = 1;
        if (many || !size) {
            values = unpack_le32(d, at);
            at += 4;
        }
        for (uint64_t k = 0; k < values && at <= d.n; k++) {
            uint64_t n = size;
            if (!size) {
                n = unpack_le32(d, at);
                at += 4;
            }
            if (n > d.n) {
                unpack_find(t->u, t->n, CONTENT_BROKEN);
                return;
            }
            if (!k) on_property(t, type, id, unpack_at(d, at, n));
            at += (n + 3) & ~3ull;
        }
    }
}

static void on_attribute(struct tnef *t, uint32_t id, struct slice d)
{
    switch (id) {
    case ATTRIBUTE(6, 0x9002): /* attAttachRendData: a new attachment */
        finish(t);
        t->any = true;
        break;
    case ATTRIBUTE(1, 0x8010): t->title = c_string(t, d); break;  /* attAttachTitle */
    case ATTRIBUTE(6, 0x800F): t->data = d; break;                /* attAttachData */
    case ATTRIBUTE(6, 0x9005): read_properties(t, d); break;      /* attAttachment */
    default: break;
    }
}

void unpack_tnef(struct unpack *u, uint32_t n)
{
    struct slice d = u->message->parts[n].data;
    struct tnef t = { .u = u, .n = n };
    unpack_find(u, n, CONTENT_TNEF);
    uint64_t at = 6;
    while (at + 9 <= d.n && unpack_in_time(u, n) && u->message->part_n < u->limits->parts) {
        uint32_t id = unpack_le32(d, at + 1);
        uint64_t size = unpack_le32(d, at + 5);
        unsigned where = unpack_u8(d, at);
        if ((where != 1 && where != 2) || size > d.n - at - 9) unpack_find(u, n, CONTENT_BROKEN);
        if (where != 1 && where != 2) break;
        if (where == 2) t.any = true;
        on_attribute(&t, id, unpack_at(d, at + 9, size));
        at += 9 + size + 2;
    }
    (void)unpack_has_room(u, n);
    finish(&t);
}
