/* SPDX-License-Identifier: Apache-2.0
 * The YAML file as a tree that knows the place of everything in the text. Of YAML 1.1 (through libyaml) it takes
 * mappings with scalar keys, sequences and scalars; anchors, aliases, tags and several documents are refused. */
#ifndef POSTERN_CONFIG_YAML_H
#define POSTERN_CONFIG_YAML_H
#include "config/report.h"

#define YAML_TEXT_MAX (4u << 20)
#define YAML_NODES_MAX 500000u
#define YAML_DEPTH_MAX 16

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_GROUP };

struct yaml_node {
    enum yaml_kind kind;
    bool flow;                 /* [..] or {..} */
    bool quoted;               /* a quoted or block scalar */
    struct config_place place; /* of the value; an empty value has its key's */
    size_t from, to;           /* its bytes in the text; of block collections: up to the end of the last scalar */
    struct slice text;         /* scalars; not what stands in the file but what it means */
    struct slice key;          /* of a child of a group */
    struct config_place key_place;
    size_t key_from, key_to;
    struct yaml_node *children, *last, *next, *parent;
    size_t n;                  /* children */
};

/* A null value: nothing, "~" or "null". Takes the place of any empty thing. */
bool yaml_is_null(const struct yaml_node *node);
/* Nodes live in `arena`. Findings go to the report. Returns NULL when there was an error; *empty is set when the file
 * holds no value at all (then NULL, too, but no error). */
struct yaml_node *yaml_parse(struct slice text, struct arena *arena, struct config_report *r, bool *empty) MUST_CHECK;
/* A child by key or by index; NULL node or nothing there: NULL. */
struct yaml_node *yaml_get(const struct yaml_node *group, const char *key);
struct yaml_node *yaml_get_slice(const struct yaml_node *group, struct slice key);
struct yaml_node *yaml_at(const struct yaml_node *list, size_t index);
/* The first child of the list or group below a key; NULL: there is none. */
const struct yaml_node *yaml_first(const struct yaml_node *group, const char *key);
/* The first of a list of values; a single value stands for a list of one. */
const struct yaml_node *yaml_items(const struct yaml_node *list);
/* The line that can be changed: the first node that is written. */
static inline const struct yaml_node *yaml_either(const struct yaml_node *a, const struct yaml_node *b)
{
    return a ? a : b;
}
/* "domains[2].deliver": how findings and `config set` call a node. Lives in the report. */
const char *yaml_path(struct config_report *r, const struct yaml_node *node);

/* Findings about a node; NULL: about nothing that stands in the file. */
#define yaml_error(r, node, hint, ...) \
    report_error(r, yaml_place(node), yaml_path(r, node), hint, __VA_ARGS__)
#define yaml_warning(r, node, hint, ...) \
    report_warning(r, yaml_place(node), yaml_path(r, node), hint, __VA_ARGS__)
static inline struct config_place yaml_place(const struct yaml_node *node)
{
    return node ? node->place : (struct config_place){ 0 };
}

#endif
