/* SPDX-License-Identifier: Apache-2.0
 * Streams: their life, reading, deadlines.
 *
 * A stream may be freed by its owner within any callback: `depth` counts the callbacks under way, and the memory goes
 * when the last of them returns. Reading goes through one buffer of the loop; what the owner does not take is copied aside. */
#include "net/private.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/clock.h"

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct stream_loop *l = arg;
    struct list *node;
    while ((node = list_pop_front(&l->dirty))) {
        struct stream *s = list_entry(node, struct stream, dirty);
        stream_enter(s);
        stream_flush(s);
        stream_leave(s);
    }
}

struct stream_loop *stream_loop_new(struct event_base *base)
{
    struct stream_loop *l = mem_new(struct stream_loop);
    l->base = base;
    l->flush = event_new(base, -1, 0, on_flush, l);
    assert(l->flush);
    list_init(&l->dirty);
    return l;
}

void stream_loop_free(struct stream_loop *l)
{
    assert(list_empty(&l->dirty));
    event_free(l->flush);
    free(l->scratch);
    free(l);
}

void stream_schedule_flush(struct stream *s)
{
    if (list_linked(&s->dirty)) return;
    if (list_empty(&s->loop->dirty)) event_active(s->loop->flush, EV_TIMEOUT, 0);
    list_push_back(&s->loop->dirty, &s->dirty);
}

/* ---- the end */

static void release(struct stream *s)
{
    event_del(&s->read_ev);
    event_del(&s->write_ev);
    event_del(&s->timer);
    list_remove(&s->dirty);
    if (s->phase == STREAM_LINGER) s->loop->lingering--;
    stream_tls_free(s);
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
    s->freed = true;
    stream_drop_output(s);
    buf_wipe(&s->kept);
}

void stream_leave(struct stream *s)
{
    assert(s->depth > 0);
    if (--s->depth == 0 && s->freed) free(s);
}

void stream_free(struct stream **sp)
{
    struct stream *s = *sp;
    *sp = NULL;
    if (!s) return;
    assert(!s->freed);
    release(s);
    if (s->depth == 0) free(s);
}

void stream_fail(struct stream *s, enum stream_end why, const char *what, int code)
{
    struct err err = { 0 };
    if (s->ended || s->freed) return;
    s->ended = true;
    event_del(&s->read_ev);
    event_del(&s->write_ev);
    event_del(&s->timer);
    if (code) err_sys(&err, code, "%s", what);
    else err_set(&err, "%s", what);
    if (s->phase == STREAM_LINGER) {
        release(s);
        return;
    }
    stream_enter(s);
    s->ops->on_end(s->owner, why, &err);
    stream_leave(s);
}

/* ---- deadlines: one timer, moved only when it fires or must fire earlier */

static void arm_timer(struct stream *s, uint64_t now)
{
    uint64_t ms = s->deadline > now ? s->deadline - now : 0;
    struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    event_add(&s->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    uint64_t now = clock_mono_ms();
    if (!s->deadline) return;
    if (now < s->deadline) {
        arm_timer(s, now);
        return;
    }
    s->deadline = 0;
    stream_enter(s);
    if (s->phase == STREAM_OPEN) /* not marked as ended: the owner may say why it closes */
        s->ops->on_end(s->owner, STREAM_TIMEOUT, &(struct err){ .text = "timed out" });
    else
        stream_fail(s, STREAM_TIMEOUT, "timed out", 0);
    stream_leave(s);
}

void stream_set_deadline(struct stream *s, uint64_t ms)
{
    if (s->ended || s->freed) return;
    if (!ms) {
        s->deadline = 0;
        return;
    }
    uint64_t now = clock_mono_ms(), old = s->deadline;
    s->deadline = now + ms;
    if (!event_pending(&s->timer, EV_TIMEOUT, NULL) || !old || s->deadline < old) arm_timer(s, now);
}

/* ---- reading */

/* What the owner leaves is kept; `mine` is the buffer that holds `in`, or NULL when that is the loop's. */
static void offer(struct stream *s, struct slice in, struct buf *mine)
{
    size_t taken = s->ops->on_input(s->owner, in);
    bool over = s->freed || s->ended || s->phase != STREAM_OPEN; /* TLS began: nothing said before counts (RFC 3207 §4.2) */
    if (s->secret) mem_wipe((char *)in.p, over ? in.n : taken);
    s->secret = false;
    if (over) {
        if (mine) buf_deinit(mine);
        return;
    }
    assert(taken <= in.n);
    if (taken == in.n && s->read_size < STREAM_READ_MAX && in.n >= s->read_size) s->read_size *= 2;
    else if (taken < in.n) s->read_size = STREAM_READ_MIN;
    if (taken == in.n) {
        if (mine) buf_deinit(mine);
    } else if (mine) {
        buf_consume(mine, taken);
        s->kept = *mine;
    } else
        buf_add(&s->kept, slice_sub(in, taken, in.n));
}

static void offer_kept(struct stream *s)
{
    struct buf mine = s->kept;
    s->kept = (struct buf){ 0 };
    offer(s, buf_slice(&mine), &mine);
}

/* Bytes beyond in_max that the owner did not take while it wants to read are more than it will ever take. */
static bool too_much_kept(const struct stream *s)
{
    return !s->paused && s->kept.n >= s->in_max;
}

static ssize_t read_some(struct stream *s, char *to, size_t room)
{
    return s->ssl ? stream_tls_read(s, to, room) : recv(s->fd, to, room, 0);
}

static void read_input(struct stream *s)
{
    struct stream_loop *l = s->loop;
    size_t kept = s->kept.n, room = s->read_size;
    if (l->scratch_n < kept + room) {
        l->scratch_n = kept + STREAM_READ_MAX;
        l->scratch = mem_grow(l->scratch, l->scratch_n, 1);
    }
    ssize_t k = read_some(s, l->scratch + kept, room);
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (k <= 0) {
        if (k == 0) stream_fail(s, STREAM_EOF, "the other side closed the connection", 0);
        else stream_fail(s, STREAM_ERROR, "the connection broke", errno);
        return;
    }
    if (kept) {
        memcpy(l->scratch, s->kept.p, kept);
        buf_wipe(&s->kept);
    }
    offer(s, slice_of(l->scratch, kept + (size_t)k), NULL);
    if (!s->freed && !s->ended && too_much_kept(s)) stream_fail(s, STREAM_ERROR, "too much unexpected input", 0);
}

/* After our last reply: throw away what still comes until the peer closes, so that no reset overtakes the reply. */
static void read_linger(struct stream *s)
{
    char waste[16384];
    ssize_t k = read_some(s, waste, sizeof waste);
    if (k == 0 || (k < 0 && errno != EAGAIN && errno != EINTR)) release(s);
}

/* Asked again after each callback, in which the owner may have closed the stream or begun TLS. */
static bool wants_input(const struct stream *s)
{
    return !s->freed && !s->ended && !s->paused && s->phase == STREAM_OPEN;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    stream_enter(s);
    if (s->phase == STREAM_HANDSHAKE)
        stream_handshake(s);
    else if (s->phase == STREAM_LINGER)
        read_linger(s);
    else if (s->paused)
        event_del(&s->read_ev); /* asked for again by stream_resume */
    else {
        if (s->write_wants_read) {
            s->write_wants_read = false;
            stream_flush(s);
        }
        bool again = s->must_offer;
        s->must_offer = false;
        if (wants_input(s) && again && s->kept.n) offer_kept(s);
        if (wants_input(s) && (what & EV_READ)) read_input(s);
        /* TLS may hold decrypted bytes that no event will tell of. */
        while (wants_input(s) && s->ssl && stream_tls_pending(s)) read_input(s);
    }
    stream_leave(s);
}

void stream_wipe_input(struct stream *s)
{
    s->secret = true;
}

void stream_pause(struct stream *s)
{
    s->paused = true; /* the event stays until something comes: most pauses end before that */
}

void stream_resume(struct stream *s)
{
    if (!s->paused || s->ended || s->freed) return;
    s->paused = false;
    if (s->phase != STREAM_OPEN) return;
    event_add(&s->read_ev, NULL);
    if (s->kept.n || (s->ssl && stream_tls_pending(s))) {
        s->must_offer = s->kept.n > 0;
        event_active(&s->read_ev, s->ssl ? EV_READ : EV_TIMEOUT, 0);
    }
}

/* ---- beginning */

void stream_opened(struct stream *s)
{
    s->phase = STREAM_OPEN;
    event_del(&s->write_ev);
    if (!s->paused) event_add(&s->read_ev, NULL);
    if (s->out || s->wait_drain) stream_schedule_flush(s);
    if (s->ops->on_ready) s->ops->on_ready(s->owner);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    stream_enter(s);
    if (s->phase == STREAM_CONNECTING) {
        int code = 0;
        socklen_t n = sizeof code;
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &n);
        if (code) stream_fail(s, STREAM_ERROR, "cannot connect", code);
        else stream_opened(s);
    } else if (s->phase == STREAM_HANDSHAKE)
        stream_handshake(s);
    else {
        event_del(&s->write_ev);
        if (s->read_wants_write) {
            s->read_wants_write = false;
            event_active(&s->read_ev, EV_READ, 0);
        }
        stream_flush(s);
    }
    stream_leave(s);
}

struct stream *stream_new(struct stream_loop *l, int fd, size_t in_max, const struct stream_ops *ops, void *owner)
{
    struct stream *s = mem_new(struct stream);
    int one = 1;
    s->loop = l;
    s->fd = fd;
    s->in_max = in_max;
    s->ops = ops;
    s->owner = owner;
    s->out_tail = &s->out;
    s->read_size = STREAM_READ_MIN;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    event_assign(&s->read_ev, l->base, fd, EV_READ | EV_PERSIST, on_readable, s);
    event_assign(&s->write_ev, l->base, fd, EV_WRITE | EV_PERSIST, on_writable, s);
    event_assign(&s->timer, l->base, -1, 0, on_timer, s);
    return s;
}

struct stream *stream_accept(struct stream_loop *l, int fd, size_t in_max, const struct stream_ops *ops, void *owner)
{
    struct stream *s = stream_new(l, fd, in_max, ops, owner);
    s->phase = STREAM_OPEN;
    event_add(&s->read_ev, NULL);
    return s;
}

/* ---- closing with everything sent */

static const struct stream_ops no_owner = { 0 };

void stream_linger(struct stream *s)
{
    int unread = 0;
    if (!s->linger_ms && (ioctl(s->fd, FIONREAD, &unread) != 0 || unread == 0)) {
        release(s);
        return;
    }
    if (s->ssl) stream_tls_shutdown(s);
    shutdown(s->fd, SHUT_WR);
    event_add(&s->read_ev, NULL);
}

void stream_close(struct stream **sp, uint32_t linger_ms)
{
    struct stream *s = *sp;
    *sp = NULL;
    if (!s) return;
    if (s->ended || s->phase == STREAM_CONNECTING || s->phase == STREAM_HANDSHAKE) {
        stream_free(&s);
        return;
    }
    s->ops = &no_owner;
    s->owner = NULL;
    s->phase = STREAM_LINGER;
    s->linger_ms = linger_ms;
    s->loop->lingering++;
    buf_wipe(&s->kept);
    stream_set_deadline(s, linger_ms ? linger_ms : 10000);
    stream_enter(s);
    stream_flush(s); /* goes on to stream_linger when all is sent */
    if (!s->freed && s->loop->lingering > STREAM_LINGER_MAX) release(s);
    stream_leave(s);
}

static bool named(int rc, const struct sockaddr_storage *ss, struct ip *ip, uint16_t *port)
{
    return rc == 0 && ip_from_sockaddr((const struct sockaddr *)ss, ip, port);
}

bool stream_peer(const struct stream *s, struct ip *ip, uint16_t *port)
{
    struct sockaddr_storage ss;
    socklen_t n = sizeof ss;
    return named(getpeername(s->fd, (struct sockaddr *)&ss, &n), &ss, ip, port);
}

bool stream_local(const struct stream *s, struct ip *ip, uint16_t *port)
{
    struct sockaddr_storage ss;
    socklen_t n = sizeof ss;
    return named(getsockname(s->fd, (struct sockaddr *)&ss, &n), &ss, ip, port);
}
