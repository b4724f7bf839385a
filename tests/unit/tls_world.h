/* SPDX-License-Identifier: Apache-2.0
 * Certificates made for a test, and handshakes in memory. For one test program each. */
#ifndef POSTERN_TESTS_TLS_WORLD_H
#define POSTERN_TESTS_TLS_WORLD_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY 86400L

struct made {
    X509 *cert;
    EVP_PKEY *key;
};

/* What to make. Without issuer it signs itself. */
struct make {
    const char *name; /* common name */
    const char *san;  /* "DNS:a.example,DNS:*.b.example"; NULL: none */
    const struct made *issuer;
    const char *kind;     /* "RSA", "RSA1024"; NULL: ECDSA */
    const EVP_MD *digest; /* NULL: SHA-256 */
    long from, to;        /* seconds from now; to 0: 90 days */
    bool authority;
    const char *usage; /* extendedKeyUsage */
};

static inline void made_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

static inline struct made make(const struct make *m)
{
    static long serial = 1;
    struct made out = { .cert = X509_new() };
    out.key = m->kind ? EVP_RSA_gen(strcmp(m->kind, "RSA1024") ? 2048u : 1024u) : EVP_EC_gen("P-256");
    assert_non_null(out.key);
    ASN1_INTEGER_set(X509_get_serialNumber(out.cert), serial++);
    X509_set_version(out.cert, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(out.cert), m->from ? m->from : -3600);
    X509_gmtime_adj(X509_getm_notAfter(out.cert), m->to ? m->to : 90 * DAY);
    X509_set_pubkey(out.cert, out.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out.cert), "CN", MBSTRING_UTF8, (const unsigned char *)m->name, -1,
                               -1, 0);
    X509_set_issuer_name(out.cert, X509_get_subject_name(m->issuer ? m->issuer->cert : out.cert));
    if (m->authority) made_extension(out.cert, NID_basic_constraints, "critical,CA:TRUE");
    if (m->san) made_extension(out.cert, NID_subject_alt_name, m->san);
    if (m->usage) made_extension(out.cert, NID_ext_key_usage, m->usage);
    assert_true(X509_sign(out.cert, m->issuer ? m->issuer->key : out.key, m->digest ? m->digest : EVP_sha256()) > 0);
    return out;
}

static inline void made_free(struct made *m)
{
    X509_free(m->cert);
    EVP_PKEY_free(m->key);
}

/* Writes the certificates given, up to NULL, and the path to `path`. */
static inline const char *write_chain(char *path, const char *dir, const char *name, ...)
{
    va_list ap;
    sprintf(path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    va_start(ap, name);
    for (const struct made *m; (m = va_arg(ap, const struct made *));) PEM_write_X509(f, m->cert);
    va_end(ap);
    fclose(f);
    return path;
}

static inline const char *write_key(char *path, const char *dir, const char *name, const struct made *m,
                                    const char *passphrase)
{
    sprintf(path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    PEM_write_PKCS8PrivateKey(f, m->key, passphrase ? EVP_aes_128_cbc() : NULL, passphrase,
                              passphrase ? (int)strlen(passphrase) : 0, NULL, NULL);
    fclose(f);
    return path;
}

/* ---- handshakes */

struct talk {
    SSL *client, *server;
    bool ok; /* both sides are through, and each got a byte of the other */
};

/* Runs both ends against each other in memory. session: to resume, or NULL; name: SNI, or NULL. */
static inline struct talk talk(SSL_CTX *client, SSL_CTX *server, const char *name, SSL_SESSION *session)
{
    struct talk t = { SSL_new(client), SSL_new(server), false };
    BIO *a, *b;
    char byte;
    assert_non_null(t.client);
    assert_non_null(t.server);
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(t.client, a, a);
    SSL_set_bio(t.server, b, b);
    SSL_set_connect_state(t.client);
    SSL_set_accept_state(t.server);
    if (name) SSL_set_tlsext_host_name(t.client, name);
    if (session) SSL_set_session(t.client, session);
    for (int i = 0; i < 20; i++) {
        SSL_do_handshake(t.client);
        SSL_do_handshake(t.server);
    }
    if (SSL_is_init_finished(t.client) && SSL_is_init_finished(t.server))
        t.ok = SSL_write(t.server, "s", 1) == 1 && SSL_read(t.client, &byte, 1) == 1 &&
               SSL_write(t.client, "c", 1) == 1 && SSL_read(t.server, &byte, 1) == 1;
    ERR_clear_error();
    return t;
}

static inline void talk_free(struct talk *t)
{
    SSL_shutdown(t->client);
    SSL_free(t->client);
    SSL_free(t->server);
    ERR_clear_error();
}

#endif
