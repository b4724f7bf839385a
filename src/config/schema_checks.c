/* SPDX-License-Identifier: Apache-2.0
 * Options of the policy checks. */
#include "config/schema_table.h"

/* A group whose place is kept: findings of its checks name its line. */
#define PLACED(group, field, rows, text) \
    { .name = group, .type = SCHEMA_GROUP, .place_offset = offsetof(struct config, field.place), .table = &(rows), .help = text }

/* ---- lists of matches */

static const struct schema_option match_options[] = {
    { .name = "match", .type = SCHEMA_STRING, AT(config_match, match), .nullable = true,
      .help = "What is meant: an address (user@example.org), a domain (example.org), a domain with all below it "
              "(.example.org), a regular expression over the whole address (/.*@example\\.org/), an IP address, a network "
              "(192.0.2.0/24), the beginning of an IPv4 address (192.168.88), a host name, user@ for a local part at any domain, "
              "or <> for the empty sender.",
      .example = "user@example.org" },
    { .name = "file", .type = SCHEMA_PATH, AT(config_match, file), .nullable = true,
      .help = "A file with such entries, one on a line, each perhaps followed by blanks and the reason; lines with # are "
              "comments. Read again when it changes.", .example = "lists/blocked-clients" },
    { .name = "table", .type = SCHEMA_NAME, AT(config_match, table), .nullable = true,
      .help = "The entries of one of tables.", .example = "staff" },
    { .name = "comment", .type = SCHEMA_STRING, AT(config_match, comment), .nullable = true,
      .help = "Why the entry is there; for people." },
    { .name = "reason", .type = SCHEMA_STRING, AT(config_match, reason), .nullable = true,
      .help = "What a client that is refused is told: ASCII, at most 200 characters." },
    { .name = "proven", .type = SCHEMA_BOOL, AT(config_match, proven), .fallback = "no",
      .help = "Of senders: the entry counts only when SPF proves that the client may send for the sender's domain." },
};
const struct schema_table schema_match = { TABLE(match_options), .size = sizeof(struct config_match),
                                                 .place_offset = offsetof(struct config_match, place), .scalar = "match" };

#define MATCHES(option, field, text, sample) \
    { .name = option, .type = SCHEMA_RECORDS, AT_LIST(config, checks.field.entries, checks.field.n), .table = &schema_match, \
      .help = text, .example = sample }

static const struct schema_option allow_options[] = {
    MATCHES("clients", allow_clients,
            "Clients that DNS lists, greylisting and what comes behind them do not concern.", "[192.0.2.7]"),
    MATCHES("senders", allow_senders,
            "Senders whose mail is neither greylisted nor filtered. Anybody can claim to be such a sender.",
            "[\"/.*@example\\\\.org/\"]"),
    MATCHES("recipients", allow_recipients, "Recipients whose mail is neither greylisted nor filtered.",
            "[abuse@example.com]"),
};
static const struct schema_table allow_table = { TABLE(allow_options) };

static const struct schema_option block_options[] = {
    MATCHES("clients", block_clients, "Clients whose mail is refused.", "[192.168.88, {match: 203.0.113.0/24, reason: spam}]"),
    MATCHES("senders", block_senders, "Senders whose mail is refused.", "[.example.org]"),
    MATCHES("recipients", block_recipients, "Recipients nobody may write to.", "[former@example.com]"),
};
static const struct schema_table block_table = { TABLE(block_options) };

/* ---- connections */

static const struct schema_option pause_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.greeting_pause.enabled), .fallback = "no",
      .help = "Let new clients wait for the greeting. One that talks first is refused at RCPT." },
    { .name = "pause", .type = SCHEMA_TIME, AT(config, checks.greeting_pause.pause), .fallback = "2s", .min = 10,
      .max = 60 * SECOND, .help = "How long they wait." },
    { .name = "exempt_for", .type = SCHEMA_TIME, AT(config, checks.greeting_pause.exempt_for), .fallback = "1d",
      .max = 365 * DAY, .help = "How long a client that waited is greeted at once." },
    MATCHES("exempt", greeting_pause.exempt, "Clients that are always greeted at once.", "[192.0.2.0/24]"),
};
static const struct schema_table pause_table = { TABLE(pause_options) };

static const struct schema_option client_limits_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.client_limits.enabled), .fallback = "no",
      .help = "Limit the connections of each client, over all workers." },
    { .name = "connections", .type = SCHEMA_NUMBER, AT(config, checks.client_limits.connections), .fallback = "1",
      .max = 100000, .help = "Connections at once; 0: no limit." },
    { .name = "rate", .type = SCHEMA_NUMBER, AT(config, checks.client_limits.rate), .fallback = "5", .max = 1000000,
      .help = "New connections within the time `per`; 0: no limit." },
    { .name = "per", .type = SCHEMA_TIME, AT(config, checks.client_limits.per), .fallback = "60s", .min = SECOND, .max = DAY,
      .help = "The time in which connections are counted." },
    MATCHES("exempt", client_limits.exempt, "Clients that are not limited.", "[192.0.2.0/24]"),
};
static const struct schema_table client_limits_table = { TABLE(client_limits_options) };

static const struct schema_option recipient_limit_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.recipient_limit.enabled), .fallback = "no",
      .help = "Refuse more than a number of recipients of one message." },
    { .name = "most", .type = SCHEMA_NUMBER, AT(config, checks.recipient_limit.most), .fallback = "25", .min = 1,
      .max = 100000, .help = "Recipients of one message from strangers." },
};
static const struct schema_table recipient_limit_table = { TABLE(recipient_limit_options) };

static const struct schema_option helo_options[] = {
    { .name = "required", .type = SCHEMA_BOOL, AT(config, checks.helo.required), .fallback = "yes",
      .help = "Take no mail before EHLO or HELO." },
    { .name = "reject_invalid", .type = SCHEMA_BOOL, AT(config, checks.helo.reject_invalid), .fallback = "no",
      .help = "Refuse clients whose EHLO is an address without brackets, or another number. What cannot be a name is always "
              "refused." },
    { .name = "reject_non_fqdn", .type = SCHEMA_BOOL, AT(config, checks.helo.reject_non_fqdn), .fallback = "no",
      .help = "Refuse clients whose EHLO names a host without its domain." },
};
static const struct schema_table helo_table = { TABLE(helo_options) };

static const struct schema_word actions[] = { { "reject", CONFIG_ACTION_REJECT },
                                              { "defer", CONFIG_ACTION_DEFER },
                                              { "score", CONFIG_ACTION_SCORE },
                                              { NULL } };
static const struct schema_option reverse_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.reverse_dns.enabled), .fallback = "no",
      .help = "Require that the client's address has a name in the DNS that leads back to it." },
    { .name = "action", .type = SCHEMA_ENUM, AT(config, checks.reverse_dns.action), .fallback = "reject", .words = actions,
      .help = "What becomes of mail from other clients: reject, defer, or score (which adds 1). While the DNS fails nothing "
              "does, unless it is defer." },
    MATCHES("exempt", reverse_dns.exempt, "Clients that need no name.", "[192.0.2.7]"),
};
static const struct schema_table reverse_table = { TABLE(reverse_options) };

/* ---- addresses */

#define ADDRESS(field, of, why) \
    { .name = "fqdn", .type = SCHEMA_BOOL, AT(config, checks.field.fqdn), .fallback = "yes", \
      .help = "Refuse " of " whose domain has no dot." }, \
    { .name = "resolvable", .type = SCHEMA_BOOL, AT(config, checks.field.resolvable), .fallback = "yes", \
      .help = "Refuse " of " whose domain has neither MX nor address records" why "." }

static const struct schema_option sender_options[] = { ADDRESS(sender, "senders", "") };
static const struct schema_table sender_table = { TABLE(sender_options) };
static const struct schema_option recipient_options[] = {
    ADDRESS(recipient, "recipients", "; relay domains and those with a route need none")
};
static const struct schema_table recipient_table = { TABLE(recipient_options) };

/* ---- DNS lists */

static const struct schema_word list_of[] = { { "client", CONFIG_DNS_LIST_CLIENT },
                                              { "reverse", CONFIG_DNS_LIST_REVERSE },
                                              { "helo", CONFIG_DNS_LIST_HELO },
                                              { "sender", CONFIG_DNS_LIST_SENDER },
                                              { NULL } };
static const struct schema_word list_actions[] = { { "reject", CONFIG_DNS_LIST_REJECT },
                                                   { "score", CONFIG_DNS_LIST_SCORE },
                                                   { "allow", CONFIG_DNS_LIST_ALLOW },
                                                   { NULL } };
static const struct schema_option list_options[] = {
    { .name = "zone", .type = SCHEMA_DNS_NAME, AT(config_dns_list, zone), .required = true,
      .help = "The list's zone in the DNS.", .example = "zen.spamhaus.org" },
    { .name = "of", .type = SCHEMA_SET, AT(config_dns_list, of), .words = list_of,
      .shown = "as the catalogue says, else client",
      .help = "What is looked up: the client's address, its forward-confirmed name (reverse), the name in EHLO, or the "
              "sender's domain.", .example = "[sender, helo]" },
    { .name = "answers", .type = SCHEMA_LIST, .item = SCHEMA_STRING, AT_LIST(config_dns_list, answers, answer_n),
      .shown = "as the catalogue says, else all of 127.0.0.0/8 but 127.255.255.0/24",
      .help = "Which answers count as listed: addresses, ranges or networks within 127.0.0.0/8, at most 16.",
      .example = "[127.0.0.2-127.0.0.11]" },
    { .name = "action", .type = SCHEMA_ENUM, AT(config_dns_list, action), .fallback = "reject", .words = list_actions,
      .help = "What a listing does: reject; score adds its weight, which is compared with dns_lists.threshold; allow "
              "spares the client other lists and greylisting." },
    { .name = "weight", .type = SCHEMA_NUMBER, AT(config_dns_list, weight), .fallback = "1", .min = 1, .max = 1000,
      .help = "Of action score." },
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config_dns_list, enabled), .fallback = "yes", .help = "Ask this list." },
    { .name = "test", .type = SCHEMA_BOOL, AT(config_dns_list, test), .fallback = "yes",
      .help = "Believe the list only while it lists the test points of RFC 5782; no: for a list of your own that has none." },
    { .name = "home", .type = SCHEMA_STRING, AT(config_dns_list, home), .nullable = true, .shown = "as the catalogue says",
      .help = "The list's own page, where a listing is explained and lifted." },
};
static const struct schema_table list_table = { TABLE(list_options), .size = sizeof(struct config_dns_list),
                                                .place_offset = offsetof(struct config_dns_list, place), .scalar = "zone" };
static const struct schema_option dns_lists_options[] = {
    { .name = "lists", .type = SCHEMA_RECORDS, AT_LIST(config, checks.dns_lists.lists, checks.dns_lists.n),
      .table = &list_table, .help = "The lists that are asked, all at the same time. `postern dns-lists` shows a catalogue "
      "of well-known ones.", .example = "[zen.spamhaus.org, {zone: list.dnswl.org, action: allow}]" },
    { .name = "threshold", .type = SCHEMA_NUMBER, AT(config, checks.dns_lists.threshold), .fallback = "0", .max = 100000,
      .help = "Refuse when the weights of the lists with action score sum up to this much; 0: never." },
    { .name = "timeout", .type = SCHEMA_TIME, AT(config, checks.dns_lists.timeout), .fallback = "5s", .min = 100,
      .max = MINUTE, .help = "How long one list is waited for; one that does not answer counts as not listed." },
    { .name = "off_for", .type = SCHEMA_TIME, AT(config, checks.dns_lists.off_for), .fallback = "10m", .min = SECOND,
      .max = DAY, .help = "How long a list that fails, or lists what no list may (RFC 5782), is left alone." },
};
static const struct schema_table dns_lists_table = { TABLE(dns_lists_options) };

/* ---- greylisting, reputation */

static const struct schema_word without_store[] = { { "pass", CONFIG_GONE_PASS }, { "defer", CONFIG_GONE_DEFER }, { NULL } };
static const struct schema_option exempt_options[] = {
    MATCHES("clients", greylist.exempt_clients, "Clients, by address, network or name.", "[192.0.2.0/24, .example.net]"),
    MATCHES("senders", greylist.exempt_senders, "Senders.", "[.example.org]"),
    MATCHES("recipients", greylist.exempt_recipients, "Recipients.", "[orders@example.com]"),
    { .name = "spf_pass", .type = SCHEMA_BOOL, AT(config, checks.greylist.spf_exempt), .fallback = "no",
      .help = "Clients that may send for the sender's domain as SPF says." },
};
static const struct schema_table exempt_table = { TABLE(exempt_options) };
static const struct schema_option greylist_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.greylist.enabled), .fallback = "no",
      .help = "Defer the first mail of a client, sender and recipient who do not know each other." },
    { .name = "delay", .type = SCHEMA_TIME, AT(config, checks.greylist.delay), .fallback = "2m", .min = SECOND, .max = HOUR,
      .help = "How long it stays deferred." },
    { .name = "allow_for", .type = SCHEMA_TIME, AT(config, checks.greylist.allow_for), .fallback = "7d", .min = MINUTE,
      .max = 365 * DAY, .help = "How long, after it came again, further mail passes at once; each message begins that anew." },
    { .name = "retry_within", .type = SCHEMA_TIME, AT(config, checks.greylist.retry_within), .fallback = "1d", .min = MINUTE,
      .max = 30 * DAY, .help = "How long a first attempt is remembered." },
    { .name = "ipv4_prefix", .type = SCHEMA_NUMBER, AT(config, checks.greylist.ipv4_prefix), .fallback = "32", .min = 8,
      .max = 32, .help = "Bits of an IPv4 address that must be the same when it comes again." },
    { .name = "ipv6_prefix", .type = SCHEMA_NUMBER, AT(config, checks.greylist.ipv6_prefix), .fallback = "64", .min = 16,
      .max = 128, .help = "Bits of an IPv6 address that must be the same." },
    { .name = "private_exempt", .type = SCHEMA_BOOL, AT(config, checks.greylist.private_exempt), .fallback = "yes",
      .help = "Never delay clients with private or loopback addresses." },
    { .name = "exempt", .type = SCHEMA_GROUP, .table = &exempt_table, .help = "Who is never delayed." },
    { .name = "without_store", .type = SCHEMA_ENUM, AT(config, checks.greylist.without_store), .fallback = "pass",
      .words = without_store, .help = "What happens while the memory of greylisting cannot be asked: pass, or defer." },
};
static const struct schema_table greylist_table = { TABLE(greylist_options) };

static const struct schema_option reputation_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.reputation.enabled), .fallback = "yes",
      .help = "Remember good and bad verdicts over the mail of each network." },
    { .name = "ipv4_prefix", .type = SCHEMA_NUMBER, AT(config, checks.reputation.ipv4_prefix), .fallback = "24", .min = 8,
      .max = 32, .help = "Size of an IPv4 network." },
    { .name = "ipv6_prefix", .type = SCHEMA_NUMBER, AT(config, checks.reputation.ipv6_prefix), .fallback = "64", .min = 16,
      .max = 128, .help = "Size of an IPv6 network." },
    { .name = "keep", .type = SCHEMA_TIME, AT(config, checks.reputation.keep), .fallback = "30d", .min = HOUR,
      .max = 365 * DAY, .help = "After this time half of what was seen is forgotten." },
    { .name = "reject_below", .type = SCHEMA_PERCENT, AT(config, checks.reputation.reject_below), .fallback = "0%", .max = 99,
      .help = "Refuse clients of networks with fewer good verdicts than this; 0%: the reputation is a score only." },
};
static const struct schema_table reputation_table = { TABLE(reputation_options) };

/* ---- mail authentication */

static const struct schema_option spf_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.spf.enabled), .fallback = "yes",
      .help = "Check whether the client may send for the sender's domain (SPF, RFC 7208)." },
    { .name = "reject", .type = SCHEMA_BOOL, AT(config, checks.spf.reject), .fallback = "no",
      .help = "Refuse mail when the domain says that the client may not (fail)." },
    { .name = "unsure", .type = SCHEMA_ENUM, AT(config, checks.spf.unsure), .fallback = "pass", .words = without_store,
      .help = "What happens when it cannot be looked up at the moment: pass, or defer." },
};
static const struct schema_table spf_table = { TABLE(spf_options) };

static const struct schema_option check_dkim_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.dkim.enabled), .fallback = "yes",
      .help = "Verify the signatures of messages (DKIM, RFC 6376)." },
    { .name = "trust_length", .type = SCHEMA_BOOL, AT(config, checks.dkim.trust_length), .fallback = "no",
      .help = "Let a signature pass that leaves the end of the body out (l=): anybody can have added it." },
};
static const struct schema_table check_dkim_table = { TABLE(check_dkim_options) };

static const struct schema_option check_arc_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.arc.enabled), .fallback = "yes",
      .help = "Validate the chain of those who handled the message before (ARC, RFC 8617)." },
    { .name = "sealers", .type = SCHEMA_LIST, .item = SCHEMA_DNS_NAME, AT_LIST(config, checks.arc.sealers, checks.arc.sealer_n),
      .help = "Domains whose word is trusted: where a valid chain ends with a seal of one of them that says DMARC passed there, a "
              "failure here is excused. Mailing lists and forwarders.", .example = "[lists.example.org]" },
};
static const struct schema_table check_arc_table = { TABLE(check_arc_options) };

static const struct schema_word dmarc_actions[] = { { "none", CONFIG_DMARC_NONE },
                                                    { "quarantine", CONFIG_DMARC_QUARANTINE },
                                                    { "reject", CONFIG_DMARC_REJECT },
                                                    { NULL } };
static const struct schema_option override_options[] = {
    { .name = "domain", .type = SCHEMA_DOMAIN_TREE, AT(config_dmarc_override, domain), .required = true,
      .help = "The author's domain; .example.org: with all below it.", .example = "example.org" },
    { .name = "action", .type = SCHEMA_ENUM, AT(config_dmarc_override, action), .required = true, .words = dmarc_actions,
      .help = "What happens to mail that fails: none lets it pass, quarantine holds it, reject refuses it.", .example = "none" },
    { .name = "comment", .type = SCHEMA_STRING, AT(config_dmarc_override, comment), .nullable = true,
      .help = "Why the entry is there; for people." },
};
static const struct schema_table override_table = { TABLE(override_options), .size = sizeof(struct config_dmarc_override),
                                                    .place_offset = offsetof(struct config_dmarc_override, place) };
static const struct schema_word organizations[] = { { "list", CONFIG_ORGANIZATION_LIST },
                                                    { "tree_walk", CONFIG_ORGANIZATION_WALK },
                                                    { NULL } };
static const struct schema_option dmarc_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, checks.dmarc.enabled), .fallback = "yes",
      .help = "Check whether what SPF and DKIM prove belongs to the author's domain (DMARC, RFC 7489)." },
    { .name = "honor", .type = SCHEMA_BOOL, AT(config, checks.dmarc.honor), .fallback = "no",
      .help = "Do what the domain asks for when its mail fails: reject it, or hold it (quarantine)." },
    { .name = "overrides", .type = SCHEMA_RECORDS, AT_LIST(config, checks.dmarc.overrides, checks.dmarc.override_n),
      .table = &override_table, .help = "Domains for which something else holds, whether or not policies are honored. The nearest "
      "entry decides." },
    { .name = "organization", .type = SCHEMA_ENUM, AT(config, checks.dmarc.organization), .fallback = "list",
      .words = organizations, .help = "How it is decided which domains belong together: by the public suffix list (RFC 7489), or by "
      "a walk up the tree of the DNS (its successor)." },
    { .name = "suffixes", .type = SCHEMA_PATH, AT(config, checks.dmarc.suffixes), .nullable = true, .shown = "the system's",
      .help = "File with the public suffix list." },
};
static const struct schema_table dmarc_table = { TABLE(dmarc_options) };

static const struct schema_option checks_options[] = {
    { .name = "delay_reject", .type = SCHEMA_BOOL, AT(config, checks.delay_reject), .fallback = "yes",
      .help = "Tell refusals that are decided earlier at RCPT, so that the log names sender and recipient." },
    { .name = "allow", .type = SCHEMA_GROUP, .table = &allow_table, .help = "Who is spared filtering." },
    { .name = "block", .type = SCHEMA_GROUP, .table = &block_table, .help = "Who is refused." },
    PLACED("greeting_pause", checks.greeting_pause, pause_table, "Clients that cannot wait."),
    PLACED("client_limits", checks.client_limits, client_limits_table, "Connections of one client."),
    PLACED("recipient_limit", checks.recipient_limit, recipient_limit_table, "Recipients of a message."),
    PLACED("helo", checks.helo, helo_table, "What clients call themselves."),
    PLACED("reverse_dns", checks.reverse_dns, reverse_table, "Names of clients in the DNS."),
    PLACED("sender", checks.sender, sender_table, "Addresses of senders."),
    PLACED("recipient", checks.recipient, recipient_table, "Addresses of recipients."),
    { .name = "dns_lists", .type = SCHEMA_GROUP, .table = &dns_lists_table, .help = "Lists in the DNS." },
    PLACED("greylist", checks.greylist, greylist_table, "Greylisting."),
    PLACED("reputation", checks.reputation, reputation_table, "What was seen of a network so far."),
    { .name = "authentication_timeout", .type = SCHEMA_TIME, AT(config, checks.authentication_timeout), .fallback = "10s", .min = 100,
      .max = MINUTE, .help = "How long the look-ups for SPF, DKIM, ARC and DMARC of one message may take, all together." },
    PLACED("spf", checks.spf, spf_table, "Who may send for a domain."),
    PLACED("dkim", checks.dkim, check_dkim_table, "Signatures of domains."),
    PLACED("arc", checks.arc, check_arc_table, "What others saw before us."),
    PLACED("dmarc", checks.dmarc, dmarc_table, "Policies of authors' domains."),
};
const struct schema_table schema_checks = { TABLE(checks_options) };

/* ---- the relaying list */

static const struct schema_word relaying_on[] = { { "connect", CONFIG_RELAYING_CONNECT },
                                                  { "from", CONFIG_RELAYING_FROM },
                                                  { "to", CONFIG_RELAYING_TO },
                                                  { "any", CONFIG_RELAYING_CONNECT | CONFIG_RELAYING_FROM |
                                                               CONFIG_RELAYING_TO },
                                                  { NULL } };
static const struct schema_word relaying_actions[] = { { "relay", CONFIG_RELAYING_RELAY },
                                                       { "reject", CONFIG_RELAYING_REJECT },
                                                       { "ok", CONFIG_RELAYING_OK },
                                                       { NULL } };
static const struct schema_option relaying_options[] = {
    { .name = "match", .type = SCHEMA_STRING, AT(config_relaying, match), .required = true,
      .help = "A domain (.example.org: with all below it), host, IP address or network.", .example = "10.20.30.0/24" },
    { .name = "on", .type = SCHEMA_SET, AT(config_relaying, on), .words = relaying_on, .fallback = "connect",
      .help = "What it is held against: the client (connect), the sender's domain (from), the recipient's (to), or any of "
              "them." },
    { .name = "action", .type = SCHEMA_ENUM, AT(config_relaying, action), .required = true, .words = relaying_actions,
      .help = "relay passes the mail on to any domain (for clients) or to this domain (for recipients; not for senders, whom "
              "anybody can claim to be); reject refuses it; "
              "ok takes it for relay domains, whatever is refused elsewhere in this list, and passes nothing on to others.",
      .example = "relay" },
    { .name = "comment", .type = SCHEMA_STRING, AT(config_relaying, comment), .nullable = true,
      .help = "Why the entry is there; for people." },
};
const struct schema_table schema_relaying = { TABLE(relaying_options), .size = sizeof(struct config_relaying),
                                                    .place_offset = offsetof(struct config_relaying, place) };

/* ---- guards */

#define GUARD_LIMIT(field, who, messages_default, recipients_default) \
    { .name = "messages", .type = SCHEMA_NUMBER, AT(config, guard.outbound.field.messages), .fallback = messages_default, .max = 1000000, \
      .help = "Messages of one " who " within an hour; 0: no limit." }, \
    { .name = "recipients", .type = SCHEMA_NUMBER, AT(config, guard.outbound.field.recipients), \
      .fallback = recipients_default, .max = 1000000, .help = "Recipients of one " who " within an hour; 0: no limit." }
static const struct schema_option guard_account_options[] = { GUARD_LIMIT(account, "account", "1000", "5000") };
static const struct schema_option guard_client_options[] = { GUARD_LIMIT(client, "trusted client", "100000", "500000") };
static const struct schema_option guard_domain_options[] = { GUARD_LIMIT(sender_domain, "sender domain", "100000", "500000") };
static const struct schema_table guard_account_table = { TABLE(guard_account_options) };
static const struct schema_table guard_client_table = { TABLE(guard_client_options) };
static const struct schema_table guard_domain_table = { TABLE(guard_domain_options) };
static const struct schema_option outbound_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, guard.outbound.enabled), .fallback = "yes",
      .help = "Hold outgoing mail past these limits, and tell the postmaster." },
    { .name = "account", .type = SCHEMA_GROUP, .table = &guard_account_table, .help = "For each user who logged in." },
    { .name = "client", .type = SCHEMA_GROUP, .table = &guard_client_table, .help = "For each client of a trusted zone." },
    { .name = "sender_domain", .type = SCHEMA_GROUP, .table = &guard_domain_table, .help = "For each domain of senders." },
};
static const struct schema_table outbound_table = { TABLE(outbound_options) };
static const struct schema_option open_relay_options[] = {
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config, guard.open_relay.enabled), .fallback = "yes",
      .help = "Withdraw the trust of an inner address behind which strangers arrive, as behind a NAT or load balancer." },
    { .name = "strangers", .type = SCHEMA_NUMBER, AT(config, guard.open_relay.strangers), .fallback = "20", .min = 3,
      .max = 60, .help = "Distinct names in EHLO, with foreign senders, within an hour from which that is believed." },
    { .name = "distrust_for", .type = SCHEMA_TIME, AT(config, guard.open_relay.distrust_for), .fallback = "1h", .min = MINUTE,
      .max = 30 * DAY, .help = "How long the address stays untrusted." },
};
static const struct schema_table open_relay_table = { TABLE(open_relay_options) };
static const struct schema_option guard_options[] = {
    PLACED("outbound", guard.outbound, outbound_table, "Against accounts and clients that were taken over."),
    PLACED("open_relay", guard.open_relay, open_relay_table, "Against trust that reaches too far."),
};
const struct schema_table schema_guard = { TABLE(guard_options) };

/* ---- the recipients of a relay domain */

static const struct schema_word verifies[] = { { "off", CONFIG_VERIFY_OFF },
                                               { "smtp", CONFIG_VERIFY_SMTP },
                                               { "ldap", CONFIG_VERIFY_LDAP },
                                               { "list", CONFIG_VERIFY_LIST },
                                               { NULL } };
#define LDAP(option, field, text, sample) \
    { .name = option, .type = SCHEMA_STRING, AT(config_domain, recipients.ldap.field), .nullable = true, .help = text, .example = sample }
static const struct schema_option recipients_ldap_options[] = {
    LDAP("url", url, "The directory: ldap://, ldaps:// or ldapi://.", "ldaps://dc.example.com"),
    { .name = "starttls", .type = SCHEMA_BOOL, AT(config_domain, recipients.ldap.starttls), .fallback = "no",
      .help = "Say StartTLS on ldap://." },
    { .name = "ca", .type = SCHEMA_PATH, AT(config_domain, recipients.ldap.ca), .nullable = true, .shown = "tls.ca",
      .help = "PEM file that the directory's certificate must lead to." },
    LDAP("base", base, "Where the search begins.", "dc=example,dc=com"),
    LDAP("filter", filter, "What a known recipient matches: %s is the address, %n the part before the @, %d the domain.",
         "(|(mail=%s)(proxyAddresses=smtp:%s))"),
    LDAP("user_dn", user_dn, "Who searches; not set: anonymously.", NULL),
    { .name = "password_file", .type = SCHEMA_PATH, AT(config_domain, recipients.ldap.password_file), .nullable = true,
      .help = "File whose first line is the password of user_dn." },
};
static const struct schema_table recipients_ldap_table = { TABLE(recipients_ldap_options) };
static const struct schema_option recipients_options[] = {
    { .name = "verify", .type = SCHEMA_ENUM, AT(config_domain, recipients.verify), .fallback = "off", .words = verifies,
      .help = "How it is found out whether a recipient exists: smtp asks the inner server with RCPT, ldap a directory, list "
              "the entries below; off takes all." },
    { .name = "reject_code", .type = SCHEMA_NUMBER, AT(config_domain, recipients.reject_code), .fallback = "450", .min = 450,
      .max = 550, .help = "The reply for an unknown recipient: 450 while the answers are on trial, 550 when they are sure." },
    { .name = "unsure", .type = SCHEMA_ENUM, AT(config_domain, recipients.unsure), .fallback = "pass", .words = without_store,
      .help = "What happens when nobody can be asked and nothing is remembered: pass, or defer." },
    { .name = "keep_known", .type = SCHEMA_TIME, AT(config_domain, recipients.keep_known), .fallback = "7d", .min = SECOND,
      .max = 365 * DAY, .help = "How long an answer that a recipient exists is remembered." },
    { .name = "keep_unknown", .type = SCHEMA_TIME, AT(config_domain, recipients.keep_unknown), .fallback = "1h", .min = SECOND,
      .max = 30 * DAY, .help = "How long an answer that it does not exist is remembered." },
    { .name = "timeout", .type = SCHEMA_TIME, AT(config_domain, recipients.timeout), .fallback = "10s", .min = 100, .max = 5 * MINUTE,
      .help = "How long an answer is waited for." },
    { .name = "list", .type = SCHEMA_RECORDS, AT_LIST(config_domain, recipients.list.entries, recipients.list.n), .table = &schema_match,
      .help = "The recipients there are (verify: list).", .example = "[info@example.com, {file: lists/recipients}]" },
    { .name = "ldap", .type = SCHEMA_GROUP, .table = &recipients_ldap_table, .help = "The directory (verify: ldap)." },
};
const struct schema_table schema_recipients = { TABLE(recipients_options) };

/* ---- what is remembered */

static const struct schema_option store_options[] = {
    { .name = "history", .type = SCHEMA_TIME, AT(config, store.history), .fallback = "30d", .max = 3650 * DAY,
      .help = "How long the story of each message and refusal is kept for `postern trace`; 0: none is written." },
    { .name = "history_size", .type = SCHEMA_SIZE, AT(config, store.history_size), .fallback = "2G", .min = 16 * M,
      .help = "How much disk they may take; the oldest go first." },
    { .name = "entries", .type = SCHEMA_NUMBER, AT(config, store.entries), .fallback = "500000", .min = 1000,
      .max = 100000000, .help = "Entries of each kind (greylisting, reputation ...) that are remembered; the oldest give way." },
};
const struct schema_table schema_store = { TABLE(store_options) };
