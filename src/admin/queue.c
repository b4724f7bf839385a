/* SPDX-License-Identifier: Apache-2.0
 * /v1/queue: listings that the workers' answers are put together to, and what is done to messages. */
#include <microhttpd.h>
#include <stdlib.h>
#include "admin/internal.h"

#define QUEUE_MS 30000
#define GROUPS_SHOWN 100 /* without a limit */

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

static const char *id_of(const json_t *message)
{
    const char *id = json_string_value(json_object_get(message, "id"));
    return id ? id : ""; /* a worker may be none of ours any more */
}

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
        c = strcmp(id_of(a->message), id_of(b->message));
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

/* Of a change: to how many messages it was done. */
static void audit_matched(struct http_request *r, const json_t *all)
{
    char text[120];
    json_int_t n = json_integer_value(json_object_get(all, "matched")), missing = json_integer_value(json_object_get(all, "missing"));
    int k = snprintf(text, sizeof text, "%lld message%s", (long long)n, n == 1 ? "" : "s");
    if (missing) snprintf(text + k, sizeof text - (size_t)k, "; %lld processes did not answer", (long long)missing);
    http_audit(r, NULL, text);
}

static void on_queue(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    const char *sort = json_string_value(json_object_get(r->parts, "sort"));
    json_int_t limit = json_integer_value(json_object_get(r->parts, "limit"));
    json_t *all = merge(answers, sort ? sort : "arrival", limit > 0 ? (size_t)limit : ADMIN_LIST_MAX);
    const char *error = json_string_value(json_object_get(all, "error"));
    bool show = r->rest.n != 0;
    json_object_del(all, "place");
    if (missing) json_object_set_new(all, "missing", json_integer(missing));
    if (r->target && !error) audit_matched(r, all);
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

/* ---- GET /v1/queue/groups */

static int most_first(const void *pa, const void *pb)
{
    json_int_t a = json_integer_value(json_object_get(*(json_t *const *)pa, "messages"));
    json_int_t b = json_integer_value(json_object_get(*(json_t *const *)pb, "messages"));
    return (a < b) - (a > b);
}

static void add_group(json_t *by_key, json_t *group)
{
    const char *key = json_string_value(json_object_get(group, "key"));
    json_t *sum = json_object_get(by_key, key ? key : "");
    static const char *const sums[] = { "messages", "bytes" }, *const least[] = { "oldest", "next_try" };
    if (!sum) {
        json_object_set(by_key, key ? key : "", group);
        return;
    }
    for (size_t i = 0; i < countof(sums); i++)
        json_object_set_new(sum, sums[i], json_integer(json_integer_value(json_object_get(sum, sums[i])) +
                                                       json_integer_value(json_object_get(group, sums[i]))));
    for (size_t i = 0; i < countof(least); i++) {
        json_int_t a = json_integer_value(json_object_get(sum, least[i])), b = json_integer_value(json_object_get(group, least[i]));
        if (b && (!a || b < a)) json_object_set_new(sum, least[i], json_integer(b));
    }
}

/* The largest of all workers' groups; takes by_key. */
static json_t *largest(json_t *by_key, size_t limit, json_int_t *others)
{
    size_t n = 0, count = json_object_size(by_key);
    json_t **all = mem_zalloc((count + 1) * sizeof(json_t *)), *list = json_array(), *g;
    const char *key;
    json_object_foreach(by_key, key, g) all[n++] = g;
    qsort(all, n, sizeof(json_t *), most_first);
    for (size_t i = 0; i < n; i++) {
        if (i < limit) json_array_append(list, all[i]);
        else *others += json_integer_value(json_object_get(all[i], "messages"));
    }
    free(all);
    json_decref(by_key);
    return list;
}

static void on_groups(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_int_t total = 0, others = 0, limit = json_integer_value(json_object_get(r->arguments, "limit"));
    const char *error = NULL;
    json_t *by_key = json_object(), *answer, *g;
    size_t i, k;
    json_array_foreach(answers, i, answer) {
        if (!error) error = json_string_value(json_object_get(answer, "error"));
        total += json_integer_value(json_object_get(answer, "total"));
        others += json_integer_value(json_object_get(answer, "others"));
        json_array_foreach(json_object_get(answer, "groups"), k, g) add_group(by_key, g);
    }
    json_t *list = largest(by_key, limit > 0 && limit < ADMIN_LIST_MAX ? (size_t)limit : GROUPS_SHOWN, &others);
    json_t *all = json_pack("{s:o, s:I, s:I}", "groups", list, "total", total, "others", others);
    if (missing) json_object_set_new(all, "missing", json_integer(missing));
    if (error) http_error(r, MHD_HTTP_BAD_REQUEST, error);
    else http_answer(r, MHD_HTTP_OK, json_incref(all));
    json_decref(all);
    json_decref(answers);
}

static void serve_groups(struct http_request *r)
{
    json_t *request = http_arguments(r, "groups");
    json_object_del(request, "limit"); /* what is large here may be small there */
    ask_workers(r->admin, request, QUEUE_MS, on_groups, r);
}

/* ---- GET /v1/queue, GET /v1/queue/ID */

/* Where the list goes on, as the worker said that has the message; r->parts is the request for the list. */
static void on_place(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *request = r->parts, *answer, *place = NULL;
    const char *error = "the message to go on after is gone";
    size_t i;
    r->parts = NULL;
    json_array_foreach(answers, i, answer) {
        if (!place) place = json_incref(json_object_get(answer, "place"));
        if (json_object_get(answer, "error")) error = json_string_value(json_object_get(answer, "error"));
    }
    if (place) {
        json_object_set_new(request, "place", place);
        ask_queue(r, json_incref(request));
    } else if (missing) http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, NO_WORKER);
    else http_error(r, MHD_HTTP_BAD_REQUEST, error);
    json_decref(request);
    json_decref(answers);
}

static void serve_list(struct http_request *r)
{
    const char *sort = json_string_value(json_object_get(r->arguments, "sort"));
    const json_t *limit = json_object_get(r->arguments, "limit");
    if (sort && !find_sort(sort)) {
        http_bad_argument(r);
        return;
    }
    json_t *request = http_arguments(r, "list");
    if (!limit || json_integer_value(limit) > ADMIN_LIST_MAX) json_object_set_new(request, "limit", json_integer(ADMIN_LIST_MAX));
    json_t *after = json_object_get(request, "after");
    if (after) {
        r->parts = request;
        json_t *show = json_pack("{s:s, s:[O], s:s}", "op", "show", "ids", after, "sort", sort ? sort : "arrival");
        ask_workers(r->admin, show, QUEUE_MS, on_place, r);
    } else ask_queue(r, request);
}

static void serve_show(struct http_request *r)
{
    json_t *request = json_pack("{s:s, s:[s%]}", "op", "show", "ids", r->rest.p, r->rest.n);
    if (request) ask_queue(r, request);
    else http_error(r, MHD_HTTP_BAD_REQUEST, "that is not an id");
}

/* ---- POST /v1/queue/... */

/* Rows of struct route_field: which messages are meant. */
#define FILTERS                                                                                                          \
    { "sender", ROUTE_TEXT, false, "\"<>\", \"@example.org\", or a part of the address", NULL },                         \
    { "recipient", ROUTE_TEXT, false, "\"@example.org\", or a part of the address", NULL },                              \
    { "destination", ROUTE_TEXT, false, "where it goes", NULL },                                                         \
    { "older_than", ROUTE_NUMBER, false, "ms", NULL }, { "reason", ROUTE_TEXT, false, "a part of the last reply", NULL }, \
    { "state", ROUTE_TEXT, false, "of the message", "incoming active deferred held" },               \
    { "id", ROUTE_TEXT, false, "a part of its id", NULL }
#define PAGES                                                                                                       \
    { "limit", ROUTE_NUMBER, false, "at most so many; 1000 is the most", NULL },                                    \
    { "after", ROUTE_TEXT, false, "where the last answer ended", NULL },                                            \
    { "sort", ROUTE_TEXT, false, "what by; a minus in front: descending", NULL }

static const struct route_field filters[] = { FILTERS, { 0 } };
static const struct route_field list_arguments[] = { FILTERS, PAGES, { 0 } };
static const struct route_field group_arguments[] = {
    { "by", ROUTE_TEXT, true, "what messages have in common", "destination reason" }, FILTERS,
    { "limit", ROUTE_NUMBER, false, "so many of the largest; 100 if it is not given", NULL }, { 0 },
};
static const struct route_field change_body[] = {
    { "ids", ROUTE_TEXTS, false, "these", NULL }, { "all", ROUTE_BOOL, false, "true: all there are", NULL }, FILTERS, PAGES, { 0 },
};

/* What is meant must be said: ids, a filter, or "all": true. */
static bool selects(const json_t *body)
{
    const json_t *ids = json_object_get(body, "ids"), *all = json_object_get(body, "all");
    if ((ids && !json_array_size(ids)) || (all && !json_is_true(all))) return false;
    bool selected = ids || all;
    for (const struct route_field *f = filters; f->name; f++) selected |= json_object_get(body, f->name) != NULL;
    return selected;
}

static void serve_change(struct http_request *r)
{
    if (!selects(r->json)) {
        http_error(r, MHD_HTTP_BAD_REQUEST, "expected a JSON object with ids, filters, or \"all\": true");
        return;
    }
    json_t *request = json_copy(r->json);
    json_object_del(request, "all");
    json_object_set_new(request, "op", json_string(strrchr(r->route->path, '/') + 1));
    json_object_set_new(request, "by", json_string(r->who.name));
    http_audit_meant(r);
    ask_queue(r, request);
}

/* ---- the table */

#define CHANGED "matched?: integer, done?: integer, missing?: integer"

const struct route routes_queue[] = {
    { "GET", "/v1/queue", "messages that wait", serve_list, RIGHT_MAIL, .arguments = list_arguments,
      .answers = "messages: array, matched: integer, total: integer, missing?: integer" },
    { "GET", "/v1/queue/groups", "how many messages wait for each destination, or for each reason", serve_groups, RIGHT_MAIL,
      .arguments = group_arguments, .answers = "groups: array, total: integer, others: integer, missing?: integer" },
    { "GET", "/v1/queue/*", "one message by its id", serve_show, RIGHT_MAIL, .answers = "messages: array, missing?: integer" },
    { "POST", "/v1/queue/retry", "try these now", serve_change, RIGHT_CHANGE, .body = change_body, .answers = CHANGED },
    { "POST", "/v1/queue/hold", "keep these until released", serve_change, RIGHT_CHANGE, .body = change_body, .answers = CHANGED },
    { "POST", "/v1/queue/release", "let go what was held", serve_change, RIGHT_CHANGE, .body = change_body, .answers = CHANGED },
    { "POST", "/v1/queue/delete", "remove these without telling their senders", serve_change, RIGHT_CHANGE, .body = change_body,
      .answers = CHANGED },
    { 0 },
};
