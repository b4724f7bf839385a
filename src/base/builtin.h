/* SPDX-License-Identifier: Apache-2.0
 * Data files of the tree that are part of the program: made by scripts/embed.py, an array for each set, in the order in which meson.build
 * names them. */
#ifndef POSTERN_BASE_BUILTIN_H
#define POSTERN_BASE_BUILTIN_H
#include <stddef.h>

struct builtin {
    const char *name;            /* of the file, without its folder */
    const unsigned char *text;   /* a NUL follows */
    size_t n;
};
extern const struct builtin builtin_rules[]; /* src/spam/rules */
extern const unsigned builtin_rules_n;
extern const struct builtin builtin_texts[]; /* src/notice: by language, in the order of enum template_kind */
extern const unsigned builtin_texts_n;

#endif
