/* SPDX-License-Identifier: Apache-2.0
 * Compound files. Every chain of sectors is followed for at most as many steps as there are sectors. */
#include "content/unpack_cfb.h"

#define SECTOR_MAX 0xFFFFFFFAu
#define ENTRY_SIZE 128

static struct slice sector_at(const struct cfb *c, uint32_t s)
{
    return unpack_at(c->data, ((uint64_t)s + 1) * c->sector, c->sector);
}

/* The bytes of a chain, of the big sectors or of the mini ones. */
static struct slice read_chain(struct cfb *c, bool mini, uint32_t s, uint64_t most)
{
    struct buf out = { 0 };
    struct slice fat = mini ? c->mini_fat : c->fat;
    for (uint64_t steps = mini ? c->mini.n / c->mini_sector + 1 : c->data.n / c->sector + 1; s <= SECTOR_MAX && out.n < most; steps--) {
        struct slice sector = mini ? unpack_at(c->mini, (uint64_t)s * c->mini_sector, c->mini_sector) : sector_at(c, s);
        if (!sector.n || !steps) {
            c->broken = true;
            break;
        }
        buf_add(&out, unpack_at(sector, 0, most - out.n));
        if ((uint64_t)s * 4 + 4 > fat.n) {
            c->broken |= out.n < most;
            break;
        }
        s = unpack_le32(fat, (uint64_t)s * 4);
    }
    return buf_keep(&out, c->arena);
}

/* §2.5: the table is in sectors that the header lists, the first 109 of them, and then a chain of lists. */
static void read_fat(struct cfb *c)
{
    struct buf out = { 0 };
    uint64_t sectors = c->data.n / c->sector + 1, seen = 0;
    uint64_t most = sectors * 4 + c->sector; /* what is more tells of sectors that are not there */
    struct slice list = unpack_at(c->data, 76, (uint64_t)109 * 4);
    uint32_t next = unpack_le32(c->data, 68);
    for (;;) {
        size_t n = seen ? c->sector / 4 - 1 : 109;
        for (size_t i = 0; i < n && out.n < most; i++) {
            uint32_t s = unpack_le32(list, i * 4);
            if (s <= SECTOR_MAX) buf_add(&out, sector_at(c, s));
        }
        if (next > SECTOR_MAX || ++seen > sectors || out.n >= most) break;
        list = sector_at(c, next);
        if (!list.n) break;
        next = unpack_le32(list, c->sector - 4);
    }
    c->fat = buf_keep(&out, c->arena);
}

static void read_entry(struct cfb *c, struct cfb_entry *e, struct slice d)
{
    unsigned name_n = unpack_le16(d, 64);
    *e = (struct cfb_entry){
        .type = unpack_u8(d, 66),
        .parent = CFB_NONE,
        .left = unpack_le32(d, 68),
        .right = unpack_le32(d, 72),
        .child = unpack_le32(d, 76),
        .clsid = unpack_at(d, 80, 16),
        .start = unpack_le32(d, 116),
        .size = c->sector == 512 ? unpack_le32(d, 120) : unpack_le64(d, 120),
    };
    e->name = unpack_utf8_of_utf16(c->arena, unpack_at(d, 0, name_n > 64 ? 64 : name_n));
}

/* Who is in which storage: siblings are a tree below their storage's child. */
static void set_parents(struct cfb *c)
{
    uint32_t *stack = arena_alloc(c->arena, (c->n + 1) * sizeof *stack);
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->entries[i].type != CFB_STORAGE && c->entries[i].type != CFB_ROOT) continue;
        size_t n = 0;
        uint32_t at = c->entries[i].child;
        while (true) {
            if (at < c->n && at && c->entries[at].parent == CFB_NONE && at != i) {
                c->entries[at].parent = i;
                stack[n++] = c->entries[at].right; /* an entry is put here once in all */
                at = c->entries[at].left;
            } else if (n) {
                at = stack[--n];
            } else {
                break;
            }
        }
    }
}

bool cfb_open(struct cfb *c, struct slice data, struct arena *arena)
{
    *c = (struct cfb){ .data = data, .arena = arena };
    unsigned shift = unpack_le16(data, 30), mini_shift = unpack_le16(data, 32);
    if (!slice_starts(data, SLICE("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")) || data.n < 512 || shift < 7 || shift > 16 ||
        mini_shift < 3 || mini_shift > shift)
        return false;
    c->sector = 1u << shift;
    c->mini_sector = 1u << mini_shift;
    c->cutoff = unpack_le32(data, 56);
    read_fat(c);
    struct slice directory = read_chain(c, false, unpack_le32(data, 48), (uint64_t)CFB_ENTRIES_MAX * ENTRY_SIZE);
    if (directory.n < ENTRY_SIZE) return false;
    c->n = directory.n / ENTRY_SIZE;
    c->entries = arena_alloc(arena, c->n * sizeof *c->entries);
    for (size_t i = 0; i < c->n; i++) read_entry(c, &c->entries[i], unpack_at(directory, i * ENTRY_SIZE, ENTRY_SIZE));
    set_parents(c);
    c->mini_fat = read_chain(c, false, unpack_le32(data, 60), data.n);
    c->mini = read_chain(c, false, c->entries[0].start, c->entries[0].size < data.n ? c->entries[0].size : data.n);
    return true;
}

struct slice cfb_read(struct cfb *c, const struct cfb_entry *e, uint64_t most)
{
    uint64_t n = e->size < most ? e->size : most;
    if (n > c->data.n) n = c->data.n;
    struct slice bytes = read_chain(c, e->size < c->cutoff, e->start, n);
    c->broken |= bytes.n < n;
    return bytes;
}

struct slice cfb_take(struct unpack *u, uint32_t n, struct cfb *c, const struct cfb_entry *e, uint64_t most)
{
    uint64_t size = !e ? 0 : e->size < c->data.n ? e->size : c->data.n;
    if (size > most) size = most;
    return size && unpack_spend(u, n, size) ? cfb_read(c, e, size) : (struct slice){ 0 };
}

const struct cfb_entry *cfb_find(const struct cfb *c, uint32_t parent, struct slice name)
{
    for (size_t i = 1; i < c->n; i++) {
        const struct cfb_entry *e = &c->entries[i];
        if (e->type != CFB_UNUSED && (parent == CFB_NONE || e->parent == parent) && slice_ieq(e->name, name)) return e;
    }
    return NULL;
}
