/* SPDX-License-Identifier: Apache-2.0
 * What the test client and the test server share: a table of options that is also their help, a plain epoll loop with
 * timers, and sockets with or without TLS. */
#ifndef POSTERN_CLI_LOAD_H
#define POSTERN_CLI_LOAD_H
#include <sys/socket.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"

struct ssl_st;
struct ssl_ctx_st;

#define LOAD_DEFAULT_ENDPOINT "127.0.0.1:2525"
#define LOAD_LIST_MAX 64
#define LOAD_READ_SIZE (256 * 1024)

/* ---- options */
struct load_list {
    const char *items[LOAD_LIST_MAX];
    size_t n;
};

enum load_kind { LOAD_HEADING, LOAD_FLAG, LOAD_TEXT, LOAD_NUMBER, LOAD_SIZE, LOAD_LIST };

/* At `offset` of the caller's structure is a bool, const char *, uint64_t (both number kinds) or struct load_list; numbers are
 * checked against min..max. A number may end in "/s"; a size in K, M or G (powers of 1024). A heading has only `help`. */
struct load_option {
    const char *name; /* "--size" */
    enum load_kind kind;
    size_t offset;
    const char *value; /* what the help calls the value */
    const char *help;  /* further lines begin after '\n' */
    uint64_t min, max;
};

/* Fills the structure at `to`. *rest gets the one word that is no option, or stays as it was. False: the text of *err is
 * for the user. "--" ends the options. */
bool load_options_parse(const struct load_option *options, size_t n, void *to, int argc, char **argv,
                        const char **rest, struct err *err) MUST_CHECK;
void load_options_help(const struct load_option *options, size_t n, const char *intro);
/* argv holds --help or -h. */
bool load_wants_help(int argc, char **argv);

/* ---- endpoints */
#define LOAD_ADDRESSES_MAX 8
struct load_endpoint {
    struct sockaddr_storage addr[LOAD_ADDRESSES_MAX];
    socklen_t len[LOAD_ADDRESSES_MAX];
    size_t n; /* at least 1 */
};
/* "HOST:PORT", "HOST", "[IPv6]:PORT"; asks the system's resolver, so it may block. */
bool load_endpoint_parse(const char *text, const char *default_port, bool passive, struct load_endpoint *out,
                         struct err *err) MUST_CHECK;
uint64_t load_raise_file_limit(void); /* of open files, as far as the hard limit; returns it */

/* ---- loop */
struct load_timer {
    struct list link;
    uint64_t at; /* monotonic ms */
    void (*fn)(void *arg);
    void *arg;
};

struct load_io;
typedef void load_event_fn(struct load_io *io, uint32_t events); /* EPOLLIN ... */

struct load_loop {
    int epoll;
    struct list timers; /* by time; most have the same delay, so adding one at the end is quick */
    bool stop;
};

bool load_loop_init(struct load_loop *l, struct err *err) MUST_CHECK;
void load_loop_deinit(struct load_loop *l);
/* One turn: waits for events or the next timer, at most max_ms; calls the handlers, then the timers that are due.
 * A handler may close its own io only. */
void load_loop_turn(struct load_loop *l, int max_ms);
void load_timer_set(struct load_loop *l, struct load_timer *t, uint64_t ms);
void load_timer_cancel(struct load_timer *t);
/* A descriptor that turns readable on SIGINT and SIGTERM, which stop ending the process; -1 on failure. */
int load_signal_fd(void);

/* ---- sockets */
struct load_io {
    int fd; /* -1: closed */
    uint32_t events;
    load_event_fn *on_event;
    struct ssl_st *tls;
    struct load_loop *loop;
};

enum load_result { LOAD_AGAIN = -1, LOAD_BROKEN = -2 }; /* besides counts; 0 is the end of the stream */

bool load_io_open(struct load_io *io, struct load_loop *l, int fd, uint32_t events, load_event_fn *fn) MUST_CHECK;
void load_io_want(struct load_io *io, uint32_t events);
void load_io_close(struct load_io *io, bool reset); /* reset: the peer gets RST instead of FIN */
ssize_t load_io_read(struct load_io *io, void *p, size_t n);
ssize_t load_io_write(struct load_io *io, struct slice first, struct slice second); /* one after the other */
bool load_io_pending(const struct load_io *io); /* TLS holds bytes that epoll does not tell of */
bool load_io_start_tls(struct load_io *io, struct ssl_ctx_st *ctx, bool server) MUST_CHECK;
/* 1: done, LOAD_AGAIN: call again on the next event (what is wanted is set), LOAD_BROKEN. */
int load_io_handshake(struct load_io *io);

#endif
