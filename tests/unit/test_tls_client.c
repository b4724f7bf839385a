/* SPDX-License-Identifier: Apache-2.0
 * TLS as a client: what a server must prove, how a failure is told, and which sessions are resumed. Both ends in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "net/tls.h"

struct pair {
    X509 *cert;
    EVP_PKEY *key;
};

static struct pair ca, stranger;
static char ca_file[] = "/tmp/postern-test-ca-XXXXXX";
static struct config config;
static struct tls_client *client;

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

/* names: "DNS:a.example,DNS:b.example"; NULL: an authority. by NULL: self-signed. */
static struct pair make(const char *names, const struct pair *by, long from, long to)
{
    static long serial;
    struct pair p = { X509_new(), EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256") };
    ASN1_INTEGER_set(X509_get_serialNumber(p.cert), ++serial);
    X509_set_version(p.cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(p.cert), from);
    X509_gmtime_adj(X509_getm_notAfter(p.cert), to);
    X509_set_pubkey(p.cert, p.key);
    X509_NAME *name = X509_get_subject_name(p.cert);
    char cn[40];
    snprintf(cn, sizeof cn, "%s %ld", names ? "server" : "authority", serial);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(p.cert, by ? X509_get_subject_name(by->cert) : name);
    add_extension(p.cert, by ? by->cert : p.cert, NID_basic_constraints, names ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names) add_extension(p.cert, by ? by->cert : p.cert, NID_subject_alt_name, names);
    assert_true(X509_sign(p.cert, by ? by->key : p.key, EVP_sha256()) > 0);
    return p;
}

static void drop(struct pair *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
}

static struct tls_tlsa record(X509 *cert, uint8_t usage, uint8_t selector, unsigned char out[32])
{
    unsigned int n = 32;
    if (selector) {
        unsigned char *der = NULL;
        int len = i2d_PUBKEY(X509_get0_pubkey(cert), &der);
        EVP_Digest(der, (size_t)len, out, &n, EVP_sha256(), NULL);
        OPENSSL_free(der);
    } else
        X509_digest(cert, EVP_sha256(), out, &n);
    return (struct tls_tlsa){ usage, selector, 1, 32, out };
}

static SSL_CTX *server_context(const struct pair *p, const struct pair *extra, int most)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(ctx, p->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, p->key), 1);
    if (extra) SSL_CTX_add1_chain_cert(ctx, extra->cert);
    if (most) SSL_CTX_set_max_proto_version(ctx, most);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"test", 4);
    return ctx;
}

struct outcome {
    bool done, resumed;
    char failure[400], kind[60];
};

/* One handshake, and a byte back so that tickets arrive. */
static struct outcome talk(SSL_CTX *ctx, const struct tls_wish *w)
{
    struct outcome o = { 0 };
    struct err err;
    SSL *c = tls_client_session(client, w, "there", &err), *s = SSL_new(ctx);
    assert_non_null(c);
    BIO *a, *b;
    BIO_new_bio_pair(&a, 0, &b, 0);
    SSL_set_bio(c, a, a);
    SSL_set_bio(s, b, b);
    SSL_set_connect_state(c);
    SSL_set_accept_state(s);
    int cr = 0, sr = 0;
    for (int i = 0; i < 20 && (cr != 1 || sr != 1); i++) {
        if (cr != 1) cr = SSL_do_handshake(c);
        if (sr != 1) sr = SSL_do_handshake(s);
    }
    o.done = cr == 1 && sr == 1;
    char byte = 'x';
    if (o.done) {
        assert_int_equal(SSL_write(s, &byte, 1), 1);
        assert_int_equal(SSL_read(c, &byte, 1), 1);
    }
    o.resumed = SSL_session_reused(c);
    snprintf(o.failure, sizeof o.failure, "%s", tls_failure(c));
    snprintf(o.kind, sizeof o.kind, "%s", tls_failure_kind(c));
    SSL_shutdown(c);
    SSL_free(c);
    SSL_free(s);
    return o;
}

static struct outcome once(const struct pair *p, const struct tls_wish *w)
{
    SSL_CTX *ctx = server_context(p, NULL, 0);
    struct outcome o = talk(ctx, w);
    SSL_CTX_free(ctx);
    return o;
}

static const char *const mx[] = { "mx.example" };
static const struct tls_wish verify = { .sni = "mx.example", .verify = true, .names = mx, .name_n = 1, .min_version = 12 };

static void test_verify(void **state)
{
    const struct {
        const char *names;
        const struct pair *by;
        long from, to;
        const char *failure, *kind;
    } cases[] = {
        { "DNS:mx.example", &ca, -60, 3600, "", "" },
        { "DNS:mx.example", &ca, -7200, -3600, "the certificate has expired", "certificate-expired" },
        { "DNS:mx.example", &ca, 3600, 7200, "the certificate is not valid yet", "validation-failure" },
        { "DNS:a.example,DNS:b.example", &ca, -60, 3600, "the certificate is for a.example, b.example, not for mx.example",
          "certificate-host-mismatch" },
        { "DNS:mx.example", NULL, -60, 3600, "the certificate is self-signed", "certificate-not-trusted" },
        { "DNS:mx.example", &stranger, -60, 3600,
          "the certificate was not issued by a trusted authority, or the server does not send the certificates in between",
          "certificate-not-trusted" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct pair p = make(cases[i].names, cases[i].by, cases[i].from, cases[i].to);
        struct tls_wish w = verify;
        struct outcome o = once(&p, &w);
        assert_string_equal(o.failure, cases[i].failure);
        assert_string_equal(o.kind, cases[i].kind);
        assert_int_equal(o.done, !cases[i].failure[0]);
        w.keep_on = true;
        o = once(&p, &w);
        assert_true(o.done);
        assert_string_equal(o.failure, cases[i].failure);
        w.verify = false;
        o = once(&p, &w);
        assert_true(o.done);
        assert_string_equal(o.failure, "");
        drop(&p);
    }
}

static void test_names(void **state)
{
    struct pair p = make("DNS:a.mx.example,DNS:*.wild.example,IP:192.0.2.1", &ca, -60, 3600);
    const struct {
        const char *name;
        bool ok;
    } cases[] = { { ".mx.example", true }, { ".example", false }, { "192.0.2.1", true }, { "192.0.2.2", false }, { "A.MX.example", true },
                  { "b.wild.example", true }, { "b.c.wild.example", false }, { "wild.example", false } };
    for (size_t i = 0; i < countof(cases); i++) {
        struct tls_wish w = verify;
        w.names = &cases[i].name;
        assert_int_equal(once(&p, &w).done, cases[i].ok);
    }
    drop(&p);
    struct err err;
    struct tls_wish none = verify;
    none.name_n = 0;
    assert_null(tls_client_session(client, &none, "x", &err)); /* any name is no proof */
    none = verify;
    none.ca = "/nowhere/ca.pem"; /* not of the configuration */
    assert_null(tls_client_session(client, &none, "x", &err));
}

/* Signed anew with one more extension. */
static struct pair with(struct pair p, const struct pair *by, int nid, const char *value)
{
    add_extension(p.cert, by->cert, nid, value);
    assert_true(X509_sign(p.cert, by->key, EVP_sha256()) > 0);
    return p;
}

/* Certificates that lead to the authority, each with a flaw on the way. */
static void test_chains(void **state)
{
    struct pair middle = make(NULL, &ca, -60, 3600);
    struct pair bound = with(make(NULL, &ca, -60, 3600), &ca, NID_name_constraints, "permitted;DNS:other.example");
    struct pair unsigning = with(make(NULL, &ca, -60, 3600), &ca, NID_key_usage, "critical,digitalSignature");
    struct pair leaf = make("DNS:mx.example", &ca, -60, 3600), old = make(NULL, &ca, -7200, -3600);
    const struct {
        const struct pair *by;
        bool ok;
    } cases[] = { { &middle, true }, { &bound, false }, { &unsigning, false }, { &leaf, false }, { &old, false } };
    for (size_t i = 0; i < countof(cases); i++) {
        struct pair p = make("DNS:mx.example", cases[i].by, -60, 3600);
        SSL_CTX *ctx = server_context(&p, cases[i].by, 0);
        struct outcome o = talk(ctx, &verify);
        assert_int_equal(o.done, cases[i].ok);
        assert_int_equal(o.failure[0] == 0, cases[i].ok);
        SSL_CTX_free(ctx);
        drop(&p);
    }
    struct pair p = with(make("DNS:mx.example", &ca, -60, 3600), &ca, NID_ext_key_usage, "clientAuth");
    assert_false(once(&p, &verify).done);
    struct pair *all[] = { &middle, &bound, &unsigning, &leaf, &old, &p };
    for (size_t i = 0; i < countof(all); i++) drop(all[i]);
}

/* A common name is a name where the standard does not forbid it (RFC 8461 §4.1). */
static void test_common_name(void **state)
{
    struct pair p = make("email:a@mx.example", &ca, -60, 3600);
    X509_NAME *name = X509_get_subject_name(p.cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mx.example", -1, -1, 0);
    assert_true(X509_sign(p.cert, ca.key, EVP_sha256()) > 0);
    struct tls_wish w = verify;
    assert_true(once(&p, &w).done);
    w.dns_id = true;
    struct outcome o = once(&p, &w);
    assert_false(o.done);
    assert_string_equal(o.kind, "certificate-host-mismatch");
    drop(&p);
}

static void test_dane(void **state)
{
    unsigned char digest[3][32];
    struct pair good = make("DNS:mx.example", &stranger, -60, 3600), bad = make("DNS:other.example", &stranger, -7200, -3600);
    struct tls_wish w = { .sni = "mx.example", .verify = true, .names = mx, .name_n = 1, .tlsa_n = 1, .min_version = 12 };
    struct tls_tlsa r[2] = { record(bad.cert, 3, 1, digest[0]) };
    w.tlsa = r;
    assert_true(once(&bad, &w).done); /* RFC 7671 §5.1: names and dates do not matter */
    struct outcome o = once(&good, &w);
    assert_false(o.done);
    assert_string_equal(o.failure, "none of the TLSA records matches the certificate");
    r[0] = record(good.cert, 3, 0, digest[0]);
    assert_true(once(&good, &w).done);
    r[0] = record(bad.cert, 3, 0, digest[0]);
    r[1] = record(good.cert, 3, 1, digest[1]);
    w.tlsa_n = 2;
    assert_true(once(&good, &w).done); /* one of several is enough */
    w.tlsa_n = 1;
    r[0] = record(stranger.cert, 2, 0, digest[2]); /* an anchor, sent along */
    SSL_CTX *ctx = server_context(&good, &stranger, 0);
    o = talk(ctx, &w);
    assert_string_equal(o.failure, "");
    assert_true(o.done);
    SSL_CTX_free(ctx);
    ctx = server_context(&bad, &stranger, 0);
    assert_false(talk(ctx, &w).done); /* and here names and dates count */
    SSL_CTX_free(ctx);
    drop(&good);
    drop(&bad);
}

static void test_usable(void **state)
{
    unsigned char digest[64] = { 1 };
    const struct {
        uint8_t usage, selector, matching;
        uint16_t n;
        bool ok;
    } cases[] = {
        { 3, 1, 1, 32, true },  { 2, 0, 2, 64, true },  { 3, 0, 1, 32, true },  { 0, 0, 1, 32, false }, { 1, 1, 1, 32, false },
        { 3, 2, 1, 32, false }, { 3, 1, 3, 32, false }, { 3, 1, 1, 31, false }, { 3, 1, 2, 32, false }, { 3, 1, 0, 32, false },
        { 2, 0, 0, 64, false }, { 255, 1, 1, 32, false }, { 3, 1, 1, 0, false }, { 3, 1, 0, 0, false },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct tls_tlsa r = { cases[i].usage, cases[i].selector, cases[i].matching, cases[i].n, digest };
        assert_int_equal(tls_tlsa_usable(&r), cases[i].ok);
    }
    unsigned char *der = NULL;
    int n = i2d_X509(ca.cert, &der);
    struct tls_tlsa whole = { 2, 0, 0, (uint16_t)n, der };
    assert_true(tls_tlsa_usable(&whole));
    whole.n--;
    assert_false(tls_tlsa_usable(&whole));
    OPENSSL_free(der);
    struct err err;
    struct tls_tlsa odd = { 3, 1, 1, 31, digest };
    struct tls_wish w = { .names = mx, .name_n = 1, .tlsa = &odd, .tlsa_n = 1, .min_version = 12 };
    assert_null(tls_client_session(client, &w, "x", &err)); /* never taken for no record at all */
}

static void test_resumption(void **state)
{
    unsigned char digest[2][32];
    struct pair p = make("DNS:mx.example", &ca, -60, 3600), q = make("DNS:other.example", &ca, -60, 3600);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *ctx = server_context(&p, NULL, version), *wrong = server_context(&q, NULL, version);
        struct tls_wish w = verify, other;
        tls_client_free(client);
        client = tls_client_new(&config, &(struct err){ 0 });
        assert_false(talk(ctx, &w).resumed);
        assert_true(talk(ctx, &w).resumed);
        assert_true(talk(ctx, &w).resumed);
        static const char *const names[] = { "mx.example", "more.example" };
        other = w;
        other.names = names;
        other.name_n = 2;
        assert_false(talk(ctx, &other).resumed);
        struct tls_tlsa r[] = { record(p.cert, 3, 1, digest[0]), record(q.cert, 3, 1, digest[1]) };
        other = w;
        other.tlsa = r;
        other.tlsa_n = 1;
        assert_false(talk(ctx, &other).resumed);
        assert_true(talk(ctx, &other).resumed);
        other.tlsa = r + 1; /* the record changed: the old proof is worth nothing */
        struct outcome o = talk(ctx, &other);
        assert_true(!o.resumed && !o.done);
        other = w;
        other.sni = "failing.example";
        assert_false(talk(wrong, &other).done);
        assert_false(talk(wrong, &other).resumed);
        other.keep_on = true; /* a resumed session keeps its failure */
        assert_false(talk(wrong, &other).resumed);
        o = talk(wrong, &other);
        assert_true(o.resumed);
        assert_string_equal(o.kind, "certificate-host-mismatch");
        SSL_CTX_free(ctx);
        SSL_CTX_free(wrong);
    }
    drop(&p);
    drop(&q);
}

static void test_version(void **state)
{
    struct pair p = make("DNS:mx.example", &ca, -60, 3600);
    SSL_CTX *ctx = server_context(&p, NULL, TLS1_2_VERSION);
    struct tls_wish w = verify;
    assert_true(talk(ctx, &w).done);
    w.min_version = 13;
    struct outcome o = talk(ctx, &w);
    assert_false(o.done);
    assert_string_equal(o.failure, ""); /* that was no proof that failed */
    SSL_CTX_free(ctx);
    drop(&p);
}

static void test_authorities(void **state)
{
    struct err err;
    struct config c = { 0 };
    c.tls.ca = "/nowhere/ca.pem";
    assert_null(tls_client_new(&c, &err));
    assert_non_null(strstr(err.text, "/nowhere/ca.pem"));
    c.tls.ca = "";
    struct tls_client *t = tls_client_new(&c, &err);
    assert_non_null(t);
    tls_client_free(t);
}

static int set_up(void **state)
{
    ca = make(NULL, NULL, -60, 7200);
    stranger = make(NULL, NULL, -60, 7200);
    FILE *f = fdopen(mkstemp(ca_file), "w");
    PEM_write_X509(f, ca.cert);
    fclose(f);
    config.tls.ca = ca_file;
    struct err err;
    client = tls_client_new(&config, &err);
    return client ? 0 : -1;
}

static int tear_down(void **state)
{
    tls_client_free(client);
    unlink(ca_file);
    drop(&ca);
    drop(&stranger);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify), cmocka_unit_test(test_names), cmocka_unit_test(test_chains), cmocka_unit_test(test_common_name),
        cmocka_unit_test(test_dane), cmocka_unit_test(test_usable),
        cmocka_unit_test(test_resumption), cmocka_unit_test(test_version), cmocka_unit_test(test_authorities),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
