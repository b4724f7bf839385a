/* SPDX-License-Identifier: Apache-2.0
 * The configuration of what becomes of addresses, and of tables: `mappings`, `aliases`, `system_mail`, `copies`, `tables`, `notices`.
 * Part of config.h, which says what holds of all fields. */
#ifndef POSTERN_CONFIG_CONFIG_REWRITE_H
#define POSTERN_CONFIG_CONFIG_REWRITE_H
#include "config/config_checks.h"

/* Mail to user@from goes to user@to. */
struct config_mapping {
    const char *from;            /* "old.example", or ".old.example" (it and all below); lower case, A-labels; NULL: of a table */
    const char *to;              /* "new.example"; of a table: in its values */
    const char *table;           /* name of one in `tables`, domain → domain; NULL: none. Just one of from and table is set */
    bool enabled;
    const char *comment;
    struct config_place place;
};

/* A name that stands for others. */
struct config_alias {
    const char *name;            /* "sales" (at main_domain and hostname), "sales@example.com", "sales@" (at any domain of ours);
                                    NULL: of a table */
    const char **to;             /* addresses, or names at main_domain; at least one unless `table` */
    size_t to_n;
    const char *table;           /* name → addresses, separated by commas; just one of name and table is set */
    bool keep;                   /* it gets its own copy, too; so it does when it names itself in `to` */
    bool enabled;
    const char *comment;
    struct config_place place;
};

/* Outgoing is what comes from users and clients that may relay, incoming all else. */
enum config_copy_mail { CONFIG_COPY_ALL, CONFIG_COPY_INCOMING, CONFIG_COPY_OUTGOING };
/* One more recipient of messages. */
struct config_copy {
    const char *to;              /* an address */
    enum config_copy_mail mail;
    struct config_match_list senders, recipients; /* each: none: any. Both must fit where both are written */
    bool enabled;
    const char *comment;
    struct config_place place;
};

enum config_table_type {
    CONFIG_TABLE_ANY,            /* a file with entries of all forms (config/list.h) */
    CONFIG_TABLE_EXACT,          /* the same with names, mailboxes and single IP addresses only */
    CONFIG_TABLE_CIDR,           /* with networks only */
    CONFIG_TABLE_PCRE,           /* with regular expressions only; the first that fits counts */
    CONFIG_TABLE_LDAP,
    CONFIG_TABLE_SQLITE,
    CONFIG_TABLE_POSTGRESQL,
};
static inline bool config_table_is_lines(enum config_table_type type) { return type < CONFIG_TABLE_LDAP; } /* of a file */
/* A table is read as a whole, again and again, and looked into in memory: nobody waits for a directory or database while mail comes. */
struct config_table {
    const char *name;
    enum config_table_type type;
    const char *file;            /* of files and SQLite; else NULL */
    uint64_t refresh;            /* ms between two readings; files are read when they change */
    uint32_t entries;            /* more than these are a fault of the table */
    const char *query;           /* of SQL: gives one column (the entry) or two (and its value); several rows with one key are one with
                                    their values, separated by commas */
    const char *connection;      /* of PostgreSQL: as libpq takes it ("host=db.example dbname=mail user=postern"), without password */
    const char *password_file;   /* of PostgreSQL and LDAP (for user_dn): its first line; NULL: none */
    struct {
        const char *url;         /* ldap://, ldaps://, ldapi:// */
        bool starttls;
        const char *ca;          /* NULL: tls.ca */
        const char *base, *filter, *user_dn; /* the search for all entries */
        const char *key;         /* attribute with the entry, perhaps several ("smtp:" before an address is taken off) */
        const char *value;       /* attribute with the value; NULL: none */
    } ldap;
    struct config_place place;
};

/* Values are those of enum template_language. */
enum config_language { CONFIG_LANGUAGE_EN, CONFIG_LANGUAGE_DE, CONFIG_LANGUAGE_IT, CONFIG_LANGUAGE_JA, CONFIG_LANGUAGES };
struct config_notices {
    enum config_language language;
    const char *templates;       /* folder with files that take the place of the built-in texts; NULL: none */
    struct config_place place;
};

/* How a transparent zone's connections are taken. */
enum config_interception { CONFIG_INTERCEPT_REDIRECT, CONFIG_INTERCEPT_TPROXY };

#endif
