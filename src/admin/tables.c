/* SPDX-License-Identifier: Apache-2.0
 * /v1/tables: asked of the youngest worker, which answers from what its own look-ups use. */
#include <microhttpd.h>
#include "admin/internal.h"
#include "base/json.h"

#define TABLES_MS 10000

static const struct http_argument of_entries[] = { { .name = "name" }, { .name = "use" }, { "after", .number = true }, { "limit", .number = true } };
static const struct http_argument of_query[] = { { .name = "name" }, { .name = "use" }, { .name = "key" } };

static void on_answer(void *arg, json_t *answers, unsigned missing)
{
    json_t *answer = json_incref(json_array_get(answers, 0));
    const char *error = json_string_value(json_object_get(answer, "error"));
    json_decref(answers);
    if (!answer) http_error(arg, MHD_HTTP_SERVICE_UNAVAILABLE, "no relay worker has answered; the log tells more");
    else if (error) http_error(arg, MHD_HTTP_NOT_FOUND, error);
    else http_answer(arg, MHD_HTTP_OK, json_incref(answer));
    json_decref(answer);
}

/* Takes request; NULL: it is answered already. */
static void ask(struct http_request *r, json_t *request)
{
    if (request) ask_worker(r->admin, request, TABLES_MS, on_answer, r);
}

void tables_serve_list(struct http_request *r) { ask(r, http_arguments(r, "table-list", NULL, 0)); }
void tables_serve_show(struct http_request *r) { ask(r, http_arguments(r, "table-show", of_entries, countof(of_entries))); }
void tables_serve_query(struct http_request *r) { ask(r, http_arguments(r, "table-query", of_query, countof(of_query))); }

void tables_serve_refresh(struct http_request *r)
{
    json_t *body = json_loadb(r->body.n ? r->body.p : "{}", r->body.n ? r->body.n : 2, JSON_REJECT_DUPLICATES, NULL);
    json_t *name = json_object_get(body, "name");
    bool fine = json_is_object(body) && json_object_size(body) == (name ? 1 : 0) && (!name || json_is_string(name));
    if (fine && name) ask(r, json_pack("{s:s, s:O}", "op", "table-refresh", "name", name));
    else if (fine) ask(r, json_pack("{s:s}", "op", "table-refresh"));
    else http_error(r, MHD_HTTP_BAD_REQUEST, "expected a JSON object, with name where only one table is meant");
    json_decref(body);
}
