/* SPDX-License-Identifier: Apache-2.0
 * POST /v1/quarantine/release, delete and train: of messages by their ids, or of all that fit some filters, one after the other. A message is
 * released like this: the store opens its file, a worker puts it into its spool and says so, and only then the store notes that it went. Who
 * dies in between leaves a message that may go out twice, never one that is lost.
 *
 * {"ids": [..]} or filters or {"all": true}, and: recipients: [..] (only for these; of release and delete), delete: true (of release to all: it is
 * removed afterwards), as: "spam" | "ham" | "forget" (of train), limit: at most so many of those that fit, the newest first; before: only those
 * behind this id. With filters only what is held is released.
 * Answer: {"matched": how many fit, "done": [{"id", "as"?: the new id, "sender"?, "recipients"?, "proven"? (of release: SPF
 * proved the sender)}], "failed": [{"id", "error"}],
 * "before"?: there are more; ask again with this} */
#include <event2/event.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>
#include "admin/internal.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define STORE_MS 15000
#define WORKER_MS 100000
#define BATCH 500
#define RCPTS_MAX 1000
#define OWN_IDS_MAX 500
#define NAMED_MAX 3              /* recipients in an error */
#define BATCH_MS 40000           /* then the rest is asked for again: nobody waits for an answer for ever */

enum bulk_op { BULK_RELEASE, BULK_DELETE, BULK_TRAIN };

struct bulk {
    struct list node;
    struct admin *admin;
    struct http_request *r;      /* NULL: `over` is told */
    void (*over)(void *arg, json_t *answer);
    void *arg;
    enum bulk_op op;
    json_t *ids, *recipients, *done, *failed, *entry; /* entry: of `done`, for the message at hand */
    json_t *numbers;             /* of the recipients at hand; NULL: all */
    bool remove, filtered, more, own;
    char as[8], by[80];
    size_t at;
    json_int_t matched;
    uint64_t end;                /* mono ms */
};

static void next(struct bulk *b);

static const char *id_at_hand(const struct bulk *b)
{
    return json_string_value(json_array_get(b->ids, b->at));
}

static void bulk_free(struct bulk *b)
{
    json_t *const all[] = { b->ids, b->recipients, b->done, b->failed, b->entry, b->numbers };
    for (size_t i = 0; i < countof(all); i++) json_decref(all[i]);
    list_remove(&b->node);
    free(b);
}

/* Of those that are told as done, some may have failed. */
static void tell_audit_done(const struct bulk *b)
{
    char text[60];
    if (!b->r) return;
    snprintf(text, sizeof text, "%zu done, %zu failed", json_array_size(b->done), json_array_size(b->failed));
    http_audit(b->r, NULL, text);
}

static void finish(struct bulk *b)
{
    const struct bulk was = *b;
    tell_audit_done(b);
    json_t *answer = json_pack("{s:I, s:O, s:O}", "matched", b->matched, "done", b->done, "failed", b->failed);
    size_t n = json_array_size(b->ids);
    if (b->filtered && n && (b->more || b->at < n)) json_object_set(answer, "before", json_array_get(b->ids, (b->at < n ? b->at : n) - 1));
    bulk_free(b);
    if (was.r) {
        http_answer(was.r, MHD_HTTP_OK, answer);
        return;
    }
    was.over(was.arg, answer);
    json_decref(answer);
}

static void failed(struct bulk *b, const char *why)
{
    json_array_append_new(b->failed, json_pack("{s:s, s:s}", "id", id_at_hand(b), "error", why));
    b->at++;
    next(b);
}

/* NULL: it failed, and that was noted. */
static json_t *take_answer(struct bulk *b, json_t *answers, const char *who)
{
    json_t *answer = json_incref(json_array_get(answers, 0));
    const char *error = json_string_value(json_object_get(answer, "error"));
    json_decref(answers);
    if (answer && !error) return answer;
    failed(b, error ? error : who);
    json_decref(answer);
    return NULL;
}

/* Who did what to which message. */
static void tell_log(const struct bulk *b)
{
    static const char *const events[] = { "quarantine-released", "quarantine-deleted", "quarantine-learnt" };
    uint64_t id = 0;
    (void)id_parse(slice_str(id_at_hand(b)), &id);
    log_event(LOG_INFO, events[b->op], LOG_ID(id), LOG_STR("by", b->by), LOG_TEXT("as", b->as[0] ? slice_str(b->as) : json_text(b->entry, "as")),
              LOG_TEXT("from", json_text(b->entry, "sender")), LOG_NUM("recipients", json_integer_value(json_object_get(b->entry, "recipients"))));
}

static void succeeded(struct bulk *b)
{
    json_array_append(b->done, b->entry);
    b->at++;
    next(b);
}

/* ---- the last step: what was done is noted */

static void on_removed(void *arg, json_t *answers, unsigned missing)
{
    struct bulk *b = arg;
    json_t *answer = take_answer(b, answers, NO_STORE);
    if (answer && b->op == BULK_DELETE) tell_log(b);
    if (answer) succeeded(b);
    json_decref(answer);
}

static void ask_removal(struct bulk *b)
{
    ask_store(b->admin, json_pack("{s:s, s:s, s:s}", "op", "quarantine-delete", "id", id_at_hand(b), "by", b->by), STORE_MS, on_removed, b);
}

static void on_noted(void *arg, json_t *answers, unsigned missing)
{
    struct bulk *b = arg;
    json_t *answer = take_answer(b, answers, NO_STORE);
    if (!answer) return;
    json_decref(answer);
    if (b->op == BULK_DELETE) tell_log(b);
    if (b->op == BULK_RELEASE && b->remove) ask_removal(b);
    else succeeded(b);
}

static void note(struct bulk *b, const char *what, const char *as)
{
    json_t *m = json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", "quarantine-note", "id", id_at_hand(b), "what", what, "by", b->by, "as", as);
    if (b->numbers) json_object_set(m, "numbers", b->numbers);
    ask_store(b->admin, m, STORE_MS, on_noted, b);
}

static void on_worker(void *arg, json_t *answers, unsigned missing)
{
    struct bulk *b = arg;
    json_t *answer = take_answer(b, answers, NO_WORKER);
    if (!answer) return;
    if (b->op == BULK_RELEASE) {
        json_object_set(b->entry, "as", json_object_get(answer, "id"));
        json_object_set(b->entry, "recipients", json_object_get(answer, "recipients"));
        json_object_set(b->entry, "proven", json_object_get(answer, "proven"));
    }
    tell_log(b);
    if (b->op == BULK_RELEASE) note(b, "released", json_string_value(json_object_get(answer, "id")));
    else note(b, "learnt", b->as);
    json_decref(answer);
}

/* ---- the first: its file, and for whom it is held */

/* The sender is for the one who allows it from now on. */
static void keep_entry(struct bulk *b, json_t *opened)
{
    const json_t *message = json_object_get(opened, "message");
    json_t *sender = json_object_get(message, "sender");
    json_decref(b->entry);
    json_decref(b->numbers);
    b->numbers = b->op == BULK_TRAIN ? NULL : json_incref(json_object_get(opened, "numbers")); /* learnt is the message */
    b->entry = json_pack("{s:s}", "id", id_at_hand(b));
    if (sender) json_object_set(b->entry, "sender", sender);
}

/* "already released to bob@example.com" */
static void add_state(struct buf *out, struct slice address, struct slice state)
{
    if (out->n) buf_add_str(out, "; ");
    if (slice_eq(state, SLICE("released"))) buf_add_str(out, "already released to ");
    else if (slice_eq(state, SLICE("deleted"))) buf_add_str(out, "already deleted for ");
    buf_add_printable(out, address, 200);
    if (!state.n) buf_add_str(out, " is no recipient of it");
}

/* Nobody who is meant is held: why. */
static void failed_for_all(struct bulk *b, const json_t *opened)
{
    const json_t *m = json_object_get(opened, "message"), *list = json_object_get(m, "recipients"), *meant = b->recipients ? b->recipients : list, *v;
    struct buf text = { .max = 600 };
    size_t i, k, n = json_array_size(meant);
    bool all = (json_int_t)json_array_size(list) == json_integer_value(json_object_get(m, "recipient_count"));
    for (i = 0; i < n && i < NAMED_MAX && (all || !b->recipients); i++) {
        const json_t *one = json_array_get(meant, i);
        struct slice address = b->recipients ? slice_str(json_string_value(one)) : json_text(one, "address"), state = SLICE("");
        json_array_foreach(list, k, v)
            if (slice_ieq(json_text(v, "address"), address)) state = json_text(v, "state");
        add_state(&text, address, state);
    }
    if (i && i < n) buf_addf(&text, "; and %zu more", n - i);
    failed(b, text.n ? buf_cstr(&text) : "it is not held for anybody that is meant");
    buf_deinit(&text);
}

static void hand_to_worker(struct bulk *b, int fd)
{
    json_t *m = json_pack("{s:s}", "op", b->op == BULK_RELEASE ? "quarantine-release" : "quarantine-train");
    if (b->numbers) json_object_set(m, "numbers", b->numbers);
    if (b->op == BULK_TRAIN) json_object_set_new(m, "as", json_string(b->as));
    ask_worker_with(b->admin, m, fd, WORKER_MS, on_worker, b);
}

/* Who may only see his own learns nothing of other messages, not even that they are there. */
static bool may_touch(const struct bulk *b, const json_t *opened)
{
    const json_t *message = json_object_get(opened, "message"), *rcpts = json_object_get(message, "recipients"), *mine, *rcpt;
    size_t i, k;
    if (!b->own) return true;
    json_array_foreach(b->recipients, i, mine)
        json_array_foreach(rcpts, k, rcpt)
            if (slice_ieq(json_text(rcpt, "address"), slice_str(json_string_value(mine)))) return digest_may_release(message);
    return json_array_size(json_object_get(opened, "numbers")) && digest_may_release(message); /* it is among more than are listed */
}

static void on_opened(void *arg, json_t *answers, unsigned missing)
{
    struct bulk *b = arg;
    int fd = ask_take_fd(b->admin);
    json_t *answer = take_answer(b, answers, NO_STORE);
    if (answer) {
        keep_entry(b, answer);
        if (!may_touch(b, answer)) failed(b, "there is no message with this id in the quarantine");
        else if (fd < 0) failed(b, "the message's file did not come along");
        else if (b->numbers && !json_array_size(b->numbers)) failed_for_all(b, answer);
        else if (b->op == BULK_DELETE) note(b, "deleted", "");
        else hand_to_worker(b, fd);
        json_decref(answer);
    }
    if (fd >= 0) close(fd);
}

static bool is_at_hand(const struct bulk *me)
{
    list_each(it, &me->admin->bulks) {
        const struct bulk *b = list_entry(it, struct bulk, node);
        if (b != me && b->at < json_array_size(b->ids) && !strcmp(id_at_hand(b), id_at_hand(me))) return true;
    }
    return false;
}

static void next(struct bulk *b)
{
    if (b->at >= json_array_size(b->ids) || (b->at && b->filtered && clock_mono_ms() > b->end)) {
        finish(b);
        return;
    }
    if (is_at_hand(b)) {
        failed(b, "somebody else is doing something with it");
        return;
    }
    if (b->op == BULK_DELETE && !b->recipients) {
        json_decref(b->entry);
        b->entry = json_pack("{s:s}", "id", id_at_hand(b));
        ask_removal(b);
        return;
    }
    json_t *m = json_pack("{s:s, s:s}", "op", "quarantine-open", "id", id_at_hand(b));
    if (b->recipients) json_object_set(m, "recipients", b->recipients);
    ask_store(b->admin, m, STORE_MS, on_opened, b);
}

/* ---- which messages */

static void on_listed(void *arg, json_t *answers, unsigned missing)
{
    struct bulk *b = arg;
    const json_t *answer = json_array_get(answers, 0), *m;
    const char *error = json_string_value(json_object_get(answer, "error"));
    size_t i;
    if (!answer || error) {
        struct http_request *r = b->r;
        bulk_free(b);
        http_error(r, error ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_SERVICE_UNAVAILABLE, error ? error : NO_STORE);
    } else {
        json_array_foreach(json_object_get(answer, "messages"), i, m) json_array_append(b->ids, json_object_get(m, "id"));
        b->matched = json_integer_value(json_object_get(answer, "matched"));
        b->more = json_object_get(answer, "before") != NULL;
        next(b);
    }
    json_decref(answers);
}

static void start(struct bulk *b, json_t *filters)
{
    b->end = clock_mono_ms() + BATCH_MS;
    if (b->r) http_audit_meant(b->r);
    if (b->r) http_client(b->r, b->by, sizeof b->by);
    list_push_back(&b->admin->bulks, &b->node);
    if (json_array_size(b->ids)) {
        b->matched = (json_int_t)json_array_size(b->ids);
        json_decref(filters);
        next(b);
        return;
    }
    b->filtered = true;
    json_object_set_new(filters, "op", json_string("quarantine-list"));
    if (!json_object_get(filters, "limit") || json_integer_value(json_object_get(filters, "limit")) > BATCH)
        json_object_set_new(filters, "limit", json_integer(BATCH));
    if (b->op == BULK_RELEASE && !json_object_get(filters, "state")) json_object_set_new(filters, "state", json_string("held"));
    ask_store(b->admin, filters, STORE_MS, on_listed, b);
}

/* ---- the request's body, whose members and types the route's table has checked */

static const struct route_field filters_known[] = { QUARANTINE_FILTERS, { 0 } };

/* True: they say which messages are meant. */
static bool take_filters(const json_t *body, json_t *filters)
{
    bool selected = false;
    for (const struct route_field *f = filters_known; f->name; f++) {
        json_t *v = json_object_get(body, f->name);
        if (!v) continue;
        selected |= strcmp(f->name, "limit") != 0 && strcmp(f->name, "before") != 0; /* these say how much is shown */
        json_object_set(filters, f->name, v);
    }
    return selected;
}

/* False: nothing says which messages are meant, or what is said does not go together. */
static bool take_body(struct bulk *b, const json_t *body, json_t *filters)
{
    const json_t *ids = json_object_get(body, "ids"), *all = json_object_get(body, "all"), *limit = json_object_get(body, "limit");
    bool selected = take_filters(body, filters) || ids || all;
    b->recipients = json_incref(json_object_get(body, "recipients"));
    b->remove = json_is_true(json_object_get(body, "delete"));
    if (b->op == BULK_TRAIN) snprintf(b->as, sizeof b->as, "%s", json_text(body, "as").p);
    if (ids) json_array_extend(b->ids, (json_t *)(uintptr_t)ids);
    if ((ids && !json_array_size(ids)) || (all && !json_is_true(all))) return false;
    if (b->recipients && (!json_array_size(b->recipients) || json_array_size(b->recipients) > RCPTS_MAX)) return false;
    if (limit && (json_integer_value(limit) < 1 || ids)) return false; /* not "all", where fewer were meant */
    return selected && !(b->remove && b->recipients);
}

void quarantine_serve_change(struct http_request *r)
{
    json_t *filters = json_object();
    const char *op = strrchr(r->route->path, '/') + 1;
    struct bulk *b = mem_new(struct bulk);
    *b = (struct bulk){ .admin = r->admin, .r = r, .op = !strcmp(op, "release") ? BULK_RELEASE : !strcmp(op, "delete") ? BULK_DELETE : BULK_TRAIN,
                        .ids = json_array(), .done = json_array(), .failed = json_array() };
    if (take_body(b, r->json, filters)) {
        start(b, filters);
        return;
    }
    json_decref(filters);
    bulk_free(b);
    http_error(r, MHD_HTTP_BAD_REQUEST, "expected a JSON object with ids, filters, or \"all\": true, and what goes with this");
}

void quarantine_serve_own(struct http_request *r)
{
    json_t *ids = json_object_get(r->json, "ids");
    if (!json_array_size(ids) || json_array_size(ids) > OWN_IDS_MAX) {
        http_error(r, MHD_HTTP_BAD_REQUEST, "expected 1 to 500 ids");
        return;
    }
    if (!json_array_size(r->who.addresses)) {
        http_error(r, MHD_HTTP_FORBIDDEN, "the account has no addresses");
        return;
    }
    struct bulk *b = mem_new(struct bulk);
    *b = (struct bulk){ .admin = r->admin, .r = r, .own = true, .op = !strcmp(strrchr(r->route->path, '/') + 1, "release") ? BULK_RELEASE : BULK_DELETE,
                        .ids = json_copy(ids), .recipients = json_copy(r->who.addresses), .done = json_array(), .failed = json_array() };
    start(b, NULL);
}

void quarantine_release_one(struct admin *a, const char *id, const char *recipient, const char *by, void (*done)(void *arg, json_t *answer),
                            void *arg)
{
    struct bulk *b = mem_new(struct bulk);
    *b = (struct bulk){ .admin = a, .over = done, .arg = arg, .op = BULK_RELEASE, .ids = json_pack("[s]", id),
                        .recipients = json_pack("[s]", recipient), .done = json_array(), .failed = json_array() };
    snprintf(b->by, sizeof b->by, "%s", by);
    start(b, NULL);
}
