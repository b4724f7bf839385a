/* SPDX-License-Identifier: Apache-2.0
 * Routes about the relay as a whole: its state, reloading. */
#include <microhttpd.h>
#include "admin/figures.h"
#include "admin/internal.h"
#include "admin/web.h"

#define REPORT_MS 5000
#define RELOAD_MS 90000

/* ---- GET /v1/status */

static void on_figures(void *arg, const json_t *all)
{
    struct http_request *r = arg;
    web_complete(r->admin, json_object_get(all, "web"));
    http_answer(r, MHD_HTTP_OK, json_incref((json_t *)(uintptr_t)all));
}

static void serve_status(struct http_request *r)
{
    figures_ask(r->admin, on_figures, r);
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
    ask_workers(r->admin, json_pack("{s:s}", "op", "tls-report"), REPORT_MS, on_tls_report, r);
}

/* ---- the table */

const struct route routes_status[] = {
    { "GET", "/v1/status", "the master, its workers and their figures", serve_status, RIGHT_STATUS,
      .answers = "version: string, uptime: integer, workers: array, figures: array, helpers: array, missing: integer, web: object, store?: object" },
    { "POST", "/v1/reload", "bring the configuration file in force", serve_reload, RIGHT_CONFIGURE,
      .answers = "ok: boolean, findings?: array, error?: string" },
    { "POST", "/v1/tls-report", "send the TLS reports of what was counted so far", serve_tls_report, RIGHT_CONFIGURE,
      .answers = "wanted: boolean, missing: integer" },
    { 0 },
};
