/* SPDX-License-Identifier: Apache-2.0
 * Tokens of links: base64url (RFC 4648 §5) of { 1, id 8, number 4, expires 8, recipient 16, HMAC-SHA256 of all that 32 }, big-endian. */
#include "admin/digest_token.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include "base/base64.h"

#define FIELDS_N (1 + 8 + 4 + 8 + DIGEST_HASH_N)
#define MAC_N 32
#define BYTES_N (FIELDS_N + MAC_N)
#define VERSION 1
_Static_assert(BYTES_N % 3 == 0 && BYTES_N / 3 * 4 == DIGEST_TOKEN_N, "there is no padding: each token has one form");

static void put(unsigned char *to, uint64_t v, unsigned n)
{
    while (n--) {
        to[n] = (unsigned char)v;
        v >>= 8;
    }
}

static uint64_t get(const unsigned char *from, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++) v = v << 8 | from[i];
    return v;
}

static void sign(const unsigned char *secret, const unsigned char fields[FIELDS_N], unsigned char out[MAC_N])
{
    unsigned n = 0;
    if (!HMAC(EVP_sha256(), secret, DIGEST_SECRET_N, fields, FIELDS_N, out, &n) || n != MAC_N) abort(); /* only without memory */
}

void digest_hash(struct slice address, unsigned char out[DIGEST_HASH_N])
{
    unsigned char all[EVP_MAX_MD_SIZE];
    struct buf lower = { 0 };
    unsigned n = 0;
    for (size_t i = 0; i < address.n; i++) buf_add_char(&lower, ascii_lower(address.p[i]));
    if (!EVP_Digest(lower.n ? lower.p : "", lower.n, all, &n, EVP_sha256(), NULL)) abort();
    memcpy(out, all, DIGEST_HASH_N);
    buf_deinit(&lower);
}

void digest_token_make(const unsigned char secret[DIGEST_SECRET_N], const struct digest_link *l, char out[DIGEST_TOKEN_N + 1])
{
    unsigned char bytes[BYTES_N] = { VERSION };
    struct buf text = { 0 };
    put(bytes + 1, l->id, 8);
    put(bytes + 9, l->number, 4);
    put(bytes + 13, l->expires, 8);
    memcpy(bytes + 21, l->recipient, DIGEST_HASH_N);
    sign(secret, bytes, bytes + FIELDS_N);
    base64_add(&text, slice_of(bytes, BYTES_N));
    for (size_t i = 0; i < DIGEST_TOKEN_N; i++) out[i] = text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i];
    out[DIGEST_TOKEN_N] = 0;
    buf_deinit(&text);
}

/* To the other alphabet; + and / are of none of ours. */
static bool decode(struct slice token, struct buf *out)
{
    char text[DIGEST_TOKEN_N];
    if (token.n != DIGEST_TOKEN_N) return false;
    for (size_t i = 0; i < token.n; i++) {
        char c = token.p[i];
        if (c == '+' || c == '/') return false;
        text[i] = c;
        if (c == '-') text[i] = '+';
        if (c == '_') text[i] = '/';
    }
    return base64_decode(slice_of(text, sizeof text), out) && out->n == BYTES_N;
}

bool digest_token_read(const unsigned char secret[DIGEST_SECRET_N], struct slice token, uint64_t now, struct digest_link *out)
{
    unsigned char mac[MAC_N];
    struct buf b = { 0 };
    bool ok = decode(token, &b);
    if (ok) {
        const unsigned char *bytes = (const unsigned char *)b.p;
        sign(secret, bytes, mac);
        ok = CRYPTO_memcmp(mac, bytes + FIELDS_N, MAC_N) == 0 && bytes[0] == VERSION;
        *out = (struct digest_link){ .id = get(bytes + 1, 8), .number = (uint32_t)get(bytes + 9, 4), .expires = get(bytes + 13, 8) };
        memcpy(out->recipient, bytes + 21, DIGEST_HASH_N);
        ok = ok && now < out->expires;
    }
    buf_deinit(&b);
    return ok;
}
