/* SPDX-License-Identifier: Apache-2.0
 * Short memory. */
#include "policy/memo.h"
#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"

#define PLACES 8192

struct memo {
    struct {
        uint64_t key, value, until;
    } places[PLACES];
};

struct memo *memo_new(void) { return mem_new(struct memo); }
void memo_free(struct memo *m) { free(m); }

static uint64_t hash(enum memo_kind kind, struct slice key) { return hash_u64(hash_bytes(key) + kind); }

bool memo_get(const struct memo *m, enum memo_kind kind, struct slice key, uint64_t now, uint64_t *value)
{
    uint64_t h = hash(kind, key);
    if (m->places[h % PLACES].key != h || m->places[h % PLACES].until <= now) return false;
    *value = m->places[h % PLACES].value;
    return true;
}

void memo_put(struct memo *m, enum memo_kind kind, struct slice key, uint64_t value, uint64_t until)
{
    uint64_t h = hash(kind, key);
    m->places[h % PLACES].key = h;
    m->places[h % PLACES].value = value;
    m->places[h % PLACES].until = until;
}
