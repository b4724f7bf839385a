/* SPDX-License-Identifier: Apache-2.0
 * One's own quarantine: what is held for the addresses of an account, and of that what digests would let its recipient release. The store
 * leaves out who else it is for; nothing here looks into a message. */
#include <microhttpd.h>
#include "admin/internal.h"

#define OWN_MS 15000

/* For whom, and of what kinds. */
static json_t *request_of(struct http_request *r)
{
    json_t *request = http_arguments(r, "quarantine-list");
    if (r->who.addresses) json_object_set(request, "own", r->who.addresses);
    else json_object_set_new(request, "own", json_array());
    if (!json_object_get(request, "state")) json_object_set_new(request, "state", json_string("held"));
    return request;
}

static void on_list(void *arg, json_t *answers, unsigned missing)
{
    json_t *answer = http_only_answer(arg, answers, "the store");
    if (answer) http_answer(arg, MHD_HTTP_OK, answer);
}

static void serve_list(struct http_request *r)
{
    ask_store(r->admin, request_of(r), OWN_MS, on_list, r);
}

static void on_show(void *arg, json_t *answers, unsigned missing)
{
    json_t *answer = http_only_answer(arg, answers, "the store"), *m = json_array_get(json_object_get(answer, "messages"), 0);
    if (m) http_answer(arg, MHD_HTTP_OK, json_pack("{s:O}", "message", m));
    else if (answer) http_error(arg, MHD_HTTP_NOT_FOUND, "there is no message with this id in the quarantine");
    json_decref(answer);
}

static void serve_show(struct http_request *r)
{
    json_t *request = request_of(r), *id = json_stringn(r->rest.p, r->rest.n);
    json_object_set_new(request, "id", id ? id : json_string(""));
    json_object_del(request, "state");
    ask_store(r->admin, request, OWN_MS, on_show, r);
}

/* ---- the table */

static const struct route_field arguments[] = {
    { "state", ROUTE_TEXT, false, "of the message, for you; held if it is not given", "held released deleted" },
    { "sender", ROUTE_TEXT, false, "\"<>\", \"@example.org\", or a part of the address", NULL },
    { "subject", ROUTE_TEXT, false, "a part of it", NULL },
    { "since", ROUTE_NUMBER, false, "ms since 1970", NULL },
    { "until", ROUTE_NUMBER, false, "ms since 1970", NULL },
    { "limit", ROUTE_NUMBER, false, "at most so many", NULL },
    { "before", ROUTE_TEXT, false, "where the last answer ended", NULL },
    { 0 },
};
static const struct route_field body[] = { { "ids", ROUTE_TEXTS, true, "these", NULL }, { 0 } };

#define DONE "matched: integer, done: array, failed: array"

const struct route routes_own[] = {
    { "GET", "/v1/own/quarantine", "what is held for your addresses", serve_list, RIGHT_OWN, .arguments = arguments,
      .answers = "messages: array, matched: integer, before?: string" },
    { "GET", "/v1/own/quarantine/*", "one of these by its id", serve_show, RIGHT_OWN, .answers = "message: object" },
    { "POST", "/v1/own/quarantine/release", "let these go to your addresses", quarantine_serve_own, RIGHT_OWN, .body = body, .answers = DONE },
    { "POST", "/v1/own/quarantine/delete", "remove these for your addresses", quarantine_serve_own, RIGHT_OWN, .body = body, .answers = DONE },
    { 0 },
};
