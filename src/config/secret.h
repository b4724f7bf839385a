/* SPDX-License-Identifier: Apache-2.0
 * Passwords in the configuration file: never shown, and gone from memory when they are not needed. */
#ifndef POSTERN_CONFIG_SECRET_H
#define POSTERN_CONFIG_SECRET_H
#include "base/err.h"
#include "config/yaml.h"

/* Does an entry of this name hold a secret? Misspelled names, too. */
bool secret_is_name(struct slice key);
/* An entry that is no entry but the rest of an unquoted password: {password: a,b}. */
bool secret_spilled(const struct yaml_node *node);
/* Is the value of this entry one? */
bool secret_is_node(const struct yaml_node *node);
/* The text of a file, or a value for a part of it, with "***" for each secret. It has the same lines. */
void secret_hide(struct slice text, struct buf *out);
/* The same as YAML that says "***" for them, which secret_restore understands. */
void secret_hide_quoted(struct slice text, struct buf *out);
/* The words of `config set PATH VALUE` as they may be kept: the value of a secret is "***". */
void secret_hide_value(const char *path, const char *value, struct buf *out);
/* Secrets that are "***" in the new text are what they were in the old one: at the same place, or of the same entry of a list where that can
 * be told. False with err, which names the option, where it cannot; texts that are not YAML are left as they are. */
bool secret_restore(struct slice old_text, struct slice new_text, struct buf *out, struct err *err) MUST_CHECK;
/* Comments that say "name: value" where the name is one of a secret. was: what takes the value's place; "***" when it is empty. */
struct secret_comment {
    size_t head, from, to;     /* of the "#", and the value */
    struct slice was;
};
struct secret_comments {
    struct secret_comment *all;
    size_t n, at;              /* at: up to which they are copied */
};
/* root: of the text; NULL: it has nothing but comments. secret_comment.c */
void secret_comments_find(struct slice text, const struct yaml_node *root, struct secret_comments *out);
/* Those that say "***" get what the same comment said in the old text; the others are forgotten. */
void secret_comments_restore(struct slice old_text, const struct secret_comments *old, struct slice text, struct secret_comments *c);
/* Copies a part of the text; parts come in their order. */
void secret_comments_copy(struct secret_comments *c, struct slice text, size_t from, size_t to, struct buf *out);
void secret_comments_deinit(struct secret_comments *c);
/* Wipes the secrets in a tree that is no longer needed. */
void secret_wipe(struct yaml_node *root);

#endif
