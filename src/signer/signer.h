/* SPDX-License-Identifier: Apache-2.0
 * Signing what goes out: DKIM for mail of our users, ARC for mail that passes through. Private keys are in the signer process alone (process.c),
 * which gets digests and answers with signatures; the rest of the work is done here, in the worker. */
#ifndef POSTERN_SIGNER_SIGNER_H
#define POSTERN_SIGNER_SIGNER_H
#include "base/link.h"
#include "config/config.h"
#include "mailauth/mailauth.h"

struct signing;

/* After the header, before the body. NULL: there is nothing to sign it with. `header` and `body` must outlive it; it lives in the arena.
 * signing_begin_dkim: with each key of the author's domain (From; exact, else the nearest domain above it where dkim.subdomains is on);
 * a message with several authors' domains or none is not signed. signing_begin_arc: with arc's key. */
struct signing *signing_begin_dkim(const struct config *c, const struct auth_header *header, struct auth_body *body, uint64_t now_ms,
                                   struct arena *arena);
struct signing *signing_begin_arc(const struct config *c, const struct auth_header *header, struct auth_body *body, uint64_t now_ms,
                                  struct arena *arena);
/* After the body's end (and, for ARC, the chain's validation: chain and results as arc_seal_message_digest; NULL and empty for DKIM). The
 * callback comes from the loop, once, never before this returns: fields to be put in front of the message, each with CRLF, or an error
 * when the signer did not answer in time. An ARC chain that may not be sealed gives no fields. */
typedef void signing_cb(void *arg, bool ok, struct slice fields, const struct err *err);
void signing_start(struct signing *s, struct link *signer, const struct arc *chain, struct slice results, signing_cb *cb, void *arg);
void signing_cancel(struct signing **s); /* no callback after that; clears the pointer; NULL is fine */

#endif
