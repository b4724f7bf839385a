/* SPDX-License-Identifier: Apache-2.0
 * The grammar of SPF records (RFC 7208 §12) and macros (§7). Of this folder only. */
#ifndef POSTERN_MAILAUTH_SPF_RECORD_H
#define POSTERN_MAILAUTH_SPF_RECORD_H
#include "mailauth/spf.h"

#define SPF_NAME_MAX 253 /* §7.3: of a target name */

enum spf_kind {
    SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS, /* mechanisms */
    SPF_REDIRECT, SPF_EXP, SPF_UNKNOWN,                                         /* modifiers */
};
struct spf_term {
    enum spf_kind kind;
    enum spf_result result;      /* of a match */
    struct slice text;           /* as published, the qualifier included */
    struct slice spec;           /* domain-spec; empty: the current domain */
    struct ip_net net;           /* ip4, ip6: host bits as published */
    uint8_t prefix4, prefix6;    /* a, mx */
};
#define SPF_TERMS_KEPT 32
/* What must be known before the first directive is looked at. */
struct spf_record {
    struct spf_term terms[SPF_TERMS_KEPT]; /* the first ones; not cleared */
    size_t n;
    struct slice rest;           /* the text of the others */
    struct slice redirect, exp;  /* their domain-specs; empty: not there */
    bool all;                    /* there is an "all": redirect counts for nothing (§5.1) */
};

bool spf_record_is(struct slice text); /* does it begin with the version (§4.5)? */
/* The whole grammar (§4.6). NULL, or what is wrong, one clause, and in *bad the term. `text` is one that spf_record_is. */
const char *spf_record_parse(struct slice text, struct spf_record *out, struct slice *bad);
/* Cuts the next term off; false at the end. *why as above; the term is of use only if it is NULL. */
bool spf_term_next(struct slice *terms, struct spf_term *out, const char **why);

bool spf_name_below(struct slice name, struct slice domain); /* or the same; letter case does not count */

/* ---- macros */

/* One piece of a macro-string: literal text (letter 0), or a macro. */
struct spf_piece {
    struct slice literal;
    char letter;                 /* lower case */
    bool escape;                 /* the letter was upper case: the value is URL-escaped (§7.3) */
    bool reverse;
    size_t keep;                 /* so many parts at the right; 0: all */
    struct slice delimiters;     /* empty: "." */
};
/* Cuts a piece off s, which is not empty. NULL, or what is wrong. Literals are not looked into. */
const char *spf_piece_next(struct slice *s, struct spf_piece *out);
/* A domain-spec (§7.1). NULL, or what is wrong. */
const char *spf_domain_spec_check(struct slice spec);
/* A macro-string, with blanks if `explain` (§6.2, explain-string). */
const char *spf_macro_string_check(struct slice s, bool explain);
bool spf_macro_uses(struct slice s, char letter);

/* What macros stand for. */
struct spf_scope {
    const struct spf_input *in;
    struct slice local;          /* of the sender */
    struct slice sender_domain;
    struct slice domain;         /* the current one, %{d} */
    struct slice validated;      /* %{p} */
};
/* A domain-spec's target name, at most SPF_NAME_MAX bytes; how long. The left is cut off at a label if need be, a dot at the end is
 * left out (§7.3). 0: there is no such name. */
size_t spf_expand_name(const struct spf_scope *scope, struct slice spec, char out[SPF_NAME_MAX]);
/* An explain-string, at most `room` bytes; what does not fit is left out. */
size_t spf_expand_text(const struct spf_scope *scope, struct slice text, char *out, size_t room);

#endif
