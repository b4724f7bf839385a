/* SPDX-License-Identifier: Apache-2.0
 * HTTP: requests from their first line to the one that serves them. A request that has to wait for others is suspended meanwhile. */
#include "admin/http.h"
#include <stdlib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "admin/auth.h"
#include "admin/web.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"

#define CONNECTIONS 64
#define CONNECTION_MEMORY 32768
#define IDLE_SECONDS 30
#define BODY_FILE_MAX (64u << 20)
#define BODY_FILES_MAX (UINT64_C(512) << 20) /* of all that are being sent or served */
#define FORGET_MAX (64u << 10)   /* bytes of a body that are read of a request which is refused already */
#define STRANGER_BODY_MAX (16u << 10) /* of somebody unknown, who may send many at once: a login, or a one-time link */

/* ---- who asks */

const char *http_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

void http_client(struct http_request *r, char *out, size_t size)
{
    snprintf(out, size, "%s", r->who.name[0] ? r->who.name : "somebody");
}

static void socket_client(const struct http_request *r, char *out, size_t size)
{
    struct ucred who;
    socklen_t n = sizeof who;
    if (getsockopt(http_socket_of(r->connection), SOL_SOCKET, SO_PEERCRED, &who, &n) == 0) snprintf(out, size, "uid %u", (unsigned)who.uid);
    else snprintf(out, size, "somebody");
}

static void identify(struct http_request *r)
{
    const char *background = http_header(r, "X-Postern-Background");
    char peer[64];
    if (r->web) http_ip(http_address_of(r->connection), peer, sizeof peer);
    else socket_client(r, peer, sizeof peer);
    r->tried = !auth_identify(r->admin, &(struct auth_request){
        .socket = !r->web, .peer = peer, .cookie = http_header(r, MHD_HTTP_HEADER_COOKIE),
        .authorization = http_header(r, MHD_HTTP_HEADER_AUTHORIZATION),
        .background = (background && !strcmp(background, "1")) || !strcmp(r->path, "/v1/events"),
    }, &r->who);
}

/* ---- requests: the header */

static void no_route(struct http_request *r, int status)
{
    http_error(r, status, status == MHD_HTTP_METHOD_NOT_ALLOWED ? "not with this method" : "no such thing here");
}

/* False: he may not, and is answered. */
static bool may(struct http_request *r)
{
    const char *why = NULL;
    int refused = auth_refuses(&r->who, r->route, http_header(r, "X-Postern-CSRF"), &why);
    if (refused) http_error(r, refused, why ? why : "not allowed");
    return !refused;
}

bool http_still_may(struct http_request *r)
{
    identity_deinit(&r->who);
    identify(r);
    return may(r);
}

/* A body may come slowly, also one that is empty in the end. */
static bool has_body(const struct http_request *r)
{
    return r->body.n || r->file >= 0 || http_header(r, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* All that can be said before the body comes; r->status: it is refused. */
static void take_header(struct http_request *r, int status)
{
    if (r->web) http_ip(http_address_of(r->connection), r->who.address, sizeof r->who.address); /* for the audit log, refused or not */
    if (r->web && !web_check(r)) return;
    identify(r);
    http_connection_of(r->connection)->known = r->who.via != VIA_NOBODY;
    if (r->who.via == VIA_NOBODY) r->body.max = STRANGER_BODY_MAX;
    if (!r->route && r->web && web_files_serve(r)) return;
    if (!r->route) {
        no_route(r, status);
        return;
    }
    if (may(r) && http_check_arguments(r) && r->route->body_max) r->body.max = r->route->body_max;
}

static struct http_request *request_new(struct http_front *f, struct MHD_Connection *c, const char *path, const char *method)
{
    struct http_request *r = mem_new(struct http_request);
    int status;
    r->admin = f->admin;
    r->connection = c;
    r->front = f;
    r->web = f->web;
    r->path = mem_strdup(path);
    r->method = method; /* libmicrohttpd's, as long as the request */
    r->body.max = ADMIN_BODY_MAX;
    r->file = -1;
    bool head = !strcmp(method, MHD_HTTP_METHOD_HEAD);
    r->route = api_route_find(head ? MHD_HTTP_METHOD_GET : method, slice_str(r->path), &r->rest, &status);
    take_header(r, status);
    return r;
}

/* ---- the body */

static void drop_file(struct http_request *r)
{
    if (r->file < 0) return;
    close(r->file);
    r->admin->body_files -= r->file_n;
    r->file = -1;
    r->file_n = 0;
}

/* What does not fit is read and forgotten, so that the answer is heard; of those who are refused already, a little. False: enough. */
static bool take_body(struct http_request *r, struct slice data)
{
    if (r->status || !r->route) {
        r->file_n += data.n;
        return r->file_n <= FORGET_MAX;
    }
    if (!r->route->body_file) {
        buf_add(&r->body, data);
        return true;
    }
    if (r->file < 0 && !r->body.overflow) r->file = memfd_create("body", MFD_CLOEXEC);
    r->crowded |= !r->body.overflow && r->admin->body_files + data.n > BODY_FILES_MAX;
    r->body.overflow |= r->file < 0 || r->crowded || r->file_n + data.n > BODY_FILE_MAX;
    if (!r->body.overflow) r->body.overflow = !io_write_all(r->file, data);
    if (r->body.overflow) {
        drop_file(r);
        return true;
    }
    r->file_n += data.n;
    r->admin->body_files += data.n;
    return true;
}

static enum MHD_Result finish_or_wait(struct http_request *r)
{
    if (r->status) return http_respond(r);
    r->waiting = true;
    http_suspend(r->front, r->connection);
    return MHD_YES;
}

enum MHD_Result http_on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
                                const char *data, size_t *data_n, void **state)
{
    struct http_request *r = *state;
    if (!r) {
        *state = request_new(arg, connection, path, method);
        return MHD_YES;
    }
    if (*data_n) {
        bool more = take_body(r, slice_of(data, *data_n));
        *data_n = 0;
        return more ? MHD_YES : MHD_NO;
    }
    if (!r->status && r->crowded) http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too much is being sent at once; try again");
    if (!r->status && r->body.overflow) http_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "the request is too large");
    if (!r->status && (!has_body(r) || http_still_may(r)) && http_check_body(r)) r->route->serve(r);
    return finish_or_wait(r);
}

/* Passwords and codes are not left in memory. */
static void wipe_secrets(const json_t *body)
{
    static const char *const members[] = { "password", "old", "new", "code", "link" };
    for (size_t i = 0; i < countof(members); i++) json_wipe(json_object_get(body, members[i]));
}

void http_on_completed(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct http_request *r = *state;
    *state = NULL;
    if (!r) return;
    struct http_connection *its = http_connection_of(c);
    its->known = its->lasts = false;
    its->since = clock_mono_ms();
    http_free_answer(r);
    identity_deinit(&r->who);
    json_decref(r->parts);
    json_decref(r->arguments);
    wipe_secrets(r->json);
    json_decref(r->json);
    drop_file(r);
    buf_wipe(&r->body); /* there may be a password in it */
    free(r->path);
    free(r);
}

/* ---- the control socket */

struct http_front *http_open(struct admin *a, int listening, struct err *err)
{
    struct http_front *f = mem_new(struct http_front);
    f->admin = a;
    if (http_front_start(f, &(struct http_front_start){
            .socket = listening, .connections = CONNECTIONS, .idle_seconds = IDLE_SECONDS, .memory = CONNECTION_MEMORY,
            .on_request = http_on_request, .on_completed = http_on_completed })) return f;
    free(f);
    err_set(err, "HTTP on the control socket cannot be started");
    return NULL;
}

void http_close(struct http_front **f)
{
    if (*f) http_front_deinit(*f);
    free(*f);
    *f = NULL;
}
