/* SPDX-License-Identifier: Apache-2.0
 * Memory that lives and dies together: one for a connection, one for a transaction. No single piece is
 * freed; arena_reset keeps the first block for the next round. An idle arena holds no memory at all. */
#ifndef POSTERN_BASE_ARENA_H
#define POSTERN_BASE_ARENA_H
#include "base/slice.h"

struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t used; /* bytes handed out since the last reset: callers check it against their budget */
};

void *arena_alloc(struct arena *a, size_t n) __attribute__((returns_nonnull)); /* 16-byte aligned, cleared */
char *arena_strdup(struct arena *a, struct slice s);                           /* NUL added */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3), nonnull(2))); /* NUL added */
struct slice arena_slice(struct arena *a, struct slice s);                     /* a copy that lives as long as the arena */
void arena_reset(struct arena *a);                                             /* empties, keeps one small block */
void arena_deinit(struct arena *a);                                            /* frees everything */

#endif
