/* SPDX-License-Identifier: Apache-2.0
 * What the files of accounts, sessions, tokens and the audit log share. */
#ifndef POSTERN_ADMIN_AUTH_INT_H
#define POSTERN_ADMIN_AUTH_INT_H
#include "admin/auth.h"
#include "admin/internal.h"
#include "admin/login_brake.h"
#include "base/task.h"
#include "store/db.h"

#define PASSWORD_MIN 10           /* characters */
#define PASSWORD_MAX 1024         /* bytes */
#define PASSWORD_HASH_MAX 256
#define TOTP_SECRET_N 20
#define RECOVERY_CODES 10
#define RECOVERY_TEXT_N 19        /* "abcd-efgh-ijkl-mnop" */
#define SECRET_TEXT_N 43          /* 32 random bytes in base64url */
#define HASH_N 32
#define ACCOUNTS_MAX 1000
#define ADDRESSES_MAX 100
#define SESSIONS_MAX 50           /* of an account; the one not seen longest goes */
#define TOKENS_MAX 100            /* of an account */
#define LINK_MS (UINT64_C(24) * 3600 * 1000)
#define DAY_MS (UINT64_C(24) * 3600 * 1000)

/* ---- accounts_db.c: statements, in the order of their texts there */
enum statement {
    ACCOUNT_GET, ACCOUNT_FIND, ACCOUNT_LIST, ACCOUNT_COUNT, ACCOUNT_ADMINS, ACCOUNT_ADD, ACCOUNT_SET, ACCOUNT_DELETE,
    ACCOUNT_PASSWORD, ACCOUNT_LOOKS, ACCOUNT_LOGIN, ACCOUNT_PENDING, ACCOUNT_TOTP, ACCOUNT_STEP,
    SESSION_FIND, SESSION_SEEN, SESSION_ADD, SESSION_LIST, SESSION_DELETE, SESSION_OTHERS, SESSION_MANY, SESSION_OLD,
    TOKEN_FIND, TOKEN_USED, TOKEN_ADD, TOKEN_LIST, TOKEN_DELETE, TOKEN_COUNT,
    LINK_FIND, LINK_ADD, LINK_DELETE, LINK_DELETE_OF, LINK_FIRST, LINK_OLD,
    RECOVERY_ADD, RECOVERY_USE, RECOVERY_CLEAR, RECOVERY_COUNT,
    AUDIT_ADD, AUDIT_LIST, AUDIT_OLD, AUDIT_MANY, AUDIT_MOST,
    STATEMENTS
};
extern const struct db_kind accounts_db;

struct account {
    int64_t id;
    char name[ACCOUNT_NAME_MAX + 1];
    enum role role;
    char password[PASSWORD_HASH_MAX]; /* yescrypt; "": none yet, or none any more */
    unsigned char totp[TOTP_SECRET_N], pending[TOTP_SECRET_N];
    bool has_totp, has_pending, disabled;
    uint64_t step;                    /* of the last code that was taken */
    char language[8], theme[8];
    uint64_t created, last_login;     /* wall ms; 0: never */
    json_t *addresses;                /* an array; account_deinit */
};
void account_deinit(struct account *one);                       /* wipes */
bool account_get(struct db *db, int64_t id, struct account *out);
bool account_find(struct db *db, struct slice name, struct account *out);
#define ACCOUNT_COLUMN_N 13
void account_from_row(struct db *db, enum statement s, struct account *out); /* its first columns */
/* The name as it is kept: lower case; a-z 0-9 . _ @ + -, a letter or digit first. False: it cannot be one. */
bool account_name_fold(struct slice in, char out[ACCOUNT_NAME_MAX + 1]);
/* Number of a statement that has one in its first row; 0 otherwise. */
uint64_t db_number_of(struct db *db, enum statement s);
json_t *db_json_text(struct db *db, enum statement s, int column); /* a new string; null for none */

/* ---- password.c: yescrypt, in threads */
struct password_job;
typedef void password_done(void *arg, struct password_job *job); /* on the loop, once */
struct password_job {
    struct task task;
    char *password;               /* wiped and freed with the job */
    char hash[PASSWORD_HASH_MAX]; /* to compare with; or "": to be made */
    bool for_users;               /* what the users file holds is to be made instead, in `secret` */
    struct buf secret;
    bool ok;                      /* it is the password; or the hash was made */
    password_done *done;
    void *arg;
};
struct passwords;
struct passwords *passwords_new(struct event_base *base, struct err *err) MUST_CHECK;
void passwords_free(struct passwords *p);                       /* after what is under way is done */
/* hash: of the account; NULL: there is no such account, or it has none: takes as long, and is wrong. False: too many wait. */
bool password_check(struct passwords *p, struct slice password, const char *hash, password_done *done, void *arg) MUST_CHECK;
bool password_hash(struct passwords *p, struct slice password, password_done *done, void *arg) MUST_CHECK;
/* What the users file holds in place of this password (auth/users_file.h). */
bool password_for_users(struct passwords *p, struct slice password, password_done *done, void *arg) MUST_CHECK;
const char *password_refuses(struct slice password, struct slice name); /* a new one; NULL: it may be one */

/* ---- totp.c: RFC 6238 with SHA-1, 6 digits, 30 s */
unsigned totp_code(const unsigned char secret[TOTP_SECRET_N], uint64_t step);
/* The step that the code belongs to, of the one at wall_ms and those beside it, later than `last`. 0: none. */
uint64_t totp_check(const unsigned char secret[TOTP_SECRET_N], struct slice code, uint64_t wall_ms, uint64_t last);
void totp_add_base32(struct buf *out, struct slice bytes);      /* RFC 4648 §6, without padding */
void totp_add_uri(struct buf *out, const unsigned char secret[TOTP_SECRET_N], const char *host, const char *name);
void recovery_make(char out[RECOVERY_TEXT_N + 1]);
/* What people type, as it was made. False: it is no such code. */
bool recovery_read(struct slice typed, char out[RECOVERY_TEXT_N + 1]);

/* ---- session_memory.c: sessions of administrators while the database cannot be written, so that they can see to it. Lost at a restart, and
 * when another database is begun, whose accounts are other ones. */
#define MEMORY_SESSIONS 16
struct session_memory {
    struct memory_session {
        unsigned char hash[HASH_N];
        int64_t id, account;          /* id: below 0; 0: free */
        uint64_t created, seen;       /* wall ms */
        char address[64];             /* as in struct identity, of the login */
    } sessions[MEMORY_SESSIONS];
    struct memory_step {              /* of codes that were taken */
        int64_t account;
        uint64_t step, at;            /* at: wall ms */
    } steps[MEMORY_SESSIONS];
    int64_t last_id;
};
/* Its id; 0: not for this account. */
int64_t memory_add(struct auth *u, const struct account *one, const char *address, const char *token);
/* NULL: none. */
struct memory_session *memory_find(struct auth *u, const unsigned char hash[HASH_N]);
bool memory_end(struct auth *u, int64_t account, int64_t id); /* false: the account has no such session here */
/* As GET /v1/account lists them. */
void memory_list(struct auth *u, int64_t account, int64_t current, json_t *all);
void memory_end_others(struct auth *u, int64_t account, int64_t id);
uint64_t memory_step(const struct auth *u, int64_t account);      /* of the last code that was taken so; 0: none */
bool memory_take_step(struct auth *u, const struct account *one, uint64_t step);
void memory_forget(struct auth *u);

/* ---- auth.c */
struct auth {
    struct admin *admin;
    struct db db;
    struct passwords *passwords;
    struct login_brake *brake;
    struct event *timer;
    struct auth_settings set;     /* url and hostname: ours */
    uint64_t ticks;
    /* of audit entries about nobody in particular: bounded in time */
    struct audit_bound {
        double left;
        uint64_t at;              /* mono ms */
        uint64_t skipped;
    } audit_logins, audit_others;
    struct session_memory memory;  /* session_memory.c */
    unsigned audited;             /* entries since they were counted last */
    uint64_t braked, braked_told; /* attempts since the last line of the log; its mono ms */
};
void secret_make(char out[SECRET_TEXT_N + 1]);
void secret_hash_of(struct slice secret, unsigned char out[HASH_N]);
/* Who it is; the address in *out stays, all else is new. */
void identity_of_account(const struct auth *u, const struct account *one, enum via via, struct identity *out);
/* An answer for a database that does not work. */
void auth_answer_failed(struct http_request *r);
const char *via_name(enum via via);
json_t *auth_rights_json(uint32_t rights);                      /* their names */
bool auth_ip(const struct identity *who, struct ip *out);       /* false: it has none (the control socket) */
/* Everything of db is on disk. False: it is not. */
bool auth_commit(struct auth *u);
void accounts_changed(struct admin *a);                         /* whoever looks at them is told */

/* ---- session.c */
bool session_find(struct auth *u, struct slice token, bool background, struct identity *out);
/* Adds one, and sets the cookie. *who becomes the account. False: it cannot be written. */
bool session_begin(struct http_request *r, const struct account *one);
bool session_cookie(const char *header, struct slice *token);   /* of the header Cookie */
/* His own; the cookie goes, whatever happens. False: that it has ended cannot be written. */
bool session_end(struct http_request *r) MUST_CHECK;
void session_sweep(struct auth *u, uint64_t now);

/* ---- token.c */
#define TOKEN_PREFIX "pst_"
bool token_find(struct auth *u, struct slice token, struct identity *out);
void token_serve_list(struct http_request *r);
void token_serve_add(struct http_request *r);
void token_serve_delete(struct http_request *r);

/* ---- account_link.c: one-time links */
/* A new one for the account, in place of former ones; account 0: of the first start. NULL: it cannot be written. The caller frees. */
char *link_make(struct auth *u, int64_t account);
bool link_find(struct auth *u, struct slice token, int64_t *account);
void link_first_start(struct auth *u); /* prints one, when there is no account and none that is valid */

/* ---- totp_serve.c */
void totp_serve_begin(struct http_request *r);
void totp_serve_confirm(struct http_request *r);
void totp_serve_remove(struct http_request *r);

/* ---- login.c */
void login_serve_show(struct http_request *r);
void login_serve_in(struct http_request *r);
void login_serve_out(struct http_request *r);
/* Before a secret is looked at: 429 with retry_after, when this client has to wait; true: answered. Else login_end must follow. */
bool login_braked(struct http_request *r);
/* name: "" of no account. */
void login_end(struct http_request *r, struct slice name, enum login_outcome outcome);
/* He is logged in: session, cookie, answer of GET /v1/session. */
void login_finish(struct http_request *r, const struct account *one);
void login_answer_busy(struct http_request *r); /* too many passwords wait to be looked at */

/* ---- setup.c */
void setup_serve(struct http_request *r);

/* ---- account.c */
bool account_of(struct http_request *r, struct account *out);   /* of who asks; false: he has none, and is answered */
/* His password is asked for once more: `password` is checked, in a thread; then `right` is called, with his account, or he is answered. Counts for the
 * brake. */
typedef void account_confirmed(struct http_request *r, struct account *one);
void account_confirm(struct http_request *r, struct slice password, account_confirmed *right);
/* A new password, which ends all his sessions but `session`; the statements only. */
bool account_set_password(struct auth *u, int64_t account, const char *hash, int64_t session);
bool account_clear_totp(struct auth *u, int64_t account);

/* ---- audit.c */
void audit_serve(struct http_request *r);
void audit_sweep(struct auth *u, uint64_t now);
void audit_action(const struct route *route, struct buf *out);

#endif
