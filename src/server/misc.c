/* SPDX-License-Identifier: Apache-2.0
 * The commands that move no mail: RSET, NOOP, VRFY, EXPN, HELP, QUIT, and those that are not offered. */
#include "server/session.h"

void verb_rset(struct session *s, const struct command *c)
{
    session_reset(s);
    session_reply(s, 250, "2.0.0", "begun anew");
}

void verb_noop(struct session *s, const struct command *c)
{
    session_reply(s, 250, "2.0.0", "fine");
}

void verb_vrfy(struct session *s, const struct command *c)
{
    session_reply(s, 252, "2.5.0", "not verified; send mail and it will be tried"); /* RFC 5321 §3.5.3 */
}

void verb_expn(struct session *s, const struct command *c)
{
    session_refuse(s, "EXPN", 502, "5.7.0", "lists are not told", c->arg);
}

void verb_help(struct session *s, const struct command *c)
{
    session_reply(s, 214, "2.0.0", "commands: EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT");
}

void verb_quit(struct session *s, const struct command *c)
{
    session_reply(s, 221, "2.0.0", "good bye");
    s->quit = true;
    session_hang_up(s, "quit");
}
