/* SPDX-License-Identifier: Apache-2.0
 * Who asks, and what he may do. */
#include "admin/auth.h"
#include <event2/event.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include "admin/auth_int.h"
#include "admin/events.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"

#define TICK_MS 250          /* transactions are not left open much longer */
#define SWEEP_TICKS 120       /* half a minute */
#define AUDIT_SWEEPS 120     /* an hour: it is gone through from end to end */
#define AUDIT_BURST 20000    /* entries after which it is at once: some program writes one after the other */
#define BRAKE_ENTRIES 4096
#define MINUTE_MS UINT64_C(60000)

static const char no_factor[] = "administrators must set up a second factor first (web.second_factor)";

/* ---- secrets */

void secret_make(char out[SECRET_TEXT_N + 1])
{
    unsigned char bytes[32];
    struct buf text = { 0 };
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) abort();
    base64_add(&text, slice_of(bytes, sizeof bytes));
    for (size_t i = 0; i < SECRET_TEXT_N; i++) out[i] = text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i]; /* RFC 4648 §5 */
    out[SECRET_TEXT_N] = 0;
    mem_wipe(bytes, sizeof bytes);
    buf_wipe(&text);
}

void secret_hash_of(struct slice secret, unsigned char out[HASH_N])
{
    unsigned n = 0;
    if (!EVP_Digest(secret.n ? secret.p : "", secret.n, out, &n, EVP_sha256(), NULL) || n != HASH_N) abort(); /* only without memory */
}

/* ---- the database */

bool auth_commit(struct auth *u)
{
    unsigned before = u->db.rollbacks;
    db_commit(&u->db);
    return u->db.sql && !u->db.writing && u->db.rollbacks == before;
}

void auth_answer_failed(struct http_request *r)
{
    const struct db *db = &r->admin->auth->db;
    http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE,
               db->full ? "the disk is full: accounts cannot be written. Make room on the disk of system.directory, and try again in some seconds"
                        : "the database of accounts cannot be written; the log (store-not-written) tells why");
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct auth *u = arg;
    db_tend(&u->db, clock_mono_ms());
    uint64_t tick = u->ticks++;
    if (tick % SWEEP_TICKS) return;
    uint64_t now = clock_wall_ms();
    link_first_start(u);
    if (!db_write(&u->db)) return;
    session_sweep(u, now);
    if (tick % (SWEEP_TICKS * AUDIT_SWEEPS) == 0 || u->audited > AUDIT_BURST) audit_sweep(u, now);
    db_bind_number(&u->db, LINK_OLD, 1, now);
    (void)db_run(&u->db, LINK_OLD);
}

bool auth_open(struct admin *a, const char *directory, struct err *err)
{
    struct auth *u = mem_new(struct auth);
    u->admin = a;
    u->set = (struct auth_settings){ .session_idle = 30 * MINUTE_MS, .session_max = 720 * MINUTE_MS, .audit = 365 * DAY_MS };
    u->brake = login_brake_new(BRAKE_ENTRIES);
    u->timer = event_new(a->base, -1, EV_PERSIST, on_tick, u);
    a->auth = u;
    if (!(u->passwords = passwords_new(a->base, err)) || !db_open(&u->db, &accounts_db, directory, u, err)) return false;
    event_add(u->timer, &(struct timeval){ 0, TICK_MS * 1000 });
    return true;
}

void auth_close(struct admin *a)
{
    struct auth *u = a->auth;
    if (!u) return;
    passwords_free(u->passwords);
    db_close(&u->db);
    event_free(u->timer);
    login_brake_free(u->brake);
    free((char *)(uintptr_t)u->set.url);
    free((char *)(uintptr_t)u->set.hostname);
    free(u);
    a->auth = NULL;
}

void auth_configure(struct admin *a, const struct auth_settings *s)
{
    struct auth *u = a->auth;
    char *url = s->url ? mem_strdup(s->url) : NULL, *hostname = s->hostname ? mem_strdup(s->hostname) : NULL;
    free((char *)(uintptr_t)u->set.url);
    free((char *)(uintptr_t)u->set.hostname);
    u->set = *s;
    u->set.url = url;
    u->set.hostname = hostname;
    link_first_start(u);
}

void accounts_changed(struct admin *a)
{
    events_changed(a, "accounts");
}

/* ---- who asks */

static const char *const vias[] = { [VIA_NOBODY] = "web", [VIA_SOCKET] = "socket", [VIA_SESSION] = "web", [VIA_TOKEN] = "token" };

const char *via_name(enum via via)
{
    return vias[via];
}

void identity_of_account(const struct auth *u, const struct account *one, enum via via, struct identity *out)
{
    struct identity before = *out;
    *out = (struct identity){ .via = via, .role = one->role, .rights = role_rights(one->role), .account = one->id,
                              .addresses = json_incref(one->addresses) };
    memcpy(out->address, before.address, sizeof out->address);
    json_decref(before.addresses);
    snprintf(out->name, sizeof out->name, "%s", one->name);
    if (!u->set.second_factor || one->role != ROLE_ADMINISTRATOR || one->has_totp) return;
    out->rights = RIGHT_SELF;
    out->why = no_factor;
}

static bool of_authorization(struct auth *u, struct slice header, struct identity *out)
{
    struct slice scheme;
    return slice_cut(&header, ' ', &scheme) && slice_ieq(scheme, SLICE("Bearer")) && token_find(u, slice_trim_blanks(header), out);
}

bool auth_identify(struct admin *a, const struct auth_request *q, struct identity *out)
{
    struct slice token;
    *out = (struct identity){ .via = VIA_NOBODY, .role = ROLE_USER };
    if (q->socket) {
        *out = (struct identity){ .via = VIA_SOCKET, .role = ROLE_ADMINISTRATOR, .rights = role_rights(ROLE_ADMINISTRATOR) };
        snprintf(out->name, sizeof out->name, "%s", q->peer);
        return true;
    }
    snprintf(out->address, sizeof out->address, "%s", q->peer);
    if (q->authorization) return of_authorization(a->auth, slice_str(q->authorization), out);
    return !session_cookie(q->cookie, &token) || session_find(a->auth, token, q->background, out);
}

void identity_deinit(struct identity *who)
{
    json_decref(who->addresses);
    mem_wipe(who->csrf, sizeof who->csrf);
    who->addresses = NULL;
}

bool auth_ip(const struct identity *who, struct ip *out)
{
    return who->via != VIA_SOCKET && ip_parse(slice_str(who->address), out);
}

/* ---- what he may do */

json_t *auth_rights_json(uint32_t rights)
{
    json_t *all = json_array();
    for (uint32_t bit = 1; bit && bit <= rights; bit <<= 1)
        if (rights & bit) json_array_append_new(all, json_string(right_name((enum right)bit)));
    return all;
}

static bool csrf_ok(const struct identity *who, const char *csrf)
{
    size_t n = strlen(who->csrf);
    return csrf && n && strlen(csrf) == n && CRYPTO_memcmp(csrf, who->csrf, n) == 0;
}

int auth_refuses(const struct identity *who, const struct route *route, const char *csrf, const char **why)
{
    bool reads = !strcmp(route->method, MHD_HTTP_METHOD_GET);
    if (!route->right) return 0;
    *why = "log in first";
    if (who->via == VIA_NOBODY) return MHD_HTTP_UNAUTHORIZED;
    *why = who->why ? who->why : who->via == VIA_TOKEN ? "this token has no such scope" : "your role does not have this right";
    if (!(who->rights & route->right)) return MHD_HTTP_FORBIDDEN;
    *why = "not with a token: this is for people who have logged in";
    if (route->no_token && who->via == VIA_TOKEN) return MHD_HTTP_FORBIDDEN;
    *why = "the header X-Postern-CSRF is missing or wrong: see GET /v1/session";
    return who->via == VIA_SESSION && !reads && !csrf_ok(who, csrf) ? MHD_HTTP_FORBIDDEN : 0;
}
