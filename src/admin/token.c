/* SPDX-License-Identifier: Apache-2.0
 * Tokens of programs: "pst_" and 32 random bytes, of which the database has the SHA-256 only. */
#include <microhttpd.h>
#include <stdio.h>
#include "admin/auth_int.h"
#include "base/clock.h"
#include "base/json.h"

#define NAME_MAX_N 100
#define DAYS_DEFAULT 365
#define DAYS_MAX 3650
#define USED_MS 60000      /* how exactly its last use is kept */

static void note_use(struct auth *u, int64_t id, uint64_t used, uint64_t now, const char *address)
{
    if (now < used + USED_MS || !db_write(&u->db)) return;
    db_bind_number(&u->db, TOKEN_USED, 1, (uint64_t)id);
    db_bind_number(&u->db, TOKEN_USED, 2, now);
    db_bind_text(&u->db, TOKEN_USED, 3, slice_str(address));
    (void)db_run(&u->db, TOKEN_USED);
}

bool token_find(struct auth *u, struct slice token, struct identity *out)
{
    unsigned char hash[HASH_N];
    uint64_t now = clock_wall_ms();
    struct account one;
    if (token.n != strlen(TOKEN_PREFIX) + SECRET_TEXT_N || !slice_starts(token, SLICE(TOKEN_PREFIX))) return false;
    secret_hash_of(token, hash);
    db_bind_blob(&u->db, TOKEN_FIND, 1, slice_of(hash, HASH_N));
    if (db_step(&u->db, TOKEN_FIND) != DB_ROW) return false;
    account_from_row(&u->db, TOKEN_FIND, &one);
    int64_t id = (int64_t)db_number(&u->db, TOKEN_FIND, ACCOUNT_COLUMN_N);
    uint32_t scopes = (uint32_t)db_number(&u->db, TOKEN_FIND, ACCOUNT_COLUMN_N + 1);
    uint64_t expires = db_number(&u->db, TOKEN_FIND, ACCOUNT_COLUMN_N + 2), used = db_number(&u->db, TOKEN_FIND, ACCOUNT_COLUMN_N + 3);
    db_reset(&u->db, TOKEN_FIND);
    bool ok = !one.disabled && now < expires;
    if (ok) {
        identity_of_account(u, &one, VIA_TOKEN, out);
        out->rights &= scopes; /* also of a role that was narrowed since */
        note_use(u, id, used, now, out->address);
    }
    account_deinit(&one);
    return ok;
}

/* ---- GET /v1/account/tokens */

void token_serve_list(struct http_request *r)
{
    struct db *db = &r->admin->auth->db;
    struct account one;
    json_t *all = json_array();
    if (!account_of(r, &one)) {
        json_decref(all);
        return;
    }
    db_bind_number(db, TOKEN_LIST, 1, (uint64_t)one.id);
    while (db_step(db, TOKEN_LIST) == DB_ROW) {
        json_t *t = json_pack("{s:I, s:o, s:o, s:I, s:I}", "id", (json_int_t)db_number(db, TOKEN_LIST, 0), "name", db_json_text(db, TOKEN_LIST, 1),
                              "scopes", auth_rights_json((uint32_t)db_number(db, TOKEN_LIST, 2)), "created", (json_int_t)db_number(db, TOKEN_LIST, 3),
                              "expires", (json_int_t)db_number(db, TOKEN_LIST, 4));
        if (db_number(db, TOKEN_LIST, 5)) {
            json_object_set_new(t, "used", json_integer((json_int_t)db_number(db, TOKEN_LIST, 5)));
            json_object_set_new(t, "address", db_json_text(db, TOKEN_LIST, 6));
        }
        json_array_append_new(all, t);
    }
    account_deinit(&one);
    http_answer(r, MHD_HTTP_OK, json_pack("{s:o}", "tokens", all));
}

/* ---- POST /v1/account/tokens */

/* NULL: *out is what was named. */
static const char *read_scopes(const json_t *named, uint32_t allowed, uint32_t *out)
{
    const json_t *v;
    size_t i;
    *out = 0;
    json_array_foreach(named, i, v) {
        enum right one;
        if (!right_find(slice_of(json_string_value(v), json_string_length(v)), &one)) return "scopes: there is no such right";
        if (!(allowed & one)) return "scopes: your role does not have such a right";
        *out |= one;
    }
    return *out ? NULL : "scopes: none is named";
}

static const char *check(struct auth *u, const struct http_request *r, const struct account *one, uint32_t *scopes, uint64_t *days)
{
    struct slice name = json_text(r->json, "name");
    const json_t *given = json_object_get(r->json, "days");
    json_int_t n = given ? json_integer_value(given) : DAYS_DEFAULT;
    if (!slice_trim(name).n || name.n > NAME_MAX_N) return "name: expected 1 to 100 bytes";
    if (n < 1 || n > DAYS_MAX) return "days: expected 1 to 3650";
    *days = (uint64_t)n;
    db_bind_number(&u->db, TOKEN_COUNT, 1, (uint64_t)one->id);
    if (db_number_of(&u->db, TOKEN_COUNT) >= TOKENS_MAX) return "there are 100 tokens already: delete one";
    return read_scopes(json_object_get(r->json, "scopes"), r->who.rights, scopes);
}

static int64_t add(struct auth *u, const struct http_request *r, int64_t account, const char *token, uint32_t scopes, uint64_t expires)
{
    unsigned char hash[HASH_N];
    struct buf name = { 0 };
    int64_t id = 0;
    buf_add_printable(&name, json_text(r->json, "name"), NAME_MAX_N);
    secret_hash_of(slice_str(token), hash);
    db_bind_blob(&u->db, TOKEN_ADD, 1, slice_of(hash, HASH_N));
    db_bind_number(&u->db, TOKEN_ADD, 2, (uint64_t)account);
    db_bind_text(&u->db, TOKEN_ADD, 3, buf_slice(&name));
    db_bind_number(&u->db, TOKEN_ADD, 4, scopes);
    db_bind_number(&u->db, TOKEN_ADD, 5, clock_wall_ms());
    db_bind_number(&u->db, TOKEN_ADD, 6, expires);
    if (db_write(&u->db) && db_step(&u->db, TOKEN_ADD) == DB_ROW) {
        id = (int64_t)db_number(&u->db, TOKEN_ADD, 0);
        db_reset(&u->db, TOKEN_ADD);
    }
    buf_deinit(&name);
    return id && auth_commit(u) ? id : 0;
}

void token_serve_add(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    char token[sizeof TOKEN_PREFIX + SECRET_TEXT_N] = TOKEN_PREFIX;
    struct account one;
    uint32_t scopes;
    uint64_t days;
    if (!account_of(r, &one)) return;
    http_audit(r, json_string_value(json_object_get(r->json, "name")), NULL);
    const char *wrong = check(u, r, &one, &scopes, &days);
    if (wrong) {
        http_error(r, MHD_HTTP_BAD_REQUEST, wrong);
    } else {
        uint64_t expires = clock_wall_ms() + days * DAY_MS;
        secret_make(token + strlen(TOKEN_PREFIX));
        int64_t id = add(u, r, one.id, token, scopes, expires);
        if (id) http_answer(r, MHD_HTTP_OK, json_pack("{s:I, s:s, s:I}", "id", (json_int_t)id, "token", token, "expires", (json_int_t)expires));
        else auth_answer_failed(r);
    }
    mem_wipe(token, sizeof token);
    account_deinit(&one);
}

/* ---- DELETE /v1/account/tokens/ID */

void token_serve_delete(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    struct account one;
    uint64_t id;
    char name[NAME_MAX_N * 4 + 1] = "";
    if (!account_of(r, &one)) return;
    enum db_step step = DB_DONE;
    if (slice_to_u64(r->rest, INT64_MAX, &id)) {
        db_bind_number(&u->db, TOKEN_DELETE, 1, id);
        db_bind_number(&u->db, TOKEN_DELETE, 2, (uint64_t)one.id);
        step = db_write(&u->db) ? db_step(&u->db, TOKEN_DELETE) : DB_FAILED;
    }
    if (step == DB_ROW) {
        snprintf(name, sizeof name, "%.*s", SLICE_ARG(db_bytes(&u->db, TOKEN_DELETE, 0)));
        db_reset(&u->db, TOKEN_DELETE);
    }
    http_audit(r, name, NULL);
    if (step == DB_DONE) http_error(r, MHD_HTTP_NOT_FOUND, "there is no such token");
    else if (step == DB_ROW && auth_commit(u)) http_answer(r, MHD_HTTP_OK, NULL);
    else auth_answer_failed(r);
    account_deinit(&one);
}
