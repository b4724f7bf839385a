/* SPDX-License-Identifier: Apache-2.0
 * MAIL (RFC 5321 §4.1.1.2) with its parameters (command.h names them). */
#include <stdio.h>
#include "base/utf8.h"
#include "server/session.h"

_Static_assert((int)COMMAND_RET_HDRS == (int)ENVELOPE_RET_HDRS && (int)COMMAND_RET_FULL == (int)ENVELOPE_RET_FULL &&
               COMMAND_NOTIFY_NEVER == NOTIFY_NEVER, "the words of the protocol and of the envelope agree");

/* May a transaction begin at all? */
static bool have_right(struct session *s, struct slice sender)
{
    const struct config *c = s->server->o.config;
    struct spool *spool = queue_spool(s->server->o.queue);
    if (session_tls(s) == CONFIG_TLS_REQUIRE && !stream_is_tls(s->stream)) {
        session_refuse_mail(s, 530, "5.7.0", "please say STARTTLS first", sender); /* RFC 3207 §4 */
        return false;
    }
    bool trusted = s->account || (s->zone->trust == CONFIG_TRUST_RELAY && !policy_is_distrusted(s->run));
    if (s->listener->role == CONFIG_ROLE_SUBMISSION && !trusted) {
        session_refuse_mail(s, 530, "5.7.0", "authentication is required here", sender); /* RFC 6409 §4.3 */
        return false;
    }
    if (c->limits.messages_per_connection && s->messages >= c->limits.messages_per_connection) {
        session_refuse_mail(s, 421, "4.7.0", "enough messages for one connection, please open another", sender);
        session_hang_up(s, "message limit");
        return false;
    }
    if (!spool || spool_full(spool)) {
        session_refuse_mail(s, 452, "4.3.1", "not enough storage at the moment, please try again later", sender);
        return false;
    }
    return true;
}

/* Is the address one this client may use, in a message so declared? */
static bool sender_ok(struct session *s, const struct address *sender, const struct command_mail_params *p)
{
    uint64_t limit = server_message_size(s);
    char text[120];
    if (p->size > limit) { /* RFC 1870 §6.1 */
        snprintf(text, sizeof text, "the message is too large (limit: %llu bytes)", (unsigned long long)limit);
        session_refuse_mail(s, 552, "5.3.4", text, sender->text);
        return false;
    }
    if (sender->utf8 && !p->utf8) { /* RFC 6531 §3.5 */
        session_refuse_mail(s, 553, "5.6.7", "an address that is not ASCII needs the parameter SMTPUTF8", sender->text);
        return false;
    }
    /* The null reverse-path is nobody's: notices of users' programs need it. */
    if (sender->text.n && auth_binds_sender(s) && !auth_may_send_as(s, sender->text)) {
        session_refuse_mail(s, 553, "5.7.1", "this sender address does not belong to your account", sender->text);
        return false;
    }
    return true;
}

static void note(struct session *s, const struct address *sender, const struct command_mail_params *p)
{
    struct transaction *tx = &s->tx;
    tx->sender = arena_slice(&s->arena, sender->text);
    tx->sender_domain = slice_sub(tx->sender, tx->sender.n - sender->domain.n, tx->sender.n);
    tx->sender_utf8 = !utf8_ascii(sender->local);
    tx->body_8bit = p->body_8bit;
    tx->declared = p->size;
    tx->envid = arena_slice(&s->arena, p->envid);
    tx->flags = p->ret | (p->utf8 ? ENVELOPE_SMTPUTF8 : 0) | (p->requiretls ? ENVELOPE_REQUIRETLS : 0) |
                (p->ret || p->envid.n ? ENVELOPE_DSN_SEEN : 0);
}

static void on_verdict(struct session *s, const struct policy_verdict *v)
{
    if (policy_refuses(v->outcome)) {
        session_policy_refuse(s, "MAIL", v, s->tx.sender);
        session_reset(s);
        return;
    }
    s->phase = SESSION_MAIL;
    session_reply(s, 250, "2.1.0", "sender noted");
}

void verb_mail(struct session *s, const struct command *c)
{
    struct policy_verdict v;
    struct command_mail_params params;
    struct command_error error;
    const struct address *sender = &c->path;
    struct command_offer offer = { .esmtp = s->esmtp, .utf8 = true, .dsn = s->zone->dsn,
                                   .requiretls = stream_is_tls(s->stream), .auth = s->account || auth_offered(s) };
    if (!have_right(s, sender->text)) return;
    if (!command_mail_params(c, &offer, &params, &error)) {
        session_refuse_mail(s, error.code, error.enhanced, error.text, sender->text);
        return;
    }
    if (!sender_ok(s, sender, &params)) return;
    note(s, sender, &params);
    policy_set_sender(s->run, sender);
    if (session_ask(s, STAGE_MAIL, &v, on_verdict)) on_verdict(s, &v);
}
