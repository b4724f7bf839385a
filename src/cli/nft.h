/* SPDX-License-Identifier: Apache-2.0
 * `postern nft`: rules of the kernel that bring the connections of transparent zones to the relay. */
#ifndef POSTERN_CLI_NFT_H
#define POSTERN_CLI_NFT_H
#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

#define NFT_TABLE "postern"      /* of family inet; nothing else is touched */
#define NFT_MARK "0x2000000"     /* one bit, of packets that tproxy has taken; */
#define NFT_MASKED_MARK "0x2000000/0x2000000" /* the same for ip: it shall look at this bit alone */
#define NFT_ROUTES "2525"        /* the routing table for them, and the priority of the rule that leads there */

/* ---- nft_rules.c: what the configuration asks for */
struct nft_rules {
    struct buf text;             /* for `nft -f -`: takes the place of what was there, at once or not at all */
    struct buf notes;            /* lines: what is not taken although it might be expected */
    char mark[24];               /* in the table's comment: tells rules of one configuration from those of another */
    size_t zones;                /* transparent ones */
    bool route4, route6;         /* what tproxy takes needs a rule and a route, too */
};
/* False: an interface or MAC address has a form that must not get into rules (checks of the configuration allow none). */
bool nft_rules_make(const struct config *c, struct nft_rules *out, struct err *err) MUST_CHECK;
void nft_rules_deinit(struct nft_rules *r);

/* ---- nft_run.c: the programs nft and ip */
/* Runs it with `input`, waits; out: what it printed, of errors, too. err->code: ENOENT: there is no such program; EPERM: the rights are missing;
 * ECHILD: it failed, as the text says. Blocks. */
bool nft_run(const char *const *argv, struct slice input, struct buf *out, struct err *err) MUST_CHECK;
/* Makes the rule and the route of one family (4 or 6) be there, or not be there. */
bool nft_set_route(int family, bool there, struct err *err) MUST_CHECK;
/* Are both there? */
bool nft_has_route(int family);
/* The commands for both, for people: a line each, behind `before`. */
void nft_add_route_commands(const char *before, int family, struct buf *out);

#endif
