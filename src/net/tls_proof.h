/* SPDX-License-Identifier: Apache-2.0
 * What was asked of a server by a TLS session, kept with it, and how a failure is told. For tls_client.c and tls_proof.c. */
#ifndef POSTERN_NET_TLS_PROOF_H
#define POSTERN_NET_TLS_PROOF_H
#include "net/tls.h"

struct x509_store_ctx_st;

struct tls_proof {
    struct tls_client *client;
    char *key;                /* of the session cache; NULL: not to be kept */
    uint64_t proven_at;       /* mono ms: when the certificate was looked at, if this session resumes another */
    bool verify, dane, keep_on;
    char names[256];          /* asked for, as text */
    char shown[160];          /* names in the certificate, when they are not those */
    char text[400];           /* of tls_failure */
};

struct tls_proof *tls_proof_new(struct ssl_st *ssl, const struct tls_wish *w); /* freed with ssl; NULL: no memory */
struct tls_proof *tls_proof_of(const struct ssl_st *ssl);                      /* NULL: not one of tls_client_session */
/* For SSL_CTX_set_cert_verify_callback: looks at the chain where something is to be proven, and keeps what will be told. */
int tls_proof_verify(struct x509_store_ctx_st *chain, void *unused);

#endif
