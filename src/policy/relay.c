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

static bool is_postmaster(const struct config *c, const struct address *rcpt)
{
    if (rcpt->kind == ADDRESS_NO_DOMAIN) return true; /* the grammar lets nothing but <postmaster> through */
    return rcpt->kind == ADDRESS_NAME && slice_ieq(rcpt->local, SLICE("postmaster")) &&
           slice_ieq(rcpt->domain, slice_str(c->hostname));
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

void relay_judge(const struct config *c, const struct config_zone *zone, const struct address *rcpt,
                 struct relay_verdict *out)
{
    out->allowed = out->postmaster = false;
    out->text[0] = 0;
    if (is_postmaster(c, rcpt)) {
        out->postmaster = true;
        allow(out, (struct config_place){ 0 });
        return;
    }
    if (rcpt->kind == ADDRESS_LITERAL) {
        refuse(out, "5.1.2", (struct config_place){ 0 });
        snprintf(out->text, sizeof out->text, "mail to %.*s is not taken: an address literal is no mail domain here",
                 SLICE_ARG(rcpt->domain));
        return;
    }
    if (zone->trust == CONFIG_TRUST_RELAY) {
        allow(out, zone->place);
        return;
    }
    const struct config_domain *d = config_domain_of(c, rcpt->domain);
    if (!d) {
        refuse(out, "5.7.1", zone->place);
        snprintf(out->text, sizeof out->text, "relaying to %.*s is not allowed for you: it is none of our domains",
                 SLICE_ARG(rcpt->domain));
    } else if (wants_routing(rcpt->local)) {
        refuse(out, "5.7.1", d->place);
        snprintf(out->text, sizeof out->text, "routing by way of %.*s is not allowed: the local part holds %%, ! or @",
                 SLICE_ARG(rcpt->domain));
    } else
        allow(out, d->place);
}
