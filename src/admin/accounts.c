/* SPDX-License-Identifier: Apache-2.0
 * Everybody's accounts, for administrators and `postern account`: /v1/accounts, /v1/audit. */
#include <microhttpd.h>
#include <stdlib.h>
#include "admin/auth_int.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

#define ADDRESS_MAX 320

/* ---- what may be in one */

static bool address_ok(struct slice a)
{
    size_t ats = 0;
    for (size_t i = 0; i < a.n; i++) {
        if ((unsigned char)a.p[i] <= ' ' || a.p[i] == 127 || strchr(",;<>\"", a.p[i])) return false;
        ats += a.p[i] == '@';
    }
    return ats == 1 && a.n <= ADDRESS_MAX && a.p[0] != '@' && a.p[a.n - 1] != '@' && utf8_clean(a);
}

/* In lower case, each once, as the text of an array. NULL: one cannot be, or there are too many. */
static char *read_addresses(const json_t *given)
{
    json_t *all = json_array(), *seen = json_object();
    const json_t *v;
    size_t i;
    bool ok = json_array_size(given) <= ADDRESSES_MAX;
    for (i = 0; ok && (v = json_array_get(given, i)); i++) {
        struct buf lower = { 0 };
        struct slice a = slice_of(json_string_value(v), json_string_length(v));
        for (size_t k = 0; k < a.n; k++) buf_add_char(&lower, ascii_lower(a.p[k]));
        ok = address_ok(buf_slice(&lower));
        if (ok && !json_object_get(seen, buf_cstr(&lower))) {
            json_object_set_new(seen, buf_cstr(&lower), json_true());
            json_array_append_new(all, json_string(buf_cstr(&lower)));
        }
        buf_deinit(&lower);
    }
    char *out = ok ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    json_decref(seen);
    return out;
}

static void bad_addresses(struct http_request *r)
{
    http_error(r, MHD_HTTP_BAD_REQUEST, "addresses: expected at most 100 such as someone@example.com");
}

/* Which of the path; false: answered. */
static bool find(struct http_request *r, struct account *out)
{
    if (account_find(&r->admin->auth->db, r->rest, out)) {
        http_audit(r, out->name, NULL);
        return true;
    }
    http_error(r, MHD_HTTP_NOT_FOUND, "there is no such account");
    return false;
}

/* Somebody must be left who can log in and let others in. */
static bool is_last(struct auth *u, const struct account *one)
{
    if (one->role != ROLE_ADMINISTRATOR || one->disabled || !*one->password) return false;
    db_bind_number(&u->db, ACCOUNT_ADMINS, 1, (uint64_t)one->id);
    return !db_number_of(&u->db, ACCOUNT_ADMINS);
}

static void refuse_last(struct http_request *r)
{
    http_error(r, MHD_HTTP_CONFLICT, "this is the last administrator who can log in: make another one first");
}

/* ---- GET */

static json_t *describe(const struct account *one)
{
    json_t *d = json_pack("{s:s, s:s, s:O, s:b, s:I, s:b, s:b}", "name", one->name, "role", role_name(one->role), "addresses", one->addresses, "totp",
                          one->has_totp, "created", (json_int_t)one->created, "disabled", one->disabled, "password", *one->password != 0);
    json_object_set_new(d, "last_login", one->last_login ? json_integer((json_int_t)one->last_login) : json_null());
    return d;
}

static void serve_list(struct http_request *r)
{
    struct db *db = &r->admin->auth->db;
    json_t *all = json_array();
    while (db_step(db, ACCOUNT_LIST) == DB_ROW) {
        struct account one;
        account_from_row(db, ACCOUNT_LIST, &one);
        json_array_append_new(all, describe(&one));
        account_deinit(&one);
    }
    http_answer(r, MHD_HTTP_OK, json_pack("{s:o}", "accounts", all));
}

/* ---- POST */

static void answer_link(struct http_request *r, int64_t account)
{
    char *link = link_make(r->admin->auth, account);
    uint64_t expires = clock_wall_ms() + LINK_MS;
    if (link) http_answer(r, MHD_HTTP_OK, json_pack("{s:s, s:I}", "link", link, "expires", (json_int_t)expires));
    else auth_answer_failed(r);
    if (link) mem_wipe(link, strlen(link));
    free(link);
}

/* hash: "": with a link. */
static void add(struct http_request *r, const char *hash)
{
    struct auth *u = r->admin->auth;
    char name[ACCOUNT_NAME_MAX + 1] = "", *addresses = read_addresses(json_object_get(r->json, "addresses"));
    enum role role = ROLE_USER;
    int64_t id = 0;
    (void)account_name_fold(json_text(r->json, "name"), name);
    (void)role_find(json_text(r->json, "role"), &role);
    db_bind_text(&u->db, ACCOUNT_ADD, 1, slice_str(name));
    db_bind_number(&u->db, ACCOUNT_ADD, 2, role);
    db_bind_text(&u->db, ACCOUNT_ADD, 3, slice_str(hash));
    db_bind_number(&u->db, ACCOUNT_ADD, 4, clock_wall_ms());
    db_bind_text(&u->db, ACCOUNT_ADD, 5, slice_str(addresses));
    enum db_step step = db_write(&u->db) ? db_step(&u->db, ACCOUNT_ADD) : DB_FAILED;
    if (step == DB_ROW) {
        id = (int64_t)db_number(&u->db, ACCOUNT_ADD, 0);
        db_reset(&u->db, ACCOUNT_ADD);
    }
    free(addresses);
    if (step == DB_CONSTRAINT) http_error(r, MHD_HTTP_CONFLICT, "there is an account with this name already");
    else if (!id || !auth_commit(u)) auth_answer_failed(r);
    else if (*hash) http_answer(r, MHD_HTTP_OK, NULL);
    else answer_link(r, id);
    if (id) accounts_changed(r->admin);
}

static void on_hash(void *arg, struct password_job *job)
{
    if (job->ok) add(arg, job->hash);
    else auth_answer_failed(arg);
}

static void serve_add(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct slice password = json_text(r->json, "password");
    char name[ACCOUNT_NAME_MAX + 1], *addresses = read_addresses(json_object_get(r->json, "addresses"));
    bool named = account_name_fold(json_text(r->json, "name"), name);
    const char *wrong = json_object_get(r->json, "password") ? password_refuses(password, json_text(r->json, "name")) : NULL;
    bool known = addresses != NULL;
    free(addresses);
    http_audit(r, named ? name : NULL, json_string_value(json_object_get(r->json, "role")));
    if (!named) http_error(r, MHD_HTTP_BAD_REQUEST, "name: expected letters, digits and . _ - + @, at most 64, a letter or digit first");
    else if (!known) bad_addresses(r);
    else if (wrong) http_error(r, MHD_HTTP_BAD_REQUEST, wrong);
    else if (db_number_of(&u->db, ACCOUNT_COUNT) >= ACCOUNTS_MAX) http_error(r, MHD_HTTP_CONFLICT, "there are 1,000 accounts already");
    else if (!password.n) add(r, "");
    else if (!password_hash(u->passwords, password, on_hash, r)) login_answer_busy(r);
}

/* ---- PATCH */

/* What the body wants, in words for the audit log. */
static void say_changes(struct http_request *r, const struct account *one)
{
    struct buf text = { 0 };
    char *all = json_dumps(r->json, JSON_COMPACT | JSON_SORT_KEYS);
    if (all) buf_add_str(&text, all);
    http_audit(r, one->name, text.n ? buf_cstr(&text) : NULL);
    free(all);
    buf_deinit(&text);
}

static bool apply(struct auth *u, const struct account *one, enum role role, bool disabled, const char *addresses, bool no_totp)
{
    if (!db_write(&u->db)) return false;
    db_bind_number(&u->db, ACCOUNT_SET, 1, (uint64_t)one->id);
    db_bind_number(&u->db, ACCOUNT_SET, 2, role);
    db_bind_number(&u->db, ACCOUNT_SET, 3, disabled);
    db_bind_text(&u->db, ACCOUNT_SET, 4, slice_str(addresses));
    bool ok = db_run(&u->db, ACCOUNT_SET) == DB_DONE;
    if (ok && no_totp) ok = account_clear_totp(u, one->id);
    db_bind_number(&u->db, SESSION_OTHERS, 1, (uint64_t)one->id);
    db_bind_number(&u->db, SESSION_OTHERS, 2, 0);
    if (disabled) memory_end_others(u, one->id, 0);
    if (ok && disabled) ok = db_run(&u->db, SESSION_OTHERS) == DB_DONE;
    return auth_commit(u) && ok;
}

static void serve_change(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct account one;
    if (!find(r, &one)) return;
    const json_t *given = json_object_get(r->json, "addresses"), *off = json_object_get(r->json, "disabled"), *totp = json_object_get(r->json, "totp");
    enum role role = one.role;
    bool disabled = off ? json_is_true(off) : one.disabled;
    (void)role_find(json_text(r->json, "role"), &role);
    char *addresses = read_addresses(given ? given : one.addresses);
    say_changes(r, &one);
    if (!addresses) bad_addresses(r);
    else if (json_is_true(totp)) http_error(r, MHD_HTTP_BAD_REQUEST, "totp: a second factor can only be removed here (false)");
    else if ((disabled || role != ROLE_ADMINISTRATOR) && is_last(u, &one)) refuse_last(r);
    else if (!apply(u, &one, role, disabled, addresses, totp != NULL)) auth_answer_failed(r);
    else http_answer(r, MHD_HTTP_OK, NULL);
    accounts_changed(r->admin);
    free(addresses);
    account_deinit(&one);
}

/* ---- DELETE; a new link */

static void serve_delete(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct account one;
    if (!find(r, &one)) return;
    db_bind_number(&u->db, ACCOUNT_DELETE, 1, (uint64_t)one.id); /* with all that belongs to it */
    if (is_last(u, &one)) refuse_last(r);
    else if (db_write(&u->db) && db_run(&u->db, ACCOUNT_DELETE) == DB_DONE && auth_commit(u)) http_answer(r, MHD_HTTP_OK, NULL);
    else auth_answer_failed(r);
    accounts_changed(r->admin);
    account_deinit(&one);
}

static void serve_link(struct http_request *r)
{
    struct account one;
    if (!find(r, &one)) return;
    if (one.disabled) http_error(r, MHD_HTTP_CONFLICT, "this account is disabled");
    else answer_link(r, one.id);
    account_deinit(&one);
}

/* ---- the table */

#define ROLE_WORDS "administrator operator auditor user"
static const struct route_field add_body[] = {
    { "name", ROUTE_TEXT, true, "letters, digits and . _ - + @, at most 64", NULL },
    { "role", ROUTE_TEXT, true, "what it may do", ROLE_WORDS },
    { "addresses", ROUTE_TEXTS, false, "mail addresses: what is held for them is its own quarantine", NULL },
    { "password", ROUTE_TEXT, false, "at least 10 characters; without one the answer has a one-time link", NULL },
    { 0 },
};
static const struct route_field change_body[] = {
    { "role", ROUTE_TEXT, false, "what it may do", ROLE_WORDS },
    { "addresses", ROUTE_TEXTS, false, "mail addresses, in place of those it has", NULL },
    { "disabled", ROUTE_BOOL, false, "nobody gets in with it; its sessions end", NULL },
    { "totp", ROUTE_BOOL, false, "false: its second factor is removed", NULL },
    { 0 },
};
static const struct route_field no_body[] = { { 0 } };
static const struct route_field audit_arguments[] = {
    { "who", ROUTE_TEXT, false, "name of the account", NULL },
    { "action", ROUTE_TEXT, false, "\"config.apply\", or all that begin with \"config\"", NULL },
    { "since", ROUTE_NUMBER, false, "ms since 1970", NULL },
    { "until", ROUTE_NUMBER, false, "ms since 1970", NULL },
    { "limit", ROUTE_NUMBER, false, "at most so many, up to 1000; 100 when not said", NULL },
    { "before", ROUTE_NUMBER, false, "where the last answer ended", NULL },
    { 0 },
};

const struct route routes_accounts[] = {
    { .method = "GET", .path = "/v1/accounts", .help = "accounts of the web administration", .serve = serve_list, .right = RIGHT_ACCOUNTS,
      .answers = "accounts: array" },
    { .method = "POST", .path = "/v1/accounts", .help = "a new one", .serve = serve_add, .right = RIGHT_ACCOUNTS, .body = add_body,
      .answers = "link?: text, expires?: integer" },
    { .method = "PATCH", .path = "/v1/accounts/*", .help = "change one", .serve = serve_change, .right = RIGHT_ACCOUNTS, .body = change_body },
    { .method = "DELETE", .path = "/v1/accounts/*", .help = "remove one, with its sessions and tokens", .serve = serve_delete, .right = RIGHT_ACCOUNTS },
    { .method = "POST", .path = "/v1/accounts/*/link", .help = "a one-time link that sets a new password and removes the second factor",
      .serve = serve_link, .right = RIGHT_ACCOUNTS, .body = no_body, .answers = "link: text, expires: integer" },
    { .method = "GET", .path = "/v1/audit", .help = "who did what, the latest first", .serve = audit_serve, .right = RIGHT_AUDIT,
      .arguments = audit_arguments, .answers = "entries: array, before?: integer" },
    { 0 },
};
