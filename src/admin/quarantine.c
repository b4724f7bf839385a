/* SPDX-License-Identifier: Apache-2.0
 * The quarantine, read: listings come from the store, what is in a message from a relay worker (which has it looked into by a scan process):
 * this process never looks into one itself, it only hands on the descriptor of its file. */
#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>
#include "admin/internal.h"
#include "store/quarantine_files.h"
#include "store/trace.h"
#include "spool/envelope.h"

#define STORE_MS 15000
#define WORKER_MS 100000

/* ---- GET /v1/quarantine */

static void on_list(void *arg, json_t *answers, unsigned missing)
{
    json_t *answer = http_only_answer(arg, answers, "the store");
    if (answer) http_answer(arg, MHD_HTTP_OK, answer);
}

static void serve_list(struct http_request *r)
{
    ask_store(r->admin, http_arguments(r, "quarantine-list"), STORE_MS, on_list, r);
}

/* ---- one message */

static void open_it(struct http_request *r, ask_cb *cb)
{
    json_t *request = json_pack("{s:s, s:s%}", "op", "quarantine-open", "id", r->rest.p, r->rest.n);
    if (request) ask_store(r->admin, request, STORE_MS, cb, r);
    else http_error(r, MHD_HTTP_BAD_REQUEST, "that is not an id");
}

/* What only a worker knows may be missing: the rest is shown all the same. */
static void on_details(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *all = r->parts, *details = json_array_get(answers, 0);
    r->parts = NULL;
    json_object_update_missing(json_object_get(all, "message"), details);
    if (!details) json_object_set_new(json_object_get(all, "message"), "error", json_string(NO_WORKER));
    json_decref(answers);
    http_answer(r, MHD_HTTP_OK, all);
}

static void hand_on(struct http_request *r, json_t *answers, const char *op, ask_cb *cb)
{
    int fd = ask_take_fd(r->admin);
    json_t *answer = http_only_answer(r, answers, "the store");
    if (answer && fd >= 0) {
        json_object_del(answer, "numbers");
        r->parts = answer;
        ask_worker_with(r->admin, json_pack("{s:s}", "op", op), fd, WORKER_MS, cb, r);
    } else if (answer) {
        json_decref(answer);
        http_error(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "the message's file did not come along");
    }
    if (fd >= 0) close(fd);
}

static void on_show_opened(void *arg, json_t *answers, unsigned missing)
{
    hand_on(arg, answers, "quarantine-details", on_details);
}

static void serve_show(struct http_request *r)
{
    open_it(r, on_show_opened);
}

static void on_view(void *arg, json_t *answers, unsigned missing)
{
    json_t *answer = http_only_answer(arg, answers, "a relay worker");
    if (answer) http_answer(arg, MHD_HTTP_OK, answer);
}

static void on_view_opened(void *arg, json_t *answers, unsigned missing)
{
    hand_on(arg, answers, "quarantine-view", on_view);
}

static void serve_view(struct http_request *r)
{
    open_it(r, on_view_opened);
}

/* ---- GET /v1/quarantine/ID/raw: our own lines in front, and the text as it came */

struct opened {
    struct quarantine_head head;
    struct buf encoded;
    struct arena arena;
    struct envelope envelope;
    struct err err;
};

static bool read_envelope(int fd, struct opened *o)
{
    uint64_t size;
    *o = (struct opened){ .err = { .text = "the message's file did not come along" } };
    return fd >= 0 && quarantine_file_read(fd, &o->head, &o->encoded, &size, &o->err) &&
           envelope_decode(buf_slice(&o->encoded), &o->arena, &o->envelope, &o->err);
}

static void opened_deinit(struct opened *o)
{
    buf_deinit(&o->encoded);
    arena_deinit(&o->arena);
}

static void on_raw_opened(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    int fd = ask_take_fd(r->admin);
    json_t *answer = http_only_answer(r, answers, "the store");
    struct opened o;
    bool ok = read_envelope(fd, &o) && answer;
    if (ok) {
        http_answer_file(r, o.envelope.prepend, fd, quarantine_text_at(&o.head), o.head.text_n);
    } else {
        if (answer) http_error(r, MHD_HTTP_INTERNAL_SERVER_ERROR, o.err.text);
        if (fd >= 0) close(fd);
    }
    json_decref(answer);
    opened_deinit(&o);
}

bool quarantine_sender_proven(int fd)
{
    struct opened o;
    bool proven = read_envelope(fd, &o) && trace_sender_proven(o.envelope.trace);
    opened_deinit(&o);
    return proven;
}

static void serve_raw(struct http_request *r)
{
    open_it(r, on_raw_opened);
}

/* ---- POST /v1/learn/spam, /v1/learn/ham, /v1/learn/forget */

static void serve_learn(struct http_request *r)
{
    if (r->file < 0) {
        http_error(r, MHD_HTTP_BAD_REQUEST, "expected a message as the body");
        return;
    }
    json_t *request = json_pack("{s:s, s:s%}", "op", "learn", "as", r->rest.p, r->rest.n);
    if (request) ask_worker_with(r->admin, request, r->file, WORKER_MS, on_view, r);
    else http_error(r, MHD_HTTP_NOT_FOUND, "as spam, as ham, or forget");
}

/* ---- the table */

static const struct route_field list_arguments[] = { QUARANTINE_FILTERS, { 0 } };
#define WHICH { "ids", ROUTE_TEXTS, false, "these", NULL }, { "all", ROUTE_BOOL, false, "true: all there are", NULL }
#define RECIPIENTS { "recipients", ROUTE_TEXTS, false, "only for these", NULL }
static const struct route_field release_body[] = {
    WHICH, RECIPIENTS, { "delete", ROUTE_BOOL, false, "true: they are removed afterwards", NULL }, QUARANTINE_FILTERS, { 0 },
};
static const struct route_field delete_body[] = { WHICH, RECIPIENTS, QUARANTINE_FILTERS, { 0 } };
static const struct route_field train_body[] = { WHICH, { "as", ROUTE_TEXT, true, "as what", "spam ham forget" }, QUARANTINE_FILTERS, { 0 } };
#define CHANGED "matched: integer, done: array, failed: array, before?: string"

const struct route routes_quarantine[] = {
    { "GET", "/v1/quarantine", "what is kept apart", serve_list, RIGHT_MAIL, .arguments = list_arguments,
      .answers = "messages: array, matched: integer, before?: string" },
    { "POST", "/v1/quarantine/release", "let these go to their recipients", quarantine_serve_change, RIGHT_CHANGE, .body = release_body,
      .answers = CHANGED },
    { "POST", "/v1/quarantine/delete", "remove these", quarantine_serve_change, RIGHT_CHANGE, .body = delete_body, .answers = CHANGED },
    { "POST", "/v1/quarantine/train", "learn from these", quarantine_serve_change, RIGHT_CHANGE, .body = train_body, .answers = CHANGED },
    { "GET", "/v1/quarantine/digest", "who would be told in a digest, or with recipient: of what", digest_serve_show, RIGHT_MAIL,
      .arguments = digest_list_arguments, .answers = "enabled: boolean, links: boolean, next?: integer" },
    { "POST", "/v1/quarantine/digest", "send digests now", digest_serve_send, RIGHT_CHANGE, .body = digest_send_body,
      .answers = "sent: integer, skipped: integer, running?: boolean" },
    { "GET", "/v1/quarantine/*", "one message by its id: headers, findings, trace", serve_show, RIGHT_MAIL, .answers = "message: object" },
    { "GET", "/v1/quarantine/*/view", "what is in it, with nothing active: headers, text, parts, links", serve_view, RIGHT_CONTENT },
    { "GET", "/v1/quarantine/*/raw", "the message as it came", serve_raw, RIGHT_CONTENT, .answers = "application/octet-stream" },
    { "POST", "/v1/learn/*", "learn the message that is the body as spam, as ham, or forget it", serve_learn, RIGHT_CHANGE, .body_file = true },
    { 0 },
};
