/* SPDX-License-Identifier: Apache-2.0
 * What the users file holds instead of passwords: yescrypt by libcrypt, SCRAM keys (RFC 5802 §3), CRAM-MD5's state (RFC
 * 2195). */
#define OPENSSL_SUPPRESS_DEPRECATED /* MD5_CTX: there is no other way to MD5's inner state */
#include <crypt.h>
#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/md5.h>
#include <pthread.h>
#include <stdlib.h>
#include "auth/internal.h"
#include "base/mem.h"

#define HASHES_AT_ONCE 4 /* each takes 16 MB while it lasts */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t free;
    unsigned n;
} hashing = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };

bool secret_prepare(struct slice in, struct buf *out)
{
    if (in.n > AUTH_PASSWORD_MAX || memchr(in.p ? in.p : "", 0, in.n)) return false;
    char *text = mem_slicedup(in), *done = NULL;
    bool ok = gsasl_saslprep(text, 0, &done, NULL) == GSASL_OK && *done;
    if (ok) buf_add_str(out, done);
    if (done) {
        mem_wipe(done, strlen(done));
        gsasl_free(done);
    }
    mem_wipe(text, in.n);
    free(text);
    return ok;
}

bool secret_prepare_name(struct slice in, struct buf *out)
{
    if (!in.n || in.n > AUTH_NAME_MAX || !secret_prepare(in, out) || out->n > AUTH_NAME_MAX) return false;
    struct slice name = buf_slice(out);
    for (size_t i = 1; i < name.n; i++)
        if (name.p[i] == ' ' && name.p[i - 1] == ' ') return false;
    return name.p[0] != ' ' && name.p[name.n - 1] != ' ';
}

static bool run_crypt(const char *password, const char *setting, char out[256])
{
    struct crypt_data *d = mem_new(struct crypt_data);
    pthread_mutex_lock(&hashing.lock);
    while (hashing.n >= HASHES_AT_ONCE) pthread_cond_wait(&hashing.free, &hashing.lock);
    hashing.n++;
    pthread_mutex_unlock(&hashing.lock);
    const char *hash = crypt_r(password, setting, d);
    pthread_mutex_lock(&hashing.lock);
    hashing.n--;
    pthread_cond_signal(&hashing.free);
    pthread_mutex_unlock(&hashing.lock);
    bool ok = hash && *hash != '*' && strlen(hash) < 256;
    if (ok) memcpy(out, hash, strlen(hash) + 1);
    mem_wipe(d, sizeof *d);
    free(d);
    return ok;
}

bool secret_hash(struct slice password, char out[256], struct err *err)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], *text = mem_slicedup(password);
    bool ok = crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting) && run_crypt(text, setting, out);
    mem_wipe(text, password.n);
    free(text);
    return ok || err_set(err, "libcrypt cannot make a yescrypt hash");
}

bool secret_hash_matches(const char *hash, struct slice password)
{
    char made[256], *text = mem_slicedup(password);
    bool ok =
        run_crypt(text, hash, made) && strlen(made) == strlen(hash) && CRYPTO_memcmp(made, hash, strlen(hash)) == 0;
    mem_wipe(text, password.n);
    mem_wipe(made, sizeof made);
    free(text);
    return ok;
}

void secret_scram(struct slice password, const unsigned char *salt, size_t salt_n, uint32_t iterations,
                  struct scram_secret *out)
{
    unsigned char salted[SCRAM_KEY], client[SCRAM_KEY];
    *out = (struct scram_secret){ .iterations = iterations, .salt_n = salt_n };
    memcpy(out->salt, salt, salt_n);
    if (PKCS5_PBKDF2_HMAC(password.p, (int)password.n, salt, (int)salt_n, (int)iterations, EVP_sha256(), SCRAM_KEY,
                          salted) != 1 ||
        !HMAC(EVP_sha256(), salted, SCRAM_KEY, (const unsigned char *)"Client Key", 10, client, NULL) ||
        !EVP_Digest(client, SCRAM_KEY, out->stored, NULL, EVP_sha256(), NULL) ||
        !HMAC(EVP_sha256(), salted, SCRAM_KEY, (const unsigned char *)"Server Key", 10, out->server, NULL))
        abort();
    mem_wipe(salted, sizeof salted);
    mem_wipe(client, sizeof client);
}

/* ---- CRAM-MD5: HMAC-MD5 from the state after the first block */

static void put_state(const MD5_CTX *c, unsigned char out[16])
{
    const uint32_t words[4] = { c->A, c->B, c->C, c->D };
    for (size_t i = 0; i < 16; i++) out[i] = (unsigned char)(words[i / 4] >> (8 * (i % 4)));
}

static void get_state(MD5_CTX *c, const unsigned char in[16])
{
    uint32_t words[4] = { 0 };
    for (size_t i = 0; i < 16; i++) words[i / 4] |= (uint32_t)in[i] << (8 * (i % 4));
    MD5_Init(c);
    c->A = words[0];
    c->B = words[1];
    c->C = words[2];
    c->D = words[3];
    c->Nl = 512; /* bits: one block is done */
}

void secret_cram(struct slice password, struct cram_secret *out)
{
    unsigned char key[64] = { 0 }, block[64];
    MD5_CTX c;
    if (password.n > sizeof key) MD5((const unsigned char *)password.p, password.n, key);
    else if (password.n) memcpy(key, password.p, password.n);
    for (size_t i = 0; i < sizeof key; i++) block[i] = key[i] ^ 0x36;
    MD5_Init(&c);
    MD5_Update(&c, block, sizeof block);
    put_state(&c, out->inner);
    for (size_t i = 0; i < sizeof key; i++) block[i] = key[i] ^ 0x5c;
    MD5_Init(&c);
    MD5_Update(&c, block, sizeof block);
    put_state(&c, out->outer);
    mem_wipe(key, sizeof key);
    mem_wipe(block, sizeof block);
    mem_wipe(&c, sizeof c);
}

void secret_cram_response(const struct cram_secret *s, struct slice challenge, char hex[33])
{
    unsigned char inner[16], digest[16];
    MD5_CTX c;
    get_state(&c, s->inner);
    MD5_Update(&c, challenge.p, challenge.n);
    MD5_Final(inner, &c);
    get_state(&c, s->outer);
    MD5_Update(&c, inner, sizeof inner);
    MD5_Final(digest, &c);
    for (size_t i = 0; i < 16; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[32] = 0;
}
