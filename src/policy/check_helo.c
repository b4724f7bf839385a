/* SPDX-License-Identifier: Apache-2.0
 * What clients call themselves. The grammar of EHLO is kept where commands are read (RFC 5321 §4.1.1.1); here is asked whether it
 * can be a name at all, and a whole one. Refusals are told at RCPT, so that a client with an odd name still gets to postmaster's
 * log. */
#include "policy/checks.h"
#include "smtp/address.h"

static const struct config_place nowhere;

static bool is_literal(struct slice helo) { return helo.n && helo.p[0] == '['; }

/* An address without brackets; numbers alone are no host name either (RFC 5321 §4.1.3, RFC 3696 §2). */
static bool is_number(struct slice helo)
{
    struct ip ip;
    bool digits = true;
    for (size_t i = 0; i < helo.n; i++) digits &= helo.p[i] == '.' || (helo.p[i] >= '0' && helo.p[i] <= '9');
    return ip_parse(helo, &ip) || digits;
}

static void run(struct check_call *call)
{
    const struct config_checks *k = &check_engine(call)->config->checks;
    struct slice helo = check_facts(call)->helo;
    const char *shown = check_show(call, helo);
    if (!helo.n)
        check_skip(call, "no EHLO was said");
    else if (k->helo.reject_invalid && is_number(helo))
        check_refuse(call, 550, "5.5.4", nowhere,
                     "the address in your EHLO must stand in brackets, or say your host name instead",
                     "%s is an address without brackets", shown);
    else if (k->helo.reject_invalid && !address_helo_ok(helo))
        check_refuse(call, 550, "5.5.4", nowhere, "your EHLO must name your host",
                     "%s is neither a host name nor an address literal", shown);
    else if (k->helo.reject_non_fqdn && !is_literal(helo) && !address_domain_ok(helo, true))
        check_refuse(call, 550, "5.5.4", nowhere, "your EHLO must name your host with its domain", "%s has no domain",
                     shown);
    else
        check_pass(call, "%s", shown);
}

static bool wanted(const struct config *c, const struct policy *p)
{
    return c->checks.helo.reject_invalid || c->checks.helo.reject_non_fqdn;
}

const struct check check_helo = { .place_offset = offsetof(struct config, checks.helo.place), .name = "helo",
                                  .stage = STAGE_HELO,
                                  .step = 0,
                                  .whom = FOR_STRANGERS,
                                  .spared_by = ALLOW_CLIENT,
                                  .wanted = wanted,
                                  .run = run };
