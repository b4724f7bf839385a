/* SPDX-License-Identifier: Apache-2.0
 * Streams to others: by TCP from an address of ours, or to a Unix socket. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>
#include "net/private.h"

static struct stream *connect_to(struct stream_loop *l, int fd, const struct sockaddr *to, socklen_t n, size_t in_max,
                                 const struct stream_ops *ops, void *owner, struct err *err)
{
    if (connect(fd, to, n) != 0 && errno != EINPROGRESS) {
        err_sys(err, errno, "cannot connect");
        close(fd);
        return NULL;
    }
    struct stream *s = stream_new(l, fd, in_max, ops, owner);
    s->phase = STREAM_CONNECTING;
    event_add(&s->write_ev, NULL);
    return s;
}

static int new_socket(int family, struct err *err)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) err_sys(err, errno, "cannot make a socket");
    return fd;
}

struct stream *stream_connect(struct stream_loop *l, const struct ip *ip, uint16_t port, const struct ip *source, size_t in_max,
                              const struct stream_ops *ops, void *owner, struct err *err)
{
    struct sockaddr_storage to, from;
    socklen_t n = ip_to_sockaddr(ip, port, &to);
    int fd = new_socket(to.ss_family, err);
    if (fd < 0) return NULL;
    if (source && source->family) {
        socklen_t k = ip_to_sockaddr(source, 0, &from);
        int one = 1;
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&from, k) != 0) {
            err_sys(err, errno, "cannot use the source address");
            close(fd);
            return NULL;
        }
    }
    return connect_to(l, fd, (struct sockaddr *)&to, n, in_max, ops, owner, err);
}

struct stream *stream_connect_path(struct stream_loop *l, const char *path, size_t in_max, const struct stream_ops *ops, void *owner,
                                   struct err *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof to.sun_path) {
        err_set(err, "the socket's path is too long");
        return NULL;
    }
    memcpy(to.sun_path, path, strlen(path));
    int fd = new_socket(AF_UNIX, err);
    return fd < 0 ? NULL : connect_to(l, fd, (struct sockaddr *)&to, sizeof to, in_max, ops, owner, err);
}
