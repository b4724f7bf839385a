/* SPDX-License-Identifier: Apache-2.0
 * Options of receiving: listeners, zones, limits. */
#include "config/schema_table.h"

static const struct schema_word listener_tls[] = { { "none", CONFIG_TLS_NONE },
                                                   { "offer", CONFIG_TLS_OFFER },
                                                   { "require", CONFIG_TLS_REQUIRE },
                                                   { "implicit", CONFIG_TLS_IMPLICIT },
                                                   { NULL } };
static const struct schema_word zone_tls[] = { { "none", CONFIG_TLS_NONE },
                                               { "offer", CONFIG_TLS_OFFER },
                                               { "require", CONFIG_TLS_REQUIRE },
                                               { NULL } };
static const struct schema_word roles[] = { { "relay", CONFIG_ROLE_RELAY },
                                            { "submission", CONFIG_ROLE_SUBMISSION },
                                            { "lmtp", CONFIG_ROLE_LMTP, .planned = true },
                                            { NULL } };
static const struct schema_word client_certificates[] = { { "none", CONFIG_CLIENT_CERT_NONE },
                                                          { "ask", CONFIG_CLIENT_CERT_ASK },
                                                          { "require", CONFIG_CLIENT_CERT_REQUIRE },
                                                          { NULL } };
static const struct schema_word modes[] = { { "active", CONFIG_ZONE_ACTIVE },
                                            { "inactive", CONFIG_ZONE_INACTIVE },
                                            { "transparent", CONFIG_ZONE_TRANSPARENT },
                                            { NULL } };
static const struct schema_word interceptions[] = { { "redirect", CONFIG_INTERCEPT_REDIRECT },
                                                    { "tproxy", CONFIG_INTERCEPT_TPROXY },
                                                    { NULL } };
static const struct schema_word trusts[] = { { "none", CONFIG_TRUST_NONE }, { "relay", CONFIG_TRUST_RELAY }, { NULL } };
static const struct schema_word zone_versions[] = { { "1.0", 10 },
                                                    { "1.1", 11 },
                                                    { "1.2", 12 },
                                                    { "1.3", 13 },
                                                    { NULL } };
static const struct schema_word bare_lf[] = { { "refuse", false }, { "accept", true }, { NULL } };
static const struct schema_word providers[] = { { "microsoft365", CONFIG_PROVIDER_MICROSOFT365 },
                                                { "google", CONFIG_PROVIDER_GOOGLE },
                                                { NULL } };

static const struct schema_option listener_options[] = {
    { .name = "address", .type = SCHEMA_ENDPOINT, AT(config_listener, ip), .required = true,
      .help = "Where to listen: \"*:25\" for every address of the machine, \"192.0.2.1:25\" or \"[2001:db8::1]:25\" "
              "for one.", .example = "\"*:25\"" },
    { .name = "zone", .type = SCHEMA_ZONE, AT(config_listener, zone), .shown = "by the client's address",
      .help = "Puts every client of this listener into one zone. A zone that may relay can be named only at a "
              "loopback or private address." },
    { .name = "role", .type = SCHEMA_ENUM, AT(config_listener, role), .fallback = "relay", .words = roles,
      .help = "What is spoken here: relay is SMTP between servers; submission takes mail from the programs of users, "
              "who log in (RFC 6409)." },
    { .name = "tls", .type = SCHEMA_ENUM, AT(config_listener, tls), .words = listener_tls, .unset = SCHEMA_UNSET,
      .shown = "offer; implicit on port 465",
      .help = "Encryption: offer announces STARTTLS, require takes no mail before it, implicit begins with TLS "
              "(RFC 8314), none does not know it." },
    { .name = "auth", .type = SCHEMA_BOOL, AT(config_listener, auth), .shown = "yes for submission, no for relay",
      .help = "Offer AUTH here, as the group auth says. What is sent without TLS is not taken, unless the zone has "
              "auth_without_tls." },
    { .name = "client_certificate", .type = SCHEMA_ENUM, AT(config_listener, client_certificate), .fallback = "none",
      .words = client_certificates,
      .help = "Whether clients are asked for a certificate, or must show one that client_ca leads to; tls: offer then "
              "means require." },
    { .name = "client_ca", .type = SCHEMA_PATH, AT(config_listener, client_ca), .nullable = true,
      .help = "PEM file with the authorities that client certificates must lead to.", .example = "tls/clients.pem" },
    { .name = "proxies", .type = SCHEMA_LIST, .item = SCHEMA_NETWORK, AT_LIST(config_listener, proxies, proxy_n),
      .help = "Load balancers: connections from here begin with a PROXY header (version 1 or 2), whose client address "
              "is believed. It must come.", .example = "[10.20.30.2]" },
    { .name = "xclient", .type = SCHEMA_LIST, .item = SCHEMA_NETWORK, AT_LIST(config_listener, xclient, xclient_n),
      .help = "Clients that may say with XCLIENT for whom they speak.", .example = "[127.0.0.1]" },
};
const struct schema_table schema_listener = { TABLE(listener_options), .size = sizeof(struct config_listener),
                                                    .place_offset = offsetof(struct config_listener, place) };

static const struct schema_option intercept_options[] = {
    { .name = "by", .type = SCHEMA_ENUM, AT(config_zone, intercept.by), .fallback = "redirect", .words = interceptions,
      .help = "How the packet filter brings them here: redirect for most, tproxy where addresses must not be translated." },
    { .name = "sources", .type = SCHEMA_LIST, .item = SCHEMA_NETWORK, AT_LIST(config_zone, intercept.sources, intercept.source_n),
      .help = "Clients of the zone whose connections are left alone.", .example = "[10.20.30.5]" },
    { .name = "destinations", .type = SCHEMA_LIST, .item = SCHEMA_NETWORK,
      AT_LIST(config_zone, intercept.destinations, intercept.destination_n),
      .help = "Servers to which connections are left alone.", .example = "[192.0.2.0/24]" },
    { .name = "macs", .type = SCHEMA_LIST, .item = SCHEMA_MAC, AT_LIST(config_zone, intercept.macs, intercept.mac_n),
      .help = "Network cards whose connections are left alone.", .example = "[\"02:00:00:00:00:01\"]" },
    { .name = "port", .type = SCHEMA_PORT, AT(config_zone, intercept.port), .fallback = "25", .min = 1, .max = 65535,
      .help = "The port of others to which connections are taken." },
    { .name = "listener", .type = SCHEMA_LISTENER, AT(config_zone, intercept.listener),
      .shown = "the first with role: relay and tls other than implicit",
      .help = "The listener where they arrive, by its address as in listeners.", .example = "\"*:10025\"" },
};
static const struct schema_table intercept_table = { TABLE(intercept_options) };

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
      .help = "active serves the zone, inactive refuses its clients; transparent also takes in their connections to other servers, which "
              "the packet filter sends here (`postern nft`)." },
    { .name = "dsn", .type = SCHEMA_BOOL, AT(config_zone, dsn), .fallback = "yes",
      .help = "Send bounces and delay warnings for mail that came in here." },
    { .name = "max_connections", .type = SCHEMA_NUMBER, AT(config_zone, max_connections), .fallback = "0",
      .max = 1000000, .help = "Sessions at once of all clients of the zone together; 0: only limits.connections." },
    { .name = "message_size", .type = SCHEMA_SIZE, AT(config_zone, message_size), .fallback = "0", .max = 2 * G,
      .help = "Largest message taken from this zone; 0: limits.message_size." },
    { .name = "tls", .type = SCHEMA_ENUM, AT(config_zone, tls), .words = zone_tls, .unset = CONFIG_TLS_IMPLICIT,
      .shown = "as the listener",
      .help = "Encryption for the clients of this zone: none hides STARTTLS from them, offer announces it even if the "
              "listener does not, require takes no mail without it. A listener that requires TLS or begins with it is "
              "not weakened." },
    { .name = "min_version", .type = SCHEMA_ENUM, AT(config_zone, min_version), .words = zone_versions, .unset = 0,
      .shown = "tls.min_version",
      .help = "Lowest TLS version spoken with clients of this zone. Below 1.2, old ciphers are taken as well: for old "
              "devices of your own only." },
    { .name = "bare_lf", .type = SCHEMA_BOOL, AT(config_zone, bare_lf), .fallback = "refuse", .words = bare_lf,
      .help = "What happens to lines that end with LF alone: refuse, or accept and put right (for old devices)." },
    { .name = "auth_without_tls", .type = SCHEMA_BOOL, AT(config_zone, auth_without_tls), .fallback = "no",
      .help = "Let clients of this zone send passwords unencrypted." },
    { .name = "providers", .type = SCHEMA_SET, AT(config_zone, providers), .words = providers,
      .help = "Mail services whose published networks belong to the zone as well; they are looked up and kept up to "
              "date. Everybody who is a customer there sends from these networks: see senders.",
      .example = "[microsoft365]" },
    { .name = "senders", .type = SCHEMA_LIST, .item = SCHEMA_DNS_NAME, AT_LIST(config_zone, senders, sender_n),
      .shown = "any", .help = "With trust: relay, the sender domains that may send to any domain. With providers they "
                              "must be named, and be relay domains.", .example = "[example.com]" },
    { .name = "skip_checks", .type = SCHEMA_LIST, .item = SCHEMA_NAME, AT_LIST(config_zone, skip_checks, skip_check_n),
      .help = "Checks that do not concern clients of this zone, by the names that `postern explain` shows.",
      .example = "[greylist, reverse-dns]" },
    { .name = "language", .type = SCHEMA_ENUM, AT(config_zone, language), .words = schema_languages, .unset = CONFIG_LANGUAGES,
      .shown = "as notices.language", .help = "Language of bounces and warnings for mail that came in here." },
    { .name = "intercept", .type = SCHEMA_GROUP, .table = &intercept_table,
      .help = "With mode: transparent, how connections to other servers are taken." },
};
const struct schema_table schema_zone = { TABLE(zone_options), .size = sizeof(struct config_zone),
                                                .place_offset = offsetof(struct config_zone, place),
                                                .key_offset = offsetof(struct config_zone, name) };

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
const struct schema_table schema_limits = { TABLE(limits_options) };
