/* SPDX-License-Identifier: Apache-2.0
 * Rules of the kernel that bring the connections of a configuration's transparent zones to the relay. */
#ifndef POSTERN_CONFIG_NFT_RULES_H
#define POSTERN_CONFIG_NFT_RULES_H
#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

#define NFT_TABLE "postern"      /* of family inet; nothing else is touched */
#define NFT_MARK "0x2000000"     /* one bit, of packets that tproxy has taken; */
#define NFT_MASKED_MARK "0x2000000/0x2000000" /* the same for ip: it shall look at this bit alone */
#define NFT_ROUTES "2525"        /* the routing table for them, and the priority of the rule that leads there */

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
/* For people and for nft: the text, with notes and the commands for routes as comments in front. Appended. */
void nft_rules_print(const struct config *c, const struct nft_rules *r, struct buf *out);

#endif
