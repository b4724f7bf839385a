/* SPDX-License-Identifier: Apache-2.0
 * /v1/tables: asked of the youngest worker, which answers from what its own look-ups use. */
#include <microhttpd.h>
#include "admin/internal.h"
#include "base/json.h"

#define TABLES_MS 10000

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

/* Takes request. */
static void ask(struct http_request *r, json_t *request)
{
    ask_worker(r->admin, request, TABLES_MS, on_answer, r);
}

static void serve_list(struct http_request *r) { ask(r, http_arguments(r, "table-list")); }
static void serve_show(struct http_request *r) { ask(r, http_arguments(r, "table-show")); }
static void serve_query(struct http_request *r) { ask(r, http_arguments(r, "table-query")); }

static void serve_refresh(struct http_request *r)
{
    json_t *name = json_object_get(r->json, "name");
    http_audit(r, json_string_value(name), NULL);
    if (name) ask(r, json_pack("{s:s, s:O}", "op", "table-refresh", "name", name));
    else ask(r, json_pack("{s:s}", "op", "table-refresh"));
}

/* ---- the table of routes */

#define NAME { "name", ROUTE_TEXT, false, "of the table", NULL }
#define USE { "use", ROUTE_TEXT, false, "what it is used as, where it is several things", NULL }

static const struct route_field show_arguments[] = {
    NAME, USE, { "after", ROUTE_NUMBER, false, "so many are passed over", NULL }, { "limit", ROUTE_NUMBER, false, "at most so many", NULL }, { 0 },
};
static const struct route_field query_arguments[] = { NAME, USE, { "key", ROUTE_TEXT, false, "what is looked up", NULL }, { 0 } };
static const struct route_field refresh_body[] = { { "name", ROUTE_TEXT, false, "only this one", NULL }, { 0 } };

const struct route routes_tables[] = {
    { "GET", "/v1/tables", "tables that options use, and how their sources are", serve_list, RIGHT_CONFIG, .answers = "tables: array" },
    { "GET", "/v1/tables/entries", "what is in one", serve_show, RIGHT_CONFIG, .arguments = show_arguments, .answers = "entries: array" },
    { "GET", "/v1/tables/query", "what a look-up in one gives", serve_query, RIGHT_CONFIG, .arguments = query_arguments },
    { "POST", "/v1/tables/refresh", "read one, or all, now", serve_refresh, RIGHT_CONFIGURE, .body = refresh_body },
    { 0 },
};
