/* SPDX-License-Identifier: Apache-2.0
 * Who may do what: accounts, sessions, tokens, one-time links and the audit log, in <system.directory>/admin/admin.db. What http.c and others
 * have of it; all of it is called on the loop, and nothing blocks longer than the disk. */
#ifndef POSTERN_ADMIN_AUTH_H
#define POSTERN_ADMIN_AUTH_H
#include "admin/identity.h"
#include "base/err.h"

struct admin;
struct auth;

/* Before the filter of system calls is in force. A database that cannot be opened is no error: it is tried again, and meanwhile nobody can log
 * in on the web. directory: <system.directory>/admin, which the process may write. False: no threads. Sets a->auth. */
bool auth_open(struct admin *a, const char *directory, struct err *err) MUST_CHECK;
void auth_close(struct admin *a); /* before http_close: requests that wait for a thread are answered */

/* As the configuration says; before the first call: its defaults, and no one-time link. */
struct auth_settings {
    uint64_t session_idle, session_max, audit; /* ms */
    bool second_factor;
    const char *url;              /* how people reach the web administration, without a / at the end; NULL: it is off, and no link is printed */
    const char *hostname;         /* of this relay, for GET /v1/session */
};
void auth_configure(struct admin *a, const struct auth_settings *s);

/* ---- who asks: http.c, when a request's header is there */
struct auth_request {
    bool socket;                  /* it came on the control socket */
    const char *peer;             /* there "uid 0", else the client's IP address */
    const char *cookie, *authorization; /* headers Cookie, Authorization; NULL: none */
    bool background;              /* X-Postern-Background: 1: a session is not prolonged */
};
/* False: a cookie or token came that is none, or none any more; *out is nobody then (but has the address). Open routes serve him all the same,
 * for others auth_refuses says 401. */
bool auth_identify(struct admin *a, const struct auth_request *q, struct identity *out);
void identity_deinit(struct identity *who);
/* 0: he may. Else 401 or 403, and in *why a text for the answer. Knows the right of the route, no_token, and X-Postern-CSRF (csrf; NULL: none)
 * of sessions for all methods but GET and HEAD. Where a request comes from (Origin, Sec-Fetch-Site) is for http.c: of all requests on the web
 * but GET and HEAD, also to open routes. */
int auth_refuses(const struct identity *who, const struct route *route, const char *csrf, const char **why);

/* ---- the audit log: what http.c calls once for each request that was answered, whatever it was: writes an entry when it was to change something, or was refused (403;
 * 401 when somebody had tried). The action is made from the route: "config.apply", "account.tokens.delete", "login". tried: he sent a cookie, a
 * token or a password. Texts are cut and cleaned; NULL: none. */
void audit_request(struct admin *a, const struct identity *who, const struct route *route, int status, bool tried, const char *target,
                   const char *detail);

#endif
