/* SPDX-License-Identifier: Apache-2.0
 * What the files that change texts (edit*.c) share. */
#ifndef POSTERN_CONFIG_EDIT_PARTS_H
#define POSTERN_CONFIG_EDIT_PARTS_H
#include "config/edit.h"

/* One edit under way. */
struct edit {
    struct slice text;
    const struct edit_path *path;
    struct yaml_node *root, *found; /* the deepest node of the path that is there */
    size_t done;                    /* steps of the path that are there */
    struct buf value;               /* as it will stand in the file */
    const char *newline;
    struct arena arena;
    struct config_report report;
    struct err *err;
};

/* Reads the text and looks for the path. text, path and err are set before; edit_finish follows in any case. */
bool edit_start(struct edit *e) MUST_CHECK;
void edit_finish(struct edit *e);
/* e->value, of one line of YAML or of a plain text. */
bool edit_take_value(struct edit *e, const char *value) MUST_CHECK;

void edit_splice(struct buf *out, struct slice text, size_t from, size_t to, struct slice with);
size_t edit_line_start(struct slice text, size_t at);
size_t edit_line_end(struct slice text, size_t at); /* of its CR or LF, or the end of the text */
size_t edit_next_line(struct slice text, size_t at);
bool edit_blank(struct slice text, size_t from, size_t to);
/* Behind the ":" of an entry; 0 for the "? key" form. */
size_t edit_after_colon(const struct edit *e, const struct yaml_node *node);
/* Where an entry ends: behind its value, or its colon. */
size_t edit_end_of(const struct edit *e, const struct yaml_node *node);
bool edit_fail_form(const struct edit *e, const struct yaml_node *node); /* false, with the error */

/* Equal but for the skipped nodes; a collection without entries equals nothing. */
bool edit_same(const struct yaml_node *a, const struct yaml_node *b, const struct yaml_node *skip_a, const struct yaml_node *skip_b);
/* The node of a path's first n steps in a new tree; [+] is the last of its list. NULL: it is not there. */
struct yaml_node *edit_walk_new(struct yaml_node *root, const struct edit_path *p, size_t n);

#endif
