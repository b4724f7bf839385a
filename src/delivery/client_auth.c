/* SPDX-License-Identifier: Apache-2.0
 * AUTH towards a next hop (RFC 4954): the exchange itself is the auth process's, here are the lines that carry it. Whatever goes wrong, the
 * connection is not used for mail and the messages wait: a mistake in a password must not return anybody's mail, and mail that should go out
 * authenticated never goes out otherwise. */
#include "auth/auth.h"
#include <stdlib.h>
#include "base/base64.h"
#include "delivery/client.h"

#define MECHANISMS_MAX 1000
#define COMMAND_MAX 510        /* without CRLF (RFC 5321 §4.5.3.1.4, RFC 4954 §4) */
#define LINE_MAX_64 12288      /* base64 of one challenge (RFC 4954 §4) */
#define STEPS_MAX 8
#define SAID_MAX 65536

/* What is under way on one connection. */
struct client_sasl {
    struct buf mechanisms;     /* of the EHLO reply */
    const char *mechanism;
    struct buf held;           /* the initial response, when it was too long for the command; empty: none waits */
    bool asked;                /* our line is out, the server has to answer; else the auth process has to */
    struct buf said;           /* all responses, each with its base64, a line each: not to be quoted back into a log */
    unsigned steps;
    bool again;                /* a refused token was exchanged for another already */
};

bool client_auth_wanted(const struct client *c)
{
    return c->d->hop.hop && c->d->hop.hop->auth.user;
}

void client_auth_cancel(struct client *c)
{
    auth_cancel(&c->auth);
    if (!c->sasl) return;
    buf_deinit(&c->sasl->mechanisms);
    buf_wipe(&c->sasl->held);
    buf_wipe(&c->sasl->said);
    free(c->sasl);
    c->sasl = NULL;
}

/* ---- failures */

/* For the log and for each message that waits. An error is for people, a warning goes away by itself. */
static void give_up(struct client *c, enum log_level level, const char *event, const char *what, struct slice reply)
{
    struct buf text = { 0 };
    const char *mechanism = c->sasl && c->sasl->mechanism ? c->sasl->mechanism : "none";
    buf_add_str(&text, what);
    buf_add(&text, reply);
    log_event(level, event, LOG_STR("destination", c->d->hop.key), LOG_STR("host", c->name), LOG_STR("mechanism", mechanism),
              LOG_STR("user", c->d->hop.hop->auth.user), LOG_TEXT("reason", buf_slice(&text)));
    client_auth_cancel(c);
    client_fail(c, buf_cstr(&text));
    buf_deinit(&text);
}

static bool contains(struct slice text, struct slice part)
{
    return part.n && memmem(text.p, text.n, part.p, part.n);
}

/* Does the server quote a secret of ours? What was said is looked at in the pieces that a mechanism puts together. */
static bool quotes_us(const struct client *c, struct slice text)
{
    struct slice rest = buf_slice(&c->sasl->said), piece, bearer = SLICE("auth=Bearer ");
    while (rest.n) {
        size_t n = 0;
        while (n < rest.n && (unsigned char)rest.p[n] > 1 && rest.p[n] != '\n') n++;
        piece = slice_sub(rest, 0, n);
        rest = slice_sub(rest, n + 1, rest.n);
        if (slice_starts(piece, bearer)) piece = slice_sub(piece, bearer.n, piece.n);
        if (!slice_eq(piece, slice_str(c->d->hop.hop->auth.user)) && contains(text, piece)) return true;
    }
    return false;
}

/* The server's no. */
static void refused(struct client *c)
{
    struct buf what = { 0 }, reply = { 0 };
    bool permanent = c->reply.code / 100 == 5;
    struct slice text = slice_of(c->reply.text, c->reply.text_n);
    buf_addf(&what, "%s refused: ", c->sasl->mechanism ? c->sasl->mechanism : "AUTH");
    buf_addf(&reply, "%d %s%s", c->reply.code, c->reply.enhanced, c->reply.enhanced[0] ? " " : "");
    if (quotes_us(c, text)) buf_add_str(&reply, "(its words are left out, as they quote a secret)");
    else buf_add_printable(&reply, text, 120);
    give_up(c, permanent ? LOG_ERROR : LOG_WARNING, "authentication-refused", buf_cstr(&what), buf_slice(&reply));
    buf_deinit(&what);
    buf_deinit(&reply);
}

/* ---- our lines */

static void release_line(void *arg)
{
    buf_wipe(arg);
    free(arg);
}

/* Takes the line, which has room for two more bytes. It is lent to the stream, which keeps no copy of it. */
static void send_line(struct client *c, struct buf *line)
{
    struct buf *lent = mem_new(struct buf);
    buf_add_str(line, "\r\n");
    *lent = *line;
    stream_write_own(c->s, buf_slice(lent), release_line, lent);
    stream_set_deadline(c->s, c->q->config->timeouts.reply);
    c->sasl->asked = true;
}

static void note(struct client *c, struct slice data)
{
    struct buf *said = &c->sasl->said, more = { .max = SAID_MAX };
    if (said->n + 3 * data.n + 8 > said->cap) { /* growing by itself would leave copies of secrets */
        buf_reserve(&more, said->n + 3 * data.n + 512 < SAID_MAX ? said->n + 3 * data.n + 512 : SAID_MAX);
        buf_add(&more, buf_slice(said));
        buf_wipe(said);
        *said = more;
    }
    buf_add(said, data);
    buf_add_char(said, '\n');
    base64_add(said, data);
    buf_add_char(said, '\n');
}

static void send_response(struct client *c, struct slice data)
{
    struct buf line = { 0 };
    buf_reserve(&line, data.n * 2 + 8); /* at once, for the same reason */
    base64_add(&line, data);
    note(c, data);
    send_line(c, &line);
}

static void send_command(struct client *c, const struct auth_answer *a)
{
    struct client_sasl *s = c->sasl;
    struct buf line = { 0 };
    buf_reserve(&line, a->data.n * 2 + 64);
    buf_addf(&line, "AUTH %s", a->mechanism);
    size_t bare = line.n;
    if (a->has_data) {
        buf_add_char(&line, ' ');
        if (a->data.n) base64_add(&line, a->data);
        else buf_add_char(&line, '='); /* RFC 4954 §4 */
    }
    if (line.n > COMMAND_MAX) {
        line.n = bare;
        buf_add(&s->held, a->data);
    }
    note(c, a->data);
    send_line(c, &line);
}

/* ---- what the auth process says */

static void on_answer(void *arg, const struct auth_answer *a)
{
    struct client *c = arg;
    struct client_sasl *s = c->sasl;
    if (a->outcome != AUTH_CONTINUE) c->auth = NULL;
    if (a->outcome == AUTH_CONTINUE && !s->mechanism && a->mechanism) {
        s->mechanism = a->mechanism;
        send_command(c, a);
    } else if (a->outcome == AUTH_CONTINUE) {
        send_response(c, a->data);
    } else if (a->outcome == AUTH_OK) {
        log_event(LOG_DEBUG, "authenticated", LOG_STR("destination", c->d->hop.key), LOG_STR("host", c->name),
                  LOG_STR("mechanism", s->mechanism ? s->mechanism : "none"));
        client_auth_cancel(c);
        client_usable(c);
    } else {
        bool loud = a->outcome == AUTH_FAILED;
        give_up(c, loud ? LOG_ERROR : LOG_WARNING, "authentication-failed", "cannot authenticate: ", slice_str(a->reason));
    }
}

static void start(struct client *c)
{
    unsigned char binding[32];
    bool tls = stream_is_tls(c->s);
    struct auth_client_request r = { .hop = c->d->hop.hop->id, .mechanisms = buf_slice(&c->sasl->mechanisms), .host = c->host.name,
                                     .port = c->host.port, .tls = tls };
    if (tls && stream_tls_binding(c->s, binding)) r.binding = slice_of(binding, sizeof binding);
    if (!r.host[0]) r.host = c->d->hop.hop->host;
    c->sasl->asked = false;
    c->sasl->mechanism = NULL;
    buf_wipe(&c->sasl->held);
    stream_set_deadline(c->s, c->q->config->timeouts.reply);
    c->auth = auth_client_start(c->q->o.auth, &r, on_answer, c);
}

/* "AUTH PLAIN LOGIN", and "AUTH=PLAIN LOGIN" of servers that are older than the standard. */
static void take_mechanisms(struct client *c, struct buf *out)
{
    struct slice args;
    if (reply_ehlo_has(&c->reply, "AUTH", &args)) buf_add(out, args);
    else if (reply_ehlo_has(&c->reply, "AUTH=", &args)) buf_add(out, args);
    if (out->n > MECHANISMS_MAX) out->n = MECHANISMS_MAX;
    for (size_t i = 0; i < out->n; i++)
        if (out->p[i] < 0x20 || out->p[i] >= 0x7F) out->p[i] = ' '; /* RFC 4422 §3.1: names are upper-case letters, digits, - and _ */
}

void client_auth_start(struct client *c)
{
    c->stage = CLIENT_AUTH;
    c->sasl = mem_new(struct client_sasl);
    take_mechanisms(c, &c->sasl->mechanisms);
    if (!c->q->o.auth)
        give_up(c, LOG_ERROR, "authentication-failed", "cannot authenticate: the auth process is not there", slice_of(NULL, 0));
    else if (!c->sasl->mechanisms.n)
        give_up(c, LOG_ERROR, "authentication-not-offered",
                stream_is_tls(c->s) ? "it does not offer authentication, but we are to authenticate"
                                    : "it does not offer authentication without TLS, but we are to authenticate",
                slice_of(NULL, 0));
    else start(c);
}

/* ---- what the server says */

static void on_challenge(struct client *c)
{
    struct client_sasl *s = c->sasl;
    struct slice text = slice_of(c->reply.text, c->reply.text_n);
    struct buf data = { 0 };
    s->asked = false;
    if (text.n && text.p[text.n - 1] == ' ') text.n--; /* "334 " with one blank too many is common */
    if (++s->steps > STEPS_MAX || c->reply.lines != 1 || text.n > LINE_MAX_64 || !base64_decode(text, &data)) {
        give_up(c, LOG_ERROR, "authentication-failed", "cannot authenticate: its challenge is not one", slice_of(NULL, 0));
    } else if (s->held.n && data.n) {
        give_up(c, LOG_ERROR, "authentication-failed", "cannot authenticate: it sent a challenge where none belongs", slice_of(NULL, 0));
    } else if (s->held.n) { /* the initial response goes now */
        send_response(c, buf_slice(&s->held));
        buf_wipe(&s->held);
    } else {
        auth_step(c->auth, buf_slice(&data));
        stream_set_deadline(c->s, c->q->config->timeouts.reply);
    }
    buf_deinit(&data);
}

/* A token ends when it likes, and no mail needs to wait for that: once, another is asked for. */
static bool try_again(struct client *c)
{
    struct client_sasl *s = c->sasl;
    bool token = s->mechanism && (!strcmp(s->mechanism, "XOAUTH2") || !strcmp(s->mechanism, "OAUTHBEARER"));
    if (!token || s->again || c->reply.code != 535) return false;
    s->again = true;
    s->steps = 0;
    start(c);
    return true;
}

void client_auth_reply(struct client *c)
{
    struct client_sasl *s = c->sasl;
    if (!s || !c->auth || !s->asked) {
        if (c->reply.code == 421) client_fail_reply(c);
        else client_fail(c, "sent a reply that nobody asked for");
        return;
    }
    if (c->reply.code == 334) {
        on_challenge(c);
    } else if (c->reply.code == 235) {
        s->asked = false;
        auth_client_done(c->auth, true);
    } else if (c->reply.code == 535) {
        auth_client_done(c->auth, false); /* that was its end */
        c->auth = NULL;
        if (!try_again(c)) refused(c);
    } else {
        auth_cancel(&c->auth);
        refused(c);
    }
}
