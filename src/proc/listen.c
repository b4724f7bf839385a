/* SPDX-License-Identifier: Apache-2.0
 * Binding ports. */
#include "proc/listen.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "config/value.h"

#define BACKLOG 4096
#define PATIENCE_MS 3000

/* One address and port with its sockets; shared between the set of the old and that of the new configuration. */
struct listen_port {
    unsigned refs;
    struct ip ip;
    uint16_t port;
    int *fds;
    size_t n;
};

struct listen_set {
    struct listen_port **ports; /* by index of config->listeners */
    size_t n;
};

static bool same_ip(const struct ip *a, const struct ip *b)
{
    return a->family == b->family && (a->family == 0 || (ip_eq(a, b) && a->scope == b->scope));
}

static struct listen_port *find_port(const struct listen_set *s, const struct config_listener *l)
{
    for (size_t i = 0; s && i < s->n; i++)
        if (s->ports[i] && s->ports[i]->port == l->port && same_ip(&s->ports[i]->ip, &l->ip)) return s->ports[i];
    return NULL;
}

/* Another of our own ports covers this one or is covered by it: both can be bound only by SO_REUSEPORT. */
static bool overlaps(const struct listen_set *s, const struct config_listener *l)
{
    for (size_t i = 0; s && i < s->n; i++)
        if (s->ports[i] && s->ports[i]->port == l->port && (!s->ports[i]->ip.family || !l->ip.family)) return true;
    return false;
}

static void port_unref(struct listen_port *p)
{
    if (!p || --p->refs) return;
    while (p->n) close(p->fds[--p->n]);
    free(p->fds);
    free(p);
}

static void add_address(struct buf *out, const struct config_listener *l)
{
    if (!l->ip.family) buf_add_char(out, '*');
    if (l->ip.family == 6) buf_add_char(out, '[');
    if (l->ip.family) ip_add(out, &l->ip);
    if (l->ip.family == 6) buf_add_char(out, ']');
    buf_addf(out, ":%u", l->port);
}

void listen_set_describe(const struct config *c, struct buf *out)
{
    for (size_t i = 0; i < c->listener_n; i++) {
        if (i) buf_add_char(out, ' ');
        add_address(out, &c->listeners[i]);
    }
}

/* A bound socket, or -1 with errno. "*" is one IPv6 socket for both families where there is IPv6, else an IPv4 one. */
static int bind_socket(const struct config_listener *l, bool shared)
{
    static const int on = 1, off = 0;
    struct sockaddr_storage to = { 0 };
    struct sockaddr_in6 *any6 = (struct sockaddr_in6 *)&to;
    socklen_t to_n = sizeof *any6;
    int fd;
    if (l->ip.family) {
        to_n = ip_to_sockaddr(&l->ip, l->port, &to);
        fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd >= 0 && l->ip.family == 6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    } else {
        *any6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(l->port) };
        fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd >= 0) {
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        } else if (errno == EAFNOSUPPORT) {
            *(struct sockaddr_in *)&to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(l->port) };
            to_n = sizeof(struct sockaddr_in);
            fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        }
    }
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if ((!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
        bind(fd, (struct sockaddr *)&to, to_n) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool explain_option(const struct config_listener *l, const char *option, int code, struct err *err)
{
    struct buf where = { 0 };
    add_address(&where, l);
    const char *address = buf_cstr(&where), *hint = "";
    if (code == EADDRINUSE) hint = " (another program listens there: `ss -ltnp` names it)";
    else if (code == EACCES) hint = " (ports below 1024 need root)";
    else if (code == EADDRNOTAVAIL) hint = " (this machine does not have that address)";
    err_set(err, "%s: cannot listen on %s: %s%s", option, address, strerror(code), hint);
    err->code = code;
    buf_deinit(&where);
    return false;
}

static bool explain(const struct config_listener *l, size_t index, int code, struct err *err)
{
    char option[48];
    snprintf(option, sizeof option, "listeners[%zu].address", index);
    return explain_option(l, option, code, err);
}

int listen_open_one(struct slice address, const char *option, struct err *err)
{
    struct config_listener l = { 0 };
    struct slice host, port;
    bool bracketed;
    uint64_t number;
    if (!value_split_port(address, &host, &port, &bracketed) || !slice_to_u64(port, UINT16_MAX, &number) ||
        (!slice_eq(host, SLICE("*")) && !ip_parse(host, &l.ip))) {
        err_set(err, "%s is not an address with a port", option);
        return -1;
    }
    l.port = (uint16_t)number;
    int fd = bind_socket(&l, false);
    if (fd >= 0 && listen(fd, BACKLOG) == 0) return fd;
    explain_option(&l, option, errno, err);
    if (fd >= 0) close(fd);
    return -1;
}

/* With SO_REUSEPORT a second relay of the same user would quietly get a share of the connections: a socket without it
 * tells whether anybody is there. */
static bool probe(const struct config_listener *l, size_t index, uint64_t until, struct err *err)
{
    for (;;) {
        int fd = bind_socket(l, false);
        if (fd >= 0) {
            close(fd);
            return true;
        }
        if (errno != EADDRINUSE || clock_mono_ms() >= until) return explain(l, index, errno, err);
        nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    }
}

static bool grow(struct listen_port *p, const struct config_listener *l, size_t index, unsigned slots, struct err *err)
{
    if (p->n >= slots) return true;
    p->fds = mem_grow(p->fds, slots, sizeof *p->fds);
    while (p->n < slots) {
        int fd = bind_socket(l, true);
        if (fd < 0) return explain(l, index, errno, err);
        if (listen(fd, BACKLOG) != 0) {
            int code = errno;
            close(fd);
            return explain(l, index, code, err);
        }
        p->fds[p->n++] = fd;
    }
    return true;
}

/* Connections to others, which rules bring by tproxy, are taken only by a socket that may have any address. */
static bool takes_by_tproxy(const struct config *c, const struct config_listener *l)
{
    for (size_t i = 0; i < c->zone_n; i++) {
        const struct config_zone *z = &c->zones[i];
        if (z->mode == CONFIG_ZONE_TRANSPARENT && z->intercept.by == CONFIG_INTERCEPT_TPROXY && config_arrival(c, z) == l) return true;
    }
    return false;
}

/* Also where a former configuration had it the other way. */
static bool set_transparent(const struct listen_port *p, const struct config_listener *l, size_t index, bool wanted, struct err *err)
{
    int is = 0, on = wanted;
    socklen_t size = sizeof is;
    for (size_t i = 0; i < p->n; i++) {
        int family = 0;
        socklen_t n = sizeof family;
        (void)getsockopt(p->fds[i], SOL_SOCKET, SO_DOMAIN, &family, &n);
        int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, option = family == AF_INET6 ? IPV6_TRANSPARENT : IP_TRANSPARENT;
        if (getsockopt(p->fds[i], level, option, &is, &size) == 0 && (is != 0) == wanted) continue;
        if (setsockopt(p->fds[i], level, option, &on, sizeof on) == 0 || !wanted) continue;
        return err_sys(err, errno, "listeners[%zu].address: connections to others cannot be taken at port %u by tproxy "
                       "(give it CAP_NET_RAW, or write by: redirect)", index, l->port);
    }
    return true;
}

static bool open_ports(struct listen_set *s, const struct config *c, unsigned slots, const struct listen_set *former,
                       struct err *err)
{
    for (size_t i = 0; i < c->listener_n; i++) {
        const struct config_listener *l = &c->listeners[i];
        struct listen_port *p = find_port(former, l);
        if (!p) {
            p = mem_new(struct listen_port);
            p->ip = l->ip;
            p->port = l->port;
        }
        p->refs++;
        s->ports[i] = p;
        if (!grow(p, l, i, slots, err) || !set_transparent(p, l, i, takes_by_tproxy(c, l), err)) return false;
    }
    return true;
}

struct listen_set *listen_set_open(const struct config *c, unsigned slots, const struct listen_set *former,
                                   bool patient, struct err *err)
{
    uint64_t until = patient ? clock_mono_ms() + PATIENCE_MS : 0;
    for (size_t i = 0; i < c->listener_n; i++) /* all before the first is bound: they may overlap each other */
        if (!find_port(former, &c->listeners[i]) && !overlaps(former, &c->listeners[i]) &&
            !probe(&c->listeners[i], i, until, err))
            return NULL;
    struct listen_set *s = mem_new(struct listen_set);
    s->n = c->listener_n;
    s->ports = mem_zalloc((s->n + 1) * sizeof *s->ports);
    if (!open_ports(s, c, slots, former, err)) listen_set_free(&s);
    return s;
}

void listen_set_free(struct listen_set **sp)
{
    struct listen_set *s = *sp;
    *sp = NULL;
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) port_unref(s->ports[i]);
    free(s->ports);
    free(s);
}

size_t listen_set_sockets(const struct listen_set *s, size_t listener) { return s->ports[listener]->n; }

/* A socket has one state for all who hold it, and a worker that was taken over may have shut it down or made it
 * blocking: whoever gets it next finds it as it should be. */
int listen_set_fd(const struct listen_set *s, size_t listener, size_t socket)
{
    int fd = s->ports[listener]->fds[socket], listens = 0;
    socklen_t n = sizeof listens;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && !listens) (void)listen(fd, BACKLOG);
    return fd;
}
