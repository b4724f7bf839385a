/* SPDX-License-Identifier: Apache-2.0
 * Keys: records, files, signatures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/base64.h"
#include "base/mem.h"
#include "mailauth/dkim_parts.h"

#define ED "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define RSA "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/" \
            "BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB" /* RFC 8463 §A.2 */

static void records(void **state)
{
    static const struct {
        const char *text, *wrong;
        enum dkim_key_type type;
        unsigned bits;
        const char *flags; /* r: revoked, t: testing, s: strict, 2: SHA-256, e: email */
    } cases[] = {
        { "v=DKIM1; k=rsa; p=" RSA, NULL, DKIM_RSA, 1024, "2e" },
        { "p=" RSA, NULL, DKIM_RSA, 1024, "2e" },
        { " v = DKIM1 ;p =\t" RSA " ;", NULL, DKIM_RSA, 1024, "2e" },
        { "v=DKIM1; k=ed25519; p=" ED, NULL, DKIM_ED25519, 256, "2e" },
        { "v=DKIM1; p=; t=y", NULL, DKIM_RSA, 0, "rt2e" },
        { "v=DKIM1; k=ed25519; p=", NULL, DKIM_ED25519, 0, "r2e" },
        { "h=sha1:sha256; t=y:s; s=email; n=a note; g=joe; x=y; k=ed25519; p=" ED, NULL, DKIM_ED25519, 256, "ts2e" },
        { "h= sha1 ; t=z ; s=tlsrpt : other; k=ed25519; p=" ED, NULL, DKIM_ED25519, 256, "" },
        { "h=; s=; t=; k=ed25519; p=" ED, NULL, DKIM_ED25519, 256, "" },
        { "s=tlsrpt:*; h=sha256; t= s : y; k=ed25519; p=" ED, NULL, DKIM_ED25519, 256, "ts2e" },
        { "h=SHA256; k=ed25519; p=" ED, NULL, DKIM_ED25519, 256, "e" }, /* §3.2: values count by letter case */
        { "p=" ED "; k=ed25519", NULL, DKIM_ED25519, 256, "2e" },
        { "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7 hcvPapiMlrwI\r\n\taaPcHURo", NULL, DKIM_ED25519, 256, "2e" }, /* folded, no padding */
        { "k=rsa; v=DKIM1; p=" RSA, NULL, DKIM_RSA, 1024, "2e" }, /* not the first tag: as all other verifiers */
        { "k=rsa; p=" RSA "; v=DKIM2", "v= is not DKIM1", 0, 0, "" },
        { "v=dkim1; p=" RSA, "v= is not DKIM1", 0, 0, "" },
        { "v=; p=" RSA, "v= is not DKIM1", 0, 0, "" },
        { "v=DKIM1; k=dsa; p=" RSA, "its key type (k=) is not known", 0, 0, "" },
        { "v=DKIM1; k=; p=" RSA, "its key type (k=) is not known", 0, 0, "" },
        { "v=DKIM1", "it has no p=", 0, 0, "" },
        { "", "it has no p=", 0, 0, "" },
        { "v=spf1 -all", "v= is not DKIM1", 0, 0, "" },
        { "v=DKIM1; p=x; p=y", "a tag is there twice", 0, 0, "" },
        { "v=DKIM1; p=*", "the key is not base64", 0, 0, "" },
        { "v=DKIM1; p=AAAAA", "the key is not base64", 0, 0, "" },
        { "v=DKIM1; p=AAAA", "the key is not an RSA key", 0, 0, "" },
        { "v=DKIM1; p=" ED, "the key is not an RSA key", 0, 0, "" },
        { "v=DKIM1; k=ed25519; p=AAAA", "the key is not an Ed25519 key", 0, 0, "" },
        { "v=DKIM1; k=ed25519; p=" RSA, "the key is not an Ed25519 key", 0, 0, "" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct arena arena = { 0 };
        struct dkim_record r;
        const char *wrong = dkim_record_parse(slice_str(cases[i].text), &arena, &r), *f = cases[i].flags;
        if (cases[i].wrong) assert_non_null(wrong);
        if (cases[i].wrong) assert_string_equal(wrong, cases[i].wrong);
        if (!cases[i].wrong) {
            assert_null(wrong);
            assert_int_equal(r.type, cases[i].type);
            assert_int_equal(r.bits, cases[i].bits);
            assert_int_equal(r.revoked, strchr(f, 'r') != NULL);
            assert_int_equal(r.testing, strchr(f, 't') != NULL);
            assert_int_equal(r.strict, strchr(f, 's') != NULL);
            assert_int_equal(r.sha256, strchr(f, '2') != NULL);
            assert_int_equal(r.email, strchr(f, 'e') != NULL);
            assert_int_equal(r.key != NULL, !r.revoked);
        }
        dkim_record_deinit(&r);
        arena_deinit(&arena);
    }
}

/* A record of bytes of DER. */
static const char *parse_der(const void *der, size_t n, unsigned *bits)
{
    struct buf text = { 0 };
    struct arena arena = { 0 };
    struct dkim_record r;
    buf_add_str(&text, "p=");
    base64_add(&text, slice_of(der, n));
    const char *wrong = dkim_record_parse(buf_slice(&text), &arena, &r);
    *bits = r.bits;
    dkim_record_deinit(&r);
    arena_deinit(&arena);
    buf_deinit(&text);
    return wrong;
}

static void der(void **state)
{
    unsigned bits;
    unsigned char key[700], *p = NULL;
    EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)512);
    int n = i2d_PUBKEY(k, &p);
    assert_true(n > 0 && (size_t)n < sizeof key);
    assert_null(parse_der(p, (size_t)n, &bits));
    assert_int_equal(bits, 512);
    assert_non_null(parse_der(p, (size_t)n - 1, &bits));
    memcpy(key, p, (size_t)n);
    key[n] = 0;
    assert_non_null(parse_der(key, (size_t)n + 1, &bits)); /* something behind it */
    for (int i = 0; i < n; i++) { /* nothing that is damaged does harm */
        for (int bit = 0; bit < 8; bit++) {
            memcpy(key, p, (size_t)n);
            key[i] ^= (unsigned char)(1 << bit);
            parse_der(key, (size_t)n, &bits);
        }
        if (i) assert_non_null(parse_der(p, (size_t)i, &bits)); /* none at all: a key revoked */
    }
    OPENSSL_free(p);
    p = NULL;
    n = i2d_PublicKey(k, &p); /* RFC 6376 §3.6.1: RSAPublicKey */
    assert_null(parse_der(p, (size_t)n, &bits));
    assert_int_equal(bits, 512);
    OPENSSL_free(p);
    EVP_PKEY_free(k);
    /* Modulus and exponent that cost time or say nothing: an even modulus, e = 1, e with 9 bytes. */
    static const unsigned char tail[][11] = { { 2, 1, 3 }, { 2, 1, 1 }, { 2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 1 }, { 2, 1, 0 }, { 2, 1, 0x83 } };
    static const size_t lengths[] = { 3, 3, 11, 3, 3 };
    for (size_t i = 0; i < countof(tail); i++) {
        unsigned char all[80] = { 0x30, (unsigned char)(34 + lengths[i]), 2, 32 };
        memset(all + 4, 0x55, 32);
        if (i == 0) all[35] = 0x54;
        memcpy(all + 36, tail[i], lengths[i]);
        assert_non_null(parse_der(all, 36 + lengths[i], &bits));
    }
}

static void made(void **state)
{
    static const struct {
        enum dkim_key_type type;
        unsigned bits;
    } cases[] = { { DKIM_RSA, 1024 }, { DKIM_RSA, 2048 }, { DKIM_ED25519, 0 } };
    for (size_t i = 0; i < countof(cases); i++) {
        struct err err;
        struct buf pem = { 0 }, record = { 0 };
        struct arena arena = { 0 };
        struct dkim_record r;
        uint8_t digest[32] = { 1, 2, 3 }, signature[DKIM_SIGNATURE_MAX];
        struct dkim_key *made_key = dkim_key_new(cases[i].type, cases[i].bits, &err);
        assert_non_null(made_key);
        assert_true(dkim_key_pem(made_key, &pem));
        dkim_key_free(&made_key);
        assert_null(made_key);
        struct dkim_key *k = dkim_key_parse(buf_slice(&pem), &err);
        assert_non_null(k);
        assert_int_equal(dkim_key_type(k), cases[i].type);
        assert_int_equal(dkim_key_bits(k), cases[i].bits ? cases[i].bits : 256);
        dkim_key_record(k, i == 1, &record);
        assert_null(dkim_record_parse(buf_slice(&record), &arena, &r));
        assert_true(r.type == cases[i].type && r.testing == (i == 1) && r.sha256 && r.email && !r.strict && !r.revoked);
        size_t n = dkim_key_sign(k, digest, signature);
        assert_int_equal(n, cases[i].bits ? cases[i].bits / 8 : 64);
        assert_true(dkim_record_verify(&r, digest, slice_of(signature, n)));
        assert_false(dkim_record_verify(&r, digest, slice_of(signature, n - 1)));
        assert_false(dkim_record_verify(&r, digest, slice_of(signature, 0)));
        signature[5] ^= 1;
        assert_false(dkim_record_verify(&r, digest, slice_of(signature, n)));
        signature[5] ^= 1;
        digest[0] ^= 1;
        assert_false(dkim_record_verify(&r, digest, slice_of(signature, n)));
        dkim_record_deinit(&r);
        assert_false(dkim_record_verify(&r, digest, slice_of(signature, n)));
        dkim_key_free(&k);
        buf_wipe(&pem);
        buf_deinit(&record);
        arena_deinit(&arena);
    }
}

static void kept(void **state)
{
    struct err err;
    uint8_t digest[32] = { 1, 2, 3 }, signature[DKIM_SIGNATURE_MAX];
    const char *wrong = "";
    char *longer = calloc(1, 5000);
    struct dkim_keys *none = NULL;
    assert_null(dkim_keys_read(NULL, SLICE("p=" RSA), &wrong));
    dkim_keys_free(&none);
    for (int type = 0; type < 2; type++) {
        struct dkim_keys *keys = dkim_keys_new(1);
        struct dkim_key *k = dkim_key_new(type ? DKIM_ED25519 : DKIM_RSA, 1024, &err);
        struct buf record = { 0 };
        dkim_key_record(k, false, &record);
        size_t n = dkim_key_sign(k, digest, signature);
        for (int i = 0; i < 5; i++) { /* the text is another one each time */
            char *text = strdup(buf_cstr(&record));
            const struct dkim_record *r = dkim_keys_read(keys, slice_str(text), &wrong);
            free(text);
            assert_true(r && !wrong && (r->type == DKIM_ED25519) == type && r->p.n && (type || r->ready));
            assert_true(dkim_record_verify(r, digest, slice_of(signature, n)));
            signature[7] ^= 1;
            assert_false(dkim_record_verify(r, digest, slice_of(signature, n)));
            signature[7] ^= 1;
            assert_true(dkim_record_verify(r, digest, slice_of(signature, n)));
            if (i < 2) continue;
            r = dkim_keys_read(keys, i == 2 ? SLICE("p=" RSA) : i == 3 ? SLICE("p=AAAA") : SLICE("p="), &wrong); /* takes the only place */
            assert_non_null(r);
            if (i == 3) assert_string_equal(wrong, "the key is not an RSA key");
            else assert_true(!wrong && r->revoked == (i == 4) && !dkim_record_verify(r, digest, slice_of(signature, n)));
        }
        memset(longer, ' ', 4999);
        assert_null(dkim_keys_read(keys, slice_of(longer, 4999), &wrong));
        dkim_keys_free(&keys);
        assert_null(keys);
        dkim_key_free(&k);
        buf_deinit(&record);
    }
    free(longer);
}

static void refused(void **state)
{
    struct err err;
    static const char ec[] = "-----BEGIN PRIVATE KEY-----\n"
                             "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n"
                             "OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n"
                             "1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n"
                             "-----END PRIVATE KEY-----\n";
    assert_null(dkim_key_parse(SLICE(""), &err));
    assert_null(dkim_key_parse(SLICE("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), &err));
    assert_non_null(strstr(err.text, "no private key"));
    assert_null(dkim_key_parse(slice_str(ec), &err));
    assert_non_null(strstr(err.text, "neither RSA nor Ed25519"));
    assert_null(dkim_key_new(DKIM_RSA, 1023, &err));
    assert_null(dkim_key_new(DKIM_RSA, 8193, &err));
    assert_null(dkim_key_load("/nowhere/at-all", &err));
    assert_non_null(strstr(err.text, "/nowhere/at-all"));
    assert_null(dkim_key_load("/", &err));

    char name[] = "/tmp/dkim-key-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    struct dkim_key *k = dkim_key_new(DKIM_ED25519, 0, &err);
    struct buf pem = { 0 };
    assert_true(dkim_key_pem(k, &pem) && write(fd, pem.p, pem.n) == (ssize_t)pem.n);
    dkim_key_free(&k);
    k = dkim_key_load(name, &err);
    assert_non_null(k);
    dkim_key_free(&k);
    buf_wipe(&pem);
    close(fd);
    unlink(name);
}

static void bind_lines(void **state)
{
    struct buf out = { 0 };
    char text[600];
    memset(text, 'a', sizeof text);
    dkim_format_bind(SLICE("s._domainkey.example.com"), SLICE("v=DKIM1; p=\"\\\x01"), &out);
    assert_string_equal(buf_cstr(&out), "s._domainkey.example.com. IN TXT \"v=DKIM1; p=\\\"\\\\\\001\"\n");
    buf_clear(&out);
    dkim_format_bind(SLICE("a."), slice_of(text, 255), &out);
    assert_int_equal(out.n, strlen("a. IN TXT ") + 257 + 1);
    buf_clear(&out);
    dkim_format_bind(SLICE("a."), slice_of(text, 256), &out);
    assert_memory_equal(out.p, "a. IN TXT (\n\t\"aaa", 17);
    assert_memory_equal(out.p + out.n - 10, "a\"\n\t\"a\" )\n", 10);
    buf_clear(&out);
    dkim_format_bind(SLICE("a"), SLICE(""), &out);
    assert_string_equal(buf_cstr(&out), "a. IN TXT \"\"\n");
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records), cmocka_unit_test(der), cmocka_unit_test(made), cmocka_unit_test(kept), cmocka_unit_test(refused), cmocka_unit_test(bind_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
