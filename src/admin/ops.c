/* SPDX-License-Identifier: Apache-2.0
 * Routes for those who look after many machines: metrics, and trying webhooks. */
#include <microhttpd.h>
#include <stdio.h>
#include "admin/figures.h"
#include "admin/internal.h"
#include "admin/metrics.h"
#include "config/config_web.h"

#define TEST_MS 70000 /* webhooks[].timeout is at most a minute */

/* ---- GET /metrics */

static void on_figures(void *arg, const json_t *all)
{
    struct buf text = { 0 };
    metrics_write(&text, all);
    http_answer_text(arg, MHD_HTTP_OK, METRICS_TYPE, buf_slice(&text));
    buf_deinit(&text);
}

static void serve_metrics(struct http_request *r)
{
    figures_ask(r->admin, on_figures, r);
}

/* ---- POST /v1/webhooks/test */

static void on_tested(void *arg, json_t *answers, unsigned missing)
{
    json_t *answer = http_only_answer(arg, answers, "a relay worker");
    if (answer) http_answer(arg, MHD_HTTP_OK, answer);
}

static void serve_test(struct http_request *r)
{
    json_t *request = json_pack("{s:s}", "op", "webhook-test"), *url = json_object_get(r->json, "url");
    struct config_webhook_url parts;
    char host[300] = ""; /* the path may be a secret */
    if (url) json_object_set(request, "url", url);
    if (url && config_webhook_url_parse(json_string_value(url), &parts)) snprintf(host, sizeof host, "%.*s", SLICE_ARG(parts.host));
    http_audit(r, host[0] ? host : NULL, NULL);
    ask_worker(r->admin, request, TEST_MS, on_tested, r);
}

static const struct route_field test_body[] = {
    { "url", ROUTE_TEXT, false, "that one alone, of those in the configuration", NULL }, { 0 },
};

const struct route routes_ops[] = {
    { "GET", "/metrics", "figures for Prometheus (text format 0.0.4)", serve_metrics, RIGHT_METRICS },
    { "POST", "/v1/webhooks/test", "send an event \"test\" to webhooks, past their queues", serve_test, RIGHT_CONFIGURE, .body = test_body,
      .answers = "results: array" },
    { 0 },
};
