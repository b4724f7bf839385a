/* SPDX-License-Identifier: Apache-2.0
 * Private keys: read, made, used; and the record that publishes one. */
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/base64.h"
#include "base/io.h"
#include "base/mem.h"
#include "mailauth/dkim_parts.h"

#define FILE_MAX 65536
#define BITS_MIN 1024 /* RFC 8301 §3.2 */
#define BITS_MAX 8192

struct dkim_key {
    EVP_PKEY *key;
    EVP_PKEY_CTX *ready; /* RSA: set up for signing; each signature has a copy of it, which takes far less than to set one up */
    enum dkim_key_type type;
    unsigned bits;
};

static int no_password(char *to, int room, int writing, void *arg) { return -1; }

/* Takes the key over. */
static struct dkim_key *wrap(EVP_PKEY *key, struct err *err)
{
    struct dkim_key *k = NULL;
    int bits = EVP_PKEY_get_bits(key);
    bool ed25519 = EVP_PKEY_is_a(key, "ED25519"), rsa = EVP_PKEY_is_a(key, "RSA");
    if (!ed25519 && !rsa) {
        err_set(err, "the key is neither RSA nor Ed25519: DKIM knows no other");
    } else if (rsa && (bits < BITS_MIN || bits > BITS_MAX)) {
        err_set(err, "the RSA key has %d bits; make one with %d to %d (2048 is usual)", bits, BITS_MIN, BITS_MAX);
    } else {
        k = mem_new(struct dkim_key);
        *k = (struct dkim_key){ key, rsa ? dkim_rsa_ready(key, EVP_PKEY_sign_init_ex) : NULL, rsa ? DKIM_RSA : DKIM_ED25519, (unsigned)bits };
        return k;
    }
    EVP_PKEY_free(key);
    return NULL;
}

struct dkim_key *dkim_key_parse(struct slice pem, struct err *err)
{
    if (!pem.n || pem.n > FILE_MAX) {
        err_set(err, pem.n ? "it is too long to be a key" : "it is empty");
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (!bio) abort();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (key) return wrap(key, err);
    err_set(err, "there is no private key in PEM form without a password in it");
    return NULL;
}

static bool read_all(int fd, char *to, size_t *n)
{
    for (*n = 0; *n < FILE_MAX;) {
        ssize_t got = read(fd, to + *n, FILE_MAX - *n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        *n += (size_t)got;
    }
    return true;
}

struct dkim_key *dkim_key_load(const char *file, struct err *err)
{
    int fd = io_open_file(file, err);
    if (fd < 0) return NULL;
    struct dkim_key *k = NULL;
    char *text = mem_alloc(FILE_MAX);
    size_t n;
    if (read_all(fd, text, &n)) {
        struct err inner;
        k = dkim_key_parse(slice_of(text, n), &inner);
        if (!k) err_set(err, "key %s: %s", file, inner.text);
    } else {
        err_sys(err, errno, "key %s cannot be read", file);
    }
    mem_wipe(text, FILE_MAX);
    free(text);
    close(fd);
    return k;
}

struct dkim_key *dkim_key_new(enum dkim_key_type type, unsigned bits, struct err *err)
{
    if (type == DKIM_RSA && (bits < BITS_MIN || bits > BITS_MAX)) {
        err_set(err, "an RSA key has %d to %d bits, not %u (2048 is usual)", BITS_MIN, BITS_MAX, bits);
        return NULL;
    }
    EVP_PKEY *key = type == DKIM_RSA ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
                                     : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (key) return wrap(key, err);
    ERR_clear_error();
    err_set(err, "OpenSSL could not make a key");
    return NULL;
}

void dkim_key_free(struct dkim_key **key)
{
    struct dkim_key *k = *key;
    *key = NULL;
    if (!k) return;
    EVP_PKEY_CTX_free(k->ready);
    EVP_PKEY_free(k->key);
    free(k);
}

enum dkim_key_type dkim_key_type(const struct dkim_key *k) { return k->type; }

unsigned dkim_key_bits(const struct dkim_key *k) { return k->bits; }

bool dkim_key_pem(const struct dkim_key *k, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text;
    bool ok = bio && PEM_write_bio_PKCS8PrivateKey(bio, k->key, NULL, NULL, 0, NULL, NULL) == 1;
    long n = ok ? BIO_get_mem_data(bio, &text) : 0;
    /* All at once: a buffer that grows would leave parts of the key behind. */
    if (n > 0) buf_add(out, slice_of(text, (size_t)n));
    BIO_free(bio);
    if (n <= 0) ERR_clear_error();
    return n > 0;
}

static size_t sign_rsa(const EVP_PKEY_CTX *ready, const uint8_t digest[32], uint8_t out[DKIM_SIGNATURE_MAX])
{
    size_t n = DKIM_SIGNATURE_MAX;
    EVP_PKEY_CTX *ctx = ready ? EVP_PKEY_CTX_dup(ready) : NULL;
    bool ok = ctx && EVP_PKEY_sign(ctx, out, &n, digest, 32) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? n : 0;
}

static size_t sign_ed25519(EVP_PKEY *key, const uint8_t digest[32], uint8_t out[DKIM_SIGNATURE_MAX])
{
    size_t n = DKIM_SIGNATURE_MAX;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
              EVP_DigestSign(ctx, out, &n, digest, 32) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? n : 0;
}

size_t dkim_key_sign(const struct dkim_key *k, const uint8_t digest[32], uint8_t out[DKIM_SIGNATURE_MAX])
{
    size_t n = k->type == DKIM_RSA ? sign_rsa(k->ready, digest, out) : sign_ed25519(k->key, digest, out);
    if (!n) ERR_clear_error();
    return n;
}

void dkim_key_record(const struct dkim_key *k, bool testing, struct buf *out)
{
    unsigned char *der = NULL, raw[32];
    buf_addf(out, "v=DKIM1; k=%s; %sp=", k->type == DKIM_RSA ? "rsa" : "ed25519", testing ? "t=y; " : "");
    if (k->type == DKIM_RSA) {
        int n = i2d_PUBKEY(k->key, &der);
        if (n <= 0) abort(); /* a key that was read can be written */
        base64_add(out, slice_of(der, (size_t)n));
        OPENSSL_free(der);
    } else {
        size_t n = sizeof raw;
        if (EVP_PKEY_get_raw_public_key(k->key, raw, &n) != 1) abort();
        base64_add(out, slice_of(raw, n)); /* RFC 8463 §4.2 */
    }
}

/* RFC 1035 §5.1: a quoted string. */
static void add_quoted(struct buf *out, struct slice s)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c >= 0x7f) buf_addf(out, "\\%03u", c);
        else buf_addf(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    buf_add_char(out, '"');
}

void dkim_format_bind(struct slice host, struct slice text, struct buf *out)
{
    const size_t most = 255; /* RFC 1035 §3.3 */
    buf_add(out, host);
    if (!host.n || host.p[host.n - 1] != '.') buf_add_char(out, '.');
    buf_add_str(out, text.n > most ? " IN TXT (" : " IN TXT ");
    for (size_t i = 0; i == 0 || i < text.n; i += most) {
        if (text.n > most) buf_add_str(out, "\n\t");
        add_quoted(out, slice_sub(text, i, i + most));
    }
    buf_add_str(out, text.n > most ? " )\n" : "\n");
}
