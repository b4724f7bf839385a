/* SPDX-License-Identifier: Apache-2.0
 * Keys of DKIM and ARC: public ones from DNS records (RFC 6376 §3.6.1, RFC 8463), private ones from PEM files. */
#ifndef POSTERN_MAILAUTH_KEY_H
#define POSTERN_MAILAUTH_KEY_H
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum dkim_key_type { DKIM_RSA, DKIM_ED25519 };
#define DKIM_SIGNATURE_MAX 1024  /* bytes: RSA with 8192 bits */

/* ---- public */
struct dkim_record {
    enum dkim_key_type type;
    unsigned bits;               /* of RSA: size of the modulus; Ed25519: 256 */
    bool revoked;                /* p= is empty */
    bool testing;                /* t=y */
    bool strict;                 /* t=s: i= must be exactly d= */
    bool sha256;                 /* h= allows it */
    bool email;                  /* s= allows it */
    struct slice p;              /* the key as published (base64), for comparison */
    struct evp_pkey_st *key;     /* NULL when revoked; dkim_record_deinit */
    struct evp_pkey_ctx_st *ready; /* RSA: set up for verifying, of kept records only */
};
/* NULL, or what is wrong with it, one clause. RSA keys up to 8192 bits are read (their size is the caller's question). */
const char *dkim_record_parse(struct slice text, struct arena *arena, struct dkim_record *out);
void dkim_record_deinit(struct dkim_record *r);
/* RSA: PKCS#1 v1.5 with SHA-256; Ed25519 over the digest (RFC 8463 §3). */
bool dkim_record_verify(const struct dkim_record *r, const uint8_t digest[32], struct slice signature);
/* Are the TXT records at a selector's name (at least one) just this one, as dkim_key_record makes it, and one that receivers can use? reason:
 * one clause in any case; hint: how to mend it, or what to think of; may be empty. */
bool dkim_published_is(const struct slice *texts, size_t n, struct slice record, struct buf *reason, struct buf *hint);

/* Keys kept from message to message, found by the whole text of their record: to read one and make it ready takes as long as to verify a
 * signature. For one thread at a time. */
struct dkim_keys;
struct dkim_keys *dkim_keys_new(size_t n); /* at most n, each up to 16 KiB */
void dkim_keys_free(struct dkim_keys **k); /* clears the pointer; NULL is fine */

/* ---- private */
struct dkim_key;
/* PEM, PKCS#1 or PKCS#8, without a password; RSA with 1024 to 8192 bits, or Ed25519. Blocks for reading. The file's text is wiped. */
struct dkim_key *dkim_key_load(const char *file, struct err *err) MUST_CHECK;
struct dkim_key *dkim_key_parse(struct slice pem, struct err *err) MUST_CHECK;
struct dkim_key *dkim_key_new(enum dkim_key_type type, unsigned bits, struct err *err) MUST_CHECK; /* blocks for seconds */
void dkim_key_free(struct dkim_key **k);
enum dkim_key_type dkim_key_type(const struct dkim_key *k);
unsigned dkim_key_bits(const struct dkim_key *k);
bool dkim_key_pem(const struct dkim_key *k, struct buf *out); /* PKCS#8; buf_wipe it */
/* Returns the length, 0: OpenSSL failed. May be called by several threads at once. About a millisecond with RSA 2048. */
size_t dkim_key_sign(const struct dkim_key *k, const uint8_t digest[32], uint8_t out[DKIM_SIGNATURE_MAX]);
void dkim_key_record(const struct dkim_key *k, bool testing, struct buf *out); /* "v=DKIM1; k=rsa; p=..." */
/* A TXT record as a line of a zone file (`host`: a whole name; it gets its final dot): strings of at most 255 characters, in parentheses on lines of their own where it needs several. */
void dkim_format_bind(struct slice host, struct slice text, struct buf *out);

#endif
