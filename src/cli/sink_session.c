/* SPDX-License-Identifier: Apache-2.0
 * The test server's sessions: reading in one shared buffer, answering once a read, pausing and closing. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/sink.h"

#define OUT_MAX (256 * 1024) /* answers a client may leave unread before we stop reading */

static void on_timer(void *arg);

static void buffers_deinit(struct sink_session *s)
{
    struct buf *all[] = { &s->line, &s->held, &s->out, &s->helo, &s->sender, &s->rcpts, &s->text };
    for (size_t i = 0; i < countof(all); i++) buf_deinit(all[i]);
}

void sink_session_free(struct sink_session *s)
{
    struct sink *k = s->sink;
    if ((s->mail || s->in_text) && !s->dropped) k->totals.broken++;
    load_timer_cancel(&s->timer);
    load_io_close(&s->io, s->reset);
    list_remove(&s->link);
    k->session_n--;
    buffers_deinit(s);
    free(s);
}

void sink_session_flush(struct sink_session *s)
{
    if (s->sink->ledger_text.n && !sink_record_flush(s->sink)) return;
    while (!s->paused && s->out_at < s->out.n && s->io.fd >= 0) {
        struct slice left = slice_of(s->out.p + s->out_at, s->out.n - s->out_at);
        ssize_t k = load_io_write(&s->io, left, slice_str(NULL));
        if (k == LOAD_AGAIN) return;
        if (k <= 0) {
            s->dropped = s->reset = s->closing = true; /* nobody reads any more */
            s->sink->totals.broken += s->mail;
            s->out_at = s->out.n;
            return;
        }
        s->out_at += (size_t)k;
    }
    if (s->out_at < s->out.n) return;
    s->out_at = 0;
    buf_clear(&s->out);
}

void sink_session_pause(struct sink_session *s, uint64_t ms)
{
    sink_session_flush(s);
    s->paused = true;
    load_timer_set(&s->sink->loop, &s->timer, ms);
}

bool sink_session_tls(struct sink_session *s)
{
    sink_session_flush(s);
    s->handshaking = s->out.n == 0 && load_io_start_tls(&s->io, s->sink->tls, true);
    return s->handshaking;
}

/* After input was taken: sends answers, and waits for what comes next. Frees the session when it is over. */
static void settle(struct sink_session *s)
{
    sink_session_flush(s);
    bool unsent = s->out_at < s->out.n;
    if (s->closing && !s->paused && (!unsent || s->dropped)) {
        sink_session_free(s);
        return;
    }
    uint32_t want = 0;
    bool waiting = s->paused || list_linked(&s->timer.link);
    if (unsent && !s->paused) want |= EPOLLOUT;
    if (!s->closing && !waiting && s->out.n - s->out_at < OUT_MAX) want |= EPOLLIN;
    load_io_want(&s->io, want);
}

static void take(struct sink_session *s, const char *p, size_t n)
{
    size_t used = sink_take(s, p, n);
    if (used < n && s->paused) buf_add(&s->held, slice_of(p + used, n - used));
}

/* False when the session is gone. */
static bool read_once(struct sink_session *s)
{
    struct sink *k = s->sink;
    size_t room = LOAD_READ_SIZE;
    if (k->slow_read) room = k->slow_read / 10 ? (size_t)(k->slow_read / 10) : 1;
    ssize_t n = load_io_read(&s->io, k->read_buf, room < LOAD_READ_SIZE ? room : LOAD_READ_SIZE);
    if (n == LOAD_AGAIN) return true;
    if (n <= 0) {
        sink_session_free(s);
        return false;
    }
    s->deadline = clock_mono_ms() + k->timeout_ms;
    take(s, k->read_buf, (size_t)n);
    if (k->slow_read && !s->paused) load_timer_set(&k->loop, &s->timer, 100);
    return true;
}

static void read_all(struct sink_session *s)
{
    do {
        if (!read_once(s)) return;
    } while (load_io_pending(&s->io) && !s->closing && !s->handshaking && !list_linked(&s->timer.link));
    settle(s);
}

static void on_timer(void *arg)
{
    struct sink_session *s = arg;
    if (s->paused) {
        s->paused = false;
        struct buf held = s->held;
        s->held = (struct buf){ 0 };
        take(s, held.p, held.n);
        buf_deinit(&held);
    }
    if (!s->closing && !s->paused && load_io_pending(&s->io)) read_all(s);
    else settle(s);
}

static void on_event(struct load_io *io, uint32_t events)
{
    struct sink_session *s = container_of(io, struct sink_session, io);
    if (s->handshaking) {
        int rc = load_io_handshake(io);
        if (rc == LOAD_BROKEN) sink_session_free(s);
        if (rc != 1) return;
        s->handshaking = false;
    } else if (!(io->events & EPOLLIN) && (events & (EPOLLERR | EPOLLHUP))) {
        sink_session_free(s); /* gone in both directions while we did not want to read */
        return;
    } else if (events & EPOLLOUT) {
        sink_session_flush(s);
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) read_all(s);
    else settle(s);
}

void sink_session_accept(struct sink *k, int fd)
{
    static const struct slice none = { NULL, 0 };
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    k->totals.connections++;
    if (k->session_n >= k->session_max) {
        static const char full[] = "421 4.3.2 too many sessions\r\n";
        k->totals.refused++;
        if (write(fd, full, sizeof full - 1) < 0) { /* it sees the end instead */ }
        close(fd);
        return;
    }
    struct sink_session *s = mem_new(struct sink_session);
    s->sink = k;
    s->timer.fn = on_timer;
    s->timer.arg = s;
    s->deadline = clock_mono_ms() + k->timeout_ms;
    if (!load_io_open(&s->io, &k->loop, fd, EPOLLIN, on_event)) {
        close(fd);
        free(s);
        return;
    }
    list_push_back(&k->sessions, &s->link);
    k->session_n++;
    sink_answer(s, SINK_CONNECT, none, SLICE("220 sink ESMTP postern sink, a test server\r\n"));
    settle(s);
}
