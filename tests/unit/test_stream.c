/* SPDX-License-Identifier: Apache-2.0
 * Streams over real sockets on loopback: what is kept, paused, sent from files, over TLS, and how they end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "net/stream.h"

struct side {
    struct stream *s;
    struct buf got;
    size_t take_max;      /* of one on_input; 0: all */
    bool pause_after, ready, ended, drained, free_on_input, close_on_input, starttls, ended_within;
    enum stream_end why;
    int inputs, released;
    bool secret;
    const char *at;       /* of the last input */
    SSL_CTX *ctx;
};

static struct event_base *base;
static struct stream_loop *loop;

static size_t on_input(void *owner, struct slice in)
{
    struct side *me = owner;
    size_t n = me->take_max && in.n > me->take_max ? me->take_max : in.n;
    me->inputs++;
    me->at = in.p;
    if (me->secret) stream_wipe_input(me->s);
    buf_add(&me->got, slice_sub(in, 0, n));
    if (me->free_on_input) {
        stream_free(&me->s);
        return 0;
    }
    if (me->close_on_input) {
        stream_close(&me->s, 100);
        return in.n;
    }
    if (me->pause_after) stream_pause(me->s);
    if (me->starttls) {
        me->starttls = false;
        stream_write(me->s, SLICE("220 begin\r\n"));
        stream_start_tls(me->s, me->ctx);
        me->ended_within = me->ended;
    }
    return n;
}

static void on_drained(void *owner) { ((struct side *)owner)->drained = true; }
static void on_ready(void *owner) { ((struct side *)owner)->ready = true; }

static void on_end(void *owner, enum stream_end why, const struct err *err)
{
    struct side *me = owner;
    me->ended = true;
    me->why = why;
    stream_free(&me->s);
}

static const struct stream_ops ops = { on_input, on_drained, on_end, on_ready };

static int setup(void **state)
{
    base = event_base_new();
    loop = stream_loop_new(base);
    return 0;
}

static int teardown(void **state)
{
    stream_loop_free(loop);
    event_base_free(base);
    return 0;
}

static void turn(int times)
{
    struct timeval tv = { 0, 10000 };
    for (int i = 0; i < times; i++) {
        event_base_loopexit(base, &tv);
        event_base_loop(base, 0);
    }
}

static SSL_CTX *server_ctx(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(x);
    EVP_PKEY_free(key);
    return ctx;
}

/* A stream, accepted from the plain socket that is returned. */
static int make_raw(struct side *b, size_t in_max, int *fd)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof sin;
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(l, (void *)&sin, sizeof sin), 0);
    assert_int_equal(listen(l, 5), 0);
    getsockname(l, (void *)&sin, &n);
    assert_int_equal(connect(c, (void *)&sin, n), 0);
    *fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
    assert_true(*fd >= 0);
    close(l);
    b->s = stream_accept(loop, *fd, in_max, &ops, b);
    return c;
}

/* A connected pair of TCP streams. */
static void make_pair(struct side *a, struct side *b, size_t in_max)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof sin;
    struct err err;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(l, (void *)&sin, sizeof sin), 0);
    assert_int_equal(listen(l, 5), 0);
    getsockname(l, (void *)&sin, &n);
    struct ip ip;
    assert_true(ip_parse(SLICE("127.0.0.1"), &ip));
    a->s = stream_connect(loop, &ip, ntohs(sin.sin_port), NULL, in_max, &ops, a, &err);
    assert_non_null(a->s);
    int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
    assert_true(fd >= 0);
    close(l);
    b->s = stream_accept(loop, fd, in_max, &ops, b);
    turn(3);
    assert_true(a->ready);
}

static void done(struct side *a)
{
    stream_free(&a->s);
    buf_deinit(&a->got);
}

static void test_what_is_not_taken_comes_again(void **state)
{
    struct side a = { 0 }, b = { .take_max = 3 };
    make_pair(&a, &b, 100);
    stream_write(a.s, SLICE("abcdefg"));
    turn(3);
    assert_true(slice_eq(buf_slice(&b.got), SLICE("abc")));
    stream_write(a.s, SLICE("h"));
    turn(3);
    assert_true(slice_eq(buf_slice(&b.got), SLICE("abcdef")));
    done(&a);
    done(&b);
}

static void test_too_much_untaken_ends(void **state)
{
    struct side a = { 0 }, b = { .take_max = 1 };
    char big[64] = "x";
    make_pair(&a, &b, 16);
    stream_write(a.s, slice_of(big, sizeof big));
    turn(5);
    assert_true(b.ended);
    assert_int_equal(b.why, STREAM_ERROR);
    done(&a);
    done(&b);
}

static void test_pause_keeps_and_resume_offers(void **state)
{
    struct side a = { 0 }, b = { .take_max = 2, .pause_after = true };
    make_pair(&a, &b, 100);
    stream_write(a.s, SLICE("123456"));
    turn(3);
    assert_int_equal(b.got.n, 2);
    stream_write(a.s, SLICE("78"));
    turn(3);
    assert_int_equal(b.got.n, 2); /* nothing while paused */
    b.take_max = 0;
    b.pause_after = false;
    stream_resume(b.s);
    turn(3);
    assert_true(slice_eq(buf_slice(&b.got), SLICE("12345678")));
    done(&a);
    done(&b);
}

/* What was kept makes the owner close, or begin TLS, while more has come: that is not for the owner any more. */
static void test_end_within_what_was_kept(void **state)
{
    for (int tls = 0; tls < 2; tls++) {
        struct side b = { .take_max = 2, .pause_after = true, .ctx = tls ? server_ctx() : NULL };
        int fd, c = make_raw(&b, 100, &fd);
        assert_int_equal(write(c, "123456", 6), 6);
        turn(3);
        assert_int_equal(b.inputs, 1);
        b.pause_after = false;
        b.close_on_input = !tls;
        b.starttls = tls;
        stream_resume(b.s);
        assert_int_equal(write(c, "and more", 8), 8);
        turn(3);
        assert_int_equal(b.inputs, 2);
        assert_true(tls ? b.ended && b.why == STREAM_TLS_FAILED : !b.s);
        close(c);
        turn(3);
        done(&b);
        SSL_CTX_free(b.ctx);
    }
}

static void test_free_within_input(void **state)
{
    struct side a = { 0 }, b = { .free_on_input = true };
    make_pair(&a, &b, 100);
    stream_write(a.s, SLICE("x"));
    turn(3);
    assert_null(b.s);
    turn(3);
    assert_true(a.ended);
    assert_int_equal(a.why, STREAM_EOF);
    done(&a);
    done(&b);
}

static void released(void *arg) { ((struct side *)arg)->released++; }

static void send_mixture(struct side *from, struct side *to)
{
    char name[] = "/tmp/postern-stream-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    size_t n = 3 << 20;
    char *big = mem_alloc(n);
    for (size_t i = 0; i < n; i++) big[i] = (char)(i * 7 + i / 4096);
    assert_int_equal(write(fd, big, n), (ssize_t)n);
    stream_write(from->s, SLICE("begin "));
    stream_write_own(from->s, slice_of(big, n), released, from);
    stream_write_file(from->s, fd, 1000, n - 1000, released, from);
    stream_write(from->s, SLICE(" end"));
    for (int i = 0; i < 2000 && to->got.n < 2 * n - 1000 + 10; i++) turn(1);
    assert_int_equal(to->got.n, 2 * n - 1000 + 10);
    assert_memory_equal(to->got.p, "begin ", 6);
    assert_memory_equal(to->got.p + 6, big, n);
    assert_memory_equal(to->got.p + 6 + n, big + 1000, n - 1000);
    assert_memory_equal(to->got.p + to->got.n - 4, " end", 4);
    turn(2);
    assert_int_equal(from->released, 2);
    assert_int_equal(stream_unsent(from->s), 0);
    assert_true(from->drained);
    free(big);
    close(fd);
}

static void test_mixture_in_order(void **state)
{
    struct side a = { 0 }, b = { 0 };
    make_pair(&a, &b, 100);
    send_mixture(&a, &b);
    done(&a);
    done(&b);
}

static void test_release_on_free(void **state)
{
    struct side a = { 0 }, b = { 0 };
    make_pair(&a, &b, 100);
    stream_write_own(a.s, SLICE("never sent"), released, &a);
    stream_free(&a.s);
    assert_int_equal(a.released, 1);
    turn(2);
    assert_int_equal(b.got.n, 0);
    done(&a);
    done(&b);
}

static void test_close_sends_the_rest(void **state)
{
    struct side a = { 0 }, b = { 0 };
    make_pair(&a, &b, 100);
    stream_write(b.s, SLICE("unread input"));
    turn(2);
    stream_write(a.s, SLICE("421 good bye\r\n"));
    stream_close(&a.s, 500);
    turn(4);
    assert_true(slice_eq(buf_slice(&b.got), SLICE("421 good bye\r\n")));
    assert_true(b.ended);
    assert_int_equal(b.why, STREAM_EOF);
    turn(3); /* the lingering side sees the end and frees itself */
    done(&a);
    done(&b);
}

static void test_deadline(void **state)
{
    struct side a = { 0 }, b = { 0 };
    make_pair(&a, &b, 100);
    stream_set_deadline(b.s, 1000);
    stream_set_deadline(b.s, 20); /* earlier than before */
    for (int i = 0; i < 2000 && !b.ended; i++) turn(1);
    assert_true(b.ended);
    assert_int_equal(b.why, STREAM_TIMEOUT);
    done(&a);
    done(&b);
    struct side c = { 0 }, d = { 0 };
    make_pair(&c, &d, 100);
    stream_set_deadline(c.s, 20);
    stream_set_deadline(c.s, 0);
    turn(10);
    assert_false(c.ended);
    done(&c);
    done(&d);
}

static void test_refused(void **state)
{
    struct side a = { 0 };
    struct ip ip;
    struct err err;
    assert_true(ip_parse(SLICE("127.0.0.1"), &ip));
    a.s = stream_connect(loop, &ip, 1, NULL, 100, &ops, &a, &err);
    for (int i = 0; i < 2000 && a.s; i++) turn(1);
    assert_true(!a.s);
    assert_false(a.ready);
}

/* The rest is kept as it is, and what comes later is not wiped unless that is asked for again. */
static void test_secrets_are_wiped(void **state)
{
    struct side b = { .take_max = 4, .secret = true };
    int c = make_raw(&b, 100, &(int){ 0 });
    assert_int_equal(write(c, "passnext", 8), 8);
    turn(2);
    assert_int_equal(b.inputs, 1);
    assert_memory_equal(b.at, "\0\0\0\0next", 8);
    b.secret = false;
    assert_int_equal(write(c, "more", 4), 4);
    turn(2);
    assert_int_equal(b.inputs, 2);
    assert_memory_equal(b.at, "nextmore", 8);
    assert_true(slice_eq(buf_slice(&b.got), SLICE("passnext")));
    stream_free(&b.s);
    buf_deinit(&b.got);
    close(c);
}

static void test_tls_and_injection(void **state)
{
    struct side a = { 0 }, b = { .take_max = 10, .starttls = true, .ctx = server_ctx() };
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    make_pair(&a, &b, 100);
    a.ready = false;
    stream_write(a.s, SLICE("STARTTLS\r\nMAIL FROM:<injected>\r\n")); /* the second line must never be seen */
    turn(6);
    stream_start_tls_client(a.s, SSL_new(client));
    for (int i = 0; i < 2000 && !(a.ready && b.ready); i++) turn(1);
    assert_true(a.ready && b.ready);
    assert_true(stream_is_tls(a.s) && stream_is_tls(b.s));
    const char *version, *cipher;
    int bits;
    stream_tls_info(a.s, &version, &cipher, &bits);
    assert_string_equal(version, "TLSv1.3");
    assert_true(bits >= 128);
    buf_clear(&b.got);
    b.take_max = 0;
    send_mixture(&a, &b);
    stream_close(&a.s, 200);
    for (int i = 0; i < 2000 && !b.ended; i++) turn(1);
    assert_true(b.ended);
    assert_int_equal(b.why, STREAM_EOF);
    turn(5);
    done(&a);
    done(&b);
    SSL_CTX_free(client);
    SSL_CTX_free(b.ctx);
}

static void test_tls_garbage(void **state)
{
    struct side a = { 0 }, b = { .take_max = 10, .starttls = true, .ctx = server_ctx() };
    make_pair(&a, &b, 100);
    stream_write(a.s, SLICE("STARTTLS\r\n"));
    turn(3);
    stream_write(a.s, SLICE("MAIL FROM:<not@tls>\r\n"));
    for (int i = 0; i < 2000 && !b.ended; i++) turn(1);
    assert_true(b.ended);
    assert_int_equal(b.why, STREAM_TLS_FAILED);
    done(&a);
    done(&b);
    SSL_CTX_free(b.ctx);
}

/* The peer resets the connection behind its STARTTLS: that the reply cannot be sent is told from the loop. */
static void test_tls_after_a_reset(void **state)
{
    struct side b = { .starttls = true, .ctx = server_ctx() };
    struct linger reset = { .l_onoff = 1 };
    int fd, c = make_raw(&b, 100, &fd);
    assert_int_equal(write(c, "STARTTLS\r\n", 10), 10);
    setsockopt(c, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(c);
    turn(5);
    assert_int_equal(b.inputs, 1);
    assert_false(b.ended_within);
    assert_true(b.ended);
    done(&b);
    SSL_CTX_free(b.ctx);
}

/* What was written before TLS goes out before it, in the clear, also when it has to wait for the peer. */
static void test_tls_waits_for_the_reply(void **state)
{
    struct side b = { .starttls = true, .ctx = server_ctx() };
    int fd, c = make_raw(&b, 100, &fd), small = 4096;
    size_t n = 1 << 20, got = 0;
    char *big = mem_zalloc(n), in[65536], tail[11] = "";
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    stream_write_own(b.s, slice_of(big, n), NULL, NULL);
    assert_int_equal(write(c, "STARTTLS\r\n", 10), 10);
    turn(10);
    assert_true(stream_unsent(b.s) > 11);
    assert_int_equal(write(c, "garbage", 7), 7); /* meanwhile: not looked at, and no reason to turn and turn */
    int inputs = b.inputs;
    turn(2);
    assert_true(!b.ended && b.inputs == inputs);
    fcntl(c, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 100000 && got < n + 11; i++) {
        turn(1);
        ssize_t k = read(c, in, sizeof in);
        if (k <= 0) continue;
        got += (size_t)k;
        if (got == n + 11) memcpy(tail, in + k - 11, 11);
    }
    assert_int_equal(got, n + 11);
    assert_memory_equal(tail, "220 begin\r\n", 11);
    turn(5);
    assert_true(b.ended);
    assert_int_equal(b.why, STREAM_TLS_FAILED);
    close(c);
    done(&b);
    free(big);
    SSL_CTX_free(b.ctx);
}

/* Records that carry nothing for us are read one a turn: the loop has others to serve. */
static void test_tls_key_updates_without_end(void **state)
{
    struct side b = { .starttls = true, .ctx = server_ctx() };
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    int fd, left = 0, before, one = 1, c = make_raw(&b, 100, &fd);
    char reply[11];
    setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* or most of it waits for the first to be answered */
    assert_int_equal(write(c, "STARTTLS\r\n", 10), 10);
    turn(3);
    assert_int_equal(read(c, reply, sizeof reply), 11);
    fcntl(c, F_SETFL, O_NONBLOCK);
    SSL_set_fd(ssl, c);
    SSL_set_connect_state(ssl);
    for (int i = 0; i < 2000 && SSL_do_handshake(ssl) != 1; i++) turn(1);
    for (int i = 0; i < 2000 && !b.ready; i++) turn(1);
    assert_true(b.ready);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(ssl), 1);
    }
    ioctl(fd, FIONREAD, &before);
    event_base_loop(base, EVLOOP_ONCE);
    ioctl(fd, FIONREAD, &left);
    assert_true(left > before / 2);
    buf_clear(&b.got);
    assert_int_equal(SSL_write(ssl, "after all", 9), 9);
    for (int i = 0; i < 2000 && b.got.n < 9; i++) turn(1);
    assert_true(slice_eq(buf_slice(&b.got), SLICE("after all")));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(c);
    done(&b);
    SSL_CTX_free(b.ctx);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_is_not_taken_comes_again), CASE(test_too_much_untaken_ends), CASE(test_pause_keeps_and_resume_offers),
        CASE(test_free_within_input),
        CASE(test_end_within_what_was_kept), CASE(test_mixture_in_order), CASE(test_release_on_free), CASE(test_close_sends_the_rest),
        CASE(test_deadline), CASE(test_refused), CASE(test_secrets_are_wiped), CASE(test_tls_and_injection), CASE(test_tls_garbage),
        CASE(test_tls_after_a_reset), CASE(test_tls_waits_for_the_reply),
        CASE(test_tls_key_updates_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
