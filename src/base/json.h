/* SPDX-License-Identifier: Apache-2.0
 * Reading JSON. */
#ifndef POSTERN_BASE_JSON_H
#define POSTERN_BASE_JSON_H
#include <jansson.h>
#include "base/mem.h"

/* The text under key, with a NUL behind it; p is NULL when there is none. Valid as long as the object keeps it. */
static inline struct slice json_text(const json_t *object, const char *key)
{
    const json_t *text = json_object_get(object, key);
    return slice_of(json_string_value(text), json_string_length(text));
}

/* Overwrites a text that is a secret; what is no text stays as it is. */
static inline void json_wipe(const json_t *text)
{
    if (json_is_string(text)) mem_wipe((char *)(uintptr_t)json_string_value(text), json_string_length(text));
}

#endif
