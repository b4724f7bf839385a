/* SPDX-License-Identifier: Apache-2.0
 * Files in ZIP files. */
#include "content/unpack_zip.h"
#include <zlib.h>

#define BEHIND_MIN 16 /* bytes behind a ZIP file that are looked at */

static struct slice cut_off(struct unpack *u, uint32_t n, const struct zip_entry *e, struct slice data, size_t most)
{
    if (most || !e->has_crc) return data;
    if (data.n != e->size || crc32(crc32(0, NULL, 0), (const Bytef *)data.p, (uInt)data.n) != e->crc)
        unpack_find(u, n, CONTENT_BROKEN);
    return data;
}

struct slice zip_unpack(struct unpack *u, uint32_t n, const struct zip *z, const struct zip_entry *e, size_t most)
{
    struct slice packed = unpack_at(z->data, e->data_at, e->packed), data;
    if (e->data_at >= z->data.n) return (struct slice){ 0 };
    if (!e->method) {
        data = most ? unpack_at(packed, 0, most) : packed;
        return unpack_spend(u, n, data.n) ? cut_off(u, n, e, data, most) : (struct slice){ 0 };
    }
    struct unpack_sink sink = { .u = u, .n = n, .most = most };
    enum unpack_flate status = e->method == 8 ? unpack_flate(&sink, packed, -15) : unpack_zip_method(&sink, e, packed);
    if (status == UNPACK_FLATE_BROKEN && e->local_method != e->method) { /* what some readers would do */
        struct zip_entry other = *e;
        other.method = other.local_method;
        buf_deinit(&sink.bytes);
        return zip_unpack(u, n, z, &other, most);
    }
    data = unpack_sink_take(&sink);
    if (status == UNPACK_FLATE_BROKEN && !most) unpack_find(u, n, CONTENT_BROKEN);
    return status == UNPACK_FLATE_OK ? cut_off(u, n, e, data, most) : data;
}

/* Info-ZIP's other name (§4.6.9), in UTF-8. */
static struct slice unicode_name(const struct zip_entry *e)
{
    for (size_t i = 0; i + 4 <= e->extra.n; i += 4 + unpack_le16(e->extra, i + 2))
        if (unpack_le16(e->extra, i) == 0x7075 && unpack_le16(e->extra, i + 2) > 5)
            return unpack_at(e->extra, i + 9, unpack_le16(e->extra, i + 2) - 5u);
    return (struct slice){ 0 };
}

void zip_add(struct unpack *u, uint32_t n, const struct zip *z, const struct zip_entry *e)
{
    struct arena *arena = u->message->arena;
    bool folder = e->name.n && (e->name.p[e->name.n - 1] == '/' || e->name.p[e->name.n - 1] == '\\');
    if (folder && !e->packed && !e->lies) return;
    uint32_t child = unpack_add_file(u, n, zip_name(e, e->name, arena));
    if (child == UNPACK_NONE) return;
    if (!slice_eq(e->name, e->local_name)) {
        unpack_add_name(u, child, zip_name(e, e->local_name, arena));
        unpack_find(u, child, CONTENT_NAME_CONFLICT);
    }
    struct slice other = unicode_name(e);
    if (other.n) unpack_add_name(u, child, other);
    if (!e->unknown_size) u->message->parts[child].size = e->size;
    if (e->flags & ZIP_FLAG_ENCRYPTED || e->method == 99) {
        unpack_find(u, n, CONTENT_ENCRYPTED);
        unpack_find(u, child, CONTENT_ENCRYPTED);
        if (!e->lies) {
            unpack_part(u, child);
            return;
        }
    }
    struct slice data = zip_unpack(u, child, z, e, 0);
    unpack_find(u, n, u->message->parts[child].findings & CONTENT_BROKEN); /* what cannot be unpacked damages the whole */
    unpack_give(u, child, data);
}

static bool all_zero(struct slice s)
{
    return !s.n || (!s.p[0] && !memcmp(s.p, s.p + 1, s.n - 1));
}

/* Whatever follows is a file of its own to who reads from the front. */
static void look_behind(struct unpack *u, uint32_t n, const struct zip *z)
{
    struct slice rest = slice_sub(z->data, z->end, z->data.n);
    if (rest.n < BEHIND_MIN || all_zero(rest) || !z->has_directory) return;
    unpack_find(u, n, CONTENT_BROKEN);
    unpack_add_data(u, n, (struct slice){ 0 }, rest);
}

static void walk(struct unpack *u, uint32_t n, const struct zip *z)
{
    for (size_t i = 0; i < z->n; i++) {
        if (!unpack_has_room(u, n) || !unpack_in_time(u, n)) return;
        zip_add(u, n, z, &z->entries[i]);
    }
    look_behind(u, n, z);
}

static bool is_program(const struct zip *z)
{
    if (zip_find(z, SLICE("AndroidManifest.xml"))) return true;
    if (!zip_find(z, SLICE("META-INF/MANIFEST.MF"))) return false;
    for (size_t i = 0; i < z->n; i++)
        if (slice_iends(z->entries[i].name, SLICE(".class"))) return true;
    return false;
}

static void look(struct unpack *u, uint32_t n, const struct zip *z)
{
    unpack_find(u, n, z->findings);
    if (!z->n && unpack_search(slice_sub(z->data, z->directory_at, z->data.n), 0, SLICE("PK\6\x08")) != SIZE_MAX)
        unpack_find(u, n, CONTENT_ENCRYPTED); /* the directory itself is encrypted */
    if (unpack_zip_document(u, n, z)) {
        look_behind(u, n, z);
        return;
    }
    if (is_program(z)) {
        u->message->parts[n].type = SLICE("application/java-archive");
        unpack_find(u, n, CONTENT_EXECUTABLE);
    }
    walk(u, n, z);
}

static size_t entries_most(const struct unpack *u)
{
    return (size_t)u->limits->parts * 2 + 1000; /* folders are no parts, and documents have many files that are none */
}

void unpack_zip(struct unpack *u, uint32_t n)
{
    struct zip z;
    zip_open(&z, u->message->parts[n].data, entries_most(u));
    look(u, n, &z);
    zip_close(&z);
}

void unpack_zip_behind(struct unpack *u, uint32_t n)
{
    struct slice data = u->message->parts[n].data, tail = data.n > 66000 ? slice_sub(data, data.n - 66000, data.n) : data;
    if (unpack_search(tail, 0, SLICE("PK\5\6")) == SIZE_MAX) return;
    struct zip z;
    zip_open(&z, data, entries_most(u));
    if (z.has_directory && z.n && z.entries[0].data_at < data.n && unpack_may_enter(u, n)) {
        bool runs = (u->message->parts[n].findings & CONTENT_EXECUTABLE) != 0;
        unpack_find(
            u, n, CONTENT_ARCHIVE | (runs ? 0 : CONTENT_TYPE_CONFLICT)); /* a self-extracting program is what it says */
        walk(u, n, &z);
    }
    zip_close(&z);
}
