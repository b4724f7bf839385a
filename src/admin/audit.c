/* SPDX-License-Identifier: Apache-2.0
 * The audit log: who did what, or tried to. What strangers cause is bounded by itself, in time and in number. */
#include <microhttpd.h>
#include "admin/auth_int.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define ENTRIES_MAX 200000          /* of accounts and the control socket */
#define STRANGERS_MAX 20000         /* of nobody in particular */
#define STRANGERS_BURST 60.0
#define STRANGERS_A_SECOND 0.5
#define LOGINS_BURST 300.0          /* each of which the brake lets through */
#define LOGINS_A_SECOND 2.0
#define TARGET_MAX 300
#define DETAIL_MAX 1000
#define LIST_MAX 1000
#define LIST_DEFAULT 100

enum audit_outcome { AUDIT_OK, AUDIT_REFUSED, AUDIT_FAILED };
static const char *const outcomes[] = { "ok", "refused", "failed" };

/* ---- writing */

/* False: too many of them came lately; the next one that is written tells how many. */
static bool stranger_fits(struct audit_bound *b, double burst, double a_second)
{
    uint64_t now = clock_mono_ms();
    if (b->at) b->left += (double)(now - b->at) / 1000 * a_second;
    if (!b->at || b->left > burst) b->left = burst;
    b->at = now;
    if (b->left < 1) {
        b->skipped++;
        return false;
    }
    b->left--;
    return true;
}

static void clean(struct buf *out, const char *text, size_t max)
{
    if (text && *text) buf_add_printable(out, slice_str(text), max);
}

static void write_entry(struct auth *u, const struct identity *who, const char *action, const char *target, enum audit_outcome outcome,
                        const char *detail, uint64_t skipped)
{
    struct db *db = &u->db;
    struct buf name = { 0 }, about = { 0 }, more = { 0 };
    clean(&name, who->name, ACCOUNT_NAME_MAX);
    clean(&about, target, TARGET_MAX);
    clean(&more, detail, DETAIL_MAX);
    if (skipped) buf_addf(&more, "%s(%llu others of strangers were not written)", more.n ? " " : "", (unsigned long long)skipped);
    log_event(LOG_INFO, "admin-action", LOG_STR("action", action), LOG_TEXT("who", buf_slice(&name)), LOG_STR("address", who->address),
              LOG_TEXT("target", buf_slice(&about)), LOG_STR("outcome", outcomes[outcome]), LOG_TEXT("detail", buf_slice(&more)));
    if (db_write(db)) {
        db_bind_number(db, AUDIT_ADD, 1, clock_wall_ms());
        db_bind_text(db, AUDIT_ADD, 2, buf_slice(&name));
        db_bind_text(db, AUDIT_ADD, 3, slice_str(name.n ? role_name(who->role) : ""));
        db_bind_text(db, AUDIT_ADD, 4, slice_str(who->address));
        db_bind_text(db, AUDIT_ADD, 5, slice_str(via_name(who->via)));
        db_bind_text(db, AUDIT_ADD, 6, slice_str(action));
        db_bind_text(db, AUDIT_ADD, 7, buf_slice(&about));
        db_bind_number(db, AUDIT_ADD, 8, outcome);
        db_bind_text(db, AUDIT_ADD, 9, buf_slice(&more));
        (void)db_run(db, AUDIT_ADD);
        u->audited++;
    }
    buf_deinit(&name);
    buf_deinit(&about);
    buf_deinit(&more);
}

static void add(struct admin *a, const struct identity *who, const char *action, const char *target, enum audit_outcome outcome, const char *detail)
{
    uint64_t skipped = 0;
    if (!a->auth) return;
    if (!*who->name) {
        bool login = !strcmp(action, "login") || !strcmp(action, "setup");
        struct audit_bound *b = login ? &a->auth->audit_logins : &a->auth->audit_others;
        if (!stranger_fits(b, login ? LOGINS_BURST : STRANGERS_BURST, login ? LOGINS_A_SECOND : STRANGERS_A_SECOND)) return;
        skipped = b->skipped;
        b->skipped = 0;
    }
    write_entry(a->auth, who, action, target, outcome, detail, skipped);
}

/* "config.apply" of POST /v1/config/apply; other methods say themselves. */
void audit_action(const struct route *route, struct buf *out)
{
    static const struct {
        const char *method, *path, *action;
    } own[] = { { "POST", "/v1/session", "login" }, { "DELETE", "/v1/session", "logout" } };
    for (size_t i = 0; i < countof(own); i++) {
        if (strcmp(own[i].method, route->method) != 0 || strcmp(own[i].path, route->path) != 0) continue;
        buf_add_str(out, own[i].action);
        return;
    }
    struct slice path = slice_str(route->path), part;
    if (slice_starts(path, SLICE("/v1/"))) path = slice_sub(path, 4, path.n);
    while (path.n) {
        slice_cut(&path, '/', &part);
        if (!part.n || slice_eq(part, SLICE("*"))) continue;
        if (out->n) buf_add_char(out, '.');
        buf_add(out, part);
    }
    const char *method = route->method;
    buf_add_str(out, !strcmp(method, "DELETE") ? ".delete" : !strcmp(method, "PATCH") ? ".change" : !strcmp(method, "PUT") ? ".confirm"
                     : !strcmp(method, "GET") ? ".see" : "");
}

void audit_request(struct admin *a, const struct identity *who, const struct route *route, int status, bool tried, const char *target,
                   const char *detail)
{
    struct buf action = { 0 };
    bool reads = !strcmp(route->method, "GET") || route->reads;
    bool stranger = who->via == VIA_NOBODY;
    bool refused = status == MHD_HTTP_FORBIDDEN || status == MHD_HTTP_UNAUTHORIZED || status == MHD_HTTP_TOO_MANY_REQUESTS;
    if (reads && (!refused || !route->right) && !target) return;
    if (stranger && !tried && status != MHD_HTTP_FORBIDDEN) return; /* nobody in particular, who did not try */
    audit_action(route, &action);
    if (status == MHD_HTTP_TOO_MANY_REQUESTS) buf_add_str(&action, ".braked");
    add(a, who, buf_cstr(&action), target, status < 300 ? AUDIT_OK : refused || status == MHD_HTTP_CONFLICT ? AUDIT_REFUSED : AUDIT_FAILED, detail);
    buf_deinit(&action);
}

void audit_sweep(struct auth *u, uint64_t now)
{
    db_bind_number(&u->db, AUDIT_OLD, 1, now > u->set.audit ? now - u->set.audit : 0);
    (void)db_run(&u->db, AUDIT_OLD);
    db_bind_number(&u->db, AUDIT_MOST, 1, ENTRIES_MAX);
    (void)db_run(&u->db, AUDIT_MOST);
    u->audited = 0;
    for (unsigned strangers = 0; strangers < 2; strangers++) {
        db_bind_number(&u->db, AUDIT_MANY, 1, strangers);
        db_bind_number(&u->db, AUDIT_MANY, 2, strangers ? STRANGERS_MAX : ENTRIES_MAX);
        (void)db_run(&u->db, AUDIT_MANY);
    }
}

/* ---- GET /v1/audit */

static json_t *entry(struct db *db)
{
    static const struct {
        const char *name;
        int column;
    } texts[] = { { "who", 2 }, { "role", 3 }, { "address", 4 }, { "via", 5 }, { "action", 6 }, { "target", 7 }, { "detail", 9 } };
    uint64_t outcome = db_number(db, AUDIT_LIST, 8);
    json_t *e = json_pack("{s:I, s:I, s:s}", "id", (json_int_t)db_number(db, AUDIT_LIST, 0), "time", (json_int_t)db_number(db, AUDIT_LIST, 1),
                          "outcome", outcomes[outcome < countof(outcomes) ? outcome : AUDIT_FAILED]);
    for (size_t i = 0; i < countof(texts); i++) json_object_set_new(e, texts[i].name, db_json_text(db, AUDIT_LIST, texts[i].column));
    return e;
}

static uint64_t number(const json_t *arguments, const char *name, uint64_t otherwise)
{
    const json_t *v = json_object_get(arguments, name);
    return v ? (uint64_t)json_integer_value(v) : otherwise;
}

void audit_serve(struct http_request *r)
{
    struct db *db = &r->admin->auth->db;
    uint64_t limit = number(r->arguments, "limit", LIST_DEFAULT), last = 0;
    json_t *all = json_array();
    if (!limit || limit > LIST_MAX) limit = LIST_MAX;
    db_bind_number(db, AUDIT_LIST, 1, number(r->arguments, "before", INT64_MAX));
    db_bind_number(db, AUDIT_LIST, 2, number(r->arguments, "since", 0));
    db_bind_number(db, AUDIT_LIST, 3, number(r->arguments, "until", INT64_MAX));
    db_bind_text(db, AUDIT_LIST, 4, json_text(r->arguments, "who"));
    db_bind_text(db, AUDIT_LIST, 5, json_text(r->arguments, "action"));
    db_bind_number(db, AUDIT_LIST, 6, limit + 1);
    while (json_array_size(all) < limit && db_step(db, AUDIT_LIST) == DB_ROW) {
        last = db_number(db, AUDIT_LIST, 0);
        json_array_append_new(all, entry(db));
    }
    bool more = json_array_size(all) == limit && db_step(db, AUDIT_LIST) == DB_ROW;
    db_reset(db, AUDIT_LIST);
    json_t *answer = json_pack("{s:o}", "entries", all);
    if (more) json_object_set_new(answer, "before", json_integer((json_int_t)last));
    http_answer(r, MHD_HTTP_OK, answer);
}
