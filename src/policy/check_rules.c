/* SPDX-License-Identifier: Apache-2.0
 * What header checks, rules and milters want done with the message is done. */
#include "base/log.h"
#include "base/mem.h"
#include "policy/checks.h"
#include "policy/content_look.h"
#include "policy/pipeline.h"

static bool has_milter(const struct config *c)
{
    for (size_t i = 0; i < c->scanner_n; i++)
        if (c->scanners[i].enabled && c->scanners[i].type == CONFIG_SCANNER_MILTER) return true;
    return false;
}

static bool wanted(const struct config *c, const struct policy *p)
{
    if (has_milter(c)) return true;
    for (size_t i = 0; i < c->rule_n; i++)
        if (c->rules[i].enabled) return true;
    return c->header_check_n > 0;
}

/* What all actions together come to. */
struct wishes {
    struct check_call *call;
    const struct report *report;
    const struct report_action *decides; /* the strongest that takes the message away from its recipients; NULL: none */
    struct buf done;             /* for the trace */
    struct slice *strip;         /* a reason for each part that goes */
    bool strips;
    uint32_t removed;            /* recipients */
    struct report_action lie;    /* instead of one that nobody configured */
};

static const char *who(struct wishes *w, const struct report_action *a)
{
    const char *by = check_show(w->call, a->by);
    return a->name.n ? arena_printf(check_arena(w->call), "%s %s", by, check_show(w->call, a->name)) : by;
}

/* ---- what nobody configured */

static bool has_rule(const struct config *c, const struct report_action *a)
{
    for (size_t i = 0; i < c->rule_n; i++)
        for (size_t k = 0; c->rules[i].enabled && k < c->rules[i].action_n; k++) {
            const struct config_rule_action *o = &c->rules[i].actions[k];
            if (o->action == a->action && slice_ieq(slice_str(o->address), a->address)) return true;
        }
    return false;
}

/* The report may be a lie: that mail goes elsewhere, or nowhere, must be somebody's wish. */
static bool is_configured(const struct check_call *c, const struct report_action *a)
{
    const struct config *config = check_engine(c)->config;
    switch (a->action) {
    case CONFIG_DO_REMOVE_RCPT:
    case CONFIG_DO_CHANGE_SENDER: return has_milter(config);
    case CONFIG_DO_REDIRECT:
    case CONFIG_DO_COPY:
    case CONFIG_DO_DISCARD: return config->header_check_n || has_rule(config, a) || has_milter(config);
    case CONFIG_DO_NOTIFY: return has_rule(config, a) || has_milter(config);
    default: return true;
    }
}

/* ---- what is done */

static unsigned strength(const struct report_action *a)
{
    switch (a->action) {
    case CONFIG_DO_REJECT: return policy_strength(POLICY_REJECT);
    case CONFIG_DO_DEFER: return policy_strength(POLICY_DEFER);
    case CONFIG_DO_DISCARD: return policy_strength(POLICY_DISCARD);
    case CONFIG_DO_QUARANTINE: return policy_strength(POLICY_QUARANTINE);
    case CONFIG_DO_HOLD: return policy_strength(POLICY_HOLD);
    default: return 0;
    }
}

static void decide(struct wishes *w, const struct report_action *a)
{
    if (!w->decides || strength(a) > strength(w->decides)) w->decides = a;
}

/* What people search the log for. */
static void log_warning(struct wishes *w, const struct report_action *a)
{
    if (w->call->run->dry) return;
    log_event(LOG_INFO, "content-warning", LOG_ID(check_facts(w->call)->id), LOG_TEXT("by", a->by), LOG_TEXT("rule", a->name),
              LOG_TEXT("text", a->text), LOG_TEXT("from", check_facts(w->call)->sender));
}

static void tell(struct wishes *w, const struct report_action *a, bool ok)
{
    if (w->done.n) buf_add_str(&w->done, ", ");
    buf_addf(&w->done, "%s%s by %s", ok ? "" : "not possible: ", report_action_name(a->action), who(w, a));
    if (a->action != CONFIG_DO_WARN) return;
    if (a->text.n) buf_addf(&w->done, ": %s", check_show(w->call, a->text));
    log_warning(w, a);
}

static bool is_rcpt(const struct check_call *c, struct slice address)
{
    for (uint32_t i = 0; i < check_facts(c)->rcpt_n; i++)
        if (slice_ieq(check_facts(c)->rcpts[i], address)) return true;
    return false;
}

static bool remove_rcpt(struct wishes *w, struct slice address)
{
    const struct content_outcome *o = policy_outcome(w->call->run);
    if (!is_rcpt(w->call, address)) return true;
    for (uint32_t i = 0; i < o->removed_n; i++)
        if (slice_ieq(o->removed[i], address)) return true;
    if (!policy_outcome_remove(w->call->run, address)) return false;
    for (uint32_t i = 0; i < check_facts(w->call)->rcpt_n; i++) w->removed += slice_ieq(check_facts(w->call)->rcpts[i], address);
    return true;
}

static void mark_parts(struct wishes *w, const struct report_action *a)
{
    struct slice why = a->name.n ? a->name : a->by;
    for (size_t i = 0; i < a->part_n; i++) {
        if (a->parts[i] >= w->report->part_n || w->strip[a->parts[i]].n) continue;
        w->strip[a->parts[i]] = why;
        w->strips = true;
    }
}

static void notify(struct wishes *w, const struct report_action *a)
{
    const char *what = a->text.n ? check_show(w->call, a->text) : arena_printf(check_arena(w->call), "%s fits", who(w, a));
    tell(w, a, policy_outcome_notify(w->call->run, NOTICE_RULE, a->address, SLICE(""), slice_str(what)));
}

static void take(struct wishes *w, const struct report_action *a)
{
    struct policy_run *run = w->call->run;
    if (!is_configured(w->call, a)) a = &w->lie;
    if (strength(a)) {
        decide(w, a);
        return;
    }
    switch (a->action) {
    case CONFIG_DO_TAG_SUBJECT:
        check_tag_subject(w->call, a->text);
        tell(w, a, true);
        break;
    case CONFIG_DO_REDIRECT: tell(w, a, policy_outcome_redirect(run, a->address)); break;
    case CONFIG_DO_COPY: tell(w, a, policy_outcome_copy(run, a->address)); break;
    case CONFIG_DO_NOTIFY: notify(w, a); break;
    case CONFIG_DO_STRIP: mark_parts(w, a); break;
    case CONFIG_DO_REMOVE_RCPT: tell(w, a, remove_rcpt(w, a->address)); break;
    case CONFIG_DO_CHANGE_SENDER: tell(w, a, policy_outcome_change_sender(run, a->address)); break;
    default: tell(w, a, true); break; /* accept, stop: done; warn: it is in the trace. Header fields come as edits */
    }
}

/* False: one of them cannot be made. Edits of what another one has taken out already are of no use any more. */
static bool take_edits(struct wishes *w)
{
    const struct report *r = w->report;
    struct policy_run *run = w->call->run;
    size_t done = 0;
    bool ok = true;
    for (size_t i = 0; i < r->edit_n; i++) {
        const struct envelope_cut *e = &r->edits[i];
        if (policy_outcome_add_cut(run, e->at, e->n, e->with, check_look(w->call)->share.size)) done++;
        else ok &= policy_outcome_has_cut(run, e->at, e->n);
    }
    bool put = r->prepend.n && policy_outcome_add_prepend(run, r->prepend);
    ok &= put || !r->prepend.n;
    if (done + put) buf_addf(&w->done, "%s%zu edits", w->done.n ? ", " : "", done + put);
    return ok;
}

static void refuse(struct wishes *w, const struct report_action *a)
{
    bool rejects = a->action == CONFIG_DO_REJECT;
    int code = a->code ? (int)a->code : rejects ? 550 : 451;
    bool fits = (code < 500) != rejects && code >= 400; /* a milter's own */
    const char *enhanced = a->enhanced.n ? arena_strdup(check_arena(w->call), a->enhanced) : rejects ? "5.7.1" : "4.7.1";
    const char *text = a->text.n ? check_ascii(w->call, check_show(w->call, a->text))
                       : rejects ? "the message is not taken here" : "the message cannot be taken at the moment, please try again later";
    check_refuse(w->call, fits ? code : rejects ? 550 : 451, fits ? enhanced : rejects ? "5.7.1" : "4.7.1", a->place, text, "%s by %s",
                 report_action_name(a->action), who(w, a));
}

static void answer(struct wishes *w)
{
    const struct report_action *a = w->decides;
    struct check_call *c = w->call;
    const struct config_place nowhere = { 0 }, place = a ? a->place : nowhere;
    const char *why = a ? arena_printf(check_arena(c), "%s by %s%s%s", report_action_name(a->action), who(w, a), a->text.n ? ": " : "",
                                       a->text.n ? check_show(c, a->text) : "") : "";
    const struct content_outcome *o = policy_outcome(c->run);
    bool nobody = w->removed && w->removed >= check_facts(c)->rcpt_n && !o->redirect.n;
    if (a && (a->action == CONFIG_DO_REJECT || a->action == CONFIG_DO_DEFER)) refuse(w, a);
    else if (a && a->action == CONFIG_DO_DISCARD) check_discard(c, place, "%s", why);
    else if (a && a->action == CONFIG_DO_QUARANTINE) check_put_aside(c, QUARANTINE_RULE, place, why);
    else if (nobody && !o->copy_n) check_discard(c, nowhere, "all recipients were removed: %s", buf_cstr(&w->done));
    else if (nobody && !policy_outcome_redirect(c->run, o->copies[0])) check_discard(c, nowhere, "all recipients were removed");
    else if (a) check_hold(c, place, "%s", why);
    else if (w->done.n) check_pass(c, "%s", buf_cstr(&w->done));
    else check_pass(c, "none fits");
}

static void run(struct check_call *c)
{
    const struct report *r = check_report(c);
    if (!r) return;
    struct wishes w = { .call = c, .report = r, .lie = { .by = SLICE("nobody who is configured"), .action = CONFIG_DO_DEFER },
                        .strip = arena_alloc(check_arena(c), (r->part_n + 1) * sizeof *w.strip) };
    bool edited = take_edits(&w); /* first: a tag goes into a Subject that takes another one's place */
    for (size_t i = 0; i < r->action_n; i++) take(&w, &r->actions[i]);
    const struct report_action strip = { .by = SLICE("rules"), .action = CONFIG_DO_STRIP };
    const struct report_action no_edits = { .by = SLICE("edits that cannot be made"), .action = CONFIG_DO_QUARANTINE };
    const struct report_action no_strip = { .by = SLICE("parts cannot be taken out"), .action = CONFIG_DO_QUARANTINE };
    if (!edited) decide(&w, &no_edits);
    if (w.strips) {
        bool ok = check_strip(c, w.strip);
        tell(&w, &strip, ok);
        if (!ok) decide(&w, &no_strip);
    }
    answer(&w);
    buf_deinit(&w.done);
}

const struct check check_content_rules = { .name = "rules", .stage = STAGE_CONTENT, .step = 3, .whom = FOR_ALL, .wanted = wanted, .run = run };
