/* SPDX-License-Identifier: Apache-2.0
 * Lists of tags (RFC 6376 §3.2). */
#include "mailauth/tags.h"

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        bool letter = c >= 'a' && c <= 'z', other = (c >= '0' && c <= '9') || c == '_';
        if (!letter && !(i && other)) return false;
    }
    return s.n > 0;
}

const char *tags_parse(struct slice text, struct tags *out)
{
    out->n = 0;
    while (slice_trim(text).n) {
        struct slice one, name;
        slice_cut(&text, ';', &one);
        if (!slice_trim(one).n && slice_trim(text).n) return "a tag is empty";
        if (!slice_cut(&one, '=', &name)) return "a tag has no \"=\"";
        name = slice_trim(name);
        if (!is_name(name)) return "a tag's name is malformed";
        for (size_t i = 0; i < out->n; i++)
            if (slice_eq(out->tags[i].name, name)) return "a tag is there twice";
        if (out->n == TAGS_MAX) return "there are too many tags";
        struct slice value = slice_trim(one);
        out->tags[out->n++] = (struct tag){ name, value.n ? value : slice_of("", 0) };
    }
    return NULL;
}

struct slice tags_get(const struct tags *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (slice_eq(t->tags[i].name, slice_str(name))) return t->tags[i].value;
    return (struct slice){ NULL, 0 };
}

static bool is_space(char c)
{
    return c <= ' ' && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

struct slice tags_packed(const struct tags *t, const char *name, struct arena *arena)
{
    struct slice value = tags_get(t, name);
    if (!value.n) return value;
    char *to = arena_alloc(arena, value.n);
    size_t n = 0;
    for (size_t i = 0; i < value.n;) {
        size_t from = i;
        while (i < value.n && !is_space(value.p[i])) i++;
        memcpy(to + n, value.p + from, i - from);
        n += i - from;
        while (i < value.n && is_space(value.p[i])) i++;
    }
    return slice_of(to, n);
}
