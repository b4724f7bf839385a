/* SPDX-License-Identifier: Apache-2.0
 * EHLO and HELO (RFC 5321 §4.1.1.1), STARTTLS (RFC 3207). */
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "net/tls.h"
#include "server/session.h"
#include "smtp/reply.h"

enum config_tls session_tls(const struct session *s)
{
    enum config_tls listener = s->listener->tls, zone = s->zone->tls;
    if (listener == CONFIG_TLS_OFFER && s->listener->client_certificate == CONFIG_CLIENT_CERT_REQUIRE)
        return CONFIG_TLS_REQUIRE; /* who shows none does not come in by staying in the clear */
    if (listener == CONFIG_TLS_IMPLICIT || listener == CONFIG_TLS_REQUIRE) return listener;
    return zone == CONFIG_TLS_IMPLICIT || (zone == CONFIG_TLS_OFFER && listener == CONFIG_TLS_NONE) ? listener : zone;
}

static bool can_start_tls(const struct session *s)
{
    enum config_tls tls = session_tls(s);
    return s->server->o.tls && (tls == CONFIG_TLS_OFFER || tls == CONFIG_TLS_REQUIRE) && !stream_is_tls(s->stream);
}

/* RFC 9422 §4: what is limited, and by a number of at most six digits. */
static void add_limits(const struct session *s, struct buf *out)
{
    const struct config_limits *l = &s->server->o.config->limits;
    bool mails = l->messages_per_connection && l->messages_per_connection < 1000000, rcpts = l->recipients < 1000000;
    if (!mails && !rcpts) return;
    buf_add_str(out, "\nLIMITS");
    if (mails) buf_addf(out, " MAILMAX=%u", l->messages_per_connection);
    if (rcpts) buf_addf(out, " RCPTMAX=%u", l->recipients);
}

static void reply_ehlo(struct session *s)
{
    struct buf text = { 0 };
    buf_add_str(&text, s->server->o.config->hostname);
    buf_add(&text, SLICE(" at your service\nPIPELINING\nSIZE "));
    buf_add_u64(&text, server_message_size(s));
    buf_add(&text, SLICE("\n8BITMIME\nSMTPUTF8\nCHUNKING\nENHANCEDSTATUSCODES"));
    if (s->zone->dsn) buf_add(&text, SLICE("\nDSN")); /* where nobody is told of failures, none are promised */
    add_limits(s, &text);
    if (can_start_tls(s)) buf_add(&text, SLICE("\nSTARTTLS"));
    if (stream_is_tls(s->stream)) buf_add(&text, SLICE("\nREQUIRETLS")); /* RFC 8689 §2 */
    auth_ehlo(s, &text);
    xclient_add_offer(s, &text);
    session_reply(s, 250, NULL, buf_cstr(&text));
    buf_deinit(&text);
}

static void on_verdict(struct session *s, const struct policy_verdict *v)
{
    if (policy_refuses(v->outcome)) {
        session_policy_refuse(s, s->esmtp ? "EHLO" : "HELO", v, slice_str(s->helo));
        return;
    }
    s->phase = SESSION_READY;
    if (s->esmtp) reply_ehlo(s);
    else session_reply(s, 250, NULL, s->server->o.config->hostname);
}

void verb_ehlo(struct session *s, const struct command *c)
{
    struct policy_verdict v;
    session_reset(s); /* RFC 5321 §4.1.4 */
    free(s->helo);
    s->helo = mem_slicedup(c->arg);
    s->esmtp = c->verb == COMMAND_EHLO;
    s->phase = SESSION_START;
    policy_set_helo(s->run, c->arg);
    if (session_ask(s, STAGE_HELO, &v, on_verdict)) on_verdict(s, &v);
}

void verb_starttls(struct session *s, const struct command *c)
{
    if (stream_is_tls(s->stream)) {
        session_refuse(s, "STARTTLS", 503, "5.5.1", "TLS is in use already", SLICE(""));
        return;
    }
    if (!can_start_tls(s)) {
        session_refuse(s, "STARTTLS", 502, "5.5.1", "TLS is not offered here", SLICE(""));
        return;
    }
    session_reset(s); /* RFC 3207 §4.2: nothing said in the clear counts */
    auth_forget(s);
    free(s->helo);
    s->helo = NULL;
    policy_set_helo(s->run, SLICE(""));
    s->esmtp = false;
    session_reply(s, 220, "2.0.0", "begin TLS");
    s->phase = SESSION_TLS;
    stream_start_tls(s->stream, tls_server_context(s->server->o.tls, s->listener, s->zone));
}
