/* SPDX-License-Identifier: Apache-2.0
 * The page behind the links of digests: libmicrohttpd on our event loop, one request a connection. Whoever follows a link (people, but also
 * scanners and previews) sees what it is about; only the form on it releases, by a POST that says the token once more. There are no cookies,
 * no scripts, and what is forged, expired or unknown looks all the same. */
#include "admin/digest.h"
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include "admin/digest_text.h"
#include "admin/http.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define CONNECTIONS 128
#define CONNECTIONS_AN_IP 16     /* of one address; not where a proxy is in front, which is one */
#define CONNECTION_MEMORY 16384
#define IDLE_SECONDS 15
#define LIFE_MS 60000            /* of a connection that waits for nothing of ours, however busy it is */
#define BODY_MAX 1024
#define STORE_MS 10000
#define SWEEP_SECONDS 5
#define REFUSED_TOLD_MS 60000    /* between two lines of the log */

struct digest_page {
    struct list node;            /* in digest.leaving */
    struct digest *d;
    struct http_front front;
    struct event *sweeper;
    char *certificate, *key;     /* NULL: plain HTTP */
    uint64_t refused, told;      /* links that were none; mono ms of the last line about them */
};

struct request {
    struct digest_page *page;
    struct MHD_Connection *mhd;
    bool post, waiting;
    char token[DIGEST_TOKEN_N + 1];
    struct digest_link link;
    struct buf body, answer;
    unsigned status;             /* 0: not answered yet */
    char *address;
    json_t *message;
};

/* ---- answers */

static void answer(struct request *r, enum digest_page_kind kind)
{
    static const unsigned codes[] = {
        [DIGEST_PAGE_ASK] = MHD_HTTP_OK, [DIGEST_PAGE_DONE] = MHD_HTTP_OK, [DIGEST_PAGE_AGAIN] = MHD_HTTP_OK,
        [DIGEST_PAGE_NONE] = MHD_HTTP_NOT_FOUND, [DIGEST_PAGE_LATER] = MHD_HTTP_SERVICE_UNAVAILABLE,
        [DIGEST_PAGE_METHOD] = MHD_HTTP_METHOD_NOT_ALLOWED,
    };
    r->status = codes[kind];
    digest_page_text(&r->page->d->wording, kind, r->message, slice_str(r->address), r->token, &r->answer);
    if (!r->waiting) return;
    r->waiting = false;
    http_resume(&r->page->front, r->mhd);
}

static enum MHD_Result respond(struct request *r)
{
    static const char *const headers[][2] = {
        { "Content-Type", "text/html; charset=utf-8" },
        { "Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'" },
        { "Referrer-Policy", "no-referrer" }, { "Cache-Control", "no-store" },      { "X-Content-Type-Options", "nosniff" },
        { "X-Frame-Options", "DENY" },        { "X-Robots-Tag", "noindex, nofollow" }, { "Connection", "close" },
    };
    struct MHD_Response *response = MHD_create_response_from_buffer(r->answer.n, r->answer.p, MHD_RESPMEM_MUST_COPY);
    if (!response) return MHD_NO;
    for (size_t i = 0; i < countof(headers); i++) MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (r->status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, "Allow", "GET, HEAD, POST");
    enum MHD_Result rc = MHD_queue_response(r->mhd, r->status, response);
    MHD_destroy_response(response);
    return rc;
}

/* A link that is none; of many, one line in the log. */
static void refuse(struct request *r)
{
    struct digest_page *p = r->page;
    uint64_t now = clock_mono_ms();
    p->refused++;
    if (!p->told || now - p->told > REFUSED_TOLD_MS) {
        log_event(LOG_INFO, "digest-link-refused", LOG_NUM("times", p->refused));
        p->told = now;
        p->refused = 0;
    }
    answer(r, DIGEST_PAGE_NONE);
}

/* ---- what a link is for */

static void on_released(void *arg, json_t *all)
{
    struct request *r = arg;
    const json_t *failed = json_array_get(json_object_get(all, "failed"), 0);
    if (json_array_size(json_object_get(all, "done"))) {
        log_event(LOG_INFO, "digest-link-used", LOG_ID(r->link.id), LOG_STR("to", r->address));
        answer(r, DIGEST_PAGE_DONE);
        return;
    }
    log_event(LOG_WARNING, "digest-link-failed", LOG_ID(r->link.id), LOG_STR("to", r->address),
              LOG_TEXT("error", json_text(failed, "error")));
    answer(r, DIGEST_PAGE_LATER);
}

static void release(struct request *r)
{
    char id[ID_TEXT_LEN + 1], ip[64], by[80];
    id_format(r->link.id, id);
    http_ip(http_address_of(r->mhd), ip, sizeof ip);
    snprintf(by, sizeof by, "link, from %s", ip);
    quarantine_release_one(r->page->d->admin, id, r->address, by, on_released, r);
}

static void on_found(void *arg, json_t *answers, unsigned missing)
{
    struct request *r = arg;
    json_t *m = json_incref(json_array_get(answers, 0));
    unsigned char hash[DIGEST_HASH_N];
    struct slice address = json_text(m, "address"), state = json_text(m, "state");
    json_decref(answers);
    digest_hash(address, hash);
    bool error = json_object_get(m, "error") != NULL, gone = json_is_true(json_object_get(m, "missing"));
    bool his = !error && m && memcmp(hash, r->link.recipient, sizeof hash) == 0 && digest_may_release(m);
    r->message = m;
    if (his) r->address = mem_slicedup(address);
    if (!m || (error && !gone)) answer(r, DIGEST_PAGE_LATER);
    else if (!his || slice_eq(state, SLICE("deleted"))) refuse(r);
    else if (slice_eq(state, SLICE("released"))) answer(r, DIGEST_PAGE_AGAIN);
    else if (r->post) release(r);
    else answer(r, DIGEST_PAGE_ASK);
}

/* ---- requests */

/* What follows the last "/release/"; a proxy may have put something in front. */
static bool read_path(struct request *r, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct slice before = slice_of(path, slash ? (size_t)(slash - path) : 0), token = slice_str(slash ? slash + 1 : "");
    if (!slice_iends(before, SLICE("/release")) || token.n != DIGEST_TOKEN_N) return false;
    memcpy(r->token, token.p, token.n);
    return true;
}

/* "token=TOKEN", which is all that the form sends. */
static bool body_fits(const struct request *r)
{
    struct slice body = slice_trim(buf_slice(&r->body));
    return slice_starts(body, SLICE("token=")) && slice_eq(slice_sub(body, 6, body.n), slice_str(r->token));
}

static void serve(struct request *r)
{
    const struct digest *d = r->page->d;
    char id[ID_TEXT_LEN + 1];
    bool fine = r->token[0] && digest_token_read(d->secret, slice_str(r->token), clock_wall_ms() / 1000, &r->link);
    if (!fine || (r->post && !body_fits(r))) {
        refuse(r);
    } else {
        id_format(r->link.id, id);
        ask_store(d->admin, json_pack("{s:s, s:s, s:I}", "op", "quarantine-digest-recipient", "id", id, "n", (json_int_t)r->link.number),
                  STORE_MS, on_found, r);
    }
}

static struct request *request_new(struct digest_page *p, struct MHD_Connection *mhd, const char *path, const char *method)
{
    struct request *r = mem_new(struct request);
    *r = (struct request){ .page = p, .mhd = mhd, .body = { .max = BODY_MAX } };
    r->post = !strcmp(method, MHD_HTTP_METHOD_POST);
    bool reads = !strcmp(method, MHD_HTTP_METHOD_GET) || !strcmp(method, MHD_HTTP_METHOD_HEAD);
    if (!r->post && !reads) answer(r, DIGEST_PAGE_METHOD);
    else if (!read_path(r, path)) refuse(r);
    return r;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *path, const char *method, const char *version,
                                  const char *data, size_t *data_n, void **state)
{
    struct request *r = *state;
    if (!r) {
        *state = request_new(container_of(arg, struct digest_page, front), mhd, path, method);
        return MHD_YES;
    }
    if (*data_n) { /* what does not fit is not read to its end */
        buf_add(&r->body, slice_of(data, *data_n));
        *data_n = 0;
        return r->body.overflow ? MHD_NO : MHD_YES;
    }
    if (!r->status) serve(r);
    if (r->status) return respond(r);
    r->waiting = true;
    http_suspend(&r->page->front, mhd);
    return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **state, enum MHD_RequestTerminationCode why)
{
    struct request *r = *state;
    *state = NULL;
    if (!r) return;
    json_decref(r->message);
    buf_deinit(&r->body);
    buf_deinit(&r->answer);
    free(r->address);
    free(r);
}

/* ---- connections: each has its time, however slowly it speaks */

static bool is_over(const struct http_front *f, const struct http_connection *c, uint64_t age)
{
    return age >= LIFE_MS;
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct digest_page *p = arg;
    http_front_sweep(&p->front, is_over);
}

/* ---- life */

static void page_free(struct digest_page *p)
{
    http_front_deinit(&p->front);
    if (p->sweeper) event_free(p->sweeper);
    if (p->key) mem_wipe(p->key, strlen(p->key));
    free(p->key);
    free(p->certificate);
    free(p);
}

struct digest_page *digest_page_open(struct digest *d, const struct digest_page_start *s, struct err *err)
{
    struct digest_page *p = mem_new(struct digest_page);
    *p = (struct digest_page){ .d = d, .front = { .admin = d->admin } };
    if (s->certificate.n) {
        p->certificate = mem_slicedup(s->certificate);
        p->key = mem_slicedup(s->key);
    }
    if (!http_front_start(&p->front, &(struct http_front_start){
            .socket = s->socket, .certificate = p->certificate, .key = p->key, .connections = CONNECTIONS,
            .connections_an_ip = p->certificate ? CONNECTIONS_AN_IP : 0, .idle_seconds = IDLE_SECONDS, .memory = CONNECTION_MEMORY,
            .on_request = on_request, .on_completed = on_completed })) {
        page_free(p);
        err_set(err, "HTTP cannot be started: see whether certificate and key fit each other");
        return NULL;
    }
    p->sweeper = event_new(d->admin->base, -1, EV_PERSIST, on_sweep, p);
    event_add(p->sweeper, &(struct timeval){ SWEEP_SECONDS, 0 });
    return p;
}

void digest_page_leave(struct digest_page *p, struct list *leaving)
{
    http_front_leave(&p->front);
    list_push_back(leaving, &p->node);
}

void digest_pages_sweep(struct list *leaving, bool all)
{
    list_each_safe(it, leaving) {
        struct digest_page *p = list_entry(it, struct digest_page, node);
        if (!all && !http_front_is_idle(&p->front)) continue;
        list_remove(&p->node);
        page_free(p);
    }
}
