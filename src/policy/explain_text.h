/* SPDX-License-Identifier: Apache-2.0
 * The message of an explanation. */
#ifndef POSTERN_POLICY_EXPLAIN_TEXT_H
#define POSTERN_POLICY_EXPLAIN_TEXT_H
#include <jansson.h>
#include "policy/policy.h"

struct explain_text;
/* base64: of the whole message, line ends of either kind. NULL and why: it cannot be used. */
struct explain_text *explain_text_new(struct slice base64, const char **why) MUST_CHECK;
void explain_text_free(struct explain_text **t); /* clears the pointer; NULL is fine */
/* Before STAGE_CONTENT: the run gets to see it as if it had come in. `rcpts` must live as long as the text. */
void explain_text_give(const struct explain_text *t, struct policy_run *run, const struct slice *rcpts, uint32_t n);
/* What would be done with it beside the verdict: {"edits": number, "fields": [lines], "redirect", "copies": [], "removed": [], "notices": [{"to", "what"}]} */
json_t *explain_outcome(const struct policy_run *run);

#endif
