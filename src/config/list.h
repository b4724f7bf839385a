/* SPDX-License-Identifier: Apache-2.0
 * Lists that clients and addresses are held against. An entry is one of
 *     192.0.2.7  2001:db8::1      an address            192.0.2.0/24  10.0.0.0/255.0.0.0   a network
 *     192.168.88  10.             the beginning of an IPv4 address, whole numbers
 *     user@example.org            a mailbox (domain in any case, local part as RFC 5321 says, in any case)
 *     user@                       a local part at any domain
 *     example.org                 a domain, or a host;  .example.org  the same and all below it
 *     /regular expression/        over the whole address (local part without quotes, A-labels) or host name, case ignored
 *     <>                          the null reverse-path
 * in memory as sorted networks, hashes and compiled expressions: 100,000 entries cost a look-up no more than ten do. A file of entries, or
 * a table, is looked for in its newest block (config/tables.h): what is found changes with it. */
#ifndef POSTERN_CONFIG_LIST_H
#define POSTERN_CONFIG_LIST_H
#include "config/config.h"
#include "config/match.h"

struct list_match;
struct tables;

struct list_entry {
    const char *match, *comment, *reason; /* comment, reason: NULL when there is none */
    const char *file;              /* where it stands; NULL: in the configuration, or in a directory or database */
    const char *table;             /* of `tables`, in which it stands; NULL: none */
    struct config_place place;     /* of the entry in the configuration, or of the line that names the file or table */
    uint32_t line;                 /* in `file` */
    bool proven;                   /* of senders: counts only when SPF proves that the mail is theirs */
};

/* How near an entry is: the larger, the nearer. Equal numbers are the same entry, written twice. */
enum list_kind { LIST_NONE, LIST_DOMAIN, LIST_EXPRESSION, LIST_MAILBOX, LIST_NETWORK };
struct list_found {
    enum list_kind kind;
    unsigned nearness;             /* within a kind: bits of a network; labels of a domain, an exact one before a tree */
    const struct list_entry *entry; /* lives as long as the list; of a file or table: for TABLES_GRACE at least, and while it is there, each
                                       of its entries is one and the same */
};

#define LIST_EXPRESSIONS_MAX 1000 /* of a list, and of each table: each is tried, one after the other */

/* What an entry may be depends on what the list is of: a host is looked for among clients only, a mailbox among the others. Files and
 * tables are those of `tables`, which must outlive the list; NULL: the files are read now, which blocks, and never again. NULL with an
 * error that names the place of the entry, or file and line; an empty list is no error, and neither is one with an entry twice: the first
 * counts. `from` must outlive the list. */
struct list_match *list_new(const struct config_match_list *from, enum list_of of, const struct tables *tables, struct err *err) MUST_CHECK;
void list_free(struct list_match *l); /* NULL is fine */
bool list_is_empty(const struct list_match *l);  /* and no file or table will change that */
bool list_has_hosts(const struct list_match *l); /* of clients: some entry is about their names, for now */
bool list_may_have_hosts(const struct list_match *l); /* the same of what may still come */
bool list_is_unread(const struct list_match *l); /* what is in one of its tables is not known yet: it was never read */
bool list_has_proven(const struct list_match *l);

/* The nearest entry; kind NONE: none. No allocation but PCRE2's, whose work is limited: an expression that runs out of it does not
 * match. */
void list_find_ip(const struct list_match *l, const struct ip *ip, struct list_found *out);
void list_find_host(const struct list_match *l, struct slice name, struct list_found *out);   /* lower case */
/* local: as written; domain: A-labels, lower case; both empty: the null reverse-path, which only "<>" is. */
void list_find_address(const struct list_match *l, struct slice local, struct slice domain, struct list_found *out);

/* The same of a sender: entries that want proof count only when there is one. */
void list_find_sender(const struct list_match *l, struct slice local, struct slice domain, bool proven, struct list_found *out);

/* Which of the two holds: the nearer one; of the same entry in both, the allowing one. */
enum list_decision { LIST_UNDECIDED, LIST_ALLOWED, LIST_BLOCKED };
enum list_decision list_decide(const struct list_found *allow, const struct list_found *block);

#endif
