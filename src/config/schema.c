/* SPDX-License-Identifier: Apache-2.0
 * The table of all options: name, type, place in struct config, default, bounds, help. To add an option, add its
 * field to config.h and its line here or in the schema_*.c of its subject. */
#include <string.h>
#include "base/log.h"
#include "config/schema_table.h"

static const struct schema_word log_levels[] = { { "debug", LOG_DEBUG },
                                                 { "info", LOG_INFO },
                                                 { "warning", LOG_WARNING },
                                                 { "error", LOG_ERROR },
                                                 { NULL } };

static const struct schema_word log_formats[] = { { "text", LOG_FORMAT_TEXT }, { "json", LOG_FORMAT_JSON }, { "rfc5424", LOG_FORMAT_RFC5424 }, { NULL } };
static const struct schema_word log_targets[] = { { "stderr", LOG_TO_STDERR }, { "journal", LOG_TO_JOURNAL }, { "syslog", LOG_TO_SYSLOG }, { NULL } };
static const struct schema_word log_facilities[] = {
    { "user", 1 },    { "mail", 2 },    { "daemon", 3 },  { "local0", 16 }, { "local1", 17 }, { "local2", 18 },
    { "local3", 19 }, { "local4", 20 }, { "local5", 21 }, { "local6", 22 }, { "local7", 23 }, { NULL },
};

static const struct schema_option dns_options[] = {
    { .name = "servers", .type = SCHEMA_LIST, .item = SCHEMA_SERVER, AT_LIST(config, dns.servers, dns.server_n),
      .shown = "those in /etc/resolv.conf", .help = "Name servers to ask, as address or address:port.",
      .example = "[192.0.2.53, \"127.0.0.1:5353\"]" },
    { .name = "timeout", .type = SCHEMA_TIME, AT(config, dns.timeout), .fallback = "15s", .min = 100,
      .max = 5 * MINUTE, .help = "How long one look-up may take." },
    { .name = "trust_anchor", .type = SCHEMA_PATH, AT(config, dns.trust_anchor),
      .shown = "/usr/share/dns/root.key, where tls: dane or dane-only is asked for",
      .help = "File with the DS or DNSKEY records that DNSSEC is checked from.", .example = "dns/anchor.key" },
};
static const struct schema_table dns_table = { TABLE(dns_options) };

static const struct schema_option system_options[] = {
    { .name = "directory", .type = SCHEMA_PATH, AT(config, system.directory), .fallback = "/var/lib/postern",
      .help = "Where the spool and everything else that must last is kept." },
    { .name = "run_directory", .type = SCHEMA_PATH, AT(config, system.run_directory), .fallback = "/run/postern",
      .help = "Where the control socket and the process id are kept." },
    { .name = "user", .type = SCHEMA_NAME, AT(config, system.user), .fallback = "postern",
      .help = "The user the relay workers become; \"\": stay who they are." },
    { .name = "admin_user", .type = SCHEMA_NAME, AT(config, system.admin_user), .fallback = "postern-admin",
      .help = "The user the admin process becomes; \"\": stays who it is." },
    { .name = "auth_user", .type = SCHEMA_NAME, AT(config, system.auth_user), .fallback = "postern-auth",
      .help = "The user the process that knows passwords becomes; \"\": stays who it is." },
    { .name = "sign_user", .type = SCHEMA_NAME, AT(config, system.sign_user), .fallback = "postern-sign",
      .help = "The user the process that knows the keys of DKIM and ARC becomes; \"\": stays who it is." },
    { .name = "store_user", .type = SCHEMA_NAME, AT(config, system.store_user), .shown = "system.user",
      .help = "The user the process that remembers becomes." },
    { .name = "scan_user", .type = SCHEMA_NAME, AT(config, system.scan_user), .shown = "system.user",
      .help = "The user the processes that look into messages become." },
    { .name = "table_user", .type = SCHEMA_NAME, AT(config, system.table_user), .shown = "system.auth_user",
      .help = "The user the process that reads tables becomes." },
    { .name = "mail_user", .type = SCHEMA_NAME, AT(config, system.mail_user), .shown = "system.user",
      .help = "The user the process that writes into mailboxes (maildir:) becomes: whom the folders there belong to." },
    { .name = "workers", .type = SCHEMA_NUMBER, AT(config, system.workers), .fallback = "0", .max = 256,
      .help = "Relay processes; 0: one for each processor core." },
    { .name = "drain", .type = SCHEMA_TIME, AT(config, system.drain), .fallback = "60s", .max = DAY,
      .help = "How long open sessions may go on after a reload or stop." },
    { .name = "sandbox", .type = SCHEMA_BOOL, AT(config, system.sandbox), .fallback = "yes",
      .help = "Confine the processes with Landlock and seccomp." },
};
static const struct schema_table system_table = { TABLE(system_options) };

static const struct schema_option log_options[] = {
    { .name = "level", .type = SCHEMA_ENUM, AT(config, log.level), .fallback = "info", .words = log_levels,
      .help = "The least important events that are written." },
    { .name = "to", .type = SCHEMA_ENUM, AT(config, log.to), .fallback = "stderr", .words = log_targets,
      .help = "Where lines go: standard error (under systemd that is the journal); the journal, with each field as one of its own; syslog." },
    { .name = "format", .type = SCHEMA_ENUM, AT(config, log.format), .fallback = "text", .words = log_formats,
      .help = "How lines look on standard error and in syslog; rfc5424, with structured data, is for a syslog that reads it." },
    { .name = "facility", .type = SCHEMA_ENUM, AT(config, log.facility), .fallback = "mail", .words = log_facilities,
      .help = "What syslog and the journal sort them under." },
    { .name = "socket", .type = SCHEMA_PATH, AT(config, log.socket), .nullable = true, .shown = "/run/systemd/journal/socket, or /dev/log",
      .help = "The socket of the journal or of syslog.", .example = "/run/syslog.sock" },
};
static const struct schema_table log_table = { TABLE(log_options) };

#define PLACED(group, field, rows, text) \
    { .name = group, .type = SCHEMA_GROUP, .place_offset = offsetof(struct config, field), .table = &(rows), .help = text }
static const struct schema_option root_options[] = {
    { .name = "hostname", .type = SCHEMA_HOST, AT(config, hostname), .required = true,
      .help = "The relay's full name: in its greeting, its Received lines and as HELO. It should resolve to the "
              "address the relay sends from, and back.", .example = "mx.example.com" },
    { .name = "postmaster", .type = SCHEMA_MAILBOX, AT(config, postmaster), .shown = "postmaster@ and hostname",
      .help = "Who takes mail to <postmaster> and appears in what the relay itself writes." },
    { .name = "listeners", .type = SCHEMA_RECORDS, AT_LIST(config, listeners, listener_n), .table = &schema_listener,
      .shown = "[{address: \"*:25\"}]", .help = "Where the relay takes mail in." },
    { .name = "zones", .type = SCHEMA_MAP, AT_LIST(config, zones, zone_n), .table = &schema_zone,
      .help = "Named groups of clients. Everybody who belongs to no other zone is in the zone internet, which is "
              "always there and can be written to set its limits, but never trusted." },
    { .name = "main_domain", .type = SCHEMA_DOMAIN, AT(config, main_domain), .nullable = true,
      .help = "The domain of names that are written without one, in aliases. Mail to it is taken for its aliases, without an entry in "
              "domains.", .example = "example.com" },
    { .name = "domains", .type = SCHEMA_RECORDS, AT_LIST(config, domains, domain_n), .table = &schema_domain,
      .help = "The relay domains: mail for them is accepted from everybody, and passed on." },
    { .name = "routes", .type = SCHEMA_RECORDS, AT_LIST(config, routes, route_n), .table = &schema_route,
      .help = "Other ways for single recipients, senders or domains. A route for the recipient's address is looked at first, then one "
              "for its exact domain, then the longest \".domain\", then the relay domain's own next hop, then the routes for the "
              "sender in the same order, then smarthost." },
    { .name = "inner_host", .type = SCHEMA_HOP, AT(config, inner_host), .table = &schema_hop,
      .shown = "the domain's MX", .help = "The next hop for relay domains without a deliver of their own.",
      .example = "10.20.30.40" },
    { .name = "smarthost", .type = SCHEMA_HOP, AT(config, smarthost), .table = &schema_hop,
      .shown = "the domain's MX", .help = "The next hop for mail to all other domains.",
      .example = "{host: smtp.isp.example, port: 587}" },
    { .name = "mappings", .type = SCHEMA_RECORDS, AT_LIST(config, mappings, mapping_n), .table = &schema_mapping,
      .help = "Domains that stand for others: mail to anna@old.example goes to anna@new.example." },
    { .name = "aliases", .type = SCHEMA_RECORDS, AT_LIST(config, aliases, alias_n), .table = &schema_alias,
      .help = "Names that stand for other addresses, one or many." },
    { .name = "system_mail", .type = SCHEMA_LIST, .item = SCHEMA_LOCAL, AT_LIST(config, system_mail, system_mail_n),
      .fallback = "root, postmaster, abuse, mailer-daemon, hostmaster, webmaster, security, noc",
      .help = "Names whose mail at hostname and main_domain goes to postmaster (RFC 2142), unless they have an alias." },
    { .name = "copies", .type = SCHEMA_RECORDS, AT_LIST(config, copies, copy_n), .table = &schema_copy,
      .help = "Who gets a copy of messages besides their recipients." },
    { .name = "tables", .type = SCHEMA_MAP, AT_LIST(config, tables, table_n), .table = &schema_table,
      .help = "Files, databases and directories whose entries options can use: {table: NAME}." },
    PLACED("notices", notices.place, schema_notices, "Texts that the relay writes: bounces, warnings, digests."),
    { .name = "limits", .type = SCHEMA_GROUP, .table = &schema_limits, .help = "What one client or message may use." },
    { .name = "timeouts", .type = SCHEMA_GROUP, .table = &schema_timeouts,
      .help = "How long peers are waited for (RFC 5321 section 4.5.3.2)." },
    { .name = "queue", .type = SCHEMA_GROUP, .table = &schema_queue, .help = "Messages on their way." },
    { .name = "delivery", .type = SCHEMA_GROUP, .table = &schema_delivery, .help = "How next hops are spoken to." },
    { .name = "tls_policies", .type = SCHEMA_RECORDS, AT_LIST(config, tls_policies, tls_policy_n),
      .table = &schema_tls_policy,
      .help = "What must hold of encryption towards single destinations, whichever way their mail goes." },
    { .name = "tls", .type = SCHEMA_GROUP, .table = &schema_tls, .help = "Certificates and keys of the relay." },
    { .name = "auth", .type = SCHEMA_GROUP, .table = &schema_auth,
      .help = "Who may log in to send, and who is asked about passwords." },
    { .name = "checks", .type = SCHEMA_GROUP, .table = &schema_checks,
      .help = "What is asked of strangers before their mail is taken." },
    { .name = "relaying", .type = SCHEMA_RECORDS, AT_LIST(config, relaying, relaying_n), .table = &schema_relaying,
      .help = "Exceptions to who may relay, besides zones and domains. The nearest entry decides." },
    { .name = "guard", .type = SCHEMA_GROUP, .table = &schema_guard, .help = "Against misuse of those who may relay." },
    { .name = "store", .type = SCHEMA_GROUP, .table = &schema_store, .help = "What is remembered." },
    { .name = "dkim", .type = SCHEMA_GROUP, .place_offset = offsetof(struct config, dkim.place), .table = &schema_dkim,
      .help = "Signing what users of ours send." },
    { .name = "arc", .type = SCHEMA_GROUP, .place_offset = offsetof(struct config, arc.place), .table = &schema_arc,
      .help = "Sealing what passes through." },
    { .name = "srs", .type = SCHEMA_GROUP, .place_offset = offsetof(struct config, srs.place), .table = &schema_srs,
      .help = "Senders of mail that is forwarded, rewritten to addresses of ours." },
    PLACED("scan", scan.place, schema_scan, "How messages are looked into."),
    { .name = "scanners", .type = SCHEMA_RECORDS, AT_LIST(config, scanners, scanner_n), .table = &schema_scanner,
      .help = "Programs that are asked about messages: scanners for viruses, engines for spam, milters." },
    PLACED("attachments", attachments.place, schema_attachments, "Attachments that are blocked."),
    PLACED("virus", virus.place, schema_virus, "What is done about viruses. They are looked for when there is a scanner for them."),
    PLACED("spam", spam.place, schema_spam, "What is done about spam."),
    { .name = "header_checks", .type = SCHEMA_RECORDS, AT_LIST(config, header_checks, header_check_n),
      .table = &schema_header_check, .help = "Patterns of header lines and what is done with them, in Postfix's syntax. A single "
      "line of text stands for `line`." },
    { .name = "rules", .type = SCHEMA_RECORDS, AT_LIST(config, rules, rule_n), .table = &schema_rule,
      .help = "Rules for messages, one after another." },
    PLACED("quarantine", quarantine.place, schema_quarantine, "Where mail is held."),
    { .name = "dns", .type = SCHEMA_GROUP, .table = &dns_table, .help = "Name resolution." },
    PLACED("web", web.place, schema_web, "The web administration."),
    { .name = "webhooks", .type = SCHEMA_RECORDS, AT_LIST(config, webhooks, webhook_n), .table = &schema_webhook,
      .help = "Who else is told of events, over HTTPS." },
    { .name = "system", .type = SCHEMA_GROUP, .table = &system_table, .help = "Directories, users, processes." },
    { .name = "log", .type = SCHEMA_GROUP, .table = &log_table, .help = "The log." },
};
const struct schema_table schema_root = { TABLE(root_options), .size = sizeof(struct config) };

const struct schema_option *schema_find(const struct schema_table *t, const char *name, size_t n)
{
    for (size_t i = 0; i < t->n; i++)
        if (strlen(t->options[i].name) == n && !memcmp(t->options[i].name, name, n)) return &t->options[i];
    return NULL;
}

const char *schema_type_name(const struct schema_option *o)
{
    static const char *const names[] = {
        [SCHEMA_STRING] = "text",       [SCHEMA_SECRET] = "secret text",     [SCHEMA_HOST] = "host name",
        [SCHEMA_DOMAIN] = "domain",     [SCHEMA_DNS_NAME] = "name",          [SCHEMA_DOMAIN_TREE] = "domain or .domain",
        [SCHEMA_PEER] = "host name or IP address", [SCHEMA_MAILBOX] = "mail address",
        [SCHEMA_RECIPIENT] = "domain or mail address", [SCHEMA_NAME] = "name",
        [SCHEMA_LOCAL] = "name",       [SCHEMA_ALIAS] = "name or mail address", [SCHEMA_TARGET] = "mail address or name",
        [SCHEMA_MAC] = "MAC address",  [SCHEMA_SOURCES] = "one or two IP addresses", [SCHEMA_LISTENER] = "address:port",
        [SCHEMA_PATH] = "path",         [SCHEMA_SERVER] = "address[:port]",  [SCHEMA_BOOL] = "yes or no",
        [SCHEMA_NUMBER] = "number",     [SCHEMA_PERCENT] = "percentage",     [SCHEMA_PORT] = "port",
        [SCHEMA_SCORE] = "score",       [SCHEMA_CLOCK] = "time of day",
        [SCHEMA_SIZE] = "size",         [SCHEMA_TIME] = "time",              [SCHEMA_ENUM] = "word",
        [SCHEMA_SET] = "list of words", [SCHEMA_IP] = "IP address",          [SCHEMA_NETWORK] = "network",
        [SCHEMA_ENDPOINT] = "address:port", [SCHEMA_ZONE] = "zone",          [SCHEMA_HOP] = "next hop",
        [SCHEMA_LIST] = "list",         [SCHEMA_GROUP] = "group",            [SCHEMA_RECORDS] = "list of groups",
        [SCHEMA_MAP] = "groups by name",
    };
    if (o->type == SCHEMA_BOOL && o->words) return "word";
    if (o->type != SCHEMA_LIST) return names[o->type];
    return o->item == SCHEMA_NETWORK  ? "list of networks"
           : o->item == SCHEMA_SERVER ? "list of servers"
           : o->item == SCHEMA_CLOCK  ? "list of times of the day"
           : o->item == SCHEMA_STRING ? "list of texts"
           : o->item == SCHEMA_PATH   ? "list of paths"
           : o->item == SCHEMA_TARGET ? "list of mail addresses"
           : o->item == SCHEMA_MAC    ? "list of MAC addresses"
                                      : "list of names";
}
