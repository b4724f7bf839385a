/* SPDX-License-Identifier: Apache-2.0
 * What DKIM and ARC have in common: a signature's tags, the text it covers, its key. Of this folder only. */
#ifndef POSTERN_MAILAUTH_DKIM_PARTS_H
#define POSTERN_MAILAUTH_DKIM_PARTS_H
#include <openssl/types.h>
#include "mailauth/arc.h"
#include "mailauth/tags.h"

#define DKIM_NAMES_MAX 1024 /* names in h=; each is searched among the fields */
#define DKIM_KEYS_MAX 4     /* records of one name that are tried (RFC 6376 §6.1.2), */
#define DKIM_RECORDS_MAX 16 /* of so many that are read */

enum dkim_kind { DKIM_SIGNATURE_FIELD, DKIM_ARC_MESSAGE_FIELD, DKIM_ARC_SEAL_FIELD };

struct dkim_parts {
    struct dkim_signature s; /* what is told of it; s.reason NULL: nothing is wrong yet */
    const struct auth_field *field;
    struct slice signature; /* b=, decoded */
    struct slice cut;       /* the part of field->raw that is b='s value, blanks around it included (RFC 6376 §3.5) */
    struct slice hash;      /* bh=, decoded */
    struct slice *names;    /* h= */
    size_t names_n;
    enum dkim_key_type type;
    int wish;           /* of the body */
    struct slice query; /* where its key is */
    unsigned instance;  /* ARC: i= */
    struct slice seen;  /* ARC-Seal: cv= */
};

/* Reads the tags. False: something is wrong, s.result and s.reason tell what. */
bool dkim_parts_read(enum dkim_kind kind, const struct auth_field *field, const struct dkim_options *o,
                     struct arena *arena, struct dkim_parts *out);
/* Wants its body hash. False as above: too many different ones. */
bool dkim_parts_want(struct dkim_parts *p, struct auth_body *body);
/* After the body's end: does bh= agree, and is enough of the body covered? False as above. */
bool dkim_parts_body(struct dkim_parts *p, const struct auth_body *body);
/* The digest of the header fields in h=, from the bottom, and of the signature's own field (RFC 6376 §3.7). */
void dkim_parts_digest(const struct dkim_parts *p, const struct auth_header *header, struct auth_body *body,
                       struct buf *scratch, uint8_t digest[AUTH_DIGEST_N]);
/* Own field with b= taken out, in canonical form, without CRLF. */
void dkim_parts_own(const struct dkim_parts *p, enum auth_canon canon, struct buf *out);
/* Judges the signature of `digest` by the key in `a` into s.result and s.reason. */
void dkim_parts_judge(struct dkim_parts *p, const struct dkim_options *o, const struct auth_dns_answer *a,
                      const uint8_t digest[AUTH_DIGEST_N], struct arena *arena);
/* s.result and s.reason are set; false. */
bool dkim_parts_set(struct dkim_parts *p, enum dkim_result result, const char *reason);

/* Appends the fields that `names` choose, canonical with CRLF, each name the lowest field of it that is not taken yet
 * (RFC 6376 §5.4.2). `own` is not taken; NULL: none. */
void dkim_fields_add(const struct auth_header *header, const struct slice *names, size_t n,
                     const struct auth_field *own, enum auth_canon canon, struct buf *out);
/* The record that this text makes, and what is wrong with it; kept until the next call. NULL: it is not kept (no `k`, a long text). */
const struct dkim_record *dkim_keys_read(struct dkim_keys *k, struct slice text, const char **wrong);
/* Set up for verifying more than once. */
void dkim_record_make_ready(struct dkim_record *r);
/* An RSA key set up for PKCS#1 v1.5 with SHA-256 (RFC 8017 §8.2). init: EVP_PKEY_sign_init_ex or EVP_PKEY_verify_init_ex. The caller
 * frees it. NULL: OpenSSL failed. */
EVP_PKEY_CTX *dkim_rsa_ready(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *ctx, const OSSL_PARAM *params));
uint32_t auth_name_hash(struct slice name);
/* The relaxed form without CRLF into `to`, which has room for raw.n bytes or is raw itself. Returns its length. */
size_t auth_relax_field(struct slice raw, char *to);
/* SHA-256 with the body's handle. */
void auth_body_sha256(struct auth_body *b, struct slice text, uint8_t digest[AUTH_DIGEST_N]);
/* Base64 without blanks; padding may be missing (RFC 6376 §2.10) and bits behind the last byte may be set. False: not
 * base64. */
bool dkim_base64(struct slice text, struct arena *arena, struct slice *out);

/* ---- signing */
struct dkim_names {
    struct slice *names;
    size_t n;
};
/* h= for this header, From first (RFC 6376 §5.4, §5.4.1). With `arc` only From is listed once more than it is there,
 * DKIM-Signature fields are covered, and Authentication-Results and ARC fields never are (RFC 8617 §4.1.2). */
struct dkim_names dkim_sign_names(const struct dkim_sign_options *o, const struct auth_header *header, bool arc,
                                  struct arena *arena);

/* Writes a field of tags, folded. */
struct dkim_fold {
    struct buf *out;
    size_t column;
};
/* Appends the word with a blank before it, or a fold where the line is full. */
void dkim_fold_word(struct dkim_fold *f, struct slice word);
void dkim_fold_tag(struct dkim_fold *f, const char *tag, struct slice value); /* "tag=value;" */
/* a, c, d, s, t, x, i (unless ARC), h, bh and "b=" of a signature. */
void dkim_fold_signature(struct dkim_fold *f, const struct dkim_sign_options *o, bool arc, struct dkim_names names,
                         const uint8_t body[AUTH_DIGEST_N]);
/* a, t, cv, d, s and "b=" of an ARC-Seal. */
void dkim_fold_seal(struct dkim_fold *f, const struct dkim_sign_options *o, struct slice seen);
/* The digest that is signed: of the fields `names` choose and of the signature's own text, without its CRLF (RFC 6376 §3.7). */
void dkim_sign_cover(const struct dkim_sign_options *o, const struct auth_header *header, struct dkim_names names, struct slice own,
                     struct auth_body *body, uint8_t digest[AUTH_DIGEST_N]);
/* Base64 behind what was written, broken anywhere. */
void dkim_fold_base64(struct buf *out, struct slice bytes);

#endif
