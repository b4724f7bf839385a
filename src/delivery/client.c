/* SPDX-License-Identifier: Apache-2.0
 * One connection to a host of a destination: its life, and which part of the session a reply is for. What the server says is
 * never trusted to fit what was asked: a reply nobody asked for, one of the wrong kind or one too early ends the session, and
 * only messages whose own final reply was seen are counted as delivered. */
#include "delivery/client.h"
#include <assert.h>
#include <stdlib.h>
#include "delivery/reason.h"
#include "message/convert.h"

#define INPUT_MAX 16384     /* a line of a reply is shorter */
#define LINGER_MS 2000      /* for QUIT */
#define PART_TRIES 3        /* connections a part may lose before it is deferred */
#define FAIR_SHARE 20       /* messages after which a connection is given up when others want one */

/* ---- words */

void client_add_reason(const struct client *c, struct buf *out)
{
    reason_add_reply(out, slice_str(c->name), c->reply.code, c->reply.enhanced, slice_of(c->reply.text, c->reply.text_n));
}

static void set_name(struct client *c)
{
    struct buf b = { 0 };
    targets_add_name(&c->host, &b);
    snprintf(c->name, sizeof c->name, "%s", buf_cstr(&b));
    buf_deinit(&b);
}

/* ---- the end */

void client_free(struct client *c)
{
    struct destination *d = c->d;
    bool usable = c->usable;
    assert(!c->sending && !c->ending);
    verify_lost(c, SLICE("the connection was closed"));
    client_auth_cancel(c);
    stream_free(&c->s);
    client_tls_free(c);
    if (c->gone) *c->gone = true;
    if (list_linked(&c->idle_link)) d->idle_n--;
    list_remove(&c->link);
    list_remove(&c->idle_link);
    list_remove(&c->lru_link);
    list_remove(&c->pump_link);
    free(c->chunk);
    convert_free(&c->convert);
    buf_deinit(&c->converted);
    free(c);
    destination_client_gone(d, usable);
}

void client_quit(struct client *c)
{
    assert(!c->borrowed);
    if (c->s && c->usable) {
        stream_write(c->s, SLICE("QUIT\r\n"));
        stream_close(&c->s, LINGER_MS);
    }
    client_free(c);
}

/* Text that was not sent to its end cannot have been accepted: another connection may try at once. */
static void give_back(struct client *c, struct part *p, bool may_have_arrived, struct slice reason)
{
    uint32_t n = part_unsettled(p);
    p->tries++;
    if (n && (may_have_arrived || p->tries >= PART_TRIES)) {
        client_log(c, p, "deferred", client_first_unsettled(p), n, reason);
        part_result_all(p, RCPT_PENDING, reason);
        part_done(p);
        return;
    }
    destination_requeue(p);
}

/* To the final dot, whatever of the commands behind it may still wait. */
static bool text_is_sent(const struct client *c)
{
    return !c->texting && !c->borrowed && stream_unsent(c->s) <= c->behind_text;
}

static void fail(struct client *c, struct slice reason, bool tls)
{
    struct destination *d = c->d;
    struct part *ending = c->ending, *sending = c->sending;
    bool all_sent = c->ending && c->s && text_is_sent(c), worked = c->worked, usable = c->usable;
    struct route_target host = c->host;
    c->ending = NULL;
    client_set_sending(c, NULL);
    verify_lost(c, reason);
    stream_free(&c->s); /* first: it may still hold pieces of a text */
    if (usable && (ending || sending))
        log_event(LOG_INFO, "delivery-session-failed", LOG_STR("destination", d->hop.key), LOG_TEXT("reply", reason));
    if (ending && c->nothing_sent) part_done(ending);
    else if (ending) give_back(c, ending, all_sent, reason);
    if (sending) give_back(c, sending, false, reason);
    client_free(c);
    if (!usable) destination_connect_failed(d, &host, tls, reason);
    else if (!worked && (ending || sending)) destination_session_failed(d, reason);
}

static void fail_text(struct client *c, const char *code, const char *what, bool tls)
{
    struct buf reason = { 0 };
    buf_addf(&reason, "%s %s: ", code, c->name);
    buf_add_printable(&reason, slice_str(what), 200);
    fail(c, buf_slice(&reason), tls);
    buf_deinit(&reason);
}

/* From STARTTLS to the first reply that comes encrypted, where TLS is opportunistic: a host that cannot do it well, whatever goes wrong,
 * gets the mail without (RFC 7435 §3). */
static bool may_go_without(const struct client *c)
{
    return client_tls_need(c) == TLS_MAY && !c->usable && (c->stage == CLIENT_STARTTLS || c->stage == CLIENT_TLS ||
                          (c->stage == CLIENT_EHLO && c->s && stream_is_tls(c->s)));
}

void client_fail(struct client *c, const char *what)
{
    fail_text(c, c->usable ? "4.4.2" : c->stage == CLIENT_AUTH ? "4.7.0" : "4.4.1", what, may_go_without(c));
}

void client_fail_reply(struct client *c)
{
    struct buf reason = { 0 };
    client_add_reason(c, &reason);
    fail(c, buf_slice(&reason), may_go_without(c));
    buf_deinit(&reason);
}

void client_fail_said(struct client *c, const char *meaning)
{
    struct buf reason = { 0 };
    client_add_reason(c, &reason);
    buf_addf(&reason, " (%s)", meaning);
    fail(c, buf_slice(&reason), may_go_without(c));
    buf_deinit(&reason);
}

void client_fail_unfit(struct client *c, const char *what)
{
    stream_write(c->s, SLICE("QUIT\r\n"));
    stream_close(&c->s, LINGER_MS);
    fail_text(c, "5.7.30", what, false);
}

void client_fail_tls(struct client *c, const char *code, struct slice what)
{
    struct buf reason = { 0 };
    bool without = may_go_without(c);
    buf_addf(&reason, "%s %s: ", c->d->hop.require_tls ? "5.7.10" : code, c->name); /* RFC 8689 §4.2.1 */
    buf_add_printable(&reason, what, 200);
    client_tls_add_cause(c, &reason);
    client_tls_count(c, strcmp(code, "4.7.4") ? "validation-failure" : "starttls-not-supported", what);
    fail(c, buf_slice(&reason), without);
    buf_deinit(&reason);
}

static const char *doing(const struct client *c)
{
    static const char *const names[] = { "connecting", "waiting for the greeting", "saying EHLO", "saying HELO",
                                         "asking for TLS", "in the TLS handshake", "authenticating", "idle", "saying MAIL", "saying RCPT",
                                         "saying DATA" };
    if (c->ending) return c->texting ? "sending the text" : "waiting for the reply to the text";
    return names[c->stage];
}

/* What the server failed to prove says more than what the handshake came to. */
static void fail_handshake(struct client *c, const char *what)
{
    struct buf b = { 0 };
    client_tls_add_failure(c, &b);
    client_fail_tls(c, "4.7.5", b.n ? buf_slice(&b) : slice_str(what));
    buf_deinit(&b);
}

static void on_end(void *owner, enum stream_end why, const struct err *err)
{
    struct client *c = owner;
    char what[sizeof err->text + 64];
    if (c->stage == CLIENT_CONNECT && why != STREAM_TIMEOUT) snprintf(what, sizeof what, "%s", err->text); /* which says so itself */
    else snprintf(what, sizeof what, "%s while %s", why == STREAM_TIMEOUT ? "timed out" : err->text, doing(c));
    if (why == STREAM_TLS_FAILED) fail_handshake(c, what);
    else if (may_go_without(c)) fail_text(c, "4.7.5", what, true);
    else client_fail(c, what);
}

/* ---- replies */

static void on_early_reply(struct client *c)
{
    struct part *p = c->ending;
    bool refused = c->reply.code >= 400;
    if (client_is_lmtp(c)) { /* whom it is about nobody knows */
        client_fail(c, "sent a reply before the text's end");
        return;
    }
    stream_free(&c->s); /* what is not sent of the text is not wanted */
    if (refused) {
        c->ending = NULL;
        c->worked = true;
        client_decide(c, p);
        part_done(p);
    }
    client_fail(c, refused ? "refused the text before its end" : "accepted the text before its end");
}

static void on_reply(struct client *c)
{
    if (!c->usable) client_hello_reply(c);
    else if (c->d->asker && c->stage != CLIENT_IDLE) verify_reply(c);
    else if (c->ending && !text_is_sent(c)) on_early_reply(c);
    else if (c->ending && client_is_lmtp(c)) client_lmtp_reply(c);
    else if (c->ending) client_dot_reply(c);
    else if (c->sending || c->rset_awaited) client_mail_reply(c);
    else if (c->reply.code == 421) client_quit(c); /* RFC 5321 §3.8: it closes an idle connection */
    else client_fail(c, "sent a reply that nobody asked for");
}

static size_t on_input(void *owner, struct slice in)
{
    struct client *c = owner;
    struct slice rest = in;
    bool gone = false, ahead = false;
    const char *why = "";
    c->gone = &gone;
    while (!gone && c->stage != CLIENT_TLS) {
        enum reply_status status = reply_read(&c->reply, &rest, &why);
        if (status == REPLY_MORE) {
            c->gone = NULL;
            return in.n - rest.n;
        }
        size_t unsent = stream_unsent(c->s);
        if (status == REPLY_BAD) client_fail(c, why);
        else if (ahead && !c->ending && c->reply.code != 421) client_fail(c, "sent a reply ahead of the command it is for");
        else on_reply(c);
        /* What is written in answer to a reply is written when no other is awaited, and has not gone out yet. */
        ahead = !gone && stream_unsent(c->s) > unsent;
    }
    if (!gone) c->gone = NULL;
    return in.n;
}

static void await_greeting(struct client *c)
{
    c->stage = CLIENT_GREETING;
    stream_set_deadline(c->s, c->q->config->timeouts.greeting);
}

static void on_tls(struct client *c)
{
    struct buf why = { 0 };
    if (!client_tls_proven(c, &why)) client_fail_tls(c, "4.7.5", buf_slice(&why));
    else if (client_tls_implicit(c)) await_greeting(c);
    else client_hello_start(c); /* RFC 3207 §4.2: what was said before counts no more */
    buf_deinit(&why);
}

static void on_ready(void *owner)
{
    struct client *c = owner;
    if (c->stage == CLIENT_TLS) on_tls(c);
    else if (client_tls_implicit(c)) client_hello_tls(c);
    else await_greeting(c);
}

static const struct stream_ops client_ops = { .on_input = on_input, .on_end = on_end, .on_ready = on_ready };

/* ---- the beginning */

static const struct ip *source_for(const struct destination *d, const struct ip *to)
{
    return to->family == 4 ? &d->hop.source4 : &d->hop.source6;
}

bool client_open(struct destination *d, struct target *target, struct err *err)
{
    struct queue *q = d->q;
    struct client *c = mem_new(struct client);
    c->q = q;
    c->d = d;
    c->host = target->t;
    c->s = route_is_here(&d->hop) ? stream_connect_path(q->o.streams, d->hop.hop->path, INPUT_MAX, &client_ops, c, err)
                                          : stream_connect(q->o.streams, &c->host.ip, c->host.port, source_for(d, &c->host.ip), INPUT_MAX,
                                                           &client_ops, c, err);
    if (!c->s) {
        free(c);
        return false;
    }
    set_name(c);
    client_tls_open(c, target);
    c->no_tls = client_tls_need(c) == TLS_MAY && target->no_tls_until > clock_mono_ms();
    stream_set_deadline(c->s, q->config->timeouts.connect);
    list_push_back(&d->clients, &c->link);
    d->client_n++;
    d->connecting_n++;
    q->connections++;
    return true;
}

/* ---- what to send next */

static void go_idle(struct client *c)
{
    if (list_linked(&c->idle_link)) return;
    free(c->chunk);
    c->chunk = NULL;
    buf_deinit(&c->converted);
    c->idle_since = clock_mono_ms();
    c->d->idle_n++;
    destination_wake_starved(c->q); /* this one can make room */
    list_push_front(&c->d->idle, &c->idle_link); /* the last used first: others may time out */
    list_push_back(&c->q->idle, &c->lru_link);
    stream_set_deadline(c->s, 0); /* the queue's tick ends it */
}

static void leave_idle(struct client *c)
{
    if (!list_linked(&c->idle_link)) return;
    c->d->idle_n--;
    list_remove(&c->idle_link);
    list_remove(&c->lru_link);
}

void client_set_sending(struct client *c, struct part *p)
{
    if (c->pipelining) c->d->soon_n += (p != NULL) - (unsigned)(c->sending != NULL);
    c->sending = p;
}

static void ask_next(struct client *c)
{
    leave_idle(c);
    if (verify_next(c)) return;
    if (c->q->draining || verify_is_spent(c)) client_quit(c);
    else go_idle(c);
}

void client_next(struct client *c)
{
    if (c->d->asker) {
        ask_next(c);
        return;
    }
    struct part *p;
    unsigned most = c->q->config->delivery.messages_per_connection;
    unsigned messages = c->messages + (c->ending != NULL);
    bool last = c->q->draining || (most && messages >= most) || (c->mail_max && c->mails >= c->mail_max) || /* RFC 9422 §4.1 */
                (messages >= FAIR_SHARE && !list_empty(&c->q->starved));
    leave_idle(c);
    while (!last && !c->sending && (p = destination_take(c->d))) client_mail_start(c, p);
    if (last && c->d->ready_n) destination_kick(c->d); /* it may have been counted on */
    if (c->sending || c->ending) return;
    if (last) client_quit(c);
    else go_idle(c);
}
