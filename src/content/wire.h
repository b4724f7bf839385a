/* SPDX-License-Identifier: Apache-2.0
 * Members of JSON objects between scan processes and the rest: written so that they can always be read, read with doubt. What is
 * empty or 0 is left out. */
#ifndef POSTERN_CONTENT_WIRE_H
#define POSTERN_CONTENT_WIRE_H
#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

/* Well-formed UTF-8 of at most max bytes, whole characters; bytes that are none, controls and marks that turn text become U+FFFD. */
json_t *wire_clean_text(struct slice s, size_t max);
json_t *wire_clean_lines(struct slice s, size_t max); /* the same, with line ends and tabs */
void wire_put_text(json_t *o, const char *key, struct slice s, size_t max);
void wire_put_number(json_t *o, const char *key, json_int_t v);
void wire_put_flag(json_t *o, const char *key, bool v);
void wire_put_bytes(json_t *o, const char *key, struct slice s);  /* as base64 */
void wire_put_list(json_t *o, const char *key, json_t *array);    /* takes it */

/* The first thing that cannot be sets err; all that is read after it is empty. */
struct wire {
    struct arena *arena; /* what is read is copied into it */
    struct err *err;
    bool failed;
};
void wire_fail(struct wire *w, const char *key);
uint64_t wire_number(struct wire *w, const json_t *o, const char *key, uint64_t max);
int32_t wire_score(struct wire *w, const json_t *o, const char *key);
bool wire_flag(struct wire *w, const json_t *o, const char *key);
struct slice wire_text(struct wire *w, const json_t *o, const char *key, size_t max);
struct slice wire_text_of(struct wire *w, const json_t *text, const char *key, size_t max); /* of an array's element */
struct slice wire_bytes(struct wire *w, const json_t *o, const char *key, size_t max);
/* Its elements, which are objects when `objects`; none: 0. */
const json_t *wire_list(struct wire *w, const json_t *o, const char *key, size_t max, bool objects, size_t *n);

#endif
