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
 * Which command is fit for which phase stands in the table below; a handler (one file per verb or kin) replies and sets
 * the phase. Replies keep the order of the commands: while a commit is under way, while the spool is congested and
 * while too many replies wait for the client to read them, the session takes no input: it is held, and the client with
 * it.
 *
 * Ownership. A session belongs to its stream's callbacks. Handlers never free it: they call session_hang_up, and the
 * session is closed when control is back in on_input. Timers, draining and the server's end call session_close. One
 * thing outlives all of this: a commit cannot be cancelled, and queue_submit's callback holds the session. So
 * session_close in SESSION_COMMIT lets go of the stream only and the callback frees the rest; server_free moreover takes
 * away session->server. The callback is the only code that meets a session without stream or server. */
#include "server/session.h"
#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "net/tls.h"

#define AUTH_LINE_MAX (12288 + 2) /* AUTH with a response, or a response alone, with CRLF (RFC 4954 §4) */
#define INPUT_MAX (2 * COMMAND_LINE_MAX + AUTH_LINE_MAX)
#define COMMANDS_PER_TURN 100
#define UNSENT_MAX 65536      /* replies the client does not read */
#define SKIP_MAX 65536        /* of a line that is too long */
#define CHATTER_MAX 10000     /* commands without a message taken */
#define LINGER_MS 5000        /* after a QUIT none: the client waits for nothing but our reply */
#define DRAIN_GRACE_MS 3000   /* for a client that is between commands when the server is to be emptied */

#define IN(phase) (1u << (phase))
#define ANY_TIME (IN(SESSION_START) | IN(SESSION_READY) | IN(SESSION_MAIL) | IN(SESSION_RCPT))
#define AFTER_HELO (IN(SESSION_READY) | IN(SESSION_MAIL) | IN(SESSION_RCPT))

static const struct verb {
    unsigned phases;
    bool last;                /* nothing may be sent behind it before the reply came (RFC 2920 §3.1) */
    verb_handler *handler;
} verbs[] = {
    [COMMAND_EHLO] = { ANY_TIME, true, verb_ehlo },
    [COMMAND_HELO] = { ANY_TIME, true, verb_ehlo },
    [COMMAND_MAIL] = { IN(SESSION_READY), false, verb_mail },
    [COMMAND_RCPT] = { IN(SESSION_MAIL) | IN(SESSION_RCPT), false, verb_rcpt },
    [COMMAND_DATA] = { IN(SESSION_RCPT), true, verb_data },
    [COMMAND_RSET] = { ANY_TIME, false, verb_rset },
    [COMMAND_NOOP] = { ANY_TIME, false, verb_noop },
    [COMMAND_VRFY] = { ANY_TIME, false, verb_vrfy },
    [COMMAND_EXPN] = { ANY_TIME, false, verb_expn },
    [COMMAND_HELP] = { ANY_TIME, false, verb_help },
    [COMMAND_QUIT] = { ANY_TIME, false, verb_quit },
    [COMMAND_STARTTLS] = { AFTER_HELO, true, verb_starttls },
    [COMMAND_AUTH] = { ANY_TIME, true, verb_auth },
    [COMMAND_BDAT] = { ANY_TIME, false, verb_bdat },
    [COMMAND_XCLIENT] = { AFTER_HELO | IN(SESSION_START), true, verb_xclient },
};

/* ---- holding back */

static bool must_wait(const struct session *s)
{
    return s->phase == SESSION_COMMIT || s->congested || s->waiting || list_linked(&s->yield_link) ||
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
    if (s->phase == SESSION_COMMIT || s->congested || s->waiting) {
        stream_set_deadline(s->stream, 0);
        return;
    }
    if (s->phase == SESSION_DATA || s->phase == SESSION_CHUNK) {
        ms = t->data;
        if (!end || s->tx.end < end) end = s->tx.end;
    }
    if (s->server->draining && s->phase <= SESSION_READY && ms > DRAIN_GRACE_MS) ms = DRAIN_GRACE_MS;
    if (end) {
        uint64_t now = clock_mono_ms(), left = end > now ? end - now : 1;
        if (left < ms) ms = left;
    }
    stream_set_deadline(s->stream, ms);
}

/* ---- command lines */

static void refuse_order(struct session *s, enum command_verb v)
{
    const char *text = "this command is out of order";
    if (s->phase == SESSION_START) text = "please say EHLO or HELO first";
    else if (v == COMMAND_MAIL) text = "a sender was given already: RSET begins anew";
    else if (s->phase == SESSION_READY) text = "please give a sender with MAIL first";
    else if (v == COMMAND_DATA) {
        session_refuse(s, command_name(v), 554, "5.5.1", "no valid recipients", SLICE(""));
        return;
    }
    session_refuse(s, command_name(v), 503, "5.5.1", text, SLICE(""));
}

/* A browser or script made to speak to us, or message text where commands are due: not a line more of it. */
static bool is_foreign(struct slice line)
{
    static const char *const methods[] = { "GET ", "POST ", "PUT ", "HEAD ", "CONNECT ", "OPTIONS ", "PROXY " };
    struct slice word;
    for (size_t i = 0; i < countof(methods); i++)
        if (slice_istarts(line, slice_str(methods[i]))) return true;
    slice_cut(&line, ' ', &word);
    return word.n > 1 && word.p[word.n - 1] == ':';
}

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

/* A line without its CRLF; `behind` bytes came in with it. */
static void on_command(struct session *s, struct slice line, size_t behind)
{
    struct command c;
    struct command_error error;
    if (s->phase == SESSION_AUTH) {
        auth_take_line(s, line);
        return;
    }
    s->chatter++;
    if (!command_parse(line, &c, &error)) {
        bool foreign = c.verb == COMMAND_UNKNOWN && is_foreign(line);
        session_refuse(s, command_name(c.verb), foreign ? 521 : error.code, error.enhanced,
                       foreign ? "this is a mail server: what you send is not SMTP" : error.text,
                       c.verb == COMMAND_AUTH ? SLICE("AUTH") : line); /* the rest may be a password */
        if (foreign) session_hang_up(s, "not SMTP");
        else if (c.verb == COMMAND_BDAT) session_hang_up(s, "BDAT without a size"); /* a chunk may follow */
    } else if (verbs[c.verb].last && behind) {
        char text[100];
        snprintf(text, sizeof text, "improper pipelining: wait for the reply to %s", command_name(c.verb));
        session_refuse(s, command_name(c.verb), 554, "5.5.0", text, SLICE(""));
        session_hang_up(s, "improper pipelining");
    } else if (!(verbs[c.verb].phases & IN(s->phase)))
        refuse_order(s, c.verb);
    else
        verbs[c.verb].handler(s, &c);
    session_check_errors(s);
}

static bool is_secret(const struct session *s, struct slice line)
{
    return s->phase == SESSION_AUTH || slice_istarts(line, SLICE("AUTH"));
}

static void refuse_bare(struct session *s, struct slice line)
{
    session_refuse(s, "command", 521, "5.5.2", "a line must end in CRLF: bare CR and bare LF are not allowed",
                   is_secret(s, line) ? SLICE("") : line);
    session_hang_up(s, "bare CR or LF");
}

/* Passes over the rest of a line that is too long, up to its CRLF. */
static size_t skip_line(struct session *s, struct slice in)
{
    ptrdiff_t lf = slice_find(in, '\n');
    size_t n = lf < 0 ? in.n : (size_t)lf + 1;
    if (lf >= 0) {
        bool bare = lf > 0 ? in.p[lf - 1] != '\r' : !s->skip_cr;
        if (bare && !s->zone->bare_lf) refuse_bare(s, SLICE(""));
        s->skipping = false;
    }
    s->skip_cr = in.p[n - 1] == '\r';
    s->skipped += (uint32_t)n;
    if (s->skipped > SKIP_MAX) {
        session_reply(s, 421, "4.7.0", "the line has no end, good bye");
        session_hang_up(s, "endless line");
    }
    return n;
}

/* One that is too long; `look` bytes of it are there. What follows BDAT is a chunk, of a size we shall not know. */
static size_t begin_skipping(struct session *s, struct slice in, size_t look)
{
    bool bdat = slice_istarts(in, SLICE("BDAT "));
    session_refuse(s, "command", 500, s->phase == SESSION_AUTH ? "5.5.6" : "5.5.2", "the line is too long",
                   is_secret(s, in) ? SLICE("") : slice_sub(in, 0, 80));
    auth_break_off(s); /* RFC 4954 §4: a response that is too long ends the exchange */
    if (bdat) session_hang_up(s, "BDAT without a size");
    s->skipping = true;
    s->skip_cr = in.p[look - 1] == '\r';
    s->skipped = 0;
    return look;
}

/* Takes one line; 0 when it is not complete yet. */
static size_t take_line(struct session *s, struct slice in)
{
    if (s->skipping) return skip_line(s, in);
    size_t max = is_secret(s, in) ? AUTH_LINE_MAX : COMMAND_LINE_MAX, look = in.n < max ? in.n : max;
    const char *lf = memchr(in.p, '\n', look);
    const char *cr = memchr(in.p, '\r', lf ? (size_t)(lf - in.p) : look);
    bool bare_lf = lf && !cr && s->zone->bare_lf;
    if (!bare_lf && (lf ? !cr || cr + 1 != lf : cr && cr + 1 != in.p + look)) {
        refuse_bare(s, slice_of(in.p, lf ? (size_t)(lf - in.p) : look));
        return in.n;
    }
    if (lf) {
        size_t n = (size_t)(lf - in.p) + 1;
        on_command(s, slice_of(in.p, n - (bare_lf ? 1 : 2)), in.n - n);
        return n;
    }
    return look < max ? 0 : begin_skipping(s, in, look);
}

static size_t take_some(struct session *s, struct slice in)
{
    switch (s->phase) {
    case SESSION_DATA: return data_take(s, in);
    case SESSION_CHUNK: return chunk_take(s, in);
    default: return take_line(s, in);
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
    session_arm(s);
}

static const struct stream_ops stream_ops = {
    .on_input = on_input, .on_drained = on_drained, .on_end = on_end, .on_ready = on_ready,
};

void session_greet(struct session *s)
{
    char text[300];
    snprintf(text, sizeof text, "%s ESMTP Postern", s->server->o.config->hostname);
    session_reply(s, 220, NULL, text);
}

static void log_connect(const struct session *s)
{
    struct log_field peer = { .key = NULL };
    if (s->peer.family) peer = LOG_IP("peer", &s->peer);
    log_event(LOG_DEBUG, "connect", LOG_SESSION(s->id), LOG_IP("client", &s->ip), LOG_NUM("port", s->port),
              LOG_STR("zone", s->zone->name), peer);
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
    s->phase = SESSION_START;
    s->id = queue_new_id(server->o.queue);
    if (whole) s->end = clock_mono_ms() + whole;
    list_push_back(&server->sessions, &s->link);
    s->stream = stream_accept(server->o.streams, fd, INPUT_MAX, &stream_ops, s);
    log_connect(s);
    if (l->tls == CONFIG_TLS_IMPLICIT) {
        s->phase = SESSION_TLS;
        stream_start_tls(s->stream, tls_server_context(server->o.tls, l, zone), true, NULL);
    } else
        session_greet(s);
    session_arm(s);
}

void session_reset(struct session *s)
{
    struct transaction *tx = &s->tx;
    spool_draft_free(&tx->draft);
    header_reader_deinit(&tx->header);
    *tx = (struct transaction){ 0 };
    s->congested = false;
    arena_reset(&s->arena);
    if (s->phase > SESSION_READY && s->phase != SESSION_OVER) s->phase = SESSION_READY;
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
