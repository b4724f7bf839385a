/* SPDX-License-Identifier: Apache-2.0
 * A TLSA record: as the resolver reads it, and as TLS proves by it. */
#ifndef POSTERN_NET_TLSA_H
#define POSTERN_NET_TLSA_H
#include <stdint.h>

struct tls_tlsa { /* RFC 6698 §2.1 */
    uint8_t usage, selector, matching;
    uint16_t n;   /* bytes of data */
    const unsigned char *data;
};

#endif
