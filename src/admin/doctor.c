/* SPDX-License-Identifier: Apache-2.0
 * Routes about how the relay is set up: the set-up check, the records that a domain needs, a connection tried, a mail
 * explained. A relay worker finds it out, as it has the resolver, the certificates and the rules. */
#include <microhttpd.h>
#include "admin/internal.h"
#include "admin/web.h"
#include "base/base64.h"
#include "base/json.h"

#define DOCTOR_MS 30000 /* somewhat more than a worker takes at the most */
#define PROBE_MS 70000
#define MASTER_MS 5000
#define TEST_MS 30000
#define EXPLAIN_MS 60000
#define MESSAGE_MAX 700000 /* bytes: what goes to a worker in one piece */
#define REQUEST_MAX (CHANNEL_FRAME_MAX - 1024)

static void on_answer(void *arg, json_t *answers, unsigned missing)
{
    if (!json_object_size(json_array_get(answers, 0))) json_array_clear(answers); /* {}: one that has not begun */
    json_t *answer = http_only_answer(arg, answers, "a relay worker");
    if (answer) http_answer(arg, MHD_HTTP_OK, answer);
}

/* ---- GET /v1/doctor: what the worker found, and whether this process is served to people */

static json_t *web_finding(const json_t *web)
{
    const char *error = json_string_value(json_object_get(web, "error")), *listen = json_string_value(json_object_get(web, "listen"));
    if (!listen || !json_is_true(json_object_get(web, "enabled"))) return NULL;
    if (!error) return json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", "web", "subject", listen, "state", "ok", "text", "the web administration is served", "mend", "");
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s}", "id", "web", "subject", listen, "state", "error", "text",
                     json_sprintf("the web administration is not served: %s", error), "mend", "mend web.listen, or the certificate and key of web or tls; it is tried again",
                     "option", "web.listen");
}

static void on_doctor_master(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    json_t *found = r->parts, *web = json_object_get(json_array_get(answers, 0), "web"), *finding;
    r->parts = NULL;
    web_complete(r->admin, web);
    if ((finding = web_finding(web))) json_array_append_new(json_object_get(json_array_get(found, 0), "findings"), finding);
    json_decref(answers);
    on_answer(r, found, 0);
}

static void on_doctor(void *arg, json_t *answers, unsigned missing)
{
    struct http_request *r = arg;
    if (!json_object_get(json_array_get(answers, 0), "findings")) {
        on_answer(r, answers, missing);
        return;
    }
    r->parts = answers;
    ask_master(r->admin, "status", MASTER_MS, on_doctor_master, r);
}

static void serve_doctor(struct http_request *r)
{
    bool one = json_object_get(r->arguments, "domain") != NULL;
    ask_worker(r->admin, http_arguments(r, "doctor"), DOCTOR_MS, one ? on_answer : on_doctor, r);
}

static void serve_records(struct http_request *r)
{
    ask_worker(r->admin, http_arguments(r, "records"), DOCTOR_MS, on_answer, r);
}

/* Takes request. */
static void ask_checked(struct http_request *r, json_t *request, unsigned ms)
{
    if (json_dumpb(request, NULL, 0, JSON_COMPACT) <= REQUEST_MAX) {
        ask_worker(r->admin, request, ms, on_answer, r);
        return;
    }
    json_decref(request);
    http_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "this is too much at once");
}

/* ---- POST /v1/probe */

static void serve_probe(struct http_request *r)
{
    json_t *request = json_copy(r->json);
    const char *host = json_string_value(json_object_get(request, "host"));
    json_object_set_new(request, "op", json_string("probe"));
    http_audit(r, host, NULL);
    ask_checked(r, request, PROBE_MS);
}

/* ---- POST /v1/test-message */

static void serve_test_message(struct http_request *r)
{
    json_t *request = json_copy(r->json);
    json_object_set_new(request, "op", json_string("test-message"));
    http_audit(r, json_string_value(json_object_get(request, "to")), NULL);
    ask_checked(r, request, TEST_MS);
}

/* ---- POST /v1/explain */

/* A message as text: there is no colon in base64, and none without a colon is a message. False: it is too large. */
static bool take_message(json_t *mail)
{
    struct slice text = json_text(mail, "message");
    struct buf base64 = { 0 };
    if (!text.p || slice_find(text, ':') < 0) return true;
    if (text.n > MESSAGE_MAX) return false;
    base64_add(&base64, text);
    json_object_set_new(mail, "message", json_stringn(base64.p, base64.n));
    buf_deinit(&base64);
    return true;
}

static void serve_explain(struct http_request *r)
{
    json_t *mail = json_copy(r->json);
    if (take_message(mail)) {
        ask_checked(r, json_pack("{s:s, s:o}", "op", "explain", "mail", mail), EXPLAIN_MS);
        return;
    }
    json_decref(mail);
    http_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "message: at most 700 kB; `postern scan` takes larger ones");
}

/* ---- the table */

static const struct route_field doctor_arguments[] = {
    { "domain", ROUTE_TEXT, false, "look at this one alone; else at the relay itself and all its domains", NULL },
    { "fresh", ROUTE_BOOL, false, "look again, though there is a result of the last minute", NULL },
    { 0 },
};

static const struct route_field probe_body[] = {
    { "host", ROUTE_TEXT, true, "a host name or an address; \"mx:DOMAIN\": the MX hosts of a domain", NULL },
    { "port", ROUTE_NUMBER, false, "25 unless given; 465 is TLS from the first byte", NULL },
    { "tls", ROUTE_TEXT, false, "what is asked for, as in delivery.tls", "none may encrypt verify" },
    { "recipient", ROUTE_TEXT, false, "asked for with RCPT; nothing is sent", NULL },
    { "sender", ROUTE_TEXT, false, "of MAIL; empty: the null sender", NULL },
    { 0 },
};

static const struct route_field test_message_body[] = {
    { "to", ROUTE_TEXT, true, "an address in one of the relay's domains, or the postmaster's", NULL },
    { "from", ROUTE_TEXT, false, "likewise; the postmaster's if it is not given", NULL },
    { 0 },
};

static const struct route_field explain_body[] = {
    { "client", ROUTE_TEXT, true, "its IP address", NULL },
    { "to", ROUTE_TEXTS, true, "recipients", NULL },
    { "from", ROUTE_TEXT, false, "the sender; empty: the null sender", NULL },
    { "helo", ROUTE_TEXT, false, "the client's name in EHLO", NULL },
    { "account", ROUTE_TEXT, false, "who has logged in", NULL },
    { "zone", ROUTE_TEXT, false, "its zone, where a listener decides on that; else by its address", NULL },
    { "message", ROUTE_TEXT, false, "the message, as text or in base64, at most 700 kB: what it holds is judged, too",
      NULL },
    { 0 },
};

const struct route routes_doctor[] = {
    { "GET", "/v1/doctor", "is the relay set up well? Takes up to 20 seconds", serve_doctor, RIGHT_CONFIG,
      .arguments = doctor_arguments, .answers = "findings: array, running: boolean, left_out?: integer" },
    { "GET", "/v1/records", "the DNS records that a domain needs, and what is there", serve_records, RIGHT_CONFIG,
      .arguments = doctor_arguments, .answers = "records: array, left_out?: integer" },
    { "POST", "/v1/probe", "connect to a host as delivery would, without sending mail", serve_probe, RIGHT_CONFIGURE,
      .body = probe_body,
      .answers = "ok: boolean, host: string, port: integer, steps: array, extensions: array, tls?: object" },
    { "POST", "/v1/test-message", "send a short message to one's own, to see whether it arrives; /v1/trace?id= tells", serve_test_message,
      RIGHT_CONFIGURE, .body = test_message_body, .answers = "id: string" },
    { "POST", "/v1/explain", "what would become of a mail", serve_explain, RIGHT_MAIL, .body = explain_body,
      .answers = "zone?: string, trusted?: boolean, recipients: array, copies?: array, score?: number, stages: array, "
                 "trace: array" },
    { 0 },
};
