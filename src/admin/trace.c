/* SPDX-License-Identifier: Apache-2.0
 * GET /v1/trace: the history, asked of the store. The store keeps the traces of checks as bytes; here they become readable, as the folders
 * above know what is in them. */
#include <microhttpd.h>
#include "admin/internal.h"
#include "base/base64.h"
#include "base/json.h"
#include "policy/trace.h"

#define TRACE_MS 15000

static const struct {
    const char *name;
    bool number;
} arguments[] = {
    { "id", false },    { "sender", false }, { "recipient", false }, { "address", false },    { "client", false },  { "since", true },
    { "until", true },  { "outcome", false }, { "message_id", false }, { "subject", false },  { "limit", true },    { "before", false },
};

struct reading {
    json_t *request;
    bool bad;
};

static bool read_argument(void *arg, const char *name, const char *value)
{
    struct reading *f = arg;
    json_t *v = NULL;
    uint64_t n;
    for (size_t i = 0; i < countof(arguments) && !v; i++) {
        if (strcmp(name, arguments[i].name) != 0) continue;
        if (!arguments[i].number) v = json_string(value);
        else if (slice_to_u64(slice_str(value), INT64_MAX, &n)) v = json_integer((json_int_t)n);
    }
    if (v) json_object_set_new(f->request, name, v);
    else f->bad = true; /* an unknown one, no number, or not UTF-8 */
    return true;
}

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
    struct reading f = { .request = json_pack("{s:s}", "op", "trace") };
    http_each_argument(r, read_argument, &f);
    if (!f.bad) {
        ask_store(r->admin, f.request, TRACE_MS, on_found, r);
        return;
    }
    json_decref(f.request);
    http_error(r, MHD_HTTP_BAD_REQUEST, "an argument is unknown or has a value it cannot have");
}
