/* SPDX-License-Identifier: Apache-2.0
 * MAIL (RFC 5321 §4.1.1.2, SIZE: RFC 1870, BODY: RFC 6152). */
#include <stdio.h>
#include "server/session.h"

/* May a transaction begin at all? */
static bool have_right(struct session *s, struct slice sender)
{
    const struct config *c = s->server->o.config;
    struct spool *spool = queue_spool(s->server->o.queue);
    if (s->listener->tls == CONFIG_TLS_REQUIRE && !stream_is_tls(s->stream)) {
        session_refuse(s, "MAIL", 530, "5.7.0", "please say STARTTLS first", sender); /* RFC 3207 §4 */
        return false;
    }
    if (c->limits.messages_per_connection && s->messages >= c->limits.messages_per_connection) {
        session_refuse(s, "MAIL", 421, "4.7.0", "enough messages for one connection, please open another", sender);
        session_hang_up(s, "message limit");
        return false;
    }
    if (!spool || spool_full(spool)) {
        session_refuse(s, "MAIL", 452, "4.3.1", "not enough storage at the moment, please try again later", sender);
        return false;
    }
    return true;
}

void verb_mail(struct session *s, const struct command *c)
{
    struct command_mail_params params;
    struct command_error error;
    uint64_t limit = server_message_size(s);
    struct slice sender = c->path.text;
    if (!have_right(s, sender)) return;
    struct command_offer offer = { .esmtp = s->esmtp };
    if (!command_mail_params(c, &offer, &params, &error)) {
        session_refuse(s, "MAIL", error.code, error.enhanced, error.text, sender);
        return;
    }
    if (params.size > limit) { /* RFC 1870 §6.1 */
        char text[120];
        snprintf(text, sizeof text, "the message is too large (limit: %llu bytes)", (unsigned long long)limit);
        session_refuse(s, "MAIL", 552, "5.3.4", text, sender);
        return;
    }
    s->tx.sender = arena_slice(&s->arena, sender);
    s->tx.body_8bit = params.body_8bit;
    s->phase = SESSION_MAIL;
    session_reply(s, 250, "2.1.0", "sender noted");
}
