/* SPDX-License-Identifier: Apache-2.0
 * HTTP on the control socket: libmicrohttpd on our event loop, without threads of its own. A request that has to wait
 * for others is suspended meanwhile. */
#include <event2/event.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "admin/internal.h"
#include "base/io.h"
#include "base/log.h"

#define CONNECTIONS 64
#define CONNECTION_MEMORY 32768
#define IDLE_SECONDS 30
#define BODY_FILE_MAX (64u << 20)

struct admin_http {
    struct admin *admin;
    struct MHD_Daemon *daemon;
    struct event *readable, *timer;
};

/* ---- turning the crank */

static void run(struct admin_http *h)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(h->daemon);
    event_del(h->timer);
    if (MHD_get_timeout(h->daemon, &ms) != MHD_YES) return;
    if (ms > 60000) ms = 60000;
    event_add(h->timer, &(struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 });
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    run(arg);
}

/* ---- answers */

void http_answer(struct http_request *r, int status, json_t *answer)
{
    r->status = status;
    r->answer = answer ? answer : json_object();
    if (!r->waiting) return;
    r->waiting = false;
    MHD_resume_connection(r->connection);
    event_add(r->admin->http->timer, &(struct timeval){ 0, 0 });
}

void http_error(struct http_request *r, int status, const char *text)
{
    http_answer(r, status, json_pack("{s:s}", "error", text));
}

void http_client(struct http_request *r, char *out, size_t size)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct ucred who;
    socklen_t n = sizeof who;
    if (info && getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0) snprintf(out, size, "uid %u", (unsigned)who.uid);
    else snprintf(out, size, "somebody");
}

/* ---- files as answers */

struct http_file {
    struct buf before;
    int fd;
    uint64_t at, n;
};

static ssize_t read_download(void *arg, uint64_t at, char *to, size_t max)
{
    const struct http_file *f = arg;
    if (at < f->before.n) {
        struct slice s = slice_sub(buf_slice(&f->before), (size_t)at, (size_t)at + max);
        memcpy(to, s.p, s.n);
        return (ssize_t)s.n;
    }
    at -= f->before.n;
    if (at >= f->n) return MHD_CONTENT_READER_END_OF_STREAM;
    ssize_t k;
    do k = pread(f->fd, to, f->n - at < max ? (size_t)(f->n - at) : max, (off_t)(f->at + at));
    while (k < 0 && errno == EINTR);
    return k > 0 ? k : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_download(void *arg)
{
    struct http_file *f = arg;
    close(f->fd);
    buf_deinit(&f->before);
    free(f);
}

void http_answer_file(struct http_request *r, struct slice before, int fd, uint64_t at, uint64_t n)
{
    r->download = mem_new(struct http_file);
    *r->download = (struct http_file){ .fd = fd, .at = at, .n = n };
    buf_add(&r->download->before, before);
    http_answer(r, MHD_HTTP_OK, NULL);
}

static enum MHD_Result respond_file(struct http_request *r)
{
    struct http_file *f = r->download;
    struct MHD_Response *response = MHD_create_response_from_callback(f->before.n + f->n, 65536, read_download, f, free_download);
    if (!response) return MHD_NO;
    r->download = NULL;
    MHD_add_response_header(response, "Content-Type", "application/octet-stream"); /* nothing that anybody would open by itself */
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    enum MHD_Result rc = MHD_queue_response(r->connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result respond(struct http_request *r)
{
    if (r->download) return respond_file(r);
    char *text = json_dumps(r->answer, JSON_COMPACT);
    if (!text) return MHD_NO;
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result rc = MHD_queue_response(r->connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return rc;
}

/* ---- requests */

struct reading {
    const struct http_argument *known;
    size_t n;
    json_t *request;
    bool bad;
};

static json_t *read_value(const struct http_argument *a, const char *value)
{
    uint64_t n;
    if (!a->number) return json_string(value);
    return slice_to_u64(slice_str(value), INT64_MAX, &n) ? json_integer((json_int_t)n) : NULL;
}

static enum MHD_Result on_argument(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct reading *f = arg;
    json_t *v = NULL;
    for (size_t i = 0; i < f->n && !v; i++)
        if (!strcmp(name, f->known[i].name)) v = read_value(&f->known[i], value ? value : "");
    if (v) json_object_set_new(f->request, name, v);
    else f->bad = true; /* an unknown one, no number, or not UTF-8 */
    return MHD_YES;
}

void http_bad_argument(struct http_request *r)
{
    http_error(r, MHD_HTTP_BAD_REQUEST, "an argument is unknown or has a value it cannot have");
}

json_t *http_arguments(struct http_request *r, const char *op, const struct http_argument *known, size_t n)
{
    struct reading f = { .known = known, .n = n, .request = json_pack("{s:s}", "op", op) };
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, on_argument, &f);
    if (!f.bad) return f.request;
    json_decref(f.request);
    http_bad_argument(r);
    return NULL;
}

static struct http_request *request_new(struct admin *a, struct MHD_Connection *c, const char *path, const char *method)
{
    struct http_request *r = mem_new(struct http_request);
    int status;
    r->admin = a;
    r->connection = c;
    r->path = mem_strdup(path);
    r->body.max = ADMIN_BODY_MAX;
    r->file = -1;
    r->route = api_route_find(method, slice_str(r->path), &r->rest, &status);
    if (!r->route) http_error(r, status, status == 405 ? "not with this method" : "no such thing here");
    return r;
}

/* What does not fit is read and forgotten, so that the answer is heard. */
static void take_body(struct http_request *r, struct slice data)
{
    if (!r->route || !r->route->body_file) {
        buf_add(&r->body, data);
        return;
    }
    if (r->file < 0 && !r->body.overflow) r->file = memfd_create("body", MFD_CLOEXEC);
    r->body.overflow |= r->file < 0 || r->file_n + data.n > BODY_FILE_MAX;
    if (!r->body.overflow) r->body.overflow = !io_write_all(r->file, data);
    if (!r->body.overflow) r->file_n += data.n;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *data_n, void **state)
{
    struct http_request *r = *state;
    if (!r) {
        *state = request_new(arg, connection, path, method);
        return MHD_YES;
    }
    if (*data_n) {
        take_body(r, slice_of(data, *data_n));
        *data_n = 0;
        return MHD_YES;
    }
    if (!r->status && r->body.overflow) http_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "the request is too large");
    if (!r->status) r->route->serve(r);
    if (r->status) return respond(r);
    r->waiting = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct http_request *r = *state;
    *state = NULL;
    if (!r) return;
    json_decref(r->answer);
    json_decref(r->parts);
    if (r->download) free_download(r->download);
    if (r->file >= 0) close(r->file);
    buf_deinit(&r->body);
    free(r->path);
    free(r);
}

/* ---- life */

struct admin_http *http_open(struct admin *a, int listening, struct err *err)
{
    struct admin_http *h = mem_new(struct admin_http);
    h->admin = a;
    h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, a,
        MHD_OPTION_LISTEN_SOCKET, listening, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        if (h->daemon) MHD_stop_daemon(h->daemon);
        free(h);
        err_set(err, "HTTP on the control socket cannot be started");
        return NULL;
    }
    h->readable = event_new(a->base, info->epoll_fd, EV_READ | EV_PERSIST, on_event, h);
    h->timer = evtimer_new(a->base, on_event, h);
    event_add(h->readable, NULL);
    return h;
}

/* No request may be waiting any more. */
void http_close(struct admin_http **hp)
{
    struct admin_http *h = *hp;
    *hp = NULL;
    if (!h) return;
    event_free(h->readable);
    event_free(h->timer);
    MHD_stop_daemon(h->daemon);
    free(h);
}
