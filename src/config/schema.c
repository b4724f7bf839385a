/* SPDX-License-Identifier: Apache-2.0
 * The table of all options: name, type, place in struct config, default, bounds, help. To add an option, add its
 * field to config.h and its line here. */
#include "config/schema.h"
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"

#define K 1024ull
#define M (1024 * K)
#define G (1024 * M)
#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define AT(record, field) .offset = offsetof(struct record, field)
#define AT_LIST(record, field, count) \
    .offset = offsetof(struct record, field), .count_offset = offsetof(struct record, count)
#define TABLE(rows) .options = rows, .n = countof(rows)

static const struct schema_word listener_tls[] = { { "none", CONFIG_TLS_NONE },
                                                   { "offer", CONFIG_TLS_OFFER },
                                                   { "require", CONFIG_TLS_REQUIRE, .planned = true },
                                                   { "implicit", CONFIG_TLS_IMPLICIT, .planned = true },
                                                   { NULL } };
static const struct schema_word roles[] = { { "relay", CONFIG_ROLE_RELAY },
                                            { "submission", CONFIG_ROLE_SUBMISSION, .planned = true },
                                            { "lmtp", CONFIG_ROLE_LMTP, .planned = true },
                                            { NULL } };
static const struct schema_word modes[] = { { "active", CONFIG_ZONE_ACTIVE },
                                            { "inactive", CONFIG_ZONE_INACTIVE },
                                            { "transparent", CONFIG_ZONE_ACTIVE, .planned = true },
                                            { NULL } };
static const struct schema_word trusts[] = { { "none", CONFIG_TRUST_NONE }, { "relay", CONFIG_TRUST_RELAY }, { NULL } };
static const struct schema_word families[] = { { "any", CONFIG_FAMILY_ANY },
                                               { "ipv4", CONFIG_FAMILY_IPV4 },
                                               { "ipv6", CONFIG_FAMILY_IPV6 },
                                               { NULL } };
static const struct schema_word client_tls[] = { { "none", CONFIG_CLIENT_TLS_NONE },
                                                 { "may", CONFIG_CLIENT_TLS_MAY },
                                                 { "encrypt", CONFIG_CLIENT_TLS_MAY, .planned = true },
                                                 { "verify", CONFIG_CLIENT_TLS_MAY, .planned = true },
                                                 { "dane", CONFIG_CLIENT_TLS_MAY, .planned = true },
                                                 { NULL } };
static const struct schema_word tls_versions[] = { { "1.2", 12 }, { "1.3", 13 }, { NULL } };
static const struct schema_word log_levels[] = { { "debug", LOG_DEBUG },
                                                 { "info", LOG_INFO },
                                                 { "warning", LOG_WARNING },
                                                 { "error", LOG_ERROR },
                                                 { NULL } };

#define HOP_TLS(record, field) \
    { .name = "tls", .type = SCHEMA_ENUM, AT(record, field), .words = client_tls, .shown = "as delivery.tls", \
      .help = "Encryption towards this hop: none never asks for it, may uses it when it is offered." }
#define HOP_SOURCE(record, field) \
    { .name = "source", .type = SCHEMA_IP, AT(record, field), .shown = "as delivery.source4 and source6", \
      .help = "The local address connections to this hop are made from.", .example = "192.0.2.9" }

static const struct schema_option hop_options[] = {
    { .name = "host", .type = SCHEMA_STRING, AT(config_hop, host), .required = true,
      .help = "Host name or IP address of the next hop.", .example = "relay.example.net" },
    { .name = "port", .type = SCHEMA_PORT, AT(config_hop, port), .fallback = "25", .min = 1, .max = 65535,
      .help = "TCP port of the next hop." },
    { .name = "mx", .type = SCHEMA_BOOL, AT(config_hop, mx), .fallback = "no",
      .help = "Look up the MX records of host, instead of its addresses." },
    HOP_TLS(config_hop, tls),
    HOP_SOURCE(config_hop, source),
};
static const struct schema_table hop_table = { TABLE(hop_options), .size = sizeof(struct config_hop),
                                               .place_offset = offsetof(struct config_hop, place) };

static const struct schema_option listener_options[] = {
    { .name = "address", .type = SCHEMA_ENDPOINT, AT(config_listener, ip), .required = true,
      .help = "Where to listen: \"*:25\" for every address of the machine, \"192.0.2.1:25\" or \"[2001:db8::1]:25\" "
              "for one.", .example = "\"*:25\"" },
    { .name = "zone", .type = SCHEMA_ZONE, AT(config_listener, zone), .shown = "by the client's address",
      .help = "Puts every client of this listener into one zone. A zone that may relay can be named only at a "
              "loopback or private address." },
    { .name = "role", .type = SCHEMA_ENUM, AT(config_listener, role), .fallback = "relay", .words = roles,
      .help = "What is spoken here: relay is SMTP between servers." },
    { .name = "tls", .type = SCHEMA_ENUM, AT(config_listener, tls), .fallback = "offer", .words = listener_tls,
      .help = "Encryption: offer announces STARTTLS, none does not." },
};
static const struct schema_table listener_table = { TABLE(listener_options), .size = sizeof(struct config_listener),
                                                    .place_offset = offsetof(struct config_listener, place) };

static const struct schema_option zone_options[] = {
    { .name = "networks", .type = SCHEMA_LIST, .item = SCHEMA_NETWORK, AT_LIST(config_zone, networks, network_n),
      .help = "The clients that belong to the zone, as 10.0.0.0/8, 10.0.0.0/255.0.0.0, 2001:db8::/32 or single "
              "addresses. The longest network that contains a client decides.", .example = "[10.20.30.0/24]" },
    { .name = "interfaces", .type = SCHEMA_LIST, .item = SCHEMA_NAME, AT_LIST(config_zone, interfaces, interface_n),
      .help = "Network interfaces whose attached networks belong to the zone as well; looked up when the "
              "configuration is loaded.", .example = "[eth1]" },
    { .name = "trust", .type = SCHEMA_ENUM, AT(config_zone, trust), .fallback = "none", .words = trusts,
      .help = "What clients of the zone may do: relay lets them send to any domain; none lets them send only to "
              "the relay domains." },
    { .name = "mode", .type = SCHEMA_ENUM, AT(config_zone, mode), .fallback = "active", .words = modes,
      .help = "active serves the zone, inactive refuses its clients." },
    { .name = "dsn", .type = SCHEMA_BOOL, AT(config_zone, dsn), .fallback = "yes",
      .help = "Send bounces and delay warnings for mail that came in here." },
    { .name = "max_connections", .type = SCHEMA_NUMBER, AT(config_zone, max_connections), .fallback = "0",
      .max = 1000000, .help = "Sessions at once of all clients of the zone together; 0: only limits.connections." },
    { .name = "message_size", .type = SCHEMA_SIZE, AT(config_zone, message_size), .fallback = "0", .max = 2 * G,
      .help = "Largest message taken from this zone; 0: limits.message_size." },
};
static const struct schema_table zone_table = { TABLE(zone_options), .size = sizeof(struct config_zone),
                                                .place_offset = offsetof(struct config_zone, place),
                                                .key_offset = offsetof(struct config_zone, name),
                                                .key_help = "NAME" };

static const struct schema_option domain_options[] = {
    { .name = "name", .type = SCHEMA_DOMAIN, AT(config_domain, name), .required = true,
      .help = "The domain whose mail is accepted from everybody. International names are written as A-labels "
              "(xn--...).", .example = "example.com" },
    { .name = "subdomains", .type = SCHEMA_BOOL, AT(config_domain, subdomains), .fallback = "no",
      .help = "Also accept mail for every domain below it." },
    { .name = "deliver", .type = SCHEMA_HOP, AT(config_domain, deliver), .table = &hop_table,
      .shown = "inner_host, or the domain's MX", .help = "The next hop for the domain's mail.",
      .example = "10.20.30.40:25" },
};
static const struct schema_table domain_table = { TABLE(domain_options), .size = sizeof(struct config_domain),
                                                  .place_offset = offsetof(struct config_domain, place) };

static const struct schema_option route_options[] = {
    { .name = "to", .type = SCHEMA_RECIPIENT, AT(config_route, to), .required = true,
      .help = "Which recipients: \"example.org\", \".example.org\" for it and everything below, or "
              "\"user@example.org\". A route does not make a domain a relay domain.", .example = "partner.example" },
    { .name = "via", .type = SCHEMA_HOP, AT(config_route, via), .table = &hop_table, .required = true,
      .help = "The next hop for them.", .example = "192.0.2.7:2525" },
    HOP_TLS(config_route, via.tls),
    HOP_SOURCE(config_route, via.source),
};
static const struct schema_table route_table = { TABLE(route_options), .size = sizeof(struct config_route),
                                                 .place_offset = offsetof(struct config_route, place) };

static const struct schema_option limits_options[] = {
    { .name = "message_size", .type = SCHEMA_SIZE, AT(config, limits.message_size), .fallback = "20M",
      .min = 64 * K, .max = 2 * G, .help = "Largest message accepted; announced as SIZE (RFC 1870)." },
    { .name = "message_size_filtered", .type = SCHEMA_SIZE, AT(config, limits.message_size_filtered),
      .shown = "twice message_size", .min = 128 * K, .max = 4 * G,
      .help = "Largest size a message may grow to by what the relay adds; at least twice message_size." },
    { .name = "recipients", .type = SCHEMA_NUMBER, AT(config, limits.recipients), .fallback = "1000", .min = 100,
      .max = 100000, .help = "Recipients of one message (RFC 5321 section 4.5.3.1.8 asks for at least 100)." },
    { .name = "connections", .type = SCHEMA_NUMBER, AT(config, limits.connections), .fallback = "10000", .min = 1,
      .max = 1000000, .help = "Sessions at once in one worker process." },
    { .name = "connections_per_client", .type = SCHEMA_NUMBER, AT(config, limits.connections_per_client),
      .fallback = "200", .min = 1, .max = 1000000,
      .help = "Sessions at once from one client address in one worker process." },
    { .name = "errors", .type = SCHEMA_NUMBER, AT(config, limits.errors), .fallback = "20", .min = 1, .max = 10000,
      .help = "Bad commands and refusals in one session before it is closed with 421." },
    { .name = "hops", .type = SCHEMA_NUMBER, AT(config, limits.hops), .fallback = "50", .min = 10, .max = 1000,
      .help = "Received header lines after which a message is taken to be looping (RFC 5321 section 6.3)." },
    { .name = "header_size", .type = SCHEMA_SIZE, AT(config, limits.header_size), .fallback = "1M", .min = 16 * K,
      .max = 64 * M, .help = "All header lines of a message together." },
    { .name = "line_length", .type = SCHEMA_SIZE, AT(config, limits.line_length), .fallback = "64K", .min = 1000,
      .max = 16 * M, .help = "Longest line of a message, with its end (RFC 5321 section 4.5.3.1.6 asks for 1000)." },
    { .name = "messages_per_connection", .type = SCHEMA_NUMBER, AT(config, limits.messages_per_connection),
      .fallback = "0", .max = 1000000, .help = "Messages in one session before it is closed with 421; 0: no limit." },
};
static const struct schema_table limits_table = { TABLE(limits_options) };

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
static const struct schema_table timeouts_table = { TABLE(timeouts_options) };

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
    { .name = "memory", .type = SCHEMA_SIZE, AT(config, queue.memory), .fallback = "128M", .min = M, .max = 1024 * G,
      .help = "Memory of one worker for the text of messages that wait to be delivered." },
    { .name = "segment_size", .type = SCHEMA_SIZE, AT(config, queue.segment_size), .fallback = "64M", .min = M,
      .max = 2 * G, .help = "Size at which a spool file is closed and the next one begun." },
    { .name = "inline_size", .type = SCHEMA_SIZE, AT(config, queue.inline_size), .fallback = "128K", .min = 4 * K,
      .max = 16 * M, .help = "Messages up to this size share spool files; larger ones get a file of their own." },
    { .name = "active", .type = SCHEMA_NUMBER, AT(config, queue.active), .fallback = "20000", .min = 10,
      .max = 10000000, .help = "Messages one worker works on at the same time." },
};
static const struct schema_table queue_table = { TABLE(queue_options) };

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
    { .name = "tls", .type = SCHEMA_ENUM, AT(config, delivery.tls), .fallback = "may", .words = client_tls,
      .help = "Encryption towards next hops: none never asks for it, may uses it when it is offered." },
};
static const struct schema_table delivery_table = { TABLE(delivery_options) };

static const struct schema_option tls_options[] = {
    { .name = "certificate", .type = SCHEMA_PATH, AT(config, tls.certificate), .shown = "self-signed, made at start",
      .help = "PEM file with the certificate and its chain.", .example = "tls/mx.pem" },
    { .name = "key", .type = SCHEMA_PATH, AT(config, tls.key), .shown = "self-signed, made at start",
      .help = "PEM file with the private key; nobody but its owner and group may read it.",
      .example = "tls/mx.key" },
    { .name = "min_version", .type = SCHEMA_ENUM, AT(config, tls.min_version), .fallback = "1.2",
      .words = tls_versions, .help = "Lowest TLS version spoken, in both directions." },
};
static const struct schema_table tls_table = { TABLE(tls_options) };

static const struct schema_option dns_options[] = {
    { .name = "servers", .type = SCHEMA_LIST, .item = SCHEMA_SERVER, AT_LIST(config, dns.servers, dns.server_n),
      .shown = "those in /etc/resolv.conf", .help = "Name servers to ask, as address or address:port.",
      .example = "[192.0.2.53, \"127.0.0.1:5353\"]" },
    { .name = "timeout", .type = SCHEMA_TIME, AT(config, dns.timeout), .fallback = "15s", .min = 100,
      .max = 5 * MINUTE, .help = "How long one look-up may take." },
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
};
static const struct schema_table log_table = { TABLE(log_options) };

static const struct schema_option root_options[] = {
    { .name = "hostname", .type = SCHEMA_HOST, AT(config, hostname), .required = true,
      .help = "The relay's full name: in its greeting, its Received lines and as HELO. It should resolve to the "
              "address the relay sends from, and back.", .example = "mx.example.com" },
    { .name = "postmaster", .type = SCHEMA_MAILBOX, AT(config, postmaster), .shown = "postmaster@ and hostname",
      .help = "Who takes mail to <postmaster> and appears in what the relay itself writes." },
    { .name = "listeners", .type = SCHEMA_RECORDS, AT_LIST(config, listeners, listener_n), .table = &listener_table,
      .shown = "[{address: \"*:25\"}]", .help = "Where the relay takes mail in." },
    { .name = "zones", .type = SCHEMA_MAP, AT_LIST(config, zones, zone_n), .table = &zone_table,
      .help = "Named groups of clients. Everybody who belongs to no other zone is in the zone internet, which is "
              "always there and can be written to set its limits, but never trusted." },
    { .name = "domains", .type = SCHEMA_RECORDS, AT_LIST(config, domains, domain_n), .table = &domain_table,
      .help = "The relay domains: mail for them is accepted from everybody, and passed on." },
    { .name = "routes", .type = SCHEMA_RECORDS, AT_LIST(config, routes, route_n), .table = &route_table,
      .help = "Other ways for single recipients or domains. A route for an address is looked at first, then one for "
              "the exact domain, then the longest \".domain\", then the relay domain's deliver." },
    { .name = "inner_host", .type = SCHEMA_HOP, AT(config, inner_host), .table = &hop_table,
      .shown = "the domain's MX", .help = "The next hop for relay domains without a deliver of their own.",
      .example = "10.20.30.40" },
    { .name = "smarthost", .type = SCHEMA_HOP, AT(config, smarthost), .table = &hop_table,
      .shown = "the domain's MX", .help = "The next hop for mail to all other domains.",
      .example = "{host: smtp.isp.example, port: 587}" },
    { .name = "limits", .type = SCHEMA_GROUP, .table = &limits_table, .help = "What one client or message may use." },
    { .name = "timeouts", .type = SCHEMA_GROUP, .table = &timeouts_table,
      .help = "How long peers are waited for (RFC 5321 section 4.5.3.2)." },
    { .name = "queue", .type = SCHEMA_GROUP, .table = &queue_table, .help = "Messages on their way." },
    { .name = "delivery", .type = SCHEMA_GROUP, .table = &delivery_table, .help = "How next hops are spoken to." },
    { .name = "tls", .type = SCHEMA_GROUP, .table = &tls_table, .help = "Certificate and key of the relay." },
    { .name = "dns", .type = SCHEMA_GROUP, .table = &dns_table, .help = "Name resolution." },
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
        [SCHEMA_STRING] = "text",       [SCHEMA_HOST] = "host name",         [SCHEMA_DOMAIN] = "domain",
        [SCHEMA_MAILBOX] = "mail address", [SCHEMA_RECIPIENT] = "domain or mail address", [SCHEMA_NAME] = "name",
        [SCHEMA_PATH] = "path",         [SCHEMA_SERVER] = "address[:port]",  [SCHEMA_BOOL] = "yes or no",
        [SCHEMA_NUMBER] = "number",     [SCHEMA_PERCENT] = "percentage",     [SCHEMA_PORT] = "port",
        [SCHEMA_SIZE] = "size",         [SCHEMA_TIME] = "time",              [SCHEMA_ENUM] = "word",
        [SCHEMA_IP] = "IP address",     [SCHEMA_NETWORK] = "network",        [SCHEMA_ENDPOINT] = "address:port",
        [SCHEMA_ZONE] = "zone",         [SCHEMA_HOP] = "next hop",           [SCHEMA_LIST] = "list",
        [SCHEMA_GROUP] = "group",       [SCHEMA_RECORDS] = "list of groups", [SCHEMA_MAP] = "groups by name",
    };
    if (o->type != SCHEMA_LIST) return names[o->type];
    return o->item == SCHEMA_NETWORK  ? "list of networks"
           : o->item == SCHEMA_SERVER ? "list of servers"
                                      : "list of names";
}
