/* SPDX-License-Identifier: Apache-2.0
 * DNS as this library sees it: a function that knows an answer, or does not know it yet.
 *
 * Each check of the library is a function of its input and of answers. Where one is missing the check returns false, having asked
 * for it; it is called again, with the same input, when answers have come. So a check is plain code from top to bottom, whether the
 * answers are at hand (a command, a test) or come over an event loop. struct lookups keeps the answers of one message. */
#ifndef POSTERN_MAILAUTH_DNS_H
#define POSTERN_MAILAUTH_DNS_H
#include "base/arena.h"
#include "base/ip.h"

enum auth_dns_type { AUTH_DNS_TXT, AUTH_DNS_A, AUTH_DNS_AAAA, AUTH_DNS_MX, AUTH_DNS_PTR };
enum auth_dns_status {
    AUTH_DNS_OK,                 /* n is at least 1 */
    AUTH_DNS_NODATA,             /* the name exists, no such record */
    AUTH_DNS_NXDOMAIN,
    AUTH_DNS_TEMPFAIL,           /* SERVFAIL, time-out, bogus, over a limit */
};

struct auth_dns_mx {
    uint16_t preference;
    struct slice name;           /* "" is the root: a null MX (RFC 7505) */
};
/* Names are lower case, without final dot. */
struct auth_dns_answer {
    enum auth_dns_status status;
    bool secure;                 /* DNSSEC validated */
    size_t n;
    const struct slice *texts;   /* TXT: the strings of each record joined (RFC 7208 §3.3, RFC 6376 §3.6.2.2) */
    const struct ip *ips;        /* A, AAAA */
    const struct auth_dns_mx *mx;/* lowest preference first */
    const struct slice *names;   /* PTR */
};

struct auth_dns {
    /* NULL: not known yet, but asked for now. An answer lives as long as the check may be called. `name`: A-labels or what macros made
     * of a sender (any bytes but NUL; upper or lower case), up to 253 bytes; of PTR empty, and `ip` is the address. */
    const struct auth_dns_answer *(*get)(void *arg, enum auth_dns_type type, struct slice name, const struct ip *ip);
    void *arg;
};

/* Can it be asked for? No empty label, none over 63 bytes, no NUL, up to 253 bytes; what macros make of a sender may be otherwise. */
bool auth_dns_name_ok(struct slice name);

/* ---- answers of one message */

#define LOOKUPS_MAX 400          /* of one message; beyond that the answer is TEMPFAIL */

struct lookups;
struct lookup {
    struct lookups *set;
    enum auth_dns_type type;
    const char *name;            /* lower case; of PTR "" */
    struct ip ip;
    const struct auth_dns_answer *answer; /* NULL: not yet */
    void *own;                   /* the starter's */
    struct lookup *next;         /* lookups.c */
};
/* start: begins a look-up; lookup_answer is called for it later, or within. cancel: no lookup_answer any more; of those without an
 * answer only. on_answer: some answer came (not within start): checks may be called again. NULL is fine for it. A check that wants to
 * be called again while lookups_pending is false may be called at once. */
struct lookups_calls {
    void (*start)(void *arg, struct lookup *l);
    void (*cancel)(void *arg, struct lookup *l);
    void (*on_answer)(void *arg);
    void *arg;
};
struct lookups *lookups_new(const struct lookups_calls *calls);
void lookups_free(struct lookups **set); /* cancels what is open; clears the pointer; NULL is fine */
struct auth_dns lookups_dns(struct lookups *set);
/* Copies it. At most 512 records, 64 KiB: of MX and PTR the first 64 are kept, of the others it is TEMPFAIL then (a list that is cut would
 * say that something is not there). Names that are not auth_dns_name_ok never come to `start`: they are
 * NXDOMAIN. */
void lookup_answer(struct lookup *l, const struct auth_dns_answer *a);
bool lookups_pending(const struct lookups *set);
/* All that is open is answered with TEMPFAIL, and so is what is asked from now on: nobody waits any longer. on_answer is not called. */
void lookups_give_up(struct lookups *set);

#endif
