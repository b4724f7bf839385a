/* SPDX-License-Identifier: Apache-2.0
 * Shared texts. A million deferred messages have few different reasons; if they have many (servers put times and ids into
 * them), what is kept of new ones is cut short, so that the memory per message stays bounded. */
#include "delivery/label.h"
#include <stdlib.h>
#include "base/mem.h"

static uint64_t hash_of(const void *item)
{
    return ((const struct label *)item)->hash;
}

static bool same_text(const void *item, const void *key)
{
    return slice_eq(label_text(item), *(const struct slice *)key);
}

void labels_init(struct labels *l)
{
    *l = (struct labels){ 0 };
    htable_init(&l->table, hash_of);
}

void labels_deinit(struct labels *l)
{
    size_t at = 0;
    for (struct label *label; (label = htable_next(&l->table, &at));) free(label);
    htable_deinit(&l->table);
}

struct slice label_cut(struct slice s, size_t max)
{
    if (s.n <= max) return s;
    while (max && ((unsigned char)s.p[max] & 0xC0) == 0x80) max--;
    return slice_sub(s, 0, max);
}

struct label *label_get(struct labels *l, struct slice text)
{
    text = label_cut(text, l->bytes < LABEL_BUDGET ? LABEL_MAX : LABEL_TIGHT);
    if (!text.n) return NULL;
    uint64_t hash = hash_bytes(text);
    struct label *label = htable_find(&l->table, hash, same_text, &text);
    if (label) return label_ref(label);
    label = mem_alloc(sizeof *label + text.n);
    *label = (struct label){ .hash = hash, .refs = 1, .n = (uint32_t)text.n };
    memcpy(label->text, text.p, text.n);
    htable_add(&l->table, label);
    l->bytes += text.n;
    return label;
}

void label_put(struct labels *l, struct label **labelp)
{
    struct label *label = *labelp;
    *labelp = NULL;
    if (!label || --label->refs) return;
    htable_remove(&l->table, label);
    l->bytes -= label->n;
    free(label);
}

void label_set(struct labels *l, struct label **label, struct slice text)
{
    struct label *old = *label;
    *label = label_get(l, text);
    label_put(l, &old); /* behind label_get: most often it is the same one */
}
