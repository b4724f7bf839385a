/* SPDX-License-Identifier: Apache-2.0
 * Signing a message: this library, against OpenSSL alone with the same key (its private key operation; hash and operation). */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include "base/err.h"
#include "ours.h"

struct signing {
    const struct case_message *m;
    struct dkim_key *key;
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *raw;      /* RSA */
    EVP_MD_CTX *hash;
    EVP_MD *sha256;
    struct dkim_sign_options o;
    struct arena arena;
};

static void sign(void *arg)
{
    struct signing *s = arg;
    struct auth_header header = { .arena = &s->arena };
    struct auth_body *body = auth_body_new();
    struct buf out = { 0 };
    uint8_t digest[32], signature[DKIM_SIGNATURE_MAX];
    ours_header(&header, s->m);
    struct dkim_signer *signer = dkim_sign_begin(&s->o, &header, body, &s->arena);
    case_must(signer, "signing");
    ours_body(body, s->m);
    dkim_sign_digest(signer, digest);
    size_t n = dkim_key_sign(s->key, digest, signature);
    dkim_sign_finish(signer, slice_of(signature, n), &out);
    case_must(n && out.n > n, "a signature");
    buf_deinit(&out);
    auth_body_free(&body);
    arena_reset(&s->arena);
}

/* The private key operation: of a digest that is there. */
static void raw(void *arg)
{
    struct signing *s = arg;
    uint8_t digest[32] = { 1, 2, 3 }, out[DKIM_SIGNATURE_MAX];
    size_t n = sizeof out;
    if (s->raw) {
        case_must(EVP_PKEY_sign(s->raw, out, &n, digest, sizeof digest) == 1, "EVP_PKEY_sign");
        return;
    }
    EVP_MD_CTX_reset(s->hash);
    case_must(EVP_DigestSignInit(s->hash, NULL, NULL, NULL, s->pkey) == 1 &&
              EVP_DigestSign(s->hash, out, &n, digest, sizeof digest) == 1, "EVP_DigestSign");
}

/* What must be done at the least: the body hashed, and the operation. */
static void hash_and_raw(void *arg)
{
    struct signing *s = arg;
    uint8_t digest[32];
    unsigned n;
    if (!s->raw) EVP_MD_CTX_reset(s->hash);
    case_must(EVP_DigestInit_ex2(s->hash, s->sha256, NULL) == 1 && EVP_DigestUpdate(s->hash, s->m->body.p, s->m->body.n) == 1 &&
              EVP_DigestFinal_ex(s->hash, digest, &n) == 1, "SHA-256");
    raw(s);
}

static EVP_PKEY_CTX *rsa_context(EVP_PKEY *key)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    case_must(c && EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
              EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1, "a context");
    return c;
}

bool ours_sign(struct case_world *w, const char *what, const char *how_long)
{
    static const struct {
        const char *prefix, *program;
        void (*once)(void *arg);
    } kinds[] = { { "sign-", "postern", sign }, { "raw-", "openssl", raw }, { "hash-raw-", "openssl", hash_and_raw } };
    size_t i = 0;
    while (i < sizeof kinds / sizeof *kinds && strncmp(what, kinds[i].prefix, strlen(kinds[i].prefix)) != 0) i++;
    if (i == sizeof kinds / sizeof *kinds) return false;
    const char *name = what + strlen(kinds[i].prefix);
    bool rsa = strcmp(name, "rsa") == 0;
    struct err err = { 0 };
    struct case_text pem = case_file(w, rsa ? "rsa.pem" : "ed25519.pem");
    struct signing s = { .m = &w->plain, .key = dkim_key_parse(slice_of(pem.p, pem.n), &err), .hash = EVP_MD_CTX_new(),
        .sha256 = EVP_MD_fetch(NULL, "SHA256", NULL),
        .o = { .domain = SLICE("example.com"), .selector = SLICE("s2026"), .type = rsa ? DKIM_RSA : DKIM_ED25519,
               .header_canon = AUTH_RELAXED, .body_canon = AUTH_RELAXED, .time = 1780000000 } };
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    s.pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    case_must(s.key && s.pkey, "a key");
    if (rsa) s.raw = rsa_context(s.pkey);
    case_measure(kinds[i].program, what, how_long, kinds[i].once, &s);
    dkim_key_free(&s.key);
    EVP_PKEY_CTX_free(s.raw);
    EVP_PKEY_free(s.pkey);
    EVP_MD_CTX_free(s.hash);
    EVP_MD_free(s.sha256);
    arena_deinit(&s.arena);
    return true;
}
