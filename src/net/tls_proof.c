/* SPDX-License-Identifier: Apache-2.0
 * What a server proved, and why not, in words for people and for reports (RFC 8460). */
#include "net/tls_proof.h"
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/mem.h"
#include "net/tls_parts.h"

#define NAMES_SHOWN 120

static int proof_index = -1;

static void free_proof(void *parent, void *item, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    struct tls_proof *p = item;
    if (!p) return;
    free(p->key);
    free(p);
}

static void make_index(void)
{
    proof_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_proof);
}

static void describe_names(const struct tls_wish *w, struct tls_proof *p)
{
    struct buf b = { .max = 4096 };
    for (size_t i = 0; i < w->name_n && b.n < sizeof p->names; i++)
        buf_addf(&b, "%s%s%s", i ? " or " : "", w->names[i][0] == '.' ? "*" : "", w->names[i]);
    snprintf(p->names, sizeof p->names, "%s", buf_cstr(&b));
    buf_deinit(&b);
}

struct tls_proof *tls_proof_new(struct ssl_st *ssl, const struct tls_wish *w)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_index);
    struct tls_proof *p = mem_new(struct tls_proof);
    p->dane = w->tlsa_n > 0;
    p->verify = w->verify && !p->dane;
    p->keep_on = w->keep_on;
    describe_names(w, p);
    if (proof_index >= 0 && SSL_set_ex_data(ssl, proof_index, p)) return p;
    free(p);
    return NULL;
}

struct tls_proof *tls_proof_of(const struct ssl_st *ssl)
{
    return proof_index < 0 ? NULL : SSL_get_ex_data(ssl, proof_index);
}

static void add_name(void *arg, const char *name)
{
    struct buf *b = arg;
    if (b->n < NAMES_SHOWN) buf_addf(b, "%s%s", b->n ? ", " : "", name);
}

static bool is_wrong_name(long result)
{
    return result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

static void keep_names(struct tls_proof *p, X509 *cert)
{
    struct buf b = { 0 };
    if (cert) tls_cert_names(cert, add_name, &b);
    snprintf(p->shown, sizeof p->shown, "%s", b.n ? buf_cstr(&b) : "no name");
    buf_deinit(&b);
}

int tls_proof_verify(X509_STORE_CTX *chain, void *unused)
{
    struct tls_proof *p = tls_proof_of(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
    if (p && !p->verify && !p->dane) {
        X509_STORE_CTX_set_error(chain, X509_V_OK);
        return 1;
    }
    int ok = X509_verify_cert(chain) == 1;
    if (!ok && X509_STORE_CTX_get_error(chain) == X509_V_OK) X509_STORE_CTX_set_error(chain, X509_V_ERR_UNSPECIFIED);
    if (p && is_wrong_name(X509_STORE_CTX_get_error(chain))) keep_names(p, X509_STORE_CTX_get0_cert(chain));
    return ok;
}

static const char *plain_words(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return "the certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID: return "the certificate is not valid yet";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return "the certificate is self-signed";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "the certificate was not issued by a trusted authority, or the server does not send the certificates in between";
    case X509_V_ERR_DANE_NO_MATCH: return "none of the TLSA records matches the certificate";
    default: return NULL;
    }
}

static bool lacks_certificate(const struct ssl_st *ssl)
{
    return SSL_is_init_finished(ssl) && !SSL_get0_peer_certificate(ssl);
}

static void describe(const struct ssl_st *ssl, struct tls_proof *p, long result)
{
    const char *words = lacks_certificate(ssl) ? "the server shows no certificate" : plain_words(result);
    if (is_wrong_name(result)) {
        if (!p->shown[0]) keep_names(p, SSL_get0_peer_certificate(ssl)); /* a resumed session */
        snprintf(p->text, sizeof p->text, "the certificate is for %.130s, not for %.180s", p->shown, p->names);
    } else
        snprintf(p->text, sizeof p->text, "%s", words ? words : X509_verify_cert_error_string(result));
}

static bool has_failed(const struct ssl_st *ssl, const struct tls_proof *p, long *result)
{
    if (!p || (!p->verify && !p->dane)) return false;
    *result = SSL_get_verify_result(ssl);
    return *result != X509_V_OK || lacks_certificate(ssl);
}

const char *tls_failure(const struct ssl_st *ssl)
{
    struct tls_proof *p = tls_proof_of(ssl);
    long result;
    if (!has_failed(ssl, p, &result)) return "";
    describe(ssl, p, result);
    return p->text;
}

const char *tls_failure_kind(const struct ssl_st *ssl)
{
    long result;
    if (!has_failed(ssl, tls_proof_of(ssl), &result)) return "";
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return "certificate-expired";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return "certificate-host-mismatch";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED: return "certificate-not-trusted";
    default: return "validation-failure";
    }
}

/* ---- TLSA records */

static bool is_certificate(const unsigned char *p, size_t n)
{
    const unsigned char *at = p;
    X509 *cert = d2i_X509(NULL, &at, (long)n);
    bool ok = cert && at == p + n && X509_get0_pubkey(cert);
    X509_free(cert);
    return ok;
}

static bool is_key(const unsigned char *p, size_t n)
{
    const unsigned char *at = p;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)n);
    bool ok = key && at == p + n;
    EVP_PKEY_free(key);
    return ok;
}

bool tls_tlsa_usable(const struct tls_tlsa *r)
{
    if (r->usage != 2 && r->usage != 3) return false; /* RFC 7672 §3.1.3: 0 and 1 prove nothing to a mail server */
    if (r->selector > 1) return false;
    switch (r->matching) {
    case 0: return r->n && (r->selector ? is_key : is_certificate)(r->data, r->n);
    case 1: return r->n == 32; /* SHA2-256 */
    case 2: return r->n == 64; /* SHA2-512 */
    default: return false;
    }
}
