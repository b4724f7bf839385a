/* SPDX-License-Identifier: Apache-2.0
 * An SMTP session: phases, command lines, and its life.
 *
 *            EHLO         MAIL        RCPT        DATA        CRLF.CRLF      on disk
 *     START ------> READY ----> MAIL ----> RCPT ----> DATA --------> COMMIT -------> READY
 *
 * BDAT leads from anywhere to CHUNK, and at the chunk's end back, after the last one to COMMIT.
 *
 * RSET and EHLO lead from MAIL and RCPT back to READY, STARTTLS from there by TLS to START, the last reply to OVER.
 *
 * Which command is fit for which phase stands in line.c's table; a handler (one file per verb or kin) replies and sets
 * the phase. Replies keep the order of the commands: while checks are asked, while a commit is under way, while the spool is
 * congested and while too many replies wait for the client to read them, the session takes no input: it is held, and the client with
 * it.
 *
 * Ownership. A session belongs to its stream's callbacks. Handlers never free it: they call session_hang_up, and the
 * session is closed when control is back in on_input. Timers, draining and the server's end call session_close. One
 * thing outlives all of this: a commit cannot be cancelled, and queue_submit's callback holds the session. So
 * session_close in SESSION_COMMIT lets go of the stream only and the callback frees the rest; server_free moreover takes
 * away session->server. The callback is the only code that meets a session without stream or server. */
#include "server/text.h"
#include "signer/signer.h"
#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "net/tls.h"

#define INPUT_MAX (2 * COMMAND_LINE_MAX + AUTH_LINE_MAX)
#define COMMANDS_PER_TURN 100
#define UNSENT_MAX 65536      /* replies the client does not read */
#define CHATTER_MAX 10000     /* commands without a message taken */
#define LINGER_MS 5000        /* after a QUIT none: the client waits for nothing but our reply */
#define ASKED_MS 600000       /* checks answer sooner, unless a process hangs that one of them asks */
#define DRAIN_GRACE_MS 3000   /* for a client that is between commands when the server is to be emptied */

/* ---- holding back */

static bool must_wait(const struct session *s)
{
    return s->phase == SESSION_COMMIT || s->congested || s->waiting || s->then || list_linked(&s->yield_link) ||
           stream_unsent(s->stream) > UNSENT_MAX;
}

static void hold(struct session *s)
{
    s->held = true;
    stream_pause(s->stream);
}

void session_go_on(struct session *s)
{
    if (!s->held || must_wait(s)) return;
    s->held = false;
    stream_resume(s->stream);
}

void session_resume(struct session *s)
{
    if (s->phase == SESSION_OVER) {
        session_close(s, s->reason, false);
        return;
    }
    session_go_on(s);
    session_arm(s);
}

/* So that a client with a thousand commands in one packet does not keep the others waiting; and so that replies are
 * sent before more are made (on_drained comes only for those that the kernel could not take). */
static void give_way(struct session *s)
{
    static const struct timeval at_once = { 0, 0 };
    if (list_linked(&s->yield_link)) return;
    if (list_empty(&s->server->yielding)) evtimer_add(s->server->yield, &at_once);
    list_push_back(&s->server->yielding, &s->yield_link);
}

void session_yield(struct server *server)
{
    struct list *node;
    while ((node = list_pop_front(&server->yielding))) session_go_on(list_entry(node, struct session, yield_link));
}

void session_arm(struct session *s)
{
    const struct config_timeouts *t = &s->server->o.config->timeouts;
    uint64_t ms = t->command, end = s->end;
    /* The client waits for us. Who is told of a timeout while the message goes to the disk will send it again. */
    if (s->phase == SESSION_COMMIT || s->congested) {
        stream_set_deadline(s->stream, 0);
        return;
    }
    bool text = s->phase == SESSION_DATA || s->phase == SESSION_CHUNK;
    if (text) ms = t->data;
    if ((text || s->tx.chunked) && !s->then && (!end || s->tx.end < end)) end = s->tx.end; /* chunked: also between two chunks */
    if (s->server->draining && s->phase <= SESSION_READY && ms > DRAIN_GRACE_MS) ms = DRAIN_GRACE_MS;
    if (s->then) ms = ASKED_MS;
    if (end) {
        uint64_t now = clock_mono_ms(), left = end > now ? end - now : 1;
        if (left < ms) ms = left;
    }
    stream_set_deadline(s->stream, ms);
}

/* ---- input */

static void say_restart(struct session *s)
{
    char text[300];
    snprintf(text, sizeof text, "%s is restarting, please try again at once", s->server->o.config->hostname);
    session_reply(s, 421, "4.3.2", text);
}

void session_check_errors(struct session *s)
{
    const char *reason = NULL;
    if (s->phase == SESSION_OVER) return;
    if (s->errors >= s->server->o.config->limits.errors) reason = "too many errors";
    else if (s->chatter > CHATTER_MAX) reason = "too many commands without a message";
    if (!reason) return;
    session_reply(s, 421, "4.7.0", reason);
    session_hang_up(s, reason);
}

static size_t take_some(struct session *s, struct slice in)
{
    switch (s->phase) {
    case SESSION_DATA: return data_take(s, in);
    case SESSION_CHUNK: return chunk_take(s, in);
    default: return line_take(s, in);
    }
}

static size_t take_input(struct session *s, struct slice in)
{
    size_t used = 0;
    unsigned commands = 0;
    while (used < in.n && s->phase != SESSION_OVER && s->phase != SESSION_TLS) {
        struct slice rest = slice_sub(in, used, in.n);
        bool text = s->phase == SESSION_DATA || s->phase == SESSION_CHUNK;
        bool enough = !text && ++commands > COMMANDS_PER_TURN;
        if (enough || stream_unsent(s->stream) > UNSENT_MAX) give_way(s);
        if (must_wait(s)) {
            if (!s->greeted) policy_talked_first(s->run);
            hold(s);
            break;
        }
        size_t n = take_some(s, rest);
        if (!n) break;
        used += n;
    }
    if (s->congested && !s->held) hold(s);
    /* Part of a line moves no deadline: one byte a minute is no way to stay. */
    if (used && s->phase != SESSION_OVER) session_arm(s);
    return used;
}

static size_t on_input(void *owner, struct slice in)
{
    struct session *s = owner;
    size_t used = take_input(s, in);
    if (s->phase == SESSION_OVER) {
        session_close(s, s->reason, false);
        return in.n;
    }
    return used;
}

/* ---- life */

static void on_drained(void *owner)
{
    session_go_on(owner);
}

static void on_end(void *owner, enum stream_end why, const struct err *err)
{
    static const char *const reasons[] = {
        [STREAM_EOF] = "lost", [STREAM_ERROR] = "error", [STREAM_TIMEOUT] = "timeout",
        [STREAM_TLS_FAILED] = "TLS failed",
    };
    struct session *s = owner;
    if (why == STREAM_ERROR || why == STREAM_TLS_FAILED)
        log_event(LOG_DEBUG, "connection", LOG_SESSION(s->id), LOG_IP("client", &s->ip), LOG_ERR(err));
    if (why == STREAM_TIMEOUT && s->phase != SESSION_TLS) { /* RFC 5321 §4.2.1: 421 may answer anything */
        if (s->server->draining) say_restart(s);
        else session_reply(s, 421, "4.4.2", "timeout, closing the connection");
        session_close(s, reasons[why], false);
        return;
    }
    session_close(s, reasons[why], true);
}

static void on_ready(void *owner)
{
    struct session *s = owner;
    s->phase = SESSION_START;
    if (s->listener->tls == CONFIG_TLS_IMPLICIT) session_greet(s);
    if (s->phase == SESSION_OVER) session_close(s, s->reason, false);
    else session_arm(s);
}

static const struct stream_ops stream_ops = {
    .on_input = on_input, .on_drained = on_drained, .on_end = on_end, .on_ready = on_ready,
};

void session_say_greeting(struct session *s)
{
    char text[300];
    snprintf(text, sizeof text, "%s ESMTP Postern", s->server->o.config->hostname);
    session_reply(s, 220, NULL, text);
}

static void log_connect(const struct session *s)
{
    char room[INTENDED_ROOM];
    struct log_field extra = s->peer.family ? LOG_IP("peer", &s->peer) : intended_field(s, room); /* never both */
    log_event(LOG_DEBUG, "connect", LOG_SESSION(s->id), LOG_IP("client", &s->ip), LOG_NUM("port", s->port),
              LOG_STR("zone", s->zone->name), extra);
}

void session_start(struct server *server, const struct config_listener *l, int fd, const struct origin *from,
                   const struct config_zone *zone, struct client *client)
{
    struct session *s = mem_new(struct session);
    uint64_t whole = server->o.config->timeouts.session;
    s->server = server;
    s->listener = l;
    s->zone = zone;
    s->client = client;
    s->ip = from->ip;
    s->port = from->port;
    s->peer = from->peer;
    s->unnamed = from->unnamed;
    s->intended = from->intended;
    s->intended_port = from->intended_port;
    s->phase = SESSION_START;
    s->id = queue_new_id(server->o.queue);
    if (whole) s->end = clock_mono_ms() + whole;
    list_push_back(&server->sessions, &s->link);
    s->stream = stream_accept(server->o.streams, fd, INPUT_MAX, &stream_ops, s);
    log_connect(s);
    if (l->tls == CONFIG_TLS_IMPLICIT) {
        s->phase = SESSION_TLS;
        stream_start_tls(s->stream, tls_server_context(server->o.tls, l, zone));
    } else
        session_greet(s);
    if (s->phase == SESSION_OVER) session_close(s, s->reason, false);
    else session_arm(s);
}

void session_reset(struct session *s)
{
    struct transaction *tx = &s->tx;
    if (s->run) policy_end_transaction(s->run); /* before the draft goes, which checks may look at */
    text_edit_cancel(s);
    signing_cancel(&tx->signing);
    spool_draft_free(&tx->draft);
    header_reader_deinit(&tx->header);
    header_reader_deinit(&tx->stray);
    *tx = (struct transaction){ 0 };
    s->congested = false;
    arena_reset(&s->arena);
    if (s->phase > SESSION_READY && s->phase != SESSION_OVER) s->phase = s->helo ? SESSION_READY : SESSION_START;
}

void session_hang_up(struct session *s, const char *reason)
{
    s->phase = SESSION_OVER;
    s->reason = reason;
}

void session_close(struct session *s, const char *reason, bool cut)
{
    bool committing = s->phase == SESSION_COMMIT;
    if (s->stream) session_log(s, "disconnect", reason);
    text_edit_cancel(s);
    signing_cancel(&s->tx.signing);
    policy_run_free(&s->run);
    s->then = NULL;
    list_remove(&s->yield_link);
    if (cut) stream_free(&s->stream);
    else stream_close(&s->stream, s->quit ? 0 : LINGER_MS);
    if (committing) return;
    auth_forget(s);
    session_reset(s);
    arena_deinit(&s->arena);
    free(s->helo);
    free(s->client_name);
    if (s->server) server_session_gone(s->server, s);
    free(s);
}

void session_drain(struct session *s)
{
    if (s->phase == SESSION_START || s->phase == SESSION_READY) session_arm(s);
}
