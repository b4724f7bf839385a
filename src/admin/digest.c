/* SPDX-License-Identifier: Apache-2.0
 * Runs of digests, and the requests of `postern quarantine digest`. */
#include "admin/digest.h"
#include <event2/event.h>
#include <microhttpd.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define TICK_SECONDS 10
#define AGAIN_MS 60000           /* after a run that could not be finished */
#define STORE_MS 15000
#define TOLD_MS 600000           /* a note for each message */
#define WORKER_MS 60000
#define ANSWER_MS 40000          /* then whoever asked hears that it goes on */

struct digest_run {
    struct digest *d;
    struct http_request *r;      /* who asked for it; NULL: nobody, or he was answered */
    char *recipient;             /* the only one; NULL: all */
    json_t *at_hand;             /* the store's answer */
    uint64_t due;                /* of a run whose time has come; 0: it was asked for */
    uint64_t began;              /* mono ms */
    json_int_t sent, skipped;
};

static void ask_next(struct digest_run *run, struct slice after);

/* ---- the end of a run */

static void reply(struct digest_run *run, const char *error, bool goes_on)
{
    json_t *a = json_pack("{s:I, s:I}", "sent", run->sent, "skipped", run->skipped);
    if (goes_on) json_object_set_new(a, "running", json_true());
    if (error) json_object_set_new(a, "error", json_string(error));
    if (run->r) http_answer(run->r, error ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, json_incref(a));
    run->r = NULL;
    json_decref(a);
}

static void on_ran_told(void *arg, json_t *answers, unsigned missing)
{
    json_decref(answers);
}

static void finish(struct digest_run *run, const char *error)
{
    struct digest *d = run->d;
    if (error) log_event(LOG_WARNING, "digests-broken-off", LOG_NUM("sent", run->sent), LOG_STR("error", error));
    else if (run->due || run->sent) log_event(LOG_INFO, "digests-sent", LOG_NUM("mails", run->sent));
    if (error) d->again = clock_mono_ms() + AGAIN_MS;
    if (run->due && !error) {
        d->ran = run->due;
        ask_store(d->admin, json_pack("{s:s, s:I}", "op", "quarantine-digest-ran", "at", (json_int_t)run->due), STORE_MS, on_ran_told, d);
    }
    reply(run, error, false);
    d->run = NULL;
    json_decref(run->at_hand);
    free(run->recipient);
    free(run);
}

/* NULL: the run has ended. */
static json_t *take_answer(struct digest_run *run, json_t *answers, const char *nobody)
{
    json_t *answer = json_incref(json_array_get(answers, 0));
    const char *error = answer ? json_string_value(json_object_get(answer, "error")) : nobody;
    json_decref(answers);
    if (!error) return answer;
    finish(run, error);
    json_decref(answer);
    return NULL;
}

/* ---- one recipient: the mail, and the note that he was told */

static void on_told(void *arg, json_t *answers, unsigned missing)
{
    struct digest_run *run = arg;
    json_t *answer = take_answer(run, answers, NO_STORE);
    if (answer) ask_next(run, json_text(run->at_hand, "address"));
    json_decref(answer);
}

static void on_sent(void *arg, json_t *answers, unsigned missing)
{
    struct digest_run *run = arg;
    json_t *answer = take_answer(run, answers, NO_WORKER);
    if (!answer) return;
    bool sent = json_object_get(answer, "id") != NULL;
    bool skipped = json_is_true(json_object_get(answer, "skipped"));
    json_decref(answer);
    run->sent += sent;
    run->skipped += skipped;
    if (!sent && !skipped) finish(run, "a relay worker is about to end");
    else if (skipped) ask_next(run, json_text(run->at_hand, "address"));
    else
        ask_store(run->d->admin, json_pack("{s:s, s:O}", "op", "quarantine-digest-told", "address", json_object_get(run->at_hand, "address")),
                  TOLD_MS, on_told, run);
}

bool digest_may_release(const json_t *message)
{
    static const char *const kinds[] = { "spam", "file", "rule", "auth" }; /* not what has a virus, nor what ended a process */
    struct slice kind = json_text(message, "kind");
    for (size_t i = 0; i < countof(kinds); i++)
        if (slice_eq(kind, slice_str(kinds[i]))) return true;
    return false;
}

void digest_add_links(const struct digest *d, const json_t *answer)
{
    uint64_t now = clock_wall_ms();
    char token[DIGEST_TOKEN_N + 1];
    json_t *m;
    size_t i;
    json_array_foreach(json_object_get(answer, "messages"), i, m) (void)json_object_del(m, "link"); /* only ours are links */
    if (!d->url || !d->has_secret) return;
    json_array_foreach(json_object_get(answer, "messages"), i, m) {
        struct digest_link l = { .number = (uint32_t)json_integer_value(json_object_get(m, "n")), .expires = (now + d->valid) / 1000 };
        uint64_t end = (uint64_t)json_integer_value(json_object_get(m, "expires")) / 1000;
        if (end && end < l.expires) l.expires = end;
        if (!digest_may_release(m) || !id_parse(json_text(m, "id"), &l.id)) continue;
        digest_hash(json_text(answer, "address"), l.recipient);
        digest_token_make(d->secret, &l, token);
        json_object_set_new(m, "link", json_sprintf("%s/release/%s", d->url, token));
    }
}

static void on_next(void *arg, json_t *answers, unsigned missing)
{
    struct digest_run *run = arg;
    json_t *answer = take_answer(run, answers, NO_STORE);
    if (!answer) return;
    json_decref(run->at_hand);
    run->at_hand = answer;
    if (!json_object_get(answer, "address")) {
        finish(run, NULL);
        return;
    }
    if (!json_text(answer, "address").n || !json_is_integer(json_object_get(answer, "count")) ||
        !json_is_array(json_object_get(answer, "messages"))) {
        finish(run, "what the store says makes no sense"); /* or the run would begin anew for ever */
        return;
    }
    digest_add_links(run->d, answer);
    json_t *m = json_pack("{s:s, s:O, s:O, s:O}", "op", "digest-mail", "to", json_object_get(answer, "address"), "count",
                          json_object_get(answer, "count"), "messages", json_object_get(answer, "messages"));
    ask_worker(run->d->admin, m, WORKER_MS, on_sent, run);
}

static void ask_next(struct digest_run *run, struct slice after)
{
    if (run->r && clock_mono_ms() - run->began > ANSWER_MS) reply(run, NULL, true);
    if (run->recipient && after.n) {
        finish(run, NULL);
        return;
    }
    json_t *m = json_pack("{s:s, s:b}", "op", "quarantine-digest-next", "tell", 1);
    if (run->recipient) json_object_set_new(m, "recipient", json_string(run->recipient));
    else json_object_set_new(m, "after", json_stringn(after.n ? after.p : "", after.n));
    ask_store(run->d->admin, m, STORE_MS, on_next, run);
}

static void start(struct digest *d, struct http_request *r, const char *recipient, uint64_t due)
{
    d->run = mem_new(struct digest_run);
    *d->run = (struct digest_run){ .d = d, .r = r, .recipient = recipient ? mem_strdup(recipient) : NULL, .due = due,
                                   .began = clock_mono_ms() };
    ask_next(d->run, SLICE(""));
}

/* ---- when */

static void on_ran(void *arg, json_t *answers, unsigned missing)
{
    struct digest *d = arg;
    const json_t *answer = json_array_get(answers, 0);
    uint64_t ran = (uint64_t)json_integer_value(json_object_get(answer, "at")), now = clock_wall_ms();
    d->asking = false;
    if (answer && !json_object_get(answer, "error")) d->ran = ran ? ran : now;
    if (d->ran && !ran) /* digests are new here: the first ones come at the next time */
        ask_store(d->admin, json_pack("{s:s, s:I}", "op", "quarantine-digest-ran", "at", (json_int_t)now), STORE_MS, on_ran_told, d);
    json_decref(answers);
}

static void tick(struct digest *d)
{
    uint64_t now = clock_wall_ms(), due = digest_due(d->at, d->at_n, now);
    digest_pages_sweep(&d->leaving, false);
    if (d->ran > now) d->ran = now; /* the clock was wrong then: nothing would be due for as long */
    if (!d->enabled || d->run || d->asking || d->again > clock_mono_ms()) return;
    if (!d->ran && d->admin->store) {
        d->asking = true;
        ask_store(d->admin, json_pack("{s:s}", "op", "quarantine-digest-ran"), STORE_MS, on_ran, d);
    } else if (d->ran && due > d->ran) {
        start(d, NULL, NULL, due);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    tick(arg);
}

/* ---- requests */

static void on_shown(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    const struct digest *d = r->admin->digest;
    json_t *answer = json_incref(json_array_get(answers, 0));
    const char *error = answer ? json_string_value(json_object_get(answer, "error")) : NO_STORE;
    json_decref(answers);
    if (error) {
        http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, error);
        json_decref(answer);
        return;
    }
    json_object_set_new(answer, "enabled", json_boolean(d->enabled));
    json_object_set_new(answer, "links", json_boolean(d->url && d->has_secret));
    if (d->enabled && d->at_n) json_object_set_new(answer, "next", json_integer((json_int_t)digest_next(d->at, d->at_n, clock_wall_ms())));
    http_answer(r, MHD_HTTP_OK, answer);
}

const struct route_field digest_list_arguments[] = {
    { "recipient", ROUTE_TEXT, false, "what he would be told of", NULL }, { "after", ROUTE_TEXT, false, "where the last answer ended", NULL }, { 0 },
};
const struct route_field digest_send_body[] = { { "recipient", ROUTE_TEXT, false, "to him alone", NULL }, { 0 } };

void digest_serve_show(struct http_request *r)
{
    json_t *request = http_arguments(r, "quarantine-digest-list");
    if (json_object_get(request, "recipient")) json_object_set_new(request, "op", json_string("quarantine-digest-next"));
    ask_store(r->admin, request, STORE_MS, on_shown, r);
}

void digest_serve_send(struct http_request *r)
{
    const json_t *to = json_object_get(r->json, "recipient");
    if (to && !json_string_length(to)) http_error(r, MHD_HTTP_BAD_REQUEST, "recipient: an address is expected");
    else if (r->admin->digest->run) http_error(r, MHD_HTTP_CONFLICT, "digests are being sent already; try again later");
    else start(r->admin->digest, r, json_string_value(to), 0);
}

/* ---- what the master says */

static void open_page(struct digest *d)
{
    struct buf secret = { 0 }, certificate = { 0 }, key = { 0 };
    struct err err = { .text = "the secret, certificate or key cannot be read" };
    bool ok = sent_file_read(d->files.secret, &secret) && secret.n == DIGEST_SECRET_N;
    if (ok) memcpy(d->secret, secret.p, DIGEST_SECRET_N);
    if (ok && d->secure) ok = sent_file_read(d->files.certificate, &certificate) && sent_file_read(d->files.key, &key);
    struct digest_page_start s = { .socket = d->files.socket, .certificate = buf_slice(&certificate), .key = buf_slice(&key) };
    if (ok) {
        d->files.socket = -1;
        d->page = digest_page_open(d, &s, &err);
    }
    d->has_secret = d->page != NULL;
    if (!d->page) log_event(LOG_ERROR, "digest-page-failed", LOG_ERR(&err));
    buf_wipe(&secret);
    buf_wipe(&key);
    buf_deinit(&certificate);
}

/* What the master sends was found right when he read it. */
static void take_text(struct digest *d, enum template_kind kind, const json_t *texts)
{
    struct slice text = json_text(texts, template_kind_name(kind));
    struct err err;
    if (text.n && !templates_set(d->templates, d->wording.language, kind, text, template_kind_name(kind), &err))
        log_event(LOG_ERROR, "digest-text", LOG_ERR(&err));
}

static void take_texts(struct digest *d, const json_t *m)
{
    templates_free(d->templates);
    d->templates = templates_new();
    d->wording = (struct wording){ .set = d->templates };
    (void)template_language_find(json_text(m, "language"), &d->wording.language);
    take_text(d, TEMPLATE_PAGE, json_object_get(m, "texts"));
    take_text(d, TEMPLATE_WORDS, json_object_get(m, "texts"));
}

static void configure(struct digest *d, const json_t *m)
{
    const char *url = json_string_value(json_object_get(m, "url"));
    const json_t *v;
    size_t i;
    if (d->page) digest_page_leave(d->page, &d->leaving);
    d->page = NULL;
    free(d->url);
    d->url = url ? mem_strdup(url) : NULL;
    for (size_t n = url ? strlen(url) : 0; n && d->url[n - 1] == '/'; n--) d->url[n - 1] = 0;
    d->enabled = json_is_true(json_object_get(m, "enabled"));
    d->secure = json_is_true(json_object_get(m, "secure"));
    d->valid = (uint64_t)json_integer_value(json_object_get(m, "valid"));
    take_texts(d, m);
    d->at_n = 0;
    d->has_secret = false;
    json_array_foreach(json_object_get(m, "at"), i, v)
        if (d->at_n < DIGEST_TIMES_MAX) d->at[d->at_n++] = (uint32_t)json_integer_value(v);
    if (url && d->files.socket >= 0) open_page(d);
    sent_files_close(&d->files);
}

bool digest_on_master(struct admin *a, const json_t *m, int fd)
{
    struct slice op = json_text(m, "op");
    if (slice_eq(op, SLICE("digest-file"))) sent_files_take(&a->digest->files, json_text(m, "what"), fd);
    else if (slice_eq(op, SLICE("digest"))) configure(a->digest, m);
    else return false;
    return true;
}

/* ---- life */

void digest_open(struct admin *a)
{
    struct digest *d = mem_new(struct digest);
    *d = (struct digest){ .admin = a, .files = SENT_FILES_NONE };
    a->digest = d;
    list_init(&d->leaving);
    d->timer = event_new(a->base, -1, EV_PERSIST, on_tick, d);
    event_add(d->timer, &(struct timeval){ TICK_SECONDS, 0 });
}

void digest_close(struct admin *a)
{
    struct digest *d = a->digest;
    if (d->page) digest_page_leave(d->page, &d->leaving);
    digest_pages_sweep(&d->leaving, true);
    sent_files_close(&d->files);
    event_free(d->timer);
    mem_wipe(d->secret, sizeof d->secret);
    templates_free(d->templates);
    free(d->url);
    free(d);
    a->digest = NULL;
}
