/* SPDX-License-Identifier: Apache-2.0
 * What becomes of the recipients of an explanation. */
#ifndef POSTERN_POLICY_EXPLAIN_REWRITING_H
#define POSTERN_POLICY_EXPLAIN_REWRITING_H
#include <jansson.h>
#include "policy/policy.h"

/* What was told so far. */
struct explain_told {
    unsigned room;               /* for so many more recipients */
    json_t *seen;                /* an object: the addresses that get the message, lower case */
};
/* Adds to `o`, of the recipient that was asked about last: "rewriting": {"status", "steps", "line"} where something becomes of it, and
 * unless it was refused "to": [{"recipient", "forwarded", "next_hop", "route", "line", "source4", "source6", "source_line", "sender"; or "error"}], "more":
 * how many are left out. */
void explain_rewriting(const struct policy_run *run, struct slice rcpt, bool refused, struct explain_told *told, json_t *o);
/* Of the message: such objects, with "copy_line", for those who get a copy; once all recipients were asked about. */
json_t *explain_copies(const struct policy_run *run, const struct slice *rcpts, uint32_t n, struct explain_told *told);

#endif
