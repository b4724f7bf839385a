/* SPDX-License-Identifier: Apache-2.0
 * May this client send to this recipient? The one question that keeps a relay closed. */
#ifndef POSTERN_POLICY_RELAY_H
#define POSTERN_POLICY_RELAY_H
#include "config/config.h"
#include "smtp/address.h"

struct relay_client {
    const struct config_zone *zone;
    bool authed;               /* a user of ours, by AUTH */
    struct slice sender;       /* domain of MAIL FROM, as written; empty: the null reverse-path */
};

struct relay_verdict {
    bool allowed;
    bool postmaster;           /* allowed, and to be taken as <postmaster>: our own name means nobody else */
    int code;                  /* 250, or the refusal: 550 */
    const char *enhanced;      /* "2.1.5", "5.7.1" ... */
    struct config_place place; /* the zone or domain that decided; line 0: a rule of SMTP itself, or AUTH */
    char text[700];            /* one line for the client, printable; empty when allowed */
};

/* `rcpt` has passed the strict grammar (address_parse_path). Domains are compared as A-labels. Does not block, keeps nothing. In
 * this order: postmaster is for everybody (RFC 5321 §4.5.1); address literals are for nobody, as nothing routes them; users may
 * send to any domain; a trusted zone, too, unless it is bound to sender domains and this sender is of none of them; the others
 * only to relay domains, and there to no local part that asks us to route it further ("user%there@here", "there!user@here",
 * "\"user@there\"@here"). */
void relay_judge(const struct config *c, const struct relay_client *who, const struct address *rcpt,
                 struct relay_verdict *out);

/* Is the entry a name, which clients are compared with by their forward-confirmed names? */
bool relaying_is_name(const struct config_relaying *r);

#endif
