/* SPDX-License-Identifier: Apache-2.0
 * The relay right: verdicts in the order that relay.h gives. */
#include "policy/relay.h"
#include <stdio.h>

#define LOCAL_MAX 64 /* RFC 5321 §4.5.3.1.1; the grammar has seen to it */

static void allow(struct relay_verdict *out, struct config_place place)
{
    out->allowed = true;
    out->code = 250;
    out->enhanced = "2.1.5";
    out->place = place;
}

static void refuse(struct relay_verdict *out, const char *enhanced, struct config_place place)
{
    out->code = 550;
    out->enhanced = enhanced;
    out->place = place;
}

/* domain: as A-labels. */
static bool is_postmaster(const struct config *c, const struct address *rcpt, struct slice domain)
{
    if (rcpt->kind == ADDRESS_NO_DOMAIN) return true; /* the grammar lets nothing but <postmaster> through */
    return rcpt->kind == ADDRESS_NAME && slice_ieq(rcpt->local, SLICE("postmaster")) &&
           slice_ieq(domain, slice_str(c->hostname));
}

/* A zone whose networks others use as well is bound to sender domains. The null reverse-path is of none: anybody's bounces would
 * pass. */
static bool sends_for(const struct config_zone *zone, struct slice sender)
{
    char ascii[256];
    if (!zone->sender_n) return true;
    if (!sender.n || !address_domain_ascii(sender, ascii)) return false;
    for (size_t i = 0; i < zone->sender_n; i++)
        if (slice_ieq(slice_str(zone->senders[i]), slice_str(ascii))) return true;
    return false;
}

/* Characters that other mail systems take as "send it on from there". */
static bool wants_routing(struct slice local)
{
    char plain[LOCAL_MAX];
    if (local.n > sizeof plain) return true;
    size_t n = address_local_unquote(local, plain);
    for (size_t i = 0; i < n; i++)
        if (plain[i] == '%' || plain[i] == '!' || plain[i] == '@') return true;
    return false;
}

/* What holds for strangers, and for a zone that sends for others than it may (`bound`). */
static void judge_stranger(const struct config *c, const struct relay_client *who, const struct address *rcpt,
                           const char *domain, bool bound, struct relay_verdict *out)
{
    const struct config_domain *d = config_domain_of(c, slice_str(domain));
    if (!d) {
        refuse(out, "5.7.1", who->zone->place);
        snprintf(out->text, sizeof out->text,
                 bound ? "relaying to %s is not allowed for your network with this sender's domain"
                       : "relaying to %s is not allowed for you: it is none of our domains", domain);
    } else if (wants_routing(rcpt->local)) {
        refuse(out, "5.7.1", d->place);
        snprintf(out->text, sizeof out->text, "routing by way of %s is not allowed: the local part holds %%, ! or @",
                 domain);
    } else
        allow(out, d->place);
}

void relay_judge(const struct config *c, const struct relay_client *who, const struct address *rcpt,
                 struct relay_verdict *out)
{
    char domain[256] = "";
    bool trusted = who->zone->trust == CONFIG_TRUST_RELAY;
    out->allowed = out->postmaster = false;
    out->text[0] = 0;
    if (rcpt->kind == ADDRESS_NAME && !address_domain_ascii(rcpt->domain, domain)) { /* the grammar saw to it */
        refuse(out, "5.1.2", (struct config_place){ 0 });
        snprintf(out->text, sizeof out->text, "the domain is not a valid name");
    } else if (is_postmaster(c, rcpt, slice_str(domain))) {
        out->postmaster = true;
        allow(out, (struct config_place){ 0 });
    } else if (rcpt->kind == ADDRESS_LITERAL) {
        refuse(out, "5.1.2", (struct config_place){ 0 });
        snprintf(out->text, sizeof out->text, "mail to %.*s is not taken: an address literal is no mail domain here",
                 SLICE_ARG(rcpt->domain));
    } else if (who->authed) {
        allow(out, (struct config_place){ 0 });
    } else if (trusted && sends_for(who->zone, who->sender)) {
        allow(out, who->zone->place);
    } else
        judge_stranger(c, who, rcpt, domain, trusted, out);
}
