/* SPDX-License-Identifier: Apache-2.0
 * Accounts of the web administration: codes of second factors, the brake, rights, sessions and tokens with a clock of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "admin/auth_int.h"

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)

static uint64_t wall = UINT64_C(1800000000000);
uint64_t __wrap_clock_wall_ms(void);
uint64_t __wrap_clock_wall_ms(void)
{
    return wall;
}

/* ---- second factors */

static const unsigned char rfc_secret[TOTP_SECRET_N + 1] = "12345678901234567890";

static void totp_vectors(void **state) /* RFC 6238, appendix B, the last six digits */
{
    static const struct {
        uint64_t seconds;
        unsigned code;
    } all[] = { { 59, 287082 },        { 1111111109, 81804 }, { 1111111111, 50471 },
                { 1234567890, 5924 },  { 2000000000, 279037 }, { 20000000000, 353130 } };
    for (size_t i = 0; i < countof(all); i++) assert_int_equal(totp_code(rfc_secret, all[i].seconds / 30), all[i].code);
}

static void totp_window(void **state)
{
    uint64_t ms = UINT64_C(1111111109) * 1000, step = 1111111109 / 30;
    assert_int_equal(totp_check(rfc_secret, SLICE("081804"), ms, 0), step);
    assert_int_equal(totp_check(rfc_secret, SLICE("081 804"), ms, 0), step);
    assert_int_equal(totp_check(rfc_secret, SLICE("081804"), ms + 30000, 0), step);
    assert_int_equal(totp_check(rfc_secret, SLICE("081804"), ms - 30000, 0), step);
    assert_int_equal(totp_check(rfc_secret, SLICE("081804"), ms + 60000, 0), 0);
    assert_int_equal(totp_check(rfc_secret, SLICE("081804"), ms - 60000, 0), 0);
    assert_int_equal(totp_check(rfc_secret, SLICE("081804"), ms, step), 0); /* not twice */
    assert_int_equal(totp_check(rfc_secret, SLICE("081804"), ms, step - 1), step);
    assert_int_equal(totp_check(rfc_secret, SLICE("08180"), ms, 0), 0);
    assert_int_equal(totp_check(rfc_secret, SLICE("0818044"), ms, 0), 0);
    assert_int_equal(totp_check(rfc_secret, SLICE("08180x"), ms, 0), 0);
    assert_int_equal(totp_check(rfc_secret, (struct slice){ 0 }, 0, 0), 0);
}

static void totp_texts(void **state)
{
    struct buf b = { 0 };
    totp_add_base32(&b, SLICE("foobar"));
    assert_string_equal(buf_cstr(&b), "MZXW6YTBOI"); /* RFC 4648 §10 */
    buf_clear(&b);
    totp_add_uri(&b, rfc_secret, "mx.example.com", "a@b");
    assert_string_equal(buf_cstr(&b), "otpauth://totp/Postern%20mx.example.com:a%40b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Postern%20mx.example.com");
    buf_deinit(&b);
}

static void recovery_codes(void **state)
{
    char made[RECOVERY_TEXT_N + 1], other[RECOVERY_TEXT_N + 1], read[RECOVERY_TEXT_N + 1];
    recovery_make(made);
    recovery_make(other);
    assert_int_equal(strlen(made), RECOVERY_TEXT_N);
    assert_string_not_equal(made, other);
    assert_true(recovery_read(slice_str(made), read));
    assert_string_equal(read, made);
    assert_true(recovery_read(SLICE("ABCD efgh-2345 67AB"), read));
    assert_string_equal(read, "abcd-efgh-2345-67ab");
    assert_false(recovery_read(SLICE("abcd-efgh-2345-67a"), read));
    assert_false(recovery_read(SLICE("abcd-efgh-2345-67abc"), read));
    assert_false(recovery_read(SLICE("abcd-efgh-2345-1111"), read));
    assert_false(recovery_read((struct slice){ 0 }, read));
}

/* ---- the brake */

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_true(ip_parse(slice_str(text), &ip));
    return ip;
}

/* How long the client has to wait after one more failure. */
static uint64_t fail_once(struct login_brake *b, const struct ip *client, const char *name, uint64_t now)
{
    assert_int_equal(login_brake_begin(b, client, now), 0);
    login_brake_end(b, client, slice_str(name), LOGIN_FAILED, now);
    uint64_t wait = login_brake_begin(b, client, now);
    if (!wait) login_brake_end(b, client, (struct slice){ 0 }, LOGIN_OPEN, now);
    return wait;
}

static void brake_grows(void **state)
{
    struct login_brake *b = login_brake_new(64);
    struct ip client = ip_of("192.0.2.1"), other = ip_of("192.0.2.2");
    uint64_t now = 1000000, wait = 0;
    for (unsigned i = 1; i < LOGIN_BRAKE_FREE; i++) assert_int_equal(fail_once(b, &client, "root", now), 0);
    for (uint64_t expected = 1000; expected <= 512000; expected *= 2, now += wait) assert_int_equal(wait = fail_once(b, &client, "root", now), expected);
    assert_int_equal(fail_once(b, &client, "root", now), LOGIN_BRAKE_MAX_MS);
    assert_int_equal(login_brake_begin(b, &other, now), 0); /* nobody else waits */
    now += LOGIN_BRAKE_MAX_MS + 3600 * 1000 + 1;
    assert_int_equal(fail_once(b, &client, "root", now), 0); /* forgotten */
    login_brake_free(b);
}

static void brake_of_accounts(void **state)
{
    struct login_brake *b = login_brake_new(64);
    char text[40];
    for (unsigned i = 0; i <= LOGIN_BRAKE_ACCOUNT; i++) {
        snprintf(text, sizeof text, "198.51.100.%u", i + 1);
        struct ip client = ip_of(text);
        assert_int_equal(fail_once(b, &client, "Root", 1000), i < LOGIN_BRAKE_ACCOUNT ? 0 : 1000);
    }
    struct ip administrator = ip_of("192.0.2.9"), fresh = ip_of("192.0.2.10");
    assert_int_equal(login_brake_begin(b, &administrator, 1000), 0); /* is not locked out */
    login_brake_end(b, &administrator, SLICE("root"), LOGIN_RIGHT, 1000);
    assert_int_equal(fail_once(b, &fresh, "root", 1000), 0); /* counted anew */
    login_brake_free(b);
}

static void brake_bounds(void **state)
{
    struct login_brake *b = login_brake_new(8);
    struct ip braked = ip_of("2001:db8:1:2::1"), beside = ip_of("2001:db8:1:2:ffff::"), at_once = ip_of("192.0.2.77");
    for (unsigned i = 0; i < LOGIN_BRAKE_FREE; i++) (void)fail_once(b, &braked, "x", 1000);
    char text[40];
    for (unsigned i = 0; i < 100; i++) { /* does not set it free */
        snprintf(text, sizeof text, "203.0.113.%u", i + 1);
        struct ip client = ip_of(text);
        (void)fail_once(b, &client, text, 1000 + i);
    }
    assert_true(login_brake_begin(b, &beside, 1200) > 0); /* a /64 is one client */
    for (unsigned i = 0; i < LOGIN_BRAKE_AT_ONCE; i++) assert_int_equal(login_brake_begin(b, &at_once, 5000), 0);
    assert_true(login_brake_begin(b, &at_once, 5000) > 0);
    login_brake_end(b, &at_once, SLICE("x"), LOGIN_OPEN, 5000);
    assert_int_equal(login_brake_begin(b, &at_once, 5000), 0);
    login_brake_free(b);
}

/* ---- rights */

static void roles(void **state)
{
    enum role role;
    enum right right;
    assert_int_equal(role_rights(ROLE_ADMINISTRATOR), 4095);
    assert_int_equal(role_rights(ROLE_OPERATOR), RIGHT_SELF | RIGHT_STATUS | RIGHT_MAIL | RIGHT_CONTENT | RIGHT_CHANGE | RIGHT_SENDERS);
    assert_int_equal(role_rights(ROLE_AUDITOR), RIGHT_SELF | RIGHT_STATUS | RIGHT_MAIL | RIGHT_CONFIG | RIGHT_AUDIT | RIGHT_METRICS);
    assert_int_equal(role_rights(ROLE_USER), RIGHT_SELF | RIGHT_OWN);
    assert_int_equal(role_rights(ROLES), 0);
    for (unsigned i = 0; i < ROLES; i++) {
        assert_true(role_find(slice_str(role_name((enum role)i)), &role));
        assert_int_equal(role, i);
    }
    assert_false(role_find(SLICE("root"), &role));
    for (uint32_t bit = 1; bit <= RIGHT_OWN; bit <<= 1) {
        assert_true(right_find(slice_str(right_name((enum right)bit)), &right));
        assert_int_equal(right, bit);
    }
    assert_false(right_find(SLICE("none"), &right));
}

static void names(void **state)
{
    char out[ACCOUNT_NAME_MAX + 1], long_one[ACCOUNT_NAME_MAX + 2];
    assert_true(account_name_fold(SLICE("Bob.Smith+x@Example.com"), out));
    assert_string_equal(out, "bob.smith+x@example.com");
    assert_false(account_name_fold(SLICE(""), out));
    assert_false(account_name_fold(SLICE("-x"), out));
    assert_false(account_name_fold(SLICE("a b"), out));
    assert_false(account_name_fold(SLICE("a\0b"), out));
    assert_false(account_name_fold(SLICE("a/b"), out));
    assert_false(account_name_fold(SLICE("\xC3\xA4"), out));
    memset(long_one, 'a', sizeof long_one);
    assert_false(account_name_fold(slice_of(long_one, sizeof long_one), out));
    assert_true(account_name_fold(slice_of(long_one, ACCOUNT_NAME_MAX), out));
}

static void actions(void **state)
{
    static const struct {
        const char *method, *path, *action;
    } all[] = {
        { "POST", "/v1/config/apply", "config.apply" }, { "POST", "/v1/session", "login" }, { "DELETE", "/v1/session", "logout" },
        { "DELETE", "/v1/account/tokens/*", "account.tokens.delete" }, { "PATCH", "/v1/accounts/*", "accounts.change" },
        { "POST", "/v1/accounts/*/link", "accounts.link" }, { "GET", "/v1/audit", "audit.see" }, { "PUT", "/v1/account/totp", "account.totp.confirm" },
    };
    for (size_t i = 0; i < countof(all); i++) {
        struct buf b = { 0 };
        audit_action(&(struct route){ .method = all[i].method, .path = all[i].path }, &b);
        assert_string_equal(buf_cstr(&b), all[i].action);
        buf_deinit(&b);
    }
}

static void cookies(void **state)
{
    struct slice t;
    assert_false(session_cookie(NULL, &t));
    assert_false(session_cookie("a=b; __Host-postern2=x; postern=y", &t));
    assert_false(session_cookie("__Host-postern", &t));
    assert_true(session_cookie("a=b;  __Host-postern=abc ; c=d", &t) && slice_eq(t, SLICE("abc")));
    assert_true(session_cookie("__Host-postern=", &t) && !t.n);
}

/* ---- with a database */

struct world {
    struct admin admin;
    char dir[64];
    int64_t account;
    char token[SECRET_TEXT_N + 1];
};

static int64_t add_account(struct db *db, const char *name, enum role role)
{
    assert_true(db_write(db));
    db_bind_text(db, ACCOUNT_ADD, 1, slice_str(name));
    db_bind_number(db, ACCOUNT_ADD, 2, role);
    db_bind_text(db, ACCOUNT_ADD, 3, SLICE("$y$none"));
    db_bind_number(db, ACCOUNT_ADD, 4, wall);
    db_bind_text(db, ACCOUNT_ADD, 5, SLICE("[\"a@example.com\"]"));
    assert_int_equal(db_step(db, ACCOUNT_ADD), DB_ROW);
    int64_t id = (int64_t)db_number(db, ACCOUNT_ADD, 0);
    db_reset(db, ACCOUNT_ADD);
    return id;
}

static void add_session(struct world *w)
{
    struct db *db = &w->admin.auth->db;
    unsigned char hash[HASH_N];
    secret_make(w->token);
    secret_hash_of(slice_str(w->token), hash);
    assert_true(db_write(db));
    db_bind_blob(db, SESSION_ADD, 1, slice_of(hash, HASH_N));
    db_bind_number(db, SESSION_ADD, 2, (uint64_t)w->account);
    db_bind_number(db, SESSION_ADD, 3, wall);
    db_bind_text(db, SESSION_ADD, 4, SLICE("192.0.2.1"));
    db_bind_text(db, SESSION_ADD, 5, SLICE("x"));
    assert_int_equal(db_run(db, SESSION_ADD), DB_ROW);
}

static int open_world(void **state)
{
    struct world *w = mem_new(struct world);
    struct err err;
    snprintf(w->dir, sizeof w->dir, "/tmp/postern-accounts-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->admin.base = event_base_new();
    assert_true(auth_open(&w->admin, w->dir, &err));
    w->account = add_account(&w->admin.auth->db, "root", ROLE_ADMINISTRATOR);
    add_session(w);
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    static const char *const files[] = { "admin.db", "admin.db-wal", "admin.db-shm", "admin.db.damaged", "admin.db.damaged-wal", "admin.db.damaged-shm" };
    char path[128];
    auth_close(&w->admin);
    event_base_free(w->admin.base);
    for (size_t i = 0; i < countof(files); i++) {
        snprintf(path, sizeof path, "%s/%s", w->dir, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(w->dir), 0);
    free(w);
    return 0;
}

static bool identify(struct world *w, bool background, struct identity *out)
{
    char cookie[100];
    snprintf(cookie, sizeof cookie, "__Host-postern=%s", w->token);
    return auth_identify(&w->admin, &(struct auth_request){ .peer = "192.0.2.1", .cookie = cookie, .background = background }, out);
}

static bool still(struct world *w, bool background)
{
    struct identity who;
    bool there = identify(w, background, &who);
    assert_int_equal(who.via, there ? VIA_SESSION : VIA_NOBODY);
    assert_int_equal(who.rights, there ? role_rights(ROLE_ADMINISTRATOR) : 0);
    identity_deinit(&who);
    return there;
}

static void sessions_idle(void **state)
{
    struct world *w = *state;
    assert_true(still(w, false));
    for (unsigned i = 0; i < 5; i++, wall += 29 * MINUTE) assert_true(still(w, false));
    wall += 30 * MINUTE;
    assert_false(still(w, false));
    session_sweep(w->admin.auth, wall);
    wall -= 50 * MINUTE;
    assert_false(still(w, false)); /* gone for good */
}

static void sessions_in_the_background(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < 3; i++, wall += 10 * MINUTE) assert_true(still(w, true));
    assert_false(still(w, true)); /* what a page does by itself does not prolong it */
}

static void sessions_end(void **state)
{
    struct world *w = *state;
    uint64_t end = wall + 12 * HOUR;
    for (; wall < end; wall += 20 * MINUTE) assert_true(still(w, false));
    wall = end - 1;
    assert_true(still(w, false));
    wall = end;
    assert_false(still(w, false));
}

static void sessions_shortened(void **state)
{
    struct world *w = *state;
    auth_configure(&w->admin, &(struct auth_settings){ .session_idle = MINUTE, .session_max = HOUR, .audit = HOUR });
    assert_true(still(w, false));
    wall += MINUTE;
    assert_false(still(w, false));
}

static void change_account(struct world *w, enum role role, bool disabled)
{
    struct db *db = &w->admin.auth->db;
    assert_true(db_write(db));
    db_bind_number(db, ACCOUNT_SET, 1, (uint64_t)w->account);
    db_bind_number(db, ACCOUNT_SET, 2, role);
    db_bind_number(db, ACCOUNT_SET, 3, disabled);
    db_bind_text(db, ACCOUNT_SET, 4, SLICE("[]"));
    assert_int_equal(db_run(db, ACCOUNT_SET), DB_DONE);
}

static int64_t remember(struct world *w)
{
    struct account one;
    assert_true(account_get(&w->admin.auth->db, w->account, &one));
    secret_make(w->token);
    int64_t id = memory_add(w->admin.auth, &one, "192.0.2.1", w->token);
    account_deinit(&one);
    return id;
}

static void sessions_in_memory(void **state)
{
    struct world *w = *state;
    struct auth *u = w->admin.auth;
    json_t *all = json_array();
    int64_t id = remember(w);
    assert_true(id < 0);
    for (unsigned i = 0; i < 36; i++, wall += 20 * MINUTE) assert_true(still(w, false));
    assert_false(still(w, false)); /* 12 hours */
    assert_true(remember(w) < id);
    assert_true(still(w, false));
    change_account(w, ROLE_OPERATOR, false);
    assert_false(still(w, false));
    assert_int_equal(remember(w), 0); /* administrators only */
    change_account(w, ROLE_ADMINISTRATOR, true);
    change_account(w, ROLE_ADMINISTRATOR, false);
    id = remember(w);
    memory_list(u, w->account, id, all);
    assert_int_equal(json_array_size(all), 2);
    assert_false(memory_end(u, w->account + 1, id));
    assert_false(memory_end(u, w->account, 0));
    assert_true(still(w, false));
    assert_true(memory_end(u, w->account, id));
    assert_false(memory_end(u, w->account, id));
    assert_false(still(w, false));
    for (unsigned i = 0; i < 2 * MEMORY_SESSIONS; i++, wall++) assert_true(remember(w) < 0);
    assert_true(still(w, false));
    json_array_clear(all);
    memory_list(u, w->account, 0, all);
    assert_int_equal(json_array_size(all), MEMORY_SESSIONS);
    json_decref(all);
}

/* Its accounts are others, whatever their numbers. */
static void another_database(void **state)
{
    struct world *w = *state;
    struct auth *u = w->admin.auth;
    assert_true(remember(w) < 0);
    assert_true(still(w, false));
    u->db.damaged = true;
    db_tend(&u->db, 1);
    assert_int_equal(add_account(&u->db, "mallory", ROLE_ADMINISTRATOR), w->account);
    assert_false(still(w, false));
}

static void second_factor_first(void **state)
{
    struct world *w = *state;
    struct identity who;
    const char *why = NULL;
    struct route config = { .method = "GET", .path = "/v1/config", .right = RIGHT_CONFIG }, own = { .method = "GET", .path = "/", .right = RIGHT_SELF };
    auth_configure(&w->admin, &(struct auth_settings){ .session_idle = HOUR, .session_max = HOUR, .audit = HOUR, .second_factor = true });
    assert_true(identify(w, false, &who));
    assert_int_equal(who.rights, RIGHT_SELF);
    assert_int_equal(auth_refuses(&who, &config, NULL, &why), 403);
    assert_non_null(strstr(why, "second factor"));
    assert_int_equal(auth_refuses(&who, &own, NULL, &why), 0);
    identity_deinit(&who);
}

static void csrf(void **state)
{
    struct world *w = *state;
    struct identity who, nobody;
    const char *why;
    struct route change = { .method = "POST", .path = "/v1/x", .right = RIGHT_CONFIGURE }, see = { .method = "GET", .path = "/v1/x", .right = RIGHT_CONFIG };
    assert_true(identify(w, false, &who));
    assert_int_equal(auth_refuses(&who, &see, NULL, &why), 0);
    assert_int_equal(auth_refuses(&who, &change, NULL, &why), 403);
    assert_int_equal(auth_refuses(&who, &change, "", &why), 403);
    assert_int_equal(auth_refuses(&who, &change, w->token, &why), 403);
    assert_int_equal(auth_refuses(&who, &change, who.csrf, &why), 0);
    identity_deinit(&who);
    assert_true(auth_identify(&w->admin, &(struct auth_request){ .peer = "192.0.2.1" }, &nobody));
    assert_int_equal(auth_refuses(&nobody, &see, NULL, &why), 401);
    assert_false(auth_identify(&w->admin, &(struct auth_request){ .peer = "192.0.2.1", .authorization = "Bearer pst_x" }, &nobody));
    assert_false(auth_identify(&w->admin, &(struct auth_request){ .peer = "192.0.2.1", .authorization = "Basic cm9vdDp4" }, &nobody));
    assert_int_equal(auth_refuses(&nobody, &see, NULL, &why), 401);
}

static void tokens(void **state)
{
    struct world *w = *state;
    struct db *db = &w->admin.auth->db;
    char header[80] = "Bearer pst_";
    unsigned char hash[HASH_N];
    struct identity who;
    const char *why;
    struct auth_request q = { .peer = "192.0.2.1", .authorization = header };
    struct route own = { .method = "POST", .path = "/", .right = RIGHT_STATUS, .no_token = true }, change = { .method = "POST", .path = "/", .right = RIGHT_STATUS };
    secret_make(header + strlen(header));
    secret_hash_of(slice_str(header + 7), hash);
    assert_true(db_write(db));
    db_bind_blob(db, TOKEN_ADD, 1, slice_of(hash, HASH_N));
    db_bind_number(db, TOKEN_ADD, 2, (uint64_t)w->account);
    db_bind_text(db, TOKEN_ADD, 3, SLICE("t"));
    db_bind_number(db, TOKEN_ADD, 4, RIGHT_STATUS | RIGHT_CONFIGURE);
    db_bind_number(db, TOKEN_ADD, 5, wall);
    db_bind_number(db, TOKEN_ADD, 6, wall + HOUR);
    assert_int_equal(db_run(db, TOKEN_ADD), DB_ROW);
    assert_true(auth_identify(&w->admin, &q, &who));
    assert_int_equal(who.rights, RIGHT_STATUS | RIGHT_CONFIGURE);
    assert_int_equal(auth_refuses(&who, &own, NULL, &why), 403);
    assert_int_equal(auth_refuses(&who, &change, NULL, &why), 0);
    identity_deinit(&who);
    db_bind_number(db, ACCOUNT_SET, 1, (uint64_t)w->account); /* a role that has less */
    db_bind_number(db, ACCOUNT_SET, 2, ROLE_OPERATOR);
    db_bind_number(db, ACCOUNT_SET, 3, 0);
    assert_int_equal(db_run(db, ACCOUNT_SET), DB_DONE);
    assert_true(auth_identify(&w->admin, &q, &who));
    assert_int_equal(who.rights, RIGHT_STATUS);
    identity_deinit(&who);
    db_bind_number(db, ACCOUNT_SET, 3, 1); /* disabled */
    assert_int_equal(db_run(db, ACCOUNT_SET), DB_DONE);
    assert_false(auth_identify(&w->admin, &q, &who));
    assert_false(still(w, false));
    db_bind_number(db, ACCOUNT_SET, 3, 0);
    assert_int_equal(db_run(db, ACCOUNT_SET), DB_DONE);
    wall += HOUR;
    assert_false(auth_identify(&w->admin, &q, &who)); /* expired */
}

static void links(void **state)
{
    struct world *w = *state;
    int64_t account;
    char *link = link_make(w->admin.auth, w->account), *later;
    assert_non_null(link);
    struct slice token = slice_str(strrchr(link, '/') + 1);
    assert_true(link_find(w->admin.auth, token, &account));
    assert_int_equal(account, w->account);
    later = link_make(w->admin.auth, w->account);
    assert_false(link_find(w->admin.auth, token, &account)); /* the one before is void */
    assert_true(link_find(w->admin.auth, slice_str(strrchr(later, '/') + 1), &account));
    wall += 24 * HOUR;
    assert_false(link_find(w->admin.auth, slice_str(strrchr(later, '/') + 1), &account));
    free(link);
    free(later);
    link = link_make(w->admin.auth, 0); /* the first start is over: there is somebody */
    assert_false(link_find(w->admin.auth, slice_str(strrchr(link, '/') + 1), &account));
    free(link);
}

/* ---- passwords */

static int done_n;
static char made[PASSWORD_HASH_MAX];

static void on_made(void *arg, struct password_job *job)
{
    assert_true(job->ok);
    memcpy(made, job->hash, sizeof made);
    done_n++;
}

static void on_checked(void *arg, struct password_job *job)
{
    assert_int_equal(job->ok, *(bool *)arg);
    done_n++;
}

static void passwords(void **state)
{
    struct world *w = *state;
    struct passwords *p = w->admin.auth->passwords;
    bool yes = true, no = false;
    done_n = 0;
    assert_true(password_hash(p, SLICE("correct horse"), on_made, NULL));
    while (done_n < 1) event_base_loop(w->admin.base, EVLOOP_ONCE);
    assert_memory_equal(made, "$y$", 3);
    assert_true(password_check(p, SLICE("correct horse"), made, on_checked, &yes));
    assert_true(password_check(p, SLICE("correct horsf"), made, on_checked, &no));
    assert_true(password_check(p, SLICE("correct horse"), NULL, on_checked, &no));
    assert_true(password_check(p, SLICE("correct horse"), "", on_checked, &no));
    assert_true(password_check(p, SLICE(""), made, on_checked, &no));
    while (done_n < 6) event_base_loop(w->admin.base, EVLOOP_ONCE);
    unsigned taken = 0;
    while (taken < 100 && password_check(p, SLICE("x"), NULL, on_checked, &no)) taken++;
    assert_in_range(taken, 32, 36); /* what waits is bounded */
    while (done_n < 6 + (int)taken) event_base_loop(w->admin.base, EVLOOP_ONCE);
    assert_null(password_refuses(SLICE("correct horse"), SLICE("root")));
    assert_non_null(password_refuses(SLICE("123456789"), SLICE("root")));
    assert_non_null(password_refuses(SLICE("\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4"), SLICE("root"))); /* five characters */
    assert_non_null(password_refuses(SLICE("Administrator"), SLICE("administrator")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totp_vectors),
        cmocka_unit_test(totp_window),
        cmocka_unit_test(totp_texts),
        cmocka_unit_test(recovery_codes),
        cmocka_unit_test(brake_grows),
        cmocka_unit_test(brake_of_accounts),
        cmocka_unit_test(brake_bounds),
        cmocka_unit_test(roles),
        cmocka_unit_test(names),
        cmocka_unit_test(actions),
        cmocka_unit_test(cookies),
        cmocka_unit_test_setup_teardown(sessions_idle, open_world, close_world),
        cmocka_unit_test_setup_teardown(sessions_in_the_background, open_world, close_world),
        cmocka_unit_test_setup_teardown(sessions_end, open_world, close_world),
        cmocka_unit_test_setup_teardown(sessions_shortened, open_world, close_world),
        cmocka_unit_test_setup_teardown(sessions_in_memory, open_world, close_world),
        cmocka_unit_test_setup_teardown(another_database, open_world, close_world),
        cmocka_unit_test_setup_teardown(second_factor_first, open_world, close_world),
        cmocka_unit_test_setup_teardown(csrf, open_world, close_world),
        cmocka_unit_test_setup_teardown(tokens, open_world, close_world),
        cmocka_unit_test_setup_teardown(links, open_world, close_world),
        cmocka_unit_test_setup_teardown(passwords, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
