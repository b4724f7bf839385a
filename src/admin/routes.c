/* SPDX-License-Identifier: Apache-2.0
 * What the control socket offers: the table of routes and what serves them. */
#include <microhttpd.h>
#include <stdlib.h>
#include "admin/internal.h"

#define STATUS_MS 5000
#define STORE_MS 1000 /* its figures may be missing */
#define QUEUE_MS 30000
#define RELOAD_MS 90000
#define EXPLAIN_MS 60000

/* ---- GET /v1/status */

static void on_status_store(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *all = r->parts;
    if (json_array_size(answers)) json_object_set(all, "store", json_array_get(answers, 0));
    json_decref(answers);
    r->parts = NULL;
    http_answer(r, MHD_HTTP_OK, all);
}

static void on_status_workers(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_object_set_new(r->parts, "figures", answers);
    json_object_set_new(r->parts, "missing", json_integer(missing));
    ask_store(r->admin, json_pack("{s:s}", "op", "figures"), STORE_MS, on_status_store, r);
}

static void on_status_master(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    r->parts = json_incref(json_array_get(answers, 0));
    json_decref(answers);
    if (!r->parts) r->parts = json_object();
    ask_workers(r->admin, json_pack("{s:s}", "op", "status"), STATUS_MS, on_status_workers, r);
}

static void serve_status(struct http_request *r)
{
    ask_master(r->admin, "status", STATUS_MS, on_status_master, r);
}

/* ---- POST /v1/reload */

static void on_reload(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *answer = json_incref(json_array_get(answers, 0));
    json_decref(answers);
    if (answer) http_answer(r, json_is_true(json_object_get(answer, "ok")) ? MHD_HTTP_OK : MHD_HTTP_CONFLICT, answer);
    else http_error(r, MHD_HTTP_GATEWAY_TIMEOUT, "the master has not answered; the log tells more");
}

static void serve_reload(struct http_request *r)
{
    ask_master(r->admin, "reload", RELOAD_MS, on_reload, r);
}

/* ---- POST /v1/tls-report */

static void on_tls_report(void *arg, json_t *answers, unsigned missing)
{
    const json_t *answer = json_array_get(answers, 0);
    bool wanted = !answer || json_is_true(json_object_get(answer, "wanted"));
    json_decref(answers);
    http_answer(arg, MHD_HTTP_OK, json_pack("{s:b, s:i}", "wanted", wanted, "missing", (int)missing));
}

static void serve_tls_report(struct http_request *r)
{
    ask_workers(r->admin, json_pack("{s:s}", "op", "tls-report"), STATUS_MS, on_tls_report, r);
}

/* ---- POST /v1/explain */

static void on_explained(void *arg, json_t *answers, unsigned missing)
{
    json_t *answer = json_incref(json_array_get(answers, 0));
    const char *error = json_string_value(json_object_get(answer, "error"));
    json_decref(answers);
    if (!answer) http_error(arg, MHD_HTTP_SERVICE_UNAVAILABLE, "no relay worker has answered; the log tells more");
    else if (error) http_error(arg, MHD_HTTP_BAD_REQUEST, error);
    else http_answer(arg, MHD_HTTP_OK, json_incref(answer));
    json_decref(answer);
}

static void serve_explain(struct http_request *r)
{
    json_t *body = json_loadb(r->body.p ? r->body.p : "", r->body.n, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(body)) ask_worker(r->admin, json_pack("{s:s, s:O}", "op", "explain", "mail", body), EXPLAIN_MS, on_explained, r);
    else http_error(r, MHD_HTTP_BAD_REQUEST, "expected a JSON object with client, from, to, and perhaps helo and account");
    json_decref(body);
}

/* ---- the queue: filters */

static const struct http_argument filters[] = {
    { "sender", false, true },    { "recipient", false, true }, { "destination", false, true },
    { "older_than", true, true }, { "reason", false, true },    { "state", false, true },
    { "limit", true, false },     { "after", false, false },    { "sort", false, false },
};

/* ---- the queue: putting answers together */

struct sort_key {
    const char *name, *field;
    bool number, descending;
};
static const struct sort_key sort_keys[] = {
    { "arrival", "arrival", true, false },
    { "-arrival", "arrival", true, true },
    { "next", "next_try", true, false },
    { "-next", "next_try", true, true },
    { "size", "size", true, false },
    { "-size", "size", true, true },
    { "sender", "sender", false, false },
    { "-sender", "sender", false, true },
    { "id", "id", false, false },
    { "-id", "id", false, true },
    { "attempts", "attempts", true, false },
    { "-attempts", "attempts", true, true },
};

static const struct sort_key *find_sort(const char *name)
{
    for (size_t i = 0; i < countof(sort_keys); i++)
        if (!strcmp(sort_keys[i].name, name)) return &sort_keys[i];
    return NULL;
}

struct sorted {
    json_t *message;
    const struct sort_key *key;
};

static int compare_messages(const void *pa, const void *pb)
{
    const struct sorted *a = pa, *b = pb;
    const json_t *x = json_object_get(a->message, a->key->field), *y = json_object_get(b->message, b->key->field);
    int c;
    if (a->key->number) {
        json_int_t i = json_integer_value(x), j = json_integer_value(y);
        c = (i > j) - (i < j);
    } else {
        const char *i = json_string_value(x), *j = json_string_value(y); /* NULL: not known */
        c = strcasecmp(i ? i : "", j ? j : ""); /* as the workers sort */
    }
    if (!c) /* ids of one length in ASCII order: as the workers do */
        c = strcmp(json_string_value(json_object_get(a->message, "id")), json_string_value(json_object_get(b->message, "id")));
    return a->key->descending ? -c : c;
}

/* Sorts, and keeps the first `limit`. */
static json_t *sort_messages(json_t *all, const char *sort, size_t limit)
{
    size_t n = json_array_size(all), i;
    const struct sort_key *key = find_sort(sort);
    struct sorted *list = mem_zalloc((n + 1) * sizeof *list);
    json_t *out = json_array(), *m;
    json_array_foreach(all, i, m) list[i] = (struct sorted){ m, key };
    if (key && n) qsort(list, n, sizeof *list, compare_messages);
    for (i = 0; i < n && i < limit; i++) json_array_append(out, list[i].message);
    free(list);
    json_decref(all);
    return out;
}

/* The sums of the numbers, the messages of all, the first error. */
static json_t *merge(json_t *answers, const char *sort, size_t limit)
{
    json_t *all = json_object(), *messages = json_array(), *answer, *v;
    const char *name;
    size_t i;
    json_array_foreach(answers, i, answer) {
        json_object_foreach(answer, name, v) {
            if (json_is_array(v) && !strcmp(name, "messages")) json_array_extend(messages, v);
            else if (json_is_integer(v))
                json_object_set_new(
                    all, name, json_integer(json_integer_value(v) + json_integer_value(json_object_get(all, name))));
            else if (!json_object_get(all, name)) json_object_set(all, name, v);
        }
    }
    json_object_set_new(all, "messages", sort_messages(messages, sort, limit));
    json_decref(answers);
    return all;
}

static void on_queue(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    const char *sort = json_string_value(json_object_get(r->parts, "sort"));
    json_int_t limit = json_integer_value(json_object_get(r->parts, "limit"));
    json_t *all = merge(answers, sort ? sort : "arrival", limit > 0 ? (size_t)limit : ADMIN_LIST_MAX);
    const char *error = json_string_value(json_object_get(all, "error"));
    bool show = r->rest.n != 0;
    if (missing) json_object_set_new(all, "missing", json_integer(missing));
    if (error) {
        http_error(r, MHD_HTTP_BAD_REQUEST, error);
    } else if (show && !json_array_size(json_object_get(all, "messages"))) {
        http_error(r, MHD_HTTP_NOT_FOUND, "there is no message with this id in the queue");
    } else {
        http_answer(r, MHD_HTTP_OK, json_incref(all));
    }
    json_decref(all);
}

/* Takes request. */
static void ask_queue(struct http_request *r, json_t *request)
{
    r->parts = json_incref(request); /* sort and limit are looked at again when the answers come */
    ask_workers(r->admin, request, QUEUE_MS, on_queue, r);
}

/* ---- GET /v1/queue, GET /v1/queue/ID */

static void serve_list(struct http_request *r)
{
    json_t *request = http_arguments(r, "list", filters, countof(filters));
    if (!request) return;
    const char *sort = json_string_value(json_object_get(request, "sort"));
    const json_t *limit = json_object_get(request, "limit");
    if (sort && !find_sort(sort)) {
        json_decref(request);
        http_bad_argument(r);
        return;
    }
    if (!limit || json_integer_value(limit) > ADMIN_LIST_MAX) json_object_set_new(request, "limit", json_integer(ADMIN_LIST_MAX));
    ask_queue(r, request);
}

static void serve_show(struct http_request *r)
{
    json_t *request = json_pack("{s:s, s:[s%]}", "op", "show", "ids", r->rest.p, r->rest.n);
    if (request) ask_queue(r, request);
    else http_error(r, MHD_HTTP_BAD_REQUEST, "that is not an id");
}

/* ---- POST /v1/queue/... */

/* Keeps only what queue_control knows, of the right types; false when something else is there, or nothing says which
 * messages are meant: {"all": true} must be said. */
static bool check_selection(json_t *body, json_t *request)
{
    const char *name;
    json_t *v;
    bool selected = false;
    json_object_foreach(body, name, v) {
        size_t i = 0;
        while (i < countof(filters) && strcmp(name, filters[i].name) != 0) i++;
        if (!strcmp(name, "ids")) {
            if (!json_is_array(v) || !json_array_size(v)) return false;
            selected = true;
        } else if (!strcmp(name, "all")) {
            if (!json_is_true(v)) return false;
            selected = true;
            continue;
        } else if (i == countof(filters) || (filters[i].number ? !json_is_integer(v) : !json_is_string(v))) {
            return false;
        } else {
            selected |= filters[i].selects;
        }
        json_object_set(request, name, v);
    }
    return selected;
}

static void serve_change(struct http_request *r)
{
    json_t *body = json_loadb(r->body.p ? r->body.p : "", r->body.n, JSON_REJECT_DUPLICATES, NULL);
    const char *op = strrchr(r->route->path, '/') + 1;
    json_t *request = json_pack("{s:s}", "op", op);
    bool fine = json_is_object(body) && check_selection(body, request);
    json_decref(body);
    if (fine) {
        ask_queue(r, request);
        return;
    }
    json_decref(request);
    http_error(r, MHD_HTTP_BAD_REQUEST, "expected a JSON object with ids, filters, or \"all\": true");
}

/* ---- the table */

static const struct route routes[] = {
    { "GET", "/v1/status", serve_status, "the master, its workers and their figures" },
    { "POST", "/v1/reload", serve_reload, "bring the configuration file in force" },
    { "POST", "/v1/tls-report", serve_tls_report, "send the TLS reports of what was counted so far" },
    { "POST", "/v1/explain", serve_explain, "what would become of a mail: client, helo, from, to (a list), account" },
    { "GET", "/v1/queue", serve_list,
      "messages; sender, recipient, destination, older_than (ms), reason, state, limit, after, sort" },
    { "GET", "/v1/queue/*", serve_show, "one message by its id" },
    { "POST", "/v1/queue/retry", serve_change, "try these now; ids, filters or all" },
    { "POST", "/v1/queue/hold", serve_change, "keep these until released" },
    { "POST", "/v1/queue/release", serve_change, "let go what was held" },
    { "POST", "/v1/queue/delete", serve_change, "remove these without telling their senders" },
    { "GET", "/v1/tables", tables_serve_list, "tables that options use, and how their sources are" },
    { "GET", "/v1/tables/entries", tables_serve_show, "what is in one: name, use, after, limit" },
    { "GET", "/v1/tables/query", tables_serve_query, "what a look-up in one gives: name, use, key" },
    { "POST", "/v1/tables/refresh", tables_serve_refresh, "read one, or all, now: {\"name\"?}" },
    { "GET", "/v1/trace", trace_serve,
      "the history: id; or sender, recipient, address, client, since, until (ms), outcome, message_id, subject, limit, before" },
    { "GET", "/v1/quarantine", quarantine_serve_list,
      "what is kept apart; kind, state, learnt, sender, recipient, subject, reason, since, until (ms), score_min, score_max, limit, before" },
    { "POST", "/v1/quarantine/release", quarantine_serve_change, "let these go to their recipients; ids, filters or all; recipients, delete" },
    { "POST", "/v1/quarantine/delete", quarantine_serve_change, "remove these; ids, filters or all; recipients" },
    { "POST", "/v1/quarantine/train", quarantine_serve_change, "learn from these; ids, filters or all; as: spam, ham, forget" },
    { "GET", "/v1/quarantine/digest", digest_serve_show, "who would be told in a digest, or with recipient: of what; after" },
    { "POST", "/v1/quarantine/digest", digest_serve_send, "send digests now, to all or to recipient" },
    { "GET", "/v1/quarantine/*", quarantine_serve_show, "one message by its id: headers, findings, trace" },
    { "GET", "/v1/quarantine/*/view", quarantine_serve_view, "what is in it, with nothing active: headers, text, parts, links" },
    { "GET", "/v1/quarantine/*/raw", quarantine_serve_raw, "the message as it came" },
    { "POST", "/v1/learn/*", quarantine_serve_learn, "learn the message that is the body as spam, as ham, or forget it", .body_file = true },
};

static bool path_fits(const struct route *route, struct slice path, struct slice *rest)
{
    struct slice p = slice_str(route->path), before;
    *rest = (struct slice){ 0 };
    if (!slice_cut(&p, '*', &before)) return slice_eq(before, path); /* p: what is behind the asterisk */
    if (!slice_starts(path, before) || path.n < before.n + p.n) return false;
    *rest = slice_sub(path, before.n, path.n - p.n);
    return rest->n && slice_find(*rest, '/') < 0 && slice_eq(slice_sub(path, path.n - p.n, path.n), p);
}

const struct route *api_route_find(const char *method, struct slice path, struct slice *rest, int *status)
{
    *status = MHD_HTTP_NOT_FOUND;
    for (size_t i = 0; i < countof(routes); i++) {
        if (!path_fits(&routes[i], path, rest)) continue;
        if (!strcmp(routes[i].method, method)) return &routes[i];
        *status = MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    return NULL;
}
