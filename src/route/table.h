/* SPDX-License-Identifier: Apache-2.0
 * The inside of struct route_table, shared by finding and resolving. */
#ifndef POSTERN_ROUTE_TABLE_H
#define POSTERN_ROUTE_TABLE_H
#include "base/hash.h"
#include "route/route.h"

struct route_table {
    const struct config *config;
    struct htable routes;          /* of struct entry, in route.c */
    struct ip *own;                /* addresses of the machine's interfaces, without loopback */
    size_t own_n;
    char (*keys)[sizeof((struct route_hop *)0)->key]; /* of the configuration's next hops, by id */
};

/* self.c */
void route_self_read(struct route_table *t);
/* Something sent there comes back in by one of our listeners. */
bool route_is_listener(const struct route_table *t, const struct ip *ip, uint16_t port);
/* The same, or an address of this machine at port 25 or a port we listen on: for MX hosts, which name machines. */
bool route_is_self(const struct route_table *t, const struct ip *ip, uint16_t port);
/* An address that no mail host can have: unspecified, multicast, broadcast. A name server may send anything. */
bool route_is_unusable(const struct ip *ip);

#endif
