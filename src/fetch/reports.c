/* SPDX-License-Identifier: Apache-2.0
 * From a day's counts to reports at their receivers. What is not sent stays on disk and is tried again for two days. */
#include "fetch/reports.h"
#include <event2/event.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "fetch/counts_files.h"
#include "fetch/report_mail.h"
#include "smtp/address.h"

#define DAY 86400
#define TICK_S 60
#define START_SPREAD_S 7200       /* not everybody's reports at midnight */
#define KEEP_DAYS 2
#define PAUSE_S 1                 /* between two reports */
#define ROUND_S 1800              /* before those that could not be sent are tried again */
#define SUBMIT_S 120              /* a worker that was given a report and says nothing */
#define POST_TIMEOUT_MS 60000

struct reports {
    struct reports_options o;
    struct event *tick, *next;
    struct counts_file *current;  /* of today */
    bool full;
    int64_t spread;
    struct list files;            /* of days that are over: what is in them is to be reported */
    /* the report under way */
    struct resolver_query *lookup;
    struct https_request *request;
    char domain[256], id[300];
    char rua[TLS_REPORT_RUA_MAX][512];
    size_t rua_n, rua_at, rua_ok;
    uint64_t ticket;
    bool busy;
    struct buf packed;
    struct counts_file *file;
};

static int64_t today(void)
{
    int64_t now = (int64_t)time(NULL);
    return now - now % DAY;
}

/* ---- one report */

static void next_in(struct reports *r, int seconds)
{
    event_add(r->next, &(struct timeval){ seconds, 0 });
}

/* The domain is done with: sent, or there is nobody to send to. */
static void close_domain(struct reports *r)
{
    struct counts_file *f = r->file;
    json_object_del(json_object_get(f->counts, "domains"), r->domain);
    f->changed = true; /* saved with the next tick: not thousands of times in a row */
    f->left--;
    r->busy = false;
    r->file = NULL;
    if (!tls_counts_next(f->counts, NULL)) {
        counts_file_save(f);
        counts_file_free(f);
    }
    next_in(r, PAUSE_S);
}

/* All others come first. */
static void give_up(struct reports *r, const char *why)
{
    json_t *domains = json_object_get(r->file->counts, "domains"), *counted = json_incref(json_object_get(domains, r->domain));
    log_event(LOG_WARNING, "tls-report-not-sent", LOG_STR("domain", r->domain), LOG_STR("reason", why));
    json_object_del(domains, r->domain);
    json_object_set_new(domains, r->domain, counted); /* they stand in the order in which they came */
    r->file->left--;
    r->busy = false;
    r->file = NULL;
    next_in(r, PAUSE_S);
}

static void send_to_next(struct reports *r);

static void sent(struct reports *r, bool ok, const char *why)
{
    log_event(ok ? LOG_INFO : LOG_WARNING, ok ? "tls-report-sent" : "tls-report-not-sent", LOG_STR("domain", r->domain),
              LOG_STR("to", r->rua[r->rua_at]), LOG_STR("reason", why));
    r->rua_ok += ok;
    r->rua_at++;
    send_to_next(r);
}

void reports_submitted(struct reports *r, uint64_t ticket, bool ok)
{
    if (!r->busy || ticket != r->ticket) return;
    r->ticket = 0;
    sent(r, ok, ok ? NULL : "the message was not taken");
}

/* RFC 6068 §2: "local%2Dpart@domain?subject=..."; of the fields nothing is wanted. */
static bool read_mailto(const char *uri, struct buf *out)
{
    for (const char *p = uri; *p && *p != '?'; p++) {
        int high = *p == '%' ? ascii_hex(p[1]) : -1, low = high < 0 ? -1 : ascii_hex(p[2]);
        if (*p == '%' && low < 0) return false;
        buf_add_char(out, *p == '%' ? (char)(16 * high + low) : *p);
        if (*p == '%') p += 2;
    }
    struct address address; /* also: nothing in it that could end a line */
    return !address_parse(buf_slice(out), &address) && !address.utf8;
}

static void send_mail(struct reports *r, const char *to)
{
    struct buf text = { 0 };
    char boundary[40];
    unsigned char random[8];
    int64_t day = tls_counts_day(r->file->counts);
    struct buf address = { 0 };
    if (!read_mailto(to, &address)) {
        buf_deinit(&address);
        sent(r, false, "not a mail address");
        return;
    }
    (void)!RAND_bytes(random, sizeof random);
    snprintf(boundary, sizeof boundary, "=_%02x%02x%02x%02x%02x%02x", random[0], random[1], random[2], random[3], random[4],
             random[5]);
    memcpy(&r->ticket, random, sizeof r->ticket);
    r->ticket = r->ticket >> 12 | 1; /* JSON's numbers */
    struct report_mail m = { .from = r->o.contact, .domain = r->domain, .submitter = r->o.hostname, .id = r->id,
                             .boundary = boundary, .to = buf_slice(&address), .packed = buf_slice(&r->packed), .start = day,
                             .end = day + DAY - 1 };
    report_mail_format(&m, &text);
    bool ok = r->o.submit(r->o.arg, r->ticket, buf_cstr(&address), buf_slice(&text));
    buf_deinit(&address);
    buf_deinit(&text);
    if (ok) next_in(r, SUBMIT_S);
    else sent(r, false, "there is no worker to send it, or it is too large");
}

static void on_posted(void *arg, const struct https_answer *a)
{
    struct reports *r = arg;
    char text[60];
    r->request = NULL;
    snprintf(text, sizeof text, "the server answered %ld", a->status);
    sent(r, a->status / 100 == 2, a->status ? a->status / 100 == 2 ? NULL : text : a->reason);
}

/* "https://host[:port]/path" */
static bool split_url(const char *url, char host[256], uint16_t *port, const char **path)
{
    struct slice rest = slice_str(url + strlen("https://")), name, number;
    uint64_t n = 443;
    ptrdiff_t slash = slice_find(rest, '/');
    *path = slash < 0 ? "/" : rest.p + slash;
    if (slash >= 0) rest.n = (size_t)slash;
    if (slice_cut(&rest, ':', &name)) {
        number = rest;
        if (!slice_to_u64(number, 65535, &n) || !n) return false;
    }
    if (name.n > 255 || !address_domain_ok(name, true)) return false;
    for (size_t i = 0; i < name.n; i++) host[i] = ascii_lower(name.p[i]);
    host[name.n] = 0;
    *port = (uint16_t)n;
    return true;
}

static void on_addresses(void *arg, const struct resolver_answer *a)
{
    struct reports *r = arg;
    char host[256];
    struct https_target t = { .host = host, .ips = a->ips, .ip_n = a->n };
    struct slice body = buf_slice(&r->packed);
    r->lookup = NULL;
    if (a->status != RESOLVER_OK || !a->n) sent(r, false, "the host has no address");
    else if (!split_url(r->rua[r->rua_at], host, &t.port, &t.path)) sent(r, false, "not a web address");
    else
        r->request = https_start(r->o.https, &t, "application/tlsrpt+gzip", &body, 65536, POST_TIMEOUT_MS, on_posted, r);
}

static void send_to_next(struct reports *r)
{
    char host[256];
    const char *path;
    uint16_t port;
    if (r->rua_at == r->rua_n) {
        if (r->rua_ok) close_domain(r);
        else give_up(r, "nobody took it");
        return;
    }
    const char *rua = r->rua[r->rua_at];
    if (slice_istarts(slice_str(rua), SLICE("mailto:"))) send_mail(r, rua + 7);
    else if (split_url(rua, host, &port, &path))
        r->lookup = resolver_addresses(r->o.resolver, slice_str(host), true, true, on_addresses, r);
    else sent(r, false, "not a web address");
}

static void on_record(void *arg, const struct resolver_answer *a)
{
    struct reports *r = arg;
    int64_t day = tls_counts_day(r->file->counts);
    r->lookup = NULL;
    if (a->status == RESOLVER_TEMPFAIL) {
        give_up(r, a->reason);
        return;
    }
    r->rua_n = a->status == RESOLVER_OK ? tls_report_rua(a->texts, a->n, r->rua) : 0;
    r->rua_at = r->rua_ok = 0;
    if (!r->rua_n) {
        log_event(LOG_DEBUG, "tls-report-not-wanted", LOG_STR("domain", r->domain));
        close_domain(r);
        return;
    }
    /* The same when it is tried again, another one for each part of a day. */
    snprintf(r->id, sizeof r->id, "%lld.%llx.%llx@%.230s", (long long)day,
             (unsigned long long)(hash_bytes(slice_str(r->file->path)) & 0xFFFFFFFFFF),
             (unsigned long long)(hash_bytes(slice_str(r->domain)) & 0xFFFFFFFFFF), r->o.hostname);
    json_t *report = tls_report_make(r->file->counts, r->domain, r->o.hostname, r->o.contact, r->id);
    buf_clear(&r->packed);
    if (report && report_pack(report, &r->packed)) send_to_next(r);
    else close_domain(r);
    json_decref(report);
}

/* The first file with a domain whose turn it is; what could not be told in two days is not told. */
static struct counts_file *next_file(struct reports *r)
{
    list_each_safe(it, &r->files) {
        struct counts_file *f = list_entry(it, struct counts_file, link);
        if (tls_counts_day(f->counts) < today() - KEEP_DAYS * DAY) {
            (void)unlink(f->path);
            counts_file_free(f);
        } else if (f->left)
            return f;
    }
    return NULL;
}

static void new_round(struct reports *r)
{
    list_each(it, &r->files) {
        struct counts_file *f = list_entry(it, struct counts_file, link);
        f->left = json_object_size(json_object_get(f->counts, "domains"));
    }
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
    struct reports *r = arg;
    char name[300];
    if (r->busy) {
        if (r->ticket) reports_submitted(r, r->ticket, false);
        return;
    }
    r->file = next_file(r);
    if (!r->file) {
        new_round(r);
        if (!list_empty(&r->files)) next_in(r, ROUND_S);
        return;
    }
    const char *domain = tls_counts_next(r->file->counts, NULL);
    r->busy = true;
    snprintf(r->domain, sizeof r->domain, "%s", domain ? domain : "");
    snprintf(name, sizeof name, "_smtp._tls.%s", r->domain);
    r->lookup = resolver_txt(r->o.resolver, slice_str(name), on_record, r);
}

/* ---- the days */

static void save(struct reports *r)
{
    counts_file_save(r->current);
    list_each(it, &r->files) counts_file_save(list_entry(it, struct counts_file, link));
}

static void end_day(struct reports *r)
{
    struct counts_file *f = r->current;
    counts_file_save(f);
    f->left = json_object_size(json_object_get(f->counts, "domains"));
    if (f->left) list_push_back(&r->files, &f->link);
    else counts_file_free(f);
    r->current = counts_file_new(r->o.directory, today());
    r->full = false;
}

static bool find_files(struct reports *r, int64_t last)
{
    return counts_files_find(r->o.directory, today() - KEEP_DAYS * DAY, last, &r->files, r->current);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct reports *r = arg;
    bool over = tls_counts_day(r->current->counts) != today();
    save(r);
    if (over) end_day(r);
    bool found = find_files(r, today() - DAY);
    if (!over && !found) return;
    if (!r->busy && !event_pending(r->next, EV_TIMEOUT, NULL)) next_in(r, over ? (int)r->spread : PAUSE_S);
}

void reports_send_now(struct reports *r)
{
    end_day(r); /* what comes later today makes another report */
    (void)find_files(r, today());
    new_round(r);
    if (!r->busy) next_in(r, 0);
}

void reports_count(struct reports *r, const struct tls_event *e)
{
    if (tls_counts_add(r->current->counts, e)) r->current->changed = true;
    else if (!r->full) {
        r->full = true;
        log_event(LOG_WARNING, "tls-counts-full", LOG_NUM("domains", TLS_REPORT_DOMAINS_MAX));
    }
}

struct reports *reports_new(const struct reports_options *o)
{
    struct reports *r = mem_new(struct reports);
    r->o = *o;
    list_init(&r->files);
    r->tick = event_new(o->base, -1, EV_PERSIST, on_tick, r);
    event_add(r->tick, &(struct timeval){ TICK_S, 0 });
    r->next = evtimer_new(o->base, on_next, r);
    r->spread = (int64_t)(hash_bytes(slice_str(o->hostname)) % START_SPREAD_S);
    r->current = counts_file_new(o->directory, today());
    if (find_files(r, today() - DAY)) next_in(r, TICK_S);
    return r;
}

void reports_free(struct reports *r)
{
    if (!r) return;
    save(r);
    resolver_cancel(&r->lookup);
    https_cancel(&r->request);
    list_each_safe(it, &r->files) counts_file_free(list_entry(it, struct counts_file, link));
    event_free(r->tick);
    event_free(r->next);
    counts_file_free(r->current);
    buf_deinit(&r->packed);
    free(r);
}
