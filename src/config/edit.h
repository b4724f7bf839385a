/* SPDX-License-Identifier: Apache-2.0
 * Changing the text of a configuration file at one place: everything else, comments and layout included, stays as it
 * is, byte for byte. */
#ifndef POSTERN_CONFIG_EDIT_H
#define POSTERN_CONFIG_EDIT_H
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

#endif
