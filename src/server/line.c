/* SPDX-License-Identifier: Apache-2.0
 * Command lines of a session: where each ends, which command is fit for which phase, and what a line that is none is answered.
 * What may be a password never gets into the log: neither a line with AUTH, nor one that came where a response was due. */
#include <stdio.h>
#include "base/mem.h"
#include "server/session.h"

#define SKIP_MAX 65536 /* of a line that is too long */

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

/* Whatever stands behind it: "BDAT\t5" is no command here, but who sends that may mean it. */
static bool is_bdat(struct slice line) { return slice_istarts(line, SLICE("BDAT")); }

static bool is_auth(const struct session *s, struct slice line)
{
    return s->phase == SESSION_AUTH || slice_istarts(slice_trim(line), SLICE("AUTH"));
}

/* Programs go on with name and password whether AUTH was accepted or not. */
static bool is_secret(const struct session *s, struct slice line) { return s->auth_said || is_auth(s, line); }

static bool may_omit_helo(const struct session *s, enum command_verb v)
{
    return v == COMMAND_MAIL && s->phase == SESSION_START && !s->server->o.config->checks.helo.required;
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
    bool ok = command_parse(line, &c, &error);
    if (c.verb != COMMAND_UNKNOWN) s->auth_said = c.verb == COMMAND_AUTH;
    if (!ok) {
        bool foreign = c.verb == COMMAND_UNKNOWN && is_foreign(line);
        session_refuse(s, command_name(c.verb), foreign ? 521 : error.code, error.enhanced,
                       foreign ? "this is a mail server: what you send is not SMTP" : error.text,
                       is_secret(s, line) ? SLICE("") : line);
        if (foreign) session_hang_up(s, "not SMTP");
        else if (is_bdat(line)) session_hang_up(s, "BDAT without a size"); /* a chunk may follow */
    } else if (verbs[c.verb].last && behind) {
        char text[100];
        snprintf(text, sizeof text, "improper pipelining: wait for the reply to %s", command_name(c.verb));
        session_refuse(s, command_name(c.verb), 554, "5.5.0", text, SLICE(""));
        session_hang_up(s, "improper pipelining");
    } else if (!(verbs[c.verb].phases & IN(s->phase)) && !may_omit_helo(s, c.verb))
        refuse_order(s, c.verb);
    else
        verbs[c.verb].handler(s, &c);
    session_check_errors(s);
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
    session_refuse(s, "command", 500, s->phase == SESSION_AUTH ? "5.5.6" : "5.5.2", "the line is too long",
                   is_secret(s, in) ? SLICE("") : slice_sub(in, 0, 80));
    auth_break_off(s); /* RFC 4954 §4: a response that is too long ends the exchange */
    if (is_bdat(in)) session_hang_up(s, "BDAT without a size");
    s->skipping = true;
    s->skip_cr = in.p[look - 1] == '\r';
    s->skipped = 0;
    return look;
}

size_t line_take(struct session *s, struct slice in)
{
    if (s->skipping) return skip_line(s, in);
    bool auth = is_auth(s, in);
    if (auth || s->auth_said) stream_wipe_input(s->stream);
    size_t max = auth ? AUTH_LINE_MAX : COMMAND_LINE_MAX, look = in.n < max ? in.n : max;
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
