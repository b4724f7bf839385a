/* SPDX-License-Identifier: Apache-2.0
 * The test tools' epoll loop, timers and sockets. */
#include "cli/load.h"
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/clock.h"

#define EVENTS_MAX 256

bool load_loop_init(struct load_loop *l, struct err *err)
{
    *l = (struct load_loop){ .epoll = epoll_create1(EPOLL_CLOEXEC) };
    list_init(&l->timers);
    return l->epoll >= 0 || err_sys(err, errno, "cannot make an event loop");
}

void load_loop_deinit(struct load_loop *l)
{
    if (l->epoll >= 0) close(l->epoll);
    l->epoll = -1;
}

static int wait_time(const struct load_loop *l, int max_ms)
{
    if (list_empty(&l->timers)) return max_ms;
    uint64_t now = clock_mono_ms(), at = list_entry(l->timers.next, struct load_timer, link)->at;
    if (at <= now) return 0;
    return at - now < (uint64_t)max_ms ? (int)(at - now) : max_ms;
}

void load_loop_turn(struct load_loop *l, int max_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(l->epoll, events, EVENTS_MAX, wait_time(l, max_ms));
    for (int i = 0; i < n; i++) {
        struct load_io *io = events[i].data.ptr;
        if (io->fd >= 0) io->on_event(io, events[i].events);
    }
    if (list_empty(&l->timers)) return;
    uint64_t now = clock_mono_ms();
    while (!list_empty(&l->timers)) {
        struct load_timer *t = list_entry(l->timers.next, struct load_timer, link);
        if (t->at > now) break;
        list_remove(&t->link);
        t->fn(t->arg);
    }
}

void load_timer_set(struct load_loop *l, struct load_timer *t, uint64_t ms)
{
    list_remove(&t->link);
    t->at = clock_mono_ms() + ms;
    struct list *before = l->timers.prev;
    while (before != &l->timers && list_entry(before, struct load_timer, link)->at > t->at) before = before->prev;
    list_insert_before(before->next, &t->link);
}

void load_timer_cancel(struct load_timer *t)
{
    list_remove(&t->link);
}

int load_signal_fd(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool load_io_open(struct load_io *io, struct load_loop *l, int fd, uint32_t events, load_event_fn *fn)
{
    *io = (struct load_io){ .fd = fd, .events = events, .on_event = fn, .loop = l };
    struct epoll_event e = { .events = events, .data.ptr = io };
    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

void load_io_want(struct load_io *io, uint32_t events)
{
    if (io->fd < 0 || io->events == events) return;
    struct epoll_event e = { .events = events, .data.ptr = io };
    if (epoll_ctl(io->loop->epoll, EPOLL_CTL_MOD, io->fd, &e) == 0) io->events = events;
}

void load_io_close(struct load_io *io, bool reset)
{
    if (io->fd < 0) return;
    struct linger hard = { .l_onoff = 1, .l_linger = 0 };
    if (reset) setsockopt(io->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    if (io->tls) {
        if (!reset && SSL_is_init_finished(io->tls)) SSL_shutdown(io->tls);
        SSL_free(io->tls);
        ERR_clear_error();
    }
    close(io->fd);
    io->tls = NULL;
    io->fd = -1;
}

static ssize_t tls_result(struct load_io *io, int rc)
{
    int why = SSL_get_error(io->tls, rc);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return LOAD_AGAIN;
    ERR_clear_error();
    return why == SSL_ERROR_ZERO_RETURN ? 0 : LOAD_BROKEN;
}

static ssize_t plain_result(ssize_t k)
{
    if (k >= 0) return k;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? LOAD_AGAIN : LOAD_BROKEN;
}

ssize_t load_io_read(struct load_io *io, void *p, size_t n)
{
    if (!io->tls) return plain_result(read(io->fd, p, n));
    int k = SSL_read(io->tls, p, n > INT_MAX ? INT_MAX : (int)n);
    return k > 0 ? k : tls_result(io, k);
}

ssize_t load_io_write(struct load_io *io, struct slice first, struct slice second)
{
    if (!io->tls) {
        struct iovec v[2] = { { (void *)(uintptr_t)first.p, first.n }, { (void *)(uintptr_t)second.p, second.n } };
        struct msghdr m = { .msg_iov = first.n ? v : v + 1, .msg_iovlen = first.n && second.n ? 2 : 1 };
        return plain_result(sendmsg(io->fd, &m, MSG_NOSIGNAL));
    }
    struct slice s = first.n ? first : second;
    int k = SSL_write(io->tls, s.p, s.n > INT_MAX ? INT_MAX : (int)s.n);
    return k > 0 ? k : tls_result(io, k);
}

bool load_io_pending(const struct load_io *io)
{
    return io->fd >= 0 && io->tls && SSL_pending(io->tls) > 0;
}

bool load_io_start_tls(struct load_io *io, struct ssl_ctx_st *ctx, bool server)
{
    io->tls = SSL_new(ctx);
    if (!io->tls) return false;
    SSL_set_mode(io->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (server) SSL_set_accept_state(io->tls);
    else SSL_set_connect_state(io->tls);
    return SSL_set_fd(io->tls, io->fd) == 1;
}

int load_io_handshake(struct load_io *io)
{
    int rc = SSL_do_handshake(io->tls);
    if (rc == 1) {
        load_io_want(io, EPOLLIN);
        return 1;
    }
    int why = SSL_get_error(io->tls, rc);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        ERR_clear_error();
        return LOAD_BROKEN;
    }
    load_io_want(io, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
    return LOAD_AGAIN;
}
