/* SPDX-License-Identifier: Apache-2.0
 * Compound files (MS-CFB): the file system in OLE2 documents, read from hostile bytes. */
#ifndef POSTERN_CONTENT_UNPACK_CFB_H
#define POSTERN_CONTENT_UNPACK_CFB_H
#include "content/unpack_parts.h"

#define CFB_NONE UINT32_MAX
#define CFB_ENTRIES_MAX 20000

enum cfb_type { CFB_UNUSED = 0, CFB_STORAGE = 1, CFB_STREAM = 2, CFB_ROOT = 5 };

struct cfb_entry {
    struct slice name;           /* UTF-8; control characters in front are kept: "\1Ole10Native" */
    struct slice clsid;          /* 16 bytes */
    unsigned type;               /* enum cfb_type */
    uint32_t parent;             /* CFB_NONE: the root, or in no storage */
    uint32_t child, left, right, start;
    uint64_t size;
};

struct cfb {
    struct slice data;
    struct arena *arena;
    uint32_t sector, mini_sector; /* bytes */
    uint32_t cutoff;             /* smaller streams are in mini sectors */
    struct slice fat, mini_fat, mini;
    struct cfb_entry *entries;   /* the first is the root */
    size_t n;
    bool broken;                 /* something points to where nothing is */
};

/* False: it is none. */
bool cfb_open(struct cfb *c, struct slice data, struct arena *arena);
/* A copy of at most `most` bytes; what is there of it. */
struct slice cfb_read(struct cfb *c, const struct cfb_entry *e, uint64_t most);
/* The same of a stream that may be NULL; streams may share their sectors: what is read counts as unpacked, of part n. */
struct slice cfb_take(struct unpack *u, uint32_t n, struct cfb *c, const struct cfb_entry *e, uint64_t most);
/* By name, case aside, in that storage (an index; CFB_NONE: in any); NULL: none. */
const struct cfb_entry *cfb_find(const struct cfb *c, uint32_t parent, struct slice name);

/* unpack_vba.c: macros in it. MACRO and MACRO_AUTO; n takes limits. */
unsigned vba_look(struct unpack *u, uint32_t n, struct cfb *c);
/* MS-OVBA §2.4.1.3; what can be decompressed, at most 4 MiB. */
struct slice vba_decompress(struct slice packed, struct arena *arena);

#endif
