/* SPDX-License-Identifier: Apache-2.0
 * The database of accounts: its tables, its statements, and the rows of accounts. */
#include "admin/auth_int.h"

static const char schema[] =
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, role INTEGER NOT NULL, password TEXT, totp BLOB,"
    "  pending BLOB, step INTEGER NOT NULL DEFAULT 0, disabled INTEGER NOT NULL DEFAULT 0, language TEXT, theme TEXT, created INTEGER NOT NULL,"
    "  last_login INTEGER, addresses TEXT);"
    "CREATE TABLE sessions (id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,"
    "  account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE, created INTEGER NOT NULL, seen INTEGER NOT NULL, address TEXT, agent TEXT);"
    "CREATE INDEX sessions_account ON sessions (account);"
    "CREATE TABLE tokens (id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,"
    "  account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE, name TEXT NOT NULL, scopes INTEGER NOT NULL, created INTEGER NOT NULL,"
    "  expires INTEGER NOT NULL, used INTEGER, address TEXT);"
    "CREATE INDEX tokens_account ON tokens (account);"
    "CREATE TABLE links (hash BLOB PRIMARY KEY, account INTEGER REFERENCES accounts ON DELETE CASCADE, expires INTEGER NOT NULL);"
    "CREATE TABLE recovery (account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE, hash BLOB NOT NULL, PRIMARY KEY (account, hash));"
    "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, who TEXT, role TEXT, address TEXT, via TEXT,"
    "  action TEXT NOT NULL, target TEXT, outcome INTEGER NOT NULL, detail TEXT);";

#define ACCOUNT_COLUMNS \
    "a.id, a.name, a.role, a.password, a.totp, a.pending, a.step, a.disabled, a.language, a.theme, a.created, a.last_login, a.addresses"

static const char *const statements[STATEMENTS] = {
    [ACCOUNT_GET] = ("SELECT " ACCOUNT_COLUMNS " FROM accounts a WHERE id=?1"),
    [ACCOUNT_FIND] = ("SELECT " ACCOUNT_COLUMNS " FROM accounts a WHERE name=?1"),
    [ACCOUNT_LIST] = ("SELECT " ACCOUNT_COLUMNS " FROM accounts a ORDER BY name"),
    [ACCOUNT_COUNT] = "SELECT count(*) FROM accounts",
    [ACCOUNT_ADMINS] = "SELECT count(*) FROM accounts WHERE role=0 AND NOT disabled AND password IS NOT NULL AND id<>?1", /* ROLE_ADMINISTRATOR */
    [ACCOUNT_ADD] = "INSERT INTO accounts (name, role, password, created, addresses) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
    [ACCOUNT_SET] = "UPDATE accounts SET role=?2, disabled=?3, addresses=?4 WHERE id=?1",
    [ACCOUNT_DELETE] = "DELETE FROM accounts WHERE id=?1",
    [ACCOUNT_PASSWORD] = "UPDATE accounts SET password=?2 WHERE id=?1",
    [ACCOUNT_LOOKS] = "UPDATE accounts SET language=?2, theme=?3 WHERE id=?1",
    [ACCOUNT_LOGIN] = "UPDATE accounts SET last_login=?2 WHERE id=?1",
    [ACCOUNT_PENDING] = "UPDATE accounts SET pending=?2 WHERE id=?1",
    [ACCOUNT_TOTP] = "UPDATE accounts SET totp=?2, step=?3, pending=NULL WHERE id=?1",
    [ACCOUNT_STEP] = "UPDATE accounts SET step=?2 WHERE id=?1",
    [SESSION_FIND] = ("SELECT " ACCOUNT_COLUMNS ", s.id, s.created, s.seen FROM sessions s JOIN accounts a ON a.id=s.account WHERE s.hash=?1"),
    [SESSION_SEEN] = "UPDATE sessions SET seen=?2, address=?3 WHERE id=?1",
    [SESSION_ADD] = "INSERT INTO sessions (hash, account, created, seen, address, agent) VALUES (?1, ?2, ?3, ?3, ?4, ?5) RETURNING id",
    [SESSION_LIST] = "SELECT id, created, seen, address, agent FROM sessions WHERE account=?1 ORDER BY seen DESC",
    [SESSION_DELETE] = "DELETE FROM sessions WHERE id=?1 AND account=?2 RETURNING id",
    [SESSION_OTHERS] = "DELETE FROM sessions WHERE account=?1 AND id<>?2",
    [SESSION_MANY] = "DELETE FROM sessions WHERE account=?1 AND id NOT IN (SELECT id FROM sessions WHERE account=?1 ORDER BY seen DESC LIMIT ?2)",
    [SESSION_OLD] = "DELETE FROM sessions WHERE seen<?1 OR created<?2",
    [TOKEN_FIND] = ("SELECT " ACCOUNT_COLUMNS ", t.id, t.scopes, t.expires, t.used FROM tokens t JOIN accounts a ON a.id=t.account WHERE t.hash=?1"),
    [TOKEN_USED] = "UPDATE tokens SET used=?2, address=?3 WHERE id=?1",
    [TOKEN_ADD] = "INSERT INTO tokens (hash, account, name, scopes, created, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
    [TOKEN_LIST] = "SELECT id, name, scopes, created, expires, used, address FROM tokens WHERE account=?1 ORDER BY id",
    [TOKEN_DELETE] = "DELETE FROM tokens WHERE id=?1 AND account=?2 RETURNING name",
    [TOKEN_COUNT] = "SELECT count(*) FROM tokens WHERE account=?1",
    [LINK_FIND] = "SELECT account FROM links WHERE hash=?1 AND expires>?2",
    [LINK_ADD] = "INSERT INTO links (hash, account, expires) VALUES (?1, nullif(?2, 0), ?3)",
    [LINK_DELETE] = "DELETE FROM links WHERE hash=?1",
    [LINK_DELETE_OF] = "DELETE FROM links WHERE ifnull(account, 0)=?1",
    [LINK_FIRST] = "SELECT count(*) FROM links WHERE account IS NULL AND expires>?1",
    [LINK_OLD] = "DELETE FROM links WHERE expires<=?1",
    [RECOVERY_ADD] = "INSERT OR IGNORE INTO recovery (account, hash) VALUES (?1, ?2)",
    [RECOVERY_USE] = "DELETE FROM recovery WHERE account=?1 AND hash=?2 RETURNING 1",
    [RECOVERY_CLEAR] = "DELETE FROM recovery WHERE account=?1",
    [RECOVERY_COUNT] = "SELECT count(*) FROM recovery WHERE account=?1",
    [AUDIT_ADD] = "INSERT INTO audit (time, who, role, address, via, action, target, outcome, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [AUDIT_LIST] = ("SELECT id, time, who, role, address, via, action, target, outcome, detail FROM audit WHERE id<?1 AND time>=?2 AND time<=?3"
                    " AND (?4 IS NULL OR who=?4) AND (?5 IS NULL OR action=?5 OR substr(action, 1, length(?5)+1)=?5||'.') ORDER BY id DESC LIMIT ?6"),
    [AUDIT_OLD] = "DELETE FROM audit WHERE time<?1",
    /* those about nobody in particular have a bound of their own: a stranger cannot push out the others */
    [AUDIT_MANY] = ("DELETE FROM audit WHERE id<=ifnull((SELECT id FROM audit WHERE (who IS NULL)=?1 ORDER BY id DESC LIMIT 1 OFFSET ?2), 0)"
                    " AND (who IS NULL)=?1"),
    /* of too many, those of the account that has most of them: none pushes out what others did */
    [AUDIT_MOST] = ("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE who=(SELECT who FROM audit WHERE who IS NOT NULL GROUP BY who"
                    " ORDER BY count(*) DESC LIMIT 1) ORDER BY id LIMIT (SELECT max(0, count(*)-?1) FROM audit WHERE who IS NOT NULL))"),
};

static void on_open(struct db *db)
{
    memory_forget(db->owner);
    /* what was changed here stays changed when the power fails: who was shut out is */
    (void)sqlite3_exec(db->sql, "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON", NULL, NULL, NULL);
}

const struct db_kind accounts_db = {
    .name = "admin", .application_id = 0x50614164, .version = 1, .cache_kib = 2048, .schema = schema, .statements = statements,
    .statement_n = STATEMENTS, .on_open = on_open,
};

uint64_t db_number_of(struct db *db, enum statement s)
{
    if (db_step(db, s) != DB_ROW) return 0;
    uint64_t v = db_number(db, s, 0);
    db_reset(db, s);
    return v;
}

json_t *db_json_text(struct db *db, enum statement s, int column)
{
    struct slice text = db_bytes(db, s, column);
    json_t *v = text.n ? json_stringn(text.p, text.n) : NULL;
    return v ? v : json_null();
}

/* ---- rows of accounts */

static void take_text(struct db *db, enum statement s, int column, char *out, size_t size)
{
    struct slice text = db_bytes(db, s, column);
    if (text.n >= size) text.n = 0;
    if (text.n) memcpy(out, text.p, text.n);
    out[text.n] = 0;
}

static bool take_secret(struct db *db, enum statement s, int column, unsigned char out[TOTP_SECRET_N])
{
    struct slice bytes = db_bytes(db, s, column);
    if (bytes.n != TOTP_SECRET_N) return false;
    memcpy(out, bytes.p, TOTP_SECRET_N);
    return true;
}

void account_from_row(struct db *db, enum statement s, struct account *out)
{
    *out = (struct account){ .id = (int64_t)db_number(db, s, 0), .role = (enum role)db_number(db, s, 2), .step = db_number(db, s, 6),
                             .created = db_number(db, s, 10), .last_login = db_number(db, s, 11) };
    take_text(db, s, 1, out->name, sizeof out->name);
    take_text(db, s, 3, out->password, sizeof out->password);
    out->has_totp = take_secret(db, s, 4, out->totp);
    out->has_pending = take_secret(db, s, 5, out->pending);
    out->disabled = db_number(db, s, 7) != 0 || (unsigned)out->role >= ROLES;
    take_text(db, s, 8, out->language, sizeof out->language);
    take_text(db, s, 9, out->theme, sizeof out->theme);
    struct slice addresses = db_bytes(db, s, ACCOUNT_COLUMN_N - 1);
    if (addresses.n) out->addresses = json_loadb(addresses.p, addresses.n, 0, NULL);
    if (!json_is_array(out->addresses)) {
        json_decref(out->addresses);
        out->addresses = json_array();
    }
}

void account_deinit(struct account *one)
{
    json_decref(one->addresses);
    mem_wipe(one, sizeof *one);
}

static bool take_one(struct db *db, enum statement s, struct account *out)
{
    *out = (struct account){ 0 };
    if (db_step(db, s) != DB_ROW) return false;
    account_from_row(db, s, out);
    db_reset(db, s);
    return true;
}

bool account_get(struct db *db, int64_t id, struct account *out)
{
    db_bind_number(db, ACCOUNT_GET, 1, (uint64_t)id);
    return take_one(db, ACCOUNT_GET, out);
}

bool account_find(struct db *db, struct slice name, struct account *out)
{
    char folded[ACCOUNT_NAME_MAX + 1];
    *out = (struct account){ 0 };
    if (!account_name_fold(name, folded)) return false;
    db_bind_text(db, ACCOUNT_FIND, 1, slice_str(folded));
    return take_one(db, ACCOUNT_FIND, out);
}

bool account_name_fold(struct slice in, char out[ACCOUNT_NAME_MAX + 1])
{
    if (!in.n || in.n > ACCOUNT_NAME_MAX) return false;
    for (size_t i = 0; i < in.n; i++) {
        char c = ascii_lower(in.p[i]);
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!word && (!i || !c || !strchr("._@+-", c))) return false;
        out[i] = c;
    }
    out[in.n] = 0;
    return true;
}
