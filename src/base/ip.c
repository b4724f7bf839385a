/* SPDX-License-Identifier: Apache-2.0
 * IP addresses and networks. */
#include "base/ip.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static void unmap(struct ip *ip)
{
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };
    if (ip->family != 6 || memcmp(ip->bytes, mapped, 12) != 0) return;
    uint8_t four[4];
    memcpy(four, ip->bytes + 12, 4);
    *ip = (struct ip){ .family = 4 };
    memcpy(ip->bytes, four, 4);
}

bool ip_parse(struct slice s, struct ip *out)
{
    char text[64];
    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, 0, s.n)) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *out = (struct ip){ 0 };
    if (inet_pton(AF_INET, text, out->bytes) == 1)
        out->family = 4;
    else if (inet_pton(AF_INET6, text, out->bytes) == 1)
        out->family = 6;
    unmap(out);
    return out->family != 0;
}

/* The prefix length of a netmask, or -1 when its ones are not contiguous. */
static int mask_prefix(const struct ip *mask)
{
    int n = mask->family == 4 ? 4 : 16, prefix = 0;
    bool ended = false;
    for (int i = 0; i < n * 8; i++) {
        bool one = mask->bytes[i / 8] & (0x80 >> (i % 8));
        if (one && ended) return -1;
        if (one) prefix++;
        else ended = true;
    }
    return prefix;
}

const char *ip_net_parse(struct slice s, struct ip_net *out)
{
    struct slice head, tail = s;
    bool has_mask = slice_cut(&tail, '/', &head);
    bool mapped_form = slice_find(head, ':') >= 0;
    *out = (struct ip_net){ 0 };
    if (!ip_parse(head, &out->ip)) return "not an IP address";
    int bits = out->ip.family == 4 ? 32 : 128;
    uint64_t prefix = (uint64_t)bits;
    if (has_mask) {
        struct ip mask;
        if (ip_parse(tail, &mask)) {
            int p = mask.family == out->ip.family ? mask_prefix(&mask) : -1;
            if (p < 0) return "not a netmask";
            prefix = (uint64_t)p;
        } else if (mapped_form && out->ip.family == 4) { /* ::ffff:10.0.0.0/104 */
            if (!slice_to_u64(tail, 128, &prefix) || prefix < 96) return "a prefix of a mapped address is 96 to 128";
            prefix -= 96;
        } else if (!slice_to_u64(tail, (uint64_t)bits, &prefix))
            return bits == 32 ? "a prefix length is 0 to 32" : "a prefix length is 0 to 128";
    }
    out->prefix = (uint8_t)prefix;
    struct ip clean = out->ip;
    ip_mask(&clean, out->prefix);
    return ip_eq(&clean, &out->ip) ? NULL : "the address has bits set beyond the network's prefix";
}

void ip_mask(struct ip *ip, unsigned prefix)
{
    for (unsigned i = 0; i < 16; i++) {
        if (i * 8 >= prefix) ip->bytes[i] = 0;
        else if (prefix - i * 8 < 8) ip->bytes[i] &= (uint8_t)(0xFF00u >> (prefix - i * 8));
    }
}

bool ip_net_has(const struct ip_net *net, const struct ip *ip)
{
    if (net->ip.family != ip->family) return false;
    size_t whole = net->prefix / 8;
    if (memcmp(net->ip.bytes, ip->bytes, whole) != 0) return false;
    unsigned rest = net->prefix % 8;
    return rest == 0 || ((net->ip.bytes[whole] ^ ip->bytes[whole]) & (0xFF00u >> rest) & 0xFF) == 0;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, 16) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t one[16] = { [15] = 1 };
    return (ip->family == 4 && ip->bytes[0] == 127) || (ip->family == 6 && memcmp(ip->bytes, one, 16) == 0);
}

bool ip_is_unspecified(const struct ip *ip)
{
    static const uint8_t none[16];
    return memcmp(ip->bytes, none, sizeof none) == 0;
}

bool ip_is_private(const struct ip *ip)
{
    const uint8_t a = ip->bytes[0], b = ip->bytes[1];
    if (ip_is_loopback(ip)) return true;
    if (ip->family == 6) return (a & 0xFE) == 0xFC || (a == 0xFE && (b & 0xC0) == 0x80);
    if (ip->family != 4) return false;
    return a == 10 || (a == 172 && (b & 0xF0) == 16) || (a == 192 && b == 168) || (a == 169 && b == 254) ||
           (a == 100 && (b & 0xC0) == 64);
}

bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *out, uint16_t *port)
{
    *out = (struct ip){ 0 };
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)sa;
        out->family = 4;
        memcpy(out->bytes, &in->sin_addr, 4);
        if (port) *port = ntohs(in->sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)sa;
        out->family = 6;
        memcpy(out->bytes, &in6->sin6_addr, 16);
        if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr)) out->scope = in6->sin6_scope_id;
        if (port) *port = ntohs(in6->sin6_port);
        unmap(out);
        return true;
    }
    return false;
}

socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (ip->family == 4) {
        struct sockaddr_in *in = (void *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, ip->bytes, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (void *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    in6->sin6_scope_id = ip->scope;
    memcpy(&in6->sin6_addr, ip->bytes, 16);
    return sizeof *in6;
}

void ip_add(struct buf *out, const struct ip *ip)
{
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->bytes, text, sizeof text);
    buf_add_str(out, text);
}

void ip_add_literal(struct buf *out, const struct ip *ip)
{
    if (ip->family == 6) buf_add_str(out, "IPv6:");
    ip_add(out, ip);
}
