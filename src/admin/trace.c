/* SPDX-License-Identifier: Apache-2.0
 * GET /v1/trace: the history, asked of the store. The store hands out the traces of checks as bytes; here they become readable. */
#include <microhttpd.h>
#include "admin/internal.h"
#include "base/base64.h"
#include "base/json.h"
#include "store/trace.h"

#define TRACE_MS 15000

/* Where a check is configured; of lists, where what refuses stands. */
static const char *option_of(const char *check, bool refuses)
{
    static const struct {
        const char *check, *option, *refusing;
    } options[] = {
        { "arc", "checks.arc" },
        { "attachments", "attachments" },
        { "client-limits", "checks.client_limits" },
        { "client-list", "checks.allow.clients", "checks.block.clients" },
        { "client-names", "checks.allow.clients", "checks.block.clients" },
        { "dkim", "checks.dkim" },
        { "dmarc", "checks.dmarc" },
        { "dns-lists-client", "checks.dns_lists" },
        { "dns-lists-helo", "checks.dns_lists" },
        { "dns-lists-sender", "checks.dns_lists" },
        { "greeting-pause", "checks.greeting_pause" },
        { "greylist", "checks.greylist" },
        { "helo", "checks.helo" },
        { "open-relay-guard", "guard.open_relay" },
        { "open-relay-names", "guard.open_relay" },
        { "outbound-guard", "guard.outbound" },
        { "recipient", "checks.recipient" },
        { "recipient-exists", "domains" },
        { "recipient-limit", "checks.recipient_limit" },
        { "recipient-list", "checks.allow.recipients", "checks.block.recipients" },
        { "relay", "relaying" },
        { "relaying-client", "relaying" },
        { "relaying-name", "relaying" },
        { "reputation", "checks.reputation" },
        { "reverse-dns", "checks.reverse_dns" },
        { "rules", "rules" },
        { "scan", "scan" },
        { "sender", "checks.sender" },
        { "sender-list", "checks.allow.senders", "checks.block.senders" },
        { "spam", "spam" },
        { "spf", "checks.spf" },
        { "stranger-watch", "guard.open_relay" },
        { "training", "spam.bayes" },
        { "training-address", "spam.bayes" },
        { "virus", "virus" },
    };
    for (size_t i = 0; i < countof(options); i++)
        if (!strcmp(options[i].check, check)) return refuses && options[i].refusing ? options[i].refusing : options[i].option;
    return NULL;
}

/* The same entries as people are shown them, each with where it is configured. */
static json_t *checks_json(const json_t *trace)
{
    json_t *list = json_array(), *e;
    size_t i;
    json_array_foreach(trace, i, e) {
        json_t *c = json_copy(e), *why = json_object_get(c, "why");
        const char *outcome = json_text(c, "outcome").p, *check = json_text(c, "check").p;
        const char *option = check && outcome ? option_of(check, !strcmp(outcome, "reject") || !strcmp(outcome, "defer")) : NULL;
        if (why) json_object_set(c, "reason", why);
        json_object_del(c, "why");
        if (option) json_object_set_new(c, "option", json_string(option));
        json_array_append_new(list, c);
    }
    return list;
}

static void decode(json_t *o)
{
    struct buf bytes = { 0 };
    struct slice text = json_text(o, "trace");
    json_t *trace = text.n && base64_decode(text, &bytes) ? trace_json(buf_slice(&bytes)) : NULL;
    buf_deinit(&bytes);
    json_object_del(o, "trace");
    if (!trace) return;
    json_object_set_new(o, "checks", checks_json(trace));
    json_object_set_new(o, "trace", trace); /* as explain has it */
}

static void on_found(void *arg, json_t *answers, unsigned missing)
{
    json_t *answer = http_only_answer(arg, answers, "the store"), *m, *e;
    size_t i, k;
    json_array_foreach(json_object_get(answer, "messages"), i, m) {
        decode(m);
        json_array_foreach(json_object_get(m, "events"), k, e) decode(e);
    }
    if (answer) http_answer(arg, MHD_HTTP_OK, answer);
}

static void serve(struct http_request *r)
{
    json_t *request = http_arguments(r, "trace");
    if (!strcmp(json_text(request, "result").n ? json_text(request, "result").p : "", "tag")) /* as statistics name it */
        json_object_set_new(request, "result", json_string("score"));
    ask_store(r->admin, request, TRACE_MS, on_found, r);
}

/* ---- the table */

static const struct route_field arguments[] = {
    { "id", ROUTE_TEXT, false, "of one message, or the reference of a refusal: its whole story", NULL },
    { "sender", ROUTE_TEXT, false, "\"<>\", an address, \"example.org\", or \".example.org\" for those below it", NULL },
    { "recipient", ROUTE_TEXT, false, "an address, \"example.org\", or \".example.org\"", NULL },
    { "address", ROUTE_TEXT, false, "the sender's or a recipient's", NULL },
    { "client", ROUTE_TEXT, false, "its IP address, or a network", NULL },
    { "outcome", ROUTE_TEXT, false, "what became of it", "accepted refused delivered deferred bounced deleted quarantined released discarded held resumed" },
    { "kind", ROUTE_TEXT, false, "was it taken", "accepted refused" },
    { "message_id", ROUTE_TEXT, false, "a part of it", NULL },
    { "subject", ROUTE_TEXT, false, "a part of it", NULL },
    { "reason", ROUTE_TEXT, false, "a part of what was answered, or of what a check found in its way", NULL },
    { "check", ROUTE_TEXT, false, "one of this name found `result` at `stage`", NULL },
    { "stage", ROUTE_TEXT, false, "of that check", "connect helo mail rcpt data content" },
    { "result", ROUTE_TEXT, false, "of that check", "pass allow score tag hold defer reject discard quarantine" },
    { "since", ROUTE_NUMBER, false, "ms since 1970", NULL },
    { "until", ROUTE_NUMBER, false, "ms since 1970", NULL },
    { "limit", ROUTE_NUMBER, false, "at most so many; 1000 is the most", NULL },
    { "before", ROUTE_TEXT, false, "where the last answer ended", NULL },
    { 0 },
};

const struct route routes_trace[] = {
    { "GET", "/v1/trace", "the history of messages and of what was refused", serve, RIGHT_MAIL, .arguments = arguments,
      .answers = "messages: array, before?: string, indexing?: boolean" },
    { 0 },
};
