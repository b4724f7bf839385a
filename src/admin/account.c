/* SPDX-License-Identifier: Apache-2.0
 * One's own account: /v1/session, /v1/setup, /v1/account. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include "admin/auth_int.h"
#include "base/json.h"

bool account_of(struct http_request *r, struct account *out)
{
    if (r->who.account && account_get(&r->admin->auth->db, r->who.account, out)) return true;
    *out = (struct account){ 0 };
    http_error(r, MHD_HTTP_CONFLICT, "who asks has no account here: log in on the web administration, see `postern account`");
    return false;
}

/* ---- statements of more than one place */

bool account_set_password(struct auth *u, int64_t account, const char *hash, int64_t session)
{
    db_bind_number(&u->db, ACCOUNT_PASSWORD, 1, (uint64_t)account);
    db_bind_text(&u->db, ACCOUNT_PASSWORD, 2, slice_str(hash));
    db_bind_number(&u->db, SESSION_OTHERS, 1, (uint64_t)account);
    db_bind_number(&u->db, SESSION_OTHERS, 2, session > 0 ? (uint64_t)session : 0);
    memory_end_others(u, account, session);
    db_bind_number(&u->db, LINK_DELETE_OF, 1, (uint64_t)account);
    return db_run(&u->db, ACCOUNT_PASSWORD) == DB_DONE && db_run(&u->db, SESSION_OTHERS) == DB_DONE && db_run(&u->db, LINK_DELETE_OF) == DB_DONE;
}

bool account_clear_totp(struct auth *u, int64_t account)
{
    db_bind_number(&u->db, ACCOUNT_TOTP, 1, (uint64_t)account);
    db_bind_text(&u->db, ACCOUNT_TOTP, 2, (struct slice){ 0 });
    db_bind_number(&u->db, ACCOUNT_TOTP, 3, 0);
    db_bind_number(&u->db, RECOVERY_CLEAR, 1, (uint64_t)account);
    return db_run(&u->db, ACCOUNT_TOTP) == DB_DONE && db_run(&u->db, RECOVERY_CLEAR) == DB_DONE;
}

/* ---- his password once more */

struct confirm {
    struct http_request *r;
    account_confirmed *right;
};

static void on_confirm(void *arg, struct password_job *job)
{
    struct confirm c = *(struct confirm *)arg;
    struct account one;
    free(arg);
    if (!account_of(c.r, &one)) {
        login_end(c.r, slice_str(c.r->who.name), LOGIN_OPEN);
        return;
    }
    bool right = job->ok && !strcmp(one.password, job->hash);
    login_end(c.r, slice_str(one.name), right ? LOGIN_OPEN : LOGIN_FAILED);
    if (right) c.right(c.r, &one);
    else http_error(c.r, MHD_HTTP_FORBIDDEN, "this is not your password");
    account_deinit(&one);
}

void account_confirm(struct http_request *r, struct slice password, account_confirmed *right)
{
    struct account one;
    if (!account_of(r, &one)) return;
    if (!login_braked(r)) {
        struct confirm *c = mem_new(struct confirm);
        *c = (struct confirm){ r, right };
        if (!password_check(r->admin->auth->passwords, password, one.password, on_confirm, c)) {
            free(c);
            login_end(r, slice_str(one.name), LOGIN_OPEN);
            login_answer_busy(r);
        }
    }
    account_deinit(&one);
}

/* ---- POST /v1/account/password */

static void on_new_hash(void *arg, struct password_job *job)
{
    struct http_request *r = arg;
    struct auth *u = r->admin->auth;
    if (job->ok && db_write(&u->db) && account_set_password(u, r->who.account, job->hash, r->who.session) && auth_commit(u))
        http_answer(r, MHD_HTTP_OK, NULL);
    else auth_answer_failed(r);
}

static void on_old_right(struct http_request *r, struct account *one)
{
    if (!password_hash(r->admin->auth->passwords, json_text(r->json, "new"), on_new_hash, r)) login_answer_busy(r);
}

static void serve_password(struct http_request *r)
{
    const char *wrong = password_refuses(json_text(r->json, "new"), slice_str(r->who.name));
    if (wrong) http_error(r, MHD_HTTP_BAD_REQUEST, wrong);
    else account_confirm(r, json_text(r->json, "old"), on_old_right);
}

/* ---- GET, PATCH /v1/account */

static json_t *sessions_of(struct auth *u, const struct http_request *r, int64_t account)
{
    struct db *db = &u->db;
    json_t *all = json_array();
    db_bind_number(db, SESSION_LIST, 1, (uint64_t)account);
    while (db_step(db, SESSION_LIST) == DB_ROW) {
        uint64_t id = db_number(db, SESSION_LIST, 0);
        json_array_append_new(all, json_pack("{s:I, s:I, s:I, s:o, s:o, s:b}", "id", (json_int_t)id, "created",
                                             (json_int_t)db_number(db, SESSION_LIST, 1), "seen", (json_int_t)db_number(db, SESSION_LIST, 2), "address",
                                             db_json_text(db, SESSION_LIST, 3), "agent", db_json_text(db, SESSION_LIST, 4), "current",
                                             id == (uint64_t)r->who.session));
    }
    memory_list(u, account, r->who.session, all);
    return all;
}

static void serve_show(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct account one;
    if (!account_of(r, &one)) return;
    db_bind_number(&u->db, RECOVERY_COUNT, 1, (uint64_t)one.id);
    json_t *a = json_pack("{s:s, s:s, s:O, s:b, s:I, s:s, s:s, s:o}", "name", one.name, "role", role_name(one.role), "addresses", one.addresses, "totp",
                          one.has_totp, "recovery", (json_int_t)db_number_of(&u->db, RECOVERY_COUNT), "language", one.language, "theme", one.theme,
                          "sessions", sessions_of(u, r, one.id));
    account_deinit(&one);
    http_answer(r, MHD_HTTP_OK, a);
}

/* "de", "pt-BR"; "": as the browser wants it. */
static bool language_ok(struct slice s)
{
    if (s.n > 7) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = ascii_lower(s.p[i]);
        if ((c < 'a' || c > 'z') && c != '-') return false;
    }
    return true;
}

static void serve_change(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct account one;
    if (!account_of(r, &one)) return;
    const json_t *language = json_object_get(r->json, "language"), *theme = json_object_get(r->json, "theme");
    db_bind_number(&u->db, ACCOUNT_LOOKS, 1, (uint64_t)one.id);
    db_bind_text(&u->db, ACCOUNT_LOOKS, 2, language ? json_text(r->json, "language") : slice_str(one.language));
    db_bind_text(&u->db, ACCOUNT_LOOKS, 3, theme ? json_text(r->json, "theme") : slice_str(one.theme));
    if (language && !language_ok(json_text(r->json, "language"))) http_error(r, MHD_HTTP_BAD_REQUEST, "language: expected one such as \"de\"");
    else if (db_write(&u->db) && db_run(&u->db, ACCOUNT_LOOKS) == DB_DONE && auth_commit(u)) http_answer(r, MHD_HTTP_OK, NULL);
    else auth_answer_failed(r);
    account_deinit(&one);
}

/* ---- DELETE /v1/account/sessions/ID */

/* "-3": one in memory */
static bool end_in_memory(struct http_request *r)
{
    uint64_t n;
    return slice_starts(r->rest, SLICE("-")) && slice_to_u64(slice_sub(r->rest, 1, r->rest.n), INT64_MAX, &n) &&
           memory_end(r->admin->auth, r->who.account, -(int64_t)n);
}

static void serve_end_session(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct account one;
    uint64_t id;
    if (!account_of(r, &one)) return;
    enum db_step step = DB_DONE;
    if (end_in_memory(r)) {
        step = DB_ROW;
    } else if (slice_to_u64(r->rest, INT64_MAX, &id)) {
        db_bind_number(&u->db, SESSION_DELETE, 1, id);
        db_bind_number(&u->db, SESSION_DELETE, 2, (uint64_t)one.id);
        step = db_write(&u->db) ? db_run(&u->db, SESSION_DELETE) : DB_FAILED;
    }
    account_deinit(&one);
    if (step == DB_DONE) http_error(r, MHD_HTTP_NOT_FOUND, "there is no such session");
    else if (step == DB_ROW && auth_commit(u)) http_answer(r, MHD_HTTP_OK, NULL);
    else auth_answer_failed(r);
}

/* ---- the table */

static const struct route_field login_body[] = {
    { "name", ROUTE_TEXT, true, "of the account", NULL },
    { "password", ROUTE_TEXT, true, "its password", NULL },
    { "code", ROUTE_TEXT, false, "of the second factor, or a recovery code", NULL },
    { 0 },
};
static const struct route_field setup_body[] = {
    { "link", ROUTE_TEXT, true, "what stands behind #/setup/ in the one-time link", NULL },
    { "name", ROUTE_TEXT, false, "of the administrator, with the link of the first start", NULL },
    { "password", ROUTE_TEXT, true, "the new one, at least 10 characters", NULL },
    { 0 },
};
static const struct route_field looks_body[] = {
    { "language", ROUTE_TEXT, false, "\"de\"; empty: the browser's", NULL },
    { "theme", ROUTE_TEXT, false, "light or dark, or as the system has it", "auto light dark" },
    { 0 },
};
static const struct route_field password_body[] = {
    { "old", ROUTE_TEXT, true, "the present password", NULL },
    { "new", ROUTE_TEXT, true, "at least 10 characters", NULL },
    { 0 },
};
static const struct route_field no_body[] = { { 0 } };
static const struct route_field code_body[] = { { "code", ROUTE_TEXT, true, "six digits of the new second factor", NULL }, { 0 } };
static const struct route_field confirm_body[] = { { "password", ROUTE_TEXT, true, "the present password", NULL }, { 0 } };
static const struct route_field token_body[] = {
    { "name", ROUTE_TEXT, true, "what it is for", NULL },
    { "scopes", ROUTE_TEXTS, true, "rights, of those that you have", NULL },
    { "days", ROUTE_NUMBER, false, "how long it is valid, at most 3650; 365 when not said", NULL },
    { 0 },
};

#define SESSION_ANSWERS \
    "name: text, role: text, rights: array, csrf: text, language: text, theme: text, totp: boolean, addresses: array, version: text, hostname: text, " \
    "second_factor_needed?: boolean, unwritten?: boolean"

const struct route routes_account[] = {
    { .method = "GET", .path = "/v1/session", .help = "who is logged in; 401 with setup: whether there is no account yet", .serve = login_serve_show,
      .answers = SESSION_ANSWERS },
    { .method = "POST", .path = "/v1/session", .help = "log in; 401 with code_needed: send the second factor's code, too", .serve = login_serve_in,
      .body = login_body, .answers = SESSION_ANSWERS },
    { .method = "DELETE", .path = "/v1/session", .help = "log out", .serve = login_serve_out, .right = RIGHT_SELF, .no_token = true },
    { .method = "POST", .path = "/v1/setup", .help = "use a one-time link: sets a password, and logs in", .serve = setup_serve, .body = setup_body,
      .answers = SESSION_ANSWERS },
    { .method = "GET", .path = "/v1/account", .help = "one's own account", .serve = serve_show, .right = RIGHT_SELF,
      .answers = "name: text, role: text, addresses: array, totp: boolean, recovery: integer, language: text, theme: text, sessions: array" },
    { .method = "PATCH", .path = "/v1/account", .help = "language and looks of the web administration", .serve = serve_change, .right = RIGHT_SELF,
      .body = looks_body, .no_token = true },
    { .method = "POST", .path = "/v1/account/password", .help = "a new password; all other sessions end", .serve = serve_password, .right = RIGHT_SELF,
      .body = password_body, .no_token = true },
    { .method = "POST", .path = "/v1/account/totp", .help = "begin a second factor", .serve = totp_serve_begin, .right = RIGHT_SELF, .body = no_body,
      .answers = "secret: text, uri: text", .no_token = true },
    { .method = "PUT", .path = "/v1/account/totp", .help = "show that it works: it is in force from now on", .serve = totp_serve_confirm,
      .right = RIGHT_SELF, .body = code_body, .answers = "recovery: array", .no_token = true },
    { .method = "DELETE", .path = "/v1/account/totp", .help = "remove it", .serve = totp_serve_remove, .right = RIGHT_SELF, .body = confirm_body,
      .no_token = true },
    { .method = "DELETE", .path = "/v1/account/sessions/*", .help = "end one of one's sessions", .serve = serve_end_session, .right = RIGHT_SELF,
      .no_token = true },
    { .method = "GET", .path = "/v1/account/tokens", .help = "one's tokens", .serve = token_serve_list, .right = RIGHT_SELF,
      .answers = "tokens: array", .no_token = true },
    { .method = "POST", .path = "/v1/account/tokens", .help = "a new one, which is shown this once", .serve = token_serve_add, .right = RIGHT_SELF,
      .body = token_body, .answers = "id: integer, token: text, expires: integer", .no_token = true },
    { .method = "DELETE", .path = "/v1/account/tokens/*", .help = "make one worthless", .serve = token_serve_delete, .right = RIGHT_SELF,
      .no_token = true },
    { 0 },
};
