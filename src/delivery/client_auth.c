/* SPDX-License-Identifier: Apache-2.0
 * AUTH towards a next hop (RFC 4954): the exchange itself is the auth process's. */
#include "auth/auth.h"
#include "delivery/internal.h"

bool client_auth_wanted(const struct client *c)
{
    return false;
}

void client_auth_start(struct client *c)
{
    client_usable(c);
}

void client_auth_reply(struct client *c)
{
}

void client_auth_cancel(struct client *c)
{
}
