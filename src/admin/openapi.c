/* SPDX-License-Identifier: Apache-2.0
 * The API's description of itself (OpenAPI 3.1), made from the tables that requests are held against; and the routes about the API. */
#include "admin/openapi.h"
#include <microhttpd.h>
#include "admin/events.h"
#include "admin/internal.h"

/* ---- fields */

static const char *const json_types[] = {
    [ROUTE_TEXT] = "string", [ROUTE_NUMBER] = "integer", [ROUTE_BOOL] = "boolean", [ROUTE_TEXTS] = "array", [ROUTE_OBJECT] = "object",
    [ROUTE_ARRAY] = "array", [ROUTE_ANY] = NULL,
};

static json_t *words_of(const char *words)
{
    json_t *list = json_array();
    struct slice all = slice_str(words), one;
    for (bool more = true; more;) {
        more = slice_cut(&all, ' ', &one);
        if (one.n) json_array_append_new(list, json_stringn(one.p, one.n));
    }
    return list;
}

static json_t *schema_of(const struct route_field *f)
{
    json_t *s = json_object();
    if (json_types[f->type]) json_object_set_new(s, "type", json_string(json_types[f->type]));
    if (f->type == ROUTE_NUMBER) json_object_set_new(s, "format", json_string("int64"));
    if (f->type == ROUTE_TEXTS) json_object_set_new(s, "items", json_pack("{s:s}", "type", "string"));
    if (f->words && f->type == ROUTE_TEXT) json_object_set_new(s, "enum", words_of(f->words));
    return s;
}

static json_t *body_schema(const struct route_field *fields)
{
    json_t *properties = json_object(), *required = json_array();
    for (const struct route_field *f = fields; f && f->name; f++) {
        json_t *s = schema_of(f);
        if (f->help) json_object_set_new(s, "description", json_string(f->help));
        json_object_set_new(properties, f->name, s);
        if (f->required) json_array_append_new(required, json_string(f->name));
    }
    json_t *schema = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
    if (json_array_size(required)) json_object_set(schema, "required", required);
    json_decref(required);
    return schema;
}

/* ---- answers */

/* "messages: array, total?: integer" */
static json_t *answer_schema(const char *text)
{
    json_t *properties = json_object(), *required = json_array();
    struct slice all = slice_str(text), one, name;
    for (bool more = text != NULL; more;) {
        more = slice_cut(&all, ',', &one);
        one = slice_trim(one);
        if (!slice_cut(&one, ':', &name)) continue;
        bool may_lack = slice_iends(name, SLICE("?"));
        if (may_lack) name.n--;
        struct slice type = slice_trim(one);
        if (slice_eq(type, SLICE("text"))) type = SLICE("string");
        bool known = type.n && slice_find(type, ' ') < 0;
        json_object_setn_new(properties, name.p, name.n, known ? json_pack("{s:s%}", "type", type.p, type.n) : json_object());
        if (!may_lack) json_array_append_new(required, json_stringn(name.p, name.n));
    }
    json_t *schema = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
    if (json_array_size(required)) json_object_set(schema, "required", required);
    json_decref(required);
    return schema;
}

static json_t *content(const char *type, json_t *schema)
{
    return json_pack("{s:{s:o}}", type, "schema", schema);
}

static void add_error(json_t *responses, const char *status, const char *what)
{
    json_object_set_new(responses, status, json_pack("{s:s, s:o}", "description", what, "content",
                                                     content("application/json", json_pack("{s:s}", "$ref", "#/components/schemas/Error"))));
}

static json_t *responses_of(const struct route *t)
{
    json_t *all = json_object();
    bool other = t->answers && strchr(t->answers, '/') && !strchr(t->answers, ':'); /* a media type */
    json_t *body = other ? content(t->answers, json_pack("{s:s}", "type", "string")) : content("application/json", answer_schema(t->answers));
    json_object_set_new(all, "200", json_pack("{s:s, s:o}", "description", "done", "content", body));
    add_error(all, "400", "an argument or the body is not right: the text says which");
    if (t->right) add_error(all, "401", "nobody has logged in");
    if (t->right) add_error(all, "403", "the role or the token does not have this right, or the request comes from another site");
    if (strchr(t->path, '*')) add_error(all, "404", "there is no such thing");
    if (t->body) add_error(all, "409", "it cannot be done as things are");
    if (t->body || t->body_file) add_error(all, "413", "the body is too large");
    add_error(all, "503", "a process does not answer");
    return all;
}

/* ---- one operation */

static json_t *parameters_of(const struct route *t)
{
    json_t *list = json_array();
    if (strchr(t->path, '*'))
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", "id", "in", "path", "required", 1, "schema", "type", "string"));
    for (const struct route_field *f = t->arguments; f && f->name; f++) {
        json_t *p = json_pack("{s:s, s:s, s:b, s:o}", "name", f->name, "in", "query", "required", f->required, "schema", schema_of(f));
        if (f->help) json_object_set_new(p, "description", json_string(f->help));
        json_array_append_new(list, p);
    }
    return list;
}

static json_t *request_body(const struct route *t)
{
    if (t->body_file)
        return json_pack("{s:b, s:o}", "required", 1, "content", content("application/octet-stream", json_pack("{s:s}", "type", "string")));
    bool required = false;
    for (const struct route_field *f = t->body; f && f->name; f++) required |= f->required;
    return json_pack("{s:b, s:o}", "required", required, "content", content("application/json", body_schema(t->body)));
}

/* "postQuarantineRelease" */
static json_t *operation_id(const struct route *t)
{
    struct buf b = { 0 };
    bool upper = false;
    for (const char *p = t->method; *p; p++) buf_add_char(&b, ascii_lower(*p));
    for (const char *p = !strncmp(t->path, "/v1", 3) ? t->path + 3 : t->path; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
        if (letter) buf_add_char(&b, upper && *p >= 'a' ? (char)(*p - 32) : *p);
        else if (*p == '*') buf_add_str(&b, "One");
        upper = !letter;
    }
    json_t *id = json_string(buf_cstr(&b));
    buf_deinit(&b);
    return id;
}

static json_t *operation_of(const struct route *t)
{
    const char *right = t->right ? right_name((enum right)t->right) : "open";
    const char *people = t->no_token ? " Not for tokens." : "";
    json_t *o = json_pack("{s:s, s:s++, s:s, s:o, s:o, s:o}", "summary", t->help, "description", "Needs the right: ", right, people, "x-right", right,
                          "operationId", operation_id(t), "parameters", parameters_of(t), "responses", responses_of(t));
    if (t->body || t->body_file) json_object_set_new(o, "requestBody", request_body(t));
    json_t *security = t->right ? json_pack("[{s:[]}]", "session") : json_array();
    if (t->right && !t->no_token) json_array_append_new(security, json_pack("{s:[]}", "token"));
    json_object_set_new(o, "security", security);
    return o;
}

/* ---- the document */

static void add_route(json_t *paths, const struct route *t)
{
    struct buf path = { 0 }, method = { 0 };
    for (const char *p = t->path; *p; p++) {
        if (*p == '*') buf_add_str(&path, "{id}");
        else buf_add_char(&path, *p);
    }
    for (const char *p = t->method; *p; p++) buf_add_char(&method, ascii_lower(*p));
    json_t *item = json_object_get(paths, buf_cstr(&path));
    if (!item) json_object_set_new(paths, buf_cstr(&path), item = json_object());
    json_object_set_new(item, buf_cstr(&method), operation_of(t));
    buf_deinit(&path);
    buf_deinit(&method);
}

json_t *openapi_document(void)
{
    json_t *paths = json_object();
    for (unsigned i = 0; i < route_table_n; i++)
        for (const struct route *t = route_tables[i]; t->path; t++) add_route(paths, t);
    json_t *schemes = json_pack("{s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:s}}", "session", "type", "apiKey", "in", "cookie", "name", "__Host-postern",
                                "description", "POST /v1/session; all but GET and HEAD need the header X-Postern-CSRF, too",
                                "token", "type", "http", "scheme", "bearer", "description", "POST /v1/account/tokens");
    json_t *error = json_pack("{s:s, s:{s:{s:s}}, s:[s]}", "type", "object", "properties", "error", "type", "string", "required", "error");
    return json_pack("{s:s, s:{s:s, s:s, s:s, s:{s:s}}, s:o, s:{s:o, s:{s:o}}}", "openapi", "3.1.0", "info", "title", "Postern", "version",
                     POSTERN_VERSION, "description", "Times are ms since 1970, durations ms, sizes bytes. Unknown arguments and members are refused.",
                     "license", "name", "Apache-2.0", "paths", paths, "components", "securitySchemes", schemes, "schemas", "Error", error);
}

/* ---- routes */

static void serve_openapi(struct http_request *r)
{
    http_answer(r, MHD_HTTP_OK, openapi_document());
}

static void serve_health(struct http_request *r)
{
    http_answer(r, MHD_HTTP_OK, json_pack("{s:b}", "ok", 1));
}

const struct route routes_web[] = {
    { "GET", "/v1/health", "whether the admin process answers", serve_health, 0, .answers = "ok: boolean" },
    { "GET", "/v1/openapi.json", "this document", serve_openapi, 0, .answers = "openapi: string, info: object, paths: object, components: object" },
    { "GET", "/v1/events", "what happens, as server-sent events: status every two seconds, changed when something else is to be asked again",
      events_serve, RIGHT_STATUS, .answers = "text/event-stream" },
    { 0 },
};
