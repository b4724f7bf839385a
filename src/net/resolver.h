/* SPDX-License-Identifier: Apache-2.0
 * DNS on the event loop: libunbound, which caches and validates. Answers are copies valid within the callback. */
#ifndef POSTERN_NET_RESOLVER_H
#define POSTERN_NET_RESOLVER_H
#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/slice.h"
#include "net/tlsa.h"

struct event_base;
struct resolver;
struct resolver_query;
struct config;

enum resolver_status {
    RESOLVER_OK,        /* at least one record; of MX n may yet be 0, when none of them names a host */
    RESOLVER_NODATA,    /* the name exists, no such record */
    RESOLVER_NXDOMAIN,
    RESOLVER_TEMPFAIL,  /* SERVFAIL, time-out, bogus */
};

struct resolver_mx {
    uint16_t preference;
    char name[256];     /* lower case, without final dot; "" is the root: a null MX (RFC 7505) */
};

struct resolver_name {
    char text[256];     /* lower case, without final dot; a host name */
};

struct resolver_answer {
    enum resolver_status status;
    bool secure;                 /* DNSSEC validated */
    uint32_t ttl;                /* seconds, at least 1 */
    const struct ip *ips;        /* A and AAAA */
    const struct resolver_mx *mx;
    const struct slice *texts;   /* TXT: strings of each record joined */
    const struct tls_tlsa *tlsa;
    const struct resolver_name *names; /* PTR */
    bool bogus;                  /* of TEMPFAIL: DNSSEC validation failed */
    char name[256];              /* A, AAAA, TLSA: the owner name the records were found at, CNAMEs followed; "" : not known */
    size_t n;
    const char *reason;          /* of TEMPFAIL, and of OK with n == 0: one clause for logs and bounces; never NULL */
};
typedef void resolver_cb(void *arg, const struct resolver_answer *a);

/* Blocks for reading /etc/resolv.conf and the trust anchor; starts libunbound's thread, so call before a seccomp filter that forbids it.
 * dns.trust_anchor NULL, or a file with nothing in it: nothing is validated. */
struct resolver *resolver_new(struct event_base *base, const struct config *c, struct err *err) MUST_CHECK;
void resolver_free(struct resolver *r); /* queries must be cancelled before */
/* The callback always comes from the loop, once, never before these return, within dns.timeout; the query is gone when it
 * returns (cancelling it within is harmless). At most 64 MX (names that are no host names are left out) and 32 addresses, IPv6 and
 * IPv4 in turns. A name that is an IP address is answered with itself. Anything else that is no host name: RESOLVER_NXDOMAIN. */
struct resolver_query *resolver_mx(struct resolver *r, struct slice name, resolver_cb *cb, void *arg);
struct resolver_query *resolver_addresses(struct resolver *r, struct slice name, bool ipv4, bool ipv6, resolver_cb *cb, void *arg);
/* Whether the name is an alias: OK with n == 0, and secure when that is proven. Where it leads to is not followed nor told. */
struct resolver_query *resolver_cname(struct resolver *r, struct slice name, resolver_cb *cb, void *arg);
/* At most 64 records, 64 KiB in all. */
struct resolver_query *resolver_txt(struct resolver *r, struct slice name, resolver_cb *cb, void *arg);
/* Questions of mail authentication: the name may hold any bytes in its labels of 1..63, 253 in all (selectors, and what SPF's macros
 * make of a sender: RFC 7208 §7.3); it is never an address. Anything else that is no name: RESOLVER_NXDOMAIN. At most 512 records (64
 * MX), of A and AAAA those of that family alone. */
enum resolver_any { RESOLVER_ANY_A, RESOLVER_ANY_AAAA, RESOLVER_ANY_MX, RESOLVER_ANY_TXT };
struct resolver_query *resolver_any(struct resolver *r, enum resolver_any what, struct slice name, resolver_cb *cb, void *arg);
/* The names of an address (RFC 1035 §3.5, RFC 3596 §2.5): at most 10, those that are host names. None of them is proven: they must
 * lead back to the address. */
struct resolver_query *resolver_ptr(struct resolver *r, const struct ip *ip, resolver_cb *cb, void *arg);
/* TLSA records of _port._tcp.name. NODATA and NXDOMAIN are `secure` when their absence is proven. */
struct resolver_query *resolver_tlsa(struct resolver *r, struct slice name, uint16_t port, resolver_cb *cb, void *arg);
/* "7.2.0.192" or 32 nibbles: an address as a part of a name, the last octet first (RFC 5782 §2.1, §2.4). */
void resolver_add_reversed(struct buf *out, const struct ip *ip);
void resolver_cancel(struct resolver_query **q); /* clears the pointer; no callback after; NULL is fine */

#endif
