/* SPDX-License-Identifier: Apache-2.0
 * `postern explain`: the pipeline itself, run without side effects for a client, EHLO, sender and recipients that somebody asks about. */
#ifndef POSTERN_POLICY_EXPLAIN_H
#define POSTERN_POLICY_EXPLAIN_H
#include <jansson.h>
#include "policy/policy.h"

/* request: {"client": IP, "zone": name, "helo": name, "from": address or "", "to": [addresses], "account": name, "message": base64}; client and to must
 * be there; zone is where a listener decides on it, else the client's address does. With a message what it holds is judged, too; scanners are asked, nothing is learnt, edited or sent.
 * answer: {"zone", "trusted", "recipients": [{"recipient", "outcome", "code", "status", "text", "check", "why", "line", and as
 * explain_rewriting.h says, "stage": where it was decided}], "copies": [...], "score", "stages": as explain_path.h says, "trace": [...]} (trace_json; with a message "content", as
 * explain_outcome says), or {"error": text}. It comes from the loop, or at once when nothing has to be looked up; the callee
 * owns it. Each look-up has its own time-out, so that it always comes; an engine must outlive it. */
typedef void explain_cb(void *arg, json_t *answer);
void policy_explain(struct policy_engine *e, const json_t *request, explain_cb *cb, void *arg);
/* Those under way are answered with an error. Before the engine goes. */
void explain_break_off(struct policy_engine *e);

#endif
