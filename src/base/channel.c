/* SPDX-License-Identifier: Apache-2.0
 * Framed messages over a socketpair. A frame is a head (bytes of text, and whether a descriptor comes with it) and JSON
 * text. A descriptor travels with the first byte of its frame, so descriptors arrive in the order of the frames that
 * announce them, and never after the last byte of their own. */
#include "base/channel.h"
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <fcntl.h>
#include "base/buf.h"
#include "base/channel_frame.h"
#include "base/list.h"
#include "base/log.h"

#define OUT_MAX (64u << 20) /* a peer that does not read for so long is as good as dead */
#define FDS_MAX 32          /* descriptors that came and whose frame is not complete yet */
#define READ_SIZE 65536

struct frame_out {
    struct list node;
    struct buf bytes;
    size_t done;
    int fd; /* -1: none, or sent */
};

struct channel {
    struct event *readable, *writable, *ending;
    int fd;
    struct buf in;
    int fds[FDS_MAX];
    size_t fd_n;
    struct list out;
    size_t out_bytes;
    channel_message_cb *on_message;
    channel_end_cb *on_end;
    void *arg;
    bool busy, ended, freed; /* busy: within a callback, so that channel_free only marks */
};

bool channel_pair(int fds[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0) return true;
    return err_sys(err, errno, "socketpair");
}

static void frame_free(struct channel *c, struct frame_out *f)
{
    list_remove(&f->node);
    c->out_bytes -= f->bytes.n;
    if (f->fd >= 0) close(f->fd);
    buf_wipe(&f->bytes); /* it may have held a password */
    free(f);
}

static void destroy(struct channel *c)
{
    list_each_safe(it, &c->out) frame_free(c, list_entry(it, struct frame_out, node));
    while (c->fd_n) close(c->fds[--c->fd_n]);
    event_free(c->readable);
    event_free(c->writable);
    event_free(c->ending);
    close(c->fd);
    buf_wipe(&c->in);
    free(c);
}

/* The end is told from the loop, whatever found it. */
static void end(struct channel *c)
{
    if (c->ended) return;
    c->ended = true;
    event_del(c->readable);
    event_del(c->writable);
    event_active(c->ending, EV_TIMEOUT, 0);
}

static void on_ending(evutil_socket_t fd, short what, void *arg)
{
    struct channel *c = arg;
    c->on_end(c->arg);
}

/* false: the socket is full or broken. */
static bool send_frame(struct channel *c, struct frame_out *f)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec io = { f->bytes.p + f->done, f->bytes.n - f->done };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
    if (f->fd >= 0) {
        m.msg_control = control.room;
        m.msg_controllen = sizeof control.room;
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        *h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(h), &f->fd, sizeof(int));
    }
    ssize_t k;
    do k = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    while (k < 0 && errno == EINTR);
    if (k < 0) {
        /* ETOOMANYREFS: descriptors wait unread at the other side; tried again when it has read */
        if (errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS) event_add(c->writable, NULL);
        else end(c);
        return false;
    }
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
    f->done += (size_t)k;
    if (f->done == f->bytes.n) frame_free(c, f);
    return true;
}

static void send_pending(struct channel *c)
{
    while (!c->ended && !list_empty(&c->out))
        if (!send_frame(c, list_entry(c->out.next, struct frame_out, node))) return;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    send_pending(arg);
}

void channel_send(struct channel *c, const json_t *m, int fd)
{
    if (c->ended) return;
    size_t n = json_dumpb(m, NULL, 0, JSON_COMPACT);
    if (!n || n > CHANNEL_FRAME_MAX || c->out_bytes + n > OUT_MAX) {
        log_event(LOG_ERROR, "channel-overflow", LOG_NUM("bytes", n), LOG_NUM("waiting", c->out_bytes));
        end(c);
        return;
    }
    struct frame_out *f = mem_new(struct frame_out);
    struct frame_head head = { (uint32_t)n, fd >= 0 };
    f->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    buf_add(&f->bytes, slice_of(&head, sizeof head));
    json_dumpb(m, buf_reserve(&f->bytes, n), n, JSON_COMPACT);
    f->bytes.n += n;
    c->out_bytes += f->bytes.n;
    list_push_back(&c->out, &f->node);
    if (fd >= 0 && f->fd < 0) { /* out of descriptors: the other side would wait for one in vain */
        log_event(LOG_ERROR, "channel-descriptors");
        end(c);
        return;
    }
    if (c->out.next == &f->node) send_pending(c);
}

/* Keeps the descriptors that came; false when there are more than any of us sends. */
static bool keep_fds(struct channel *c, struct msghdr *m)
{
    bool fine = !(m->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (c->fd_n < FDS_MAX) {
                c->fds[c->fd_n++] = fd;
            } else {
                close(fd);
                fine = false;
            }
        }
    }
    return fine;
}

static int take_fd(struct channel *c)
{
    int fd = c->fds[0];
    memmove(c->fds, c->fds + 1, --c->fd_n * sizeof(int));
    return fd;
}

/* Hands over one frame, if a whole one is there. false: not yet, or the channel is over. */
static bool deliver_frame(struct channel *c)
{
    struct frame_head head;
    if (c->in.n < sizeof head) return false;
    memcpy(&head, c->in.p, sizeof head);
    if (!head.n || head.n > CHANNEL_FRAME_MAX || head.has_fd > 1) goto bad;
    if (c->in.n < sizeof head + head.n) return false;
    if (head.has_fd && !c->fd_n) goto bad;
    json_t *m = json_loadb(c->in.p + sizeof head, head.n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(m)) {
        json_decref(m);
        goto bad;
    }
    buf_consume(&c->in, sizeof head + head.n);
    c->busy = true;
    c->on_message(c->arg, m, head.has_fd ? take_fd(c) : -1);
    c->busy = false;
    json_decref(m);
    return !c->freed && !c->ended;
bad:
    log_event(LOG_ERROR, "channel-broken");
    end(c);
    return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct channel *c = arg;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec io = { buf_reserve(&c->in, READ_SIZE), READ_SIZE };
    struct msghdr m = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room
    };
    ssize_t k = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (k <= 0 || !keep_fds(c, &m)) {
        end(c);
        return;
    }
    c->in.n += (size_t)k;
    while (deliver_frame(c)) continue;
    if (c->freed) destroy(c);
    else if (!c->in.n) buf_wipe(&c->in);
}

struct channel *channel_new(struct event_base *base, int fd, channel_message_cb *on_message, channel_end_cb *on_end,
                            void *arg)
{
    struct channel *c = mem_new(struct channel);
    c->fd = fd;
    c->on_message = on_message;
    c->on_end = on_end;
    c->arg = arg;
    list_init(&c->out);
    c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(base, fd, EV_WRITE, on_writable, c);
    c->ending = evtimer_new(base, on_ending, c);
    event_add(c->readable, NULL);
    return c;
}

void channel_free(struct channel **cp)
{
    struct channel *c = *cp;
    *cp = NULL;
    if (!c) return;
    c->ended = true;
    if (c->busy) c->freed = true;
    else destroy(c);
}
