/* SPDX-License-Identifier: Apache-2.0
 * libmicrohttpd on our event loop, without threads of its own: its daemons, and their connections. */
#include "admin/http.h"
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/ip.h"

/* ---- turning the crank */

void http_front_run(struct http_front *f)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(f->daemon);
    event_del(f->timer);
    if (MHD_get_timeout(f->daemon, &ms) != MHD_YES) return;
    if (ms > 60000) ms = 60000;
    event_add(f->timer, &(struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 });
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    http_front_run(arg);
}

/* ---- connections */

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode what)
{
    struct http_front *f = arg;
    struct http_connection *c = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = c = mem_new(struct http_connection);
        *c = (struct http_connection){ .mhd = mhd, .since = clock_mono_ms() };
        list_push_back(&f->connections, &c->node);
    } else if (c) {
        *context = NULL;
        list_remove(&c->node);
        free(c);
    }
}

struct http_connection *http_connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

int http_socket_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

const struct sockaddr *http_address_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
}

void http_ip(const struct sockaddr *from, char *out, size_t size)
{
    struct buf b = { 0 };
    struct ip ip;
    uint16_t port;
    if (from && ip_from_sockaddr(from, &ip, &port)) ip_add(&b, &ip);
    snprintf(out, size, "%s", b.n ? buf_cstr(&b) : "unknown");
    buf_deinit(&b);
}

void http_suspend(struct http_front *f, struct MHD_Connection *mhd)
{
    http_connection_of(mhd)->waits = true;
    f->waiting++;
    MHD_suspend_connection(mhd);
}

void http_resume(struct http_front *f, struct MHD_Connection *mhd)
{
    http_connection_of(mhd)->waits = false;
    f->waiting--;
    MHD_resume_connection(mhd);
    event_add(f->timer, &(struct timeval){ 0, 0 });
}

void http_front_sweep(struct http_front *f, bool (*is_over)(const struct http_front *f, const struct http_connection *c, uint64_t age))
{
    uint64_t now = clock_mono_ms();
    list_each(it, &f->connections) {
        const struct http_connection *c = list_entry(it, struct http_connection, node);
        if (!c->waits && is_over(f, c, now - c->since)) shutdown(http_socket_of(c->mhd), SHUT_RDWR); /* the rest follows by itself */
    }
    http_front_run(f);
}

/* ---- life */

/* %00 would end a text early for us, not for whoever reads it elsewhere: it becomes a byte that fits nowhere, and is no UTF-8. */
static size_t unescape(void *front, struct MHD_Connection *c, char *text)
{
    size_t n = MHD_http_unescape(text);
    for (char *nul; (nul = memchr(text, 0, n));) *nul = (char)0xFF;
    return n;
}

static void start_daemon(struct http_front *f, const struct http_front_start *s)
{
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)s->certificate }, { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)s->key },
        { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" }, { MHD_OPTION_END, 0, NULL },
    };
    struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (s->certificate ? MHD_USE_TLS : 0U);
    (void)listen(s->socket, (int)s->connections); /* a former process may have shut it down */
    f->daemon = MHD_start_daemon(flags, 0, s->accept, f, s->on_request, f,
        MHD_OPTION_LISTEN_SOCKET, s->socket, MHD_OPTION_NOTIFY_COMPLETED, s->on_completed, f,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, f, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
        MHD_OPTION_CONNECTION_LIMIT, s->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, s->connections_an_ip,
        MHD_OPTION_CONNECTION_TIMEOUT, s->idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->memory,
        MHD_OPTION_STRICT_FOR_CLIENT, (int)s->strict, MHD_OPTION_ARRAY, s->certificate ? tls : none, MHD_OPTION_END);
}

bool http_front_start(struct http_front *f, const struct http_front_start *s)
{
    list_init(&f->connections);
    start_daemon(f, s);
    if (!f->daemon) {
        close(s->socket);
        return false;
    }
    f->readable = event_new(f->admin->base, MHD_get_daemon_info(f->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EV_READ | EV_PERSIST, on_event, f);
    f->timer = evtimer_new(f->admin->base, on_event, f);
    event_add(f->readable, NULL);
    return true;
}

void http_front_leave(struct http_front *f)
{
    if (f->left) return;
    int fd = MHD_quiesce_daemon(f->daemon);
    if (fd >= 0) close(fd);
    f->left = true;
}

bool http_front_is_idle(const struct http_front *f)
{
    return !f->waiting && list_empty(&f->connections);
}

void http_front_deinit(struct http_front *f)
{
    if (!f->daemon) return;
    http_front_leave(f); /* or libmicrohttpd might shut down a socket that others have, too */
    event_free(f->readable);
    MHD_stop_daemon(f->daemon);
    event_free(f->timer);
}
