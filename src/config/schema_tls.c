/* SPDX-License-Identifier: Apache-2.0
 * Options of TLS: certificates, versions, tickets. */
#include "config/schema_table.h"

const struct schema_word schema_tls_versions[] = { { "1.2", 12 }, { "1.3", 13 }, { NULL } };

static const struct schema_option certificate_options[] = {
    { .name = "certificate", .type = SCHEMA_PATH, AT(config_certificate, certificate), .required = true,
      .help = "PEM file with the certificate and its chain.", .example = "tls/example.org.pem" },
    { .name = "key", .type = SCHEMA_PATH, AT(config_certificate, key), .required = true,
      .help = "PEM file with its private key; nobody but its owner and group may read it.",
      .example = "tls/example.org.key" },
    { .name = "names", .type = SCHEMA_LIST, .item = SCHEMA_DNS_NAME, AT_LIST(config_certificate, names, name_n),
      .shown = "those in the certificate", .help = "The server names it is shown for.", .example = "[mx.example.org]" },
};
static const struct schema_table certificate_table = { TABLE(certificate_options),
                                                       .size = sizeof(struct config_certificate),
                                                       .place_offset = offsetof(struct config_certificate, place) };

static const struct schema_option tls_options[] = {
    { .name = "certificate", .type = SCHEMA_PATH, AT(config, tls.certificate), .shown = "self-signed, made at start",
      .help = "PEM file with the certificate and its chain.", .example = "tls/mx.pem" },
    { .name = "key", .type = SCHEMA_PATH, AT(config, tls.key), .shown = "self-signed, made at start",
      .help = "PEM file with the private key; nobody but its owner and group may read it.",
      .example = "tls/mx.key" },
    { .name = "certificates", .type = SCHEMA_RECORDS, AT_LIST(config, tls.certificates, tls.certificate_n),
      .table = &certificate_table,
      .help = "More certificates, shown to clients that ask for one of their names (SNI); others see the one above." },
    { .name = "min_version", .type = SCHEMA_ENUM, AT(config, tls.min_version), .fallback = "1.2",
      .words = schema_tls_versions, .help = "Lowest TLS version spoken, in both directions." },
    { .name = "ca", .type = SCHEMA_PATH, AT(config, tls.ca), .shown = "those of the system",
      .help = "The authorities that certificates of next hops must lead to (tls: verify): a PEM file, or a folder as "
              "made by openssl rehash.", .example = "tls/ca.pem" },
    { .name = "ticket_life", .type = SCHEMA_TIME, AT(config, tls.ticket_life), .fallback = "12h", .max = 7 * DAY,
      .help = "How long a key for session tickets is used before a new one is made; 0: no tickets, every session "
              "begins with a whole handshake." },
};
const struct schema_table schema_tls = { TABLE(tls_options) };
