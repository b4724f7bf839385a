/* SPDX-License-Identifier: Apache-2.0
 * What daemons of libmicrohttpd have in common: the control socket's (http.c), that of HTTPS (web.c), and the page of digests. */
#ifndef POSTERN_ADMIN_HTTP_H
#define POSTERN_ADMIN_HTTP_H
#include <microhttpd.h>
#include "admin/internal.h"

/* ---- http_front.c */

/* One of them on our loop. Zero-initialise it, but for the first two. */
struct http_front {
    struct admin *admin;
    struct web *web;             /* NULL: it is not HTTPS of web.c */
    struct MHD_Daemon *daemon;
    struct event *readable, *timer;
    struct list connections;
    unsigned waiting;            /* requests that wait for somebody */
    bool left;                   /* its socket is closed: libmicrohttpd would give its number out again */
};
struct http_connection {
    struct list node;
    struct MHD_Connection *mhd;
    uint64_t since;              /* mono ms: it began, or its last request ended */
    bool waits;                  /* its request, for somebody else */
    bool known;                  /* the one whose request is under way has logged in */
    bool lasts;                  /* its answer is large */
};

struct http_front_start {
    int socket;                  /* taken, also when it cannot be started */
    const char *certificate, *key; /* PEM, as long as it lives; NULL: no TLS */
    unsigned connections, connections_an_ip; /* at most; an_ip 0: no limit */
    unsigned idle_seconds;
    size_t memory;               /* bytes of a connection */
    bool strict;                 /* also about what libmicrohttpd would let pass */
    MHD_AcceptPolicyCallback accept; /* NULL: everybody */
    /* all of these get the front */
    MHD_AccessHandlerCallback on_request;
    MHD_RequestCompletedCallback on_completed;
};
/* False: certificate and key do not fit, or there is no memory; nothing is left to do then. */
bool http_front_start(struct http_front *f, const struct http_front_start *s) MUST_CHECK;
void http_front_run(struct http_front *f);
/* No new connections; requests under way are served. */
void http_front_leave(struct http_front *f);
bool http_front_is_idle(const struct http_front *f); /* nothing is under way, and nobody is connected */
/* Ends connections that wait for nobody and are over. age: ms. */
void http_front_sweep(struct http_front *f, bool (*is_over)(const struct http_front *f, const struct http_connection *c, uint64_t age));
void http_front_deinit(struct http_front *f); /* no request may be waiting any more */

struct http_connection *http_connection_of(struct MHD_Connection *mhd);
int http_socket_of(struct MHD_Connection *mhd);
const struct sockaddr *http_address_of(struct MHD_Connection *mhd); /* of the client; NULL: it has none */
void http_ip(const struct sockaddr *from, char *out, size_t size);  /* "192.0.2.1"; "unknown" where there is none */
/* The request of this connection has to wait; and it goes on. */
void http_suspend(struct http_front *f, struct MHD_Connection *mhd);
void http_resume(struct http_front *f, struct MHD_Connection *mhd);

/* ---- http.c: for http_front_start */
enum MHD_Result http_on_request(void *front, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                const char *data, size_t *data_n, void **state);
void http_on_completed(void *front, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why);

/* ---- http_answer.c */
enum MHD_Result http_respond(struct http_request *r); /* r->status is there */
void http_free_answer(struct http_request *r);

#endif
