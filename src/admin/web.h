/* SPDX-License-Identifier: Apache-2.0
 * HTTPS with people and programs elsewhere: the second daemon of the admin process. Socket, certificate and key come from the master. */
#ifndef POSTERN_ADMIN_WEB_H
#define POSTERN_ADMIN_WEB_H
#include "admin/internal.h"

struct MHD_Response;

/* ---- web.c */
void web_open(struct admin *a);
void web_close(struct admin *a);          /* no request may be waiting any more */
bool web_on_master(struct admin *a, const json_t *m, int fd); /* false: it is not about the web, and fd is the caller's */

/* ---- web_check.c: where requests come from, and what every answer says */
/* Host, and of requests that change something Origin and Sec-Fetch-Site; false: it is refused. */
bool web_check(struct http_request *r) MUST_CHECK;
/* The master's {"enabled", "listen", "error"?} with what only this process knows: whether the certificate could be used. */
void web_complete(const struct admin *a, json_t *web);
void web_headers(const struct http_request *r, struct MHD_Response *response);

/* ---- web_files.c: the UI */
bool web_files_serve(struct http_request *r); /* false: it is no path of ours */

#endif
