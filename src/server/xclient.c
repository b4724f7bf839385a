/* SPDX-License-Identifier: Apache-2.0
 * XCLIENT: a trusted relay in front of us names its client. */
#include "server/session.h"

void verb_xclient(struct session *s, const struct command *c)
{
    session_refuse(s, "XCLIENT", 502, "5.5.1", "XCLIENT is not offered", SLICE(""));
}
