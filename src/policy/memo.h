/* SPDX-License-Identifier: Apache-2.0
 * What a worker remembers for some minutes of what the store told it, so that busy clients cost no question each time. A fixed number of
 * places; who comes later takes the place of who was there. Keys are hashes of 64 bits with a secret (base/hash.h). */
#ifndef POSTERN_POLICY_MEMO_H
#define POSTERN_POLICY_MEMO_H
#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"

struct memo;
struct memo *memo_new(void);
void memo_free(struct memo *m); /* NULL is fine */

enum memo_kind { MEMO_GREYLIST = 1, MEMO_PAUSE, MEMO_REPUTATION };
bool memo_get(const struct memo *m, enum memo_kind kind, struct slice key, uint64_t now_mono_ms, uint64_t *value);
void memo_put(struct memo *m, enum memo_kind kind, struct slice key, uint64_t value, uint64_t until_mono_ms);

#endif
