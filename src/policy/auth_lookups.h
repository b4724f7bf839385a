/* SPDX-License-Identifier: Apache-2.0
 * Look-ups of mail authentication, and the checks that wait for them. */
#ifndef POSTERN_POLICY_AUTH_LOOKUPS_H
#define POSTERN_POLICY_AUTH_LOOKUPS_H
#include "mailauth/dns.h"
#include "policy/check.h"

struct auth_lookups;
struct auth_lookups *auth_lookups_new(const struct policy_engine_options *e);
void auth_lookups_free(struct auth_lookups **l); /* calls nobody; clears the pointer; NULL is fine */
struct auth_dns auth_lookups_dns(struct auth_lookups *l);
/* The same for those who compute a signature for each answer and ask once for each (dkim_verify, arc_verify): with two of them others
 * on the loop have their turn. */
struct auth_dns auth_lookups_keys(struct auth_lookups *l);
/* From now on checks.authentication_timeout is left for all of them; then what is open counts as failed. Once: later calls do nothing. */
void auth_lookups_limit(struct auth_lookups *l);
/* Is an answer on its way, or the next turn? Else a check that misses one may be called again at once. */
bool auth_lookups_open(const struct auth_lookups *l);
/* go_on is called when an answer has come, once. At most AUTH_WAITING_MAX checks. */
#define AUTH_WAITING_MAX 4
void auth_lookups_wait(struct auth_lookups *l, struct check_call *c, void (*go_on)(struct check_call *c));
void auth_lookups_forget(struct auth_lookups *l, const struct check_call *c); /* it is not called any more */

#endif
