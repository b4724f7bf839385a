/* SPDX-License-Identifier: Apache-2.0
 * The parts of the driver: cases of JSON, a DNS that is in the case, and what the library makes of them. */
#ifndef POSTERN_TESTS_MAILAUTH_DRIVER_H
#define POSTERN_TESTS_MAILAUTH_DRIVER_H
#include <jansson.h>
#include "mailauth/mailauth.h"

/* ---- driver_dns.c: {"name": {"TXT": ["..."], "A": "SERVFAIL"}}; a PTR's name is the one in in-addr.arpa or ip6.arpa */
struct zone {
    const json_t *names;
    struct arena *arena;
    struct lookup *open[LOOKUPS_MAX];
    size_t n_open;
    unsigned seed;
    json_t *asked;               /* names that were asked for, when all is known at once; may be NULL */
};
struct auth_dns zone_dns(struct zone *z);                        /* knows all at once */
struct lookups *zone_lookups(struct zone *z);                    /* knows nothing yet */
void zone_answer_one(struct zone *z);                            /* a look-up that is open, by chance of the seed, gets its answer */

/* ---- driver.c */
struct slice case_text(const json_t *c, const char *key, struct arena *arena);  /* each character is a byte; "" when it is not there */
struct slice case_bytes(const json_t *c, const char *key, struct arena *arena); /* base64 */
json_t *case_json(struct slice s);                               /* the way back: each byte is a character */

/* ---- driver_message.c */
json_t *run_dkim(const json_t *c, struct zone *z, bool late, struct arena *arena);
json_t *run_arc(const json_t *c, struct zone *z, bool late, struct arena *arena);
json_t *run_sign(const json_t *c, struct zone *z, bool late, struct arena *arena);
json_t *run_seal(const json_t *c, struct zone *z, bool late, struct arena *arena);

#endif
