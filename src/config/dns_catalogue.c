/* SPDX-License-Identifier: Apache-2.0
 * The catalogue: well-known lists in the DNS with what their operators say of them. To add one, ask its home page for the zone,
 * its answers and its test points; to retire one, say so in `closed`, for it stays in configurations. */
#include "config/dns_catalogue.h"
#include "base/mem.h"
#include "config/config.h"

#define CLIENT CONFIG_DNS_LIST_CLIENT
#define NAMES (CONFIG_DNS_LIST_REVERSE | CONFIG_DNS_LIST_HELO | CONFIG_DNS_LIST_SENDER)

static const struct dns_catalogue_entry catalogue[] = {
    /* clients */
    { "zen.spamhaus.org", "https://www.spamhaus.org/blocklists/zen-blocklist/",
      "Spamhaus: spam sources (SBL, CSS), infected machines (XBL), dynamic addresses (PBL). Large or commercial sites need "
      "an account; public name servers are refused", CLIENT, "127.0.0.2-127.0.0.11", .tested = true, .ipv6 = true },
    { "bl.spamcop.net", "https://www.spamcop.net/bl.shtml", "SpamCop: sources that its users report", CLIENT, "127.0.0.2",
      .tested = true },
    { "b.barracudacentral.org", "https://www.barracudacentral.org/rbl",
      "Barracuda: spam sources. Name servers that ask must be registered", CLIENT, "127.0.0.2", .tested = true },
    { "psbl.surriel.com", "https://psbl.org/", "Passive Spam Block List: what spam traps saw, easily removed", CLIENT,
      "127.0.0.2", .tested = true },
    { "bl.mailspike.net", "https://mailspike.io/", "Mailspike: outbreaks, and the worst reputations", CLIENT,
      "127.0.0.2, 127.0.0.10-127.0.0.12" },
    { "dnsbl-1.uceprotect.net", "https://www.uceprotect.net/", "UCEPROTECT level 1: single addresses", CLIENT, "127.0.0.2",
      .tested = true },
    { "dnsbl-2.uceprotect.net", "https://www.uceprotect.net/",
      "UCEPROTECT level 2: whole networks, innocent neighbours included. For scores only", CLIENT, "127.0.0.2",
      .tested = true },
    { "dnsbl-3.uceprotect.net", "https://www.uceprotect.net/",
      "UCEPROTECT level 3: whole providers, innocent customers included. For small scores only", CLIENT, "127.0.0.2",
      .tested = true },
    { "all.s5h.net", "https://www.usenix.org.uk/content/rbl.html", "S5H: spam and abuse", CLIENT, NULL, .ipv6 = true },
    { "bl.blocklist.de", "https://www.blocklist.de/", "blocklist.de: attacks on mail, web and SSH servers", CLIENT, NULL },
    { "bl.nordspam.com", "https://nordspam.com/", "NordSpam: spam sources, with an eye on northern Europe", CLIENT,
      "127.0.0.2", .tested = true, .ipv6 = true },
    { "dyna.spamrats.com", "https://www.spamrats.com/rats-dyna.php", "SpamRATS: dynamic addresses that send a lot", CLIENT,
      "127.0.0.36" },
    { "noptr.spamrats.com", "https://www.spamrats.com/", "SpamRATS: addresses without a name that send a lot", CLIENT,
      "127.0.0.37" },
    { "spam.spamrats.com", "https://www.spamrats.com/rats-spam.php", "SpamRATS: spam sources", CLIENT, "127.0.0.38" },
    /* good clients */
    { "list.dnswl.org", "https://www.dnswl.org/",
      "DNSWL: mail servers of good repute, of low to high trust. Large sites need a subscription", CLIENT,
      "127.0.2.1-127.0.2.3, 127.0.3.1-127.0.3.3, 127.0.4.1-127.0.4.3, 127.0.5.1-127.0.5.3, 127.0.6.1-127.0.6.3, "
      "127.0.7.1-127.0.7.3, 127.0.8.1-127.0.8.3, 127.0.9.1-127.0.9.3, 127.0.10.1-127.0.10.3, 127.0.11.1-127.0.11.3, "
      "127.0.12.1-127.0.12.3, 127.0.13.1-127.0.13.3, 127.0.14.1-127.0.14.3, 127.0.15.1-127.0.15.3",
      .allow = true, .tested = true, .ipv6 = true },
    { "wl.mailspike.net", "https://mailspike.io/", "Mailspike: good to excellent reputations", CLIENT,
      "127.0.0.18-127.0.0.20", .allow = true },
    /* names */
    { "dbl.spamhaus.org", "https://www.spamhaus.org/blocklists/domain-blocklist/",
      "Spamhaus: domains of spam, phishing and malware. Terms as of zen", NAMES, "127.0.1.2-127.0.1.99" },
    { "dbl.nordspam.com", "https://nordspam.com/", "NordSpam: domains", CONFIG_DNS_LIST_SENDER, "127.0.0.2", .tested = true },
    { "multi.uribl.com", "https://uribl.com/", "URIBL: domains seen in spam (black)", CONFIG_DNS_LIST_SENDER,
      "127.0.0.2, 127.0.0.6, 127.0.0.10, 127.0.0.14" }, /* a bit each: 2 black, 4 grey, 8 red */
    { "multi.surbl.org", "https://www.surbl.org/", "SURBL: domains of abuse, phishing, malware and cracked sites",
      CONFIG_DNS_LIST_SENDER, "127.0.0.2-127.0.0.254" },
    /* no more */
    { "cbl.abuseat.org", "https://www.spamhaus.org/blocklists/exploits-blocklist/", "CBL", CLIENT, "127.0.0.2",
      .closed = "it is part of zen.spamhaus.org now" },
    { "dnsbl.sorbs.net", NULL, "SORBS", CLIENT, NULL, .closed = "it was closed in June 2024" },
    { "ix.dnsbl.manitu.net", "https://www.nixspam.net/", "NiX Spam", CLIENT, NULL,
      .closed = "it was closed in January 2025" },
    { "bl.spamcannibal.org", NULL, "SpamCannibal", CLIENT, NULL,
      .closed = "its domain was lost in 2019 and has listed everybody since" },
    { "dnsbl.inps.de", NULL, "INPS", CLIENT, NULL, .closed = "it was closed in May 2020" },
    { "spam.abuse.ch", NULL, "abuse.ch", CLIENT, NULL, .closed = "it is gone" },
};

/* All below a zone that is no more are no more, either: spam.dnsbl.sorbs.net. */
static bool is_below(struct slice zone, const struct dns_catalogue_entry *e)
{
    struct slice name = slice_str(e->zone);
    return e->closed && zone.n > name.n + 1 && slice_iends(zone, name) && zone.p[zone.n - name.n - 1] == '.';
}

const struct dns_catalogue_entry *dns_catalogue_find(const char *zone)
{
    for (size_t i = 0; i < countof(catalogue); i++)
        if (slice_ieq(slice_str(catalogue[i].zone), slice_str(zone)) || is_below(slice_str(zone), &catalogue[i]))
            return &catalogue[i];
    return NULL;
}

const struct dns_catalogue_entry *dns_catalogue_at(size_t i) { return i < countof(catalogue) ? &catalogue[i] : NULL; }

/* ---- as JSON */

static json_t *of_json(uint32_t of)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } words[] = { { CONFIG_DNS_LIST_CLIENT, "client" },
                  { CONFIG_DNS_LIST_REVERSE, "reverse" },
                  { CONFIG_DNS_LIST_HELO, "helo" },
                  { CONFIG_DNS_LIST_SENDER, "sender" } };
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (of & words[i].bit) json_array_append_new(all, json_string(words[i].name));
    return all;
}

json_t *dns_catalogue_to_json(void)
{
    json_t *all = json_array();
    const struct dns_catalogue_entry *e;
    for (size_t i = 0; (e = dns_catalogue_at(i)); i++) {
        json_t *one =
            json_pack("{s:s, s:s, s:o, s:b, s:b, s:b}", "zone", e->zone, "title", e->title, "of", of_json(e->of),
                      "allow", (int)e->allow, "ipv6", (int)e->ipv6, "test_points", (int)e->tested);
        if (e->home) json_object_set_new(one, "home", json_string(e->home));
        if (e->answers) json_object_set_new(one, "answers", json_string(e->answers));
        if (e->closed) json_object_set_new(one, "closed", json_string(e->closed));
        json_array_append_new(all, one);
    }
    return all;
}
