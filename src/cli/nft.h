/* SPDX-License-Identifier: Apache-2.0
 * `postern nft`: rules of the kernel that bring the connections of transparent zones to the relay. */
#ifndef POSTERN_CLI_NFT_H
#define POSTERN_CLI_NFT_H
#include "config/nft_rules.h"

/* ---- nft_run.c: the programs nft and ip */
/* Runs it with `input`, waits; out: what it printed, of errors, too. err->code: ENOENT: there is no such program; EPERM: the rights are missing;
 * ECHILD: it failed, as the text says. Blocks. */
bool nft_run(const char *const *argv, struct slice input, struct buf *out, struct err *err) MUST_CHECK;
/* Makes the rule and the route of one family (4 or 6) be there, or not be there. */
bool nft_set_route(int family, bool there, struct err *err) MUST_CHECK;
/* Are both there? */
bool nft_has_route(int family);

#endif
