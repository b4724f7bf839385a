/* SPDX-License-Identifier: Apache-2.0
 * The test client's side of the conversation: each answer decides what is said next. */
#include <assert.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include "base/clock.h"
#include "cli/send.h"

static void say_hello(struct send_session *s, bool extended)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s %s", extended ? "EHLO" : "HELO", s->send->helo);
    send_session_say(s, extended ? SEND_EHLO : SEND_HELO, buf_slice(&b));
    buf_deinit(&b);
    s->vanishing = s->send->vanish == VANISH_HELO;
}

static void say_quit(struct send_session *s)
{
    s->quitting = true;
    send_session_say(s, SEND_QUIT, SLICE("QUIT"));
}

/* ---- a message's commands */
static void say_mail(struct send_session *s)
{
    struct send *c = s->send;
    struct buf b = { 0 };
    struct slice from = slice_trim(slice_str(c->o.from));
    bool bracketed = from.n && from.p[0] == '<';
    buf_add_str(&b, bracketed ? "MAIL FROM:" : "MAIL FROM:<");
    buf_add(&b, from);
    if (!bracketed) buf_add_char(&b, '>');
    if (s->size) buf_addf(&b, " SIZE=%llu", (unsigned long long)send_message_size(c));
    if (s->eight && c->eight) buf_add_str(&b, " BODY=8BITMIME");
    send_session_say(s, SEND_MAIL, buf_slice(&b));
    buf_deinit(&b);
}

static void say_rcpt(struct send_session *s)
{
    struct buf b = { 0 };
    buf_add_str(&b, "RCPT TO:<");
    send_message_rcpt(s->send, s->number, s->rcpt_sent++, &b);
    buf_add_char(&b, '>');
    send_session_say(s, SEND_RCPT, buf_slice(&b));
    buf_deinit(&b);
}

static void begin_transaction(struct send_session *s)
{
    struct send *c = s->send;
    s->rcpt_n = send_message_rcpts(c);
    s->rcpt_sent = s->rcpt_done = s->rcpt_ok = s->rcpt_bad = 0;
    s->verdict = 0;
    s->mail_done = false;
    s->pipelined = c->o.pipeline && s->pipelining;
    say_mail(s);
    s->vanishing = c->vanish == VANISH_MAIL;
    if (!s->pipelined || s->vanishing) return;
    while (s->rcpt_sent < s->rcpt_n) say_rcpt(s);
    s->vanishing = c->vanish == VANISH_RCPT;
    if (!s->vanishing) {
        send_session_say(s, SEND_DATA, SLICE("DATA"));
        s->vanishing = c->vanish == VANISH_DATA;
    }
    s->stage = SEND_MAIL; /* the first of the answers to come */
}

void send_dialog_begin(struct send_session *s)
{
    if (s->number) {
        if (s->send->o.tls && !s->io.tls) {
            if (s->starttls) {
                send_session_say(s, SEND_STARTTLS, SLICE("STARTTLS"));
                return;
            }
            snprintf(s->send->last_error, sizeof s->send->last_error, "the server does not offer STARTTLS");
            send_session_close(s, false);
            send_dialog_settle(s, 0);
        } else if (s->stage == SEND_HANDSHAKE)
            say_hello(s, true); /* RFC 3207 §4.2: all that was known is forgotten */
        else
            begin_transaction(s);
    } else
        say_quit(s);
}

static void say_text(struct send_session *s)
{
    struct send *c = s->send;
    send_message_text(c, s->number, &s->out, &s->text);
    uint64_t size = s->out.n + s->text.n - 3;
    c->totals.bytes += size;
    s->stage = SEND_DOT;
    if (c->vanish == VANISH_TEXT) {
        s->text = slice_sub(s->text, 0, s->text.n / 2);
        s->vanishing = true;
    } else
        s->vanishing = c->vanish == VANISH_DOT;
    if (!c->o.verbose) return;
    char note[80];
    int n = snprintf(note, sizeof note, "(%llu bytes of text and the final dot)", (unsigned long long)size);
    send_report_show(s, "->", slice_of(note, (size_t)n));
}

/* ---- a message's end */
static void count(struct send_session *s, int code)
{
    struct send *c = s->send;
    s->number = 0;
    if (code >= 200 && code < 300) {
        c->totals.accepted++;
        c->totals.rcpt_refused += s->rcpt_bad;
    } else if (code) {
        c->totals.refused++;
        c->totals.refused_by[code < 600 ? code : 599]++;
    } else if (c->vanish)
        c->totals.vanished++;
    else
        c->totals.lost++;
}

/* Permanent answers are final; of the others the same message is tried again as long as --retry says. */
static bool wants_retry(struct send_session *s, int code)
{
    struct send *c = s->send;
    if (!c->o.retry || c->vanish || c->loop.stop || (code >= 200 && code < 400) || code >= 500) return false;
    uint64_t now = clock_mono_ms();
    if (!s->retry_until) s->retry_until = now + c->o.retry * 1000;
    if (now >= s->retry_until) return false;
    c->totals.retries++;
    return true;
}

void send_dialog_settle(struct send_session *s, int code)
{
    struct send *c = s->send;
    bool accepted = code >= 200 && code < 300;
    if (wants_retry(s, code)) {
        send_session_start(s);
        return;
    }
    count(s, code);
    if (s->io.fd < 0) {
        send_session_start(s);
        return;
    }
    s->taken++;
    if (code == 421) { /* RFC 5321 §3.8: the server closes */
        send_session_close(s, false);
        send_session_start(s);
    } else if (c->o.reconnect || s->stage < SEND_MAIL)
        say_quit(s);
    else if (!accepted && s->mail_done)
        send_session_say(s, SEND_RSET, SLICE("RSET"));
    else
        send_session_start(s);
}

/* ---- answers */
static void refused(struct send_session *s, int code)
{
    if (!s->verdict) {
        s->verdict = code;
        struct buf b = { 0 };
        buf_addf(&b, "%d ", code);
        buf_add_printable(&b, slice_of(s->reader.text, s->reader.text_n), 200);
        snprintf(s->send->last_error, sizeof s->send->last_error, "%s", buf_cstr(&b));
        buf_deinit(&b);
    }
}

/* An answer that ends the message at hand, where no 2xx may come. */
static void reject(struct send_session *s, int code)
{
    if (code < 400) {
        send_session_lost(s, "the server talks out of turn");
        return;
    }
    refused(s, code);
    send_dialog_settle(s, s->verdict);
}

static void on_ehlo(struct send_session *s, int code)
{
    struct slice args;
    if (code >= 500 && code <= 504 && s->stage == SEND_EHLO) { /* RFC 5321 §3.2 */
        say_hello(s, false);
        return;
    }
    if (code / 100 != 2) {
        reject(s, code);
        return;
    }
    if (s->stage == SEND_EHLO) {
        s->pipelining = reply_ehlo_has(&s->reader, "PIPELINING", &args);
        s->size = reply_ehlo_has(&s->reader, "SIZE", &args);
        s->eight = reply_ehlo_has(&s->reader, "8BITMIME", &args);
        s->starttls = reply_ehlo_has(&s->reader, "STARTTLS", &args);
    }
    send_dialog_begin(s);
}

static void on_starttls(struct send_session *s, int code)
{
    if (code != 220) {
        reject(s, code);
        return;
    }
    s->stage = SEND_HANDSHAKE;
    s->pipelining = s->size = s->eight = s->starttls = false;
    if (!load_io_start_tls(&s->io, s->send->tls, false) || load_io_handshake(&s->io) == LOAD_BROKEN)
        send_session_lost(s, "the TLS handshake failed");
}

static void on_mail(struct send_session *s, int code)
{
    s->mail_done = code / 100 == 2;
    if (code == 421 && s->taken) { /* the server wants a new connection for the next message */
        send_session_close(s, false);
        send_session_open(s);
        return;
    }
    if (!s->mail_done) refused(s, code);
    if (code != 421 && s->pipelined) s->stage = SEND_RCPT;
    else if (!s->mail_done) send_dialog_settle(s, code);
    else {
        say_rcpt(s);
        s->vanishing = s->send->vanish == VANISH_RCPT && s->rcpt_sent == s->rcpt_n;
    }
}

static void on_rcpt(struct send_session *s, int code)
{
    s->rcpt_done++;
    if (code / 100 == 2) s->rcpt_ok++;
    else s->rcpt_bad++;
    if (code == 421 || (s->rcpt_done == s->rcpt_n && !s->rcpt_ok)) refused(s, code);
    if (code == 421)
        send_dialog_settle(s, code);
    else if (s->pipelined) {
        if (s->rcpt_done == s->rcpt_n) s->stage = SEND_DATA;
    } else if (s->rcpt_done < s->rcpt_n) {
        say_rcpt(s);
        s->vanishing = s->send->vanish == VANISH_RCPT && s->rcpt_sent == s->rcpt_n;
    } else if (!s->rcpt_ok)
        send_dialog_settle(s, s->verdict);
    else {
        send_session_say(s, SEND_DATA, SLICE("DATA"));
        s->vanishing = s->send->vanish == VANISH_DATA;
    }
}

static void on_data(struct send_session *s, int code)
{
    if (code == 354 && !s->verdict) say_text(s);
    else if (code == 354) send_session_say(s, SEND_DOT, SLICE(".")); /* RFC 2920 §3.1: no text for nobody */
    else reject(s, code);
}

static void on_dot(struct send_session *s, int code)
{
    if (code / 100 != 2) refused(s, code);
    else if (!s->verdict) send_report_accepted(s);
    send_dialog_settle(s, s->verdict ? s->verdict : code);
}

void send_dialog_reply(struct send_session *s)
{
    int code = s->reader.code;
    send_report_show(s, "<-", slice_of(s->reader.text, s->reader.text_n));
    if (s->vanishing) return; /* still writing what comes before the vanishing */
    switch (s->stage) {
    case SEND_GREETING:
        if (code == 220) say_hello(s, true);
        else reject(s, code);
        break;
    case SEND_EHLO:
    case SEND_HELO: on_ehlo(s, code); break;
    case SEND_STARTTLS: on_starttls(s, code); break;
    case SEND_MAIL: on_mail(s, code); break;
    case SEND_RCPT: on_rcpt(s, code); break;
    case SEND_DATA: on_data(s, code); break;
    case SEND_DOT: on_dot(s, code); break;
    case SEND_RSET: send_session_start(s); break;
    case SEND_QUIT:
        send_session_close(s, false);
        send_session_start(s);
        break;
    default: send_session_lost(s, "the server talks out of turn");
    }
}
