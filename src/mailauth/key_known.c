/* SPDX-License-Identifier: Apache-2.0
 * Public keys kept from message to message: most mail is of a few senders. A table with one place for each hash; what comes later takes
 * the place. */
#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"
#include "mailauth/dkim_parts.h"

#define TEXT_MAX 4096 /* of a record that is kept */

struct place {
    struct slice text;           /* p NULL: it is free */
    struct dkim_record record;
    const char *wrong;
    struct arena arena;          /* of both */
};
struct dkim_keys {
    size_t n;
    struct place places[];
};

struct dkim_keys *dkim_keys_new(size_t n)
{
    struct dkim_keys *k = mem_zalloc(sizeof *k + n * sizeof *k->places);
    k->n = n;
    return k;
}

void dkim_keys_free(struct dkim_keys **keys)
{
    struct dkim_keys *k = *keys;
    *keys = NULL;
    for (size_t i = 0; k && i < k->n; i++) {
        dkim_record_deinit(&k->places[i].record);
        arena_deinit(&k->places[i].arena);
    }
    free(k);
}

const struct dkim_record *dkim_keys_read(struct dkim_keys *k, struct slice text, const char **wrong)
{
    if (!k || !k->n || text.n > TEXT_MAX) return NULL;
    struct place *p = &k->places[hash_bytes(text) % k->n];
    if (!p->text.p || !slice_eq(p->text, text)) {
        dkim_record_deinit(&p->record);
        arena_deinit(&p->arena);
        p->text = arena_slice(&p->arena, text);
        p->wrong = dkim_record_parse(p->text, &p->arena, &p->record);
        dkim_record_make_ready(&p->record);
    }
    *wrong = p->wrong;
    return &p->record;
}
