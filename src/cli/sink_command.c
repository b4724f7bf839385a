/* SPDX-License-Identifier: Apache-2.0
 * The test server's side of the conversation: commands, text and answers. It is lenient about grammar, which is not what it
 * tests, but strict about CRLF, which is. */
#include <assert.h>
#include "cli/sink.h"

#define LINE_MAX_BYTES 4096
#define RCPTS_MAX_BYTES (4 * 1024 * 1024)
#define ERRORS_MAX 100

static const struct slice NONE = { NULL, 0 };

static void say(struct sink_session *s, struct slice reply)
{
    buf_add(&s->out, reply);
}

static void complain(struct sink_session *s, struct slice reply)
{
    say(s, reply);
    if (++s->errors < ERRORS_MAX) return;
    say(s, SLICE("421 4.7.0 too many errors\r\n"));
    s->closing = true;
}

bool sink_answer(struct sink_session *s, enum sink_stage stage, struct slice addresses, struct slice reply)
{
    struct sink *k = s->sink;
    const struct sink_rule *rule = sink_rule_find(&k->rules, stage, addresses);
    if (rule && rule->drop) {
        k->totals.dropped++;
        s->dropped = s->closing = true;
        return false;
    }
    if (k->rules.slow[stage]) sink_session_pause(s, k->rules.slow[stage]);
    say(s, rule ? rule->reply : reply);
    if (!rule) return true;
    k->totals.refused++;
    if (rule->code == 421) s->closing = true; /* RFC 5321 §3.8 */
    return false;
}

static void end_transaction(struct sink_session *s)
{
    s->mail = s->in_text = false;
    s->rcpt_n = 0;
    s->size = 0;
    buf_clear(&s->sender);
    buf_clear(&s->rcpts);
    buf_clear(&s->text);
    if (s->text.cap > 64 * 1024) buf_deinit(&s->text);
    if (s->rcpts.cap > 64 * 1024) buf_deinit(&s->rcpts);
}

/* ---- text */
static unsigned step(unsigned state, char c)
{
    if (c == "\r\n.\r\n"[state]) return state + 1;
    return c == '\r';
}

size_t sink_find_end(unsigned *state, const char *p, size_t n, bool *found)
{
    unsigned at = *state;
    size_t i = 0;
    *found = false;
    while (i < n && !*found) {
        if (at) {
            at = step(at, p[i++]);
            *found = at == 5;
            continue;
        }
        /* Nothing of the end has been seen: only a dot can be part of it, so all else is passed over at memory speed. */
        const char *dot = memchr(p + i, '.', n - i);
        size_t from = i, to = dot ? (size_t)(dot - p) : n;
        bool after_line = to - from >= 2 && p[to - 2] == '\r' && p[to - 1] == '\n';
        if (dot) at = after_line ? 3 : 0;
        else at = after_line ? 2 : p[to - 1] == '\r';
        i = dot ? to + 1 : n;
    }
    *state = at;
    return i;
}

static void end_message(struct sink_session *s)
{
    struct sink *k = s->sink;
    s->size -= s->size < 3 ? s->size : 3; /* the line with the dot is not text */
    if (s->size > k->message_max) {
        k->totals.refused++;
        complain(s, SLICE("552 5.3.4 larger than the announced size\r\n"));
        end_transaction(s);
        return;
    }
    if (sink_answer(s, SINK_DOT, buf_slice(&s->rcpts), NONE)) {
        if (sink_record_message(s)) {
            say(s, SLICE("250 2.0.0 received\r\n"));
            k->totals.messages++;
            k->totals.recipients += s->rcpt_n;
            k->totals.bytes += s->size;
            if (k->once && k->totals.messages >= k->once) k->stopping = true;
        } else
            say(s, SLICE("451 4.3.0 cannot keep it\r\n"));
    }
    end_transaction(s);
}

static size_t take_text(struct sink_session *s, const char *p, size_t n)
{
    struct sink *k = s->sink;
    if (!s->text_begun) {
        s->text_begun = true;
        const struct sink_rule *rule = sink_rule_find(&k->rules, SINK_TEXT, buf_slice(&s->rcpts));
        if (rule) {
            k->totals.dropped++;
            s->dropped = s->closing = true;
            return 0;
        }
        if (k->rules.slow[SINK_TEXT]) {
            sink_session_pause(s, k->rules.slow[SINK_TEXT]);
            return 0;
        }
    }
    bool found;
    size_t used = sink_find_end(&s->dot, p, n, &found), want = sink_record_want(k);
    s->size += used;
    if (s->text.n < want) buf_add(&s->text, slice_of(p, used < want - s->text.n ? used : want - s->text.n));
    if (found) end_message(s);
    return used;
}

/* ---- commands */
/* The address within <...> after "FROM:" or "TO:"; quoted parts may hold ">". What is behind it goes to *params. */
static bool find_path(struct slice line, struct slice keyword, struct slice *path, struct slice *params)
{
    struct slice s = slice_trim(slice_sub(line, 4, line.n));
    if (!slice_istarts(s, keyword)) return false;
    s = slice_trim(slice_sub(s, keyword.n, s.n));
    if (!s.n || s.p[0] != '<') return false;
    bool quoted = false;
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == 0) return false;
        if (s.p[i] == '\\' && quoted) i++;
        else if (s.p[i] == '"') quoted = !quoted;
        else if (s.p[i] == '>' && !quoted) {
            *path = slice_sub(s, 1, i);
            *params = slice_sub(s, i + 1, s.n);
            return true;
        }
    }
    return false;
}

static bool size_too_big(const struct sink *k, struct slice params)
{
    struct slice word;
    uint64_t size;
    while (params.n) {
        slice_cut(&params, ' ', &word);
        if (slice_istarts(word, SLICE("SIZE=")) && slice_to_u64(slice_sub(word, 5, word.n), UINT64_MAX, &size))
            return size > k->message_max;
    }
    return false;
}

static void do_mail(struct sink_session *s, struct slice line)
{
    struct slice path, params;
    if (!s->greeted || s->mail) {
        complain(s, SLICE("503 5.5.1 bad sequence of commands\r\n"));
    } else if (!find_path(line, SLICE("FROM:"), &path, &params)) {
        complain(s, SLICE("501 5.5.4 MAIL FROM:<address>\r\n"));
    } else if (s->sink->stopping) {
        say(s, SLICE("421 4.3.2 closing\r\n"));
        s->closing = true;
    } else if (size_too_big(s->sink, params)) {
        s->sink->totals.refused++;
        complain(s, SLICE("552 5.3.4 larger than the announced size\r\n"));
    } else {
        buf_add(&s->sender, path);
        buf_add_char(&s->sender, 0);
        s->mail = sink_answer(s, SINK_MAIL, buf_slice(&s->sender), SLICE("250 2.1.0 ok\r\n"));
        if (!s->mail) buf_clear(&s->sender);
    }
}

static void do_rcpt(struct sink_session *s, struct slice line)
{
    struct slice path, params;
    if (!s->mail) {
        complain(s, SLICE("503 5.5.1 MAIL first\r\n"));
        return;
    }
    if (!find_path(line, SLICE("TO:"), &path, &params) || !path.n) {
        complain(s, SLICE("501 5.5.4 RCPT TO:<address>\r\n"));
        return;
    }
    if (s->rcpts.n + path.n + 1 > RCPTS_MAX_BYTES) {
        complain(s, SLICE("452 4.5.3 too many recipients\r\n"));
        return;
    }
    size_t before = s->rcpts.n;
    buf_add(&s->rcpts, path);
    buf_add_char(&s->rcpts, 0);
    struct slice one = slice_sub(buf_slice(&s->rcpts), before, s->rcpts.n);
    if (sink_answer(s, SINK_RCPT, one, SLICE("250 2.1.5 ok\r\n"))) s->rcpt_n++;
    else s->rcpts.n = before;
}

static void do_data(struct sink_session *s)
{
    if (!s->mail || !s->rcpt_n) {
        complain(s, SLICE("503 5.5.1 no recipients\r\n"));
        return;
    }
    if (!sink_answer(s, SINK_DATA, buf_slice(&s->rcpts), SLICE("354 end with a dot\r\n"))) {
        end_transaction(s);
        return;
    }
    s->in_text = true;
    s->text_begun = false;
    s->dot = 2; /* the command's own CRLF comes before the text */
    s->size = 0;
}

static void do_hello(struct sink_session *s, struct slice line, bool extended)
{
    struct sink *k = s->sink;
    end_transaction(s);
    buf_clear(&s->helo);
    buf_add(&s->helo, slice_trim(slice_sub(line, 4, line.n)));
    struct buf reply = { 0 };
    if (!extended) {
        buf_add_str(&reply, "250 sink\r\n");
    } else {
        buf_add(&reply, buf_slice(&k->ehlo));
        if (k->tls && !s->io.tls) buf_add_str(&reply, "250-STARTTLS\r\n");
        buf_add_str(&reply, "250 ENHANCEDSTATUSCODES\r\n");
    }
    s->greeted = sink_answer(s, SINK_HELO, NONE, buf_slice(&reply));
    buf_deinit(&reply);
}

static void do_starttls(struct sink_session *s)
{
    if (!s->sink->tls || s->io.tls) {
        complain(s, SLICE("502 5.5.1 not offered\r\n"));
        return;
    }
    say(s, SLICE("220 2.0.0 go ahead\r\n"));
    end_transaction(s);
    s->greeted = false; /* RFC 3207 §4.2 */
    if (!sink_session_tls(s)) s->closing = true;
}

static void do_command(struct sink_session *s, struct slice line)
{
    struct slice verb;
    struct slice rest = line;
    slice_cut(&rest, ' ', &verb);
    if (slice_ieq(verb, SLICE("MAIL"))) do_mail(s, line);
    else if (slice_ieq(verb, SLICE("RCPT"))) do_rcpt(s, line);
    else if (slice_ieq(verb, SLICE("DATA"))) do_data(s);
    else if (slice_ieq(verb, SLICE("EHLO"))) do_hello(s, line, true);
    else if (slice_ieq(verb, SLICE("HELO"))) do_hello(s, line, false);
    else if (slice_ieq(verb, SLICE("STARTTLS"))) do_starttls(s);
    else if (slice_ieq(verb, SLICE("RSET"))) {
        end_transaction(s);
        say(s, SLICE("250 2.0.0 ok\r\n"));
    } else if (slice_ieq(verb, SLICE("QUIT"))) {
        end_transaction(s);
        say(s, SLICE("221 2.0.0 bye\r\n"));
        s->closing = true;
    } else if (slice_ieq(verb, SLICE("NOOP"))) say(s, SLICE("250 2.0.0 ok\r\n"));
    else if (slice_ieq(verb, SLICE("VRFY"))) say(s, SLICE("252 2.1.5 send and see\r\n"));
    else if (slice_ieq(verb, SLICE("HELP"))) say(s, SLICE("214 2.0.0 postern sink, a test server\r\n"));
    else complain(s, SLICE("500 5.5.1 no such command\r\n"));
}

static size_t take_line(struct sink_session *s, const char *p, size_t n)
{
    const char *lf = memchr(p, '\n', n);
    size_t used = lf ? (size_t)(lf - p) + 1 : n;
    if (s->line.n + used > LINE_MAX_BYTES) {
        say(s, SLICE("500 5.5.2 line too long\r\n"));
        s->closing = true;
        return used;
    }
    struct slice line = slice_of(p, used);
    if (!lf || s->line.n) {
        buf_add(&s->line, line);
        line = buf_slice(&s->line);
    }
    if (!lf) return used;
    if (line.n < 2 || line.p[line.n - 2] != '\r') complain(s, SLICE("500 5.5.2 lines end in CRLF\r\n"));
    else do_command(s, slice_sub(line, 0, line.n - 2));
    buf_clear(&s->line);
    return used;
}

size_t sink_take(struct sink_session *s, const char *p, size_t n)
{
    size_t used = 0;
    while (used < n && !s->paused && !s->closing && !s->handshaking)
        used += s->in_text ? take_text(s, p + used, n - used) : take_line(s, p + used, n - used);
    return used;
}
