/* SPDX-License-Identifier: Apache-2.0
 * The trace: what each check found, compactly. It is kept with the message in the spool and in the history, which finds messages by it
 * and counts, and read by `postern explain`, `postern trace` and the log. On disk: a version, then for each entry tag bytes and texts with
 * their lengths; checks are named by text, so that a trace outlives the version that wrote it. */
#ifndef POSTERN_STORE_TRACE_H
#define POSTERN_STORE_TRACE_H
#include <jansson.h>
#include "base/buf.h"

/* The numbers are those of enum policy_stage and policy_outcome (policy/policy.h), which are only appended to. */
#define TRACE_STAGES 6
enum trace_outcome { TRACE_PASS, TRACE_SKIP, TRACE_ALLOW, TRACE_SCORE, TRACE_HOLD, TRACE_DEFER, TRACE_REJECT, TRACE_DISCARD,
                     TRACE_QUARANTINE, TRACE_OUTCOMES };

struct trace_entry {
    uint8_t stage, outcome;
    struct slice check;         /* its name */
    struct slice why;           /* one clause, printable; may be empty */
    struct slice about;         /* of RCPT: the recipient; else empty */
    uint32_t line;              /* of the configuration; 0: a default */
    int32_t score;
    uint64_t us;                /* it took */
};

#define TRACE_MAX 8192          /* bytes of one trace; what does not fit is left out, refusals last */

void trace_add(struct buf *out, const struct trace_entry *e);
/* Sets *in to its entries. False: none, or of a version that is not known. */
bool trace_open(struct slice trace, struct slice *in);
/* Takes the next entry off *in; slices point into it. False at the end, or where it is damaged. */
bool trace_next(struct slice *in, struct trace_entry *out);
/* [{"stage": "rcpt", "check": "greylist", "outcome": "defer", "why": .., "line": 12, "ms": 0.2}, ...] */
json_t *trace_json(struct slice trace);
/* Did SPF prove the sender, as the check "spf" noted it? */
bool trace_sender_proven(struct slice trace);
const char *trace_stage_name(unsigned stage);
const char *trace_outcome_name(unsigned outcome);

#endif
