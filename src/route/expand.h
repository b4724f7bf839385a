/* SPDX-License-Identifier: Apache-2.0
 * What becomes of a recipient before it is routed: mapped domains, aliases and groups, names of the system, copies. */
#ifndef POSTERN_ROUTE_EXPAND_H
#define POSTERN_ROUTE_EXPAND_H
#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "config/tables.h"

struct expander;

/* Hashes what is written in the configuration. Loops among aliases and mappings that are written there, and what expands to more than
 * EXPAND_MAX, are errors that name the line and the way round. `c` and `t` must outlive it; t may be NULL when nothing names a table.
 *
 * An address is looked for as it is, at once after its domain was mapped, and so on with what it leads to: "anna+news@example.com", then
 * "anna+news@" (at a domain of ours), then "anna+news" (at main_domain and hostname), then the same without "+news", which goes on
 * with the target when that is a single one without a detail of its own. Last come names of system_mail. */
struct expander *expander_new(const struct config *c, const struct tables *t, struct err *err) MUST_CHECK;
void expander_free(struct expander *x); /* NULL is fine */

#define EXPAND_MAX 1000        /* addresses that one recipient may stand for */
#define EXPAND_DEPTH_MAX 20    /* aliases that lead to aliases */

enum expand_status {
    EXPAND_SAME,               /* nothing becomes of it: it goes on as it is */
    EXPAND_DONE,               /* `to` takes its place */
    EXPAND_LATER,              /* a table that is needed was never read yet: 451 4.3.5 */
    EXPAND_LOOP,               /* by way of tables it leads back to itself and nowhere else: 5.4.6 */
    EXPAND_TOO_MANY,           /* more than EXPAND_MAX addresses: 5.4.6 */
    EXPAND_BROKEN,             /* what a table says is no address: 5.3.5 */
    EXPAND_DEEP,               /* aliases or mappings that lead to others more than EXPAND_DEPTH_MAX times: 5.4.6 */
    EXPAND_NOBODY,             /* at main_domain or hostname, where it has no alias and nobody has mailboxes: 5.1.1 */
};
struct expand_target {
    struct slice address;      /* without <>; domain as A-labels or as written */
    uint8_t marks;             /* MARK_FORWARDED when it is out of the house (none of our domains) and an alias or mapping led there */
};
struct expand_result {
    enum expand_status status;
    struct expand_target *to;  /* to_n, none twice */
    uint32_t to_n;
    uint32_t cost;             /* in recipients: to_n, or more when it took much work to find so few; 1 where nothing becomes of it */
    bool mapped;               /* by domain mapping: mapped_to is the address after that, before aliases */
    struct slice mapped_to;
    bool aliased;              /* some alias or name of the system had it: it exists, whatever the inner server says */
    bool keeps;                /* the address itself is among `to` */
    struct config_place place; /* of the first thing that had it; line 0: a default or a table */
    struct slice steps;        /* for people, printable, at most 400 bytes: "old.example -> example.com (line 12); sales -> anna@example.com,
                                  bert@example.com (table staff)"; also with LOOP and the others: what went wrong */
};
/* The address as the client gave it ("postmaster" is one). A member of a group that leads back to an alias being expanded is taken as
 * it is there: that is how a name keeps its own copy. What is left at main_domain or hostname, and nobody delivers, is left out: it would
 * come back; only the configured postmaster stays, and waits in the queue (route.h). All in `arena`. Never blocks. */
void expand(const struct expander *x, struct slice rcpt, struct arena *arena, struct expand_result *out);

/* At main_domain or hostname, and neither a relay domain nor a route to it says where its mail goes: whoever has no alias there is
 * nobody. Of the postmaster as he is configured it is false. */
bool expand_is_nobody(const struct expander *x, struct slice address);
/* The postmaster, who is at a domain where nobody has mailboxes. */
bool expand_waits(const struct expander *x, struct slice address);

/* Is the domain (A-labels, any case) one whose mail we take for the sake of a mapping or an alias, though it may be no relay domain? A mapped
 * domain is; main_domain is. hostname is for system names and aliases alone: expand_knows says which. */
bool expand_takes_domain(const struct expander *x, struct slice domain, struct config_place *place);
/* Were all tables of mappings and of relay domains read? Else nobody knows which domains are ours, and a stranger's mail to others must wait. */
bool expand_is_ready(const struct expander *x);
/* One whose mail is for this house: a relay domain, main_domain, hostname, a mapped one. A-labels, lower case. */
bool expand_is_ours(const struct expander *x, struct slice domain);
bool expand_is_ours_address(const struct expander *x, struct slice address); /* as written; "postmaster" is ours */
bool expand_is_outside(const struct expander *x, struct slice address); /* as written; what is no address is neither */
/* Has the address, as it is or without its detail ("+news"), an alias (or is it a name of the system)? local: as written. True also when
 * a table that may have it was never read: expand() says LATER then. */
bool expand_knows(const struct expander *x, struct slice local, struct slice domain);

/* Who gets a copy of a message, by `copies`: addresses in `arena`, none twice, none that is among the recipients already. */
struct expand_copies {
    struct slice sender;
    const struct slice *rcpts; /* as the client gave them */
    uint32_t rcpt_n;
    bool outgoing;             /* from a user, or a client that may relay */
};
struct expand_copy {
    struct slice address;
    struct config_place place;
};
size_t expand_copies(const struct expander *x, const struct expand_copies *m, struct arena *arena, struct expand_copy **out);

#endif
