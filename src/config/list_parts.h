/* SPDX-License-Identifier: Apache-2.0
 * What list.c and list_file.c share. */
#ifndef POSTERN_CONFIG_LIST_PARTS_H
#define POSTERN_CONFIG_LIST_PARTS_H
#include "base/arena.h"
#include "base/hash.h"
#include "config/list.h"

struct list_item {
    struct list_entry entry;
    struct slice key;          /* how a name or mailbox is found, any case; empty: not by a key */
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
    char **texts;              /* of files: entries point into them */
    size_t text_n;
    struct arena arena;        /* keys that are not the entry's own text */
    bool proven;               /* some entry is */
};

/* Adds one entry, whose texts live as long as the list. NULL, or *err without the place. */
bool list_add(struct list_match *l, const struct list_entry *e, struct err *err) MUST_CHECK;
/* Adds the entries of a file. */
bool list_add_file(struct list_match *l, const struct config_match *from, struct err *err) MUST_CHECK;

#endif
