/* SPDX-License-Identifier: Apache-2.0
 * DMARC (RFC 7489, with the tree walk, np= and t= of its successor where they are chosen): does what SPF and DKIM proved belong to the
 * author's domain, and what does that domain ask for if it does not? */
#ifndef POSTERN_MAILAUTH_DMARC_H
#define POSTERN_MAILAUTH_DMARC_H
#include "mailauth/dkim.h"
#include "mailauth/spf.h"

struct psl_ctx_st;

enum dmarc_result { DMARC_NONE, DMARC_PASS, DMARC_FAIL, DMARC_TEMPERROR, DMARC_PERMERROR };
enum dmarc_policy { DMARC_ASK_NONE, DMARC_ASK_QUARANTINE, DMARC_ASK_REJECT };

struct dmarc_input {
    const struct auth_header *header;  /* From is read in it */
    const struct spf *spf;             /* of MAIL FROM, or of HELO for a null sender; NULL: not checked */
    const struct dkim *dkim;           /* NULL: not checked */
    const struct psl_ctx_st *psl;      /* organisational domains by the public suffix list (RFC 7489 §3.2); NULL: by tree walk */
    unsigned sample;                   /* 0..99, of the caller's dice: pct= spares messages whose sample is not below it (§6.6.4) */
};

struct dmarc {
    enum dmarc_result result;
    enum dmarc_policy asked;     /* what the policy asks for, of FAIL (after pct= or t=y); else NONE */
    enum dmarc_policy published; /* p=, sp= or np=, as it applies to the author's domain */
    struct slice author;         /* the author's domain that was judged: of several the one that fares worst; A-labels, lower case */
    struct slice organisation;   /* its organisational domain */
    struct slice record_domain;  /* where the record was found; empty: nowhere */
    struct slice record;         /* as published, printable */
    bool spf_aligned, dkim_aligned;
    bool sampled_out;            /* pct= or t=y softened `asked` */
    unsigned pct;
    bool testing;                /* t=y */
    struct slice reports;        /* rua=, as published, printable */
    struct slice reason;         /* one clause, printable */
};

/* False: answers are missing, call again. No From, more than one From field, or none that can be read: PERMERROR. Several authors in one
 * From: each domain is judged (at most 10, then PERMERROR), the worst counts (RFC 7489 §6.6.1). */
bool dmarc_check(const struct dmarc_input *in, const struct auth_dns *dns, struct arena *arena, struct dmarc *out);
const char *dmarc_result_name(enum dmarc_result r);
const char *dmarc_policy_name(enum dmarc_policy p);
/* Relaxed alignment (§3.1): the organisational domain of a domain, for callers that compare on their own (A-labels, lower case). By the
 * list only. */
struct slice dmarc_organisation(const struct psl_ctx_st *psl, struct slice domain);

#endif
