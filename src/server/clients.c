/* SPDX-License-Identifier: Apache-2.0
 * Sessions per client. */
#include "server/clients.h"
#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"

static uint64_t hash_net(const struct ip *net)
{
    return hash_bytes(slice_of(net->bytes, sizeof net->bytes));
}

static uint64_t hash_of(const void *item)
{
    return hash_net(&((const struct client *)item)->net);
}

static bool match(const void *item, const void *key)
{
    return ip_eq(&((const struct client *)item)->net, key);
}

void clients_init(struct htable *t)
{
    htable_init(t, hash_of);
}

void clients_deinit(struct htable *t)
{
    struct client *c;
    size_t at = 0;
    while ((c = htable_next(t, &at))) free(c);
    htable_deinit(t);
}

static struct ip net_of(const struct ip *ip)
{
    struct ip net = *ip;
    net.scope = 0;
    if (net.family == 6) memset(net.bytes + 8, 0, 8);
    return net;
}

uint64_t clients_hash(const struct ip *ip)
{
    struct ip net = net_of(ip);
    return hash_net(&net);
}

struct client *clients_enter(struct htable *t, const struct ip *ip, uint32_t max)
{
    struct ip net = net_of(ip);
    struct client *c = htable_find(t, hash_net(&net), match, &net);
    if (c && max && c->sessions >= max) return NULL;
    if (!c) {
        c = mem_new(struct client);
        c->net = net;
        htable_add(t, c);
    }
    c->sessions++;
    return c;
}

void clients_leave(struct htable *t, struct client *c)
{
    assert(c->sessions > 0);
    if (--c->sessions) return;
    htable_remove(t, c);
    free(c);
}
