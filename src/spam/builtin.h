/* SPDX-License-Identifier: Apache-2.0
 * The rule files of src/spam/rules, made part of the program by embed.py. */
#ifndef POSTERN_SPAM_BUILTIN_H
#define POSTERN_SPAM_BUILTIN_H
#include <stddef.h>

struct builtin_rules {
    const char *name;
    const unsigned char *text;
    size_t n;
};
extern const struct builtin_rules builtin_rules[];
extern const unsigned builtin_rules_n;

#endif
