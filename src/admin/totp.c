/* SPDX-License-Identifier: Apache-2.0
 * Second factors: time-based codes (RFC 6238, RFC 4226), and recovery codes for who has lost what makes them. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include "admin/auth_int.h"

#define STEP_MS 30000
#define DIGITS 6

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

unsigned totp_code(const unsigned char secret[TOTP_SECRET_N], uint64_t step)
{
    unsigned char counter[8], mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    for (int i = 7; i >= 0; i--, step >>= 8) counter[i] = (unsigned char)step;
    if (!HMAC(EVP_sha1(), secret, TOTP_SECRET_N, counter, sizeof counter, mac, &n) || n != 20) abort(); /* only without memory */
    unsigned at = mac[19] & 15; /* RFC 4226 §5.3 */
    uint32_t v = (uint32_t)(mac[at] & 0x7F) << 24 | (uint32_t)mac[at + 1] << 16 | (uint32_t)mac[at + 2] << 8 | mac[at + 3];
    mem_wipe(mac, sizeof mac);
    return v % 1000000;
}

uint64_t totp_check(const unsigned char secret[TOTP_SECRET_N], struct slice code, uint64_t wall_ms, uint64_t last)
{
    char digits[DIGITS + 2], made[DIGITS + 2];
    uint64_t now = wall_ms / STEP_MS, found = 0;
    size_t n = 0;
    for (size_t i = 0; i < code.n; i++) {
        if (code.p[i] == ' ') continue; /* as many programs show them: "123 456" */
        if (code.p[i] < '0' || code.p[i] > '9' || n == DIGITS) return 0;
        digits[n++] = code.p[i];
    }
    if (n != DIGITS) return 0;
    for (uint64_t step = now ? now - 1 : 1; step <= now + 1; step++) { /* RFC 6238 §5.2 */
        snprintf(made, sizeof made, "%06u", totp_code(secret, step));
        if (CRYPTO_memcmp(made, digits, DIGITS) == 0 && step > last) found = step;
    }
    return found;
}

void totp_add_base32(struct buf *out, struct slice bytes)
{
    uint32_t v = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        v = v << 8 | (unsigned char)bytes.p[i];
        for (bits += 8; bits >= 5; bits -= 5) buf_add_char(out, base32[v >> (bits - 5) & 31]);
    }
    if (bits) buf_add_char(out, base32[v << (5 - bits) & 31]);
}

static void add_quoted(struct buf *out, const char *s)
{
    for (; *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr(".-_", *s);
        if (plain) buf_add_char(out, *s);
        else buf_addf(out, "%%%02X", (unsigned char)*s);
    }
}

void totp_add_uri(struct buf *out, const unsigned char secret[TOTP_SECRET_N], const char *host, const char *name)
{
    buf_add_str(out, "otpauth://totp/Postern%20");
    add_quoted(out, host);
    buf_add_char(out, ':');
    add_quoted(out, name);
    buf_add_str(out, "?secret=");
    totp_add_base32(out, slice_of(secret, TOTP_SECRET_N));
    buf_add_str(out, "&issuer=Postern%20");
    add_quoted(out, host);
}

void recovery_make(char out[RECOVERY_TEXT_N + 1])
{
    unsigned char bytes[10];
    struct buf text = { 0 };
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) abort();
    totp_add_base32(&text, slice_of(bytes, sizeof bytes));
    for (size_t i = 0, at = 0; i < text.n; i++) {
        if (i && i % 4 == 0) out[at++] = '-';
        out[at++] = ascii_lower(text.p[i]);
    }
    out[RECOVERY_TEXT_N] = 0;
    mem_wipe(bytes, sizeof bytes);
    buf_wipe(&text);
}

bool recovery_read(struct slice typed, char out[RECOVERY_TEXT_N + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < typed.n; i++) {
        char c = ascii_lower(typed.p[i]);
        if (c == ' ' || c == '-') continue;
        if (n == RECOVERY_TEXT_N || !((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'))) return false;
        if (n % 5 == 4) out[n++] = '-';
        if (n == RECOVERY_TEXT_N) return false;
        out[n++] = c;
    }
    out[n] = 0;
    return n == RECOVERY_TEXT_N;
}
