/* SPDX-License-Identifier: Apache-2.0
 * What becomes of the recipient: its mapped domain, its alias. Refused is what cannot be found out or leads nowhere, and who is nobody at
 * a domain whose names are all in the configuration. What it leads to is put into the envelope later, when the message is complete. */
#include <stdio.h>
#include "policy/checks.h"
#include "policy/pipeline.h"
#include "route/expand.h"

#define SHOWN_MAX 225 /* of the steps, in the trace */

static bool wanted(const struct config *c, const struct policy *p) { return true; } /* at hostname there are names of the system alone */

static const char *steps(struct check_call *c, const struct expand_result *r)
{
    size_t n = r->steps.n;
    if (n <= SHOWN_MAX) return arena_strdup(check_arena(c), r->steps);
    for (n = SHOWN_MAX; n && r->steps.p[n] != ' ';) n--;
    return arena_printf(check_arena(c), "%.*s ...", (int)n, r->steps.p);
}

static void refuse(struct check_call *c, int code, const char *enhanced, const struct expand_result *r, const char *text)
{
    check_refuse(c, code, enhanced, r->place, text, "%s", steps(c, r));
}

static void answer(struct check_call *c, const struct expand_result *r)
{
    char text[200];
    switch (r->status) {
    case EXPAND_LATER: refuse(c, 451, "4.3.5", r, "the recipient cannot be looked up yet, please try again later"); return;
    case EXPAND_BROKEN: refuse(c, 451, "4.3.5", r, "what is known of the recipient is damaged here, please try again later"); return;
    case EXPAND_LOOP: refuse(c, 550, "5.4.6", r, "mail to the recipient would go in circles here"); return;
    case EXPAND_TOO_MANY: refuse(c, 550, "5.4.6", r, "the recipient stands for too many others"); return;
    case EXPAND_DEEP: refuse(c, 550, "5.4.6", r, "the recipient leads from name to name too often"); return;
    case EXPAND_NOBODY:
        snprintf(text, sizeof text, "<%s> is not known here", check_show(c, check_facts(c)->rcpt));
        refuse(c, 550, "5.1.1", r, text);
        return;
    case EXPAND_SAME: check_pass(c, "it stays as it is"); return;
    case EXPAND_DONE: check_pass_by(c, r->place, "%s", steps(c, r)); return;
    }
}

static void run(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct relay_verdict *v = policy_relay_verdict(c->run);
    if (check_training(check_engine(c)->config, f->rcpt)) {
        check_pass(c, "what comes there is learnt");
        return;
    }
    if (v && v->rewritten) {
        check_skip(c, "it is on its way back to a sender that was rewritten here");
        return;
    }
    struct expand_result *r = arena_alloc(check_arena(c), sizeof *r);
    expand(check_lists(c)->expander, f->rcpt, check_arena(c), r);
    c->run->rewriting = r;
    answer(c, r);
}

const struct check check_rewritten = { .name = "rewriting", .never_skipped = true, .stage = STAGE_RCPT, .step = 1, .whom = FOR_ALL, .wanted = wanted, .run = run };
