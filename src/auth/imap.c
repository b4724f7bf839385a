/* SPDX-License-Identifier: Apache-2.0
 * An IMAP server as back end (RFC 3501): who can log in there may send here. AUTHENTICATE PLAIN where it is offered,
 * else LOGIN with literals, so that nothing of a name or password is ever syntax. */
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "auth/internal.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/mem.h"

#define LINES_MAX 200

struct imap_backend {
    const struct config *config;
    SSL_CTX *tls;
    pthread_mutex_t lock;
    pthread_cond_t free;
    uint32_t busy; /* logins under way */
};

struct imap_session {
    struct dial dial;
    struct imap_backend *b;
    struct auth_verdict *v;
    bool starttls, plain, sasl_ir, login_disabled;
};

struct imap_backend *imap_backend_new(const struct config *c, struct err *err)
{
    const char *ca = c->auth.imap.ca ? c->auth.imap.ca : c->tls.ca;
    struct imap_backend *b = mem_new(struct imap_backend);
    pthread_condattr_t clock;
    b->config = c;
    b->tls = dial_context(ca, c->auth.imap.verify, err);
    if (!b->tls) {
        free(b);
        return NULL;
    }
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->free, &clock);
    return b;
}

static bool fail(struct imap_session *s, const struct err *err)
{
    auth_verdict_set(s->v, AUTH_TEMPFAIL, "IMAP %.80s: %.150s", s->b->config->auth.imap.host, err->text);
    return false;
}

static bool fail_because(struct imap_session *s, const char *why)
{
    struct err err;
    err_set_text(&err, "%s", why);
    return fail(s, &err);
}

static void read_capabilities(struct imap_session *s, struct slice list)
{
    struct slice word;
    while (list.n) {
        slice_cut(&list, ' ', &word);
        s->starttls |= slice_ieq(word, SLICE("STARTTLS"));
        s->plain |= slice_ieq(word, SLICE("AUTH=PLAIN"));
        s->sasl_ir |= slice_ieq(word, SLICE("SASL-IR"));
        s->login_disabled |= slice_ieq(word, SLICE("LOGINDISABLED"));
    }
}

/* Response codes that say it is not the password's fault (RFC 5530). */
static bool is_temporary(struct slice text)
{
    static const char *const codes[] = { "[UNAVAILABLE]", "[SERVERBUG]",    "[INUSE]",
                                         "[LIMIT]",       "[CONTACTADMIN]", "[PRIVACYREQUIRED]" };
    for (size_t i = 0; i < countof(codes); i++)
        if (slice_istarts(text, slice_str(codes[i]))) return true;
    return false;
}

bool imap_judge(struct slice line, struct slice tag, struct auth_verdict *v)
{
    struct slice word, text = line;
    if (!slice_cut(&text, ' ', &word) || !slice_eq(word, tag)) return false;
    slice_cut(&text, ' ', &word);
    if (slice_ieq(word, SLICE("OK"))) v->outcome = AUTH_OK;
    else if (slice_ieq(word, SLICE("NO")) && !is_temporary(text))
        auth_verdict_set(v, AUTH_FAILED, "refused by the IMAP server");
    else {
        struct buf b = { 0 };
        buf_add_printable(&b, line, 120);
        auth_verdict_set(v, AUTH_TEMPFAIL, "the IMAP server says %s", buf_cstr(&b));
        buf_deinit(&b);
    }
    return true;
}

/* Reads up to the reply tagged so, or up to "+" where that is expected (then *go_on). The outcome is in s->v. */
static bool read_reply(struct imap_session *s, struct slice tag, bool *go_on)
{
    struct slice line;
    struct err err;
    if (go_on) *go_on = false;
    for (unsigned i = 0; i < LINES_MAX; i++) {
        if (!dial_line(&s->dial, &line, &err)) return fail(s, &err);
        if (slice_istarts(line, SLICE("* CAPABILITY "))) read_capabilities(s, slice_sub(line, 13, line.n));
        if (slice_istarts(line, SLICE("* BYE"))) return fail_because(s, "it said BYE");
        if (slice_starts(line, SLICE("+"))) {
            if (!go_on) return fail_because(s, "it asks for more where there is no more");
            return *go_on = true;
        }
        if (imap_judge(line, tag, s->v)) return true;
    }
    return fail_because(s, "it says more than an answer needs");
}

static bool say(struct imap_session *s, struct slice line)
{
    struct err err;
    return dial_write(&s->dial, line, &err) ? true : fail(s, &err);
}

static bool ask(struct imap_session *s, struct slice line, struct slice tag)
{
    return say(s, line) && read_reply(s, tag, NULL);
}

static bool greeting(struct imap_session *s)
{
    struct slice line;
    struct err err;
    if (!dial_line(&s->dial, &line, &err)) return fail(s, &err);
    if (!slice_istarts(line, SLICE("* OK")))
        return fail_because(s, "no greeting: not an IMAP server, or one that takes nobody now");
    return true;
}

static bool capabilities(struct imap_session *s)
{
    s->starttls = s->plain = s->sasl_ir = s->login_disabled = false;
    if (!ask(s, SLICE("a CAPABILITY\r\n"), SLICE("a"))) return false;
    return s->v->outcome == AUTH_OK ? true : fail_because(s, "it does not tell its capabilities");
}

static bool secure(struct imap_session *s)
{
    const struct config *c = s->b->config;
    struct err err;
    if (!capabilities(s)) return false;
    if (!s->starttls) {
        if (s->dial.loopback && !c->auth.imap.verify) return true; /* what is sent does not leave the machine */
        return fail_because(s, "it offers no STARTTLS: let it, or use its port for TLS (auth.imap.implicit_tls)");
    }
    if (!ask(s, SLICE("b STARTTLS\r\n"), SLICE("b"))) return false;
    if (s->v->outcome != AUTH_OK) return fail_because(s, "it refuses STARTTLS");
    return dial_tls(&s->dial, s->b->tls, c->auth.imap.host, &err) ? capabilities(s) : fail(s, &err);
}

static bool authenticate(struct imap_session *s, struct slice name, struct slice password)
{
    struct buf raw = { 0 }, line = { 0 };
    bool go_on = false, ok;
    buf_add_char(&raw, '\0');
    buf_add(&raw, name);
    buf_add_char(&raw, '\0');
    buf_add(&raw, password);
    buf_add_str(&line, s->sasl_ir ? "c AUTHENTICATE PLAIN " : "c AUTHENTICATE PLAIN\r\n");
    ok = s->sasl_ir || (say(s, buf_slice(&line)) && read_reply(s, SLICE("c"), &go_on));
    if (ok && (s->sasl_ir || go_on)) {
        if (go_on) buf_clear(&line);
        base64_add(&line, buf_slice(&raw));
        buf_add_str(&line, "\r\n");
        ok = ask(s, buf_slice(&line), SLICE("c"));
    }
    buf_wipe(&raw);
    buf_wipe(&line);
    return ok;
}

/* Synchronizing literals (RFC 3501 §4.3). */
static bool login(struct imap_session *s, struct slice name, struct slice password)
{
    struct buf line = { 0 };
    bool go_on = false;
    buf_addf(&line, "c LOGIN {%zu}\r\n", name.n);
    bool ok = say(s, buf_slice(&line)) && read_reply(s, SLICE("c"), &go_on);
    if (ok && go_on) {
        buf_clear(&line);
        buf_add(&line, name);
        buf_addf(&line, " {%zu}\r\n", password.n);
        ok = say(s, buf_slice(&line)) && read_reply(s, SLICE("c"), &go_on);
    }
    if (ok && go_on) ok = say(s, password) && ask(s, SLICE("\r\n"), SLICE("c"));
    buf_deinit(&line);
    return ok;
}

static void converse(struct imap_session *s, struct slice name, struct slice password)
{
    const struct config *c = s->b->config;
    struct err err;
    bool ok = dial_tcp(&s->dial, c->auth.imap.host, c->auth.imap.port, clock_mono_ms() + c->auth.timeout, &err) &&
              (!c->auth.imap.implicit_tls || dial_tls(&s->dial, s->b->tls, c->auth.imap.host, &err));
    if (!ok) fail(s, &err);
    ok = ok && greeting(s) && (c->auth.imap.implicit_tls ? capabilities(s) : secure(s));
    if (!ok) return;
    s->v->outcome = AUTH_TEMPFAIL;
    if (s->plain) authenticate(s, name, password);
    else if (s->login_disabled) fail_because(s, "it offers neither AUTH=PLAIN nor LOGIN");
    else login(s, name, password);
    if (s->v->outcome == AUTH_OK) (void)!dial_write(&s->dial, SLICE("d LOGOUT\r\n"), &err); /* it is over in any case */
}

/* False: none became free in time. */
static bool enter(struct imap_backend *b)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(b->config->auth.timeout / 1000) + 1;
    pthread_mutex_lock(&b->lock);
    int rc = 0;
    while (rc == 0 && b->config->auth.imap.connections && b->busy >= b->config->auth.imap.connections)
        rc = pthread_cond_timedwait(&b->free, &b->lock, &until);
    if (rc == 0) b->busy++;
    pthread_mutex_unlock(&b->lock);
    return rc == 0;
}

static void leave(struct imap_backend *b)
{
    pthread_mutex_lock(&b->lock);
    b->busy--;
    pthread_cond_signal(&b->free);
    pthread_mutex_unlock(&b->lock);
}

void imap_check(struct imap_backend *b, struct slice name, struct slice password, struct auth_verdict *v)
{
    struct imap_session s = { .dial.fd = -1, .b = b, .v = v };
    v->outcome = AUTH_TEMPFAIL;
    if (!enter(b)) {
        auth_verdict_set(v, AUTH_TEMPFAIL, "too many logins at the IMAP server at once (auth.imap.connections)");
        return;
    }
    converse(&s, name, password);
    dial_close(&s.dial);
    leave(b);
    if (v->outcome != AUTH_OK && v->outcome != AUTH_FAILED) v->outcome = AUTH_TEMPFAIL;
}
