/* SPDX-License-Identifier: Apache-2.0
 * The networks that large mail providers send from, read from the SPF records in which they publish them (RFC 7208), so
 * that a zone can hold such a provider's servers without anybody keeping a list by hand. */
#ifndef POSTERN_POLICY_PROVIDER_H
#define POSTERN_POLICY_PROVIDER_H
#include "base/buf.h"
#include "config/config.h"

#define PROVIDER_NETWORKS_MAX 2000
#define PROVIDER_LOOKUPS_MAX 20
#define PROVIDER_IPV4_LEAST 12 /* prefix length: a wider network is nobody's mail servers */
#define PROVIDER_IPV6_LEAST 19

/* ---- what a record says: pure functions */

struct provider_list {
    struct ip_net *nets;
    size_t n;
    size_t left_out;           /* networks that were not believed */
};
void provider_list_deinit(struct provider_list *l);

/* The names whose records make the list up, in the order they are looked up; each once. */
struct provider_names {
    size_t n;
    char name[PROVIDER_LOOKUPS_MAX][256];
};

/* "v=spf1" and nothing, or a blank, behind it. */
bool provider_is_spf(struct slice record);
/* Takes ip4 and ip6 terms into the list and the names of include and redirect into names; other terms say nothing of
 * networks. Returns NULL, or why the record cannot be used: malformed, too large, or with an exception ("-ip4:"), which a
 * list of networks cannot tell. */
const char *provider_read_spf(struct slice record, struct provider_list *list, struct provider_names *names);
/* Narrow enough, and of addresses that are routed on the internet. */
bool provider_believes(const struct ip_net *net);

/* The list as it is kept on disk. Reading checks each network again; false: not a whole list of this provider. */
void provider_list_format(const struct provider_list *l, const char *provider, uint64_t wall_ms, struct buf *out);
bool provider_list_parse(struct slice text, const char *provider, struct provider_list *out, uint64_t *wall_ms);

/* ---- the keeper of one worker: looks the lists up, keeps them fresh, remembers the last good ones on disk */

struct event_base;
struct resolver;
struct provider_keeper;

/* directory: where the lists are kept as PROVIDER.networks; several workers may share it. Reads the files that are there
 * (which blocks for a moment) and starts look-ups; NULL when no zone of the configuration names a provider. */
struct provider_keeper *provider_keeper_new(struct event_base *base, struct resolver *r, const struct config *c,
                                            const char *directory);
void provider_keeper_free(struct provider_keeper *k); /* before the resolver; NULL is fine */
/* The zone of a client: the listener's, if it names one, else that whose network holds the address, else that of the provider whose
 * network does, else the last, everybody's. l and k may be NULL. */
const struct config_zone *provider_choose_zone(const struct provider_keeper *k, const struct config *c,
                                               const struct config_listener *l, const struct ip *client);

struct provider_figures {
    const char *name;
    size_t networks;           /* 0: there is no list yet */
    uint64_t age;              /* ms since the list was last confirmed */
    bool failing;              /* the last look-up failed */
};
/* The i-th provider in use; false: there are no more. k may be NULL. */
bool provider_get_figures(const struct provider_keeper *k, size_t i, struct provider_figures *out);

#endif
