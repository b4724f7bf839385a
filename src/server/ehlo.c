/* SPDX-License-Identifier: Apache-2.0
 * EHLO and HELO (RFC 5321 §4.1.1.1), STARTTLS (RFC 3207). */
#include <stdlib.h>
#include "base/log.h"
#include "net/tls.h"
#include "server/session.h"
#include "smtp/reply.h"

static bool can_start_tls(const struct session *s)
{
    return s->server->o.tls && (s->listener->tls == CONFIG_TLS_OFFER || s->listener->tls == CONFIG_TLS_REQUIRE) &&
           !stream_is_tls(s->stream);
}

static void reply_ehlo(struct session *s)
{
    struct buf text = { 0 };
    buf_add_str(&text, s->server->o.config->hostname);
    buf_add(&text, SLICE(" at your service\nPIPELINING\nSIZE "));
    buf_add_u64(&text, server_message_size(s));
    buf_add(&text, SLICE("\n8BITMIME\nENHANCEDSTATUSCODES"));
    if (can_start_tls(s)) buf_add(&text, SLICE("\nSTARTTLS"));
    session_reply(s, 250, NULL, buf_cstr(&text));
    buf_deinit(&text);
}

void verb_ehlo(struct session *s, const struct command *c)
{
    session_reset(s); /* RFC 5321 §4.1.4 */
    free(s->helo);
    s->helo = mem_slicedup(c->arg);
    s->esmtp = c->verb == COMMAND_EHLO;
    s->phase = SESSION_READY;
    if (s->esmtp) reply_ehlo(s);
    else session_reply(s, 250, NULL, s->server->o.config->hostname);
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
    free(s->helo);
    s->helo = NULL;
    s->esmtp = false;
    session_reply(s, 220, "2.0.0", "begin TLS");
    s->phase = SESSION_TLS;
    stream_start_tls(s->stream, tls_server_context(s->server->o.tls, s->listener, s->zone), true, NULL);
}
