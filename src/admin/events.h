/* SPDX-License-Identifier: Apache-2.0
 * GET /v1/events: what happens, told to those who listen (server-sent events). */
#ifndef POSTERN_ADMIN_EVENTS_H
#define POSTERN_ADMIN_EVENTS_H

struct admin;
struct web;
struct http_request;

/* Streams of this daemon end, at once; w: NULL: all. */
void events_leave(struct admin *a, const struct web *w);
/* Something is not what it was: "config", "accounts". */
void events_changed(struct admin *a, const char *what);
void events_serve(struct http_request *r);
void events_open(struct admin *a);
void events_close(struct admin *a);       /* after events_leave of all, and the end of their daemons */

#endif
