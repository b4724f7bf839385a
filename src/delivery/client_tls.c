/* SPDX-License-Identifier: Apache-2.0
 * What must hold of TLS towards a host, and whether it held. */
#include "delivery/internal.h"
#include "net/tls.h"

bool client_tls_ready(struct destination *d, struct target *target)
{
    return true;
}

enum tls_need client_tls_need(const struct client *c)
{
    const struct config_hop *hop = c->d->hop.hop;
    enum config_client_tls tls = hop ? hop->tls : c->q->config->delivery.tls;
    return tls == CONFIG_CLIENT_TLS_NONE || !c->q->o.tls ? TLS_NEVER : TLS_MAY;
}

void client_tls_start(struct client *c)
{
    struct ip ip;
    struct err err;
    bool named = c->host.name[0] && !ip_parse(slice_str(c->host.name), &ip);
    struct tls_wish wish = { .sni = named ? c->host.name : NULL, .min_version = 12 };
    stream_start_tls_client(c->s, tls_client_session(c->q->o.tls, &wish, c->name, &err));
}

bool client_tls_proven(const struct client *c, struct buf *reason)
{
    return true;
}

bool client_tls_verified(const struct client *c)
{
    return false;
}

void client_tls_free(struct client *c)
{
}
