/* SPDX-License-Identifier: Apache-2.0
 * The relay right: verdicts in the order that relay.h gives. */
#include "policy/relay.h"
#include <stdio.h>
#include "config/list.h"
#include "route/expand.h"
#include "route/rewrite.h"

/* A question, with its domains as A-labels. */
struct asked {
    const struct config *c;
    const struct relay_client *who;
    const struct address *rcpt;
    char domain[256], sender[256]; /* of the recipient, of MAIL FROM; "": none */
    struct relaying_found listed;  /* what the list `relaying` says */
};

static void allow(struct relay_verdict *out, struct config_place place, const char *why)
{
    out->allowed = true;
    out->code = 250;
    out->enhanced = "2.1.5";
    out->place = place;
    out->why = why;
}

static void refuse(struct relay_verdict *out, const char *enhanced, struct config_place place, const char *why)
{
    out->code = 550;
    out->enhanced = enhanced;
    out->place = place;
    out->why = why;
}

static void by_entry(struct relay_verdict *out, const struct relaying_found *f)
{
    out->place = f->entry->place;
    out->entry = f->entry->match;
}

/* domain: as A-labels. */
static bool is_postmaster(const struct config *c, const struct address *rcpt, struct slice domain)
{
    if (rcpt->kind == ADDRESS_NO_DOMAIN) return true; /* the grammar lets nothing but <postmaster> through */
    return rcpt->kind == ADDRESS_NAME && slice_ieq(rcpt->local, SLICE("postmaster")) &&
           slice_ieq(domain, slice_str(c->hostname));
}

/* Characters that other mail systems take as "send it on from there". */
static bool wants_routing(struct slice local)
{
    char plain[ADDRESS_LOCAL_MAX]; /* the grammar has seen to it */
    if (local.n > sizeof plain) return true;
    size_t n = address_local_unquote(local, plain);
    for (size_t i = 0; i < n; i++)
        if (plain[i] == '%' || plain[i] == '!' || plain[i] == '@') return true;
    return false;
}

/* A relay domain: one of ours, or one that the list adds. */
static bool is_relay_domain(const struct asked *q, struct config_place *place, const char **entry)
{
    const struct config_domain *d = config_domain_of(q->c, slice_str(q->domain));
    struct relaying_found f = { 0 };
    *entry = NULL;
    if (d) *place = d->place;
    if (d || !q->who->list) return d;
    relaying_find_recipient(q->who->list, slice_str(q->domain), &f);
    if (!f.entry || f.action != CONFIG_RELAYING_RELAY) return false;
    *place = f.entry->place;
    *entry = f.entry->match;
    return true;
}

/* One whose mail is for this house; *why says what makes it so, *entry of the list `relaying`. */
static bool is_for_us(const struct asked *q, struct config_place *place, const char **entry, const char **why)
{
    const struct expander *x = q->who->expander;
    if (is_relay_domain(q, place, entry)) {
        *why = *entry ? "the list relaying makes it a relay domain" : "a relay domain";
        return true;
    }
    *entry = NULL;
    if (!x || !expand_takes_domain(x, slice_str(q->domain), place)) return false;
    *why = place->line || !q->c->main_domain || strcmp(q->domain, q->c->main_domain) != 0 ? "a mapped domain" : "main_domain";
    return true;
}

/* RFC 2142 §4: who finds trouble here must be able to tell. */
static bool is_abuse(const struct asked *q)
{
    const struct expander *x = q->who->expander;
    return x && slice_ieq(q->rcpt->local, SLICE("abuse")) && slice_ieq(slice_str(q->domain), slice_str(q->c->hostname)) &&
           expand_knows(x, q->rcpt->local, slice_str(q->domain));
}

/* What holds for strangers, and for a zone that sends for others than it may (`bound`). */
static void judge_stranger(const struct asked *q, bool bound, struct relay_verdict *out)
{
    struct config_place place = { 0 };
    const char *entry, *why;
    bool only_ours = q->listed.entry && q->listed.action == CONFIG_RELAYING_OK;
    if (is_for_us(q, &place, &entry, &why)) {
        out->entry = entry;
        if (wants_routing(q->rcpt->local)) {
            refuse(out, "5.7.1", place, "the local part asks to be sent on");
            snprintf(out->text, sizeof out->text, "routing by way of %s is not allowed: the local part holds %%, ! or @", q->domain);
        } else allow(out, place, why);
        return;
    }
    if (is_abuse(q)) {
        allow(out, (struct config_place){ 0 }, "abuse takes mail from everybody");
        return;
    }
    if (q->who->expander && !expand_is_ready(q->who->expander)) {
        refuse(out, "4.3.5", (struct config_place){ 0 }, "a table of mappings was never read: the domain may be one of ours");
        out->code = 451;
        snprintf(out->text, sizeof out->text, "whether %s is one of our domains is not known yet, please try again later", q->domain);
        return;
    }
    bool host = slice_ieq(slice_str(q->domain), slice_str(q->c->hostname));
    refuse(out, "5.7.1", q->who->zone->place,
           host ? "a stranger, who reaches postmaster and abuse alone at hostname"
           : only_ours ? "the list relaying takes it for relay domains only, and this is none"
           : bound   ? "the sender's domain is none that the zone may relay for"
                     : "a stranger, and the recipient's domain is no relay domain");
    if (only_ours) by_entry(out, &q->listed);
    if (bound && !only_ours)
        snprintf(out->text, sizeof out->text, "relaying to %s is not allowed for your network with this sender's domain", q->domain);
    else if (host) snprintf(out->text, sizeof out->text, "mail to %s is taken for postmaster and abuse alone", q->domain);
    else snprintf(out->text, sizeof out->text, "relaying to %s is not allowed for you: it is none of our domains", q->domain);
}

static void reject(const struct asked *q, struct relay_verdict *out)
{
    bool from = q->listed.on == CONFIG_RELAYING_FROM;
    refuse(out, "5.7.1", q->listed.entry->place, "rejected by the list relaying");
    by_entry(out, &q->listed);
    if (q->listed.on == CONFIG_RELAYING_CONNECT)
        snprintf(out->text, sizeof out->text, "mail from your host is not accepted here, please ask the postmaster");
    else
        snprintf(out->text, sizeof out->text, "mail %s %s is not accepted here, please ask the postmaster", from ? "from" : "to",
                 from ? q->sender : q->domain);
}

/* The list has the last word here, too. */
static bool is_rejected(struct asked *q, struct slice original)
{
    struct address a;
    char domain[256];
    if (!q->who->list || address_parse(original, &a) || !address_domain_ascii(a.domain, domain)) return false;
    struct relaying_found found = { 0 };
    relaying_find_recipient(q->who->list, slice_str(domain), &found);
    if (!found.entry || found.action != CONFIG_RELAYING_REJECT) return false;
    q->listed = found;
    return true;
}

/* Only what we have rewritten ourselves leads anywhere. False: the domain holds others, too. */
static bool judge_rewritten(struct asked *q, struct relay_verdict *out)
{
    struct buf original = { .max = sizeof out->original - 1 };
    struct config_place place = q->c->srs.place;
    enum srs_outcome outcome = rewriter_unwrap(q->who->rewriter, q->rcpt->text, q->who->now_ms, &original);
    bool shared = outcome == SRS_NOT && config_domain_of(q->c, slice_str(q->domain));
    if (outcome == SRS_OK && is_rejected(q, buf_slice(&original))) {
        reject(q, out);
    } else if (outcome == SRS_OK) {
        memcpy(out->original, buf_cstr(&original), original.n + 1);
        out->rewritten = true;
        allow(out, place, "a sender that was rewritten here");
    } else if (outcome == SRS_FORGED) {
        refuse(out, "5.7.1", place, "the rewritten sender is none of ours: its hash is wrong");
        snprintf(out->text, sizeof out->text, "this address was not made here: its hash is wrong");
    } else if (outcome == SRS_EXPIRED) {
        refuse(out, "5.1.1", place, "the rewritten sender is older than srs.keep");
        snprintf(out->text, sizeof out->text, "this address was made for a message that is too old by now");
    } else if (!shared && slice_ieq(q->rcpt->local, SLICE("postmaster"))) { /* RFC 5321 §4.5.1 */
        out->postmaster = true;
        allow(out, place, "the postmaster takes mail from everybody");
    } else if (!shared) {
        refuse(out, "5.1.1", place, "at srs.domain there are rewritten senders only");
        snprintf(out->text, sizeof out->text, "there is no such recipient at %s", q->domain);
    }
    buf_deinit(&original);
    return !shared;
}

static void judge_name(struct asked *q, struct relay_verdict *out)
{
    const struct relay_client *who = q->who;
    const struct config_zone *zone = who->zone;
    bool in_zone = zone->trust == CONFIG_TRUST_RELAY && !who->distrusted, sends = config_zone_sends(zone, slice_str(q->sender));
    if (who->list) relaying_find(who->list, who, slice_str(q->sender), slice_str(q->domain), &q->listed);
    bool listed = q->listed.entry, only_ours = listed && q->listed.action == CONFIG_RELAYING_OK;
    if (listed && q->listed.action == CONFIG_RELAYING_REJECT) {
        reject(q, out);
    } else if (rewriter_is_domain(who->rewriter, q->domain) && judge_rewritten(q, out)) {
        return;
    } else if (who->authed) {
        allow(out, (struct config_place){ 0 }, "a user of ours");
    } else if (listed && q->listed.on == CONFIG_RELAYING_CONNECT && q->listed.action == CONFIG_RELAYING_RELAY) {
        allow(out, q->listed.entry->place, "the list relaying lets this client relay");
        by_entry(out, &q->listed);
    } else if (in_zone && sends && !only_ours) {
        allow(out, zone->place, "the client's zone may relay");
    } else
        judge_stranger(q, in_zone && !sends, out);
}

void relay_judge(const struct config *c, const struct relay_client *who, const struct address *rcpt,
                 struct relay_verdict *out)
{
    struct asked q = { .c = c, .who = who, .rcpt = rcpt };
    out->allowed = out->postmaster = out->rewritten = false;
    out->original[0] = 0;
    out->text[0] = 0;
    out->entry = NULL;
    if (!address_domain_ascii(who->sender, q.sender)) q.sender[0] = 0; /* none, or an address literal */
    if (rcpt->kind == ADDRESS_NAME && !address_domain_ascii(rcpt->domain, q.domain)) { /* the grammar saw to it */
        refuse(out, "5.1.2", (struct config_place){ 0 }, "the domain is not a valid name");
        snprintf(out->text, sizeof out->text, "the domain is not a valid name");
    } else if (is_postmaster(c, rcpt, slice_str(q.domain))) {
        out->postmaster = true;
        allow(out, (struct config_place){ 0 }, "the postmaster takes mail from everybody");
    } else if (rcpt->kind == ADDRESS_LITERAL) {
        refuse(out, "5.1.2", (struct config_place){ 0 }, "an address literal is no mail domain here");
        snprintf(out->text, sizeof out->text, "mail to %.*s is not taken: an address literal is no mail domain here",
                 SLICE_ARG(rcpt->domain));
    } else judge_name(&q, out);
}
