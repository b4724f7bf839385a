/* SPDX-License-Identifier: Apache-2.0
 * Changing the text of a configuration file at one place: everything else, comments and layout included, stays as it
 * is, byte for byte. */
#ifndef POSTERN_CONFIG_EDIT_H
#define POSTERN_CONFIG_EDIT_H
#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"
#include "config/yaml.h"

#define EDIT_STEPS_MAX 12
#define EDIT_NAME_MAX 64

/* "domains[2].deliver", "zones.lan.trust", "domains[+]" (one behind the last). */
struct edit_step {
    enum { EDIT_NAME, EDIT_INDEX, EDIT_APPEND } kind;
    struct slice name; /* points into the path's text */
    size_t index;
};
struct edit_path {
    struct edit_step steps[EDIT_STEPS_MAX];
    size_t n;
};
bool edit_path_parse(const char *text, struct edit_path *out, struct err *err) MUST_CHECK;
/* The deepest node of the path's first n steps that is there; *done: how many are. */
struct yaml_node *edit_path_find(struct yaml_node *root, const struct edit_path *p, size_t n, size_t *done);

/* The text with `value` at `path`; groups on the way are made. A value that begins with { [ " or ' is YAML of one line,
 * any other is a plain text. Whether the result makes sense is for config_parse to say. */
bool edit_set(struct slice text, const char *path, const char *value, struct buf *out, struct err *err) MUST_CHECK;
/* The text without the entry. */
bool edit_unset(struct slice text, const char *path, struct buf *out, struct err *err) MUST_CHECK;

/* ---- edit_list.c: entries of lists. A comment on the lines right above an entry is its own and goes with it; above the first one it is
 * about the list, unless others have such comments, too. */
/* As edit_unset, and without the entry's own comment. */
bool edit_remove(struct slice text, const char *path, struct buf *out, struct err *err) MUST_CHECK;
/* `value`, as in edit_set, as a new entry in front of the one at the path, "domains[2]"; behind the last when there is none. */
bool edit_insert(struct slice text, const char *path, const char *value, struct buf *out, struct err *err) MUST_CHECK;
/* The entry at the path becomes the one with the index `to`. */
bool edit_move(struct slice text, const char *path, size_t to, struct buf *out, struct err *err) MUST_CHECK;

/* ---- edit_json.c: JSON as values. Numbers, texts and yes/no are written as the file has them; members that are null are left out. */
/* Sets it as a whole: on one line where that is short, else as a block, one entry of a list a line. */
bool edit_set_json(struct slice text, const char *path, const json_t *value, struct buf *out, struct err *err) MUST_CHECK;
/* Likewise as a new entry of a list, as edit_insert. */
bool edit_insert_json(struct slice text, const char *path, const json_t *value, struct buf *out, struct err *err) MUST_CHECK;
/* Does a node of the file say the same? SCHEMA_HIDDEN is any secret. */
bool edit_equals_json(const struct yaml_node *node, const json_t *value);
/* The value on one line of YAML. */
void edit_add_flow(struct buf *out, const json_t *value);

/* ---- edit_merge.c */
/* Sets it by as few changes as it takes, so that comments of what stays the same stay, too. A secret that is SCHEMA_HIDDEN stays as it is
 * where it is clear which one is meant; else the text has SCHEMA_HIDDEN. */
bool edit_merge_json(struct slice text, const char *path, const json_t *value, struct buf *out, struct err *err) MUST_CHECK;
/* Which entry of the list each element of the array was: map[element] is an index, or EDIT_NEW. old_n entries, new_n elements. False: the
 * lists are too different to say, and all are new. */
#define EDIT_NEW SIZE_MAX
bool edit_pair(const struct yaml_node *list, const json_t *array, size_t *map);
/* A tree as JSON, all values as texts. The caller's. */
json_t *edit_node_json(const struct yaml_node *node);

#endif
