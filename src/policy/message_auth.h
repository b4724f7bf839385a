/* SPDX-License-Identifier: Apache-2.0
 * A message on its way in, as mail authentication sees it: its header and the hashes of its body are kept for the checks spf, dkim,
 * arc and dmarc, and for signing it. A run has one while a message comes in (policy_text_begin); it goes with the transaction.
 *
 * Verified is what strangers send, signed what users and trusted clients send; sealed what strangers send when arc.seal is on.
 * Look-ups begin as soon as their names are known: SPF's with MAIL, keys with the end of the header. */
#ifndef POSTERN_POLICY_MESSAGE_AUTH_H
#define POSTERN_POLICY_MESSAGE_AUTH_H
#include "mailauth/mailauth.h"
#include "policy/policy.h"

/* ---- for the session */
/* After STAGE_DATA has passed. False: nobody wants the text, and none of these may be called. */
bool policy_text_begin(struct policy_run *run);
void policy_text_field(struct policy_run *run, struct slice raw, bool truncated); /* as auth_header_add */
/* malformed: a line that is no field ended it, so that no signature can be judged. */
void policy_text_header_end(struct policy_run *run, bool malformed);
void policy_text_body(struct policy_run *run, struct slice text);
void policy_text_end(struct policy_run *run); /* then STAGE_CONTENT is asked */
/* Is it an Authentication-Results field that pretends to be ours, of a client that is verified? It is cut out. */
bool policy_text_is_forged(const struct policy_run *run, struct slice name, struct slice value, bool truncated);
/* Appends the whole Authentication-Results field; nothing when the message was not verified. After STAGE_CONTENT. */
void policy_text_results(const struct policy_run *run, struct buf *out);
void policy_text_result_value(const struct policy_run *run, struct buf *out); /* of it what stands behind the colon, without the line end */

/* ---- what signing needs; NULL: the text is not wanted */
bool policy_text_is_verified(const struct policy_run *run); /* a stranger's: it may be sealed; else it may be signed */
const struct auth_header *policy_text_header(const struct policy_run *run);
struct auth_body *policy_text_hashes(struct policy_run *run);
const struct arc *policy_text_chain(const struct policy_run *run); /* after STAGE_CONTENT; NULL: not verified */

#endif
