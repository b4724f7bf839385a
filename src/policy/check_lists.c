/* SPDX-License-Identifier: Apache-2.0
 * Allow and block lists for clients, senders and recipients. Of two entries the nearer holds, and of the same entry in both lists
 * the allowing one; what an earlier stage blocked no later one allows, because nothing is asked any more. Entries for senders that
 * want proof count when SPF gives it, and where that matters it is waited for. */
#include <stdio.h>
#include "mailauth/spf.h"
#include "policy/checks.h"
#include "config/list.h"
#include "route/expand.h"
#include "smtp/address.h"

/* One pair of lists. */
struct pair {
    const char *what;             /* "clients": as in checks.allow.clients */
    const struct list_match *allow, *block;
    enum check_allow gives;
    int code;
    const char *text;             /* to who is refused by an entry without a reason */
};

static struct pair clients_pair(const struct check_call *c)
{
    const struct policy_lists *l = check_lists(c);
    return (struct pair){ "clients", l->allow_clients, l->block_clients, ALLOW_CLIENT, 554,
                          "mail from your host is not accepted here, please ask the postmaster" };
}

/* Where an entry is written, when that is a file; the line of the configuration stands in the trace. */
static const char *place_of(const struct list_entry *e, char room[300])
{
    room[0] = 0;
    if (e->file) snprintf(room, 300, ", %s:%u", e->file, e->line);
    else if (e->table) snprintf(room, 300, ", table %s", e->table);
    return room;
}

static void decide(struct check_call *c, const struct pair *p, const struct list_found *allow, const struct list_found *block)
{
    char room[300];
    enum list_decision d = list_decide(allow, block);
    const struct list_entry *e = d == LIST_ALLOWED ? allow->entry : block->entry;
    if (d == LIST_UNDECIDED) {
        check_pass(c, "in no list");
        return;
    }
    const char *entry = check_show(c, slice_str(e->match)), *place = place_of(e, room);
    if (d == LIST_ALLOWED) check_allow(c, p->gives, e->place, "allow.%s has %s%s", p->what, entry, place);
    else check_refuse(c, p->code, "5.7.1", e->place, e->reason ? e->reason : p->text, "block.%s has %s%s", p->what, entry, place);
}

/* ---- clients */

static void run_client_list(struct check_call *c)
{
    const struct pair p = clients_pair(c);
    struct list_found allow, block;
    list_find_ip(p.allow, &check_facts(c)->client.ip, &allow);
    list_find_ip(p.block, &check_facts(c)->client.ip, &block);
    decide(c, &p, &allow, &block);
}

static void run_client_names(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct pair p = clients_pair(c);
    struct list_found allow, block;
    if (f->reverse != REVERSE_CONFIRMED) {
        check_skip(c, "the client has no name that leads back to it");
        return;
    }
    list_find_host(p.allow, f->reverse_name, &allow);
    list_find_host(p.block, f->reverse_name, &block);
    decide(c, &p, &allow, &block);
}

static bool wants_clients(const struct config *c, const struct policy *p)
{
    const struct policy_lists *l = policy_lists_of(p);
    return !list_is_empty(l->allow_clients) || !list_is_empty(l->block_clients);
}

static bool wants_names(const struct config *c, const struct policy *p)
{
    const struct policy_lists *l = policy_lists_of(p);
    return list_may_have_hosts(l->allow_clients) || list_may_have_hosts(l->block_clients);
}

const struct check check_client_list = { .name = "client-list", .stage = STAGE_CONNECT, .step = 0, .whom = FOR_ALL,
                                         .wanted = wants_clients, .run = run_client_list };
/* An address that is allowed is nearer than any name. */
const struct check check_client_names = { .name = "client-names", .stage = STAGE_CONNECT, .step = 1, .whom = FOR_ALL,
                                          .spared_by = ALLOW_CLIENT, .wanted = wants_names, .run = run_client_names };

/* ---- senders and recipients */

static struct pair senders_pair(const struct check_call *c)
{
    const struct policy_lists *l = check_lists(c);
    return (struct pair){ "senders", l->allow_senders, l->block_senders, ALLOW_MAIL, 550,
                          "mail from this sender is not accepted here, please ask the postmaster" };
}

static void find_sender(const struct check_call *c, bool proven, struct list_found *allow, struct list_found *block)
{
    const struct check_facts *f = check_facts(c);
    const struct pair p = senders_pair(c);
    list_find_sender(p.allow, f->sender_local, f->sender_domain, proven, allow);
    list_find_sender(p.block, f->sender_local, f->sender_domain, proven, block);
}

/* In no list, but for the want of proof. */
static bool tell_unproven(struct check_call *c, const struct pair *p)
{
    struct list_found allow, block;
    find_sender(c, true, &allow, &block);
    enum list_decision d = list_decide(&allow, &block);
    if (d == LIST_UNDECIDED) return false;
    check_pass(c, "%s.%s has %s, which counts when SPF proves the sender: here it does not", d == LIST_ALLOWED ? "allow" : "block",
               p->what, check_show(c, slice_str((d == LIST_ALLOWED ? allow : block).entry->match)));
    return true;
}

static void decide_sender(struct check_call *c)
{
    const struct spf *spf = check_facts(c)->spf;
    const struct pair p = senders_pair(c);
    const bool proven = spf && spf->result == SPF_PASS;
    struct list_found allow, block;
    find_sender(c, proven, &allow, &block);
    if (!proven && list_decide(&allow, &block) == LIST_UNDECIDED && tell_unproven(c, &p)) return;
    decide(c, &p, &allow, &block);
}

static void run_sender_list(struct check_call *c)
{
    struct list_found allow, block, proven_allow, proven_block;
    find_sender(c, false, &allow, &block);
    find_sender(c, true, &proven_allow, &proven_block);
    if (allow.entry == proven_allow.entry && block.entry == proven_block.entry) decide_sender(c);
    else check_when_answered(c, "spf", decide_sender);
}

static void cancel_sender_list(struct check_call *c) {} /* nothing of its own is under way */

static void find_recipient(const struct list_match *l, const struct check_facts *f, const struct address *mapped, struct list_found *out)
{
    struct list_found other;
    char domain[256];
    list_find_address(l, f->rcpt_address->local, f->rcpt_domain, out);
    if (!mapped->text.n || !address_domain_ascii(mapped->domain, domain)) return;
    list_find_address(l, mapped->local, slice_str(domain), &other);
    if (other.kind > out->kind || (other.kind == out->kind && other.nearness > out->nearness)) *out = other;
}

/* A mapped domain is another name for the same people: what is written of their own address holds, too. */
static void run_recipient_list(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    const struct policy_lists *l = check_lists(c);
    const struct expand_result *r = policy_rewriting(c->run);
    struct address mapped = { 0 };
    const struct pair p = { "recipients", l->allow_recipients, l->block_recipients, ALLOW_MAIL, 550,
                            "mail to this recipient is not accepted here, please ask the postmaster" };
    struct list_found allow, block;
    if (r && r->mapped && address_parse(r->mapped_to, &mapped)) mapped = (struct address){ 0 };
    find_recipient(p.allow, f, &mapped, &allow);
    find_recipient(p.block, f, &mapped, &block);
    decide(c, &p, &allow, &block);
}

static bool wants_senders(const struct config *c, const struct policy *p)
{
    const struct policy_lists *l = policy_lists_of(p);
    return !list_is_empty(l->allow_senders) || !list_is_empty(l->block_senders);
}

static bool wants_recipients(const struct config *c, const struct policy *p)
{
    const struct policy_lists *l = policy_lists_of(p);
    return !list_is_empty(l->allow_recipients) || !list_is_empty(l->block_recipients);
}

const struct check check_sender_list = { .name = "sender-list", .stage = STAGE_MAIL, .step = 0, .whom = FOR_ALL,
                                         .wanted = wants_senders, .run = run_sender_list, .cancel = cancel_sender_list };
const struct check check_recipient_list = { .name = "recipient-list", .stage = STAGE_RCPT, .step = 1, .whom = FOR_ALL,
                                            .wanted = wants_recipients, .run = run_recipient_list };
