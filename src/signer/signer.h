/* SPDX-License-Identifier: Apache-2.0
 * Signing what goes out: DKIM for mail of our users, ARC for mail that passes through. Private keys are in the signer process alone
 * (process.c), which gets digests and answers with signatures; the rest of the work is done here, in the worker. */
#ifndef POSTERN_SIGNER_SIGNER_H
#define POSTERN_SIGNER_SIGNER_H
#include "base/link.h"
#include "config/config.h"
#include "mailauth/mailauth.h"

/* ---- what is known of the keys without having them */

#define SIGNER_KEYS_MAX 4 /* that sign one message */

struct signer_keys;
/* Reads each key that is in use, to know its kind, and forgets it. Blocks. NULL and an error that names the file when one cannot be
 * used. The configuration must outlive it. */
struct signer_keys *signer_keys_new(const struct config *c, struct err *err) MUST_CHECK;
void signer_keys_free(struct signer_keys *k); /* NULL is fine */
/* What is to be published of a key, in use or not ("v=DKIM1; k=rsa; p=..."); NULL: it could not be read. As long as the keys. */
const char *signer_key_record(const struct signer_keys *k, size_t number);
/* The key with a number: those of dkim.keys in their order, then that of arc. For the process. */
const struct config_dkim_key *signer_key_at(const struct config *c, size_t number);

/* ---- signing a message */

struct signing;
/* After the header, before the body. NULL: there is nothing to sign it with, or it cannot be signed. `header` and `body` must outlive it;
 * it lives in the arena.
 * DKIM: with each key of the author's domain (From), or of the nearest domain above it where dkim.subdomains is on; a message of authors
 * in several domains, or of none, is not signed. */
struct signing *signing_begin_dkim(const struct signer_keys *k, const struct auth_header *header, struct auth_body *body,
                                   uint64_t now_ms, struct arena *arena);
/* ARC: with arc's key, when arc.seal is on. */
struct signing *signing_begin_arc(const struct signer_keys *k, const struct auth_header *header, struct auth_body *body,
                                  uint64_t now_ms, struct arena *arena);

/* fields: to be put in front of the message, each with CRLF; valid within the call. Not ok: the signer did not answer in time. */
typedef void signing_cb(void *arg, bool ok, struct slice fields);
/* After the body's end; for ARC after the chain's validation, too: chain, and results as arc_seal_message_digest takes them. The
 * callback comes from the loop, once, never before this returns; the signing is over then. False: nothing is to be done (the chain may not
 * be sealed), and there is no callback. */
bool signing_start(struct signing *s, struct link *signer, const struct arc *chain, struct slice results, signing_cb *cb, void *arg);
void signing_cancel(struct signing **s); /* no callback after that; clears the pointer; NULL is fine, and one not started */

#endif
