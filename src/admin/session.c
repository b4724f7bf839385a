/* SPDX-License-Identifier: Apache-2.0
 * Sessions of people: a cookie with 32 random bytes, of which the database has the SHA-256 only. */
#include <stdio.h>
#include "admin/auth_int.h"
#include "base/clock.h"

#define COOKIE "__Host-postern"
#define SEEN_MS 5000       /* how exactly it is kept when a session was seen */
#define AGENT_MAX 200

bool session_cookie(const char *header, struct slice *token)
{
    struct slice all = slice_str(header), one, name;
    while (all.n) {
        slice_cut(&all, ';', &one);
        one = slice_trim_blanks(one);
        if (!slice_cut(&one, '=', &name) || !slice_eq(name, SLICE(COOKIE))) continue;
        *token = one;
        return true;
    }
    return false;
}

/* Made from the cookie, which it does not tell; nor does what the database has of the cookie tell it. */
static void add_csrf(struct slice token, char out[44])
{
    unsigned char hash[HASH_N];
    struct buf text = { 0 };
    buf_add_str(&text, "csrf ");
    buf_add(&text, token);
    secret_hash_of(buf_slice(&text), hash);
    for (unsigned i = 0; i < 21; i++) snprintf(out + 2 * (size_t)i, 3, "%02x", hash[i]);
    buf_wipe(&text);
}

static void see(struct auth *u, struct identity *who, uint64_t seen, uint64_t now)
{
    if (now < seen + SEEN_MS || !db_write(&u->db)) return;
    db_bind_number(&u->db, SESSION_SEEN, 1, (uint64_t)who->session);
    db_bind_number(&u->db, SESSION_SEEN, 2, now);
    db_bind_text(&u->db, SESSION_SEEN, 3, slice_str(who->address));
    (void)db_run(&u->db, SESSION_SEEN);
}

static bool find_in_memory(struct auth *u, struct slice token, const unsigned char *hash, bool background, struct identity *out)
{
    struct memory_session *s = memory_find(u, hash);
    struct account one;
    bool ok = s && account_get(&u->db, s->account, &one);
    if (!ok) return false;
    if ((ok = !one.disabled && one.role == ROLE_ADMINISTRATOR)) {
        identity_of_account(u, &one, VIA_SESSION, out);
        out->session = s->id;
        add_csrf(token, out->csrf);
        if (!background) s->seen = clock_wall_ms();
    }
    account_deinit(&one);
    return ok;
}

bool session_find(struct auth *u, struct slice token, bool background, struct identity *out)
{
    unsigned char hash[HASH_N];
    uint64_t now = clock_wall_ms();
    struct account one;
    if (token.n != SECRET_TEXT_N) return false;
    secret_hash_of(token, hash);
    db_bind_blob(&u->db, SESSION_FIND, 1, slice_of(hash, HASH_N));
    if (db_step(&u->db, SESSION_FIND) != DB_ROW) return find_in_memory(u, token, hash, background, out);
    account_from_row(&u->db, SESSION_FIND, &one);
    uint64_t created = db_number(&u->db, SESSION_FIND, ACCOUNT_COLUMN_N + 1), seen = db_number(&u->db, SESSION_FIND, ACCOUNT_COLUMN_N + 2);
    int64_t id = (int64_t)db_number(&u->db, SESSION_FIND, ACCOUNT_COLUMN_N);
    db_reset(&u->db, SESSION_FIND);
    bool ok = !one.disabled && now < seen + u->set.session_idle && now < created + u->set.session_max;
    if (ok) {
        identity_of_account(u, &one, VIA_SESSION, out);
        out->session = id;
        add_csrf(token, out->csrf);
        if (!background) see(u, out, seen, now);
    }
    account_deinit(&one);
    return ok;
}

static void set_cookie(struct http_request *r, const char *token)
{
    struct buf text = { 0 };
    buf_addf(&text, COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict%s", token, *token ? "" : "; Max-Age=0");
    http_cookie(r, buf_cstr(&text));
    buf_wipe(&text);
}

static int64_t add(struct auth *u, const struct http_request *r, int64_t account, const char *token)
{
    unsigned char hash[HASH_N];
    struct buf agent = { 0 };
    int64_t id = 0;
    secret_hash_of(slice_str(token), hash);
    buf_add_printable(&agent, slice_str(http_header(r, "User-Agent")), AGENT_MAX);
    db_bind_blob(&u->db, SESSION_ADD, 1, slice_of(hash, HASH_N));
    db_bind_number(&u->db, SESSION_ADD, 2, (uint64_t)account);
    db_bind_number(&u->db, SESSION_ADD, 3, clock_wall_ms());
    db_bind_text(&u->db, SESSION_ADD, 4, slice_str(r->who.address));
    db_bind_text(&u->db, SESSION_ADD, 5, buf_slice(&agent));
    if (db_step(&u->db, SESSION_ADD) == DB_ROW) {
        id = (int64_t)db_number(&u->db, SESSION_ADD, 0);
        db_reset(&u->db, SESSION_ADD);
    }
    buf_deinit(&agent);
    return id;
}

/* The one that he had ends, and the oldest when there are too many. */
static void make_room(struct auth *u, const struct identity *former, int64_t account)
{
    if (former->session > 0) {
        db_bind_number(&u->db, SESSION_DELETE, 1, (uint64_t)former->session);
        db_bind_number(&u->db, SESSION_DELETE, 2, (uint64_t)former->account);
        (void)db_run(&u->db, SESSION_DELETE);
    }
    db_bind_number(&u->db, SESSION_MANY, 1, (uint64_t)account);
    db_bind_number(&u->db, SESSION_MANY, 2, SESSIONS_MAX - 1);
    (void)db_run(&u->db, SESSION_MANY);
}

static int64_t write_one(struct http_request *r, const struct account *one, const char *token)
{
    struct auth *u = r->admin->auth;
    if (!db_write(&u->db)) return 0;
    make_room(u, &r->who, one->id);
    db_bind_number(&u->db, ACCOUNT_LOGIN, 1, (uint64_t)one->id);
    db_bind_number(&u->db, ACCOUNT_LOGIN, 2, clock_wall_ms());
    (void)db_run(&u->db, ACCOUNT_LOGIN);
    int64_t id = add(u, r, one->id, token);
    return id && auth_commit(u) ? id : 0;
}

bool session_begin(struct http_request *r, const struct account *one)
{
    struct auth *u = r->admin->auth;
    char token[SECRET_TEXT_N + 1];
    secret_make(token);
    (void)memory_end(u, r->who.account, r->who.session);
    int64_t id = write_one(r, one, token);
    if (!id) id = memory_add(u, one, r->who.address, token);
    bool ok = id != 0;
    if (ok) {
        identity_of_account(u, one, VIA_SESSION, &r->who);
        r->who.session = id;
        add_csrf(slice_str(token), r->who.csrf);
        set_cookie(r, token);
    }
    mem_wipe(token, sizeof token);
    return ok;
}

bool session_end(struct http_request *r)
{
    struct auth *u = r->admin->auth;
    set_cookie(r, "");
    if (r->who.session <= 0) {
        (void)memory_end(u, r->who.account, r->who.session);
        return true;
    }
    db_bind_number(&u->db, SESSION_DELETE, 1, (uint64_t)r->who.session);
    db_bind_number(&u->db, SESSION_DELETE, 2, (uint64_t)r->who.account);
    return db_write(&u->db) && db_run(&u->db, SESSION_DELETE) != DB_FAILED && auth_commit(u);
}

void session_sweep(struct auth *u, uint64_t now)
{
    db_bind_number(&u->db, SESSION_OLD, 1, now > u->set.session_idle ? now - u->set.session_idle : 0);
    db_bind_number(&u->db, SESSION_OLD, 2, now > u->set.session_max ? now - u->set.session_max : 0);
    (void)db_run(&u->db, SESSION_OLD);
}
