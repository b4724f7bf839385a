/* SPDX-License-Identifier: Apache-2.0
 * DKIM (RFC 6376, updated by RFC 8301 and RFC 8463): who takes responsibility for this message? */
#ifndef POSTERN_MAILAUTH_DKIM_H
#define POSTERN_MAILAUTH_DKIM_H
#include "mailauth/dns.h"
#include "mailauth/key.h"
#include "mailauth/message.h"

/* RFC 8601 §2.7.1 */
enum dkim_result { DKIM_NONE, DKIM_PASS, DKIM_FAIL, DKIM_POLICY, DKIM_NEUTRAL, DKIM_TEMPERROR, DKIM_PERMERROR };

struct dkim_options {
    uint64_t now;                /* wall ms */
    unsigned signatures_max;     /* judged at most, from the top; 0: 8. Those beyond are told of as DKIM_POLICY, up to 20 in all */
    bool trust_length;           /* a signature whose l= leaves part of the body out may pass; else it is DKIM_POLICY */
    unsigned rsa_min;            /* bits; 0: 1024 (RFC 8301 §3.2) */
    struct dkim_keys *keys;      /* of earlier messages; outlives the verifier. NULL: each is read anew */
};

struct dkim_signature {
    enum dkim_result result;
    struct slice domain, selector, identity; /* d=, s=, i= ("" : not given); domains are A-labels in lower case */
    struct slice algorithm;      /* a= */
    struct slice b;              /* the signature in base64, without blanks: header.b is its first 8 or more characters (RFC 6008) */
    struct slice headers;        /* h= */
    enum auth_canon header_canon, body_canon;
    uint64_t length, body;       /* l=, UINT64_MAX: none; canonical bytes of the body */
    uint64_t time, expires;      /* t=, x=, seconds; 0: none */
    unsigned bits;               /* of the key; 0: not known */
    bool testing;                /* the key says t=y */
    bool covers_from;
    const char *reason;          /* one clause, printable; never NULL */
};
struct dkim {
    enum dkim_result result;     /* the best: pass, then policy, fail, temperror, permerror, neutral; none: no signature */
    struct dkim_signature *signatures; /* in the order of the header, the topmost first */
    size_t n;
};

/* ---- verifying */
struct dkim_verifier;
/* After the header is complete: reads the signatures and says which body hashes are wanted. header and body must outlive it. The verifier
 * is in `arena` and needs no free but for dkim_verify_deinit. */
struct dkim_verifier *dkim_verify_begin(const struct dkim_options *o, const struct auth_header *header, struct auth_body *body,
                                        struct arena *arena);
/* The keys' names are known as soon as the header is: asks for them while the body is coming. May be left out. */
void dkim_verify_ask(struct dkim_verifier *v, const struct auth_dns *dns);
/* After the body's end. False: answers are missing, call again. */
bool dkim_verify(struct dkim_verifier *v, const struct auth_dns *dns, struct dkim *out);
void dkim_verify_deinit(struct dkim_verifier *v); /* NULL is fine */
const char *dkim_result_name(enum dkim_result r);

/* ---- signing */
struct dkim_sign_options {
    struct slice domain, selector;
    struct slice identity;       /* i=; empty: none */
    enum dkim_key_type type;
    enum auth_canon header_canon, body_canon;
    const struct slice *headers; /* names to sign where they are present; NULL: those of RFC 6376 §5.4.1 and what has come since */
    size_t headers_n;
    const struct slice *oversign;/* names that are listed once more than they occur, so that none can be added; From always is. NULL: From,
                                  * To, Cc, Subject, Date, Reply-To, Message-ID, Content-Type, MIME-Version and their like */
    size_t oversign_n;
    uint64_t time, expires;      /* t=, x=: seconds; 0: not written */
};
struct dkim_signer;
/* After the header is complete, before the body. `o`'s texts must outlive it. NULL: the header overflowed, or there are too many wishes of
 * the body: the message cannot be signed. With `headers` given and `oversign` not, only names of `headers` are oversigned. */
struct dkim_signer *dkim_sign_begin(const struct dkim_sign_options *o, const struct auth_header *header, struct auth_body *body,
                                    struct arena *arena);
/* After the body's end: the digest that a key signs. */
void dkim_sign_digest(struct dkim_signer *s, uint8_t digest[32]);
/* Appends the field, with CRLF: lines of at most 78 characters where they can be. */
void dkim_sign_finish(struct dkim_signer *s, struct slice signature, struct buf *out);

#endif
