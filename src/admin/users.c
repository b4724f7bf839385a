/* SPDX-License-Identifier: Apache-2.0
 * Those who log in to send mail (the file of auth.users): /v1/users. The file is read and changed by a process of the master's; what goes there in
 * place of a password is made here, in a thread, so that the password itself goes nowhere. */
#include <microhttpd.h>
#include "admin/auth_int.h"
#include "admin/config.h"
#include "auth/users_file.h"
#include "base/json.h"
#include "change/change.h"

#define USER_ADDRESSES_MAX 1000

/* "login: that is no name ..." */
static void bad_member(struct http_request *r, const char *name, const char *text)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s: %s", name, text);
    http_error(r, MHD_HTTP_BAD_REQUEST, buf_cstr(&b));
    buf_deinit(&b);
}

/* What the body has of password and addresses; false: answered. */
static bool check_body(struct http_request *r)
{
    const json_t *addresses = json_object_get(r->json, "addresses");
    struct slice password = json_text(r->json, "password");
    struct buf joined = { 0 };
    struct err err;
    const char *wrong = NULL, *which = "addresses";
    if (json_array_size(addresses) > USER_ADDRESSES_MAX) wrong = "at most 1000";
    else if (!change_users_addresses(addresses, &joined, &err)) wrong = err.text;
    else if (password.p && !users_password_ok(password, &err)) {
        wrong = err.text;
        which = "password";
    }
    if (wrong) bad_member(r, which, wrong);
    buf_deinit(&joined);
    return !wrong;
}

/* For the audit log: what is to become of the login, never the password. */
static void say(struct http_request *r, const char *login)
{
    struct buf text = { 0 };
    const json_t *addresses = json_object_get(r->json, "addresses"), *one;
    size_t i;
    if (json_object_get(r->json, "password") && r->rest.n) buf_add_str(&text, "new password");
    if (json_is_true(json_object_get(r->json, "cram_md5"))) buf_addf(&text, "%sCRAM-MD5", text.n ? ", " : "");
    if (addresses) buf_addf(&text, "%saddresses:", text.n ? ", " : "");
    if (addresses && !json_array_size(addresses)) buf_add_str(&text, " none");
    json_array_foreach(addresses, i, one) {
        if (text.n > 1000) break; /* more is not kept */
        buf_addf(&text, " %s", json_string_value(one));
    }
    http_audit(r, login, text.n ? buf_cstr(&text) : NULL);
    buf_deinit(&text);
}

/* The login of the path as the member of a request; false: answered. One that cannot be is none. */
static bool path_login(struct http_request *r, json_t *request)
{
    struct err err;
    if (!users_name_ok(r->rest, &err)) {
        http_error(r, MHD_HTTP_NOT_FOUND, "there is no such user");
        return false;
    }
    json_object_set_new(request, "login", json_stringn(r->rest.p, r->rest.n));
    return true;
}

static void on_secret(void *arg, struct password_job *job)
{
    struct http_request *r = arg;
    json_t *request = r->parts, *secret = job->ok ? json_stringn(job->secret.p, job->secret.n) : NULL;
    r->parts = NULL;
    if (secret) {
        json_object_set(request, "secret", secret);
        config_ask_users(r, request, config_answer);
        json_wipe(secret);
    } else {
        json_decref(request);
        http_error(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "the password could not be hashed");
    }
    json_decref(secret);
}

/* Takes request; with a password in the body its hash comes first. */
static void go(struct http_request *r, json_t *request)
{
    static const char *const names[] = { "addresses", "cram_md5", NULL };
    struct slice password = json_text(r->json, "password");
    config_take(request, r->json, names);
    if (!password.p) {
        config_ask_users(r, request, config_answer);
        return;
    }
    r->parts = request;
    if (!password_for_users(r->admin->auth->passwords, password, on_secret, r)) login_answer_busy(r);
}

/* ---- what is served */

static void serve_list(struct http_request *r) { config_ask_users(r, http_arguments(r, "list"), config_answer); }

static void serve_add(struct http_request *r)
{
    struct err err;
    struct slice login = json_text(r->json, "login");
    bool named = users_name_ok(login, &err);
    say(r, named ? login.p : NULL);
    if (!named) bad_member(r, "login", err.text);
    if (!named || !check_body(r)) return;
    json_t *request = config_change(r, "add");
    json_object_set(request, "login", json_object_get(r->json, "login"));
    go(r, request);
}

static void serve_change(struct http_request *r)
{
    json_t *request = config_change(r, "change");
    bool found = path_login(r, request), some = json_object_get(r->json, "password") || json_object_get(r->json, "addresses");
    say(r, json_string_value(json_object_get(request, "login")));
    if (found && !some) http_error(r, MHD_HTTP_BAD_REQUEST, "nothing to change: password or addresses is needed");
    if (found && some && check_body(r)) go(r, request);
    else json_decref(request);
}

static void serve_delete(struct http_request *r)
{
    json_t *request = config_change(r, "delete");
    bool found = path_login(r, request);
    http_audit(r, json_string_value(json_object_get(request, "login")), NULL);
    if (found) config_ask_users(r, request, config_answer);
    else json_decref(request);
}

/* ---- the table */

#define ADDRESSES_HELP "what may be sent as besides the login: someone@example.com, @example.com for all of a domain, * for any"
#define CRAM { "cram_md5", ROUTE_BOOL, false, "also a secret for CRAM-MD5, from which who steals the file can log in", NULL }
static const struct route_field list_arguments[] = {
    { "search", ROUTE_TEXT, false, "a part of the login or of an address", NULL },
    { "limit", ROUTE_NUMBER, false, "at most so many, up to 1000; 100 when not said", NULL },
    { "after", ROUTE_TEXT, false, "where the last answer ended", NULL },
    { 0 },
};
static const struct route_field add_body[] = {
    { "login", ROUTE_TEXT, true, "up to 255 bytes, without colons and control characters", NULL },
    { "password", ROUTE_TEXT, true, "any text of up to 1024 bytes", NULL },
    { "addresses", ROUTE_TEXTS, false, ADDRESSES_HELP, NULL },
    CRAM,
    { 0 },
};
static const struct route_field change_body[] = {
    { "password", ROUTE_TEXT, false, "the new one; a locked login counts again", NULL },
    { "addresses", ROUTE_TEXTS, false, "in place of those it has: " ADDRESSES_HELP, NULL },
    CRAM,
    { 0 },
};

const struct route routes_users[] = {
    { "GET", "/v1/users", "those who log in to send mail, by login", serve_list, RIGHT_ACCOUNTS, list_arguments,
      .answers = "users: array, total: integer, after?: string, backend: string, file: string" },
    { "POST", "/v1/users", "a new one", serve_add, RIGHT_ACCOUNTS, .body = add_body },
    { "PATCH", "/v1/users/*", "a new password, or other addresses", serve_change, RIGHT_ACCOUNTS, .body = change_body, .slashes = true },
    { "DELETE", "/v1/users/*", "remove one", serve_delete, RIGHT_ACCOUNTS, .slashes = true },
    { 0 },
};
