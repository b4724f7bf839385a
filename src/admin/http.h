/* SPDX-License-Identifier: Apache-2.0
 * What daemons of libmicrohttpd have in common: the control socket's (http.c), that of HTTPS (web.c), and the page of digests. */
#ifndef POSTERN_ADMIN_HTTP_H
#define POSTERN_ADMIN_HTTP_H
#include <microhttpd.h>
#include "admin/internal.h"

/* One of them on our loop. */
struct http_front {
    struct admin *admin;
    struct web *web;             /* NULL: it is not HTTPS of web.c */
    struct MHD_Daemon *daemon;
    struct event *readable, *timer;
};
/* After the daemon was made; false: it has no descriptor to wait for. */
bool http_front_start(struct http_front *f) MUST_CHECK;
void http_front_run(struct http_front *f);
void http_front_deinit(struct http_front *f); /* its events, not its daemon */

/* For MHD_start_daemon, with a struct http_front. */
enum MHD_Result http_on_request(void *front, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                const char *data, size_t *data_n, void **state);
void http_on_completed(void *front, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why);
size_t http_unescape(void *front, struct MHD_Connection *c, char *text);

/* ---- http_answer.c */
enum MHD_Result http_respond(struct http_request *r); /* r->status is there */
void http_free_answer(struct http_request *r);

#endif
