/* SPDX-License-Identifier: Apache-2.0
 * What a worker knows of recipients at the moment, so that a busy one costs no question: a bounded table of names, each for a time. */
#ifndef POSTERN_POLICY_RECIPIENTS_CACHE_H
#define POSTERN_POLICY_RECIPIENTS_CACHE_H
#include "base/slice.h"

struct recipients_cache;
struct cached_recipient {
    char what;              /* the user's letter */
    struct slice why;       /* until the next call */
};

struct recipients_cache *recipients_cache_new(size_t entries_max);
void recipients_cache_free(struct recipients_cache *c); /* NULL is fine */
bool recipients_cache_get(struct recipients_cache *c, struct slice key, uint64_t now_mono_ms, struct cached_recipient *out);
/* For so many ms; replaces what there was. Where it is full the one put longest ago gives way. */
void recipients_cache_put(struct recipients_cache *c, struct slice key, char what, struct slice why, uint64_t now_mono_ms, uint64_t ms);

#endif
