/* SPDX-License-Identifier: Apache-2.0
 * One's own second factor: /v1/account/totp. */
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/random.h>
#include "admin/auth_int.h"
#include "base/clock.h"
#include "base/json.h"

/* ---- POST: a secret, which is pending until a code shows that it arrived */

static void answer_secret(struct http_request *r, const unsigned char secret[TOTP_SECRET_N], const char *name)
{
    const struct auth *u = r->admin->auth;
    struct buf text = { 0 }, uri = { 0 };
    totp_add_base32(&text, slice_of(secret, TOTP_SECRET_N));
    totp_add_uri(&uri, secret, u->set.hostname ? u->set.hostname : "", name);
    http_answer(r, MHD_HTTP_OK, json_pack("{s:s, s:s}", "secret", buf_cstr(&text), "uri", buf_cstr(&uri)));
    buf_wipe(&text);
    buf_wipe(&uri);
}

void totp_serve_begin(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    unsigned char secret[TOTP_SECRET_N];
    struct account one;
    if (!account_of(r, &one)) return;
    if (getrandom(secret, sizeof secret, 0) != sizeof secret) abort();
    db_bind_number(&u->db, ACCOUNT_PENDING, 1, (uint64_t)one.id);
    db_bind_blob(&u->db, ACCOUNT_PENDING, 2, slice_of(secret, sizeof secret));
    if (one.has_totp) http_error(r, MHD_HTTP_CONFLICT, "there is a second factor already: remove it first");
    else if (db_write(&u->db) && db_run(&u->db, ACCOUNT_PENDING) == DB_DONE && auth_commit(u)) answer_secret(r, secret, one.name);
    else auth_answer_failed(r);
    mem_wipe(secret, sizeof secret);
    account_deinit(&one);
}

/* ---- PUT: it is in force from now on */

static bool add_codes(struct auth *u, int64_t account, json_t *codes)
{
    char code[RECOVERY_TEXT_N + 1];
    unsigned char hash[HASH_N];
    db_bind_number(&u->db, RECOVERY_CLEAR, 1, (uint64_t)account);
    bool ok = db_run(&u->db, RECOVERY_CLEAR) == DB_DONE;
    for (unsigned i = 0; ok && i < RECOVERY_CODES; i++) {
        recovery_make(code);
        secret_hash_of(slice_str(code), hash);
        json_array_append_new(codes, json_string(code));
        db_bind_number(&u->db, RECOVERY_ADD, 1, (uint64_t)account);
        db_bind_blob(&u->db, RECOVERY_ADD, 2, slice_of(hash, HASH_N));
        ok = db_run(&u->db, RECOVERY_ADD) == DB_DONE;
    }
    mem_wipe(code, sizeof code);
    return ok;
}

static bool set_totp(struct auth *u, const struct account *one, uint64_t step, json_t *codes)
{
    if (!db_write(&u->db)) return false;
    db_bind_number(&u->db, ACCOUNT_TOTP, 1, (uint64_t)one->id);
    db_bind_blob(&u->db, ACCOUNT_TOTP, 2, slice_of(one->pending, TOTP_SECRET_N));
    db_bind_number(&u->db, ACCOUNT_TOTP, 3, step);
    return db_run(&u->db, ACCOUNT_TOTP) == DB_DONE && add_codes(u, one->id, codes) && auth_commit(u);
}

void totp_serve_confirm(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct account one;
    if (!account_of(r, &one)) return;
    uint64_t step = one.has_pending ? totp_check(one.pending, json_text(r->json, "code"), clock_wall_ms(), 0) : 0;
    json_t *codes = json_array();
    if (!one.has_pending) http_error(r, MHD_HTTP_CONFLICT, "no second factor was begun: POST /v1/account/totp makes its secret");
    else if (!step) http_error(r, MHD_HTTP_BAD_REQUEST, "this code is not right; wait for the next one, and see that the clock of your device is right");
    else if (set_totp(u, &one, step, codes)) http_answer(r, MHD_HTTP_OK, json_pack("{s:O}", "recovery", codes));
    else auth_answer_failed(r);
    json_decref(codes);
    account_deinit(&one);
}

/* ---- DELETE */

static void on_right(struct http_request *r, struct account *one)
{
    struct auth *u = r->admin->auth;
    if (db_write(&u->db) && account_clear_totp(u, one->id) && auth_commit(u)) http_answer(r, MHD_HTTP_OK, NULL);
    else auth_answer_failed(r);
}

void totp_serve_remove(struct http_request *r)
{
    account_confirm(r, json_text(r->json, "password"), on_right);
}
