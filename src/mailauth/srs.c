/* SPDX-License-Identifier: Apache-2.0
 * SRS: addresses of the guarded form that has become common (SRS0, SRS1 with a hash of its own), to be exchanged
 * with other forwarders and with other programs that know the secret. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "base/base64.h"
#include "base/mem.h"
#include "mailauth/srs.h"
#include "smtp/address.h"
#include "base/utf8.h"

#define HASH_TEXT 27             /* base64 characters of a SHA-1 without the padding */
#define HASH_MIN 4
#define HASH_MAX 20
#define HASH_DEFAULT 8
#define DAYS_DEFAULT 21
#define DAYS_CYCLE 1024
#define DAY_MS 86400000u
#define ADDRESS_MAX 254          /* RFC 5321 §4.5.3.1.3 without the brackets */

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* ---- the hash */

/* HMAC-SHA1 over the parts in lower case, one behind the other, as base64. */
static bool make_hash(const struct srs *s, struct slice secret, const struct slice *parts, size_t parts_n, char out[HASH_TEXT])
{
    struct buf text = { 0 }, encoded = { 0 };
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_n = 0;
    bool ok = secret.n > 0 && secret.n <= 4096;
    for (size_t i = 0; i < parts_n; i++) {
        for (size_t k = 0; k < parts[i].n; k++) buf_add_char(&text, ascii_lower(parts[i].p[k]));
        if (!s->shared) buf_add_char(&text, '\n'); /* in no address: where a part ends is part of what is signed */
    }
    buf_add_char(&text, 0); /* never NULL */
    ok = ok && HMAC(EVP_sha1(), secret.p, (int)secret.n, (const uint8_t *)text.p, text.n - 1, mac, &mac_n) && mac_n == 20;
    if (ok) {
        base64_add(&encoded, slice_of(mac, mac_n));
        memcpy(out, encoded.p, HASH_TEXT);
    }
    mem_wipe(mac, sizeof mac);
    buf_wipe(&encoded);
    buf_deinit(&text);
    return ok;
}

static unsigned hash_n_of(const struct srs *s)
{
    unsigned n = s->hash_n ? s->hash_n : HASH_DEFAULT;
    return n < HASH_MIN ? HASH_MIN : n > HASH_MAX ? HASH_MAX : n;
}

/* All keys, all characters: how long it takes tells nothing. Letter case is folded, as some servers do that on the
 * way. */
static bool hash_ok(const struct srs *s, struct slice hash, const struct slice *parts, size_t parts_n)
{
    bool good = false;
    if (hash.n < hash_n_of(s) || hash.n > HASH_TEXT) return false;
    for (size_t k = 0; k < s->keys_n; k++) {
        char right[HASH_TEXT];
        unsigned char differs = 0;
        if (!make_hash(s, s->keys[k].secret, parts, parts_n, right)) continue;
        for (size_t i = 0; i < hash.n; i++) differs |= (unsigned char)(ascii_lower(right[i]) ^ ascii_lower(hash.p[i]));
        good |= differs == 0;
        mem_wipe(right, sizeof right);
    }
    return good;
}

/* ---- the day */

static void make_day(uint64_t now_ms, char out[2])
{
    unsigned day = (unsigned)(now_ms / DAY_MS % DAYS_CYCLE);
    out[0] = base32[day >> 5];
    out[1] = base32[day & 31];
}

static int base32_digit(char c)
{
    c = ascii_lower(c);
    if (c >= 'a' && c <= 'z') return c - 'a';
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

static bool day_ok(const struct srs *s, struct slice day, uint64_t now_ms)
{
    if (day.n != 2) return false;
    int high = base32_digit(day.p[0]), low = base32_digit(day.p[1]);
    if (high < 0 || low < 0) return false;
    unsigned then = (unsigned)(high << 5 | low), now = (unsigned)(now_ms / DAY_MS % DAYS_CYCLE);
    unsigned age = (now + DAYS_CYCLE - then) % DAYS_CYCLE, days = s->days ? s->days : DAYS_DEFAULT;
    bool ahead = age == DAYS_CYCLE - 1; /* another server of ours may be past midnight already */
    return age <= (days > 500 ? 500 : days) || ahead;
}

/* ---- local parts */

static bool is_separator(char c) { return c == '=' || c == '+' || c == '-'; }

/* "SRS0=...", "SRS1+..." in any letter case: what is behind the separator. */
static bool is_form(struct slice local, char digit, struct slice *rest)
{
    if (local.n < 5 || !slice_istarts(local, SLICE("SRS"))) return false;
    if (local.p[3] != digit || !is_separator(local.p[4])) return false;
    *rest = slice_sub(local, 5, local.n);
    return true;
}

static bool is_plain(struct slice local) /* a dot-string of RFC 5321 §4.1.2, RFC 6531 §3.3 */
{
    for (size_t i = 0; i < local.n; i++) {
        char c = ascii_lower(local.p[i]);
        bool atext = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80 ||
                     (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
        if (!atext && (c != '.' || i == 0 || i + 1 == local.n || local.p[i + 1] == '.')) return false;
    }
    return local.n > 0;
}

/* local@domain: quoted where it must be. `local` is not quoted. False: no address. */
static bool add_address(struct slice local, struct slice domain, struct buf *out)
{
    struct buf b = { 0 };
    bool ok = local.n && domain.n && utf8_ok(local) && utf8_ok(domain), plain = is_plain(local);
    if (!plain) buf_add_char(&b, '"');
    for (size_t i = 0; i < local.n; i++) {
        if ((unsigned char)local.p[i] < 0x20 || local.p[i] == 0x7F) ok = false;
        if (!plain && (local.p[i] == '"' || local.p[i] == '\\')) buf_add_char(&b, '\\');
        buf_add_char(&b, local.p[i]);
    }
    buf_add_str(&b, plain ? "@" : "\"@");
    buf_add(&b, domain);
    if (b.n > ADDRESS_MAX) ok = false;
    if (ok) buf_add(out, buf_slice(&b));
    buf_deinit(&b);
    return ok;
}

/* The parts of an address; local, without quotes, is put into `bytes`. */
static bool split(struct slice address, char bytes[ADDRESS_MAX], struct slice *local, struct slice *domain)
{
    char ascii[256];
    size_t at = address.n;
    if (address.n > ADDRESS_MAX) return false;
    while (at && address.p[at - 1] != '@') at--;
    if (at < 2) return false;
    *domain = slice_sub(address, at, address.n);
    *local = slice_of(bytes, address_local_unquote(slice_sub(address, 0, at - 1), bytes));
    if (domain->n && domain->p[0] == '[') return local->n > 0 && address_helo_ok(*domain);
    return local->n > 0 && address_domain_ascii(*domain, ascii);
}

/* ---- forward */

/* SRS1 around what is SRS0 already, with another forwarder's secret, or SRS1, whose outer hash is replaced:
 * addresses do not grow with each station. `rest` has the separator of the SRS0 form before it. */
static bool take_inner(struct slice local, struct slice domain, struct slice *host, struct slice *rest)
{
    struct slice in, hash;
    if (is_form(local, '0', &in)) {
        *host = domain;
        *rest = slice_sub(local, 4, local.n);
        return true;
    }
    if (!is_form(local, '1', &in)) return false;
    if (!slice_cut(&in, '=', &hash)) return false;
    if (slice_find(hash, '.') >= 0) /* of the old form without a hash the first part is the host */
        *host = hash;
    else if (!slice_cut(&in, '=', host))
        return false;
    *rest = in;
    return host->n && in.n && is_separator(in.p[0]);
}

bool srs_forward(const struct srs *s, struct slice sender, uint64_t now_ms, struct buf *out)
{
    char bytes[ADDRESS_MAX], hash[HASH_TEXT], day[2];
    struct slice local, domain, parts[3];
    struct buf b = { 0 };
    if (!s->keys_n || !s->domain.n || !split(sender, bytes, &local, &domain)) return false;
    if (slice_ieq(domain, s->domain)) {
        buf_add(out, sender);
        return true;
    }
    make_day(now_ms, day);
    bool again = take_inner(local, domain, &parts[0], &parts[1]);
    if (!again) {
        parts[0] = slice_of(day, 2);
        parts[1] = domain;
        parts[2] = local;
    }
    bool ok = make_hash(s, s->keys[0].secret, parts, again ? 2 : 3, hash);
    buf_add_str(&b, again ? "SRS1=" : "SRS0=");
    if (ok) buf_add(&b, slice_of(hash, hash_n_of(s)));
    for (size_t i = 0; i < (again ? 2u : 3u); i++) {
        buf_add_char(&b, '=');
        buf_add(&b, parts[i]);
    }
    ok = ok && add_address(buf_slice(&b), s->domain, out);
    buf_deinit(&b);
    return ok;
}

/* ---- reverse */

static enum srs_outcome reverse_0(const struct srs *s, struct slice rest, uint64_t now_ms, struct buf *out)
{
    struct slice hash, parts[3];
    if (!slice_cut(&rest, '=', &hash) || !slice_cut(&rest, '=', &parts[0])) return SRS_NOT;
    if (!slice_cut(&rest, '=', &parts[1])) return SRS_NOT;
    parts[2] = rest;
    if (!hash_ok(s, hash, parts, 3)) return SRS_FORGED;
    if (!day_ok(s, parts[0], now_ms)) return SRS_EXPIRED;
    return add_address(rest, parts[1], out) ? SRS_OK : SRS_FORGED;
}

static enum srs_outcome reverse_1(const struct srs *s, struct slice rest, struct buf *out)
{
    struct slice hash, parts[2];
    struct buf b = { 0 };
    if (!slice_cut(&rest, '=', &hash)) return SRS_NOT;
    if (slice_find(hash, '.') >= 0) return SRS_FORGED; /* the old form: nothing tells that it was ours */
    if (!slice_cut(&rest, '=', &parts[0])) return SRS_NOT;
    parts[1] = rest;
    if (!hash_ok(s, hash, parts, 2) || !rest.n || !is_separator(rest.p[0])) return SRS_FORGED;
    buf_add_str(&b, "SRS0");
    buf_add(&b, rest);
    bool ok = add_address(buf_slice(&b), parts[0], out);
    buf_deinit(&b);
    return ok ? SRS_OK : SRS_FORGED;
}

enum srs_outcome srs_reverse(const struct srs *s, struct slice rcpt, uint64_t now_ms, struct buf *out)
{
    char bytes[ADDRESS_MAX];
    struct slice local, domain, rest;
    if (!split(rcpt, bytes, &local, &domain) || !slice_ieq(domain, s->domain)) return SRS_NOT;
    if (is_form(local, '0', &rest)) return reverse_0(s, rest, now_ms, out);
    if (is_form(local, '1', &rest)) return reverse_1(s, rest, out);
    return SRS_NOT;
}
