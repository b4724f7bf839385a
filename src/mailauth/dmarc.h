/* SPDX-License-Identifier: Apache-2.0
 * DMARC: does what SPF and DKIM proved belong to the author's domain, and what does that domain ask for if it does
 * not?
 *
 * With a public suffix list it is RFC 7489 (and np= of RFC 9091, t= of RFC 9989); without one RFC 9989, which
 * obsoletes both: the tree walk, psd=, np= and t=, and no pct=, which it has removed (appendix A.6). */
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
    const struct psl_ctx_st *psl;      /* organisational domains by this list (RFC 7489 §3.2); NULL: by tree walk */
    /* 0..99, of the caller's dice: pct= spares messages whose sample is not below it (RFC 7489 §6.6.4) */
    unsigned sample;
};

struct dmarc {
    enum dmarc_result result;
    enum dmarc_policy asked;     /* what the policy asks for, of FAIL (after pct= or t=y); else NONE */
    enum dmarc_policy published; /* p=, sp= or np=, as it applies to the author's domain */
    struct slice author;         /* the domain that was judged: of several the one that fares worst; A-labels, lower case */
    /* Its organisational domain; by tree walk empty where a look-up above the author's own record failed. */
    struct slice organisation;
    struct slice record_domain;  /* where the record was found; empty: nowhere */
    struct slice record;         /* as published, printable */
    bool spf_aligned, dkim_aligned;
    bool sampled_out;            /* pct= or t=y softened `asked` */
    unsigned pct;
    bool testing;                /* t=y */
    struct slice reports;        /* rua=, as published, printable */
    struct slice reason;         /* one clause, printable */
};

/* False: answers are missing, call again. What comes out is in `arena`, or constant.
 *
 * No From, more than one From field, one that cannot be read, an address without a domain name, a header that
 * overflowed: PERMERROR. Several authors: each domain is judged (RFC 7489 §6.6.1, RFC 9989 §11.5), at most 10, more
 * is PERMERROR. The worst counts: FAIL with reject, FAIL with quarantine, PERMERROR, TEMPERROR, FAIL with none,
 * NONE, PASS; so that nobody escapes a policy by adding what cannot be judged.
 *
 * TEMPERROR: a look-up failed, or an identifier that is aligned failed by temperror, and no other one passed (RFC
 * 7489 §6.6.2). NONE: no record, by RFC 7489 several at the author's domain, or one without a valid p= (sp=, np=)
 * and without an address for reports. */
bool dmarc_check(const struct dmarc_input *in, const struct auth_dns *dns, struct arena *arena, struct dmarc *out);
const char *dmarc_result_name(enum dmarc_result r);
const char *dmarc_policy_name(enum dmarc_policy p);
/* Relaxed alignment (§3.1): the organisational domain of a domain, for callers that compare on their own (A-labels,
 * lower case). By the list only. */
struct slice dmarc_organisation(const struct psl_ctx_st *psl, struct slice domain);

#endif
