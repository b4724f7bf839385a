/* SPDX-License-Identifier: Apache-2.0
 * libcurl's multi interface, driven by the event loop. */
#include "fetch/https.h"
#include <curl/curl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/list.h"
#include "base/mem.h"

#define CONNECT_TIMEOUT_MS 20000
#define TARGET_IPS_MAX 16
#define HEADER_MAX 65536 /* bytes of all header fields of an answer */

struct https {
    struct event_base *base;
    CURLM *multi;
    struct event *timer, *finish;
    struct list done;        /* requests whose callback is due */
    char *ca;
    bool ca_is_folder;
};

struct https_request {
    struct https *https;
    struct list link;        /* in https.done */
    CURL *easy;
    struct curl_slist *resolve, *headers;
    struct buf body;
    https_cb *cb;
    void *arg;
    CURLcode code;
    size_t header_n;
    bool too_large, calling;
    char error[CURL_ERROR_SIZE];
};

/* ---- between libcurl and the loop */

static void collect(struct https *h)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(h->multi, &left))) {
        struct https_request *r = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
        r->code = m->data.result;
        if (!list_linked(&r->link)) list_push_back(&h->done, &r->link);
    }
    if (!list_empty(&h->done)) event_active(h->finish, EV_TIMEOUT, 0);
}

static void on_socket_ready(evutil_socket_t fd, short what, void *arg)
{
    struct https *h = arg;
    int running, mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(h->multi, fd, mask, &running);
    collect(h);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
    struct https *h = arg;
    struct event *ev = socket;
    if (ev) event_free(ev);
    ev = NULL;
    if (what != CURL_POLL_REMOVE) {
        short mask = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
        ev = event_new(h->base, fd, mask | EV_PERSIST, on_socket_ready, h);
        event_add(ev, NULL);
    }
    curl_multi_assign(h->multi, fd, ev);
    return 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct https *h = arg;
    int running;
    curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(h);
}

static int on_timer_wanted(CURLM *multi, long ms, void *arg)
{
    struct https *h = arg;
    struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
    if (ms < 0) event_del(h->timer);
    else event_add(h->timer, &tv);
    return 0;
}

/* ---- the end of a request */

static void request_free(struct https_request *r)
{
    list_remove(&r->link);
    curl_multi_remove_handle(r->https->multi, r->easy);
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->resolve);
    curl_slist_free_all(r->headers);
    buf_deinit(&r->body);
    free(r);
}

static bool is_about_certificates(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_CACERT_BADFILE;
}

static void conclude(struct https_request *r)
{
    struct https_answer a = { .type = "", .reason = "" };
    const char *type = NULL;
    if (r->code == CURLE_OK) {
        curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &a.status);
        curl_easy_getinfo(r->easy, CURLINFO_CONTENT_TYPE, &type);
        if (type) a.type = type;
        a.body = buf_slice(&r->body);
    } else {
        a.certificate_bad = is_about_certificates(r->code);
        a.reason = r->too_large ? "the answer is too large" : r->error[0] ? r->error : curl_easy_strerror(r->code);
    }
    r->calling = true;
    r->cb(r->arg, &a);
    request_free(r);
}

static void on_finish(evutil_socket_t fd, short what, void *arg)
{
    struct https *h = arg;
    struct list *node;
    while ((node = list_pop_front(&h->done))) conclude(list_entry(node, struct https_request, link));
}

/* ---- requests */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct https_request *r = arg;
    buf_add(&r->body, slice_of(p, size * n));
    r->too_large = r->body.overflow;
    return r->too_large ? 0 : size * n;
}

/* Interim answers may come without end, so all header fields count together. */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct https_request *r = arg;
    r->header_n += size * n;
    r->too_large = r->header_n > HEADER_MAX;
    return r->too_large ? 0 : size * n;
}

static void set_address(struct https_request *r, const struct https_target *t)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s:%u:", t->host, t->port);
    for (size_t i = 0; i < t->ip_n && i < TARGET_IPS_MAX; i++) {
        if (i) buf_add_char(&b, ',');
        if (t->ips[i].family == 6) buf_add_char(&b, '[');
        ip_add(&b, &t->ips[i]);
        if (t->ips[i].family == 6) buf_add_char(&b, ']');
    }
    bool address = strchr(t->host, ':') != NULL;
    if (!address) r->resolve = curl_slist_append(NULL, buf_cstr(&b));
    curl_easy_setopt(r->easy, CURLOPT_RESOLVE, r->resolve);
    buf_clear(&b);
    buf_addf(&b, "%s://%s%s%s:%u%s", t->plain ? "http" : "https", address ? "[" : "", t->host, address ? "]" : "", t->port, t->path);
    curl_easy_setopt(r->easy, CURLOPT_URL, buf_cstr(&b));
    buf_deinit(&b);
}

static void set_body(struct https_request *r, const char *type, struct slice body)
{
    char header[200];
    snprintf(header, sizeof header, "Content-Type: %s", type);
    r->headers = curl_slist_append(NULL, header);
    curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE, (long)body.n);
    curl_easy_setopt(r->easy, CURLOPT_COPYPOSTFIELDS, body.p ? body.p : "");
}

struct https_request *https_start(struct https *h, const struct https_target *t, const char *type, const struct slice *body,
                                  size_t max, uint64_t timeout_ms, https_cb *cb, void *arg)
{
    struct https_request *r = mem_new(struct https_request);
    r->https = h;
    r->cb = cb;
    r->arg = arg;
    r->body.max = max;
    r->easy = curl_easy_init();
    set_address(r, t);
    if (body) set_body(r, type ? type : "", *body);
    if (t->header) r->headers = curl_slist_append(r->headers, t->header);
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
    curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->error);
    curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(r->easy, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, t->plain ? "http" : "https");
    curl_easy_setopt(r->easy, CURLOPT_FOLLOWLOCATION, 0L); /* RFC 8461 §3.3 */
    curl_easy_setopt(r->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(r->easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(r->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(r->easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(r->easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(r->easy, CURLOPT_USERAGENT, "postern/" POSTERN_VERSION);
    curl_easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    if (h->ca) { /* and nobody else: libcurl would add the system's */
        curl_easy_setopt(r->easy, CURLOPT_CAPATH, h->ca_is_folder ? h->ca : NULL);
        curl_easy_setopt(r->easy, CURLOPT_CAINFO, h->ca_is_folder ? NULL : h->ca);
    }
    curl_multi_add_handle(h->multi, r->easy); /* the timer begins the work: from the loop */
    return r;
}

void https_cancel(struct https_request **rp)
{
    struct https_request *r = *rp;
    *rp = NULL;
    if (r && !r->calling) request_free(r);
}

/* ---- life */

struct https *https_new(struct event_base *base, const char *ca, struct err *err)
{
    struct stat st;
    if (*ca && stat(ca, &st) != 0) {
        err_set(err, "tls.ca: %.200s cannot be read", ca);
        return NULL;
    }
    struct https *h = mem_new(struct https);
    h->base = base;
    h->ca = *ca ? mem_strdup(ca) : NULL;
    h->ca_is_folder = *ca && S_ISDIR(st.st_mode);
    list_init(&h->done);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    h->multi = curl_multi_init();
    h->timer = evtimer_new(base, on_timer, h);
    h->finish = evtimer_new(base, on_finish, h);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    return h;
}

void https_free(struct https *h)
{
    if (!h) return;
    curl_multi_cleanup(h->multi);
    event_free(h->timer);
    event_free(h->finish);
    free(h->ca);
    free(h);
}
