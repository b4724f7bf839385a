/* SPDX-License-Identifier: Apache-2.0
 * Does the recipient exist? For domains whose recipients are verified: in a list, by the inner server, or in a directory. Mail for
 * nobody is refused at the door, as taken it would become a bounce to whoever stands in MAIL FROM. What the inner server says is for
 * the trace alone; a sender is not told its name. */
#include <stdio.h>
#include "policy/checks.h"
#include "config/list.h"
#include "policy/recipients.h"

static const struct config_domain *domain_of(struct check_call *c)
{
    return config_domain_of(check_engine(c)->config, check_facts(c)->rcpt_domain);
}

static bool wanted(const struct config *c, const struct policy *p)
{
    for (size_t i = 0; i < c->domain_n; i++)
        if (c->domains[i].recipients.verify != CONFIG_VERIFY_OFF) return true;
    return false;
}

static void refuse(struct check_call *c, const struct config_domain *d, struct slice why)
{
    char text[200];
    bool sure = d->recipients.reject_code == 550;
    snprintf(text, sizeof text, "<%s> is not known here", check_show(c, check_facts(c)->rcpt));
    check_refuse(c, sure ? 550 : 450, sure ? "5.1.1" : "4.1.1", d->place, text, "unknown: %.*s", SLICE_ARG(why)); /* RFC 3463 §3.2 */
}

static void answer(struct check_call *c, const struct recipients_answer *a)
{
    const struct config_domain *d = domain_of(c);
    switch (a->status) {
    case RECIPIENT_KNOWN: check_pass_by(c, d->place, "known: %.*s", SLICE_ARG(a->why)); break;
    case RECIPIENT_UNKNOWN: refuse(c, d, a->why); break;
    case RECIPIENT_UNSURE:
        if (d->recipients.unsure == CONFIG_GONE_DEFER)
            check_refuse(c, 450, "4.4.1", d->place, "the recipient cannot be checked at the moment, please try again later",
                         "not found out: %.*s", SLICE_ARG(a->why));
        else check_skip(c, "not found out: %.*s", SLICE_ARG(a->why));
    }
}

static void on_answer(void *arg, const struct recipients_answer *a)
{
    struct check_call *c = arg;
    c->own = NULL;
    answer(c, a);
}

static void look_into_list(struct check_call *c, const struct config_domain *d, size_t index)
{
    const struct check_facts *f = check_facts(c);
    struct list_found found = { 0 };
    list_find_address(check_lists(c)->recipients[index], f->rcpt_address->local, f->rcpt_domain, &found);
    if (found.kind) check_pass_by(c, found.entry->place, "known: %s in recipients.list", found.entry->match);
    else refuse(c, d, SLICE("not in recipients.list"));
}

/* Everywhere somebody is there to complain to: RFC 5321 §4.5.1. */
static bool is_postmaster(struct check_call *c)
{
    const struct relay_verdict *v = policy_relay_verdict(c->run);
    return (v && v->postmaster) || slice_ieq(check_facts(c)->rcpt_address->local, SLICE("postmaster")) ||
           slice_ieq(check_facts(c)->rcpt_address->local, SLICE("\"postmaster\""));
}

static void run(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct config_domain *d = domain_of(c), *all = check_engine(c)->config->domains;
    if (check_training(check_engine(c)->config, f->rcpt)) {
        check_pass(c, "what comes there is learnt");
        return;
    }
    if (is_postmaster(c)) {
        check_pass(c, "postmaster is always there");
        return;
    }
    if (!d || d->recipients.verify == CONFIG_VERIFY_OFF) {
        check_skip(c, d ? "recipients.verify is off for this domain" : "not a domain of ours");
        return;
    }
    if (policy_relay_verdict(c->run) && policy_relay_verdict(c->run)->rewritten) {
        check_skip(c, "it is on its way back to a sender that was rewritten here");
        return;
    }
    size_t index = (size_t)(d - all);
    if (d->recipients.verify == CONFIG_VERIFY_LIST) {
        look_into_list(c, d, index);
        return;
    }
    struct recipients_question q = { .domain = index, .rcpt = f->rcpt, .local = f->rcpt_address->local, .name = f->rcpt_domain,
                                     .dry = check_dry(c) };
    struct recipients_answer now;
    c->own = recipients_find(check_parts(c)->recipients, &q, &now, on_answer, c);
    if (!c->own) answer(c, &now);
}

static void cancel(struct check_call *c)
{
    struct recipients_lookup *l = c->own;
    c->own = NULL;
    recipients_cancel(&l);
}

const struct check check_recipient_exists = { .name = "recipient-exists", .stage = STAGE_RCPT, .step = 2, .whom = FOR_ALL,
                                              .wanted = wanted, .run = run, .cancel = cancel };
