/* SPDX-License-Identifier: Apache-2.0
 * GET /v1/trace: the history, asked of the store. The store keeps the traces of checks as bytes; here they become readable, as the folders
 * above know what is in them. */
#include <microhttpd.h>
#include "admin/internal.h"
#include "base/base64.h"
#include "base/json.h"
#include "policy/trace.h"

#define TRACE_MS 15000

static const struct http_argument arguments[] = {
    { .name = "id" },      { .name = "sender" },     { .name = "recipient" }, { .name = "address" },
    { .name = "client" },  { .name = "outcome" },    { .name = "message_id" }, { .name = "subject" },
    { .name = "before" },  { "since", .number = true }, { "until", .number = true }, { "limit", .number = true },
};

static void decode(json_t *o)
{
    struct buf bytes = { 0 };
    struct slice text = json_text(o, "trace");
    if (text.n && base64_decode(text, &bytes)) json_object_set_new(o, "trace", trace_json(buf_slice(&bytes)));
    else json_object_del(o, "trace");
    buf_deinit(&bytes);
}

static void on_found(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *answer = json_incref(json_array_get(answers, 0)), *m, *e;
    const char *error = json_string_value(json_object_get(answer, "error"));
    size_t i, k;
    json_decref(answers);
    json_array_foreach(json_object_get(answer, "messages"), i, m) {
        decode(m);
        json_array_foreach(json_object_get(m, "events"), k, e) decode(e);
    }
    if (!answer) http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the store is not there or does not answer; the log tells more");
    else if (error) http_error(r, MHD_HTTP_BAD_REQUEST, error);
    else http_answer(r, MHD_HTTP_OK, json_incref(answer));
    json_decref(answer);
}

void trace_serve(struct http_request *r)
{
    json_t *request = http_arguments(r, "trace", arguments, countof(arguments));
    if (request) ask_store(r->admin, request, TRACE_MS, on_found, r);
}
