/* SPDX-License-Identifier: Apache-2.0
 * AUTH (RFC 4954): the exchange itself is the auth process's. */
#include "auth/auth.h"
#include "server/session.h"

void verb_auth(struct session *s, const struct command *c)
{
    session_refuse(s, "AUTH", 502, "5.5.1", "AUTH is not offered", SLICE("")); /* not the argument: it may be a password */
}

void auth_take_line(struct session *s, struct slice line)
{
}

void auth_forget(struct session *s)
{
}

bool auth_offered(const struct session *s)
{
    return false;
}

bool auth_may_send_as(const struct session *s, struct slice sender)
{
    return true;
}
