/* SPDX-License-Identifier: Apache-2.0
 * The directory of a ZIP file (APPNOTE.TXT 6.3.10), read twice: by its central directory and by the headers before each
 * file, since readers differ in which they believe. Between the files of unpack that deal with ZIP. */
#ifndef POSTERN_CONTENT_UNPACK_ZIP_H
#define POSTERN_CONTENT_UNPACK_ZIP_H
#include "content/unpack_parts.h"

struct zip_entry {
    struct slice name, local_name; /* as written; equal mostly */
    struct slice extra;
    unsigned flags, method, local_method;
    uint32_t crc;
    uint64_t packed, size;       /* as declared; packed is within the file */
    uint64_t at, data_at;
    bool has_crc, unknown_size;
    bool lies;                   /* the two headers differ in what matters */
};
struct zip {
    struct slice data;
    struct zip_entry *entries;
    size_t n, room, most;
    uint64_t directory_at, end;  /* behind `end` nothing belongs to it */
    unsigned findings;
    bool has_directory;
};

#define ZIP_FLAG_ENCRYPTED 1u
#define ZIP_FLAG_UTF8 0x800u

/* At most `most` entries; what is more is a finding. */
void zip_open(struct zip *z, struct slice data, size_t most);
void zip_close(struct zip *z);
struct slice zip_name(const struct zip_entry *e, struct slice raw, struct arena *arena);
/* The entry whose name is that, case and direction of slashes aside; NULL: none. */
const struct zip_entry *zip_find(const struct zip *z, struct slice name);
/* Unpacks it with limits and findings of part n; what is known of it, which may be cut off. most: of bytes that are
 * wanted, 0: all. */
struct slice zip_unpack(struct unpack *u, uint32_t n, const struct zip *z, const struct zip_entry *e, size_t most);
/* The entry as a part below n, and what is in it. */
void zip_add(struct unpack *u, uint32_t n, const struct zip *z, const struct zip_entry *e);

/* unpack_ooxml.c: documents that are ZIP files. False: it is none, nothing was done. */
bool unpack_zip_document(struct unpack *u, uint32_t n, const struct zip *z);
/* unpack_archive.c: packed with what zlib does not know. */
enum unpack_flate unpack_zip_method(struct unpack_sink *s, const struct zip_entry *e, struct slice packed);

#endif
