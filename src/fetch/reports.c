/* SPDX-License-Identifier: Apache-2.0
 * From a day's counts to reports at their receivers. What is not sent stays on disk and is tried again for two days. */
#include "fetch/reports.h"
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "fetch/report_mail.h"
#include "smtp/address.h"

#define DAY 86400
#define TICK_S 60
#define START_SPREAD_S 7200       /* not everybody's reports at midnight */
#define KEEP_DAYS 2
#define PAUSE_S 1                 /* between two reports */
#define PAUSE_AFTER_TROUBLE_S 600
#define POST_TIMEOUT_MS 60000

struct file {                     /* counts of one day, as one process kept them */
    struct list link;
    char *path;
    json_t *counts;
};

struct reports {
    struct reports_options o;
    struct event *tick, *next;
    json_t *counts;               /* today's */
    char *path;                   /* of today's */
    bool changed, now, full;
    int64_t spread;
    struct list files;            /* of days that are over */
    /* the report under way */
    struct resolver_query *lookup;
    struct https_request *request;
    char domain[256], id[300];
    char rua[TLS_REPORT_RUA_MAX][512];
    size_t rua_n, rua_at, rua_ok;
    uint64_t ticket;
    bool busy;
    struct buf packed;
    struct file *file;
};

static int64_t today(void)
{
    int64_t now = (int64_t)time(NULL);
    return now - now % DAY;
}

/* ---- on disk */

static void write_json(const char *path, const json_t *v)
{
    char part[4400];
    snprintf(part, sizeof part, "%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && json_dumpfd(v, fd, JSON_COMPACT) == 0;
    if (fd >= 0) close(fd);
    if (!ok || rename(part, path) != 0)
        log_event(LOG_WARNING, "tls-counts-not-saved", LOG_STR("file", path), LOG_NUM("errno", errno));
}

static void begin_day(struct reports *r)
{
    char path[4300];
    int64_t day = today();
    snprintf(path, sizeof path, "%s/counts-%lld-%d.json", r->o.directory, (long long)day, (int)getpid());
    free(r->path);
    r->path = mem_strdup(path);
    r->counts = tls_counts_new(day);
    r->changed = r->full = false;
}

static void file_free(struct file *f)
{
    list_remove(&f->link);
    json_decref(f->counts);
    free(f->path);
    free(f);
}

static void add_file(struct reports *r, const char *path, json_t *counts)
{
    struct file *f = mem_new(struct file);
    f->path = mem_strdup(path);
    f->counts = counts;
    list_push_back(&r->files, &f->link);
}

/* What this and other processes left of days that are over. */
static void find_files(struct reports *r)
{
    DIR *d = opendir(r->o.directory);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        char path[4400];
        long long day;
        if (sscanf(e->d_name, "counts-%lld-", &day) != 1 || strstr(e->d_name, ".part") || day >= today()) continue;
        snprintf(path, sizeof path, "%s/%s", r->o.directory, e->d_name);
        json_t *counts = day >= today() - KEEP_DAYS * DAY ? json_load_file(path, 0, NULL) : NULL;
        if (counts && tls_counts_next(counts, NULL) && tls_counts_day(counts) == day) {
            add_file(r, path, counts);
            continue;
        }
        json_decref(counts);
        (void)unlink(path);
    }
    if (d) closedir(d);
}

static void save(struct reports *r)
{
    if (r->changed) write_json(r->path, r->counts);
    r->changed = false;
}

/* ---- one report */

static void next_in(struct reports *r, int seconds)
{
    event_add(r->next, &(struct timeval){ seconds, 0 });
}

/* The domain is done with: sent, or there is nobody to send to. */
static void close_domain(struct reports *r)
{
    struct file *f = r->file;
    json_object_del(json_object_get(f->counts, "domains"), r->domain);
    r->busy = false;
    r->file = NULL;
    if (tls_counts_next(f->counts, NULL)) write_json(f->path, f->counts);
    else {
        (void)unlink(f->path);
        file_free(f);
    }
    next_in(r, PAUSE_S);
}

static void give_up(struct reports *r, const char *why)
{
    log_event(LOG_WARNING, "tls-report-not-sent", LOG_STR("domain", r->domain), LOG_STR("reason", why));
    r->busy = false;
    list_remove(&r->file->link); /* the others first */
    list_push_back(&r->files, &r->file->link);
    r->file = NULL;
    next_in(r, PAUSE_AFTER_TROUBLE_S);
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

static void send_mail(struct reports *r, const char *to)
{
    struct buf text = { 0 };
    char boundary[40];
    unsigned char random[8];
    struct address address;
    int64_t day = tls_counts_day(r->file->counts);
    if (address_parse(slice_str(to), &address)) { /* also: nothing that could end a line */
        sent(r, false, "not a mail address");
        return;
    }
    (void)!RAND_bytes(random, sizeof random);
    snprintf(boundary, sizeof boundary, "=_%02x%02x%02x%02x%02x%02x", random[0], random[1], random[2], random[3], random[4],
             random[5]);
    memcpy(&r->ticket, random, sizeof r->ticket);
    r->ticket = r->ticket >> 12 | 1; /* JSON's numbers */
    struct report_mail m = { .from = r->o.contact, .domain = r->domain, .submitter = r->o.hostname, .id = r->id,
                             .boundary = boundary, .to = slice_str(to), .packed = buf_slice(&r->packed), .start = day,
                             .end = day + DAY - 1 };
    report_mail_format(&m, &text);
    bool ok = r->o.submit(r->o.arg, r->ticket, to, buf_slice(&text));
    buf_deinit(&text);
    if (!ok) sent(r, false, "there is no worker to send it");
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
    struct https_target t = { .host = host, .ips = a->ips, .ip_n = a->n < 16 ? a->n : 16 };
    struct slice body = buf_slice(&r->packed);
    r->lookup = NULL;
    if (a->status != RESOLVER_OK || !a->n) sent(r, false, "the host has no address");
    else if (split_url(r->rua[r->rua_at], host, &t.port, &t.path))
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
    if (!r->rua_n) { /* nobody wants to know */
        close_domain(r);
        return;
    }
    snprintf(r->id, sizeof r->id, "%lld.%llx@%.240s", (long long)day,
             (unsigned long long)(hash_bytes(slice_str(r->domain)) & 0xFFFFFFFFFF), r->o.hostname);
    json_t *report = tls_report_make(r->file->counts, r->domain, r->o.hostname, r->o.contact, r->id);
    buf_clear(&r->packed);
    if (report && report_pack(report, &r->packed)) send_to_next(r);
    else close_domain(r);
    json_decref(report);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
    struct reports *r = arg;
    char name[300];
    if (r->busy || list_empty(&r->files)) return;
    r->file = list_entry(r->files.next, struct file, link);
    const char *domain = tls_counts_next(r->file->counts, NULL);
    r->busy = true;
    snprintf(r->domain, sizeof r->domain, "%s", domain ? domain : "");
    snprintf(name, sizeof name, "_smtp._tls.%s", r->domain);
    r->lookup = resolver_txt(r->o.resolver, slice_str(name), on_record, r);
}

/* ---- the days */

static void end_day(struct reports *r)
{
    save(r);
    if (tls_counts_next(r->counts, NULL)) add_file(r, r->path, r->counts);
    else json_decref(r->counts);
    begin_day(r);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct reports *r = arg;
    save(r);
    if (tls_counts_day(r->counts) == today()) return;
    end_day(r);
    next_in(r, (int)r->spread);
}

void reports_send_now(struct reports *r)
{
    end_day(r); /* what comes later today makes another report */
    if (!r->busy) next_in(r, 0);
}

void reports_count(struct reports *r, const struct tls_event *e)
{
    if (tls_counts_add(r->counts, e)) r->changed = true;
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
    find_files(r);
    begin_day(r);
    if (!list_empty(&r->files)) next_in(r, TICK_S);
    return r;
}

void reports_free(struct reports *r)
{
    if (!r) return;
    save(r);
    resolver_cancel(&r->lookup);
    https_cancel(&r->request);
    list_each_safe(it, &r->files) file_free(list_entry(it, struct file, link));
    event_free(r->tick);
    event_free(r->next);
    json_decref(r->counts);
    buf_deinit(&r->packed);
    free(r->path);
    free(r);
}
