/* SPDX-License-Identifier: Apache-2.0
 * XCLIENT: a relay in front of us, if it is listed, names its client. What it says counts as if that client had
 * connected itself: zone, limits and the right to relay follow the address it names. */
#include <stdlib.h>
#include "base/log.h"
#include "server/session.h"
#include "smtp/proxy.h"

/* Judged by who connected (or was named by a PROXY header); who is named by XCLIENT lends no right and takes none. */
bool xclient_offered(const struct session *s)
{
    if (s->xclient) return true;
    for (size_t i = 0; !s->unnamed && i < s->listener->xclient_n; i++)
        if (ip_net_has(&s->listener->xclient[i], &s->ip)) return true;
    return false;
}

void xclient_add_offer(const struct session *s, struct buf *text)
{
    if (!xclient_offered(s)) return;
    buf_add(text, SLICE("\nXCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT REVERSE_NAME"));
    if (s->listener->auth) buf_add(text, SLICE(" LOGIN"));
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = text[0] ? mem_strdup(text) : NULL;
}

/* The account may send as itself, if it is an address, and as nobody else. Empty: nobody is logged in. */
static void set_account(struct session *s, const char *login)
{
    auth_forget(s);
    set_text(&s->account, login);
}

static void log_xclient(const struct session *s)
{
    log_event(LOG_DEBUG, "xclient", LOG_SESSION(s->id), LOG_IP("client", &s->ip), LOG_NUM("port", s->port),
              LOG_STR("zone", s->zone->name), LOG_IP("peer", &s->peer), LOG_STR("name", s->client_name),
              LOG_STR("account", s->account));
}

/* Back to the greeting, as another client. With HELO it need not be said again. */
static void become(struct session *s, const struct xclient *x)
{
    bool new_client = x->given & XCLIENT_ADDR;
    session_reset(s);
    s->xclient = true;
    if (!s->peer.family) s->peer = s->ip;
    if (x->given & XCLIENT_PORT) s->port = x->port;
    if (new_client || (x->given & XCLIENT_LOGIN)) set_account(s, x->login);
    if (new_client || (x->given & XCLIENT_NAME)) set_text(&s->client_name, x->name);
    set_text(&s->helo, x->helo);
    if (x->given & XCLIENT_PROTO) s->esmtp = x->esmtp;
    else if (!s->helo) s->esmtp = false;
    s->phase = s->helo ? SESSION_READY : SESSION_START;
    if (new_client && !server_client_is(s, x->addr.family ? &x->addr : NULL, x->port)) return;
    log_xclient(s);
    session_greet(s);
}

void verb_xclient(struct session *s, const struct command *c)
{
    struct xclient x;
    const char *wrong = NULL;
    if (!xclient_offered(s)) {
        session_refuse(s, "XCLIENT", 550, "5.7.0", "insufficient authorization", SLICE(""));
        return;
    }
    if (s->phase > SESSION_READY) {
        session_refuse(s, "XCLIENT", 503, "5.5.1", "a mail transaction is under way", SLICE(""));
        return;
    }
    wrong = xclient_parse(c->arg, &x);
    if (!wrong && (x.given & XCLIENT_LOGIN) && !s->listener->auth) wrong = "LOGIN is not taken here";
    if (wrong) session_refuse(s, "XCLIENT", 501, "5.5.4", wrong, c->arg);
    else become(s, &x);
}
