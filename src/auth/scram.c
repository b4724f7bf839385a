/* SPDX-License-Identifier: Apache-2.0
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802, RFC 7677; channel binding tls-exporter: RFC 9266).
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include "auth/internal.h"
#include "base/base64.h"
#include "base/mem.h"

#define NONCE_MAX 256 /* of a client */

/* One attribute "x=value" up to the next comma. */
static bool take(struct slice *in, char name, struct slice *value)
{
    if (in->n < 2 || in->p[0] != name || in->p[1] != '=') return false;
    slice_cut(in, ',', value);
    *value = slice_sub(*value, 2, value->n);
    return true;
}

/* RFC 5802 §5.1: "=2C" and "=3D" in a name; it may hold no other "=". */
static bool unescape_name(struct slice in, char out[AUTH_NAME_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (!c || n == AUTH_NAME_MAX) return false;
        if (c == '=') {
            if (slice_eq(slice_sub(in, i, i + 3), SLICE("=2C"))) c = ',';
            else if (!slice_eq(slice_sub(in, i, i + 3), SLICE("=3D"))) return false;
            i += 2;
        }
        out[n++] = c;
    }
    out[n] = 0;
    return n > 0;
}

/* printable = %x21-2B / %x2D-7E */
static bool nonce_ok(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7E || s.p[i] == ',') return false;
    return s.n && s.n <= NONCE_MAX;
}

/* "n", "y" or "p=tls-exporter" (RFC 5802 §6). */
static const char *check_binding_flag(const struct scram *s, struct slice flag)
{
    if (slice_starts(flag, SLICE("p="))) {
        if (!s->plus) return "channel binding without a -PLUS mechanism";
        return slice_eq(flag, SLICE("p=tls-exporter")) ? NULL : "a channel binding other than tls-exporter";
    }
    if (s->plus) return "a -PLUS mechanism without channel binding";
    if (slice_eq(flag, SLICE("n"))) return NULL;
    if (!slice_eq(flag, SLICE("y"))) return "no channel binding flag";
    return s->can_plus ? "the client believes that we have no channel binding: somebody changed our offer" : NULL;
}

const char *scram_client_first(struct scram *s, struct slice m)
{
    struct slice rest = m, flag, authzid, name, nonce;
    if (!slice_cut(&rest, ',', &flag) || !slice_cut(&rest, ',', &authzid)) return "the header is not complete";
    const char *wrong = check_binding_flag(s, flag);
    if (wrong) return wrong;
    size_t header = (size_t)(rest.p - m.p);
    buf_add(&s->gs2, slice_sub(m, 0, header));
    buf_add(&s->client_first, rest);
    char zid[AUTH_NAME_MAX + 1] = "";
    if (authzid.n && (!slice_starts(authzid, SLICE("a=")) || !unescape_name(slice_sub(authzid, 2, authzid.n), zid)))
        return "the authorization identity is malformed";
    if (!take(&rest, 'n', &name) || !unescape_name(name, s->name))
        return "the name is malformed"; /* "m=": RFC 5802 §5.1 */
    if (*zid && strcmp(zid, s->name) != 0) return "the authorization identity is another one";
    if (!take(&rest, 'r', &nonce) || !nonce_ok(nonce)) return "the nonce is malformed";
    buf_add(&s->nonce, nonce);
    return NULL; /* extensions that follow are optional ones */
}

void scram_server_first(struct scram *s, const struct scram_secret *secret, struct buf *out)
{
    unsigned char random[18];
    s->secret = *secret;
    if (RAND_bytes(random, sizeof random) != 1) abort();
    base64_add(&s->nonce, slice_of(random, sizeof random));
    buf_add(&s->server_first, SLICE("r="));
    buf_add(&s->server_first, buf_slice(&s->nonce));
    buf_add(&s->server_first, SLICE(",s="));
    base64_add(&s->server_first, slice_of(secret->salt, secret->salt_n));
    buf_addf(&s->server_first, ",i=%u", secret->iterations);
    buf_add(out, buf_slice(&s->server_first));
}

static void hmac(const unsigned char key[SCRAM_KEY], struct slice text, unsigned char out[SCRAM_KEY])
{
    if (!HMAC(EVP_sha256(), key, SCRAM_KEY, (const unsigned char *)text.p, text.n, out, NULL)) abort();
}

/* c=base64(gs2-header and binding) */
static bool binding_fits(const struct scram *s, struct slice value)
{
    struct buf said = { 0 }, want = { 0 };
    buf_add(&want, buf_slice(&s->gs2));
    if (s->plus) buf_add(&want, s->binding);
    bool ok = base64_decode(value, &said) && slice_eq(buf_slice(&said), buf_slice(&want));
    buf_deinit(&said);
    buf_deinit(&want);
    return ok;
}

const char *scram_client_final(struct scram *s, struct slice m, bool *proven, struct buf *server_final)
{
    struct slice rest = m, binding, nonce, last = { 0 };
    struct buf proof = { 0 }, text = { 0 };
    unsigned char signature[SCRAM_KEY], key[SCRAM_KEY], stored[SCRAM_KEY];
    const char *wrong = NULL;
    *proven = false;
    if (!take(&rest, 'c', &binding) || !take(&rest, 'r', &nonce)) return "the final message is malformed";
    if (!slice_eq(nonce, buf_slice(&s->nonce))) return "the nonce is another one";
    while (rest.n && !slice_starts(rest, SLICE("p="))) slice_cut(&rest, ',', &last); /* extensions */
    if (!rest.n) return "there is no proof";
    struct slice without = slice_sub(m, 0, (size_t)(rest.p - m.p) - 1);
    if (!base64_decode(slice_sub(rest, 2, rest.n), &proof) || proof.n != SCRAM_KEY) wrong = "the proof is malformed";
    else if (!binding_fits(s, binding)) wrong = "the channel binding is another one";
    if (!wrong) {
        buf_add(&text, buf_slice(&s->client_first));
        buf_add_char(&text, ',');
        buf_add(&text, buf_slice(&s->server_first));
        buf_add_char(&text, ',');
        buf_add(&text, without);
        hmac(s->secret.stored, buf_slice(&text), signature);
        for (size_t i = 0; i < SCRAM_KEY; i++) key[i] = signature[i] ^ (unsigned char)proof.p[i];
        if (!EVP_Digest(key, SCRAM_KEY, stored, NULL, EVP_sha256(), NULL)) abort();
        *proven = CRYPTO_memcmp(stored, s->secret.stored, SCRAM_KEY) == 0;
        hmac(s->secret.server, buf_slice(&text), signature);
        if (*proven) {
            buf_add(server_final, SLICE("v="));
            base64_add(server_final, slice_of(signature, SCRAM_KEY));
        }
        mem_wipe(key, sizeof key);
    }
    buf_deinit(&text);
    buf_deinit(&proof);
    return wrong;
}

void scram_deinit(struct scram *s)
{
    buf_deinit(&s->gs2);
    buf_deinit(&s->client_first);
    buf_deinit(&s->server_first);
    buf_deinit(&s->nonce);
    mem_wipe(&s->secret, sizeof s->secret);
}
