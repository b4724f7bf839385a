/* SPDX-License-Identifier: Apache-2.0
 * Passwords in the configuration file: never shown, and gone from memory when they are not needed. */
#ifndef POSTERN_CONFIG_SECRET_H
#define POSTERN_CONFIG_SECRET_H
#include "config/yaml.h"

/* Does an entry of this name hold a secret? Misspelled names, too. */
bool secret_is_name(struct slice key);
/* An entry that is no entry but the rest of an unquoted password: {password: a,b}. */
bool secret_spilled(const struct yaml_node *node);
/* The text of a file, or a value for a part of it, with "***" for each secret. It has the same lines. */
void secret_hide(struct slice text, struct buf *out);
/* The words of `config set PATH VALUE` as they may be kept: the value of a secret is "***". */
void secret_hide_value(const char *path, const char *value, struct buf *out);
/* Wipes the secrets in a tree that is no longer needed. */
void secret_wipe(struct yaml_node *root);

#endif
