/* SPDX-License-Identifier: Apache-2.0
 * Does the recipient exist? For domains whose recipients are verified: in a list, by the inner server, or in a directory. Of a mapped domain
 * the address after that is looked for; who has an alias is known. Mail for
 * nobody is refused at the door, as taken it would become a bounce to whoever stands in MAIL FROM; so is, without any verification, who can have
 * no mailbox where Maildirs are, as his name is none of a folder. What the inner server says is for
 * the trace alone; a sender is not told its name. */
#include <stdio.h>
#include "policy/checks.h"
#include "config/list.h"
#include "delivery/queue.h"
#include "maildir/folder.h"
#include "policy/recipients.h"
#include "route/expand.h"
#include "route/route.h"

/* Who is looked for: the recipient after mapping. */
struct sought {
    struct slice rcpt, local, domain; /* domain: A-labels, lower case */
};

static struct sought find_sought(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct expand_result *r = policy_rewriting(c->run);
    struct sought s = { f->rcpt, f->rcpt_address->local, f->rcpt_domain };
    struct address a;
    char name[256];
    if (!r || !r->mapped || address_parse(r->mapped_to, &a) || !address_domain_ascii(a.domain, name)) return s;
    return (struct sought){ a.text, a.local, arena_slice(check_arena(c), slice_str(name)) };
}

static const struct config_domain *domain_of(struct check_call *c)
{
    return config_domain_of(check_engine(c)->config, find_sought(c).domain);
}

static bool has_mailboxes(const struct config *c)
{
    for (size_t i = 0; i < c->hop_n; i++)
        if (c->hops[i]->kind == CONFIG_HOP_MAILDIR) return true;
    return false;
}

static bool wanted(const struct config *c, const struct policy *p)
{
    for (size_t i = 0; i < c->domain_n; i++)
        if (c->domains[i].recipients.verify != CONFIG_VERIFY_OFF) return true;
    return has_mailboxes(c);
}

/* ---- mailboxes */

/* Why it can be no mailbox; NULL: it can, or goes elsewhere. */
static const char *folder_problem(struct check_call *c, struct slice rcpt, struct config_place *place)
{
    struct slice sender = policy_sender_decides(c->run) ? check_facts(c)->sender : SLICE("");
    struct route_hop hop;
    struct err err;
    struct buf folder = { 0 };
    if (!check_engine(c)->queue || !queue_route(check_engine(c)->queue, sender, rcpt, &hop, &err) ||
        !route_is_maildir(&hop))
        return NULL;
    const char *why = maildir_folder(hop.hop->path, rcpt, &folder);
    *place = hop.place;
    buf_deinit(&folder);
    return why;
}

/* The same of all that the recipient becomes. */
static const char *mailbox_problem(struct check_call *c, struct config_place *place)
{
    const struct expand_result *r = policy_rewriting(c->run);
    const char *why = NULL;
    if (!r || r->status != EXPAND_DONE) return folder_problem(c, check_facts(c)->rcpt, place);
    for (uint32_t i = 0; i < r->to_n; i++)
        if (!(why = folder_problem(c, r->to[i].address, place))) return NULL;
    return why;
}

static bool refuse_mailbox(struct check_call *c)
{
    struct config_place place = { 0 };
    char text[200];
    const char *why = has_mailboxes(check_engine(c)->config) ? mailbox_problem(c, &place) : NULL;
    if (!why) return false;
    snprintf(text, sizeof text, "<%s> is not known here", check_show(c, check_facts(c)->rcpt));
    check_refuse(c, 550, "5.1.1", place, text, "there can be no mailbox of this name: %s", why); /* RFC 3463 §3.2 */
    return true;
}

/* ---- verification */

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
    struct sought s = find_sought(c);
    struct list_found found = { 0 };
    const struct list_match *all = check_lists(c)->recipients[index];
    list_find_address(all, s.local, s.domain, &found);
    if (found.kind) check_pass_by(c, found.entry->place, "known: %s in recipients.list", found.entry->match);
    else if (list_is_unread(all))
        check_refuse(c, 451, "4.3.5", d->place, "the recipient cannot be looked up yet, please try again later",
                     "a table of recipients.list was never read");
    else refuse(c, d, SLICE("not in recipients.list"));
}

/* Everywhere somebody is there to complain to: RFC 5321 §4.5.1. */
static bool is_postmaster(struct check_call *c)
{
    const struct relay_verdict *v = policy_relay_verdict(c->run);
    struct slice local = check_facts(c)->rcpt_address->local;
    return (v && v->postmaster) || slice_ieq(local, SLICE("postmaster")) || slice_ieq(local, SLICE("\"postmaster\""));
}

static void run(struct check_call *c)
{
    const struct expand_result *r = policy_rewriting(c->run);
    struct sought s = find_sought(c);
    const struct config_domain *d = config_domain_of(check_engine(c)->config, s.domain), *all = check_engine(c)->config->domains;
    if (check_training(check_engine(c)->config, check_facts(c)->rcpt)) {
        check_pass(c, "what comes there is learnt");
        return;
    }
    if (is_postmaster(c)) {
        check_pass(c, "postmaster is always there");
        return;
    }
    const struct relay_verdict *v = policy_relay_verdict(c->run);
    if (!(v && v->rewritten) && refuse_mailbox(c)) return;
    if (r && r->aliased) {
        check_pass(c, "an alias, or a name of the system");
        return;
    }
    if (!d || d->recipients.verify == CONFIG_VERIFY_OFF) {
        check_skip(c, d ? "recipients.verify is off for this domain" : "not a domain of ours");
        return;
    }
    if (v && v->rewritten) {
        check_skip(c, "it is on its way back to a sender that was rewritten here");
        return;
    }
    size_t index = (size_t)(d - all);
    if (d->recipients.verify == CONFIG_VERIFY_LIST) {
        look_into_list(c, d, index);
        return;
    }
    struct recipients_question q = { .domain = index, .rcpt = s.rcpt, .local = s.local, .name = s.domain, .dry = check_dry(c) };
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
