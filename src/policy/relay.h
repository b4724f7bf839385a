/* SPDX-License-Identifier: Apache-2.0
 * May this client send to this recipient? The one question that keeps a relay closed. */
#ifndef POSTERN_POLICY_RELAY_H
#define POSTERN_POLICY_RELAY_H
#include "config/config.h"
#include "smtp/address.h"

struct expander;
struct list_entry;
struct relaying;
struct rewriter;

struct relay_client {
    const struct config_zone *zone;
    bool authed;               /* a user of ours, by AUTH */
    bool distrusted;           /* strangers come from its address: neither zone nor list lets it relay for now */
    struct slice sender;       /* domain of MAIL FROM, as written; empty: the null reverse-path */
    struct ip ip;              /* family 0: nobody the list could name */
    struct slice name;         /* forward-confirmed, A-labels, lower case; empty: none */
    const struct rewriter *rewriter; /* of senders: what comes back to them is let through; NULL: none */
    uint64_t now_ms;           /* for that: wall */
    const struct relaying *list; /* exceptions (config->relaying); NULL: none */
    const struct expander *expander; /* mapped domains, names of the system; NULL: none */
};

struct relay_verdict {
    bool allowed;
    bool postmaster;           /* allowed, and to be taken as <postmaster>: our own name means nobody else */
    bool rewritten;            /* allowed, and to be taken as `original`, which somebody's sender was before we rewrote it */
    char original[256];
    int code;                  /* 250, or the refusal: 550; 451 when it cannot be found out yet */
    const char *enhanced;      /* "2.1.5", "5.7.1" ... */
    struct config_place place; /* the zone, domain or entry that decided; line 0: a rule of SMTP itself, or AUTH */
    const char *why;           /* one clause for people who look it up */
    const char *entry;         /* of the list `relaying`, when that decided; as long as the list; NULL: it did not */
    char text[700];            /* one line for the client, printable; empty when allowed */
};

/* `rcpt` has passed the strict grammar (address_parse_path). Domains are compared as A-labels. Does not block, keeps nothing. In
 * this order: postmaster is for everybody (RFC 5321 §4.5.1); address literals are for nobody, as nothing routes them; then what the
 * list `relaying` says: who is rejected is refused, whoever it is. At srs.domain there are rewritten senders, for everybody: bounces
 * have no sender, but answers of machines do, and the hash protects; what is forged or too old goes nowhere, and unless it is a relay
 * domain, too, nobody else is there. Users may send to any domain. So may clients that the list lets
 * relay, and a trusted zone, unless it is bound to sender domains and this sender is of none of them, or the list says ok: then relay
 * domains are all there is. The others only to relay domains, those that the list adds, main_domain and mapped domains (where the
 * mapping leads is the administrator's word; who is there, the check "rewriting" says), and there to no local part that asks us to route
 * it further ("user%there@here", "there!user@here", "\"user@there\"@here"); and to abuse at hostname (RFC 2142), where that leads to
 * somebody. */
void relay_judge(const struct config *c, const struct relay_client *who, const struct address *rcpt,
                 struct relay_verdict *out);

/* ---- the list (relaying.c). Client before sender before recipient; of one of these the nearest entry: address or network before
 * name, the longer before the shorter. Of entries that are equally near the strictest: reject, ok, relay. */

/* Everything that a configuration has, which must outlive it. NULL: *err names the line. */
struct relaying *relaying_new(const struct config *c, struct err *err) MUST_CHECK;
void relaying_free(struct relaying *l); /* NULL is fine */

struct relaying_found {
    const struct list_entry *entry; /* NULL: none */
    enum config_relaying_action action;
    enum config_relaying_on on;
};
/* The entry that decides about mail of this client, with this sender domain (empty: the null reverse-path) to this recipient domain
 * (A-labels); an entry "relay" for senders is none: anybody can claim to be one. */
void relaying_find(const struct relaying *l, const struct relay_client *who, struct slice sender, struct slice rcpt,
                   struct relaying_found *out);
/* What holds of the client alone, and of the recipient's domain alone. */
void relaying_find_client(const struct relaying *l, const struct ip *ip, struct slice name, struct relaying_found *out);
void relaying_find_recipient(const struct relaying *l, struct slice rcpt, struct relaying_found *out);

/* Is the entry a name, which clients are compared with by their forward-confirmed names? */
bool relaying_is_name(const struct config_relaying *r);

#endif
