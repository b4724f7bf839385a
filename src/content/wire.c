/* SPDX-License-Identifier: Apache-2.0
 * Members of JSON objects between scan processes and the rest. */
#include "content/wire.h"
#include "base/base64.h"
#include "base/utf8.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* ---- writing */

static bool is_shown(struct slice s, size_t n, uint32_t code, bool lines)
{
    unsigned char c = (unsigned char)s.p[0];
    return n == 1 ? (c >= 0x20 && c != 0x7F) || (lines && (c == '\n' || c == '\t')) : n > 1 && !utf8_is_control(code);
}

static json_t *clean(struct slice s, size_t max, bool lines)
{
    struct buf b = { 0 };
    while (s.n) {
        uint32_t code = 0;
        size_t n = utf8_char(s, &code);
        struct slice c = n && is_shown(s, n, code, lines) ? slice_of(s.p, n) : SLICE(REPLACEMENT);
        if (b.n + c.n > max) break;
        buf_add(&b, c);
        s = slice_sub(s, n ? n : 1, s.n);
    }
    json_t *text = json_stringn(b.n ? b.p : "", b.n);
    buf_deinit(&b);
    return text;
}

json_t *wire_clean_text(struct slice s, size_t max) { return clean(s, max, false); }

json_t *wire_clean_lines(struct slice s, size_t max) { return clean(s, max, true); }

void wire_put_text(json_t *o, const char *key, struct slice s, size_t max)
{
    if (s.n) json_object_set_new(o, key, wire_clean_text(s, max));
}

void wire_put_number(json_t *o, const char *key, json_int_t v)
{
    if (v) json_object_set_new(o, key, json_integer(v));
}

void wire_put_flag(json_t *o, const char *key, bool v)
{
    if (v) json_object_set_new(o, key, json_true());
}

void wire_put_bytes(json_t *o, const char *key, struct slice s)
{
    struct buf b = { 0 };
    if (!s.n) return;
    base64_add(&b, s);
    json_object_set_new(o, key, json_stringn(b.p, b.n));
    buf_deinit(&b);
}

void wire_put_list(json_t *o, const char *key, json_t *array)
{
    if (json_array_size(array)) json_object_set(o, key, array);
    json_decref(array);
}

/* ---- reading */

void wire_fail(struct wire *w, const char *key)
{
    if (!w->failed) err_set_text(w->err, "\"%.40s\" is not what it can be", key);
    w->failed = true;
}

uint64_t wire_number(struct wire *w, const json_t *o, const char *key, uint64_t max)
{
    const json_t *v = json_object_get(o, key);
    if (!v || w->failed) return 0;
    json_int_t n = json_integer_value(v);
    if (json_is_integer(v) && n >= 0 && (uint64_t)n <= max) return (uint64_t)n;
    wire_fail(w, key);
    return 0;
}

int32_t wire_score(struct wire *w, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!v || w->failed) return 0;
    json_int_t n = json_integer_value(v);
    if (json_is_integer(v) && n >= INT32_MIN && n <= INT32_MAX) return (int32_t)n;
    wire_fail(w, key);
    return 0;
}

bool wire_flag(struct wire *w, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (v && !json_is_boolean(v)) wire_fail(w, key);
    return json_is_true(v) && !w->failed;
}

static bool is_clean(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F) return false;
    return utf8_clean(s);
}

struct slice wire_text_of(struct wire *w, const json_t *text, const char *key, size_t max)
{
    struct slice s = slice_of(json_string_value(text), json_string_length(text));
    if (w->failed) return SLICE("");
    if (json_is_string(text) && s.n <= max && is_clean(s)) return slice_of(arena_strdup(w->arena, s), s.n);
    wire_fail(w, key);
    return SLICE("");
}

struct slice wire_text(struct wire *w, const json_t *o, const char *key, size_t max)
{
    const json_t *v = json_object_get(o, key);
    return v ? wire_text_of(w, v, key, max) : SLICE("");
}

struct slice wire_bytes(struct wire *w, const json_t *o, const char *key, size_t max)
{
    const json_t *v = json_object_get(o, key);
    struct buf b = { .max = max };
    struct slice out = SLICE("");
    if (!v || w->failed) return out;
    if (max && json_is_string(v) && base64_decode(slice_of(json_string_value(v), json_string_length(v)), &b) && !b.overflow)
        out = arena_slice(w->arena, buf_slice(&b));
    else
        wire_fail(w, key);
    buf_deinit(&b);
    return out;
}

const json_t *wire_list(struct wire *w, const json_t *o, const char *key, size_t max, bool objects, size_t *n)
{
    const json_t *v = json_object_get(o, key);
    *n = 0;
    if (!v || w->failed) return NULL;
    if (!json_is_array(v) || json_array_size(v) > max) wire_fail(w, key);
    for (size_t i = 0; objects && !w->failed && i < json_array_size(v); i++)
        if (!json_is_object(json_array_get(v, i))) wire_fail(w, key);
    if (!w->failed) *n = json_array_size(v);
    return v;
}
