/* SPDX-License-Identifier: Apache-2.0
 * The inside of struct route_table, shared by finding and resolving. */
#ifndef POSTERN_ROUTE_TABLE_H
#define POSTERN_ROUTE_TABLE_H
#include "base/hash.h"
#include "route/route.h"

/* Addresses to send from, with what they add to a key. */
struct route_sources {
    struct ip ip4, ip6;            /* family 0: none */
    char text4[64], text6[64];
};

/* What stands in front of the sources in the key of a next hop, and behind them. */
struct route_stem {
    char text[ROUTE_KEY_SIZE - 160]; /* beside two sources and what is asked for */
    bool via;
    struct route_sources sources;  /* the hop's own */
};

struct route_table {
    const struct config *config;
    struct htable to, from;        /* of struct entry, in route.c */
    struct ip *own;                /* addresses of the machine's interfaces, without loopback */
    size_t own_n;
    struct route_stem *stems;      /* of the configuration's next hops, by id */
};

/* key.c: keys of destinations; what is the same for all mail is put together once. */
void route_sources_make(const struct ip *ip4, const struct ip *ip6, struct route_sources *out);
void route_stems_make(struct route_table *t);
/* Sets out's key and sources. own: of the route that decides about the sources; NULL: none. */
void route_set_key(const struct route_table *t, const struct route_sources *own, struct route_hop *out);

/* route.c: main_domain or hostname, while it is no relay domain: what is sent on comes back. */
bool route_is_nowhere(const struct config *c, struct slice domain);

/* self.c */
void route_self_read(struct route_table *t);
/* Something sent there comes back in by one of our listeners. */
bool route_is_listener(const struct route_table *t, const struct ip *ip, uint16_t port);
/* The same, or an address of this machine at port 25 or a port we listen on: for MX hosts, which name machines. */
bool route_is_self(const struct route_table *t, const struct ip *ip, uint16_t port);
/* An address that no mail host can have: unspecified, multicast, broadcast. A name server may send anything. */
bool route_is_unusable(const struct ip *ip);

#endif
