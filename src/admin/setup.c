/* SPDX-License-Identifier: Apache-2.0
 * What is behind one-time links: POST /v1/setup. That of the first start makes an administrator; that of an account sets a new password, and takes
 * the second factor away. */
#include <microhttpd.h>
#include "admin/auth_int.h"
#include "base/clock.h"
#include "base/json.h"

/* The account that the link is for; 0: the first start. False: answered. */
static bool take_link(struct http_request *r, int64_t *account, char name[ACCOUNT_NAME_MAX + 1])
{
    struct auth *u = r->admin->auth;
    struct account one = { 0 };
    bool ok = link_find(u, json_text(r->json, "link"), account) && (!*account || (account_get(&u->db, *account, &one) && !one.disabled));
    if (ok && *account) memcpy(name, one.name, sizeof one.name);
    account_deinit(&one);
    if (!ok) http_error(r, MHD_HTTP_UNAUTHORIZED, "this link was used already, or is too old");
    return ok;
}

static int64_t add_administrator(struct auth *u, const char *name, const char *hash)
{
    db_bind_text(&u->db, ACCOUNT_ADD, 1, slice_str(name));
    db_bind_number(&u->db, ACCOUNT_ADD, 2, ROLE_ADMINISTRATOR);
    db_bind_text(&u->db, ACCOUNT_ADD, 3, slice_str(hash));
    db_bind_number(&u->db, ACCOUNT_ADD, 4, clock_wall_ms());
    db_bind_text(&u->db, ACCOUNT_ADD, 5, SLICE("[]"));
    if (db_step(&u->db, ACCOUNT_ADD) != DB_ROW) return 0;
    int64_t id = (int64_t)db_number(&u->db, ACCOUNT_ADD, 0);
    db_reset(&u->db, ACCOUNT_ADD);
    return id;
}

static bool apply(struct auth *u, int64_t link_of, int64_t *account, const char *name, const char *hash)
{
    if (!db_write(&u->db)) return false;
    bool ok;
    if (*account) ok = account_set_password(u, *account, hash, 0) && account_clear_totp(u, *account);
    else ok = (*account = add_administrator(u, name, hash)) != 0;
    db_bind_number(&u->db, LINK_DELETE_OF, 1, (uint64_t)link_of);
    ok = ok && db_run(&u->db, LINK_DELETE_OF) == DB_DONE;
    return auth_commit(u) && ok;
}

static void on_hash(void *arg, struct password_job *job)
{
    struct http_request *r = arg;
    struct auth *u = r->admin->auth;
    char name[ACCOUNT_NAME_MAX + 1] = "";
    struct account one = { 0 };
    int64_t account;
    (void)account_name_fold(json_text(r->json, "name"), name);
    if (!take_link(r, &account, name)) return; /* somebody was quicker */
    if (job->ok && apply(u, account, &account, name, job->hash) && account_get(&u->db, account, &one)) {
        http_audit(r, one.name, "by a one-time link");
        accounts_changed(r->admin);
        login_finish(r, &one);
    } else {
        auth_answer_failed(r);
    }
    account_deinit(&one);
}

void setup_serve(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct slice password = json_text(r->json, "password");
    char name[ACCOUNT_NAME_MAX + 1] = "";
    int64_t account;
    r->tried = true;
    if (login_braked(r)) return;
    if (!take_link(r, &account, name)) {
        login_end(r, (struct slice){ 0 }, LOGIN_FAILED);
        return;
    }
    login_end(r, (struct slice){ 0 }, LOGIN_OPEN);
    const char *wrong = NULL;
    if (!account && !account_name_fold(json_text(r->json, "name"), name))
        wrong = "name: expected letters, digits and . _ - + @, at most 64, a letter or digit first";
    if (!wrong) wrong = password_refuses(password, slice_str(name));
    if (wrong) http_error(r, MHD_HTTP_BAD_REQUEST, wrong);
    else if (!password_hash(u->passwords, password, on_hash, r)) login_answer_busy(r);
}
