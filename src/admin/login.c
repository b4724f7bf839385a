/* SPDX-License-Identifier: Apache-2.0
 * Logging in and out: /v1/session. A name that is none and a wrong password look the same, and take as long. */
#include <microhttpd.h>
#include <stdlib.h>
#include "admin/auth_int.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define BRAKED_TOLD_MS 60000

/* ---- the brake */

/* Of many attempts, one line in the log. */
static void tell_braked(struct auth *u, const char *address)
{
    uint64_t now = clock_mono_ms();
    u->braked++;
    if (u->braked_told && now - u->braked_told < BRAKED_TOLD_MS) return;
    log_event(LOG_WARNING, "login-braked", LOG_STR("address", address), LOG_NUM("times", u->braked));
    u->braked_told = now;
    u->braked = 0;
}

bool login_braked(struct http_request *r)
{
    struct ip ip;
    uint64_t ms = auth_ip(&r->who, &ip) ? login_brake_begin(r->admin->auth->brake, &ip, clock_mono_ms()) : 0;
    if (!ms) return false;
    r->tried = true;
    tell_braked(r->admin->auth, r->who.address);
    http_answer(r, MHD_HTTP_TOO_MANY_REQUESTS, json_pack("{s:s, s:I}", "error", "too many attempts failed; try again later", "retry_after",
                                                         (json_int_t)((ms + 999) / 1000)));
    return true;
}

void login_end(struct http_request *r, struct slice name, enum login_outcome outcome)
{
    struct ip ip;
    char shown[ACCOUNT_NAME_MAX + 1];
    r->tried = true;
    if (!account_name_fold(name, shown)) shown[0] = 0; /* as in login_serve_in */
    if (outcome == LOGIN_FAILED) log_event(LOG_WARNING, "login-failed", LOG_STR("name", shown), LOG_STR("address", r->who.address));
    if (auth_ip(&r->who, &ip)) login_brake_end(r->admin->auth->brake, &ip, name, outcome, clock_mono_ms());
}

void login_answer_busy(struct http_request *r)
{
    http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too many log in at once; try again in a moment");
}

/* ---- GET /v1/session */

static json_t *describe(const struct http_request *r)
{
    const struct auth *u = r->admin->auth;
    struct account one;
    bool has = account_get(&r->admin->auth->db, r->who.account, &one);
    json_t *addresses = r->who.addresses ? json_incref(r->who.addresses) : json_array();
    json_t *d = json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:b, s:o, s:s, s:s}", "name", r->who.name, "role", role_name(r->who.role), "rights",
                          auth_rights_json(r->who.rights),
                          "csrf", r->who.csrf, "language", has ? one.language : "", "theme", has ? one.theme : "", "totp", has && one.has_totp,
                          "addresses", addresses, "version", POSTERN_VERSION, "hostname", u->set.hostname ? u->set.hostname : "");
    if (r->who.session < 0) json_object_set_new(d, "unwritten", json_true());
    if (r->who.why) json_object_set_new(d, "second_factor_needed", json_true());
    account_deinit(&one);
    return d;
}

void login_serve_show(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    if (r->who.via != VIA_NOBODY) http_answer(r, MHD_HTTP_OK, describe(r));
    else http_answer(r, MHD_HTTP_UNAUTHORIZED, json_pack("{s:s, s:b}", "error", "log in first", "setup", u->db.sql && !db_number_of(&u->db, ACCOUNT_COUNT)));
}

/* ---- POST /v1/session */

void login_finish(struct http_request *r, const struct account *one)
{
    if (!session_begin(r, one)) {
        auth_answer_failed(r);
        return;
    }
    log_event(LOG_INFO, "login", LOG_STR("name", one->name), LOG_STR("role", role_name(one->role)), LOG_STR("address", r->who.address));
    http_answer(r, MHD_HTTP_OK, describe(r));
}

static bool use_recovery(struct auth *u, const struct account *one, struct slice typed)
{
    char code[RECOVERY_TEXT_N + 1];
    unsigned char hash[HASH_N];
    if (!recovery_read(typed, code)) return false;
    secret_hash_of(slice_str(code), hash);
    db_bind_number(&u->db, RECOVERY_USE, 1, (uint64_t)one->id);
    db_bind_blob(&u->db, RECOVERY_USE, 2, slice_of(hash, HASH_N));
    if (!db_write(&u->db) || db_step(&u->db, RECOVERY_USE) != DB_ROW) return false;
    db_reset(&u->db, RECOVERY_USE);
    return auth_commit(u);
}

/* No code is taken twice: what was taken is on disk before anything follows from it, or in memory where the disk is full. wait: recovery codes only,
 * which nobody guesses. */
static bool use_code(struct auth *u, const struct account *one, struct slice typed, bool wait)
{
    uint64_t last = memory_step(u, one->id), step = wait ? 0 : totp_check(one->totp, typed, clock_wall_ms(), last > one->step ? last : one->step);
    if (!step) return use_recovery(u, one, typed);
    db_bind_number(&u->db, ACCOUNT_STEP, 1, (uint64_t)one->id);
    db_bind_number(&u->db, ACCOUNT_STEP, 2, step);
    if (db_write(&u->db) && db_run(&u->db, ACCOUNT_STEP) == DB_DONE && auth_commit(u)) return true;
    return memory_take_step(u, one, step);
}

static void refuse(struct http_request *r, struct slice name, const char *text, bool code)
{
    login_end(r, name, LOGIN_FAILED);
    json_t *answer = json_pack("{s:s}", "error", text);
    if (code) json_object_set_new(answer, "code_needed", json_true());
    http_answer(r, MHD_HTTP_UNAUTHORIZED, answer);
}

/* wait: ms; 0: the code was looked at. */
static void refuse_code(struct http_request *r, const struct account *one, struct slice name, uint64_t wait)
{
    struct auth *u = r->admin->auth;
    if (!wait) {
        login_brake_code(u->brake, slice_str(one->name), false, clock_mono_ms());
        http_audit(r, NULL, "the password was right, the code of the second factor was not");
        refuse(r, name, "this code is not right, or was used already", true);
        return;
    }
    login_end(r, name, LOGIN_FAILED);
    tell_braked(u, r->who.address);
    http_audit(r, NULL, "the password was right");
    http_answer(r, MHD_HTTP_TOO_MANY_REQUESTS, json_pack("{s:s, s:b, s:I}", "error", "too many wrong codes; use a recovery code, or try again later",
                                                         "code_needed", 1, "retry_after", (json_int_t)((wait + 999) / 1000)));
}

static void on_password(void *arg, struct password_job *job)
{
    struct http_request *r = arg;
    struct auth *u = r->admin->auth;
    struct slice name = json_text(r->json, "name"), code = json_text(r->json, "code");
    struct account one;
    bool right = account_find(&u->db, name, &one) && job->ok && !one.disabled && !strcmp(one.password, job->hash); /* it may have changed meanwhile */
    uint64_t wait = right && one.has_totp ? login_brake_code_wait(u->brake, slice_str(one.name), clock_mono_ms()) : 0;
    if (!right) {
        refuse(r, name, "this name and password do not belong together", false);
    } else if (one.has_totp && !code.n) {
        login_end(r, name, LOGIN_OPEN);
        http_answer(r, MHD_HTTP_UNAUTHORIZED, json_pack("{s:s, s:b}", "error", "a code of the second factor is needed", "code_needed", 1));
    } else if (one.has_totp && !use_code(u, &one, code, wait != 0)) {
        refuse_code(r, &one, name, wait);
    } else {
        if (one.has_totp && !wait) login_brake_code(u->brake, slice_str(one.name), true, clock_mono_ms());
        login_end(r, name, LOGIN_RIGHT);
        login_finish(r, &one);
    }
    account_deinit(&one);
}

void login_serve_in(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct slice name = json_text(r->json, "name");
    struct account one;
    char shown[ACCOUNT_NAME_MAX + 1];
    if (account_name_fold(name, shown)) http_audit(r, shown, NULL); /* what cannot be a name may be a password in the wrong field */
    if (r->who.via == VIA_SOCKET || r->who.via == VIA_TOKEN) {
        http_error(r, MHD_HTTP_BAD_REQUEST, "sessions are for browsers: neither the control socket nor a token needs one");
        return;
    }
    if (!u->db.sql) {
        http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, u->db.full ? "the disk is full: the database of accounts cannot be opened. Make room on the disk of system.directory"
                                                                      : "the database of accounts cannot be opened; the log tells more");
        return;
    }
    if (login_braked(r)) return;
    bool there = account_find(&u->db, name, &one) && !one.disabled;
    if (!password_check(u->passwords, json_text(r->json, "password"), there ? one.password : NULL, on_password, r)) {
        login_end(r, name, LOGIN_OPEN);
        login_answer_busy(r);
    }
    account_deinit(&one);
}

/* ---- DELETE /v1/session */

void login_serve_out(struct http_request *r)
{
    if (session_end(r)) http_answer(r, MHD_HTTP_OK, NULL);
    else auth_answer_failed(r);
}
