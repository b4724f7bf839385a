/* SPDX-License-Identifier: Apache-2.0
 * What list.c and list_tables.c share. */
#ifndef POSTERN_CONFIG_LIST_PARTS_H
#define POSTERN_CONFIG_LIST_PARTS_H
#include "base/arena.h"
#include "base/hash.h"
#include "config/list.h"
#include "config/tables.h"

struct list_item {
    struct list_entry entry;
    struct slice key;          /* how a name or mailbox is found, any case; empty: not by a key */
    size_t at;                 /* which of the list it is: of two that are equally near the first counts */
};

/* A file or table that the list names. */
struct list_table {
    const struct table *table;
    struct list_entry from;    /* what all its entries have */
    size_t at;
    struct list_seen *seen;    /* entries that were found in the newest block, and in former ones */
};

struct list_match {
    enum list_of of;
    struct list_item *items;
    size_t n, room;
    struct htable keys;        /* "example.org", ".example.org", "user@example.org", "user@", "<>" */
    struct list_net *nets;
    size_t net_n, net_room;
    struct list_run *runs;     /* networks of one family and prefix length each, long prefixes first */
    size_t run_n;
    struct list_expression *expressions;
    size_t expression_n;
    struct pcre2_real_match_data_8 *match_data;
    struct pcre2_real_match_context_8 *match_limits;
    unsigned tree_labels;      /* of the longest name with all below it; 0: none */
    struct list_table *tables; /* in the order of the list */
    size_t table_n;
    struct tables *own;        /* of a list that was given none */
    struct arena arena;        /* keys that are not the entry's own text */
    bool proven;               /* some entry is */
};

/* One way to look for something: the best entry so far. */
struct list_search {
    const struct list_match *list;
    bool proven;               /* entries that want proof count, too */
    struct list_found *out;
    bool out_proven;           /* that entry wants it */
    size_t at;
};
/* Takes it if it is nearer; of two that are equally near the one that wants no proof, then the first of the list. */
void list_consider(struct list_search *s, const struct list_entry *entry, size_t at, enum list_kind kind, unsigned nearness);

/* list_tables.c */
void list_find_key_in_tables(struct list_search *s, struct slice key, enum list_kind kind, unsigned nearness);
void list_find_ip_in_tables(struct list_search *s, const struct ip *ip);
void list_find_expression_in_tables(struct list_search *s, struct slice text);
unsigned list_tree_labels(const struct list_match *l); /* with those of tables */
void list_free_tables(struct list_match *l);

#endif
