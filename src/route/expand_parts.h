/* SPDX-License-Identifier: Apache-2.0
 * What the files of expand.h share. */
#ifndef POSTERN_ROUTE_EXPAND_PARTS_H
#define POSTERN_ROUTE_EXPAND_PARTS_H
#include "base/hash.h"
#include "route/expand.h"
#include "smtp/address.h"

/* An address as it is compared: "local@domain", the local part without quotes, A-labels, lower case. */
struct expand_name {
    char text[ADDRESS_LOCAL_MAX + 1 + 256];
    size_t local_n, n;
};
static inline struct slice expand_name_all(const struct expand_name *a) { return slice_of(a->text, a->n); }
static inline struct slice expand_name_local(const struct expand_name *a) { return slice_of(a->text, a->local_n); }
static inline struct slice expand_name_domain(const struct expand_name *a)
{
    return slice_of(a->text + a->local_n + 1, a->n - a->local_n - 1);
}
/* An address without domain is at hostname. False: a literal, or no address. */
bool expand_name_make(const struct expander *x, struct slice address, struct expand_name *out);

/* What is written in the configuration. */
struct expand_alias {
    struct slice key;              /* "sales", "sales@", "sales@example.com": lower case, A-labels */
    const struct config_alias *from;
    struct slice *to;              /* to_n whole addresses */
    size_t to_n;
};
struct expand_mapping {
    struct slice key;              /* "old.example", ".old.example" */
    struct slice to;
    const struct config_mapping *from;
};
struct expand_table {
    const struct table *table;
    const char *name;
    union { const struct config_alias *alias; const struct config_mapping *mapping; };
};

struct copy_rule;
struct expander {
    const struct config *config;
    const struct tables *tables;
    struct arena arena;
    struct htable aliases, mappings; /* of expand_alias, expand_mapping */
    const struct expand_alias **alias_list; /* the same in the order of the configuration */
    const struct expand_mapping **mapping_list;
    size_t alias_n, mapping_n;
    struct expand_table *alias_tables, *mapping_tables;
    size_t alias_table_n, mapping_table_n;
    const struct table **domain_tables; /* of relay domains */
    size_t domain_table_n;
    struct expand_name postmaster;   /* n 0: none that could be looked for */
    struct copy_rule *copies;        /* expand_copies.c */
    size_t copy_n;
};

enum expand_find { EXPAND_NONE, EXPAND_FOUND, EXPAND_UNREAD };

/* The domain a mail to `domain` (A-labels, lower case) goes to. written: tables are left out. */
struct expand_way {
    struct slice key;              /* what is mapped, as written */
    struct slice to;               /* as written */
    const char *table;             /* NULL: written */
    struct config_place place;     /* line 0: of a table */
    const struct expand_mapping *mapping;
};
enum expand_find expand_find_mapping(const struct expander *x, struct slice domain, bool written, struct expand_way *out);

/* What stands for an address. Texts live as long as the configuration, or as blocks of tables do. */
struct expand_group {
    const struct config_alias *from; /* NULL: a name of the system */
    const struct expand_alias *alias; /* written; NULL: of a table, or of the system */
    struct slice values;           /* of a table */
    const char *table;             /* its name; NULL */
    char key[sizeof((struct expand_name *)0)->text];
    size_t key_n;
    size_t detail_n;               /* bytes at the end of the local part that were left out: "+x"; 0: none */
};
enum expand_find expand_find_group(const struct expander *x, const struct expand_name *name, bool written, struct expand_group *out);

/* A member as a whole address, at main_domain (else hostname) when it has no domain. False: it is none. */
bool expand_member(const struct expander *x, struct slice text, struct arena *arena, struct slice *out);

/* expand_ours.c: the configured one. */
bool expand_is_postmaster(const struct expander *x, const struct expand_name *name);
/* expand_is_nobody, of a name. *unread: a table of relay domains that may have the domain was never read. */
bool expand_has_no_mailbox(const struct expander *x, const struct expand_name *name, bool *unread);

/* expand_steps.c: what people are told of a way. */
struct expand_steps {
    struct buf text;
    bool cut;                      /* they do not all fit */
};
void expand_tell_way(struct expand_steps *s, const struct expand_way *way);
void expand_tell_no_mailbox(struct expand_steps *s, struct slice address);
/* n members; no_mailbox: it keeps a copy of its own, and has nowhere to put it. */
void expand_tell_group(struct expand_steps *s, const struct expand_group *g, const struct slice *to, size_t n, bool no_mailbox);
/* Why it goes no further; told in any case. */
void expand_tell_stop(struct expand_steps *s, const char *what, struct slice which);
/* "sales (line 12)" */
void expand_add_label(const struct expand_group *g, struct buf *out);

/* expand_check.c: all that is written. */
bool expand_check(const struct expander *x, struct err *err) MUST_CHECK;
/* expand_walk.c: all of an alias that is written, without tables. False: *err tells of a loop, or of too many. */
bool expand_check_alias(const struct expander *x, const struct expand_alias *a, struct err *err) MUST_CHECK;
/* expand_copies.c */
bool expand_copies_load(struct expander *x, struct err *err) MUST_CHECK;
void expand_copies_free(struct expander *x);

#endif
