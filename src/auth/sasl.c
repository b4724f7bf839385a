/* SPDX-License-Identifier: Apache-2.0
 * SASL, the server's side (RFC 4422): PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-SHA-256 and -PLUS (scram.c),
 * or whatever Dovecot knows, passed through. One exchange; the brake stands before each question to a back end. */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "auth/internal.h"
#include "auth/methods.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define BRAKED_DELAY_MS 1000

struct sasl_server {
    const struct sasl_services *world;
    struct ip client;
    bool tls;
    uint32_t method; /* enum config_sasl; 0: not one that is offered */
    char mechanism[32];
    struct buf binding, name, challenge;
    struct scram scram;
    bool proven, known; /* SCRAM: our last word is out */
    struct user user;
    struct auth_verdict found; /* SCRAM, CRAM-MD5: the user's addresses */
    struct dovecot_request *dovecot;
};

/* ---- verdicts */

void auth_verdict_deinit(struct auth_verdict *v) { buf_deinit(&v->senders); }

void auth_verdict_add_sender(struct auth_verdict *v, struct slice a)
{
    if (memchr(a.p, 0, a.n) || v->senders.n > 65536) return;
    buf_add(&v->senders, a);
    buf_add_char(&v->senders, '\0');
}

void auth_verdict_set(struct auth_verdict *v, enum auth_outcome outcome, const char *fmt, ...)
{
    char raw[300];
    struct buf b = { 0 };
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    buf_add_printable(&b, slice_str(raw), sizeof v->reason - 1);
    snprintf(v->reason, sizeof v->reason, "%s", buf_cstr(&b));
    v->outcome = outcome;
    buf_deinit(&b);
}

void sasl_reply_deinit(struct sasl_reply *r)
{
    buf_wipe(&r->data);
    auth_verdict_deinit(&r->verdict);
}

static void go_on(struct sasl_reply *out, struct slice challenge)
{
    buf_add(&out->data, challenge);
    out->verdict.outcome = AUTH_CONTINUE;
}

static void fail(struct sasl_reply *out, const char *why) { auth_verdict_set(&out->verdict, AUTH_FAILED, "%s", why); }

/* ---- names, and asking a back end */

/* A name in the form that is compared, and whether the brake lets it be tried. */
static bool take_name(struct sasl_server *s, struct slice raw, struct sasl_reply *out)
{
    buf_clear(&s->name);
    if (!secret_prepare_name(raw, &s->name)) {
        buf_clear(&s->name);
        fail(out, "the name holds what no name may hold");
        return false;
    }
    if (brake_allows(s->world->brake, &s->client, buf_slice(&s->name), clock_mono_ms())) return true;
    auth_verdict_set(&out->verdict, AUTH_BRAKED, "too many failures for this account");
    return false;
}

static void check_password(struct sasl_server *s, struct slice raw_name, struct slice password, struct sasl_reply *out)
{
    const struct config_auth *a = &s->world->config->auth;
    struct auth_verdict *v = &out->verdict;
    struct buf prepared = { 0 };
    if (!take_name(s, raw_name, out)) return;
    struct slice name = buf_slice(&s->name);
    if (!password.n || password.n > AUTH_PASSWORD_MAX || memchr(password.p, 0, password.n)) {
        fail(out, "no password, or one that cannot be"); /* an empty one would be an anonymous bind: RFC 4513 §5.1.2 */
    } else if (a->backend == CONFIG_AUTH_USERS) {
        bool fine = secret_prepare(password, &prepared);
        users_check(s->world->users, name, fine ? buf_slice(&prepared) : SLICE("-"), v);
        if (!fine && v->outcome != AUTH_TEMPFAIL) fail(out, "wrong password");
    } else if (a->backend == CONFIG_AUTH_IMAP) {
        imap_check(s->world->imap, name, password, v);
    } else if (a->backend == CONFIG_AUTH_LDAP) {
        ldap_check(s->world->config, name, password, v);
    } else if (a->backend == CONFIG_AUTH_DOVECOT) {
        struct buf plain = { 0 };
        buf_add_char(&plain, '\0');
        buf_add(&plain, name);
        buf_add_char(&plain, '\0');
        buf_add(&plain, password);
        s->dovecot =
            dovecot_start(s->world->config, SLICE("PLAIN"), true, buf_slice(&plain), &s->client, s->tls, &out->data, v);
        if (v->outcome == AUTH_CONTINUE) auth_verdict_set(v, AUTH_TEMPFAIL, "Dovecot asks for more after PLAIN");
        buf_wipe(&plain);
    }
    if (v->outcome == AUTH_OK && !*v->account) memcpy(v->account, name.p, name.n);
    buf_wipe(&prepared);
}

/* ---- mechanisms */

const char *sasl_plain_split(struct slice m, struct slice *name, struct slice *password)
{
    struct slice zid;
    if (!slice_cut(&m, '\0', &zid) || !slice_cut(&m, '\0', name)) return "a PLAIN message needs two NULs";
    if (memchr(m.p ? m.p : "", 0, m.n)) return "a PLAIN message has two NULs only";
    if (!name->n || !m.n) return "no name or no password"; /* RFC 4616 §2 */
    if (zid.n && !slice_eq(zid, *name)) return "the authorization identity is another one";
    *password = m;
    return NULL;
}

static void step_plain(struct sasl_server *s, bool has_data, struct slice data, struct sasl_reply *out)
{
    struct slice name, password;
    if (!has_data) {
        go_on(out, SLICE(""));
        return;
    }
    const char *wrong = sasl_plain_split(data, &name, &password);
    if (wrong) fail(out, wrong);
    else check_password(s, name, password, out);
}

/* An initial response is the name (some clients send one, though LOGIN is older than they). */
static void step_login(struct sasl_server *s, bool has_data, struct slice data, struct sasl_reply *out)
{
    if (!has_data) {
        go_on(out, SLICE("Username:"));
    } else if (!s->challenge.n) {
        buf_add(&s->challenge, data);
        buf_add_char(&s->challenge, '\0'); /* so that an empty one is seen, too */
        go_on(out, SLICE("Password:"));
    } else {
        struct slice name = slice_sub(buf_slice(&s->challenge), 0, s->challenge.n - 1);
        if (memchr(name.p, 0, name.n)) fail(out, "the name holds what no name may hold");
        else check_password(s, name, data, out);
    }
}

static void make_challenge(struct sasl_server *s)
{
    uint64_t random[2];
    if (RAND_bytes((unsigned char *)random, sizeof random) != 1) abort();
    buf_addf(&s->challenge, "<%llu%llu.%llu@%s>", (unsigned long long)random[0], (unsigned long long)random[1],
             (unsigned long long)(clock_wall_ms() / 1000), s->world->config->hostname);
}

static void succeed(struct sasl_server *s, struct sasl_reply *out)
{
    struct auth_verdict *v = &out->verdict;
    v->outcome = AUTH_OK;
    memcpy(v->account, s->user.name, sizeof v->account);
    buf_add(&v->senders, buf_slice(&s->found.senders));
    v->any_sender = s->found.any_sender;
}

/* False: the users file cannot be read. */
static bool find_user(struct sasl_server *s, struct sasl_reply *out)
{
    s->known = users_find(s->world->users, buf_slice(&s->name), &s->user, &s->found);
    if (s->known || s->found.outcome != AUTH_TEMPFAIL) return true;
    auth_verdict_set(&out->verdict, AUTH_TEMPFAIL, "%s", s->found.reason);
    return false;
}

static void step_cram(struct sasl_server *s, bool has_data, struct slice data, struct sasl_reply *out)
{
    char hex[33];
    if (!s->challenge.n) {
        if (has_data) {
            fail(out, "CRAM-MD5 has no initial response");
            return;
        }
        make_challenge(s);
        go_on(out, buf_slice(&s->challenge));
        return;
    }
    if (data.n < 34 || data.p[data.n - 33] != ' ') {
        fail(out, "the CRAM-MD5 response is malformed");
        return;
    }
    if (!take_name(s, slice_sub(data, 0, data.n - 33), out) || !find_user(s, out)) return;
    secret_cram_response(&s->user.cram, buf_slice(&s->challenge), hex);
    bool right = CRYPTO_memcmp(hex, data.p + data.n - 32, 32) == 0;
    if (s->known && s->user.has_cram && right) succeed(s, out);
    else
        fail(out, !s->known           ? "no such user"
                  : !s->user.has_cram ? "the user has no CRAM-MD5 secret"
                                      : "wrong password");
}

static void scram_first(struct sasl_server *s, struct slice data, struct sasl_reply *out)
{
    const char *wrong = scram_client_first(&s->scram, data);
    if (wrong) fail(out, wrong);
    if (wrong || !take_name(s, slice_str(s->scram.name), out) || !find_user(s, out)) return;
    if (s->known && !s->user.has_scram) { /* goes on with a secret that nobody knows */
        users_dummy(s->world->users, buf_slice(&s->name), &s->user);
        s->known = false;
    }
    scram_server_first(&s->scram, &s->user.scram, &out->data);
    out->verdict.outcome = AUTH_CONTINUE;
}

static void step_scram(struct sasl_server *s, bool has_data, struct slice data, struct sasl_reply *out)
{
    if (!has_data) {
        go_on(out, SLICE("")); /* the client begins: RFC 4954 §4 */
    } else if (!s->scram.server_first.n) {
        scram_first(s, data, out);
    } else if (s->proven) { /* our last word went as a challenge, its answer is empty */
        if (data.n) fail(out, "something comes after the end of SCRAM");
        else succeed(s, out);
    } else {
        const char *wrong = scram_client_final(&s->scram, data, &s->proven, &out->data);
        s->proven = s->proven && s->known;
        if (s->proven) out->verdict.outcome = AUTH_CONTINUE;
        else {
            buf_clear(&out->data);
            fail(out, wrong ? wrong : s->known ? "wrong password" : "no such user, or no SCRAM keys");
        }
    }
}

/* The brake wants to know whose account it is; the rest is Dovecot's matter. False: not to be asked. */
static bool take_name_of(struct sasl_server *s, bool has_data, struct slice data, struct sasl_reply *out)
{
    if (!has_data || s->name.n) return true;
    if (s->method == CONFIG_SASL_CRAM_MD5) {
        if (s->dovecot && data.n >= 34 && data.p[data.n - 33] == ' ')
            return take_name(s, slice_sub(data, 0, data.n - 33), out);
        fail(out, "the CRAM-MD5 response is malformed");
        return false;
    }
    const char *wrong = scram_client_first(&s->scram, data);
    if (wrong) fail(out, wrong);
    return !wrong && take_name(s, slice_str(s->scram.name), out);
}

static void step_dovecot(struct sasl_server *s, bool has_data, struct slice data, struct sasl_reply *out)
{
    if (!take_name_of(s, has_data, data, out)) return;
    if (!s->dovecot)
        s->dovecot = dovecot_start(s->world->config, slice_str(s->mechanism), has_data, data, &s->client, s->tls,
                                   &out->data, &out->verdict);
    else dovecot_next(s->dovecot, data, &out->data, &out->verdict);
}

/* ---- an exchange */

struct sasl_server *sasl_server_new(const struct sasl_services *w, const struct sasl_request *r)
{
    struct sasl_server *s = mem_new(struct sasl_server);
    s->world = w;
    s->client = r->client;
    s->tls = r->tls;
    uint32_t offered = auth_methods(w->config, r->binding.n > 0);
    s->method = auth_method_of(r->mechanism) & offered;
    if (s->method) snprintf(s->mechanism, sizeof s->mechanism, "%s", auth_method_name(s->method));
    buf_add(&s->binding, r->binding);
    s->scram.plus = s->method == CONFIG_SASL_SCRAM_SHA_256_PLUS;
    s->scram.can_plus = offered & CONFIG_SASL_SCRAM_SHA_256_PLUS;
    s->scram.binding = buf_slice(&s->binding);
    return s;
}

static void step(struct sasl_server *s, bool has_data, struct slice data, struct sasl_reply *out)
{
    bool through = s->world->config->auth.backend == CONFIG_AUTH_DOVECOT;
    switch (s->method) {
    case CONFIG_SASL_PLAIN:
        step_plain(s, has_data, data, out);
        break;
    case CONFIG_SASL_LOGIN:
        step_login(s, has_data, data, out);
        break;
    case CONFIG_SASL_CRAM_MD5:
        if (through) step_dovecot(s, has_data, data, out);
        else step_cram(s, has_data, data, out);
        break;
    case CONFIG_SASL_SCRAM_SHA_256:
    case CONFIG_SASL_SCRAM_SHA_256_PLUS:
        if (through) step_dovecot(s, has_data, data, out);
        else step_scram(s, has_data, data, out);
        break;
    default:
        fail(out, "the mechanism is not offered");
    }
}

void sasl_server_step(struct sasl_server *s, bool has_data, struct slice data, struct sasl_reply *out)
{
    struct auth_verdict *v = &out->verdict;
    struct brake *brake = s->world->brake;
    sasl_reply_deinit(out);
    *out = (struct sasl_reply){ 0 };
    v->outcome = AUTH_TEMPFAIL;
    /* Before each step: who begins many exchanges side by side is not judged in all of them. */
    if (!s->proven && !brake_allows(brake, &s->client, buf_slice(&s->name), clock_mono_ms()))
        auth_verdict_set(v, AUTH_BRAKED, "too many failures of this client or for this account");
    else step(s, has_data, data, out);
    if (v->outcome == AUTH_BRAKED) out->delay = BRAKED_DELAY_MS;
    if (v->outcome == AUTH_FAILED) out->delay = brake_failed(brake, &s->client, buf_slice(&s->name), clock_mono_ms());
    if (v->outcome == AUTH_OK) brake_succeeded(brake, &s->client, buf_slice(&s->name), clock_mono_ms());
    if (v->outcome != AUTH_OK && s->name.n && s->name.n <= AUTH_NAME_MAX)
        memcpy(v->account, s->name.p, s->name.n); /* for the log */
    if (v->outcome == AUTH_TEMPFAIL)
        log_event(LOG_ERROR, "auth-backend", LOG_STR("reason", v->reason), LOG_IP("client", &s->client),
                  LOG_TEXT("name", buf_slice(&s->name)));
}

void sasl_server_free(struct sasl_server **sp)
{
    struct sasl_server *s = *sp;
    *sp = NULL;
    if (!s) return;
    dovecot_free(&s->dovecot);
    scram_deinit(&s->scram);
    auth_verdict_deinit(&s->found);
    buf_deinit(&s->binding);
    buf_deinit(&s->name);
    buf_deinit(&s->challenge);
    mem_wipe(s, sizeof *s);
    free(s);
}
