/* SPDX-License-Identifier: Apache-2.0
 * Arguments and bodies, held against the tables of routes: who serves a request sees only what he has named. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include "admin/internal.h"
#include "base/json.h"

#define NAME_SHOWN 60
#define VALUES_MAX 100000   /* of a body */

/* ---- what is wrong */

void http_bad_argument(struct http_request *r)
{
    http_error(r, MHD_HTTP_BAD_REQUEST, "an argument is unknown or has a value it cannot have");
}

/* "limit: a number is expected"; name may come from outside. */
static void refuse(struct http_request *r, struct slice name, const char *text, const char *more)
{
    struct buf b = { 0 };
    buf_add_printable(&b, name, NAME_SHOWN);
    buf_addf(&b, ": %s%s", text, more ? more : "");
    http_error(r, MHD_HTTP_BAD_REQUEST, buf_cstr(&b));
    buf_deinit(&b);
}

static const struct route_field *find(const struct route_field *known, struct slice name)
{
    for (; known && known->name; known++)
        if (slice_eq(name, slice_str(known->name))) return known;
    return NULL;
}

static bool among(const char *words, struct slice text)
{
    struct slice all = slice_str(words), one;
    for (bool more = true; more;) {
        more = slice_cut(&all, ' ', &one);
        if (slice_eq(one, text)) return true;
    }
    return false;
}

/* What must be there. */
static bool check_required(struct http_request *r, const struct route_field *known, const json_t *given)
{
    for (; known && known->name; known++) {
        if (!known->required || json_object_get(given, known->name)) continue;
        refuse(r, slice_str(known->name), "this is needed", NULL);
        return false;
    }
    return true;
}

static bool check_words(struct http_request *r, const struct route_field *f, struct slice text)
{
    if (!f->words || among(f->words, text)) return true;
    refuse(r, slice_str(f->name), "expected one of ", f->words);
    return false;
}

/* ---- arguments */

struct reading {
    struct http_request *r;
    const struct route_field *known;
};

/* NULL: no such value. */
static json_t *read_value(const struct route_field *f, struct slice v)
{
    uint64_t n;
    if (v.n > ROUTE_FIELD_MAX || memchr(v.n ? v.p : "", 0, v.n)) return NULL;
    if (f->type == ROUTE_NUMBER) return slice_to_u64(v, INT64_MAX, &n) ? json_integer((json_int_t)n) : NULL;
    if (f->type == ROUTE_BOOL) return slice_eq(v, SLICE("true")) ? json_true() : slice_eq(v, SLICE("false")) ? json_false() : NULL;
    return json_stringn(v.n ? v.p : "", v.n); /* NULL: not UTF-8 */
}

static enum MHD_Result on_argument(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_n, const char *value, size_t value_n)
{
    const struct reading *f = arg;
    struct http_request *r = f->r;
    struct slice name = slice_of(key, key_n), text = slice_of(value, value ? value_n : 0);
    const struct route_field *known = find(f->known, name);
    if (!known || json_object_getn(r->arguments, key, key_n)) {
        refuse(r, name, known ? "an argument is there twice" : "an argument is unknown", NULL);
        return MHD_NO;
    }
    json_t *v = read_value(known, text);
    if (!v) {
        refuse(r, name, "this is a value it cannot have", known->type == ROUTE_NUMBER ? "; a number is expected" : NULL);
        return MHD_NO;
    }
    json_object_set_new(r->arguments, known->name, v);
    return check_words(r, known, text) ? MHD_YES : MHD_NO;
}

bool http_check_arguments(struct http_request *r)
{
    struct reading f = { .r = r, .known = r->route->arguments };
    r->arguments = json_object();
    MHD_get_connection_values_n(r->connection, MHD_GET_ARGUMENT_KIND, on_argument, &f);
    return !r->status && check_required(r, f.known, r->arguments);
}

json_t *http_arguments(const struct http_request *r, const char *op)
{
    json_t *request = json_copy(r->arguments);
    json_object_set_new(request, "op", json_string(op));
    return request;
}

/* ---- bodies */

static bool are_texts(const json_t *v)
{
    const json_t *one;
    size_t i;
    json_array_foreach(v, i, one)
        if (!json_is_string(one)) return false;
    return json_is_array(v);
}

static bool has_type(const json_t *v, enum route_type type)
{
    switch (type) {
    case ROUTE_TEXT: return json_is_string(v);
    case ROUTE_NUMBER: return json_is_integer(v);
    case ROUTE_BOOL: return json_is_boolean(v);
    case ROUTE_TEXTS: return are_texts(v);
    case ROUTE_OBJECT: return json_is_object(v);
    case ROUTE_ARRAY: return json_is_array(v);
    default: return true;
    }
}

static bool check_members(struct http_request *r)
{
    static const char *const expected[] = {
        [ROUTE_TEXT] = "a text is expected",      [ROUTE_NUMBER] = "a whole number is expected", [ROUTE_BOOL] = "true or false is expected",
        [ROUTE_TEXTS] = "a list of texts is expected", [ROUTE_OBJECT] = "an object is expected", [ROUTE_ARRAY] = "a list is expected",
        [ROUTE_ANY] = "",
    };
    const char *name;
    const json_t *v;
    json_object_foreach(r->json, name, v) {
        const struct route_field *f = find(r->route->body, slice_str(name));
        if (!f || !has_type(v, f->type)) {
            refuse(r, slice_str(name), f ? expected[f->type] : "a member is unknown", NULL);
            return false;
        }
        if (json_is_string(v) && !check_words(r, f, slice_of(json_string_value(v), json_string_length(v)))) return false;
    }
    return check_required(r, r->route->body, r->json);
}

/* A value takes a hundred bytes of memory or more, and two of the body. */
static bool has_too_many_values(struct slice text)
{
    bool quoted = false;
    size_t n = 0;
    for (size_t i = 0; i < text.n && n <= VALUES_MAX; i++) {
        char c = text.p[i];
        if (c == '"') quoted = !quoted;
        else if (quoted) i += c == '\\';
        else n += c == ',' || c == '[' || c == '{';
    }
    return n > VALUES_MAX;
}

/* An empty body is as good as {}. */
bool http_check_body(struct http_request *r)
{
    json_error_t wrong;
    if (r->route->body_file) return true;
    struct slice text = r->body.n ? buf_slice(&r->body) : SLICE("{}");
    if (has_too_many_values(text)) {
        http_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body has too many values");
        return false;
    }
    r->json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &wrong);
    if (json_is_object(r->json)) return check_members(r);
    char where[60];
    snprintf(where, sizeof where, "see line %d, column %d", wrong.line, wrong.column); /* what stands there may be half a password */
    if (r->json) http_error(r, MHD_HTTP_BAD_REQUEST, "expected a JSON object as the body");
    else refuse(r, SLICE("the body is not JSON"), where, NULL);
    return false;
}
