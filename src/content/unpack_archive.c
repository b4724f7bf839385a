/* SPDX-License-Identifier: Apache-2.0
 * Archives that libarchive reads, and what was compressed alone. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include "base/mem.h"
#include "content/unpack_zip.h"

#define PIECE 65536

/* What libarchive reads from: some bytes in memory, one behind the other. */
struct source {
    struct unpack *u;
    uint32_t n;
    struct slice pieces[2];
    uint64_t at;
};

static uint64_t source_size(const struct source *s)
{
    return s->pieces[0].n + s->pieces[1].n;
}

static la_ssize_t on_read(struct archive *a, void *arg, const void **out)
{
    struct source *s = arg;
    if (!unpack_in_time(s->u, s->n)) {
        archive_set_error(a, EINTR, "out of time");
        return ARCHIVE_FATAL;
    }
    bool second = s->at >= s->pieces[0].n;
    struct slice rest = unpack_at(s->pieces[second], s->at - (second ? s->pieces[0].n : 0), PIECE);
    *out = rest.p;
    s->at += rest.n;
    return (la_ssize_t)rest.n;
}

static la_int64_t on_skip(struct archive *a, void *arg, la_int64_t wanted)
{
    struct source *s = arg;
    uint64_t left = source_size(s) - s->at, n = wanted < 0 ? 0 : (uint64_t)wanted < left ? (uint64_t)wanted : left;
    s->at += n;
    return (la_int64_t)n;
}

static la_int64_t on_seek(struct archive *a, void *arg, la_int64_t offset, int whence)
{
    struct source *s = arg;
    int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (int64_t)s->at : (int64_t)source_size(s), to;
    if (__builtin_add_overflow(base, offset, &to) || to < 0 || (uint64_t)to > source_size(s)) return ARCHIVE_FATAL;
    s->at = (uint64_t)to;
    return to;
}

static bool open_source(struct archive *a, struct source *s)
{
    archive_read_set_read_callback(a, on_read);
    archive_read_set_skip_callback(a, on_skip);
    archive_read_set_seek_callback(a, on_seek);
    archive_read_set_callback_data(a, s);
    int status = archive_read_open1(a);
    return status == ARCHIVE_OK || status == ARCHIVE_WARN;
}

/* ---- which of libarchive's readers for which type: none that starts a program, none that guesses */
typedef int support(struct archive *a);
static const struct {
    struct slice type;
    support *filter, *formats[4];
} kinds[] = {
    { UNPACK_TEXT("application/gzip"),
      archive_read_support_filter_gzip,
      { archive_read_support_format_tar, archive_read_support_format_cpio, archive_read_support_format_raw } },
    { UNPACK_TEXT("application/x-bzip2"),
      archive_read_support_filter_bzip2,
      { archive_read_support_format_tar, archive_read_support_format_cpio, archive_read_support_format_raw } },
    { UNPACK_TEXT("application/x-xz"),
      archive_read_support_filter_xz,
      { archive_read_support_format_tar, archive_read_support_format_cpio, archive_read_support_format_raw } },
    { UNPACK_TEXT("application/x-lzma"),
      archive_read_support_filter_lzma,
      { archive_read_support_format_tar, archive_read_support_format_raw } },
    { UNPACK_TEXT("application/x-lzip"),
      archive_read_support_filter_lzip,
      { archive_read_support_format_tar, archive_read_support_format_raw } },
    { UNPACK_TEXT("application/zstd"),
      archive_read_support_filter_zstd,
      { archive_read_support_format_tar, archive_read_support_format_raw } },
    { UNPACK_TEXT("application/x-lz4"),
      archive_read_support_filter_lz4,
      { archive_read_support_format_tar, archive_read_support_format_raw } },
    { UNPACK_TEXT("application/x-compress"),
      archive_read_support_filter_compress,
      { archive_read_support_format_tar, archive_read_support_format_raw } },
    { UNPACK_TEXT("application/x-tar"), NULL, { archive_read_support_format_tar } },
    { UNPACK_TEXT("application/x-cpio"), NULL, { archive_read_support_format_cpio } },
    { UNPACK_TEXT("application/x-archive"), NULL, { archive_read_support_format_ar } },
    { UNPACK_TEXT("application/x-xar"), NULL, { archive_read_support_format_xar } },
    { UNPACK_TEXT("application/x-7z-compressed"), NULL, { archive_read_support_format_7zip } },
    { UNPACK_TEXT("application/x-rar"), NULL, { archive_read_support_format_rar, archive_read_support_format_rar5 } },
    { UNPACK_TEXT("application/vnd.ms-cab-compressed"), NULL, { archive_read_support_format_cab } },
    { UNPACK_TEXT("application/x-iso9660-image"), NULL, { archive_read_support_format_iso9660 } },
    { UNPACK_TEXT("application/x-lzh-compressed"), NULL, { archive_read_support_format_lha } },
    { UNPACK_TEXT("application/x-rpm"), archive_read_support_filter_rpm, { archive_read_support_format_cpio } },
};

static bool is_alone(struct slice type) /* compressed, with or without a tar in it */
{
    for (size_t i = 0; i < countof(kinds); i++)
        if (slice_eq(kinds[i].type, type)) return kinds[i].filter && !slice_eq(type, SLICE("application/x-rpm"));
    return false;
}

static struct archive *reader_for(struct slice type, bool alone)
{
    for (size_t i = 0; i < countof(kinds); i++) {
        if (!slice_eq(kinds[i].type, type)) continue;
        struct archive *a = archive_read_new();
        if (!a) return NULL;
        if (kinds[i].filter) kinds[i].filter(a);
        if (slice_eq(type, SLICE("application/x-rpm"))) {
            archive_read_support_filter_gzip(a);
            archive_read_support_filter_xz(a);
            archive_read_support_filter_zstd(a);
        }
        if (alone) archive_read_support_format_raw(a);
        for (size_t k = 0; !alone && k < countof(kinds[i].formats) && kinds[i].formats[k]; k++) kinds[i].formats[k](a);
        return a;
    }
    return NULL;
}

/* ---- one file */
struct walk {
    struct unpack *u;
    uint32_t n;
    struct archive *a;
    uint64_t unpacked;           /* of files before this one: the ratio of solid archives is that of all */
};

static uint64_t packed_so_far(struct archive *a)
{
    la_int64_t n = archive_filter_bytes(a, -1);
    return n > 0 ? (uint64_t)n : 0;
}

static enum unpack_flate pour(struct archive *a, struct unpack_sink *sink, uint64_t packed)
{
    char *piece = mem_alloc(PIECE);
    la_ssize_t n;
    while ((n = archive_read_data(a, piece, PIECE)) > 0)
        if (!unpack_sink_add(sink, slice_of(piece, (size_t)n), packed ? packed : packed_so_far(a))) break;
    free(piece);
    return sink->stopped ? UNPACK_FLATE_STOPPED : n < 0 ? UNPACK_FLATE_BROKEN : UNPACK_FLATE_OK;
}

static struct slice entry_name(struct walk *w, struct archive_entry *e)
{
    const char *utf8 = archive_entry_pathname_utf8(e), *raw = utf8 ? NULL : archive_entry_pathname(e);
    if (utf8) return slice_str(utf8);
    if (raw) return unpack_utf8_of_1252(w->u->message->arena, slice_str(raw));
    const wchar_t *wide = archive_entry_pathname_w(e);
    if (!wide) return (struct slice){ 0 };
    struct buf units = { 0 };
    for (; *wide; wide++) {
        uint32_t c = (uint32_t)*wide < 0x10000 ? (uint32_t)*wide : 0xFFFD;
        buf_add(&units, slice_of((char[]){ (char)(c & 0xFF), (char)(c >> 8) }, 2));
    }
    struct slice name = unpack_utf8_of_utf16(w->u->message->arena, buf_slice(&units));
    buf_deinit(&units);
    return name;
}

/* "a.doc.gz" is a.doc. */
static struct slice name_inside(struct unpack *u, uint32_t n)
{
    const struct content_part *p = &u->message->parts[n];
    if (!p->name_n) return (struct slice){ 0 };
    struct slice name = p->names[0], extension = unpack_extension(name);
    if (!extension.n) return name;
    struct slice stem = slice_sub(name, 0, (size_t)(extension.p - name.p) - 1);
    bool tar =
        slice_ieq(extension, SLICE("tgz")) || slice_ieq(extension, SLICE("txz")) || slice_ieq(extension, SLICE("tbz"));
    return tar ? slice_str(arena_printf(u->message->arena, "%.*s.tar", SLICE_ARG(stem))) : stem;
}

static void take_entry(struct walk *w, struct archive_entry *e)
{
    struct unpack *u = w->u;
    bool alone = archive_format(w->a) == ARCHIVE_FORMAT_RAW, encrypted = archive_entry_is_encrypted(e) > 0;
    if (archive_entry_filetype(e) == AE_IFDIR) return;
    struct slice name = entry_name(w, e);
    uint32_t child = unpack_add_file(u, w->n, alone ? name_inside(u, w->n) : name);
    if (child == UNPACK_NONE) return;
    if (alone && !slice_eq(name, SLICE("data")))
        unpack_add_name(u, child, name); /* gzip keeps the name of what was packed */
    if (archive_entry_size_is_set(e) && archive_entry_size(e) > 0)
        u->message->parts[child].size = (uint64_t)archive_entry_size(e);
    if (encrypted) {
        unpack_find(u, w->n, CONTENT_ENCRYPTED);
        unpack_find(u, child, CONTENT_ENCRYPTED);
        unpack_part(u, child);
        return;
    }
    struct unpack_sink sink = { .u = u, .n = child, .before = w->unpacked };
    if (pour(w->a, &sink, 0) == UNPACK_FLATE_BROKEN) {
        unpack_find(u, child, CONTENT_BROKEN);
        unpack_find(u, w->n, CONTENT_BROKEN); /* what cannot be unpacked damages the whole */
    }
    w->unpacked += sink.bytes.n;
    unpack_give(u, child, unpack_sink_take(&sink));
}

/* True: there is another one. */
static bool next_entry(struct walk *w)
{
    struct archive_entry *e;
    struct unpack *u = w->u;
    if (!unpack_has_room(u, w->n) || !unpack_in_time(u, w->n) || u->ended) return false; /* what comes next is behind what would have to be unpacked */
    int status = archive_read_next_header(w->a, &e);
    if (status == ARCHIVE_EOF) return false;
    if (status == ARCHIVE_FATAL || status == ARCHIVE_FAILED) {
        bool out_of_time = (u->message->parts[w->n].findings & CONTENT_LIMIT_TIME) != 0;
        if (archive_read_has_encrypted_entries(w->a) > 0) unpack_find(u, w->n, CONTENT_ENCRYPTED);
        else if (!out_of_time) unpack_find(u, w->n, CONTENT_BROKEN);
        return status == ARCHIVE_FAILED && !out_of_time;
    }
    if (status != ARCHIVE_RETRY) take_entry(w, e);
    return true;
}

/* Dictionaries in the header of a 7z file, which is at its end; what a packed header says is left to the process's limit of memory. */
static bool wants_much_7z(struct slice data)
{
    struct slice header = unpack_at(data, 32 + unpack_le64(data, 12), unpack_le64(data, 20));
    if (unpack_le64(data, 12) > data.n) return false;
    size_t lzma = unpack_search(header, 0, SLICE("\x23\x03\x01\x01\x05")), lzma2 = unpack_search(header, 0, SLICE("\x21\x21\x01"));
    return (lzma != SIZE_MAX && unpack_le32(header, lzma + 6) > UNPACK_DICTIONARY_MAX) ||
           (lzma2 != SIZE_MAX && unpack_u8(header, lzma2 + 3) > 30);
}

/* Does it want more memory than we give? */
static bool wants_much(struct slice data, struct slice type)
{
    if (slice_eq(type, SLICE("application/x-lzma"))) return unpack_le32(data, 1) > UNPACK_DICTIONARY_MAX;
    if (slice_eq(type, SLICE("application/x-7z-compressed"))) return wants_much_7z(data);
    if (slice_eq(type, SLICE("application/x-lzip"))) return (unpack_u8(data, 5) & 0x1F) > 27;
    if (!slice_eq(type, SLICE("application/x-xz"))) return false;
    struct slice header = unpack_at(data, 12, (unpack_u8(data, 12) + 1u) * 4); /* of the first block */
    size_t filter = unpack_search(header, 2, SLICE("\x21\x01"));
    return filter != SIZE_MAX && unpack_u8(header, filter + 2) > 30; /* 2 | 0 << 30 / 2 + 11: 128 MiB */
}

/* ECMA-167 2/9.1: descriptors of a sector each. */
static bool has_udf(struct slice data)
{
    for (uint64_t at = 32768 + 1; at < 32768 + 64 * 2048; at += 2048)
        if (slice_starts(unpack_at(data, at, 5), SLICE("NSR0"))) return true;
    return false;
}

static void walk_with(struct unpack *u, uint32_t n, struct archive *a)
{
    struct walk w = { .u = u, .n = n, .a = a };
    struct source source = { .u = u, .n = n, .pieces = { u->message->parts[n].data } };
    size_t before = u->message->part_n;
    if (!a || !open_source(a, &source)) {
        unpack_find(u, n, CONTENT_BROKEN); /* nobody looks into it here */
    } else {
        for (unsigned failures = 0; failures < 1000 && next_entry(&w);)
            if (u->message->part_n == before) failures++;
    }
    if (a) archive_read_free(a);
}

void unpack_archive(struct unpack *u, uint32_t n)
{
    struct slice data = u->message->parts[n].data, type = u->message->parts[n].type;
    if (wants_much(data, type)) { /* nothing was spent: the rest of the message is unpacked */
        u->message->parts[n].findings |= CONTENT_LIMIT_SIZE;
        return;
    }
    bool rar = slice_eq(type, SLICE("application/x-rar"));
    if (rar) {
        unpack_rar_headers(u, n, false);
        if (u->message->parts[n].findings & CONTENT_ENCRYPTED) {
            unpack_rar_headers(u, n, true);
            return;
        }
    }
    if (slice_eq(type, SLICE("application/x-iso9660-image")) && has_udf(data))
        unpack_find(u, n, CONTENT_BROKEN); /* a second directory, which Windows prefers and nobody looks into here */
    size_t before = u->message->part_n;
    locale_t old = unpack_utf8_locale ? uselocale(unpack_utf8_locale) : (locale_t)0; /* libarchive decodes names into it */
    walk_with(u, n, reader_for(type, false));
    /* What begins with zeros passes for an empty tar. */
    if (u->message->part_n == before && !(u->message->parts[n].findings & (CONTENT_BROKEN | CONTENT_LIMITS)) &&
        is_alone(type))
        walk_with(u, n, reader_for(type, true));
    if (old) uselocale(old);
    if (rar && u->message->part_n == before) unpack_rar_headers(u, n, true);
}

/* Parts of ZIP files as a ZIP file of their own: its header is made anew. */
enum unpack_flate unpack_zip_method(struct unpack_sink *s, const struct zip_entry *e, struct slice packed)
{
    unsigned char header[31] = {
        'P', 'K', 3, 4, 63, 0, (unsigned char)(e->flags & 2 & ~8u), 0, (unsigned char)e->method, 0, [26] = 1, [30] = 'a'
    };
    const uint32_t numbers[] = { e->crc, (uint32_t)packed.n, (uint32_t)e->size };
    for (size_t i = 0; i < 12; i++) header[14 + i] = (unsigned char)(numbers[i / 4] >> (i % 4 * 8));
    struct source source = { .u = s->u, .n = s->n, .pieces = { slice_of(header, sizeof header), packed } };
    if ((e->method == 14 && unpack_le32(packed, 5) > UNPACK_DICTIONARY_MAX) ||
        (e->method == 95 && wants_much(packed, SLICE("application/x-xz")))) {
        s->u->message->parts[s->n].findings |= CONTENT_LIMIT_SIZE;
        return UNPACK_FLATE_STOPPED;
    }
    struct archive_entry *entry;
    struct archive *a = e->method < 256 ? archive_read_new() : NULL;
    if (!a) return UNPACK_FLATE_BROKEN;
    archive_read_support_format_zip_streamable(a);
    enum unpack_flate status = UNPACK_FLATE_BROKEN;
    if (open_source(a, &source) && archive_read_next_header(a, &entry) >= ARCHIVE_WARN) status = pour(a, s, packed.n);
    archive_read_free(a);
    return status;
}
