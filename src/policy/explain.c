/* SPDX-License-Identifier: Apache-2.0
 * Explanations: a dry run that goes from stage to stage by itself. */
#include "policy/explain.h"
#include <stdlib.h>
#include "base/mem.h"
#include "policy/explain_path.h"
#include "policy/explain_rewriting.h"
#include "policy/explain_text.h"
#include "policy/pipeline.h"
#include "policy/provider.h"

#define RECIPIENTS_MAX 100
#define TARGETS_MAX 1000 /* that are told, of all recipients together */

struct explain {
    struct list node;          /* in engine->explains */
    struct policy_run *run;
    struct policy_engine *engine;
    json_t *request, *recipients;
    struct policy_client client;
    enum policy_stage stage;   /* being asked */
    size_t rcpt;               /* at STAGE_RCPT */
    uint32_t taken;
    struct explain_told told;
    struct explain_text *text; /* NULL: none was given */
    struct slice rcpts[RECIPIENTS_MAX]; /* those taken, for the text */
    json_t *outcome;           /* of the text; NULL: it was not looked at */
    explain_cb *cb;
    void *arg;
};

static struct slice text_of(const json_t *o, const char *key)
{
    const json_t *s = json_object_get(o, key);
    return slice_of(json_string_value(s), json_string_length(s));
}

static struct slice rcpt_text(const struct explain *x)
{
    const json_t *s = json_array_get(json_object_get(x->request, "to"), x->rcpt);
    return slice_of(json_string_value(s), json_string_length(s));
}

/* ---- the request */

static const char *check_address(struct slice text, bool null_ok)
{
    struct address a;
    if (!text.n) return null_ok ? NULL : "an address is missing";
    if (slice_ieq(text, SLICE("postmaster"))) return null_ok ? "a sender needs a domain" : NULL;
    return address_parse(text, &a);
}

static struct address parse(struct slice text)
{
    struct address a = { .text = text, .local = text };
    if (text.n && address_parse(text, &a)) a = (struct address){ .text = text, .local = text };
    return a;
}

static const char *check_request(const json_t *request, struct policy_client *client)
{
    const json_t *to = json_object_get(request, "to");
    size_t n = json_array_size(to);
    if (!ip_parse(text_of(request, "client"), &client->ip)) return "client: an IP address is expected";
    if (check_address(text_of(request, "from"), true)) return "from: a mail address is expected, or \"\" for the null sender";
    if (!n || n > RECIPIENTS_MAX) return "to: one to 100 recipients are expected";
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(to, i);
        if (check_address(slice_of(json_string_value(s), json_string_length(s)), false)) return "to: a mail address is expected";
    }
    return NULL;
}

/* ---- the answer */

static json_t *verdict_json(const struct explain *x, const struct policy_verdict *v)
{
    struct slice rcpt = rcpt_text(x);
    json_t *o = json_pack("{s:s%, s:s}", "recipient", rcpt.p, rcpt.n, "outcome", trace_outcome_name(v->outcome));
    if (v->code) json_object_set_new(o, "code", json_integer(v->code));
    if (v->enhanced[0]) json_object_set_new(o, "status", json_string(v->enhanced));
    if (v->text[0]) json_object_set_new(o, "text", json_string(v->text));
    if (v->check[0]) json_object_set_new(o, "check", json_string(v->check));
    if (v->why[0] && !strstr(v->text, v->why)) json_object_set_new(o, "why", json_string(v->why));
    if (v->place.line) json_object_set_new(o, "line", json_integer(v->place.line));
    return o;
}

static void end(struct explain *x, json_t *answer)
{
    explain_cb *cb = x->cb;
    void *arg = x->arg;
    policy_run_free(&x->run);
    explain_text_free(&x->text);
    json_decref(x->outcome);
    list_remove(&x->node);
    json_decref(x->recipients);
    json_decref(x->told.seen);
    json_decref(x->request);
    free(x);
    cb(arg, answer);
}

void explain_break_off(struct policy_engine *e)
{
    while (!list_empty(&e->explains))
        end(list_entry(e->explains.next, struct explain, node), json_pack("{s:s}", "error", "the worker ends"));
}

static void finish(struct explain *x)
{
    json_t *answer = json_pack("{s:s, s:b, s:O, s:i, s:o}", "zone", x->client.zone->name, "trusted", x->run->facts.trusted, "recipients",
                     x->recipients, "score", policy_score(x->run), "trace", trace_json(policy_trace(x->run)));
    if (x->outcome) json_object_set(answer, "content", x->outcome);
    json_object_set_new(answer, "copies", explain_copies(x->run, x->rcpts, x->taken, &x->told));
    json_object_set_new(answer, "stages", explain_path(json_object_get(answer, "trace"), x->recipients));
    end(x, answer);
}

/* A verdict that ends all of it: every recipient not asked yet gets it. */
static void refuse_rest(struct explain *x, const struct policy_verdict *v)
{
    size_t n = json_array_size(json_object_get(x->request, "to"));
    for (; x->rcpt < n; x->rcpt++) json_array_append_new(x->recipients, verdict_json(x, v));
}

/* ---- from stage to stage */

static void set_facts(struct explain *x)
{
    struct address a;
    switch (x->stage) {
    case STAGE_HELO: policy_set_helo(x->run, text_of(x->request, "helo")); break;
    case STAGE_MAIL:
        a = parse(text_of(x->request, "from"));
        policy_set_sender(x->run, &a);
        break;
    case STAGE_RCPT:
        a = parse(rcpt_text(x));
        policy_set_recipient(x->run, &a, x->taken);
        break;
    case STAGE_DATA: policy_set_recipients(x->run, x->taken); break;
    case STAGE_CONTENT:
        if (x->text) explain_text_give(x->text, x->run, x->rcpts, x->taken);
        break;
    default: break;
    }
}

/* Takes the verdict on the stage at hand and chooses the next. False: that was all. */
static bool step(struct explain *x, const struct policy_verdict *v)
{
    bool refused = policy_refuses(v->outcome);
    if (x->stage == STAGE_RCPT) {
        json_t *o = verdict_json(x, v);
        explain_rewriting(x->run, rcpt_text(x), refused, &x->told, o);
        json_array_append_new(x->recipients, o);
        if (!refused) x->rcpts[x->taken++] = rcpt_text(x);
        if (++x->rcpt < json_array_size(json_object_get(x->request, "to"))) return true;
        x->stage = STAGE_DATA;
        return x->taken > 0;
    }
    if (x->stage == STAGE_CONTENT && x->text && !refused) x->outcome = explain_outcome(x->run);
    if (x->stage >= STAGE_DATA) {
        if (v->outcome == POLICY_PASS) return x->stage++ == STAGE_DATA; /* of CONTENT there is nothing to judge */
        size_t i;
        json_t *r;
        json_array_foreach(x->recipients, i, r)
            if (!strcmp(json_string_value(json_object_get(r, "outcome")), "pass")) {
                x->rcpt = i;
                json_t *judged = verdict_json(x, v);
                json_object_update_missing(judged, r);
                json_array_set_new(x->recipients, i, judged);
            }
        return false;
    }
    if (refused) {
        refuse_rest(x, v);
        return false;
    }
    x->stage++;
    if (x->stage == STAGE_HELO && !text_of(x->request, "helo").n) x->stage++;
    return true;
}

static void on_verdict(void *arg, const struct policy_verdict *v);

static void go_on(struct explain *x)
{
    struct policy_verdict v;
    do {
        set_facts(x);
        policy_ask(x->run, x->stage, &v, on_verdict, x);
        if (v.outcome == POLICY_WAIT) return;
    } while (step(x, &v));
    finish(x);
}

static void on_verdict(void *arg, const struct policy_verdict *v)
{
    struct explain *x = arg;
    if (step(x, v)) go_on(x);
    else finish(x);
}

/* NULL: there is none of that name. */
static const struct config_zone *choose_zone(const struct policy_engine *e, const json_t *request, const struct ip *client)
{
    struct slice name = text_of(request, "zone");
    if (!name.n) return provider_choose_zone(e->o.providers, e->o.config, NULL, client);
    for (size_t i = 0; i < e->o.config->zone_n; i++)
        if (slice_eq(name, slice_str(e->o.config->zones[i].name))) return &e->o.config->zones[i];
    return NULL;
}

void policy_explain(struct policy_engine *e, const json_t *request, explain_cb *cb, void *arg)
{
    struct policy_client client = { 0 };
    const char *wrong = check_request(request, &client);
    if (!wrong && !(client.zone = choose_zone(e, request, &client.ip))) wrong = "zone: there is none of this name";
    if (wrong) {
        cb(arg, json_pack("{s:s}", "error", wrong));
        return;
    }
    struct explain_text *text = NULL;
    if (json_object_get(request, "message")) text = explain_text_new(text_of(request, "message"), &wrong);
    if (wrong) {
        cb(arg, json_pack("{s:s}", "error", wrong));
        return;
    }
    struct explain *x = mem_new(struct explain);
    *x = (struct explain){ .engine = e, .client = client, .run = policy_run_new(e, &client, true), .request = json_deep_copy(request),
                           .recipients = json_array(), .told = { TARGETS_MAX, json_object() }, .text = text, .cb = cb, .arg = arg };
    list_push_back(&e->explains, &x->node);
    policy_set_account(x->run, text_of(request, "account"));
    go_on(x);
}
