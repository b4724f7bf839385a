/* SPDX-License-Identifier: Apache-2.0
 * AUTH (RFC 4954). The exchange itself is the auth process's: here responses are decoded and passed on, and while it
 * thinks the session takes no input. What a client sends in an exchange is never logged. */
#include "auth/auth.h"
#include <stdlib.h>
#include "auth/methods.h"
#include "base/base64.h"
#include "base/log.h"
#include "server/session.h"
#include "smtp/address.h"

#define FAILURES_MAX 3 /* of one connection */

/* ---- what is offered */

static bool possible(const struct session *s)
{
    return s->listener->auth && s->server->o.auth && auth_methods(s->server->o.config, true);
}

bool auth_offered(const struct session *s)
{
    return possible(s) && (stream_is_tls(s->stream) || s->zone->auth_without_tls);
}

static uint32_t methods_now(const struct session *s)
{
    unsigned char binding[32];
    return auth_methods(s->server->o.config, stream_is_tls(s->stream) && stream_tls_binding(s->stream, binding));
}

void auth_ehlo(const struct session *s, struct buf *out)
{
    uint32_t methods = auth_offered(s) ? methods_now(s) : 0;
    if (!methods) return;
    buf_add_str(out, "\nAUTH");
    auth_methods_list(out, methods);
}

/* ---- what the session remembers */

void auth_break_off(struct session *s)
{
    auth_cancel(&s->auth);
    s->waiting = false;
    if (s->phase == SESSION_AUTH) s->phase = SESSION_READY;
}

void auth_forget(struct session *s)
{
    auth_break_off(s);
    free(s->account);
    free(s->senders);
    s->account = NULL;
    s->senders = NULL;
    s->sender_n = 0;
    s->any_sender = false;
    if (s->run) policy_set_account(s->run, SLICE(""));
}

static void remember(struct session *s, const struct auth_answer *a)
{
    size_t bytes = a->sender_n * sizeof *s->senders;
    for (size_t i = 0; i < a->sender_n; i++) bytes += a->senders[i].n;
    s->account = mem_slicedup(a->account);
    s->any_sender = a->any_sender;
    policy_set_account(s->run, a->account);
    s->sender_n = a->sender_n;
    if (!a->sender_n) return;
    s->senders = mem_alloc(bytes);
    char *text = (char *)(s->senders + a->sender_n);
    for (size_t i = 0; i < a->sender_n; i++) {
        if (a->senders[i].n) memcpy(text, a->senders[i].p, a->senders[i].n);
        s->senders[i] = slice_of(text, a->senders[i].n);
        text += a->senders[i].n;
    }
}

static bool domains_equal(struct slice a, struct slice b)
{
    char ascii_a[256], ascii_b[256];
    if (slice_ieq(a, b)) return true;
    return address_domain_ascii(a, ascii_a) && address_domain_ascii(b, ascii_b) && !strcmp(ascii_a, ascii_b);
}

/* Local parts of an account are compared without case, and without the quotes that are not needed (RFC 5321 §4.1.2). */
static bool is_mailbox(struct slice allowed, const struct address *sender)
{
    char a[ADDRESS_LOCAL_MAX], b[ADDRESS_LOCAL_MAX]; /* the grammar sees to it */
    struct address parsed;
    if (address_parse(allowed, &parsed) || !domains_equal(parsed.domain, sender->domain)) return false;
    size_t n = address_local_unquote(parsed.local, a), m = address_local_unquote(sender->local, b);
    return slice_ieq(slice_of(a, n), slice_of(b, m));
}

/* One of the listed senders; "@domain" is all of it there, and there only: an account of such a name is no address. */
static bool fits(struct slice allowed, const struct address *sender)
{
    bool whole = allowed.n && allowed.p[0] == '@';
    return whole ? domains_equal(slice_sub(allowed, 1, allowed.n), sender->domain) : is_mailbox(allowed, sender);
}

bool auth_binds_sender(const struct session *s)
{
    return s->account && s->server->o.config->auth.sender_must_match;
}

bool auth_may_send_as(const struct session *s, struct slice sender)
{
    struct address parsed;
    if (!s->account || s->any_sender) return true;
    if (address_parse(sender, &parsed)) return false;
    if (is_mailbox(slice_str(s->account), &parsed)) return true;
    for (size_t i = 0; i < s->sender_n; i++)
        if (fits(s->senders[i], &parsed)) return true;
    return false;
}

/* ---- answers of the auth process */

static void send_challenge(struct session *s, struct slice data)
{
    struct buf *out = &s->server->scratch; /* not by session_reply: a challenge may be longer than a reply's line */
    buf_clear(out);
    buf_add_str(out, "334 ");
    base64_add(out, data);
    buf_add_str(out, "\r\n");
    stream_write(s->stream, buf_slice(out));
}

static void log_outcome(const struct session *s, const char *event, const struct auth_answer *a)
{
    struct log_field reason = { .key = NULL };
    if (a->outcome != AUTH_OK) reason = LOG_STR("reason", a->reason);
    log_event(LOG_INFO, event, LOG_SESSION(s->id), LOG_IP("client", &s->ip), LOG_TEXT("account", a->account),
              LOG_STR("mechanism", auth_method_name(s->auth_method)), reason);
}

static void refuse(struct session *s, const struct auth_answer *a)
{
    struct slice none = SLICE("");
    s->phase = SESSION_READY;
    log_outcome(s, "auth-failed", a);
    if (a->outcome == AUTH_TEMPFAIL) {
        session_refuse(s, "AUTH", 454, "4.7.0", "authentication is not possible at the moment, please try again later", none);
    } else if (a->outcome == AUTH_BRAKED) {
        session_refuse(s, "AUTH", 454, "4.7.0", "too many failures, please try again later", none);
        session_hang_up(s, "braked");
    } else {
        session_refuse(s, "AUTH", 535, "5.7.8", "name or password is wrong", none);
        if (++s->auth_failures >= FAILURES_MAX) session_hang_up(s, "authentication failed");
    }
}

static void on_answer(void *arg, const struct auth_answer *a)
{
    struct session *s = arg;
    bool asked = s->waiting;
    s->waiting = false;
    if (a->outcome != AUTH_CONTINUE) s->auth = NULL;
    if (!asked) return; /* the process is gone while it is the client's turn: it is told in ours */
    if (a->outcome == AUTH_CONTINUE) {
        send_challenge(s, a->data);
    } else if (a->outcome == AUTH_OK) {
        s->phase = SESSION_READY;
        remember(s, a);
        log_outcome(s, "auth-ok", a);
        session_reply(s, 235, "2.7.0", "welcome");
    } else
        refuse(s, a);
    session_check_errors(s);
    session_resume(s);
}

/* ---- what the client says */

static void fail_syntax(struct session *s, const char *text)
{
    auth_break_off(s);
    session_refuse(s, "AUTH", 501, "5.5.2", text, SLICE(""));
}

/* With all the room from the beginning: a buffer that grows leaves copies of a password behind. */
static bool decode(struct slice text, struct buf *data)
{
    buf_reserve(data, text.n / 4 * 3);
    return base64_decode(text, data) && !data->overflow;
}

/* The argument of AUTH: a mechanism and perhaps an initial response. */
static void start(struct session *s, struct slice arg)
{
    struct slice mechanism, initial = arg;
    struct buf data = { .max = AUTH_DATA_MAX };
    unsigned char binding[32];
    bool has_initial = slice_cut(&initial, ' ', &mechanism);
    struct auth_server_request r = {
        .mechanism = mechanism, .has_initial = has_initial, .client = s->ip, .tls = stream_is_tls(s->stream)
    };
    s->auth_method = auth_method_of(mechanism) & methods_now(s);
    if (!s->auth_method) {
        session_refuse(s, "AUTH", 504, "5.5.4", "this mechanism is not offered", SLICE(""));
        return;
    }
    if (has_initial && !initial.n)
        fail_syntax(s, "AUTH takes a mechanism and an initial response, with one space between them");
    else if (has_initial && !slice_eq(initial, SLICE("=")) && !decode(initial, &data)) /* RFC 4954 §4: "=" */
        fail_syntax(s, "the initial response is not base64");
    else {
        if (r.tls && stream_tls_binding(s->stream, binding)) r.binding = slice_of(binding, sizeof binding);
        r.initial = buf_slice(&data);
        s->phase = SESSION_AUTH;
        s->waiting = true;
        s->auth = auth_server_start(s->server->o.auth, &r, on_answer, s);
    }
    buf_wipe(&data);
}

void verb_auth(struct session *s, const struct command *c)
{
    struct slice none = SLICE(""); /* never the argument: it may be a password */
    if (possible(s) && !auth_offered(s)) session_refuse(s, "AUTH", 538, "5.7.11", "please say STARTTLS first", none);
    else if (!auth_offered(s)) session_refuse(s, "AUTH", 502, "5.5.1", "AUTH is not offered", none);
    else if (s->account) session_refuse(s, "AUTH", 503, "5.5.1", "you are authenticated already", none);
    else if (s->phase == SESSION_START || !s->esmtp)
        session_refuse(s, "AUTH", 503, "5.5.1", "please say EHLO first", none);
    else if (s->phase != SESSION_READY)
        session_refuse(s, "AUTH", 503, "5.5.1", "not within a transaction", none); /* RFC 4954 §4 */
    else start(s, c->arg);
}

void auth_take_line(struct session *s, struct slice line)
{
    struct buf data = { .max = AUTH_DATA_MAX };
    if (slice_eq(line, SLICE("*"))) { /* RFC 4954 §4 */
        auth_break_off(s);
        session_refuse(s, "AUTH", 501, "5.7.0", "broken off, as you wish", SLICE(""));
    } else if (!s->auth) {
        refuse(s, &(struct auth_answer){ .outcome = AUTH_TEMPFAIL, .reason = "the auth process is gone" });
    } else if (!decode(line, &data)) {
        fail_syntax(s, "the response is not base64");
    } else {
        s->waiting = true;
        auth_step(s->auth, buf_slice(&data));
    }
    buf_wipe(&data);
    session_check_errors(s);
}
