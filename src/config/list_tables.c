/* SPDX-License-Identifier: Apache-2.0
 * Lists and the tables they name: what is looked for is looked for in the newest block of each. What is found becomes an entry that stays for
 * a while, whatever block comes next. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "config/list_parts.h"

/* An entry of a block, made when it is found for the first time. */
struct seen_entry {
    struct list_entry entry;
    const char *text;          /* in the block, where there are no two of it */
};
struct list_seen {
    struct list_seen *former;
    uint64_t serial, since;    /* since: mono ms; there is a newer one */
    struct htable entries;
};

static uint64_t hash_of_seen(const void *item) { return hash_u64((uintptr_t)((const struct seen_entry *)item)->text); }
static bool seen_is(const void *item, const void *key) { return ((const struct seen_entry *)item)->text == key; }

static void free_seen(struct list_seen *s)
{
    size_t at = 0;
    for (struct seen_entry *e; (e = htable_next(&s->entries, &at));) free(e);
    htable_deinit(&s->entries);
    free(s);
}

static void forget_former(struct list_seen *s, uint64_t before)
{
    struct list_seen **at = &s->former; /* the newest is the first */
    while (*at && (*at)->since >= before) at = &(*at)->former;
    while (*at) {
        struct list_seen *old = *at;
        *at = old->former;
        free_seen(old);
    }
}

static struct list_seen *seen_of(struct list_table *t)
{
    uint64_t serial = table_serial(t->table);
    if (t->seen && t->seen->serial == serial) return t->seen;
    uint64_t now = clock_mono_ms();
    struct list_seen *s = mem_new(struct list_seen);
    s->serial = serial;
    htable_init(&s->entries, hash_of_seen);
    s->former = t->seen;
    if (s->former) s->former->since = now;
    t->seen = s;
    forget_former(s, now > 2 * TABLES_GRACE ? now - 2 * TABLES_GRACE : 0);
    return s;
}

static bool is_clean(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F) return false;
    return true;
}

/* The texts go into the log and into replies: no other process is trusted with that. */
static const struct list_entry *entry_of(struct list_table *t, const struct snapshot_entry *e)
{
    struct list_seen *s = seen_of(t);
    struct seen_entry *found = htable_find(&s->entries, hash_u64((uintptr_t)e->match), seen_is, e->match);
    if (found) return &found->entry;
    found = mem_new(struct seen_entry);
    found->text = e->match;
    found->entry = t->from;
    found->entry.match = is_clean(e->match) ? e->match : "?";
    found->entry.line = e->line;
    if (e->comment && is_clean(e->comment)) found->entry.comment = e->comment;
    if (e->reason && !match_reason_problem(slice_str(e->reason))) found->entry.reason = e->reason;
    htable_add(&s->entries, found);
    return &found->entry;
}

static void consider(struct list_search *s, struct list_table *t, const struct snapshot_entry *e, enum list_kind kind, unsigned nearness)
{
    list_consider(s, entry_of(t, e), t->at, kind, nearness);
}

static bool counts(const struct list_search *s, const struct list_table *t)
{
    return table_snapshot(t->table) && (s->proven || !t->from.proven);
}

void list_find_key_in_tables(struct list_search *s, struct slice key, enum list_kind kind, unsigned nearness)
{
    struct snapshot_entry e;
    for (size_t i = 0; i < s->list->table_n; i++) {
        struct list_table *t = &s->list->tables[i];
        if (counts(s, t) && snapshot_find_key(table_snapshot(t->table), key, &e)) consider(s, t, &e, kind, nearness);
    }
}

void list_find_ip_in_tables(struct list_search *s, const struct ip *ip)
{
    struct snapshot_entry e;
    for (size_t i = 0; i < s->list->table_n; i++) {
        struct list_table *t = &s->list->tables[i];
        if (counts(s, t) && snapshot_find_ip(table_snapshot(t->table), ip, &e)) consider(s, t, &e, LIST_NETWORK, e.net.prefix);
    }
}

void list_find_expression_in_tables(struct list_search *s, struct slice text)
{
    struct snapshot_entry e;
    for (size_t i = 0; i < s->list->table_n; i++) {
        struct list_table *t = &s->list->tables[i];
        if (counts(s, t) && table_find_expression(t->table, text, &e)) consider(s, t, &e, LIST_EXPRESSION, 0);
    }
}

unsigned list_tree_labels(const struct list_match *l)
{
    unsigned most = l->tree_labels;
    for (size_t i = 0; i < l->table_n; i++) {
        const struct snapshot *s = table_snapshot(l->tables[i].table);
        if (s && snapshot_tree_labels(s) > most) most = snapshot_tree_labels(s);
    }
    return most;
}

bool list_is_unread(const struct list_match *l)
{
    for (size_t i = 0; i < l->table_n; i++)
        if (!table_snapshot(l->tables[i].table)) return true;
    return false;
}

static bool has_hosts(const struct snapshot *s)
{
    struct snapshot_entry e;
    return s && (snapshot_has_keys(s) || snapshot_expression(s, 0, &e));
}

bool list_has_hosts(const struct list_match *l)
{
    bool any = l->keys.n || l->expression_n;
    for (size_t i = 0; i < l->table_n; i++) any |= has_hosts(table_snapshot(l->tables[i].table));
    return l->of == LIST_OF_CLIENTS && any;
}

bool list_may_have_hosts(const struct list_match *l)
{
    bool any = list_has_hosts(l);
    for (size_t i = 0; i < l->table_n; i++) any |= table_source(l->tables[i].table)->table->type != CONFIG_TABLE_CIDR;
    return l->of == LIST_OF_CLIENTS && any;
}

void list_free_tables(struct list_match *l)
{
    for (size_t i = 0; i < l->table_n; i++) {
        if (!l->tables[i].seen) continue;
        forget_former(l->tables[i].seen, UINT64_MAX);
        free_seen(l->tables[i].seen);
    }
    free(l->tables);
    tables_free(l->own);
}
