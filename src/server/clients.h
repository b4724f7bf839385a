/* SPDX-License-Identifier: Apache-2.0
 * How many sessions each client has open. A client is an IPv4 address or an IPv6 /64: whoever has one address of
 * such a network has them all. */
#ifndef POSTERN_SERVER_CLIENTS_H
#define POSTERN_SERVER_CLIENTS_H
#include "base/hash.h"
#include "base/ip.h"

struct client {
    struct ip net;
    uint32_t sessions;
};

void clients_init(struct htable *t);
void clients_deinit(struct htable *t);
/* Counts one more session; NULL when the client has `max` already (0: no limit). Give the result back to
 * clients_leave. */
struct client *clients_enter(struct htable *t, const struct ip *ip, uint32_t max);
uint64_t clients_hash(const struct ip *ip); /* of its network */
void clients_leave(struct htable *t, struct client *c);

#endif
