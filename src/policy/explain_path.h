/* SPDX-License-Identifier: Apache-2.0
 * Of an explanation: the way a mail takes through the pipeline, as a picture of it needs it. */
#ifndef POSTERN_POLICY_EXPLAIN_PATH_H
#define POSTERN_POLICY_EXPLAIN_PATH_H
#include <jansson.h>

/* From a trace (trace_json) and the recipients of an explanation, each of which gets "stage": where it was decided.
 * [{"stage": "rcpt", "reached": bool, "outcome": the strongest of its checks, "checks": [as in the trace, and "decides": true where that
 * became somebody's verdict]}, ...], in order, all there are. */
json_t *explain_path(const json_t *trace, json_t *recipients);

#endif
