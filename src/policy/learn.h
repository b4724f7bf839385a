/* SPDX-License-Identifier: Apache-2.0
 * What is learnt from a session: the reputation of the client's network, and who passed the greylist. */
#ifndef POSTERN_POLICY_LEARN_H
#define POSTERN_POLICY_LEARN_H
#include "policy/policy.h"

/* A recipient of this transaction passed the greylist under this key; it counts once the message is taken. key lives as long as the
 * transaction, or is copied. */
void learn_grey_passed(struct policy_run *run, struct slice key);
/* The connection is over: refusals without a message taken speak against the client. */
void learn_end(struct policy_run *run);

#endif
