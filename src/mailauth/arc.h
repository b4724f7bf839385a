/* SPDX-License-Identifier: Apache-2.0
 * ARC (RFC 8617): what those who handled the message before us saw, and sealing what we saw. */
#ifndef POSTERN_MAILAUTH_ARC_H
#define POSTERN_MAILAUTH_ARC_H
#include "mailauth/dkim.h"

enum arc_result { ARC_NONE, ARC_PASS, ARC_FAIL, ARC_TEMPERROR };
#define ARC_SETS_MAX 50          /* RFC 8617 §4.2.1 */

struct arc_set {
    struct slice seal_domain, seal_selector;    /* of ARC-Seal; A-labels, lower case */
    struct slice message_domain, message_selector; /* of ARC-Message-Signature */
    struct slice results;        /* the value of ARC-Authentication-Results behind "i=N;", unfolded as it came */
    enum arc_result seen;        /* cv= */
};
struct arc {
    enum arc_result result;      /* of the chain (§5.2) */
    struct arc_set *sets;        /* sets[0] is instance 1 */
    size_t n;
    unsigned oldest_pass;        /* the lowest instance whose message signature still holds; 0: all do. (§5.2 step 5; header.oldest-pass) */
    const char *reason;          /* one clause, printable; never NULL */
};

struct arc_verifier;
/* As dkim_verify_begin, dkim_verify_ask, dkim_verify and dkim_verify_deinit. Of the options `now`, rsa_min and keys count. The newest message
 * signature and the seals are asked for and judged, the older message signatures only where those pass. */
struct arc_verifier *arc_verify_begin(const struct dkim_options *o, const struct auth_header *header, struct auth_body *body,
                                      struct arena *arena);
void arc_verify_ask(struct arc_verifier *v, const struct auth_dns *dns);
bool arc_verify(struct arc_verifier *v, const struct auth_dns *dns, struct arc *out);
void arc_verify_deinit(struct arc_verifier *v);
const char *arc_result_name(enum arc_result r);

/* ---- sealing (§5.1) */
struct arc_sealer;
/* After the header, before the body; NULL as dkim_sign_begin. `o`: domain, selector, type, header_canon, body_canon, headers, time; From and all of §4.1.2's
 * choice are signed, never an ARC or Authentication-Results field. */
struct arc_sealer *arc_seal_begin(const struct dkim_sign_options *o, const struct auth_header *header, struct auth_body *body,
                                  struct arena *arena);
/* May the chain be sealed? Not one that is marked as failed already, nor with ARC_SETS_MAX sets, nor one that could not be judged
 * (ARC_TEMPERROR). */
bool arc_may_seal(const struct arc *chain);
/* After the body's end and the chain's validation. `results`: what an Authentication-Results field of ours holds behind the
 * "Authentication-Results:" (authserv-id and results). The digest of the message signature. */
void arc_seal_message_digest(struct arc_sealer *s, const struct arc *chain, struct slice results, uint8_t digest[32]);
/* Then, with its signature, the digest of the seal; */
void arc_seal_digest(struct arc_sealer *s, struct slice message_signature, uint8_t digest[32]);
/* and the three fields, ARC-Seal first, each with CRLF. */
void arc_seal_finish(struct arc_sealer *s, struct slice seal_signature, struct buf *out);

#endif
