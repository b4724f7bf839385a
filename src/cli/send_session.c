/* SPDX-License-Identifier: Apache-2.0
 * The test client's connections: connecting, writing (as slowly as asked), reading answers, vanishing. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/send.h"

#define DEATH_SECONDS 5 /* of silence, then the server's kernel is asked whether the connection is still there */

static void on_event(struct load_io *io, uint32_t events);

static void touch(struct send_session *s)
{
    s->deadline = clock_mono_ms() + s->send->o.timeout * 1000;
}

void send_session_close(struct send_session *s, bool reset)
{
    load_io_close(&s->io, reset);
    load_timer_cancel(&s->timer);
    buf_clear(&s->out);
    buf_clear(&s->in);
    s->out_at = 0;
    s->text = slice_str(NULL);
    s->taken = 0;
    s->connection++;
    s->vanishing = s->quitting = s->pipelining = s->size = s->eight = s->starttls = false;
    s->reader = (struct reply_reader){ 0 };
    s->stage = SEND_IDLE;
}

void send_session_deinit(struct send_session *s)
{
    send_session_close(s, false);
    buf_deinit(&s->in);
    buf_deinit(&s->out);
}

static void over(struct send_session *s)
{
    send_session_close(s, false);
    s->stage = SEND_OVER;
    s->send->running--;
}

/* ---- vanishing */
static void vanish(struct send_session *s)
{
    if (s->send->abort == ABORT_SILENT) { /* until the server has had enough, or our own time is over */
        s->stage = SEND_SILENT;
        s->vanishing = false;
        load_io_want(&s->io, EPOLLIN);
        return;
    }
    send_session_close(s, s->send->abort == ABORT_RESET);
    send_dialog_settle(s, 0);
}

/* ---- writing */
static void on_slow_timer(void *arg)
{
    struct send_session *s = arg;
    if (s->io.fd >= 0) send_session_flush(s);
}

static void sent(struct send_session *s, size_t n)
{
    size_t commands = s->out.n - s->out_at, part = n < commands ? n : commands;
    s->out_at += part;
    s->text = slice_sub(s->text, n - part, s->text.n);
    touch(s);
}

void send_session_flush(struct send_session *s)
{
    if (s->stage == SEND_CONNECT || s->stage == SEND_HANDSHAKE || list_linked(&s->timer.link)) return;
    while (s->out_at < s->out.n || s->text.n) {
        struct slice commands = slice_of(s->out.p + s->out_at, s->out.n - s->out_at), text = s->text;
        uint64_t slow = s->send->o.slow;
        if (slow) {
            commands = slice_sub(commands, 0, 1);
            text = slice_sub(text, 0, commands.n ? 0 : 1);
        }
        ssize_t k = load_io_write(&s->io, commands, text);
        if (k == LOAD_AGAIN) {
            load_io_want(&s->io, EPOLLIN | EPOLLOUT);
            return;
        }
        if (k <= 0) break; /* the server's last words may be waiting: reading tells that it is gone */
        sent(s, (size_t)k);
        if (slow && (s->out_at < s->out.n || s->text.n)) {
            load_timer_set(&s->send->loop, &s->timer, slow);
            return;
        }
    }
    buf_clear(&s->out);
    s->out_at = 0;
    s->text = slice_str(NULL);
    load_io_want(&s->io, EPOLLIN);
    if (s->stage == SEND_DOT) s->sent_us = clock_mono_us();
    if (s->vanishing) vanish(s);
}

void send_session_say(struct send_session *s, enum send_stage await, struct slice line)
{
    send_report_show(s, "->", line);
    buf_add(&s->out, line);
    buf_add_str(&s->out, "\r\n");
    s->stage = await;
}

/* ---- the connection's end */
void send_session_lost(struct send_session *s, const char *why)
{
    struct send *c = s->send;
    bool silent = s->stage == SEND_SILENT, quitting = s->quitting;
    /* A server may close between two messages; that one was not begun yet and is taken to a new connection. */
    bool between = s->stage == SEND_MAIL && s->taken > 0 && !s->mail_done && !s->verdict;
    int verdict = s->stage >= SEND_MAIL ? s->verdict : 0;
    if (s->number && !silent && !between && !verdict) snprintf(c->last_error, sizeof c->last_error, "%s", why);
    send_session_close(s, false);
    if (quitting || !s->number) send_session_start(s);
    else if (between) send_session_open(s);
    else send_dialog_settle(s, verdict);
}

void send_session_timeout(struct send_session *s)
{
    if (s->io.fd >= 0) send_session_lost(s, "the server did not answer in time");
}

/* ---- reading */
static bool take_replies(struct send_session *s, struct slice *in)
{
    const char *why = "";
    uint64_t connection = s->connection;
    while (s->connection == connection && s->stage != SEND_HANDSHAKE) {
        enum reply_status status = reply_read(&s->reader, in, &why);
        if (status == REPLY_MORE) return true;
        if (status == REPLY_BAD) {
            send_session_lost(s, why);
            return false;
        }
        send_dialog_reply(s);
    }
    return false;
}

static void take_input(struct send_session *s, struct slice in)
{
    if (s->in.n) {
        buf_add(&s->in, in);
        in = buf_slice(&s->in);
    }
    if (!take_replies(s, &in)) { /* closed, or what follows is TLS */
        buf_clear(&s->in);
        return;
    }
    if (s->in.n) buf_consume(&s->in, s->in.n - in.n);
    else buf_add(&s->in, in);
}

static void read_some(struct send_session *s)
{
    uint64_t connection = s->connection;
    do {
        ssize_t k = load_io_read(&s->io, s->send->read_buf, LOAD_READ_SIZE);
        if (k == LOAD_AGAIN) return;
        if (k <= 0) {
            send_session_lost(s, k == 0 ? "the server closed the connection" : "the connection broke");
            return;
        }
        if (s->stage == SEND_SILENT) continue;
        touch(s);
        take_input(s, slice_of(s->send->read_buf, (size_t)k));
        if (s->connection == connection && (s->out.n || s->text.n)) send_session_flush(s);
    } while (s->connection == connection && load_io_pending(&s->io));
}

/* ---- connecting */
/* A server that is killed while it is being connected to may be gone without the client's end hearing of it: nobody would ever
 * speak, so the kernel is to ask whether somebody is there. A server that is only slow confirms it. */
static void notice_death(int fd)
{
    int one = 1, seconds = DEATH_SECONDS;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

static void connected(struct send_session *s)
{
    struct send *c = s->send;
    int one = 1;
    setsockopt(s->io.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    notice_death(s->io.fd);
    c->totals.connections++;
    s->stage = SEND_GREETING;
    load_io_want(&s->io, EPOLLIN);
    if (c->vanish == VANISH_CONNECT) {
        vanish(s);
        return;
    }
    if (!c->o.smtps) return;
    s->stage = SEND_HANDSHAKE;
    if (!load_io_start_tls(&s->io, c->tls, false)) send_session_lost(s, "cannot start TLS");
    else on_event(&s->io, 0);
}

static void failed_connect(struct send_session *s, int code)
{
    struct send *c = s->send;
    send_session_close(s, false);
    if (++s->address_at < c->endpoint.n) {
        send_session_open(s);
        return;
    }
    snprintf(c->last_error, sizeof c->last_error, "cannot connect: %s", strerror(code));
    s->address_at = 0;
    if (c->o.retry) {
        send_dialog_settle(s, 0);
        return;
    }
    c->totals.lost++; /* and nothing more is to be hoped for */
    s->number = 0;
    over(s);
}

void send_session_open(struct send_session *s)
{
    struct send *c = s->send;
    const struct sockaddr *to = (const struct sockaddr *)&c->endpoint.addr[s->address_at];
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    if (fd >= 0 && c->source.n) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    bool ok = fd >= 0 && (!c->source.n || bind(fd, (struct sockaddr *)&c->source.addr[0], c->source.len[0]) == 0) &&
              (connect(fd, to, c->endpoint.len[s->address_at]) == 0 || errno == EINPROGRESS);
    int code = errno;
    s->stage = SEND_CONNECT;
    touch(s);
    if (ok && load_io_open(&s->io, &c->loop, fd, EPOLLOUT, on_event)) return;
    s->io.fd = -1;
    if (fd >= 0) close(fd);
    failed_connect(s, code);
}

static void on_connect(struct send_session *s)
{
    int code = 0;
    socklen_t n = sizeof code;
    getsockopt(s->io.fd, SOL_SOCKET, SO_ERROR, &code, &n);
    if (code) failed_connect(s, code);
    else connected(s);
}

static void on_handshake(struct send_session *s)
{
    int rc = load_io_handshake(&s->io);
    if (rc == LOAD_BROKEN) send_session_lost(s, "the TLS handshake failed");
    if (rc != 1) return;
    touch(s);
    if (s->send->o.smtps) s->stage = SEND_GREETING;
    else send_dialog_begin(s);
    send_session_flush(s);
    if (s->io.fd >= 0 && load_io_pending(&s->io)) read_some(s);
}

static void on_event(struct load_io *io, uint32_t events)
{
    struct send_session *s = container_of(io, struct send_session, io);
    if (s->stage == SEND_CONNECT) on_connect(s);
    else if (s->stage == SEND_HANDSHAKE) on_handshake(s);
    else {
        uint64_t connection = s->connection;
        if (events & EPOLLOUT) send_session_flush(s);
        if (s->connection == connection && (events & ~(uint32_t)EPOLLOUT)) read_some(s);
    }
}

/* ---- taking a number */
static void begin(struct send_session *s)
{
    send_dialog_begin(s);
    send_session_flush(s);
}

static void on_start_timer(void *arg)
{
    struct send_session *s = arg;
    s->timer.fn = on_slow_timer;
    if (!s->number) send_session_start(s);
    else if (s->io.fd < 0) send_session_open(s);
    else begin(s);
}

static void wait_then_start(struct send_session *s, uint64_t ms)
{
    s->timer.fn = on_start_timer;
    load_timer_set(&s->send->loop, &s->timer, ms);
}

void send_session_start(struct send_session *s)
{
    struct send *c = s->send;
    s->timer.arg = s;
    s->timer.fn = on_slow_timer;
    if (s->number) { /* another try of the same */
        send_session_close(s, false);
        wait_then_start(s, 100);
        return;
    }
    if (c->loop.stop || c->next > c->o.messages) {
        if (s->io.fd < 0) over(s);
        else begin(s);
        return;
    }
    if (c->o.rate) {
        uint64_t now = clock_mono_us();
        if (c->next_at_us > now + 500) {
            wait_then_start(s, (c->next_at_us - now + 999) / 1000);
            s->stage = SEND_IDLE;
            touch(s);
            return;
        }
        if (c->next_at_us + 1000000 < now) c->next_at_us = now; /* what was missed is not made up for in a burst */
        c->next_at_us += 1000000 / c->o.rate;
    }
    s->number = c->next++;
    s->retry_until = 0;
    if (s->io.fd < 0) send_session_open(s);
    else begin(s);
}
