/* SPDX-License-Identifier: Apache-2.0
 * The network a client is counted or remembered with. */
#ifndef POSTERN_POLICY_CLIENT_NET_H
#define POSTERN_POLICY_CLIENT_NET_H
#include "base/ip.h"

/* The first bits of the address: family, then as many bytes as it takes, the last ones masked. Returns how many. */
static inline size_t client_net(const struct ip *ip, unsigned ipv4_prefix, unsigned ipv6_prefix, char out[17])
{
    unsigned bits = ip->family == 6 ? ipv6_prefix : ipv4_prefix;
    size_t n = (bits + 7) / 8;
    out[0] = (char)ip->family;
    for (size_t i = 0; i < n; i++) out[1 + i] = (char)ip->bytes[i];
    if (bits % 8) out[n] = (char)((unsigned char)out[n] & (0xff00u >> (bits % 8)));
    return 1 + n;
}

#endif
