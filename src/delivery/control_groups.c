/* SPDX-License-Identifier: Apache-2.0
 * The queue by destination or by reason. */
#include <stdlib.h>
#include "delivery/control.h"

struct group {
    uint64_t hash, messages, bytes, oldest, next_try;
    size_t n;
    char name[];
};

static uint64_t hash_of(const void *item)
{
    return ((const struct group *)item)->hash;
}

static bool has_name(const void *item, const void *name)
{
    const struct group *g = item;
    return slice_eq(slice_of(g->name, g->n), *(const struct slice *)name);
}

const char *groups_init(struct groups *g, const json_t *request)
{
    const char *by = json_string_value(json_object_get(request, "by"));
    htable_init(&g->table, hash_of);
    g->by_reason = by && !strcmp(by, "reason");
    return g->by_reason || (by && !strcmp(by, "destination")) ? NULL : "by must be destination or reason";
}

void groups_deinit(struct groups *g)
{
    struct group *one;
    size_t at = 0;
    if (!g->table.hash_of) return;
    while ((one = htable_next(&g->table, &at))) free(one);
    htable_deinit(&g->table);
}

/* "": not tried yet. */
static struct slice destination_of(const struct message *m)
{
    if (m->state == MESSAGE_PARKED) return slice_str(m->dest->hop.key);
    if (m->work && !list_empty(&m->work->parts)) return slice_str(list_entry(m->work->parts.next, struct part, sibling)->dest->hop.key);
    return label_text(m->where);
}

static uint64_t next_try(const struct message *m, uint64_t now)
{
    uint64_t mono = clock_mono_ms();
    if (m->state == MESSAGE_DEFERRED) return m->next_try;
    if (m->state != MESSAGE_PARKED) return 0;
    return m->dest->blocked && m->dest->retry_at > mono ? now + (m->dest->retry_at - mono) : now;
}

void groups_add(struct groups *g, const struct message *m)
{
    struct slice name = g->by_reason ? message_reason(m) : destination_of(m);
    uint64_t hash = hash_bytes(name), next = next_try(m, clock_wall_ms());
    struct group *one = htable_find(&g->table, hash, has_name, &name);
    if (!one && g->table.n >= GROUPS_TOLD_MOST) {
        g->others++;
        return;
    }
    if (!one) {
        one = mem_alloc(sizeof *one + name.n);
        *one = (struct group){ .hash = hash, .oldest = m->arrival, .n = name.n };
        if (name.n) memcpy(one->name, name.p, name.n);
        htable_add(&g->table, one);
    }
    one->messages++;
    one->bytes += m->spool.text_n;
    if (m->arrival < one->oldest) one->oldest = m->arrival;
    if (next && (!one->next_try || next < one->next_try)) one->next_try = next;
}

json_t *groups_json(const struct groups *g)
{
    json_t *list = json_array();
    const struct group *one;
    size_t at = 0;
    while ((one = htable_next(&g->table, &at))) {
        struct buf name = { 0 };
        buf_add_printable(&name, slice_of(one->name, one->n), 400);
        json_t *key = json_stringn(name.p ? name.p : "", name.n);
        buf_deinit(&name);
        json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:I, s:I}", "key", key ? key : json_string(""), "messages",
                                              (json_int_t)one->messages, "bytes", (json_int_t)one->bytes, "oldest", (json_int_t)one->oldest,
                                              "next_try", (json_int_t)one->next_try));
    }
    return list;
}
