/* SPDX-License-Identifier: Apache-2.0
 * The network a client is counted or remembered with. */
#ifndef POSTERN_POLICY_CLIENT_NET_H
#define POSTERN_POLICY_CLIENT_NET_H
#include "base/ip.h"

/* The first bits of the address: family, then as many bytes as it takes, the last ones masked. Returns how many. */
static inline size_t client_net(const struct ip *ip, unsigned ipv4_prefix, unsigned ipv6_prefix, char out[17])
{
    struct ip net = *ip;
    unsigned bits = ip->family == 6 ? ipv6_prefix : ipv4_prefix;
    size_t n = (bits + 7) / 8;
    ip_mask(&net, bits);
    out[0] = (char)ip->family;
    memcpy(out + 1, net.bytes, n);
    return 1 + n;
}

#endif
