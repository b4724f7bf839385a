/* SPDX-License-Identifier: Apache-2.0
 * Options of logging in: who may send as a user, and who is asked whether the password is right. */
#include "config/schema_table.h"

static const struct schema_word backends[] = { { "off", CONFIG_AUTH_OFF },         { "users", CONFIG_AUTH_USERS },
                                               { "imap", CONFIG_AUTH_IMAP },       { "ldap", CONFIG_AUTH_LDAP },
                                               { "dovecot", CONFIG_AUTH_DOVECOT }, { NULL } };

static const char hop_only[] = "it is for logging in to next hops only";
static const struct schema_word methods[] = {
    { "plain", CONFIG_SASL_PLAIN },
    { "login", CONFIG_SASL_LOGIN },
    { "cram-md5", CONFIG_SASL_CRAM_MD5 },
    { "scram-sha-256", CONFIG_SASL_SCRAM_SHA_256 },
    { "scram-sha-256-plus", CONFIG_SASL_SCRAM_SHA_256_PLUS },
    { "digest-md5", CONFIG_SASL_DIGEST_MD5, .refused = "it is for logging in to next hops only (RFC 6331: historic)" },
    { "scram-sha-1", CONFIG_SASL_SCRAM_SHA_1,
      .refused = "it is for logging in to next hops only; scram-sha-256 is the same with a better hash" },
    { "xoauth2", CONFIG_SASL_XOAUTH2, .refused = hop_only },
    { "oauthbearer", CONFIG_SASL_OAUTHBEARER, .refused = hop_only },
    { NULL },
};

static const struct schema_option imap_options[] = {
    { .name = "host", .type = SCHEMA_PEER, AT(config, auth.imap.host),
      .help = "Name or address of the IMAP server that users have their mailboxes on.", .example = "imap.example.com" },
    { .name = "port", .type = SCHEMA_PORT, AT(config, auth.imap.port), .fallback = "993", .min = 1, .max = 65535,
      .help = "Its TCP port." },
    { .name = "implicit_tls", .type = SCHEMA_BOOL, AT(config, auth.imap.implicit_tls), .shown = "yes on port 993",
      .help = "TLS from the first byte; no: STARTTLS, which must be offered." },
    { .name = "verify", .type = SCHEMA_BOOL, AT(config, auth.imap.verify), .fallback = "yes",
      .help = "Check its certificate and name before a password is sent." },
    { .name = "ca", .type = SCHEMA_PATH, AT(config, auth.imap.ca), .nullable = true, .shown = "tls.ca",
      .help = "PEM file that its certificate must lead to.", .example = "tls/inner-ca.pem" },
    { .name = "connections", .type = SCHEMA_NUMBER, AT(config, auth.imap.connections), .fallback = "10", .min = 1,
      .max = 1000, .help = "Logins at the same time; the others wait." },
};
static const struct schema_table imap_table = { TABLE(imap_options) };

static const struct schema_option ldap_options[] = {
    { .name = "url", .type = SCHEMA_STRING, AT(config, auth.ldap.url),
      .help = "The directory server: ldap://, ldaps:// or ldapi://.", .example = "ldaps://ldap.example.com" },
    { .name = "starttls", .type = SCHEMA_BOOL, AT(config, auth.ldap.starttls), .fallback = "no",
      .help = "Begin TLS on an ldap:// connection before anything else." },
    { .name = "ca", .type = SCHEMA_PATH, AT(config, auth.ldap.ca), .nullable = true, .shown = "tls.ca",
      .help = "PEM file that its certificate must lead to." },
    { .name = "bind_dn", .type = SCHEMA_STRING, AT(config, auth.ldap.bind_dn), .nullable = true,
      .shown = "found by a search",
      .help = "The name to bind as: %u is the user, %n the part before the @, %d behind it.",
      .example = "uid=%n,ou=people,dc=example,dc=com" },
    { .name = "base", .type = SCHEMA_STRING, AT(config, auth.ldap.base),
      .help = "Where users are searched.", .example = "ou=people,dc=example,dc=com" },
    { .name = "filter", .type = SCHEMA_STRING, AT(config, auth.ldap.filter), .fallback = "(|(mail=%u)(uid=%u))",
      .help = "What is searched for; must find one entry only. %u, %n and %d as in bind_dn." },
    { .name = "user_dn", .type = SCHEMA_STRING, AT(config, auth.ldap.user_dn), .nullable = true, .shown = "anonymous",
      .help = "Who searches.", .example = "cn=postern,dc=example,dc=com" },
    { .name = "password_file", .type = SCHEMA_PATH, AT(config, auth.ldap.password_file), .nullable = true,
      .help = "File whose first line is the password of user_dn.", .example = "secrets/ldap" },
    { .name = "mail", .type = SCHEMA_NAME, AT(config, auth.ldap.mail), .fallback = "mail",
      .help = "The attribute with the addresses of an account; \"\": none." },
};
static const struct schema_table ldap_table = { TABLE(ldap_options) };

static const struct schema_option dovecot_options[] = {
    { .name = "socket", .type = SCHEMA_PATH, AT(config, auth.dovecot), .help = "Dovecot's socket for authentication.",
      .example = "/run/dovecot/auth-postern" },
};
static const struct schema_table dovecot_table = { TABLE(dovecot_options) };

static const struct schema_option auth_options[] = {
    { .name = "backend", .type = SCHEMA_ENUM, AT(config, auth.backend), .fallback = "off", .words = backends,
      .help = "Who knows users and passwords: a file kept with `postern user`, an IMAP server that is logged in to, an "
              "LDAP server that is bound to, or Dovecot. off: nobody can log in." },
    { .name = "methods", .type = SCHEMA_SET, AT(config, auth.methods), .words = methods,
      .fallback = "plain, login, scram-sha-256, scram-sha-256-plus",
      .help = "The ways to log in that are offered; imap and ldap can do plain and login only." },
    { .name = "sender_must_match", .type = SCHEMA_BOOL, AT(config, auth.sender_must_match), .fallback = "yes",
      .help = "Users may send only from addresses of their own account." },
    { .name = "users", .type = SCHEMA_PATH, AT(config, auth.users), .shown = "users in system.directory",
      .help = "The file of backend users." },
    { .name = "imap", .type = SCHEMA_GROUP, .table = &imap_table, .help = "The server of backend imap." },
    { .name = "ldap", .type = SCHEMA_GROUP, .table = &ldap_table, .help = "The server of backend ldap." },
    { .name = "dovecot", .type = SCHEMA_GROUP, .table = &dovecot_table, .help = "The server of backend dovecot." },
    { .name = "timeout", .type = SCHEMA_TIME, AT(config, auth.timeout), .fallback = "10s", .min = 100,
      .max = 5 * MINUTE, .help = "How long one question to the backend may take." },
    { .name = "failures", .type = SCHEMA_NUMBER, AT(config, auth.failures), .fallback = "5", .max = 10000,
      .help = "Wrong logins of a client or account within window, after which it is refused for block; 0: no limit." },
    { .name = "window", .type = SCHEMA_TIME, AT(config, auth.window), .fallback = "10m", .min = SECOND, .max = DAY,
      .help = "How long a wrong login counts." },
    { .name = "block", .type = SCHEMA_TIME, AT(config, auth.block), .fallback = "15m", .min = SECOND, .max = 7 * DAY,
      .help = "How long a client or account is refused then." },
};
const struct schema_table schema_auth = { TABLE(auth_options) };
