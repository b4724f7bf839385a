/* SPDX-License-Identifier: Apache-2.0
 * SPF (RFC 7208): may this client send for this domain? */
#ifndef POSTERN_MAILAUTH_SPF_H
#define POSTERN_MAILAUTH_SPF_H
#include "mailauth/dns.h"

enum spf_result { SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR };
enum spf_identity { SPF_MAILFROM, SPF_HELO };

struct spf_input {
    struct ip ip;
    struct slice helo;           /* as given in EHLO */
    struct slice sender;         /* local@domain, empty: the null reverse-path: postmaster@helo is judged then (§2.4). Not of SPF_HELO */
    enum spf_identity identity;
    struct slice receiver;       /* our host name, for %{r} in explanations; empty: "unknown" */
    uint64_t now;                /* wall ms, for %{t} */
};

struct spf {
    enum spf_result result;
    struct slice domain;         /* that was judged, A-labels in lower case; may be empty */
    /* The directive that matched, as published; "": none did ("default", or an error). Of an "include" that passes: the one within. */
    struct slice mechanism;
    struct slice record_domain;  /* whose record holds it, or is at fault; by include and redirect another one than domain */
    struct slice explanation;    /* of FAIL: the domain's own words (exp=), printable ASCII; may be empty. Of a stranger! */
    struct slice reason;         /* one clause for people, printable */
    unsigned lookups, voids;     /* terms that cost a look-up (§4.6.4); look-ups without an answer */
};

/* False: answers are missing, call again. What comes out is in `arena`, or constant. Never more than the 10 look-ups, 2 void look-ups, 10
 * names of MX and PTR each of §4.6.4 are judged; records up to 64 KiB in all. With answers that come late it asks ahead for what the terms
 * behind may need, up to the first that surely ends the check. */
bool spf_check(const struct spf_input *in, const struct auth_dns *dns, struct arena *arena, struct spf *out);
const char *spf_result_name(enum spf_result r); /* "none" ...; RFC 8601 §2.7.2 */

#endif
