/* SPDX-License-Identifier: Apache-2.0
 * Questions to the history, for `postern trace`. A search goes through the index of the history (history_index.h) from the newest on, a
 * few milliseconds at a time, so that nobody else waits for it; one that takes seconds tells where it was, to be asked again from there. */
#ifndef POSTERN_STORE_QUERY_H
#define POSTERN_STORE_QUERY_H
#include <jansson.h>
#include "store/history.h"

struct query;
/* {"id"}: one message or refusal, with all that happened. Else a search; all of these that are given must fit:
 *   "sender", "recipient", "address" (either): "user@example.org", "example.org", ".example.org" (below it); sender "<>"
 *   "client": address or network   "since", "until": wall ms   "outcome": a word of history_kind_name   "kind": accepted or refused
 *   "message_id", "subject": a part   "reason": a part of what was answered, by us or by others, or of what a check found in its way
 *   "stage", "check", "result": one check of that name, at that stage, found it so (words of trace.h; skip is not kept)
 *   "limit": 1 to 1000   "before": where the last answer ended
 * NULL and err (for whoever asked): it makes no sense. */
struct query *query_new(struct history *h, const json_t *request, struct err *err) MUST_CHECK;
bool query_run(struct query *q);   /* some milliseconds; true: done */
/* {"messages": [..], "before"?: id to go on from, "indexing"?: true while older messages are not found yet}. Traces are base64 of what they
 * were. */
json_t *query_answer(struct query *q);
void query_free(struct query *q);  /* NULL is fine */

#endif
