/* SPDX-License-Identifier: Apache-2.0
 * Which addresses are ourselves, so that mail sent there would come back. */
#include <ifaddrs.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "route/table.h"

#define SMTP_PORT 25

void route_self_read(struct route_table *t)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0) {
        log_event(LOG_WARNING, "own-addresses-unknown", LOG_STR("effect", "loops are found by name and listener only"));
        return;
    }
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct ip ip;
        if (!i->ifa_addr || !ip_from_sockaddr(i->ifa_addr, &ip, NULL) || ip_is_loopback(&ip)) continue;
        t->own = mem_grow(t->own, t->own_n + 1, sizeof *t->own);
        t->own[t->own_n++] = ip;
    }
    freeifaddrs(all);
}

static bool is_own(const struct route_table *t, const struct ip *ip)
{
    for (size_t i = 0; i < t->own_n; i++)
        if (ip_eq(&t->own[i], ip)) return true;
    return false;
}

bool route_is_listener(const struct route_table *t, const struct ip *ip, uint16_t port)
{
    bool here = ip_is_loopback(ip) || ip_is_unspecified(ip) || is_own(t, ip);
    for (size_t i = 0; i < t->config->listener_n; i++) {
        const struct config_listener *l = &t->config->listeners[i];
        if (l->port != port) continue;
        bool all_of_family = l->ip.family == 0 || (ip_is_unspecified(&l->ip) && l->ip.family == ip->family);
        if (all_of_family ? here : ip_eq(&l->ip, ip)) return true;
    }
    return false;
}

bool route_is_self(const struct route_table *t, const struct ip *ip, uint16_t port)
{
    if (route_is_listener(t, ip, port)) return true;
    if (!is_own(t, ip)) return false;
    bool ours = port == SMTP_PORT;
    for (size_t i = 0; i < t->config->listener_n; i++) ours = ours || t->config->listeners[i].port == port;
    return ours;
}

bool route_is_unusable(const struct ip *ip)
{
    if (ip->family == 4) return ip->bytes[0] == 0 || ip->bytes[0] >= 224;
    return ip_is_unspecified(ip) || ip->bytes[0] == 0xFF;
}
