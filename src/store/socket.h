/* SPDX-License-Identifier: Apache-2.0
 * An end of the socket between a worker and the store, non-blocking: what has come and was not taken, what is to go out. */
#ifndef POSTERN_STORE_SOCKET_H
#define POSTERN_STORE_SOCKET_H
#include <event2/event.h>
#include "store/wire.h"

#define SOCKET_OUT_MAX (4u << 20) /* for an end that does not read. Each side sees to it in its own way */

struct socket {
    int fd;                /* -1: closed */
    struct event *readable, *writable;
    struct buf in, out;
    size_t sent;           /* of out */
};

/* Takes fd and listens to it; on_writable comes once, after a socket_send that could not send all. */
void socket_open(struct socket *s, struct event_base *base, int fd, event_callback_fn on_readable, event_callback_fn on_writable, void *arg);
void socket_close(struct socket *s); /* drops what was not sent */
static inline bool socket_is_open(const struct socket *s) { return s->fd >= 0; }
static inline size_t socket_unsent(const struct socket *s) { return s->out.n - s->sent; }

/* Reads into `in` what is there. False: the other end is gone. */
bool socket_receive(struct socket *s);
void socket_add(struct socket *s, struct wire_frame *f); /* to what goes out with the next socket_send */
/* False: the socket takes no more now. An end that is gone is found out by reading. */
bool socket_send(struct socket *s);

#endif
