/* SPDX-License-Identifier: Apache-2.0
 * Routes about keys to sign with, and certificates. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/config.h"
#include "base/clock.h"

#define KEYS_MS 60000u      /* that what was found is good for */
#define RECORDS_MS 30000

static const char *text_of(const json_t *from, const char *name) { return json_string_value(json_object_get(from, name)); }

/* ---- GET /v1/keys */

static void on_keys(struct http_request *r, json_t *answer)
{
    struct admin *a = r->admin;
    if (json_integer_value(json_object_get(answer, "status")) == MHD_HTTP_OK) {
        json_object_del(answer, "status");
        json_decref(a->keys);
        a->keys = json_incref(answer);
        a->keys_at = clock_mono_ms();
    }
    config_answer(r, answer);
}

static void serve_keys(struct http_request *r)
{
    const struct admin *a = r->admin;
    if (a->keys && clock_mono_ms() - a->keys_at < KEYS_MS && !json_is_true(json_object_get(r->arguments, "fresh")))
        http_answer(r, MHD_HTTP_OK, json_incref(a->keys));
    else config_ask(r, json_pack("{s:s}", "op", "keys"), on_keys);
}

static void forget(struct admin *a)
{
    json_decref(a->keys);
    a->keys = NULL;
}

/* ---- POST /v1/keys/dkim */

/* {"key", "record", "apply"} of what a change answers. */
static void on_new(struct http_request *r, json_t *answer)
{
    json_t *key = json_object_get(answer, "key"), *status = json_object_get(answer, "status");
    forget(r->admin);
    if (key) {
        json_t *out = json_pack("{s:O, s:O, s:O, s:O}", "status", status, "key", key, "record", json_object_get(key, "record"), "revision",
                                json_object_get(answer, "revision"));
        json_object_del(answer, "key");
        json_object_del(answer, "status");
        json_object_set_new(out, "apply", answer);
        answer = out;
    }
    config_answer(r, answer);
}

static void serve_new(struct http_request *r)
{
    static const char *const names[] = { "domain", "selector", "type", "bits", NULL };
    json_t *request = config_change(r, "key-new");
    config_take(request, r->json, names);
    http_audit(r, text_of(r->json, "domain"), NULL);
    config_ask(r, request, on_new);
}

/* ---- what is published */

static bool is_host_of(const char *host, const char *selector)
{
    static const char mark[] = "._domainkey.";
    size_t n = strlen(selector);
    return !strncasecmp(host, selector, n) && !strncasecmp(host + n, mark, sizeof mark - 1);
}

/* "ok", "missing", "different", "unknown" of a key's record among those that a worker found. */
static const char *state_of(const json_t *found, const char *selector)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(found, "records"), i, one) {
        const char *id = text_of(one, "id"), *host = text_of(one, "host"), *state = text_of(one, "state");
        if (id && host && state && !strcmp(id, "dkim") && is_host_of(host, selector)) return state;
    }
    return "unknown";
}

static json_t *result_of(const json_t *one, const char *domain)
{
    const char *host = text_of(one, "host"), *state = text_of(one, "state"), *end = host ? strstr(host, "._domainkey.") : NULL;
    if (!end || !state) return NULL;
    bool matches = !strcmp(state, "ok");
    json_t *out = json_pack("{s:s, s:s%, s:s, s:b, s:b, s:s}", "domain", domain, "selector", host, (size_t)(end - host), "host", host, "published",
                            matches || !strcmp(state, "different"), "matches", matches, "state", state);
    json_t *found = json_object_get(one, "found");
    if (found) json_object_set(out, "found", found);
    if (!strcmp(state, "unknown")) json_object_set_new(out, "error", json_string("no answer from the DNS"));
    return out;
}

static void on_check(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *found = http_only_answer(r, answers, "a relay worker"), *results = json_array(), *one;
    const char *selector = text_of(r->json, "selector");
    size_t i;
    json_array_foreach(json_object_get(found, "records"), i, one) {
        const char *id = text_of(one, "id"), *host = text_of(one, "host");
        if (!id || strcmp(id, "dkim") != 0 || !host || (selector && !is_host_of(host, selector))) continue;
        json_t *result = result_of(one, text_of(r->json, "domain"));
        if (result) json_array_append_new(results, result);
    }
    if (found) http_answer(r, MHD_HTTP_OK, json_pack("{s:O}", "results", results));
    json_decref(results);
    json_decref(found);
}

static void ask_records(struct http_request *r, ask_cb *cb)
{
    ask_worker(r->admin, json_pack("{s:s, s:O, s:b}", "op", "records", "domain", json_object_get(r->json, "domain"), "fresh", 1), RECORDS_MS, cb, r);
}

static void serve_check(struct http_request *r) { ask_records(r, on_check); }

/* ---- POST /v1/keys/dkim/rotate: {"step": "prepared" | "waiting" | "switched" | "retire" | "retired"} */

/* r->parts: the plan, then what is told beside the result of a change. */
static void on_changed(struct http_request *r, json_t *answer)
{
    json_t *out = r->parts;
    int status = (int)json_integer_value(json_object_get(answer, "status"));
    r->parts = NULL;
    forget(r->admin);
    json_object_set(out, "status", json_object_get(answer, "status"));
    if (json_object_get(answer, "revision")) json_object_set(out, "revision", json_object_get(answer, "revision"));
    json_t *key = json_object_get(answer, "key");
    if (key) json_object_set(out, "key", key);
    if (key) json_object_set(out, "record", json_object_get(key, "record"));
    if (status != MHD_HTTP_OK) {
        json_decref(out);
        config_answer(r, answer);
        return;
    }
    json_object_del(answer, "key");
    json_object_del(answer, "status");
    json_object_set_new(out, "apply", answer);
    config_answer(r, out);
}

/* From here on r->parts is what is told. */
static void change(struct http_request *r, const char *step, json_t *key, json_t *request)
{
    json_t *told = json_pack("{s:s}", "step", step);
    if (key) json_object_set(told, "key", key);
    if (json_object_get(key, "record")) json_object_set(told, "record", json_object_get(key, "record"));
    json_object_set(request, "domain", json_object_get(r->json, "domain"));
    json_decref(r->parts);
    r->parts = told;
    config_ask(r, request, on_changed);
}

static void prepare(struct http_request *r, const json_t *current)
{
    json_t *request = config_change(r, "key-new");
    static const char *const names[] = { "type", NULL };
    config_take(request, current, names);
    if (json_integer_value(json_object_get(current, "bits")) > 2048) json_object_set(request, "bits", json_object_get(current, "bits"));
    change(r, "prepared", NULL, request);
}

static void switch_to(struct http_request *r, json_t *next, const json_t *current)
{
    json_t *request = config_change(r, "key-switch");
    json_object_set(request, "selector", json_object_get(next, "selector"));
    if (json_is_object(current)) json_object_set(request, "former", json_object_get(current, "selector"));
    change(r, "switched", next, request);
}

/* Those whose records are gone leave the configuration. */
static void retire(struct http_request *r, const json_t *old, const json_t *found)
{
    json_t *gone = json_array(), *stay = json_array(), *one;
    size_t i;
    json_array_foreach(old, i, one) {
        const char *selector = text_of(one, "selector");
        bool missing = selector && !strcmp(state_of(found, selector), "missing");
        json_array_append(missing ? gone : stay, missing ? json_object_get(one, "selector") : one);
    }
    if (json_array_size(gone)) {
        json_t *request = config_change(r, "key-retire");
        json_object_set(request, "selectors", gone);
        change(r, "retired", NULL, request);
    } else http_answer(r, MHD_HTTP_OK, json_pack("{s:s, s:O}", "step", "retire", "old", stay));
    json_decref(gone);
    json_decref(stay);
}

static void on_records(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *found = json_array_get(answers, 0), *next = json_object_get(r->parts, "next"), *current = json_object_get(r->parts, "current");
    const char *selector = text_of(next, "selector");
    if (!found || json_object_get(found, "error")) http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, NO_WORKER);
    else if (!selector) retire(r, json_object_get(r->parts, "old"), found);
    else if (!strcmp(state_of(found, selector), "ok")) switch_to(r, next, current);
    else
        http_answer(r, MHD_HTTP_OK, json_pack("{s:s, s:s, s:O, s:O*}", "step", "waiting", "state", state_of(found, selector), "key", next, "record",
                                              json_object_get(next, "record")));
    json_decref(answers);
}

static void on_plan(struct http_request *r, json_t *answer)
{
    if (json_integer_value(json_object_get(answer, "status")) != MHD_HTTP_OK) {
        config_answer(r, answer);
        return;
    }
    json_decref(r->parts);
    r->parts = answer;
    const json_t *current = json_object_get(answer, "current");
    bool asks = json_is_object(json_object_get(answer, "next")) || json_array_size(json_object_get(answer, "old"));
    if (asks) ask_records(r, on_records);
    else if (json_is_object(current)) prepare(r, current);
    else http_error(r, MHD_HTTP_NOT_FOUND, "the domain has no key: make one first");
}

static void serve_rotate(struct http_request *r)
{
    static const char *const names[] = { "domain", "selector", NULL };
    json_t *request = json_pack("{s:s}", "op", "key-plan");
    config_take(request, r->json, names);
    http_audit(r, text_of(r->json, "domain"), NULL);
    config_ask(r, request, on_plan);
}

/* ---- the table */

static const struct route_field no_fields[] = { { 0 } };
static const struct route_field keys_arguments[] = { { "fresh", ROUTE_BOOL, false, "do not take what was found within the last minute", NULL }, { 0 } };
static const struct route_field new_body[] = {
    { "domain", ROUTE_TEXT, true, "whose mail it is to sign", NULL },
    { "selector", ROUTE_TEXT, false, "its name; one with the date when it is not there", NULL },
    { "type", ROUTE_TEXT, false, "rsa when it is not there", "rsa ed25519" },
    { "bits", ROUTE_NUMBER, false, "of rsa, 1024 to 4096; 2048 when it is not there", NULL },
    { 0 },
};
static const struct route_field check_body[] = {
    { "domain", ROUTE_TEXT, true, "whose keys", NULL }, { "selector", ROUTE_TEXT, false, "only this one", NULL }, { 0 },
};
static const struct route_field rotate_body[] = {
    { "domain", ROUTE_TEXT, true, "whose key is to be changed for the next one", NULL },
    { "selector", ROUTE_TEXT, false, "instead: the key that is to sign, beside those that do", NULL },
    { 0 },
};

const struct route routes_keys[] = {
    { "GET", "/v1/keys", "keys to sign with, and the certificates of all options", serve_keys, RIGHT_CONFIG, keys_arguments, NULL,
      "dkim: array, certificates: array" },
    { "POST", "/v1/keys/dkim", "make a key; it signs when its record is published", serve_new, RIGHT_CONFIGURE, no_fields, new_body,
      "key: object, record: object, apply: object" },
    { "POST", "/v1/keys/dkim/check", "are the records published, and do they fit the keys", serve_check, RIGHT_CONFIG, no_fields, check_body,
      "results: array", .reads = true },
    { "POST", "/v1/keys/dkim/rotate", "the next step from one key to another", serve_rotate, RIGHT_CONFIGURE, no_fields, rotate_body,
      "step: string, key?: object, record?: object, old?: array, apply?: object" },
    { 0 },
};
