/* SPDX-License-Identifier: Apache-2.0
 * What stands in a link of a digest: which message may be released to which recipient until when, and a proof that we said so. */
#ifndef POSTERN_ADMIN_DIGEST_TOKEN_H
#define POSTERN_ADMIN_DIGEST_TOKEN_H
#include <stdint.h>
#include "base/slice.h"

#define DIGEST_SECRET_N 32
#define DIGEST_HASH_N 16
#define DIGEST_TOKEN_N 92        /* characters, of A-Z a-z 0-9 - _ */

struct digest_link {
    uint64_t id;                 /* of the message */
    uint32_t number;             /* of the recipient in it */
    uint64_t expires;            /* s since 1970: good before that */
    unsigned char recipient[DIGEST_HASH_N]; /* digest_hash of the address */
};

/* Of an address, ASCII case folded. */
void digest_hash(struct slice address, unsigned char out[DIGEST_HASH_N]);
void digest_token_make(const unsigned char secret[DIGEST_SECRET_N], const struct digest_link *l, char out[DIGEST_TOKEN_N + 1]);
/* False: it was not made with this secret, was changed, or has expired at `now` (s). */
bool digest_token_read(const unsigned char secret[DIGEST_SECRET_N], struct slice token, uint64_t now, struct digest_link *out);

#endif
