/* SPDX-License-Identifier: Apache-2.0
 * The schema: every option of the configuration file, declared once in schema.c. Parsing, defaults, bounds, error
 * texts, `config get`, the manual page and the JSON schema are all derived from these tables. */
#ifndef POSTERN_CONFIG_SCHEMA_H
#define POSTERN_CONFIG_SCHEMA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
    SCHEMA_STRING,    /* const char *: any printable text without blanks at the ends */
    SCHEMA_SECRET,    /* char *: the same; never shown again, "***" instead */
    SCHEMA_HOST,      /* const char *: a host name, lower case, A-labels */
    SCHEMA_DOMAIN,    /* the same; a relay domain */
    SCHEMA_DNS_NAME,  /* const char *: a name in the DNS, with any number of labels */
    SCHEMA_DOMAIN_TREE, /* const char *: "example.org", or ".example.org" for it and all below; lower case */
    SCHEMA_PEER,      /* const char *: a name or an address of one host */
    SCHEMA_MAILBOX,   /* const char *: local@domain */
    SCHEMA_RECIPIENT, /* const char *: domain, .domain or local@domain, lower case */
    SCHEMA_LOCAL,     /* const char *: a local part, lower case */
    SCHEMA_ALIAS,     /* const char *: local, local@ or local@domain, lower case */
    SCHEMA_TARGET,    /* const char *: local or local@domain, the local part as written */
    SCHEMA_MAC,       /* const char *: six pairs of hex digits, lower case, with colons */
    SCHEMA_NAME,      /* const char *: a user, an interface, a zone: letters, digits, "-", "_", "." */
    SCHEMA_PATH,      /* const char *: made absolute from the directory of the configuration file */
    SCHEMA_SERVER,    /* const char *: address[:port] */
    SCHEMA_BOOL,      /* bool; with `words`: one of two words for 0 and 1 */
    SCHEMA_NUMBER,    /* uint32_t */
    SCHEMA_PERCENT,   /* uint32_t */
    SCHEMA_SCORE,     /* int32_t: hundredths of a point; min and max are SCHEMA_SCORE_BOUND */
    SCHEMA_CLOCK,     /* uint32_t: minutes of the day, "07:00"; only in lists */
    SCHEMA_PORT,      /* uint16_t */
    SCHEMA_SIZE,      /* uint64_t, bytes */
    SCHEMA_TIME,      /* uint64_t, milliseconds */
    SCHEMA_ENUM,      /* an enum: one of `words`; `unset` when it has no default */
    SCHEMA_SET,       /* uint32_t: the bits of any of `words`, a list; its fallback is "one, another" */
    SCHEMA_IP,        /* struct ip; min is the wanted family, or 0 */
    SCHEMA_SOURCES,   /* two struct ip: IPv4 at offset, IPv6 at count_offset; one address, or a list of one for each family */
    SCHEMA_NETWORK,   /* struct ip_net */
    SCHEMA_ENDPOINT,  /* ip and port of struct config_listener; the offset is that of `ip` */
    SCHEMA_ZONE,      /* int: name of a zone, resolved to its index once all are known */
    SCHEMA_LISTENER,  /* int: the address of a listener, resolved to its index in the same way */
    SCHEMA_HOP,       /* struct config_hop: text, or a group of `table` */
    SCHEMA_LIST,      /* pointer and count: scalars of `item`; its fallback is "one, another" */
    SCHEMA_GROUP,     /* a nested mapping of `table` in the same struct */
    SCHEMA_RECORDS,   /* pointer and count: a list of mappings of `table` */
    SCHEMA_MAP,       /* pointer and count: mappings of `table`, keyed by name */
};

struct schema_word {
    const char *word; /* NULL ends the list */
    uint32_t value;
    bool planned;     /* known, but not in this version: a clear error */
    const char *refused; /* known, but not possible here: why; NULL: possible */
};

#define SCHEMA_SCORE_BOUND(hundredths) ((uint64_t)(int64_t)(hundredths))
#define SCHEMA_UNSET 0xFFu /* of an enum whose default is found when everything is read */
#define SCHEMA_HIDDEN "***" /* stands for a secret */

struct schema_option {
    const char *name;
    enum schema_type type, item;
    size_t offset, count_offset; /* into the struct of the table it stands in; count_offset: lists and SOURCES only */
    const char *fallback;        /* the default, in the words of the file; NULL: none */
    const char *shown;           /* how documents call the default, when it is not a plain value */
    bool required;
    bool nullable;               /* texts: NULL when it is not set, not "" */
    bool empty;                  /* SCHEMA_STRING: "" is a value */
    uint32_t unset;
    size_t instead_offset;       /* const char *: where it is set, it is shown in this one's place; 0: none */
    uint64_t min, max;           /* of numbers, sizes (bytes) and times (ms); max 0: no limit */
    const struct schema_word *words;
    const struct schema_table *table;
    size_t place_offset;         /* SCHEMA_GROUP: struct config_place that takes where it is written; 0: none */
    const char *help;            /* a sentence or two */
    const char *example;         /* in the words of the file, or NULL */
};

struct schema_table {
    const struct schema_option *options;
    size_t n;
    size_t size;          /* of the record; 0 for groups */
    size_t key_offset;    /* SCHEMA_MAP: const char * that takes the key */
    size_t place_offset;  /* records: struct config_place */
    const char *just_one[2]; /* options of which one and only one must be written; NULL: none */
    const char *any[2];   /* options of which one must be */
    const char *scalar;   /* SCHEMA_RECORDS: the option that an entry of a single value stands for; NULL: there is none */
};

extern const struct schema_table schema_root; /* over struct config */

const struct schema_option *schema_find(const struct schema_table *t, const char *name, size_t n);
/* The words for a type in documents: "size", "list of networks" ... */
const char *schema_type_name(const struct schema_option *o);

#endif
