/* SPDX-License-Identifier: Apache-2.0
 * The addresses that mail of ours comes from, as far as this machine can know them: those that are written down, or
 * those of its interfaces that are of the internet. */
#include <ifaddrs.h>
#include <net/if.h>
#include "doctor/internal.h"

bool doctor_ips_have(const struct ip *ips, size_t n, const struct ip *ip)
{
    for (size_t i = 0; i < n; i++)
        if (ip_eq(&ips[i], ip)) return true;
    return false;
}

static void add(struct doctor_addresses *a, const struct ip *ip)
{
    if (!ip->family || doctor_ips_have(a->ips, a->n, ip)) return;
    if (ip_is_private(ip)) {
        if (!ip_is_loopback(ip) || !a->hidden.family) a->hidden = *ip;
    } else if (a->n < ADDRESSES_MAX) a->ips[a->n++] = *ip;
}

static void add_interfaces(struct doctor_addresses *a, const struct config *c)
{
    bool v4 = !c->delivery.source4.family && c->delivery.family != CONFIG_FAMILY_IPV6;
    bool v6 = !c->delivery.source6.family && c->delivery.family != CONFIG_FAMILY_IPV4;
    struct ifaddrs *all;
    uint16_t port;
    struct ip ip;
    if ((!v4 && !v6) || getifaddrs(&all) < 0) return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK ||
            !ip_from_sockaddr(i->ifa_addr, &ip, &port))
            continue;
        if (ip.family == 4 ? v4 : v6) add(a, &ip);
    }
    freeifaddrs(all);
}

void doctor_addresses_find(const struct config *c, struct doctor_addresses *out)
{
    *out = (struct doctor_addresses){ .smarthost = c->smarthost.host != NULL, .written = c->delivery.public_n > 0 };
    for (size_t i = 0; i < c->delivery.public_n; i++)
        if (c->delivery.public[i].prefix == (c->delivery.public[i].ip.family == 4 ? 32 : 128))
            add(out, &c->delivery.public[i].ip);
    if (out->written) return;
    add(out, &c->delivery.source4);
    add(out, &c->delivery.source6);
    for (size_t i = 0; i < c->route_n; i++) {
        add(out, &c->routes[i].source4);
        add(out, &c->routes[i].source6);
    }
    add_interfaces(out, c);
}
