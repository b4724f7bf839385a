/* SPDX-License-Identifier: Apache-2.0
 * What message_auth.c and the checks of a message's text share. */
#ifndef POSTERN_POLICY_MESSAGE_AUTH_PARTS_H
#define POSTERN_POLICY_MESSAGE_AUTH_PARTS_H
#include "policy/auth_lookups.h"
#include "policy/message_auth.h"
#include "policy/pipeline.h"

/* Verifiers and results are in the transaction's arena. */
struct message_auth {
    struct policy_run *run;
    bool verified;               /* a stranger's: its results are told, and what pretends to be such is cut out */
    bool kept;                   /* somebody wants the header */
    struct auth_header header;
    struct auth_body *body;      /* NULL: nobody wants it */
    struct dkim_verifier *dkim_verifier; /* NULL: not asked for */
    struct arc_verifier *arc_verifier;
    struct auth_lookups *lookups;/* NULL: not verified, or the header has not ended */
    const struct dkim *dkim;     /* the results; NULL: not judged */
    const struct arc *arc;
    const struct dmarc *dmarc;
    const char *dmarc_override;  /* why its policy is not followed; NULL: it is */
    unsigned sample;             /* for pct=: 0..99 */
};

/* message_auth.c: what DMARC is told of the message; what SPF and DKIM found is not in it yet. */
struct dmarc_input message_auth_input(const struct message_auth *m);

struct arc_excuse {
    struct slice sealer;
    const char *what;            /* "DMARC": what passed there; a constant */
};
/* arc_excuse.c: does somebody whose seals we trust say that the message was its author's when he had it? The seal must be the newest of a
 * chain that holds. */
bool arc_excuses(const struct config *c, const struct arc *chain, const struct dmarc *dmarc, struct arc_excuse *out);

#endif
