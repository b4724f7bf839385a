/* SPDX-License-Identifier: Apache-2.0
 * Where a recipient goes: the next hop by the configuration, and the hosts behind it by DNS. */
#ifndef POSTERN_ROUTE_ROUTE_H
#define POSTERN_ROUTE_ROUTE_H
#include "config/config.h"
#include "net/resolver.h"

/* What route_find and route_resolve need beside the configuration: its routes indexed, and the machine's own
 * addresses, read once (getifaddrs). Made at start by each worker; the configuration must outlive it. */
struct route_table;
struct route_table *route_table_new(const struct config *c);
void route_table_free(struct route_table *t); /* NULL is fine */

#define ROUTE_KEY_SIZE 512
struct route_hop {
    const struct config_hop *hop; /* NULL: by MX of `domain` */
    char domain[256];             /* the recipient's domain, lower case; "" when hop decides alone */
    const char *why;              /* what decided the hop: "route to", "route from", "domain", "inner_host", "smarthost", "mx": for traces */
    struct config_place place;    /* the line that decided, line 0 for mx */
    struct ip source4, source6;   /* where connections come from; family 0: the system chooses */
    uint8_t only;                 /* 4 or 6: only over this family, as the source is an address of it; 0: both */
    struct config_place source_place; /* the route that has the sources where another line decided the hop; else line 0 */
    bool rewrite_sender;          /* for mail of others, which goes on from here: rewrite.h. No part of the key */
    bool require_tls;             /* for mail that may only travel over proven TLS (RFC 8689): route_require_tls */
    char key[ROUTE_KEY_SIZE];     /* names the destination: equal keys share connections and back-off, e.g. "mx:example.com:25",
                                     "host:192.0.2.7:2525", "lmtp:/run/lmtp", "maildir:/var/mail/%d/%n"; also what people read. A hop with a
                                     TLS setting of its own adds ",tls=none" and so on, one with credentials, ca or names ",hop=3"; source
                                     addresses of hop or route ",source=IP". A hop by MX at port 25: ",via". Mail with REQUIRETLS:
                                     ",requiretls"; questions about recipients: ",verify". */
};

/* Order: route to the address, to the exact domain, to the longest ".domain"; the relay domain's deliver, inner_host for relay domains (or
 * their MX); route from the sender's address, exact domain, longest ".domain"; smarthost; MX. A route without next hop says only where
 * connections come from; what goes on from there is the rest of the order without rules of the other kind: docs/manual/delivering.md.
 * sender: envelope_route_sender; empty: null, or a stranger's. Local parts are compared unquoted and without case. False with a reason
 * (an address literal, a domain-less address ...) that means a permanent failure. What has neither a route nor a relay domain at main_domain or hostname waits: it
 * goes to no smarthost. <postmaster> without domain goes where postmaster (config) goes. A few hash
 * look-ups; never blocks. */
bool route_find(const struct route_table *t, struct slice sender, struct slice rcpt, struct route_hop *out, struct err *err) MUST_CHECK;
/* The same next hop as a destination of its own, of which more is asked (RFC 8689). After route_find, once. */
void route_require_tls(struct route_hop *hop);
/* A path on this machine: mail does not travel any further, and TLS is no question. */
static inline bool route_is_here(const struct route_hop *hop) { return hop->hop && hop->hop->path; }
/* Folders of mailboxes: no server is asked or told anything. */
static inline bool route_is_maildir(const struct route_hop *hop) { return hop->hop && hop->hop->kind == CONFIG_HOP_MAILDIR; }
/* The same next hop as a destination of its own, which is asked about recipients (delivery/verify.h). */
void route_to_ask(struct route_hop *hop);

/* The addresses to try, in order (RFC 5321 §5.1): MX by preference, equal ones shuffled, each host's addresses IPv6 and IPv4 as
 * delivery.family says, in turns. */
struct route_target {
    struct ip ip;
    uint16_t port;
    char name[256];               /* the host, for TLS and logs; an address as text when the hop is one */
    char cname[256];              /* what name's CNAMEs lead to, when that is another name (RFC 7672 §2.2.2); "" : no */
    bool secure;                  /* its address records are DNSSEC validated: TLSA records count (RFC 7672 §2.2) */
};
enum route_status {
    ROUTE_OK,
    ROUTE_TEMPFAIL,               /* DNS did not answer, or a next hop written in the configuration has no address: try later */
    ROUTE_NO_SUCH_DOMAIN,         /* 5.1.2 */
    ROUTE_NULL_MX,                /* 5.1.10, RFC 7505 */
    ROUTE_NO_ADDRESS,             /* MX hosts without addresses, or no MX and no address: 5.4.4 */
    ROUTE_LOOP,                   /* the best MX, or the address and port, are ourselves: 5.4.6 */
};
struct route_answer {
    enum route_status status;
    const struct route_target *targets; /* valid within the callback */
    size_t n;                     /* at most ROUTE_TARGETS_MAX */
    uint32_t ttl;                 /* seconds this may be kept, at least 1 */
    bool secure;                  /* the way from the domain to the hosts' names is DNSSEC validated, or needs no DNS */
    char reason[300];             /* one sentence that says what was looked up and what came; "" with ROUTE_OK */
};
#define ROUTE_TARGETS_MAX 64
typedef void route_cb(void *arg, const struct route_answer *a);
struct route_query;
/* Own addresses are those we listen on and those of the machine's interfaces at start; MX hosts at or behind our own
 * preference are dropped (RFC 5321 §5.1), a hop at one of our own listeners' address and port is a loop. The callback always comes
 * from the loop, once; the query is gone when it returns (cancelling it within is harmless). hop is copied. */
struct route_query *route_resolve(struct resolver *r, const struct route_table *t, const struct route_hop *hop, route_cb *cb, void *arg);
void route_cancel(struct route_query **q); /* clears the pointer; no callback after; NULL is fine */

#endif
