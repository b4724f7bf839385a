/* SPDX-License-Identifier: Apache-2.0
 * The directory of a ZIP file. */
#include <stdlib.h>
#include "base/mem.h"
#include "content/unpack_zip.h"

#define CENTRAL_SIZE 46
#define LOCAL_SIZE 30
#define MARK_LOCAL SLICE("PK\3\4")
#define MARK_CENTRAL SLICE("PK\1\2")

static struct zip_entry *add_entry(struct zip *z)
{
    if (z->n >= z->most) {
        z->findings |= CONTENT_LIMIT_PARTS;
        return NULL;
    }
    if (z->n == z->room) {
        z->room = z->room ? z->room * 2 : 16;
        z->entries = mem_grow(z->entries, z->room, sizeof *z->entries);
    }
    return &z->entries[z->n++];
}

static bool marked(struct slice data, uint64_t at, struct slice mark)
{
    return slice_eq(unpack_at(data, at, mark.n), mark);
}

/* Where the last end record is; SIZE_MAX: there is none. */
static size_t end_record(struct slice data)
{
    for (size_t n = data.n; n >= 22;) {
        const char *p = memrchr(data.p, 'P', n);
        if (!p) break;
        n = (size_t)(p - data.p);
        if (data.n - n >= 22 && marked(data, n, SLICE("PK\5\6"))) return n;
    }
    return SIZE_MAX;
}

struct place {
    uint64_t at, offset, count;
};

static bool directory_place(const struct zip *z, size_t end, struct place *out)
{
    uint64_t size = unpack_le32(z->data, end + 12), offset = unpack_le32(z->data, end + 16), before = end;
    out->count = unpack_le16(z->data, end + 10);
    if ((offset == UINT32_MAX || size == UINT32_MAX || out->count == 0xFFFF) && end >= 20 &&
        marked(z->data, end - 20, SLICE("PK\6\7"))) {
        uint64_t at = unpack_le64(z->data, end - 12); /* §4.3.15: where the record of 64-bit numbers is */
        if (end >= 76 && marked(z->data, end - 76, SLICE("PK\6\6"))) at = end - 76;
        if (marked(z->data, at, SLICE("PK\6\6"))) {
            size = unpack_le64(z->data, at + 40);
            offset = unpack_le64(z->data, at + 48);
            out->count = unpack_le64(z->data, at + 32);
            before = at;
        }
    }
    out->offset = offset;
    out->at = size <= before ? before - size : UINT64_MAX;
    if (size && !marked(z->data, out->at, MARK_CENTRAL)) out->at = offset;
    return !size || marked(z->data, out->at, MARK_CENTRAL);
}

/* §4.5.3: numbers that did not fit. */
static void wide_numbers(struct zip_entry *e, uint64_t *offset)
{
    for (size_t i = 0; i + 4 <= e->extra.n; i += 4 + unpack_le16(e->extra, i + 2)) {
        if (unpack_le16(e->extra, i) != 1) continue;
        size_t at = i + 4;
        uint64_t *numbers[] = { &e->size, &e->packed, offset };
        for (size_t k = 0; k < countof(numbers); k++)
            if (*numbers[k] == UINT32_MAX) {
                *numbers[k] = unpack_le64(e->extra, at);
                at += 8;
            }
        return;
    }
}

/* The header before the file itself; what central says of it is in e already when `both`. */
static void read_local(struct zip *z, struct zip_entry *e, bool both)
{
    struct slice d = z->data;
    unsigned flags = unpack_le16(d, e->at + 6), name_n = unpack_le16(d, e->at + 26), extra_n = unpack_le16(d, e->at + 28);
    uint64_t packed = unpack_le32(d, e->at + 18), size = unpack_le32(d, e->at + 22);
    e->local_name = unpack_at(d, e->at + LOCAL_SIZE, name_n);
    e->local_method = unpack_le16(d, e->at + 8);
    e->data_at = e->at + LOCAL_SIZE + name_n + extra_n;
    bool said = !(flags & 8) && packed != UINT32_MAX && size != UINT32_MAX;
    if (both) {
        e->lies = !slice_eq(e->name, e->local_name) || e->method != e->local_method ||
                  ((e->flags ^ flags) & ZIP_FLAG_ENCRYPTED) || (said && (packed != e->packed || size != e->size));
    } else {
        e->name = e->local_name;
        e->method = e->local_method;
        e->extra = unpack_at(d, e->at + LOCAL_SIZE + name_n, extra_n);
        e->packed = packed;
        e->size = size;
        wide_numbers(e, &(uint64_t){ 0 });
        e->crc = unpack_le32(d, e->at + 14);
        e->has_crc = said;
        e->unknown_size = (flags & 8) && !packed;
    }
    e->flags |= flags;
}

static void clamp(struct zip *z, struct zip_entry *e)
{
    uint64_t left = e->data_at < z->data.n ? z->data.n - e->data_at : 0;
    if (e->unknown_size) e->packed = left;
    if (e->packed <= left) return;
    e->packed = left;
    z->findings |= CONTENT_BROKEN;
}

/* Returns where it ends. */
static uint64_t read_central(struct zip *z, const struct place *where)
{
    struct slice d = z->data;
    uint64_t at = where->at, seen = 0;
    int64_t shift = (int64_t)(where->at - where->offset);
    for (; marked(d, at, MARK_CENTRAL) && at + CENTRAL_SIZE <= d.n; seen++) {
        struct zip_entry *e = add_entry(z);
        if (!e) return at;
        unsigned name_n = unpack_le16(d, at + 28), extra_n = unpack_le16(d, at + 30);
        *e = (struct zip_entry){
            .name = unpack_at(d, at + CENTRAL_SIZE, name_n),
            .extra = unpack_at(d, at + CENTRAL_SIZE + name_n, extra_n),
            .flags = unpack_le16(d, at + 8),
            .method = unpack_le16(d, at + 10),
            .crc = unpack_le32(d, at + 16),
            .has_crc = true,
            .packed = unpack_le32(d, at + 20),
            .size = unpack_le32(d, at + 24),
        };
        uint64_t offset = unpack_le32(d, at + 42);
        wide_numbers(e, &offset);
        e->at = offset + (uint64_t)shift;
        at += CENTRAL_SIZE + name_n + extra_n + unpack_le16(d, at + 32);
        if (!marked(d, e->at, MARK_LOCAL) && marked(d, offset, MARK_LOCAL)) e->at = offset;
        if (marked(d, e->at, MARK_LOCAL)) {
            read_local(z, e, true);
        } else {
            e->local_name = e->name;
            e->data_at = d.n;
            z->findings |= CONTENT_BROKEN;
        }
        if (e->lies) z->findings |= CONTENT_BROKEN | CONTENT_TYPE_CONFLICT;
        clamp(z, e);
    }
    if ((seen & 0xFFFF) != (where->count & 0xFFFF)) z->findings |= CONTENT_BROKEN;
    return at;
}

static bool plausible_local(const struct zip *z, uint64_t at)
{
    unsigned name_n = unpack_le16(z->data, at + 26), method = unpack_le16(z->data, at + 8);
    return at + LOCAL_SIZE + name_n <= z->data.n && name_n > 0 && name_n < 4096 && method < 100 &&
           unpack_u8(z->data, at + 4) <= 100;
}

/* Files that the directory does not tell of, in from..to. */
static void read_gap(struct zip *z, uint64_t from, uint64_t to)
{
    struct slice area = slice_sub(z->data, 0, to);
    size_t at = from < to ? unpack_search(area, from, MARK_LOCAL) : SIZE_MAX;
    while (at != SIZE_MAX) {
        size_t next = at + 4;
        if (plausible_local(z, at)) {
            struct zip_entry *e = add_entry(z);
            if (!e) return;
            *e = (struct zip_entry){ .at = at };
            read_local(z, e, false);
            clamp(z, e);
            z->findings |= z->has_directory ? CONTENT_BROKEN | CONTENT_TYPE_CONFLICT : CONTENT_BROKEN;
            next = e->data_at + (e->unknown_size ? 0 : e->packed);
        }
        at = next < to ? unpack_search(area, next, MARK_LOCAL) : SIZE_MAX;
    }
}

static int by_place(const void *a, const void *b)
{
    const struct zip_entry *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

void zip_open(struct zip *z, struct slice data, size_t most)
{
    *z = (struct zip){ .data = data, .most = most, .end = data.n, .directory_at = data.n };
    size_t end = end_record(data);
    uint64_t behind = UINT64_MAX;
    struct place where;
    if (end != SIZE_MAX && directory_place(z, end, &where)) {
        z->has_directory = true;
        z->directory_at = where.at < end ? where.at : end;
        z->end = end + 22 + unpack_le16(data, end + 20);
        if (z->end > data.n) z->end = data.n;
        behind = read_central(z, &where);
    } else {
        z->findings |= CONTENT_BROKEN;
    }
    size_t known = z->n;
    if (known) qsort(z->entries, known, sizeof *z->entries, by_place);
    uint64_t covered = 0;
    for (size_t i = 0; i < known; i++) { /* read_gap may move the entries */
        const struct zip_entry *e = &z->entries[i];
        if (e->data_at >= data.n) continue;
        uint64_t at = e->at, to = e->data_at + e->packed;
        if (at < covered) z->findings |= CONTENT_BROKEN; /* one in another: a bomb, mostly */
        read_gap(z, covered, at);
        if (to > covered) covered = to;
    }
    if (covered < z->directory_at) read_gap(z, covered, z->directory_at);
    /* Another directory, with files before it, may stand between this one and its end record. */
    if (z->has_directory) read_gap(z, covered > behind ? covered : behind, end);
    if (z->has_directory && z->end < data.n) read_gap(z, z->end, data.n);
}

void zip_close(struct zip *z)
{
    free(z->entries);
    *z = (struct zip){ 0 };
}

static char plain(char c)
{
    return c == '\\' ? '/' : ascii_lower(c);
}

static bool name_is(struct slice name, struct slice wanted)
{
    while (name.n && (name.p[0] == '/' || name.p[0] == '\\')) name = slice_sub(name, 1, name.n);
    if (name.n != wanted.n) return false;
    for (size_t i = 0; i < name.n; i++)
        if (plain(name.p[i]) != plain(wanted.p[i])) return false;
    return true;
}

const struct zip_entry *zip_find(const struct zip *z, struct slice name)
{
    for (size_t i = 0; i < z->n; i++)
        if (name_is(z->entries[i].name, name)) return &z->entries[i];
    return NULL;
}

/* §4.4.4 bit 11, else code page 437: but many write UTF-8 without saying so. */
struct slice zip_name(const struct zip_entry *e, struct slice raw, struct arena *arena)
{
    return e->flags & ZIP_FLAG_UTF8 ? raw : unpack_utf8_of_437(arena, raw);
}
