/* SPDX-License-Identifier: Apache-2.0
 * IP addresses, networks and endpoints. IPv4-mapped IPv6 addresses are always turned into IPv4, so that a
 * network written one way matches a client that came the other way. */
#ifndef POSTERN_BASE_IP_H
#define POSTERN_BASE_IP_H
#include <sys/socket.h>
#include "base/buf.h"

struct ip {
    uint8_t family; /* 4 or 6; 0: none */
    uint8_t bytes[16];
    uint32_t scope; /* interface index of a link-local address, else 0 */
};

struct ip_net {
    struct ip ip;   /* host bits are zero */
    uint8_t prefix; /* 0..32 or 0..128 */
};

bool ip_parse(struct slice s, struct ip *out); /* "192.0.2.1", "2001:db8::1"; nothing around it */
/* "192.0.2.0/24", "10.0.0.0/255.0.0.0", "2001:db8::/32" or a plain address (a network of one). Returns NULL,
 * or what is wrong in a few words. */
const char *ip_net_parse(struct slice s, struct ip_net *out);
void ip_mask(struct ip *ip, unsigned prefix); /* clears the bits beyond a prefix length */
bool ip_net_has(const struct ip_net *net, const struct ip *ip);
bool ip_eq(const struct ip *a, const struct ip *b);
bool ip_is_loopback(const struct ip *ip);
bool ip_is_unspecified(const struct ip *ip); /* 0.0.0.0, ::; of family 0, too */
/* Not of the internet: loopback, RFC 1918, 6598 (shared), 3927 and 4291 §2.5.6 (link-local), 4193. */
bool ip_is_private(const struct ip *ip);
bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *out, uint16_t *port);
socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *out);
void ip_add(struct buf *out, const struct ip *ip);
void ip_add_literal(struct buf *out, const struct ip *ip); /* RFC 5321 §4.1.3 without brackets: "IPv6:..." */

#endif
