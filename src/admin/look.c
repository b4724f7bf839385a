/* SPDX-License-Identifier: Apache-2.0
 * What is looked at: a message or a TLS report that somebody sends, which this process never takes apart but hands on; the texts of notices; lists
 * in the DNS; the kernel's rules for transparent zones. */
#include <microhttpd.h>
#include "admin/config.h"
#include "admin/figures.h"
#include "admin/internal.h"
#include "base/base64.h"
#include "base/io.h"
#include "base/json.h"
#include "config/dns_catalogue.h"
#include "content/report.h"

#define TLS_REPORT_MAX (8u << 20) /* bytes: as base64 in one request to the process that reads it */
#define TOO_LARGE "the report is larger than 8 MB; `postern tls-report show` takes larger ones"
#define SCAN_MS 300000            /* scan.timeout twice, and somewhat more */

/* ---- POST /v1/scan: what a scan process says of the message, and then what it shows of it */

static void on_view(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *answer = http_only_answer(r, answers, "a relay worker");
    if (!answer) return;
    report_add_view(r->parts, json_object_get(answer, "view"));
    json_decref(answer);
    http_answer(r, MHD_HTTP_OK, json_incref(r->parts));
}

static void on_report(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *answer = http_only_answer(r, answers, "a relay worker");
    if (!answer) return;
    if (json_is_true(json_object_get(answer, "crashed"))) { /* no more processes for it */
        http_answer(r, MHD_HTTP_OK, answer);
        return;
    }
    r->parts = answer;
    ask_worker_with(r->admin, json_pack("{s:s}", "op", "view"), r->file, SCAN_MS, on_view, r);
}

static void serve_scan(struct http_request *r)
{
    if (r->file >= 0) ask_worker_with(r->admin, json_pack("{s:s}", "op", "scan"), r->file, SCAN_MS, on_report, r);
    else http_error(r, MHD_HTTP_BAD_REQUEST, "expected a message as the body");
}

/* ---- POST /v1/tls-report/show: read by a process that the master's child forks for it */

/* NULL: it cannot be read again. */
static json_t *report_request(const struct http_request *r)
{
    size_t n = (size_t)r->file_n;
    struct buf bytes = { 0 }, base64 = { 0 };
    char *to = buf_reserve(&bytes, n);
    bool ok = io_read_at(r->file, to, n, 0) == n;
    if (ok) base64_add(&base64, slice_of(to, n));
    json_t *request = ok ? json_pack("{s:s, s:s%}", "op", "tls-report", "file", base64.p, base64.n) : NULL;
    buf_deinit(&bytes);
    buf_deinit(&base64);
    return request;
}

/* Who read it may have been taken over by it. */
static void on_tls_report(struct http_request *r, json_t *answer)
{
    json_int_t status = json_integer_value(json_object_get(answer, "status"));
    r->admin->reads_report = false;
    json_object_del(answer, "status");
    if (status == MHD_HTTP_OK || status == MHD_HTTP_BAD_REQUEST || status == MHD_HTTP_SERVICE_UNAVAILABLE) {
        http_answer(r, (int)status, answer);
        return;
    }
    json_decref(answer);
    http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the process that read the report answered what makes no sense");
}

static void serve_tls_report(struct http_request *r)
{
    json_t *request = NULL;
    if (r->file < 0 || !r->file_n) http_error(r, MHD_HTTP_BAD_REQUEST, "expected a report as the body");
    else if (r->file_n > TLS_REPORT_MAX) http_error(r, MHD_HTTP_CONTENT_TOO_LARGE, TOO_LARGE);
    else if (r->admin->reads_report) http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "another report is being read; try again");
    else if (!(request = report_request(r))) http_error(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "the report cannot be read again");
    if (!request) return;
    r->admin->reads_report = true;
    config_ask(r, request, on_tls_report);
}

/* ---- GET /v1/dns-lists: the catalogue, and how those of the configuration are */

static json_int_t number_at(const json_t *j, const char *key) { return json_integer_value(json_object_get(j, key)); }

/* "off" is worse than "unknown", and that than "up". */
static bool is_worse(struct slice state, struct slice than)
{
    if (slice_eq(state, SLICE("unknown"))) return !slice_eq(than, SLICE("off"));
    return slice_eq(state, SLICE("off"));
}

/* Each worker asks for itself: counts are summed up, and of the states the worst is told. */
static void add_worker(json_t *lists, const json_t *of_worker)
{
    static const char *const counts[] = { "asked", "listed", "failed" }, *const told[] = { "state", "reason", "until", NULL };
    const json_t *l;
    size_t i;
    json_array_foreach(of_worker, i, l) {
        json_t *sum = json_array_get(lists, i);
        if (!sum) json_array_append_new(lists, json_deep_copy(l));
        if (!sum || !slice_eq(json_text(sum, "zone"), json_text(l, "zone"))) continue; /* the second: a worker of another generation */
        for (size_t k = 0; k < countof(counts); k++)
            json_object_set_new(sum, counts[k], json_integer(number_at(sum, counts[k]) + number_at(l, counts[k])));
        if (is_worse(json_text(l, "state"), json_text(sum, "state"))) config_take(sum, l, told);
    }
}

static void on_dns_lists(void *arg, const json_t *all)
{
    const json_t *of_worker;
    json_t *lists = json_array();
    size_t i;
    json_array_foreach(json_object_get(all, "figures"), i, of_worker)
        add_worker(lists, json_object_get(json_object_get(of_worker, "policy"), "dns_lists"));
    http_answer(arg, MHD_HTTP_OK, json_pack("{s:o, s:o}", "lists", lists, "catalogue", dns_catalogue_to_json()));
}

static void serve_dns_lists(struct http_request *r) { figures_ask(r->admin, on_dns_lists, r); }

/* ---- GET /v1/notices, GET /v1/notices/NAME, GET /v1/nft */

static void serve_notices(struct http_request *r) { config_ask(r, json_pack("{s:s}", "op", "notices"), config_answer); }

static void serve_notice(struct http_request *r)
{
    json_t *request = http_arguments(r, "notice"), *name = json_stringn(r->rest.p, r->rest.n);
    if (name) json_object_set_new(request, "name", name);
    config_ask(r, request, config_answer);
}

static void serve_nft(struct http_request *r) { config_ask(r, json_pack("{s:s}", "op", "nft"), config_answer); }

/* ---- the table */

static const struct route_field no_fields[] = { { 0 } };
static const struct route_field notice_arguments[] = {
    { "language", ROUTE_TEXT, false, "that of notices.language if it is not given", "en de it ja" },
    { 0 },
};

const struct route routes_look[] = {
    { "POST", "/v1/scan",
      "take the message that is the body apart, as the relay would: its parts, what is blocked, viruses, spam; nothing is learnt",
      serve_scan, RIGHT_MAIL, no_fields, .body_file = true,
      .answers = "verdict?: string, parts: array, findings: array, viruses: array, scanners: array, symbols: array, actions: array, "
                 "subject?: string, headers?: array, text?: string, links?: array, crashed?: boolean" },
    { "POST", "/v1/tls-report/show", "a TLS report that somebody sent, as the body: JSON, gzip'ed JSON, or the message it came in",
      serve_tls_report, RIGHT_MAIL, no_fields, .body_file = true,
      .answers = "organization?: string, contact?: string, report_id?: string, start?: string, end?: string, policies: array, more?: integer" },
    { "GET", "/v1/notices", "the texts that the relay writes: what each is for, and which files take the place of built-in ones",
      serve_notices, RIGHT_CONFIG, no_fields, .answers = "folder?: string, language: string, languages: array, notices: array" },
    { "GET", "/v1/notices/*", "one of them: the text in force, the built-in one, the file that takes its place",
      serve_notice, RIGHT_CONFIG, notice_arguments,
      .answers = "name: string, about: string, language: string, placeholders: array, mail: boolean, text: string, builtin: string, "
                 "replaced: boolean, folder?: string, file: string" },
    { "GET", "/v1/dns-lists", "the well-known lists in the DNS, and how those of the configuration are",
      serve_dns_lists, RIGHT_STATUS, no_fields, .answers = "lists: array, catalogue: array" },
    { "GET", "/v1/nft", "the kernel's rules for transparent zones, as nft -f takes them; installing them is `postern nft install`",
      serve_nft, RIGHT_CONFIG, no_fields, .answers = "text: string, zones: integer, notes: array" },
    { 0 },
};
