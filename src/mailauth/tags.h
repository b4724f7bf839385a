/* SPDX-License-Identifier: Apache-2.0
 * "tag=value; tag=value": the form of signatures, keys and policies (RFC 6376 §3.2). Of this folder only. */
#ifndef POSTERN_MAILAUTH_TAGS_H
#define POSTERN_MAILAUTH_TAGS_H
#include "base/arena.h"

#define TAGS_MAX 64

struct tag {
    struct slice name, value;    /* without blanks around them; folds within the value are kept */
};
struct tags {
    struct tag tags[TAGS_MAX];
    size_t n;
};
/* NULL, or what is wrong, one clause: no "=", no name, a name twice, more than TAGS_MAX. Names count by letter case. */
const char *tags_parse(struct slice text, struct tags *out);
/* Its value; NULL p when the tag is not there (an empty value has a pointer). */
struct slice tags_get(const struct tags *t, const char *name);
/* The same without blanks, tabs, CR and LF anywhere in it: for base64 and lists. */
struct slice tags_packed(const struct tags *t, const char *name, struct arena *arena);

#endif
