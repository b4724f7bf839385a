/* SPDX-License-Identifier: Apache-2.0
 * What becomes of a message by its score: fields that tell it, a mark, the quarantine. Fields in which a stranger tells us what we should
 * think of his mail are cut out. */
#include <stdio.h>
#include <sys/random.h>
#include "base/mem.h"
#include "policy/checks.h"
#include "policy/content_look.h"
#include "policy/pipeline.h"
#include "policy/spam_text.h"

static bool wanted(const struct config *c, const struct policy *p) { return c->spam.enabled; }

static const struct config_spam *options(const struct check_call *c) { return &check_engine(c)->config->spam; }

/* ---- what pretends to be ours */

static bool is_full(const struct check_call *c) { return policy_outcome(c->run)->cut_n == OUTCOME_CUTS_MAX; }

/* False: the check has answered. What is in the way otherwise is the edit of somebody who was asked for it. A trusted client's relay may have judged before us. */
static bool remove_forged(struct check_call *c)
{
    struct edits *e = arena_alloc(check_arena(c), sizeof *e);
    const struct edit_header *h = check_facts(c)->trusted ? NULL : check_header(c);
    if (!h) return true;
    bool ok = edits_remove(e, h, SLICE("X-Spam-"));
    for (uint32_t i = 0; ok && i < e->n; i++)
        ok = policy_outcome_add_cut(c->run, e->cuts[i].at, e->cuts[i].n, SLICE(""), check_look(c)->share.size) ||
             policy_outcome_has_cut(c->run, e->cuts[i].at, e->cuts[i].n) || !is_full(c);
    if (!ok)
        check_refuse(c, 550, "5.6.0", (struct config_place){ 0 }, "too many X-Spam fields", "more X-Spam fields than can be cut out");
    return ok;
}

/* ---- marks */

static void add_fields(struct check_call *c, const struct report *r, bool marked)
{
    struct buf b = { 0 };
    spam_fields_format(options(c), r, marked, &b);
    (void)policy_outcome_add_prepend(c->run, buf_slice(&b));
    buf_deinit(&b);
}

/* Nobody who writes a message can know it. */
static void make_boundary(char out[48])
{
    uint64_t v[2] = { 0 };
    (void)!getrandom(v, sizeof v, 0);
    snprintf(out, 48, "=_postern_%016llx%016llx", (unsigned long long)v[0], (unsigned long long)v[1]);
}

static void add_report(struct check_call *c, const struct report *r)
{
    char boundary[48];
    struct buf text = { 0 };
    struct edits *e = arena_alloc(check_arena(c), sizeof *e);
    const struct edit_header *h = check_header(c);
    make_boundary(boundary);
    const struct policy_engine_options *o = check_engine(c);
    const struct wording w = { o->templates, (enum template_language)o->config->notices.language };
    spam_report_format(options(c), r, o->config->hostname, &w, &text);
    if (h && edits_wrap(e, h, check_look(c)->share.size, boundary, buf_slice(&text), check_arena(c))) (void)check_apply_edits(c, e);
    buf_deinit(&text);
}

static void mark(struct check_call *c, const struct report *r)
{
    const struct config_spam *o = options(c);
    add_fields(c, r, true);
    check_tag_subject(c, slice_str(o->subject));
    if (o->report) add_report(c, r);
}

/* ---- what is done */

static void notify(struct check_call *c, const struct report *r, const char *what)
{
    const struct config_spam *o = options(c);
    if (!o->notify.address || (o->notify.below && r->score >= o->notify.below)) return;
    (void)policy_outcome_notify(c->run, NOTICE_SPAM, slice_str(o->notify.address), slice_str(o->notify.from), slice_str(what));
}

/* The quarantine takes what is far above, unless less is left of it by what is done anyway. */
static enum config_handling action_of(const struct check_call *c, const struct report *r)
{
    enum config_handling a = options(c)->action;
    return r->score >= options(c)->quarantine && a != CONFIG_HANDLE_REJECT && a != CONFIG_HANDLE_DISCARD ? CONFIG_HANDLE_QUARANTINE : a;
}

static void handle(struct check_call *c, const struct report *r, const char *what)
{
    const struct config_spam *o = options(c);
    notify(c, r, what);
    switch (action_of(c, r)) {
    case CONFIG_HANDLE_REJECT:
        check_refuse(c, 550, "5.7.1", o->place, "the message looks like spam", "%s", what);
        return;
    case CONFIG_HANDLE_DISCARD: check_discard(c, o->place, "%s", what); return;
    case CONFIG_HANDLE_QUARANTINE: /* released, nobody takes it for spam */
        add_fields(c, r, false);
        check_put_aside(c, QUARANTINE_SPAM, o->place, what);
        return;
    case CONFIG_HANDLE_REDIRECT:
        mark(c, r);
        if (policy_outcome_redirect(c->run, slice_str(o->address))) check_pass_by(c, o->place, "%s: it goes to %s instead", what, o->address);
        else check_pass_by(c, o->place, "%s: marked; it goes elsewhere already", what);
        return;
    case CONFIG_HANDLE_PASS:
        add_fields(c, r, false);
        check_pass_by(c, o->place, "%s: let through", what);
        return;
    case CONFIG_HANDLE_MARK:
    case CONFIG_HANDLE_STRIP:
        mark(c, r);
        check_pass_by(c, o->place, "%s: marked", what);
        return;
    }
}

/* "score 12.30 (confirmed): A 4.50, B 3.20, ...", the heaviest first. */
static const char *describe(struct check_call *c, const struct report *r)
{
    struct buf b = { 0 };
    bool said[REPORT_SYMBOLS_MAX] = { false };
    buf_addf(&b, "score %.2f (%s)", r->score / 100.0, report_class_name(r->class));
    for (unsigned k = 0; k < 4; k++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < r->symbol_n && i < countof(said); i++)
            if (!said[i] && r->symbols[i].score && (best == SIZE_MAX || r->symbols[i].score > r->symbols[best].score)) best = i;
        if (best == SIZE_MAX) break;
        said[best] = true;
        buf_add_str(&b, k ? ", " : ": ");
        buf_add_printable(&b, r->symbols[best].name, 40);
        buf_addf(&b, " %.2f", r->symbols[best].score / 100.0);
    }
    const char *text = arena_strdup(check_arena(c), buf_slice(&b));
    buf_deinit(&b);
    return text;
}

static void run(struct check_call *c)
{
    const struct content_look *l = check_look(c);
    const struct report *r = l->report;
    if (!remove_forged(c)) return;
    if (!r || !r->judged) {
        check_skip(c, r ? "it was not judged" : "nobody has looked into it");
        return;
    }
    const char *what = describe(c, r);
    if (check_is_spared(c) || l->accepted || l->training) check_pass(c, "%s; %s", what, l->accepted ? "a rule accepts it" : "it is spared");
    else if (r->score >= options(c)->mark) handle(c, r, what);
    else {
        if (r->score >= options(c)->tag) add_fields(c, r, false);
        check_pass(c, "%s", what);
    }
}

const struct check check_content_spam = { .name = "spam", .stage = STAGE_CONTENT, .step = 3, .whom = FOR_ALL,
                                  .spared_by = ALLOW_CLIENT | ALLOW_MAIL, .always_runs = true, .wanted = wanted, .run = run };
