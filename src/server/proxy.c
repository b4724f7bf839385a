/* SPDX-License-Identifier: Apache-2.0
 * The PROXY protocol. A connection from a listed proxy is no session before its header has come: it waits here, without
 * a greeting and without a handshake, and is then let in, or turned away, as the client that the header names. Not a
 * byte beyond the header is read: what follows may be a TLS handshake. */
#include "smtp/proxy.h"
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "server/session.h"

#define HEADER_SECONDS 5

struct incoming {
    struct list link;          /* in server->incoming */
    struct server *server;
    const struct config_listener *listener;
    struct event *event, *timer;
    int fd;
    struct ip proxy;
    uint16_t port;
    size_t n;
    char header[PROXY_V2_MAX];
};

static void forget(struct incoming *in)
{
    list_remove(&in->link);
    in->server->incoming_n--;
    event_free(in->event);
    event_free(in->timer);
    free(in);
}

static void refuse(struct incoming *in, enum log_level level, const char *why)
{
    struct server *s = in->server;
    log_event(level, "no-proxy-header", LOG_IP("proxy", &in->proxy), LOG_NUM("port", in->port), LOG_STR("error", why),
              LOG_TEXT("got", slice_sub(slice_of(in->header, in->n), 0, 40)));
    s->figures.refused_connections++;
    close(in->fd);
    forget(in);
    server_check_drained(s);
}

static void let_in(struct incoming *in, const struct proxy_header *h)
{
    struct server *s = in->server;
    const struct config_listener *l = in->listener;
    struct origin from = { .ip = in->proxy, .port = in->port, .unnamed = !h->named };
    int fd = in->fd;
    if (h->named) from = (struct origin){ .ip = h->client, .port = h->port, .peer = in->proxy };
    forget(in);
    server_admit(s, l, fd, &from);
    server_check_drained(s);
}

/* Looks first and takes then, as much as belongs to the header. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct incoming *in = arg;
    struct proxy_header h;
    const char *error = "";
    ssize_t n = recv(fd, in->header + in->n, sizeof in->header - in->n, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) { /* without a word: it looked whether somebody listens */
        refuse(in, in->n ? LOG_WARNING : LOG_DEBUG, "the proxy closed the connection");
        return;
    }
    size_t before = in->n, seen = before + (size_t)n;
    enum proxy_result result = proxy_parse(slice_of(in->header, seen), &h, &error);
    if (result == PROXY_DONE) seen = h.n;
    in->n = seen;
    if (result != PROXY_BAD && recv(fd, in->header + before, seen - before, 0) != (ssize_t)(seen - before))
        refuse(in, LOG_WARNING, "the connection broke");
    else if (result == PROXY_BAD) refuse(in, LOG_WARNING, error);
    else if (result == PROXY_DONE) let_in(in, &h);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    refuse(arg, LOG_WARNING, "it did not come in time");
}

bool proxy_expected(const struct config_listener *l, const struct ip *peer)
{
    for (size_t i = 0; i < l->proxy_n; i++)
        if (ip_net_has(&l->proxies[i], peer)) return true;
    return false;
}

void proxy_accept(struct server *s, const struct config_listener *l, int fd, const struct ip *proxy, uint16_t port)
{
    static const struct timeval limit = { HEADER_SECONDS, 0 };
    struct incoming *in = mem_new(struct incoming);
    *in = (struct incoming){ .server = s, .listener = l, .fd = fd, .proxy = *proxy, .port = port };
    in->event = event_new(s->o.base, fd, EV_READ | EV_PERSIST, on_readable, in);
    in->timer = evtimer_new(s->o.base, on_timer, in);
    list_push_back(&s->incoming, &in->link);
    s->incoming_n++;
    event_add(in->event, NULL);
    evtimer_add(in->timer, &limit);
}

void proxy_cancel_all(struct server *s)
{
    list_each_safe(it, &s->incoming) {
        struct incoming *in = list_entry(it, struct incoming, link);
        close(in->fd);
        forget(in);
    }
}
