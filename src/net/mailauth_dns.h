/* SPDX-License-Identifier: Apache-2.0
 * Mail authentication's questions put to the resolver. */
#ifndef POSTERN_NET_MAILAUTH_DNS_H
#define POSTERN_NET_MAILAUTH_DNS_H
#include "mailauth/dns.h"

struct resolver;

/* Of one message; outlives its struct lookups. */
struct mailauth_dns {
    struct resolver *resolver;
    void (*on_answer)(void *arg); /* from the loop: checks may be called again; it may free the lookups */
    void *arg;
};
/* What lookups_new takes. A question ends within dns.timeout; `d` is kept by reference. */
struct lookups_calls mailauth_dns_calls(struct mailauth_dns *d);

#endif
