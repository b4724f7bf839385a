/* SPDX-License-Identifier: Apache-2.0
 * Bytes in and out of the socket between a worker and the store. */
#include "store/socket.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 65536

void socket_open(struct socket *s, struct event_base *base, int fd, event_callback_fn on_readable, event_callback_fn on_writable, void *arg)
{
    *s = (struct socket){ .fd = fd, .readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, arg),
                          .writable = event_new(base, fd, EV_WRITE, on_writable, arg) };
    event_add(s->readable, NULL);
}

void socket_close(struct socket *s)
{
    event_free(s->readable);
    event_free(s->writable);
    close(s->fd);
    buf_deinit(&s->in);
    buf_deinit(&s->out);
    *s = (struct socket){ .fd = -1 };
}

bool socket_receive(struct socket *s)
{
    ssize_t k = read(s->fd, buf_reserve(&s->in, READ_SIZE), READ_SIZE);
    if (k > 0) s->in.n += (size_t)k;
    return k > 0 || (k < 0 && (errno == EAGAIN || errno == EINTR));
}

void socket_add(struct socket *s, struct wire_frame *f)
{
    if (s->sent > SOCKET_OUT_MAX / 4) { /* an end that never catches up must not make it grow */
        buf_consume(&s->out, s->sent);
        s->sent = 0;
    }
    wire_add(&s->out, f);
}

bool socket_send(struct socket *s)
{
    while (s->sent < s->out.n) {
        ssize_t k = send(s->fd, s->out.p + s->sent, s->out.n - s->sent, MSG_NOSIGNAL);
        if (k >= 0) s->sent += (size_t)k;
        else if (errno != EINTR) {
            if (errno == EAGAIN || errno == ENOBUFS) event_add(s->writable, NULL);
            return false;
        }
    }
    s->sent = 0;
    if (s->out.cap > READ_SIZE) buf_deinit(&s->out);
    else buf_clear(&s->out);
    return true;
}
