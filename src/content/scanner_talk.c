/* SPDX-License-Identifier: Apache-2.0
 * A connection to a scanner: addresses, and an exchange that sends and listens at once until an end in time that no slow byte moves. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "content/scanner_internal.h"

#define READ_AT_ONCE 16384
#define HELD_MAX (2u << 20) /* bytes that a reader leaves */

/* ---- addresses */

static bool parse_unix(struct scanner *s, const char *path, struct err *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&s->addresses[0].address;
    size_t n = strlen(path);
    if (path[0] != '/') return err_set(err, "scanner %s: %s: the path of a socket begins with /", s->c->name, s->c->address);
    if (n >= sizeof un->sun_path) return err_set(err, "scanner %s: %s: the path of a socket has at most 107 characters", s->c->name, s->c->address);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, n + 1);
    s->addresses[0].n = sizeof *un;
    s->address_n = 1;
    return true;
}

static void resolve(struct scanner *s, const char *host, const char *port)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *found = NULL;
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0) {
        struct buf b = { 0 };
        buf_addf(&b, "%s: %s (looked up when the process began; a reload tries again)", host, gai_strerror(rc));
        s->unresolved = mem_slicedup(buf_slice(&b));
        buf_deinit(&b);
        return;
    }
    for (const struct addrinfo *a = found; a && s->address_n < SCANNER_ADDRESSES_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof s->addresses[0].address) continue;
        memcpy(&s->addresses[s->address_n].address, a->ai_addr, a->ai_addrlen);
        s->addresses[s->address_n++].n = a->ai_addrlen;
    }
    freeaddrinfo(found);
}

bool scanner_address_parse(struct scanner *s, struct err *err)
{
    const char *text = s->c->address ? s->c->address : "";
    if (strncmp(text, "unix:", 5) == 0) return parse_unix(s, text + 5, err);
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    char port_text[8], host[256];
    struct slice name = slice_of(text, colon ? (size_t)(colon - text) : 0);
    if (!colon || !slice_to_u64(slice_str(colon + 1), 65535, &port) || !port || !name.n || name.n >= sizeof host)
        return err_set(err, "scanner %s: %s is neither unix:/path nor host:port", s->c->name, text);
    if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') name = slice_sub(name, 1, name.n - 1);
    snprintf(host, sizeof host, "%.*s", SLICE_ARG(name));
    snprintf(port_text, sizeof port_text, "%u", (unsigned)port);
    resolve(s, host, port_text);
    return true;
}

/* ---- connecting */

static int time_left(const struct ask *a)
{
    uint64_t now = clock_mono_ms(), left = now < a->until ? a->until - now : 0;
    return left > 1000000 ? 1000000 : (int)left;
}

/* 0, or the errno. A socket of the Unix kind whose queue is full says EAGAIN at once and tells nobody when there is room. */
static int connect_one(const struct ask *a, size_t i, int fd)
{
    const struct sockaddr *to = (const struct sockaddr *)&a->s->addresses[i].address;
    while (connect(fd, to, a->s->addresses[i].n) != 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN && time_left(a) > 0) {
            usleep(5000);
            continue;
        }
        if (errno == EAGAIN) return ETIMEDOUT;
        if (errno != EINPROGRESS) return errno;
        struct pollfd p = { .fd = fd, .events = POLLOUT };
        int n = poll(&p, 1, time_left(a));
        while (n < 0 && errno == EINTR) n = poll(&p, 1, time_left(a));
        if (n <= 0) return n == 0 ? ETIMEDOUT : errno;
        int code = 0;
        socklen_t size = sizeof code;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno;
    }
    return 0;
}

bool talk_open(struct talk *t, struct ask *a)
{
    const char *address = a->s->c->address;
    int code = 0;
    *t = (struct talk){ .ask = a, .fd = -1, .in = { .max = HELD_MAX } };
    if (!a->s->address_n)
        return scanner_fail(a, SCANNER_DOWN, "no address for %s", a->s->unresolved ? a->s->unresolved : address);
    for (size_t i = 0; i < a->s->address_n && t->fd < 0; i++) {
        int fd = socket(((const struct sockaddr *)&a->s->addresses[i].address)->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        code = fd < 0 ? errno : connect_one(a, i, fd);
        if (code == 0) t->fd = fd;
        else if (fd >= 0) close(fd);
    }
    if (t->fd >= 0) return true;
    if (code == ETIMEDOUT && time_left(a) == 0) return scanner_fail(a, SCANNER_TIMEOUT, "no connection to %s in time", address);
    return scanner_fail(a, SCANNER_DOWN, "cannot connect to %s: %s", address, strerror(code));
}

void talk_close(struct talk *t)
{
    if (t->fd >= 0) close(t->fd);
    t->fd = -1;
    buf_deinit(&t->in);
    free(t->out.v);
    t->out.v = NULL;
}

/* ---- the exchange */

void talk_add(struct talk *t, struct slice s)
{
    if (!s.n) return;
    if (t->out.n == t->out.room) {
        t->out.room = t->out.room ? t->out.room * 2 : 16;
        t->out.v = mem_grow(t->out.v, t->out.room, sizeof *t->out.v);
    }
    t->out.v[t->out.n++] = (struct iovec){ .iov_base = (void *)(uintptr_t)s.p, .iov_len = s.n };
}

void talk_add_copy(struct talk *t, struct slice s)
{
    talk_add(t, arena_slice(t->ask->arena, s));
}

/* Takes n sent bytes off what is queued from *at on. */
static void take_sent(struct talk *t, size_t *at, size_t n)
{
    while (n) {
        struct iovec *v = &t->out.v[*at];
        size_t k = n < v->iov_len ? n : v->iov_len;
        v->iov_base = (char *)v->iov_base + k;
        v->iov_len -= k;
        n -= k;
        if (!v->iov_len) ++*at;
    }
}

/* One that does not listen any more may have said why: nothing is sent on, and its answer is waited for. */
static void send_some(struct talk *t, size_t *at, bool last)
{
    size_t n = t->out.n - *at;
    struct msghdr m = { .msg_iov = t->out.v + *at, .msg_iovlen = n > 64 ? 64 : n };
    ssize_t k = sendmsg(t->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (k < 0) *at = t->out.n;
    else take_sent(t, at, (size_t)k);
    if (*at == t->out.n && k >= 0 && last) (void)shutdown(t->fd, SHUT_WR);
}

/* 1: bytes came; 0: nothing now; -1: nothing more comes; -2: too much. */
static int receive(struct talk *t)
{
    if (t->heard >= SCANNER_SAID_MAX + 2 * t->ask->m->bytes.n) return -2; /* ICAP may bring the message back */
    char *to = buf_reserve(&t->in, READ_AT_ONCE);
    if (!to) return -2;
    ssize_t k = recv(t->fd, to, READ_AT_ONCE, MSG_DONTWAIT);
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (k <= 0) return -1;
    t->in.n += (size_t)k;
    t->heard += (size_t)k;
    return 1;
}

static bool fail_end(const struct talk *t, bool some)
{
    return scanner_fail(t->ask, SCANNER_DOWN, some ? "%s closed the connection in the middle of its answer" : "%s closed the connection without an answer",
                        t->ask->s->c->address);
}

/* 1: the reader is done, -1: failed, 0: go on. */
static int listen_once(struct talk *t, talk_reader *reader, void *arg, const char *const *why, bool *some)
{
    int came = receive(t);
    if (came == 0) return 0;
    if (came == -2) {
        (void)scanner_fail(t->ask, SCANNER_NONSENSE, "%s says more than an answer can have", t->ask->s->c->address);
        return -1;
    }
    *some = *some || came > 0;
    enum talk_step step = reader(arg, &t->in, came < 0);
    if (step == TALK_DONE) return 1;
    if (step == TALK_BAD) (void)scanner_fail(t->ask, SCANNER_NONSENSE, "%s makes no sense: %s", t->ask->s->c->address, *why ? *why : "its answer is none");
    else if (came < 0) (void)fail_end(t, *some);
    else return 0;
    return -1;
}

bool talk_exchange(struct talk *t, bool last, talk_reader *reader, void *arg, const char *const *why)
{
    size_t at = 0;
    bool some = false;
    int done = 0;
    if (t->cut || t->in.n) return scanner_fail(t->ask, SCANNER_NONSENSE, "%s answers what it was not asked", t->ask->s->c->address);
    if (!t->out.n && last) (void)shutdown(t->fd, SHUT_WR);
    while (done == 0) {
        struct pollfd p = { .fd = t->fd, .events = (short)(POLLIN | (at < t->out.n ? POLLOUT : 0)) };
        int n = poll(&p, 1, time_left(t->ask));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return scanner_fail(t->ask, SCANNER_DOWN, "%s: %s", t->ask->s->c->address, strerror(errno));
        if (n == 0 || time_left(t->ask) == 0) {
            t->out.n = 0;
            return scanner_fail(t->ask, SCANNER_TIMEOUT, some ? "%s did not come to an end with its answer in time" : "no answer from %s in time",
                                t->ask->s->c->address);
        }
        if (p.revents & (POLLIN | POLLHUP | POLLERR)) done = listen_once(t, reader, arg, why, &some);
        if (done == 0 && at < t->out.n && (p.revents & POLLOUT)) send_some(t, &at, last);
    }
    t->cut = at < t->out.n;
    t->out.n = 0;
    return done > 0;
}

void talk_say(struct talk *t, struct slice s)
{
    (void)send(t->fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}
