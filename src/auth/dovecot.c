/* SPDX-License-Identifier: Apache-2.0
 * Dovecot's auth socket as back end: its authentication protocol 1.2, as a client. The mechanisms are Dovecot's; what
 * the client sends is passed through. A connection for each exchange, one request on it. */
#include <stdlib.h>
#include <unistd.h>
#include "auth/internal.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/mem.h"

#define LINES_MAX 200

struct dovecot_request {
    const struct config *config;
    struct dial dial;
};

static void broken(struct auth_verdict *v, const char *why)
{
    auth_verdict_set(v, AUTH_TEMPFAIL, "Dovecot's auth socket: %.150s", why);
}

/* ---- what it says */

static void read_user(struct slice fields, struct auth_verdict *v)
{
    struct slice field;
    while (fields.n) {
        slice_cut(&fields, '\t', &field);
        if (!slice_starts(field, SLICE("user="))) continue;
        struct slice name = slice_sub(field, 5, field.n);
        if (!name.n || name.n > AUTH_NAME_MAX || memchr(name.p, 0, name.n) || memchr(name.p, 1, name.n)) continue;
        memcpy(v->account, name.p, name.n);
        v->account[name.n] = 0;
    }
}

static bool has_field(struct slice fields, struct slice wanted)
{
    struct slice field;
    while (fields.n) {
        slice_cut(&fields, '\t', &field);
        if (slice_eq(field, wanted)) return true;
    }
    return false;
}

bool dovecot_judge(struct slice line, struct buf *challenge, struct auth_verdict *v)
{
    struct slice word, id;
    slice_cut(&line, '\t', &word);
    slice_cut(&line, '\t', &id);
    if (!slice_eq(id, SLICE("1"))) return false;
    if (slice_eq(word, SLICE("OK"))) {
        read_user(line, v);
        v->outcome = AUTH_OK;
        if (!*v->account) broken(v, "OK without a user");
    } else if (slice_eq(word, SLICE("CONT"))) {
        v->outcome = AUTH_CONTINUE;
        challenge->max = AUTH_DATA_MAX;
        if (!base64_decode(line, challenge) || challenge->overflow) broken(v, "a challenge that is no base64");
    } else if (slice_eq(word, SLICE("FAIL"))) {
        bool temporary = has_field(line, SLICE("temp")) || has_field(line, SLICE("code=temp_fail"));
        if (temporary) broken(v, "a temporary failure, which its log explains");
        else auth_verdict_set(v, AUTH_FAILED, "refused by Dovecot");
    } else return false;
    return true;
}

/* ---- what we say */

static bool read_answer(struct dovecot_request *r, struct buf *challenge, struct auth_verdict *v)
{
    struct slice line;
    struct err err;
    for (unsigned i = 0; i < LINES_MAX; i++) {
        if (!dial_line(&r->dial, &line, &err)) {
            broken(v, err.text);
            return false;
        }
        if (dovecot_judge(line, challenge, v)) return true;
    }
    broken(v, "it says more than an answer needs");
    return false;
}

static bool send_line(struct dovecot_request *r, const struct buf *line, struct auth_verdict *v)
{
    struct err err;
    if (dial_write(&r->dial, buf_slice(line), &err)) return true;
    broken(v, err.text);
    return false;
}

/* Its side of the handshake, up to DONE; false when the mechanism is not among those it knows. */
static bool shake_hands(struct dovecot_request *r, struct slice mechanism, struct auth_verdict *v)
{
    struct slice line, word, value;
    struct err err;
    struct buf out = { 0 };
    bool knows = false;
    buf_addf(&out, "VERSION\t1\t2\nCPID\t%d\n", (int)getpid());
    bool ok = send_line(r, &out, v);
    buf_deinit(&out);
    for (unsigned i = 0; ok && i < LINES_MAX; i++) {
        if (!dial_line(&r->dial, &line, &err)) {
            broken(v, err.text);
            return false;
        }
        struct slice rest = line;
        slice_cut(&rest, '\t', &word);
        slice_cut(&rest, '\t', &value);
        if (slice_eq(word, SLICE("VERSION")) && !slice_eq(value, SLICE("1")))
            broken(v, "a version of its protocol that is not 1");
        else if (slice_eq(word, SLICE("DONE"))) {
            if (!knows) broken(v, "it does not offer the mechanism (auth_mechanisms)");
            return knows;
        } else {
            if (slice_eq(word, SLICE("MECH"))) knows |= slice_ieq(value, mechanism);
            continue;
        }
        return false;
    }
    if (ok) broken(v, "no end of its greeting");
    return false;
}

static bool send_request(struct dovecot_request *r, struct slice mechanism, bool has_initial, struct slice initial,
                         const struct ip *client, bool tls, struct auth_verdict *v)
{
    struct buf out = { 0 };
    buf_add_str(&out, "AUTH\t1\t");
    buf_add(&out, mechanism); /* one of ours */
    buf_add_str(&out, "\tservice=smtp\trip=");
    ip_add(&out, client);
    if (tls) buf_add_str(&out, "\tsecured");
    if (has_initial) {
        buf_add_str(&out, "\tresp="); /* the last one */
        base64_add(&out, initial);
    }
    buf_add_char(&out, '\n');
    bool ok = send_line(r, &out, v);
    buf_wipe(&out);
    return ok;
}

struct dovecot_request *dovecot_start(const struct config *c, struct slice mechanism, bool has_initial,
                                      struct slice initial, const struct ip *client, bool tls, struct buf *challenge,
                                      struct auth_verdict *v)
{
    struct dovecot_request *r = mem_new(struct dovecot_request);
    struct err err;
    r->config = c;
    r->dial.fd = -1;
    v->outcome = AUTH_TEMPFAIL;
    if (!dial_unix(&r->dial, c->auth.dovecot, clock_mono_ms() + c->auth.timeout, &err)) broken(v, err.text);
    else if (shake_hands(r, mechanism, v) && send_request(r, mechanism, has_initial, initial, client, tls, v))
        read_answer(r, challenge, v);
    return r;
}

void dovecot_next(struct dovecot_request *r, struct slice data, struct buf *challenge, struct auth_verdict *v)
{
    struct buf out = { 0 };
    r->dial.deadline = clock_mono_ms() + r->config->auth.timeout;
    r->dial.total = 0;
    v->outcome = AUTH_TEMPFAIL;
    buf_add_str(&out, "CONT\t1\t");
    base64_add(&out, data);
    buf_add_char(&out, '\n');
    if (send_line(r, &out, v)) read_answer(r, challenge, v);
    buf_wipe(&out);
}

void dovecot_free(struct dovecot_request **rp)
{
    struct dovecot_request *r = *rp;
    *rp = NULL;
    if (!r) return;
    dial_close(&r->dial);
    free(r);
}
