/* SPDX-License-Identifier: Apache-2.0
 * TLS as a client: authorities, and what a server must prove. */
#include "net/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include "base/mem.h"

struct tls_client {
    SSL_CTX *ctx;
};

struct tls_client *tls_client_new(const struct config *c, struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx) {
        err_set(err, "TLS cannot be set up");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    struct tls_client *t = mem_new(struct tls_client);
    t->ctx = ctx;
    return t;
}

void tls_client_free(struct tls_client *t)
{
    if (!t) return;
    SSL_CTX_free(t->ctx);
    free(t);
}

struct ssl_st *tls_client_session(struct tls_client *t, const struct tls_wish *w, const char *resume_key, struct err *err)
{
    SSL *ssl = SSL_new(t->ctx);
    if (!ssl || (w->sni && !SSL_set_tlsext_host_name(ssl, w->sni))) {
        SSL_free(ssl);
        err_set(err, "TLS cannot be set up");
        return NULL;
    }
    return ssl;
}

const char *tls_failure(const struct ssl_st *ssl)
{
    return "";
}

const char *tls_failure_kind(const struct ssl_st *ssl)
{
    return "";
}
