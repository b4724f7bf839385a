/* SPDX-License-Identifier: Apache-2.0
 * Options of delivery: next hops, domains, routes, TLS policies, timeouts, the queue. */
#include "config/schema_table.h"

static const struct schema_word families[] = { { "any", CONFIG_FAMILY_ANY },
                                               { "ipv4", CONFIG_FAMILY_IPV4 },
                                               { "ipv6", CONFIG_FAMILY_IPV6 },
                                               { NULL } };
static const struct schema_word client_tls[] = { { "none", CONFIG_CLIENT_TLS_NONE },
                                                 { "may", CONFIG_CLIENT_TLS_MAY },
                                                 { "dane", CONFIG_CLIENT_TLS_DANE },
                                                 { "encrypt", CONFIG_CLIENT_TLS_ENCRYPT },
                                                 { "verify", CONFIG_CLIENT_TLS_VERIFY },
                                                 { "dane-only", CONFIG_CLIENT_TLS_DANE_ONLY },
                                                 { NULL } };

const char *config_client_tls_word(enum config_client_tls level)
{
    const struct schema_word *w = client_tls;
    while (w->value != level) w++;
    return w->word;
}

#define HOP_TLS(record, field) \
    { .name = "tls", .type = SCHEMA_ENUM, AT(record, field), .words = client_tls, .unset = SCHEMA_UNSET, \
      .shown = "as delivery.tls", .help = "Encryption towards this hop; the words are those of delivery.tls." }
#define HOP_SOURCE(record, ipv4, ipv6, text) \
    { .name = "source", .type = SCHEMA_SOURCES, AT_LIST(record, ipv4, ipv6), .shown = "as delivery.source4 and source6", \
      .help = text, .example = "[192.0.2.9, \"2001:db8::9\"]" }

static const struct schema_word sasl[] = { { "plain", CONFIG_SASL_PLAIN },
                                           { "login", CONFIG_SASL_LOGIN },
                                           { "cram-md5", CONFIG_SASL_CRAM_MD5 },
                                           { "digest-md5", CONFIG_SASL_DIGEST_MD5 },
                                           { "scram-sha-1", CONFIG_SASL_SCRAM_SHA_1 },
                                           { "scram-sha-256", CONFIG_SASL_SCRAM_SHA_256 },
                                           { "scram-sha-256-plus", CONFIG_SASL_SCRAM_SHA_256_PLUS },
                                           { "xoauth2", CONFIG_SASL_XOAUTH2 },
                                           { "oauthbearer", CONFIG_SASL_OAUTHBEARER },
                                           { NULL } };

static const struct schema_option token_options[] = {
    { .name = "command", .type = SCHEMA_STRING, AT(config_hop, auth.token.command), .nullable = true,
      .help = "A shell command that prints an access token.", .example = "/usr/local/bin/mail-token" },
    { .name = "endpoint", .type = SCHEMA_STRING, AT(config_hop, auth.token.endpoint), .nullable = true,
      .help = "URL of an OAuth 2 token endpoint, where the refresh token is exchanged for access tokens "
              "(RFC 6749 section 6).", .example = "https://login.example/oauth2/v2.0/token" },
    { .name = "client_id", .type = SCHEMA_STRING, AT(config_hop, auth.token.client_id), .nullable = true,
      .help = "How the endpoint knows this program." },
    { .name = "client_secret_file", .type = SCHEMA_PATH, AT(config_hop, auth.token.client_secret_file),
      .nullable = true, .help = "File whose first line is the client's secret, where the endpoint wants one." },
    { .name = "refresh_token_file", .type = SCHEMA_PATH, AT(config_hop, auth.token.refresh_token_file),
      .nullable = true, .help = "File whose first line is the refresh token; a new one replaces it." },
    { .name = "scope", .type = SCHEMA_STRING, AT(config_hop, auth.token.scope), .nullable = true,
      .help = "What is asked for, where the endpoint wants to know." },
};
static const struct schema_table token_table = { TABLE(token_options) };

static const struct schema_word protocols[] = { { "smtp", CONFIG_HOP_SMTP },
                                                { "lmtp", CONFIG_HOP_LMTP },
                                                { "maildir", CONFIG_HOP_MAILDIR },
                                                { NULL } };

static const struct schema_option hop_options[] = {
    { .name = "host", .type = SCHEMA_STRING, AT(config_hop, host), .required = true,
      .help = "Host name or IP address of the next hop.", .example = "relay.example.net" },
    { .name = "protocol", .type = SCHEMA_ENUM, AT(config_hop, kind), .fallback = "smtp", .words = protocols,
      .help = "What is spoken: smtp; lmtp (RFC 2033), where host may be the path of a socket; maildir writes into folders, of which host "
              "is the path." },
    { .name = "port", .type = SCHEMA_PORT, AT(config_hop, port), .fallback = "25", .shown = "25; 24 of LMTP", .min = 1, .max = 65535,
      .help = "TCP port of the next hop." },
    { .name = "mx", .type = SCHEMA_BOOL, AT(config_hop, mx), .fallback = "no",
      .help = "Look up the MX records of host, instead of its addresses." },
    HOP_TLS(config_hop, tls),
    HOP_SOURCE(config_hop, source4, source6,
               "The local address connections to this hop are made from, or a list of one for IPv4 and one for IPv6."),
    { .name = "implicit_tls", .type = SCHEMA_BOOL, AT(config_hop, implicit_tls), .shown = "yes on port 465",
      .help = "TLS from the first byte, instead of STARTTLS (RFC 8314)." },
    { .name = "ca", .type = SCHEMA_PATH, AT(config_hop, ca), .nullable = true, .shown = "tls.ca",
      .help = "PEM file that the hop's certificate must lead to (tls: verify).", .example = "tls/isp-ca.pem" },
    { .name = "names", .type = SCHEMA_LIST, .item = SCHEMA_DNS_NAME, AT_LIST(config_hop, names, name_n),
      .shown = "host", .help = "Names accepted in its certificate (tls: verify).", .example = "[smtp.isp.example]" },
    { .name = "user", .type = SCHEMA_STRING, AT(config_hop, auth.user), .nullable = true,
      .help = "Log in under this name (AUTH).", .example = "relay@example.com" },
    { .name = "password", .type = SCHEMA_SECRET, AT(config_hop, auth.password), .nullable = true,
      .help = "The password of user. It is never shown; better kept in password_file." },
    { .name = "password_file", .type = SCHEMA_PATH, AT(config_hop, auth.password_file), .nullable = true,
      .help = "File whose first line is the password, read when it is needed: only system.auth_user needs to read it.",
      .example = "secrets/isp" },
    { .name = "methods", .type = SCHEMA_SET, AT(config_hop, auth.methods), .words = sasl,
      .shown = "the best that both sides know", .help = "The ways to log in that may be used.",
      .example = "[scram-sha-256, plain]" },
    { .name = "token", .type = SCHEMA_GROUP, .table = &token_table,
      .help = "Where access tokens for xoauth2 and oauthbearer come from: a command, or an endpoint." },
};
const struct schema_table schema_hop = { TABLE(hop_options), .size = sizeof(struct config_hop),
                                               .place_offset = offsetof(struct config_hop, place) };

#define REWRITE_SENDER(record, field) \
    { .name = "rewrite_sender", .type = SCHEMA_BOOL, AT(record, field), .fallback = "no", \
      .help = "Send this mail on with a sender at srs.domain in place of one of somebody else's domain: for next hops outside that check " \
              "SPF. What comes back to it finds its way." }

static const struct schema_option domain_options[] = {
    { .name = "name", .type = SCHEMA_DOMAIN, AT(config_domain, name), .instead_offset = offsetof(struct config_domain, names),
      .help = "The domain whose mail is accepted from everybody; either it or table must be set. International names are written as A-labels "
              "(xn--...).", .example = "example.com" },
    { .name = "table", .type = SCHEMA_NAME, AT(config_domain, names), .nullable = true,
      .help = "In place of name: one of tables, whose entries are the domains.", .example = "customers" },
    { .name = "subdomains", .type = SCHEMA_BOOL, AT(config_domain, subdomains), .fallback = "no",
      .help = "Also accept mail for every domain below it." },
    { .name = "deliver", .type = SCHEMA_HOP, AT(config_domain, deliver), .table = &schema_hop,
      .shown = "inner_host, or the domain's MX", .help = "The next hop for the domain's mail.",
      .example = "10.20.30.40:25" },
    { .name = "recipients", .type = SCHEMA_GROUP, .table = &schema_recipients,
      .help = "Whether its recipients are known." },
    REWRITE_SENDER(config_domain, rewrite_sender),
};
const struct schema_table schema_domain = { TABLE(domain_options), .size = sizeof(struct config_domain),
                                                  .place_offset = offsetof(struct config_domain, place), .just_one = { "name", "table" } };

static const struct schema_option route_options[] = {
    { .name = "to", .type = SCHEMA_RECIPIENT, AT(config_route, to), .nullable = true,
      .help = "Which recipients: \"example.org\", \".example.org\" for it and everything below, or "
              "\"user@example.org\". A route does not make a domain a relay domain.", .example = "partner.example" },
    { .name = "from", .type = SCHEMA_RECIPIENT, AT(config_route, from), .nullable = true,
      .help = "In place of to: which senders, in the same words. It decides where the recipient has neither a route nor a relay domain's "
              "next hop.", .example = "news.example.com" },
    { .name = "via", .type = SCHEMA_HOP, AT(config_route, via), .table = &schema_hop, .shown = "where it would go without this route",
      .help = "The next hop for them.", .example = "192.0.2.7:2525" },
    HOP_TLS(config_route, via.tls),
    HOP_SOURCE(config_route, source4, source6,
               "The local address that this mail goes out from, or a list of one for IPv4 and one for IPv6; also without via."),
    REWRITE_SENDER(config_route, rewrite_sender),
};
const struct schema_table schema_route = { TABLE(route_options), .size = sizeof(struct config_route),
                                                 .place_offset = offsetof(struct config_route, place), .just_one = { "to", "from" }, .any = { "via", "source" } };

static const struct schema_option tls_policy_options[] = {
    { .name = "to", .type = SCHEMA_DOMAIN_TREE, AT(config_tls_policy, to), .required = true,
      .help = "The recipients' domain, or a next hop's name: \"example.org\", or \".example.org\" for it and "
              "everything below. The longest that fits decides.", .example = "partner.example" },
    { .name = "tls", .type = SCHEMA_ENUM, AT(config_tls_policy, tls), .words = client_tls, .unset = SCHEMA_UNSET,
      .shown = "as delivery.tls", .help = "What must hold of encryption; the words are those of delivery.tls.",
      .example = "verify" },
    { .name = "mta_sts", .type = SCHEMA_BOOL, AT(config_tls_policy, mta_sts), .shown = "as delivery.mta_sts",
      .help = "Look for an MTA-STS policy of the domain." },
    { .name = "ca", .type = SCHEMA_PATH, AT(config_tls_policy, ca), .nullable = true, .shown = "tls.ca",
      .help = "PEM file that certificates must lead to.", .example = "tls/partner-ca.pem" },
    { .name = "names", .type = SCHEMA_LIST, .item = SCHEMA_DNS_NAME, AT_LIST(config_tls_policy, names, name_n),
      .shown = "the host's name", .help = "Names accepted in certificates.", .example = "[mail.partner.example]" },
    { .name = "min_version", .type = SCHEMA_ENUM, AT(config_tls_policy, min_version), .words = schema_tls_versions,
      .unset = 0, .shown = "tls.min_version", .help = "Lowest TLS version spoken." },
};
const struct schema_table schema_tls_policy = { TABLE(tls_policy_options), .size = sizeof(struct config_tls_policy),
                                                .place_offset = offsetof(struct config_tls_policy, place) };

#define TIMEOUT(field, def, least, most, text) \
    { .name = #field, .type = SCHEMA_TIME, AT(config, timeouts.field), .fallback = def, .min = least, .max = most, \
      .help = text }
static const struct schema_option timeouts_options[] = {
    TIMEOUT(command, "5m", SECOND, HOUR, "How long a client may take for its next command."),
    TIMEOUT(data, "5m", SECOND, HOUR, "Between two pieces of a message that a client sends."),
    TIMEOUT(message, "60m", 10 * SECOND, DAY, "For one whole message, from DATA to its last byte."),
    TIMEOUT(session, "0", 0, 7 * DAY, "For a client's connection as a whole; 0: no limit."),
    TIMEOUT(connect, "30s", SECOND, 10 * MINUTE, "Towards a next hop: until a connection is made."),
    TIMEOUT(greeting, "5m", SECOND, HOUR, "Towards a next hop: until its greeting has come."),
    TIMEOUT(reply, "5m", SECOND, HOUR, "Towards a next hop: for replies to EHLO, STARTTLS, MAIL, RCPT and RSET."),
    TIMEOUT(data_init, "2m", SECOND, HOUR, "Towards a next hop: for the reply to DATA."),
    TIMEOUT(data_block, "3m", SECOND, HOUR, "Towards a next hop: until it takes the next piece of a message."),
    TIMEOUT(data_done, "10m", SECOND, HOUR, "Towards a next hop: for the reply after the message's final dot."),
};
const struct schema_table schema_timeouts = { TABLE(timeouts_options) };

static const struct schema_option queue_options[] = {
    { .name = "lifetime", .type = SCHEMA_TIME, AT(config, queue.lifetime), .fallback = "5d", .min = SECOND,
      .max = 100 * DAY, .help = "How long delivery is tried before a message is returned to its sender." },
    { .name = "bounce_lifetime", .type = SCHEMA_TIME, AT(config, queue.bounce_lifetime), .fallback = "2d", .min = 0,
      .max = 100 * DAY, .help = "The same for the relay's own bounces and other mail with a null sender." },
    { .name = "retry_first", .type = SCHEMA_TIME, AT(config, queue.retry_first), .fallback = "5m", .min = SECOND,
      .max = DAY, .help = "Pause after the first failed try; it grows from try to try." },
    { .name = "retry_max", .type = SCHEMA_TIME, AT(config, queue.retry_max), .fallback = "4h", .min = SECOND,
      .max = 7 * DAY, .help = "Longest pause between two tries." },
    { .name = "delay_warning", .type = SCHEMA_TIME, AT(config, queue.delay_warning), .fallback = "4h",
      .max = 100 * DAY, .help = "When the sender is told that a message is still waiting; 0: never." },
    { .name = "free_space", .type = SCHEMA_PERCENT, AT(config, queue.free_space), .fallback = "5%", .max = 90,
      .help = "Free space of the spool's file system below which new mail is put off with 452." },
    { .name = "warn_messages", .type = SCHEMA_NUMBER, AT(config, queue.warn_messages), .fallback = "5000", .max = 100000000,
      .help = "From so many messages on the log, and webhooks for queue, say that it is long; 0: never." },
    { .name = "warn_age", .type = SCHEMA_TIME, AT(config, queue.warn_age), .fallback = "1d", .max = 100 * DAY,
      .help = "The same when one has waited for so long; 0: never." },
    { .name = "memory", .type = SCHEMA_SIZE, AT(config, queue.memory), .fallback = "128M", .min = M, .max = 1024 * G,
      .help = "Memory of one worker for the text of messages that wait to be delivered." },
    { .name = "segment_size", .type = SCHEMA_SIZE, AT(config, queue.segment_size), .fallback = "64M", .min = M,
      .max = 2 * G, .help = "Size at which a spool file is closed and the next one begun." },
    { .name = "inline_size", .type = SCHEMA_SIZE, AT(config, queue.inline_size), .fallback = "128K", .min = 4 * K,
      .max = 16 * M, .help = "Messages up to this size share spool files; larger ones get a file of their own." },
    { .name = "active", .type = SCHEMA_NUMBER, AT(config, queue.active), .fallback = "20000", .min = 10,
      .max = 10000000, .help = "Messages one worker works on at the same time." },
};
const struct schema_table schema_queue = { TABLE(queue_options) };

static const struct schema_option delivery_options[] = {
    { .name = "connections", .type = SCHEMA_NUMBER, AT(config, delivery.connections), .fallback = "20", .min = 1,
      .max = 10000, .help = "Connections at once to one destination, from one worker." },
    { .name = "connections_total", .type = SCHEMA_NUMBER, AT(config, delivery.connections_total), .fallback = "500",
      .min = 1, .max = 100000, .help = "Connections at once to all destinations together, from one worker." },
    { .name = "messages_per_connection", .type = SCHEMA_NUMBER, AT(config, delivery.messages_per_connection),
      .fallback = "1000", .min = 1, .max = 1000000, .help = "Messages after which a connection is closed." },
    { .name = "recipients", .type = SCHEMA_NUMBER, AT(config, delivery.recipients), .fallback = "100", .min = 1,
      .max = 10000, .help = "Recipients in one transaction; a message with more goes out in several." },
    { .name = "idle", .type = SCHEMA_TIME, AT(config, delivery.idle), .fallback = "5s", .max = 5 * MINUTE,
      .help = "How long a connection with nothing to send is kept." },
    { .name = "helo", .type = SCHEMA_HOST, AT(config, delivery.helo), .shown = "hostname",
      .help = "The name the relay introduces itself with to the next hop." },
    { .name = "family", .type = SCHEMA_ENUM, AT(config, delivery.family), .fallback = "any", .words = families,
      .help = "Which addresses of a next hop are tried." },
    { .name = "source4", .type = SCHEMA_IP, AT(config, delivery.source4), .min = 4, .shown = "the system chooses",
      .help = "Local address for connections over IPv4.", .example = "192.0.2.9" },
    { .name = "source6", .type = SCHEMA_IP, AT(config, delivery.source6), .min = 6, .shown = "the system chooses",
      .help = "Local address for connections over IPv6.", .example = "2001:db8::9" },
    { .name = "public_addresses", .type = SCHEMA_LIST, .item = SCHEMA_NETWORK, AT_LIST(config, delivery.public, delivery.public_n),
      .shown = "those of this machine", .help = "The addresses that others see connections come from, where that is not this machine's own "
      "(NAT): for `postern doctor` and the DNS records that it proposes.", .example = "[198.51.100.7]" },
    { .name = "tls", .type = SCHEMA_ENUM, AT(config, delivery.tls), .fallback = "may", .words = client_tls,
      .help = "Encryption towards next hops: none never asks for it; may uses it when it is offered; dane does as "
              "secure TLSA records of the destination say (RFC 7672), else may; encrypt wants it, whatever the "
              "certificate; verify wants a certificate that leads to a known authority and bears the name; dane-only "
              "wants TLSA records. What is not met leaves the mail in the queue." },
    { .name = "mta_sts", .type = SCHEMA_BOOL, AT(config, delivery.mta_sts), .fallback = "no",
      .help = "Look for the policies that domains publish for mail to their MX hosts (MTA-STS, RFC 8461), and obey "
              "them." },
    { .name = "tls_reports", .type = SCHEMA_BOOL, AT(config, delivery.tls_reports), .fallback = "no",
      .help = "Count how TLS went, and send a report each day to domains that ask for it (RFC 8460)." },
    { .name = "tls_report_contact", .type = SCHEMA_MAILBOX, AT(config, delivery.tls_report_contact), .nullable = true,
      .shown = "postmaster", .help = "Whom these reports name for questions.", .example = "tls@example.com" },
    { .name = "probe", .type = SCHEMA_TIME, AT(config, delivery.probe), .fallback = "1h", .max = 7 * DAY,
      .help = "How long is believed what a fixed next hop can take (8-bit text, international addresses, sizes) before "
              "it is asked again; 0: it is never asked." },
};
const struct schema_table schema_delivery = { TABLE(delivery_options) };
