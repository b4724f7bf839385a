/* SPDX-License-Identifier: Apache-2.0
 * What the client of a transparent zone meant to reach. Rules of the kernel (`postern nft`) have brought its connection here: by redirect,
 * and the kernel still knows the old destination, or by tproxy, and the socket's own address is that destination. A connection to an
 * address of this machine was not taken. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "server/session.h"

#define SO_ORIGINAL_DST 80 /* also IP6T_SO_ORIGINAL_DST: linux/netfilter_ipv4.h cannot be had beside netinet/in.h */

static bool local_address(int fd, struct ip *ip, uint16_t *port)
{
    struct sockaddr_storage to = { 0 };
    socklen_t n = sizeof to;
    return getsockname(fd, (struct sockaddr *)&to, &n) == 0 && ip_from_sockaddr((struct sockaddr *)&to, ip, port);
}

static bool original_address(int fd, int family, struct ip *ip, uint16_t *port)
{
    struct sockaddr_storage to = { 0 };
    socklen_t n = sizeof to;
    return getsockopt(fd, family == 6 ? IPPROTO_IPV6 : IPPROTO_IP, SO_ORIGINAL_DST, &to, &n) == 0 &&
           ip_from_sockaddr((struct sockaddr *)&to, ip, port);
}

static bool can_bind(const struct ip *ip)
{
    struct sockaddr_storage to;
    socklen_t n = ip_to_sockaddr(ip, 0, &to);
    int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool ok = bind(fd, (struct sockaddr *)&to, n) == 0;
    close(fd);
    return ok;
}

/* Quick where the answer is no, which is the usual one here. Where any address may be bound (net.ipv4.ip_nonlocal_bind) the list tells. */
static bool is_ours(const struct ip *ip)
{
    struct ifaddrs *all = NULL;
    struct ip own;
    if (!can_bind(ip)) return false;
    if (ip_is_loopback(ip) || getifaddrs(&all) < 0) return true;
    bool found = false;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next)
        found = i->ifa_addr && ip_from_sockaddr(i->ifa_addr, &own, NULL) && ip_eq(&own, ip);
    freeifaddrs(all);
    return found;
}

bool intended_find(int fd, struct ip *ip, uint16_t *port)
{
    struct ip here;
    uint16_t here_port;
    if (!local_address(fd, &here, &here_port)) return false;
    if (!original_address(fd, here.family, ip, port)) { /* nothing was rewritten, or nobody keeps track of connections */
        *ip = here;
        *port = here_port;
    }
    if (!is_ours(ip)) return true;
    *ip = (struct ip){ 0 };
    return false;
}

struct log_field intended_field(const struct session *s, char room[INTENDED_ROOM])
{
    struct buf b = { 0 };
    if (!s->intended.family) return (struct log_field){ .key = NULL };
    if (s->intended.family == 6) buf_add_char(&b, '[');
    ip_add(&b, &s->intended);
    if (s->intended.family == 6) buf_add_char(&b, ']');
    snprintf(room, INTENDED_ROOM, "%s:%u", buf_cstr(&b), s->intended_port);
    buf_deinit(&b);
    return LOG_STR("intended", room);
}
