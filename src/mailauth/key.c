/* SPDX-License-Identifier: Apache-2.0
 * Public keys: records in DNS (RFC 6376 §3.6.1, RFC 8463 §4), and what they verify.
 *
 * The few bytes of DER around an RSA key are read here: OpenSSL's decoders take longer for that than for the signature
 * itself. */
#include "mailauth/key.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include "base/mem.h"
#include "mailauth/dkim_parts.h"

#define RSA_BYTES_MAX 1024 /* modulus: 8192 bits */
#define EXPONENT_MAX 4     /* bytes: larger ones only cost time, with 8192 bits over a millisecond; 65537 is the one in use */

/* ---- base64 */

/* RFC 4648 §4; -1: not of its alphabet. */
static int value_of(char c)
{
    static const signed char values['z' - '+' + 1] = {
        62, -1, -1, -1, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1, -1, 0,  1,  2,  3,  4,
        5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1, -1,
        26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
    };
    return c >= '+' && c <= 'z' ? values[c - '+'] : -1;
}

bool dkim_base64(struct slice text, struct arena *arena, struct slice *out)
{
    size_t pad = 0, n = 0;
    while (pad < 2 && text.n && text.p[text.n - 1] == '=') {
        text.n--;
        pad++;
    }
    if (text.n % 4 == 1 || (pad && (text.n + pad) % 4)) return false;
    char *to = arena_alloc(arena, text.n / 4 * 3 + 3);
    uint32_t v = 0;
    size_t i = 0;
    for (const char *p = text.p; i + 4 <= text.n; i += 4, p += 4, n += 3) {
        int d[4] = { value_of(p[0]), value_of(p[1]), value_of(p[2]), value_of(p[3]) };
        if ((d[0] | d[1] | d[2] | d[3]) < 0) return false;
        uint32_t four = (uint32_t)d[0] << 18 | (uint32_t)d[1] << 12 | (uint32_t)d[2] << 6 | (uint32_t)d[3];
        to[n] = (char)(four >> 16);
        to[n + 1] = (char)(four >> 8);
        to[n + 2] = (char)four;
    }
    for (; i < text.n; i++) {
        int d = value_of(text.p[i]);
        if (d < 0) return false;
        v = v << 6 | (uint32_t)d;
        if (i % 4) to[n++] = (char)(v >> (6 - i % 4 * 2));
    }
    *out = slice_of(to, n);
    return true;
}

/* ---- DER */

/* Takes an element with this tag off `in`. Definite lengths up to 65535, in their shortest form. */
static bool der_take(struct slice *in, unsigned char tag, struct slice *content)
{
    const unsigned char *p = (const unsigned char *)in->p;
    if (in->n < 2 || p[0] != tag) return false;
    size_t n = p[1], head = 2;
    if (n == 0x81 || n == 0x82) {
        head += n & 3;
        if (in->n < head) return false;
        n = head == 3 ? p[2] : (size_t)p[2] << 8 | p[3];
        if (n < (head == 3 ? 128u : 256u)) return false;
    } else if (n >= 128) {
        return false;
    }
    if (in->n - head < n) return false;
    *content = slice_sub(*in, head, head + n);
    *in = slice_sub(*in, head + n, in->n);
    return true;
}

/* A positive INTEGER, without leading zeros. */
static bool der_number(struct slice *in, struct slice *out)
{
    if (!der_take(in, 0x02, out) || !out->n || (unsigned char)out->p[0] >= 0x80) return false;
    while (out->n && !out->p[0]) *out = slice_sub(*out, 1, out->n);
    return out->n > 0;
}

/* SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, RFC 3279 §2.3.1), as everybody publishes, or RSAPublicKey (RFC 8017 §A.1.1)
 * alone, which RFC 6376 §3.6.1 names. */
static bool read_rsa(struct slice der, struct slice *modulus, struct slice *exponent)
{
    static const char oid[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    struct slice all, algorithm, id, bits;
    if (!der_take(&der, 0x30, &all) || der.n) return false;
    if (der_take(&all, 0x30, &algorithm)) {
        if (!der_take(&algorithm, 0x06, &id) || !slice_eq(id, slice_of(oid, sizeof oid - 1))) return false;
        if (!der_take(&all, 0x03, &bits) || all.n || !bits.n || bits.p[0]) return false;
        bits = slice_sub(bits, 1, bits.n);
        if (!der_take(&bits, 0x30, &all) || bits.n) return false;
    }
    return der_number(&all, modulus) && der_number(&all, exponent) && !all.n;
}

/* ---- keys */

/* OpenSSL wants its numbers in the machine's order. */
static OSSL_PARAM number(const char *name, struct slice big, struct arena *arena)
{
    unsigned char *to = arena_alloc(arena, big.n);
    bool little = *(const unsigned char *)&(const unsigned){ 1 };
    for (size_t i = 0; i < big.n; i++) to[little ? big.n - 1 - i : i] = (unsigned char)big.p[i];
    return OSSL_PARAM_construct_BN(name, to, big.n);
}

static const char *load_rsa(struct slice bytes, struct arena *arena, struct dkim_record *out)
{
    struct slice n, e;
    if (!read_rsa(bytes, &n, &e)) return "the key is not an RSA key";
    out->bits = (unsigned)n.n * 8;
    for (unsigned char top = (unsigned char)n.p[0]; top < 0x80; top = (unsigned char)(top << 1)) out->bits--;
    if (n.n > RSA_BYTES_MAX) return "the key has more than 8192 bits";
    bool odd = n.p[n.n - 1] & e.p[e.n - 1] & 1;
    if (!odd || e.n > EXPONENT_MAX || (e.n == 1 && e.p[0] == 1) || out->bits < 256)
        return "the key is not a sound RSA key";
    OSSL_PARAM params[] = { number(OSSL_PKEY_PARAM_RSA_N, n, arena), number(OSSL_PKEY_PARAM_RSA_E, e, arena),
                            OSSL_PARAM_construct_end() };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &out->key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        out->key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return out->key ? NULL : "the key is not an RSA key";
}

static const char *load_ed25519(struct slice bytes, struct dkim_record *out)
{
    out->bits = 256;
    if (bytes.n != 32) return "the key is not an Ed25519 key"; /* RFC 8463 §4.2: the bare key */
    out->key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, (const unsigned char *)bytes.p, bytes.n);
    return out->key ? NULL : "the key is not an Ed25519 key";
}

static const char *load(struct slice p, struct arena *arena, struct dkim_record *out)
{
    struct slice bytes;
    if (!dkim_base64(p, arena, &bytes)) return "the key is not base64";
    const char *wrong = out->type == DKIM_RSA ? load_rsa(bytes, arena, out) : load_ed25519(bytes, out);
    if (wrong) ERR_clear_error();
    return wrong;
}

/* ---- records */

/* Is `word` one of the colon-separated list? A list that is not there allows all. */
static bool listed(const struct tags *t, const char *tag, const char *word, const char *all)
{
    struct slice list = tags_get(t, tag), one;
    if (!list.p) return true;
    for (bool more = true; more;) {
        more = slice_cut(&list, ':', &one);
        one = slice_trim(one);
        if (slice_eq(one, slice_str(word)) || (all && slice_eq(one, slice_str(all)))) return true;
    }
    return false;
}

const char *dkim_record_parse(struct slice text, struct arena *arena, struct dkim_record *out)
{
    struct tags t;
    *out = (struct dkim_record){ .type = DKIM_RSA };
    const char *wrong = tags_parse(text, &t);
    if (wrong) return wrong;
    struct slice v = tags_get(&t, "v"), k = tags_get(&t, "k"), flags = tags_get(&t, "t");
    if (v.p && !slice_eq(v, SLICE("DKIM1")))
        return "v= is not DKIM1"; /* §3.6.1; that it must be the first tag nobody insists on */
    if (k.p && slice_eq(k, SLICE("ed25519"))) out->type = DKIM_ED25519;
    else if (k.p && !slice_eq(k, SLICE("rsa"))) return "its key type (k=) is not known";
    if (!tags_get(&t, "p").p) return "it has no p=";
    out->sha256 = listed(&t, "h", "sha256", NULL);
    out->email = listed(&t, "s", "email", "*");
    out->testing = flags.p && listed(&t, "t", "y", NULL);
    out->strict = flags.p && listed(&t, "t", "s", NULL);
    out->p = tags_packed(&t, "p", arena);
    out->revoked = !out->p.n;
    return out->revoked ? NULL : load(out->p, arena, out);
}

void dkim_record_deinit(struct dkim_record *r)
{
    EVP_PKEY_CTX_free(r->ready);
    r->ready = NULL;
    EVP_PKEY_free(r->key);
    r->key = NULL;
}

EVP_PKEY_CTX *dkim_rsa_ready(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *ctx, const OSSL_PARAM *params))
{
    /* All parameters at once: each call to set one would be a search for its name. */
    char padding[] = OSSL_PKEY_RSA_PAD_MODE_PKCSV15, md[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, padding, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, md, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (ctx && init(ctx, params) == 1) return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

void dkim_record_make_ready(struct dkim_record *r)
{
    if (r->key && r->type == DKIM_RSA && !r->ready) r->ready = dkim_rsa_ready(r->key, EVP_PKEY_verify_init_ex);
}

static bool verify_rsa(const struct dkim_record *r, const uint8_t digest[32], struct slice signature)
{
    EVP_PKEY_CTX *ctx = r->ready ? r->ready : dkim_rsa_ready(r->key, EVP_PKEY_verify_init_ex);
    bool ok = ctx && EVP_PKEY_verify(ctx, (const unsigned char *)signature.p, signature.n, digest, 32) == 1;
    if (!r->ready) EVP_PKEY_CTX_free(ctx);
    return ok;
}

static bool verify_ed25519(EVP_PKEY *key, const uint8_t digest[32], struct slice signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
              EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n, digest, 32) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

bool dkim_record_verify(const struct dkim_record *r, const uint8_t digest[32], struct slice signature)
{
    if (!r->key) return false;
    bool ok = r->type == DKIM_RSA ? verify_rsa(r, digest, signature) : verify_ed25519(r->key, digest, signature);
    if (!ok) ERR_clear_error();
    return ok;
}
