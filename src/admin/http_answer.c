/* SPDX-License-Identifier: Apache-2.0
 * Answers: JSON, text, files, and the headers that all of them have. */
#include <stdlib.h>
#include <unistd.h>
#include "admin/auth.h"
#include "admin/http.h"
#include "admin/web.h"
#include "base/io.h"

#define NAMED_MAX 5 /* ids in an entry of the audit log */

/* ---- an answer is known */

static void replace(char **text, const char *with)
{
    if (!with) return;
    free(*text);
    *text = mem_strdup(with);
}

void http_audit(struct http_request *r, const char *target, const char *detail)
{
    replace(&r->target, target);
    replace(&r->detail, detail);
}

/* The first ones, and how many more. */
static void add_texts(struct buf *out, const json_t *all)
{
    size_t i, n = json_array_size(all);
    for (i = 0; i < n && i < NAMED_MAX; i++) {
        if (i) buf_add_char(out, ' ');
        buf_add_printable(out, slice_str(json_string_value(json_array_get(all, i))), 40);
    }
    if (i < n) buf_addf(out, " and %zu more", n - i);
}

void http_audit_meant(struct http_request *r)
{
    struct buf target = { 0 };
    const char *key;
    const json_t *v;
    add_texts(&target, json_object_get(r->json, "ids"));
    if (json_is_true(json_object_get(r->json, "all"))) buf_add_str(&target, "all");
    json_object_foreach(r->json, key, v) {
        if (strcmp(key, "ids") == 0 || strcmp(key, "all") == 0) continue;
        buf_addf(&target, "%s%s=", target.n ? " " : "", key);
        if (json_is_string(v)) buf_add_printable(&target, slice_str(json_string_value(v)), 100);
        else if (json_is_array(v)) add_texts(&target, v);
        else if (json_is_boolean(v)) buf_add_str(&target, json_is_true(v) ? "true" : "false");
        else buf_addf(&target, "%lld", (long long)json_integer_value(v));
    }
    http_audit(r, buf_cstr(&target), NULL);
    buf_deinit(&target);
}

void http_cookie(struct http_request *r, const char *value)
{
    replace(&r->cookie, value);
}

void http_answer(struct http_request *r, int status, json_t *answer)
{
    r->status = status;
    r->answer = answer ? answer : json_object();
    if (r->route) {
        const char *error = json_string_value(json_object_get(r->answer, "error"));
        struct buf both = { 0 };
        if (error && r->detail) buf_addf(&both, "%s: %s", r->detail, error);
        audit_request(r->admin, &r->who, r->route, status, r->tried, r->target, both.n ? buf_cstr(&both) : error ? error : r->detail);
        buf_deinit(&both);
    }
    if (!r->waiting) return;
    r->waiting = false;
    http_resume(r->front, r->connection);
}

void http_error(struct http_request *r, int status, const char *text)
{
    http_answer(r, status, json_pack("{s:s}", "error", text));
}

void http_answer_response(struct http_request *r, int status, struct MHD_Response *response)
{
    r->response = response;
    http_answer(r, status, NULL);
}

void http_answer_text(struct http_request *r, int status, const char *type, struct slice text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(text.n, (void *)(uintptr_t)(text.n ? text.p : ""), MHD_RESPMEM_MUST_COPY);
    if (response) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    http_answer_response(r, status, response);
}

/* ---- what somebody else has answered */

json_t *http_only_answer(struct http_request *r, json_t *answers, const char *who)
{
    json_t *answer = json_incref(json_array_get(answers, 0));
    const char *error = json_string_value(json_object_get(answer, "error"));
    char text[200];
    json_decref(answers);
    if (answer && !error) return answer;
    snprintf(text, sizeof text, "%s is not there or does not answer; the log tells more", who);
    if (!answer) http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, text);
    else http_error(r, json_is_true(json_object_get(answer, "missing")) ? MHD_HTTP_NOT_FOUND : MHD_HTTP_BAD_REQUEST, error);
    json_decref(answer);
    return NULL;
}

/* ---- files as answers */

struct http_file {
    struct buf before;
    int fd;
    uint64_t at, n;
};

static ssize_t read_download(void *arg, uint64_t at, char *to, size_t max)
{
    const struct http_file *f = arg;
    if (at < f->before.n) {
        struct slice s = slice_sub(buf_slice(&f->before), (size_t)at, (size_t)at + max);
        memcpy(to, s.p, s.n);
        return (ssize_t)s.n;
    }
    at -= f->before.n;
    if (at >= f->n) return MHD_CONTENT_READER_END_OF_STREAM;
    size_t k = io_read_at(f->fd, to, f->n - at < max ? (size_t)(f->n - at) : max, f->at + at);
    return k ? (ssize_t)k : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_download(void *arg)
{
    struct http_file *f = arg;
    close(f->fd);
    buf_deinit(&f->before);
    free(f);
}

void http_answer_file(struct http_request *r, struct slice before, int fd, uint64_t at, uint64_t n)
{
    r->download = mem_new(struct http_file);
    *r->download = (struct http_file){ .fd = fd, .at = at, .n = n };
    buf_add(&r->download->before, before);
    http_answer(r, MHD_HTTP_OK, NULL);
}

void http_free_answer(struct http_request *r)
{
    json_decref(r->answer);
    if (r->download) free_download(r->download);
    if (r->response) MHD_destroy_response(r->response);
    if (r->cookie) mem_wipe(r->cookie, strlen(r->cookie));
    free(r->cookie);
    free(r->target);
    free(r->detail);
}

/* ---- what libmicrohttpd gets */

static struct MHD_Response *file_response(struct http_request *r)
{
    struct http_file *f = r->download;
    struct MHD_Response *response = MHD_create_response_from_callback(f->before.n + f->n, 65536, read_download, f, free_download);
    if (!response) return NULL;
    r->download = NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/octet-stream"); /* nothing that anybody would open by itself */
    return response;
}

static struct MHD_Response *json_response(const struct http_request *r)
{
    char *text = json_dumps(r->answer, JSON_COMPACT);
    if (!text) return NULL;
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    else free(text);
    return response;
}

/* RFC 9110 §15.5.6 */
static void add_allow(const struct http_request *r, struct MHD_Response *response)
{
    char methods[80];
    api_route_methods(slice_str(r->path), methods, sizeof methods);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, methods);
}

enum MHD_Result http_respond(struct http_request *r)
{
    struct MHD_Response *response = r->response ? r->response : r->download ? file_response(r) : json_response(r);
    r->response = NULL;
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (!MHD_get_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (r->web) web_headers(r, response);
    if (r->cookie) MHD_add_response_header(response, MHD_HTTP_HEADER_SET_COOKIE, r->cookie);
    if (r->status == MHD_HTTP_METHOD_NOT_ALLOWED) add_allow(r, response);
    enum MHD_Result rc = MHD_queue_response(r->connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return rc;
}
