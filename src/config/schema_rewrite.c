/* SPDX-License-Identifier: Apache-2.0
 * Options of what becomes of addresses: mapped domains, aliases, copies; tables; the texts of notices. */
#include "config/schema_table.h"

const struct schema_word schema_languages[] = { { "en", CONFIG_LANGUAGE_EN },
                                                { "de", CONFIG_LANGUAGE_DE },
                                                { "it", CONFIG_LANGUAGE_IT },
                                                { "ja", CONFIG_LANGUAGE_JA },
                                                { NULL } };
static const struct schema_word copy_mail[] = { { "all", CONFIG_COPY_ALL },
                                                { "incoming", CONFIG_COPY_INCOMING },
                                                { "outgoing", CONFIG_COPY_OUTGOING },
                                                { NULL } };
static const struct schema_word table_types[] = { { "any", CONFIG_TABLE_ANY },       { "exact", CONFIG_TABLE_EXACT },
                                                  { "cidr", CONFIG_TABLE_CIDR },     { "pcre", CONFIG_TABLE_PCRE },
                                                  { "ldap", CONFIG_TABLE_LDAP },     { "sqlite", CONFIG_TABLE_SQLITE },
                                                  { "postgresql", CONFIG_TABLE_POSTGRESQL },
                                                  { NULL } };

#define PEOPLE(record) \
    { .name = "enabled", .type = SCHEMA_BOOL, AT(record, enabled), .fallback = "yes", .help = "Whether it is in use." }, \
    { .name = "comment", .type = SCHEMA_STRING, AT(record, comment), .nullable = true, .help = "Why it is there; for people." }

static const struct schema_option mapping_options[] = {
    { .name = "from", .type = SCHEMA_DOMAIN_TREE, AT(config_mapping, from), .nullable = true,
      .help = "The domain whose mail goes to another: \"old.example\", or \".old.example\" for it and everything below. Either it (with to) "
              "or table must be set.", .example = "old.example" },
    { .name = "to", .type = SCHEMA_DNS_NAME, AT(config_mapping, to), .nullable = true,
      .help = "The domain in its place.", .example = "example.com" },
    { .name = "table", .type = SCHEMA_NAME, AT(config_mapping, table), .nullable = true,
      .help = "One of tables: its entries are domains, their values those that take their place.", .example = "old-names" },
    PEOPLE(config_mapping),
};
const struct schema_table schema_mapping = { TABLE(mapping_options), .size = sizeof(struct config_mapping),
                                             .place_offset = offsetof(struct config_mapping, place), .just_one = { "from", "table" } };

static const struct schema_option alias_options[] = {
    { .name = "name", .type = SCHEMA_ALIAS, AT(config_alias, name), .nullable = true,
      .help = "What stands for others: \"sales\" at main_domain and hostname, \"sales@example.com\" at one domain, \"sales@\" at each domain "
              "of ours. Either it (with to) or table must be set.", .example = "sales" },
    { .name = "to", .type = SCHEMA_LIST, .item = SCHEMA_TARGET, AT_LIST(config_alias, to, to_n),
      .help = "The addresses that get its mail; a name without @ is one at main_domain.", .example = "[anna, bert@example.org]" },
    { .name = "table", .type = SCHEMA_NAME, AT(config_alias, table), .nullable = true,
      .help = "One of tables: its entries are names, their values addresses, separated by commas.", .example = "groups" },
    { .name = "keep", .type = SCHEMA_BOOL, AT(config_alias, keep), .fallback = "no",
      .help = "The name keeps a copy of its own; so it does when it is among to." },
    PEOPLE(config_alias),
};
const struct schema_table schema_alias = { TABLE(alias_options), .size = sizeof(struct config_alias),
                                           .place_offset = offsetof(struct config_alias, place), .just_one = { "name", "table" } };

#define MATCHES(option, list, text, sample) \
    { .name = option, .type = SCHEMA_RECORDS, AT_LIST(config_copy, list.entries, list.n), .table = &schema_match, .shown = "any", \
      .help = text, .example = sample }
static const struct schema_option copy_options[] = {
    { .name = "to", .type = SCHEMA_MAILBOX, AT(config_copy, to), .required = true, .help = "Who gets the copies.",
      .example = "archive@example.com" },
    { .name = "mail", .type = SCHEMA_ENUM, AT(config_copy, mail), .fallback = "all", .words = copy_mail,
      .help = "Which messages: outgoing are those of users and clients that may relay, incoming all others." },
    MATCHES("senders", senders, "Only what these send.", "[ceo@example.com]"),
    MATCHES("recipients", recipients, "Only what goes to these, as the client named them.", "[.example.com]"),
    PEOPLE(config_copy),
};
const struct schema_table schema_copy = { TABLE(copy_options), .size = sizeof(struct config_copy),
                                          .place_offset = offsetof(struct config_copy, place) };

#define LDAP(field) .type = SCHEMA_STRING, AT(config_table, ldap.field), .nullable = true
static const struct schema_option ldap_options[] = {
    { .name = "url", LDAP(url), .help = "Where the directory is: ldap://, ldaps:// or ldapi://.", .example = "ldaps://dc.example.com" },
    { .name = "starttls", .type = SCHEMA_BOOL, AT(config_table, ldap.starttls), .fallback = "no",
      .help = "Begin TLS on an ldap:// connection." },
    { .name = "ca", .type = SCHEMA_PATH, AT(config_table, ldap.ca), .nullable = true, .shown = "tls.ca",
      .help = "PEM file that the directory's certificate must lead to.", .example = "tls/dc-ca.pem" },
    { .name = "base", LDAP(base), .help = "Where in the directory the entries are.", .example = "\"ou=people,dc=example,dc=com\"" },
    { .name = "filter", LDAP(filter), .help = "Which of them: a filter that finds all.", .example = "\"(mail=*)\"" },
    { .name = "user_dn", LDAP(user_dn), .shown = "nobody", .help = "Who searches; the password is in password_file.",
      .example = "\"cn=postern,dc=example,dc=com\"" },
    { .name = "key", LDAP(key), .help = "The attribute with the entry. Each of several values is one; \"smtp:\" before an address is taken "
      "off.", .example = "mail" },
    { .name = "value", LDAP(value), .help = "The attribute with what the entry stands for, where it stands for something.",
      .example = "maildrop" },
};
static const struct schema_table ldap_table = { TABLE(ldap_options) };

static const struct schema_option table_options[] = {
    { .name = "type", .type = SCHEMA_ENUM, AT(config_table, type), .fallback = "any", .words = table_types,
      .help = "Where the entries come from, and what they are: a file with entries of all forms (any), with names, addresses and single IP "
              "addresses (exact), with networks (cidr), with regular expressions (pcre); a directory (ldap) or a database (sqlite, "
              "postgresql)." },
    { .name = "file", .type = SCHEMA_PATH, AT(config_table, file), .nullable = true,
      .help = "The file, or the database of sqlite. It is read again when it changes.", .example = "tables/customers" },
    { .name = "refresh", .type = SCHEMA_TIME, AT(config_table, refresh), .fallback = "5m", .min = SECOND, .max = 7 * DAY,
      .help = "How long between two readings of a directory or database." },
    { .name = "entries", .type = SCHEMA_NUMBER, AT(config_table, entries), .fallback = "1000000", .min = 1, .max = 20000000,
      .help = "The most entries that are believed; with more the table is taken to be broken, and stays as it was." },
    { .name = "query", .type = SCHEMA_STRING, AT(config_table, query), .nullable = true,
      .help = "Of a database: gives all entries in its first column and, where there is a second, their values. Rows with the same entry are "
              "one, whose values are put together.", .example = "SELECT address FROM mailboxes" },
    { .name = "connection", .type = SCHEMA_STRING, AT(config_table, connection), .nullable = true,
      .help = "Of postgresql: where the database is, as its other programs take it, without password.",
      .example = "host=db.example.com dbname=mail user=postern sslmode=verify-full" },
    { .name = "password_file", .type = SCHEMA_PATH, AT(config_table, password_file), .nullable = true,
      .help = "Of postgresql and ldap: file whose first line is the password; only system.table_user needs to read it.",
      .example = "secrets/database" },
    { .name = "ldap", .type = SCHEMA_GROUP, .table = &ldap_table, .help = "The directory, and the search for all entries." },
};
const struct schema_table schema_table = { TABLE(table_options), .size = sizeof(struct config_table),
                                           .place_offset = offsetof(struct config_table, place),
                                           .key_offset = offsetof(struct config_table, name) };

static const struct schema_option notices_options[] = {
    { .name = "language", .type = SCHEMA_ENUM, AT(config, notices.language), .fallback = "en", .words = schema_languages,
      .help = "The language of bounces, warnings and digests." },
    { .name = "templates", .type = SCHEMA_PATH, AT(config, notices.templates), .nullable = true,
      .help = "Folder with files that take the place of the built-in texts (`postern notices` writes them out).",
      .example = "notices" },
};
const struct schema_table schema_notices = { TABLE(notices_options) };
