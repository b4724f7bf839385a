/* SPDX-License-Identifier: Apache-2.0
 * Options of what is signed and rewritten on its way out. */
#include "config/schema_table.h"

static const struct schema_option key_options[] = {
    { .name = "domain", .type = SCHEMA_DNS_NAME, AT(config_dkim_key, domain), .required = true,
      .help = "The author's domain, which signs.", .example = "example.com" },
    /* No name of a host: "20260101" is one, too (RFC 6376 §3.1). check_signing.c looks at it. */
    { .name = "selector", .type = SCHEMA_STRING, AT(config_dkim_key, selector), .required = true,
      .help = "The key's name: it is published at <selector>._domainkey.<domain>.", .example = "selector-2026-11-21-1" },
    { .name = "file", .type = SCHEMA_PATH, AT(config_dkim_key, file), .required = true,
      .help = "The private key, a PEM file: RSA with 1024 to 8192 bits, or Ed25519. `postern dkim new` makes one.",
      .example = "keys/example.com.pem" },
    { .name = "enabled", .type = SCHEMA_BOOL, AT(config_dkim_key, enabled), .fallback = "yes",
      .help = "Sign with it; no: it waits until it is published, or is kept while mail that it signed is on its way." },
};
static const struct schema_table key_table = { TABLE(key_options), .size = sizeof(struct config_dkim_key),
                                               .place_offset = offsetof(struct config_dkim_key, place) };

static const struct schema_word canonicalizations[] = { { "simple", CONFIG_CANON_SIMPLE },
                                                        { "relaxed", CONFIG_CANON_RELAXED },
                                                        { NULL } };
static const struct schema_option dkim_options[] = {
    { .name = "keys", .type = SCHEMA_RECORDS, AT_LIST(config, dkim.keys, dkim.key_n), .table = &key_table,
      .help = "Keys. Mail of a domain is signed with all it has, at most 4." },
    { .name = "subdomains", .type = SCHEMA_BOOL, AT(config, dkim.subdomains), .fallback = "yes",
      .help = "Sign for domains below one that has keys, too, where they have none of their own." },
    { .name = "header", .type = SCHEMA_ENUM, AT(config, dkim.header), .fallback = "relaxed", .words = canonicalizations,
      .help = "Which changes of the header a signature survives: relaxed, those of blanks and letter case; simple, none." },
    { .name = "body", .type = SCHEMA_ENUM, AT(config, dkim.body), .fallback = "relaxed", .words = canonicalizations,
      .help = "The same of the body." },
    { .name = "headers", .type = SCHEMA_LIST, .item = SCHEMA_STRING, AT_LIST(config, dkim.headers, dkim.header_n),
      .shown = "those of RFC 6376 section 5.4.1 and newer ones", .help = "Header fields that are signed where they are present.",
      .example = "[From, To, Subject, Date]" },
    { .name = "oversign", .type = SCHEMA_LIST, .item = SCHEMA_STRING, AT_LIST(config, dkim.oversign, dkim.oversign_n),
      .shown = "From, To, Subject and others that readers see", .help = "Header fields of which none can be added without breaking the "
      "signature; From always is.", .example = "[Subject]" },
    { .name = "expire", .type = SCHEMA_TIME, AT(config, dkim.expire), .fallback = "0", .max = 365 * DAY,
      .help = "How long a signature is good for; 0: without end." },
    { .name = "timeout", .type = SCHEMA_TIME, AT(config, dkim.timeout), .fallback = "10s", .min = 100, .max = MINUTE,
      .help = "How long signing may take; then the client is asked to come again." },
};
const struct schema_table schema_dkim = { TABLE(dkim_options) };

static const struct schema_option arc_options[] = {
    { .name = "seal", .type = SCHEMA_BOOL, AT(config, arc.seal), .fallback = "no",
      .help = "Add a seal to mail of strangers that is passed on, with what was found about it here." },
    { .name = "domain", .type = SCHEMA_DNS_NAME, AT(config, arc.key.domain), .nullable = true, .shown = "hostname",
      .help = "The domain that seals.", .example = "example.com" },
    { .name = "selector", .type = SCHEMA_STRING, AT(config, arc.key.selector), .nullable = true,
      .help = "The key's name.", .example = "arc-2026" },
    { .name = "file", .type = SCHEMA_PATH, AT(config, arc.key.file), .nullable = true, .help = "The private key, a PEM file.",
      .example = "keys/arc.pem" },
};
const struct schema_table schema_arc = { TABLE(arc_options) };

static const struct schema_option srs_options[] = {
    { .name = "domain", .type = SCHEMA_DNS_NAME, AT(config, srs.domain), .nullable = true, .shown = "off",
      .help = "The domain of rewritten senders: one whose mail comes to this relay.", .example = "srs.example.com" },
    { .name = "secrets_file", .type = SCHEMA_PATH, AT(config, srs.secrets_file), .nullable = true,
      .help = "File with secrets, one a line: the first one signs, each is good for what comes back. To change it, put a new line in "
              "front, and remove the old one after `keep`.", .example = "secrets/srs" },
    { .name = "shared", .type = SCHEMA_BOOL, AT(config, srs.shared), .fallback = "no",
      .help = "The secrets are shared with other forwarders (Mail::SRS, postsrsd): make hashes like theirs, which are weaker: who gets an "
              "address made can move the border between its parts." },
    { .name = "keep", .type = SCHEMA_TIME, AT(config, srs.keep), .fallback = "21d", .min = DAY, .max = 365 * DAY,
      .help = "How long a bounce to a rewritten address is taken back." },
};
const struct schema_table schema_srs = { TABLE(srs_options) };
