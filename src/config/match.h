/* SPDX-License-Identifier: Apache-2.0
 * One entry of a list that clients and addresses are held against (the forms are told in config/list.h): taken apart, and checked. */
#ifndef POSTERN_CONFIG_MATCH_H
#define POSTERN_CONFIG_MATCH_H
#include "base/err.h"
#include "base/ip.h"

/* What a list is held against: clients, by address and name, or mail addresses; or it is a table of aliases (names and addresses, whose
 * values are such, separated by commas), of mapped domains (names and trees, whose values are domains), or of relay domains. */
enum list_of { LIST_OF_CLIENTS, LIST_OF_ADDRESSES, LIST_OF_ALIASES, LIST_OF_MAPPINGS, LIST_OF_DOMAINS };
static inline bool list_has_values(enum list_of of) { return of == LIST_OF_ALIASES || of == LIST_OF_MAPPINGS; }

enum match_form {
    MATCH_NETWORK,     /* of clients: an address, a network, the beginning of an IPv4 address */
    MATCH_NAME,        /* a domain or host */
    MATCH_TREE,        /* the same and all below it */
    MATCH_MAILBOX,     /* the next three of addresses */
    MATCH_LOCAL,       /* "user@": at any domain */
    MATCH_NULL,        /* "<>" */
    MATCH_USER,        /* of aliases: a local part alone */
    MATCH_EXPRESSION,
};
struct match {
    enum match_form form;
    struct ip_net net;         /* NETWORK */
    char domain[256];          /* NAME, TREE (without its first dot), MAILBOX: A-labels, lower case */
    char local[64];            /* MAILBOX, LOCAL, USER: without quotes, not terminated */
    size_t local_n;
    struct slice expression;   /* without the slashes; in the text */
};

#define MATCH_KEY_MAX 384
/* How an entry that is no network and no expression is found: "example.org", ".example.org", "user@example.org", "user@", "user", "<>"; lower
 * case. */
struct slice match_key(const struct match *m, char room[MATCH_KEY_MAX]);
/* Takes an entry apart. NULL, or what is wrong with it in one clause. Whether an expression can be compiled is not looked at. */
const char *match_parse(struct slice text, enum list_of of, struct match *out) MUST_CHECK;

#define MATCH_REASON_MAX 200
/* Why a text cannot be told to a client in a reply, or NULL: printable ASCII (RFC 5321 §4.2), at most MATCH_REASON_MAX bytes. */
const char *match_reason_problem(struct slice reason);

struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
/* A regular expression over a whole text, case ignored: a pcre2_code, for pcre2_code_free. NULL: *err tells why. */
struct pcre2_real_code_8 *match_compile(struct slice expression, struct err *err) MUST_CHECK;
void match_free(struct pcre2_real_code_8 *code); /* NULL is fine */
struct pcre2_real_code_8 *match_compile_as(struct slice expression, uint32_t options, struct err *err) MUST_CHECK; /* options: of PCRE2 */
/* What pcre2_match needs for such an expression, its work limited: one that runs out of it does not match. */
void match_limits_new(struct pcre2_real_match_data_8 **data, struct pcre2_real_match_context_8 **limits);
/* Everything about one entry: match_parse and match_compile. */
bool match_check(struct slice text, enum list_of of, struct err *err) MUST_CHECK;

#endif
