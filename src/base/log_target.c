/* SPDX-License-Identifier: Apache-2.0
 * Where lines of the log go, and that nobody waits for them. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/log_int.h"
#include "base/mem.h"

#define PIECE 4096      /* what a pipe that can be written to takes at least (PIPE_BUF) */
#define SEND_BUFFER (1 << 20)

/* Not connected: whoever listens may be started again, and a confined process could not connect once more. */
int log_socket_open(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = SEND_BUFFER;
    if (fd >= 0) (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return fd;
}

enum log_sent log_socket_send(int fd, const char *path, struct slice line)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    ssize_t k;
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    do k = sendto(fd, line.p, line.n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&a, sizeof a);
    while (k < 0 && errno == EINTR);
    if (k >= 0) return LOG_SENT;
    return errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE ? LOG_FULL : LOG_NOBODY;
}

/* Standard error is shared with others, so it stays as it is: what blocks is not asked to. */
size_t log_stderr_write(struct slice s, int ms)
{
    size_t done = 0;
    while (done < s.n) {
        struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
        int ready = poll(&p, 1, ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) break;
        if (p.revents & (POLLERR | POLLNVAL | POLLHUP)) return s.n; /* nobody reads the log: mail goes on */
        struct slice piece = slice_sub(s, done, done + PIECE);
        ssize_t k = write(STDERR_FILENO, piece.p, piece.n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 && errno == EAGAIN) break;
        if (k <= 0) return s.n;
        done += (size_t)k;
    }
    return done;
}
