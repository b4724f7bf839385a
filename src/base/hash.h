/* SPDX-License-Identifier: Apache-2.0
 * SipHash-1-3 with a key drawn at start, so that no client can choose its bucket, and a small open-addressed
 * table of pointers that finds by a caller's own comparison. */
#ifndef POSTERN_BASE_HASH_H
#define POSTERN_BASE_HASH_H
#include "base/slice.h"

uint64_t hash_bytes(struct slice s);
uint64_t hash_ibytes(struct slice s); /* ASCII case folded */
uint64_t hash_u64(uint64_t v);
uint64_t hash_keyed(const uint64_t own[2], struct slice s); /* with a secret of one's own: for what outlives the process */

struct htable {
    void **slots;
    uint64_t (*hash_of)(const void *item); /* must be set before the first use */
    size_t n, cap;
};

typedef bool htable_match(const void *item, const void *key);

void htable_init(struct htable *t, uint64_t (*hash_of)(const void *item));
void htable_deinit(struct htable *t); /* the items are the caller's */
void *htable_find(const struct htable *t, uint64_t hash, htable_match *match, const void *key);
void htable_add(struct htable *t, void *item); /* no equal item may be in it */
void htable_remove(struct htable *t, const void *item);
/* Visits all items: start with *at = 0; NULL at the end. Nothing may be added or removed meanwhile. */
void *htable_next(const struct htable *t, size_t *at);

#endif
