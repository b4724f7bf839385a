/* SPDX-License-Identifier: Apache-2.0
 * SRS, the Sender Rewriting Scheme: a forwarder's own address around the sender's, so that SPF holds and a bounce
 * finds its way back. SRS0=HHHH=TT=domain=local@forwarder and, of one that is rewritten already,
 * SRS1=HHHH=first==HHHH=TT=domain=local@forwarder. The form and the day (base32, modulo 1024) are those of Mail::SRS
 * and postsrsd. The hash is HMAC-SHA1 over the parts in lower case, base64.
 *
 * Strength: letter case is ignored in comparing the hash, since servers there are that fold it on the way. A guess
 * hits a character with 1 in 32 at best, so that n characters are worth 5 n bits: the 4 of other programs one guess
 * in a million, which a bot gets in a day; the 8 that are the default here one in 10^12.
 *
 * Theirs knows no borders between the parts: who got "SRS0=HHHH=TT=example.co=mjoe" made for an address of his has
 * "SRS0=HHHH=TT=example.com=joe" with it, for as many days, and so a way through the forwarder. Ours does, unless the
 * secret is shared with them. */
#ifndef POSTERN_MAILAUTH_SRS_H
#define POSTERN_MAILAUTH_SRS_H
#include "base/buf.h"

struct srs_key {
    struct slice secret;
};
struct srs {
    const struct srs_key *keys;  /* the first signs, each is good for unwrapping: rotation */
    size_t keys_n;
    bool shared;                 /* the secrets are those of Mail::SRS or postsrsd elsewhere: hashes as theirs, see above */
    struct slice domain;         /* the forwarder's */
    unsigned days;               /* a bounce is taken back for so long; 1..500; 0: 21 */
    unsigned hash_n;             /* characters of the hash, 4..20; 0: 8. Unwrapping takes so many or more: all must be right */
};

/* Appends the address. sender: local@domain, not null (a null sender stays one: false). False too when the result
 * would not be an address (local part over 64 bytes is allowed by common use; over 254 in all is not), the sender
 * has no domain, or there is no key. A sender at the forwarder's own domain needs no rewriting: it is appended as it
 * is. A local part that needs quotes is quoted as a whole. */
bool srs_forward(const struct srs *s, struct slice sender, uint64_t now_ms, struct buf *out);

enum srs_outcome { SRS_NOT, SRS_OK, SRS_FORGED, SRS_EXPIRED };
/* Of a recipient: NOT ours to unwrap (no SRS form, or another domain). OK appends the address it leads back to: with
 * SRS0 the sender's, with SRS1 the first forwarder's SRS0 address. Separators "=", "+" and "-" behind SRS0 and SRS1
 * are the same. SRS1 of before 2004, without a hash, is FORGED. Compares in constant time. */
enum srs_outcome srs_reverse(const struct srs *s, struct slice rcpt, uint64_t now_ms, struct buf *out);

#endif
