/* SPDX-License-Identifier: Apache-2.0
 * DMARC policy records and where they are found. Of this folder and of the set-up check, which judges records; dmarc.h is
 * for all others. */
#ifndef POSTERN_MAILAUTH_DMARC_RECORD_H
#define POSTERN_MAILAUTH_DMARC_RECORD_H
#include "mailauth/dmarc.h"

/* ---- a record (RFC 7489 §6.3, §6.4; RFC 9989 §4.7, §4.8) */
struct dmarc_record {
    enum dmarc_policy p, sp, np; /* what applies: sp is p where there is none, np is sp */
    bool has_p;                  /* p= is there and good, or made "none" by §6.6.3 step 6 */
    bool usable;                 /* false: no valid policy and no address for reports, the record is as good as none */
    bool adkim_strict, aspf_strict;
    unsigned pct;                /* 0..100 */
    bool testing;                /* t=y */
    char psd;                    /* 'y', 'n' or 'u' */
    struct slice rua;            /* as published */
};
/* Does the text begin with the version tag? (§6.6.3 step 2) Else it is another TXT record. */
bool dmarc_record_is(struct slice text);
/* `text` is one that dmarc_record_is. `tree`: by the rules of RFC 9989, where a record without p= asks for "none". */
void dmarc_record_parse(struct slice text, bool tree, struct dmarc_record *out);

/* ---- looking one up */
enum dmarc_found { DMARC_FOUND, DMARC_FOUND_NONE, DMARC_FOUND_SEVERAL, DMARC_FOUND_TEMPFAIL, DMARC_FOUND_WAIT };
struct dmarc_node {
    enum dmarc_found found;
    struct slice domain;         /* points into the domain that was asked for */
    struct slice text;           /* of FOUND: lives as long as the answer */
    struct dmarc_record record;  /* of FOUND */
};
/* The record at _dmarc.`domain`. WAIT: asked for. */
void dmarc_look(const struct auth_dns *dns, struct slice domain, bool tree, struct dmarc_node *out);

/* ---- the tree walk (RFC 9989 §4.10) */
#define DMARC_WALK_MAX 8
struct dmarc_walk {
    struct dmarc_node nodes[DMARC_WALK_MAX]; /* nodes[0] is the domain itself; up to the one that ended the walk */
    size_t n;
    bool temp;                   /* a look-up failed: `organisation` is only known when it is not empty */
    struct slice organisation;   /* §4.10.2 */
    const struct dmarc_node *psd;/* the node with psd=y above the domain, or NULL */
};
/* False: answers are missing, all have been asked for. */
bool dmarc_walk(const struct auth_dns *dns, struct slice domain, struct dmarc_walk *out);

/* `domain` is `above` or below it. */
bool dmarc_within(struct slice domain, struct slice above);

#endif
