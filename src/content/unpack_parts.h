/* SPDX-License-Identifier: Apache-2.0
 * Between the files of unpack: the limits, the true types, and one reader for each family of formats. All readers take
 * part `n` of message->parts, whose data is of their format or claims to be, and never fail: what they cannot read is a
 * finding. */
#ifndef POSTERN_CONTENT_UNPACK_PARTS_H
#define POSTERN_CONTENT_UNPACK_PARTS_H
#include <locale.h>
#include "base/buf.h"
#include "content/unpack.h"

#define UNPACK_RATIO_FROM (1u << 20) /* files below it may have any ratio */
#define UNPACK_DICTIONARY_MAX (128u << 20) /* bytes of window that a packer may want */
#define UNPACK_NONE UINT32_MAX
#define UNPACK_TEXT(lit) { "" lit, sizeof(lit) - 1 } /* a slice in a table */

/* ---- unpack.c: limits and parts */
/* A limit of bytes, ratio, parts or time ends the unpacking of the whole message; directories that are read already may still be told. */
void unpack_find(struct unpack *u, uint32_t n, unsigned findings);
/* Is there CPU time left? False: part n has LIMIT_TIME. */
bool unpack_in_time(struct unpack *u, uint32_t n);
/* Takes bytes of the budget; false: it is used up, part n has LIMIT_SIZE, or the limit that ended all unpacking before. */
bool unpack_spend(struct unpack *u, uint32_t n, uint64_t bytes);
/* Is there room for another part? False: part n has LIMIT_PARTS. */
bool unpack_has_room(struct unpack *u, uint32_t n);
/* May what is in part n be looked into? False: it has LIMIT_DEPTH, or the limit that ended all. */
bool unpack_may_enter(struct unpack *u, uint32_t n);
/* Adds a file below parent; its name is cleaned; UNPACK_NONE: there are too many. Not looked at yet. */
uint32_t unpack_add_file(struct unpack *u, uint32_t parent, struct slice name);
void unpack_add_name(struct unpack *u, uint32_t n,
                     struct slice name); /* another one of the same file; equal ones are left out */
/* Gives the file its bytes, which live as long as the message, and looks at it. */
void unpack_give(struct unpack *u, uint32_t n, struct slice data);
/* All of it: a file whose bytes are within the message's or in its arena already. They count as unpacked. */
void unpack_add_data(struct unpack *u, uint32_t parent, struct slice name, struct slice data);

/* Bytes as they are unpacked, held against all limits. */
struct unpack_sink {
    struct unpack *u;
    uint32_t n;               /* the part they belong to, which gets the findings */
    uint64_t before;          /* unpacked from the same packed bytes, for the ratio */
    struct buf bytes;
    size_t most;              /* no more than these first bytes are wanted; 0: all */
    bool stopped;             /* a limit was reached, or there are `most`; no more is taken */
};
/* packed: bytes that this and all before came from. False: stop. */
bool unpack_sink_add(struct unpack_sink *s, struct slice bytes, uint64_t packed);
/* A copy in the arena; the sink is empty then. */
struct slice unpack_sink_take(struct unpack_sink *s);

/* ---- unpack_flate.c: zlib's format, raw deflate (windowBits as of inflateInit2), MS-Compress */
enum unpack_flate { UNPACK_FLATE_OK, UNPACK_FLATE_BROKEN, UNPACK_FLATE_STOPPED };
enum unpack_flate unpack_flate(struct unpack_sink *s, struct slice packed, int window_bits);
void unpack_szdd(struct unpack *u, uint32_t n);

/* ---- unpack_names.c */
unsigned unpack_name_findings(struct slice name); /* EXECUTABLE, SCRIPT, DOUBLE_EXTENSION, NAME_BIDI, NAME_CONTROL */
struct slice unpack_extension(struct slice name); /* as written, without the dot; empty: none */
enum unpack_kind {                                /* what a name promises */
                   UNPACK_KIND_UNKNOWN,
                   UNPACK_KIND_RUNS,
                   UNPACK_KIND_SCRIPT,
                   UNPACK_KIND_HTML,
                   UNPACK_KIND_TEXT,
                   UNPACK_KIND_ARCHIVE,
                   UNPACK_KIND_DOCUMENT,
                   UNPACK_KIND_IMAGE,
                   UNPACK_KIND_AUDIO,
                   UNPACK_KIND_VIDEO,
                   UNPACK_KIND_MESSAGE,
};
enum unpack_kind unpack_name_kind(struct slice name);
/* Of a declared type. */
enum unpack_kind unpack_declared_kind(struct slice type);
/* Windows-1252 or code page 437 for what is not UTF-8; in the arena. */
struct slice unpack_utf8_of_437(struct arena *arena, struct slice raw);
struct slice unpack_utf8_of_1252(struct arena *arena, struct slice raw);
struct slice unpack_utf8_of_utf16(struct arena *arena, struct slice raw); /* little-endian, up to a NUL */
struct slice unpack_utf8_of_marked(struct arena *arena, struct slice raw); /* UTF-16 behind a byte order mark, up to a NUL */

/* ---- unpack_type.c */
struct slice unpack_true_type(struct unpack *u, uint32_t n); /* static, or in the arena */
struct slice unpack_signature(struct slice data); /* by its first bytes alone; static; empty: not known */
unsigned unpack_type_findings(struct slice type);
bool unpack_is_text(struct slice data); /* by its first bytes */

extern locale_t unpack_utf8_locale; /* what libarchive decodes names into; 0 before unpack_init */

/* ---- readers */
void unpack_zip(struct unpack *u, uint32_t n);       /* also documents that are ZIP files */
void unpack_zip_behind(struct unpack *u, uint32_t n);/* a ZIP file at the end of something else */
void unpack_archive(struct unpack *u, uint32_t n);   /* by libarchive, by parts[n].type */
void unpack_rar_headers(struct unpack *u, uint32_t n,
                        bool add);                   /* ENCRYPTED where it is; add: names of what cannot be read */
void unpack_ole(struct unpack *u, uint32_t n);       /* OLE2: Office, MSI, Outlook */
void unpack_rtf(struct unpack *u, uint32_t n);
void unpack_onenote(struct unpack *u, uint32_t n);
void unpack_active_mime(struct unpack *u, uint32_t n);
void unpack_package(struct unpack *u, uint32_t n, struct slice native); /* OLE Package: a named file */
void unpack_pdf(struct unpack *u, uint32_t n);
void unpack_tnef(struct unpack *u, uint32_t n);
void unpack_html(struct unpack *u, uint32_t n);      /* files in data: addresses */
void unpack_office_xml(struct unpack *u, uint32_t n);
void unpack_lines(struct unpack *u, uint32_t n);     /* uuencode and BinHex in a file of text */

/* ---- numbers, clamped reads: 0 beyond the end */
static inline unsigned unpack_u8(struct slice s, uint64_t at)
{
    return at < s.n ? (unsigned char)s.p[at] : 0;
}
static inline unsigned unpack_le16(struct slice s, uint64_t at)
{
    return unpack_u8(s, at) | unpack_u8(s, at + 1) << 8;
}
static inline uint32_t unpack_le32(struct slice s, uint64_t at)
{
    return unpack_le16(s, at) | (uint32_t)unpack_le16(s, at + 2) << 16;
}
static inline uint64_t unpack_le64(struct slice s, uint64_t at)
{
    return unpack_le32(s, at) | (uint64_t)unpack_le32(s, at + 4) << 32;
}
static inline unsigned unpack_be16(struct slice s, uint64_t at)
{
    return unpack_u8(s, at) << 8 | unpack_u8(s, at + 1);
}
static inline uint32_t unpack_be32(struct slice s, uint64_t at)
{
    return (uint32_t)unpack_be16(s, at) << 16 | unpack_be16(s, at + 2);
}
/* Bytes at..at + n, clamped. */
static inline struct slice unpack_at(struct slice s, uint64_t at, uint64_t n)
{
    if (at >= s.n) return (struct slice){ 0 };
    return slice_of(s.p + at, n < s.n - at ? n : s.n - at);
}
/* Where `what` begins in s, at or behind `from`; SIZE_MAX: nowhere. */
static inline size_t unpack_search(struct slice s, size_t from, struct slice what)
{
    if (!s.p || from >= s.n) return SIZE_MAX;
    const char *p = memmem(s.p + from, s.n - from, what.p, what.n);
    return p ? (size_t)(p - s.p) : SIZE_MAX;
}
size_t unpack_isearch(struct slice s, size_t from,
                      struct slice what); /* ASCII case folded, what: lower case; unpack_names.c */

#endif
