/* SPDX-License-Identifier: Apache-2.0
 * The sets of a chain, as verifying and sealing see them. Of this folder only. */
#ifndef POSTERN_MAILAUTH_ARC_PARTS_H
#define POSTERN_MAILAUTH_ARC_PARTS_H
#include "mailauth/dkim_parts.h"

struct arc_fields {
    const struct auth_field *results, *message, *seal; /* NULL: not there */
    struct slice payload;                              /* of results: behind "i=N;" */
};
struct arc_chain {
    struct arc_fields sets[ARC_SETS_MAX]; /* sets[0] is instance 1 */
    size_t n;                             /* the highest instance */
    const char *wrong;                    /* with the structure (RFC 8617 §5.2 step 3); NULL: nothing */
};
void arc_chain_read(const struct auth_header *header, struct arc_chain *out);
/* Appends what comes before the seal of instance `n`, all of it relaxed with CRLF: the sets below, results and message
 * signature of its own (RFC 8617 §5.1.1). All of them are there. */
void arc_chain_scope(const struct arc_chain *c, size_t n, struct buf *out);

#endif
