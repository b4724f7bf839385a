/* SPDX-License-Identifier: Apache-2.0
 * Connections to back ends: lines over TCP, TLS or a Unix socket, blocking, but never past a deadline. */
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "auth/internal.h"
#include "base/clock.h"
#include "base/mem.h"

#define LINE_MAX_BYTES 16384
#define TOTAL_MAX (128u << 10)

static bool wait_for(struct dial *d, short events, struct err *err)
{
    struct pollfd p = { .fd = d->fd, .events = events };
    for (;;) {
        uint64_t now = clock_mono_ms();
        if (now >= d->deadline) return err_set(err, "no answer in time");
        int n = poll(&p, 1, (int)(d->deadline - now));
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return err_sys(err, errno, "poll");
    }
}

static bool connect_to(struct dial *d, int family, const struct sockaddr *sa, socklen_t n, struct err *err)
{
    int code = 0;
    socklen_t size = sizeof code;
    d->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->fd < 0) return err_sys(err, errno, "socket");
    if (connect(d->fd, sa, n) == 0) return true;
    if (errno != EINPROGRESS) err_sys(err, errno, "connect");
    else if (wait_for(d, POLLOUT, err)) {
        if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code == 0) return true;
        err_sys(err, code, "connect");
    }
    close(d->fd);
    d->fd = -1;
    return false;
}

bool dial_tcp(struct dial *d, const char *host, uint16_t port, uint64_t deadline, struct err *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    char service[8];
    struct ip ip;
    *d = (struct dial){ .fd = -1, .deadline = deadline };
    snprintf(service, sizeof service, "%u", port);
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0) return err_set(err, "%.200s: %s", host, gai_strerror(rc));
    bool ok = false;
    for (const struct addrinfo *a = list; a && !ok; a = a->ai_next) {
        ok = connect_to(d, a->ai_family, a->ai_addr, a->ai_addrlen, err);
        d->loopback = ok && ip_from_sockaddr(a->ai_addr, &ip, &port) && ip_is_loopback(&ip);
    }
    freeaddrinfo(list);
    return ok;
}

bool dial_unix(struct dial *d, const char *path, uint64_t deadline, struct err *err)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    *d = (struct dial){ .fd = -1, .deadline = deadline, .loopback = true };
    if (strlen(path) >= sizeof sa.sun_path) return err_set(err, "the path of the socket is too long");
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    return connect_to(d, AF_UNIX, (struct sockaddr *)&sa, sizeof sa, err);
}

/* ---- TLS */

static bool tls_error(struct err *err, const char *what)
{
    unsigned long code = ERR_get_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return err_set(err, "%s: %s", what, text ? text : "the connection broke");
}

SSL_CTX *dial_context(const char *ca, bool verify, struct err *err)
{
    struct stat st;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool ok = ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    if (ok && verify) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        if (!ca || !*ca) ok = SSL_CTX_set_default_verify_paths(ctx);
        else if (stat(ca, &st) == 0 && S_ISDIR(st.st_mode)) ok = SSL_CTX_load_verify_dir(ctx, ca);
        else ok = SSL_CTX_load_verify_file(ctx, ca);
    }
    if (ok) return ctx;
    tls_error(err, ca && *ca ? ca : "the system's authorities");
    SSL_CTX_free(ctx);
    return NULL;
}

/* False: failed. */
static bool tls_wait(struct dial *d, int rc, const char *what, struct err *err)
{
    switch (SSL_get_error(d->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(d, POLLIN, err);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(d, POLLOUT, err);
    default:
        return tls_error(err, what);
    }
}

bool dial_tls(struct dial *d, SSL_CTX *ctx, const char *host, struct err *err)
{
    struct ip ip;
    if (d->in.n > d->taken) return err_set(err, "it sent more than its answer before TLS");
    d->ssl = SSL_new(ctx);
    if (!d->ssl || !SSL_set_fd(d->ssl, d->fd)) return tls_error(err, "TLS");
    bool literal = ip_parse(slice_str(host), &ip);
    bool ok = literal ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(d->ssl), host) == 1
                      : SSL_set1_host(d->ssl, host) == 1 && SSL_set_tlsext_host_name(d->ssl, host) == 1;
    if (!ok) return tls_error(err, "TLS");
    for (int rc; (rc = SSL_connect(d->ssl)) != 1;) {
        long why = SSL_get_verify_result(d->ssl);
        if (why != X509_V_OK) return err_set(err, "its certificate: %s", X509_verify_cert_error_string(why));
        if (!tls_wait(d, rc, "TLS handshake", err)) return false;
    }
    return true;
}

/* ---- bytes */

bool dial_write(struct dial *d, struct slice bytes, struct err *err)
{
    while (bytes.n) {
        if (d->ssl) {
            size_t k = 0;
            int rc = SSL_write_ex(d->ssl, bytes.p, bytes.n, &k);
            if (rc != 1 && !tls_wait(d, rc, "sending", err)) return false;
            bytes = slice_sub(bytes, k, bytes.n);
            continue;
        }
        ssize_t k = send(d->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (k >= 0) bytes = slice_sub(bytes, (size_t)k, bytes.n);
        else if (errno != EAGAIN && errno != EINTR) return err_sys(err, errno, "sending");
        else if (!wait_for(d, POLLOUT, err)) return false;
    }
    return true;
}

static bool read_more(struct dial *d, struct err *err)
{
    char *room = buf_reserve(&d->in, 4096);
    for (;;) {
        if (d->ssl) {
            size_t k = 0;
            int rc = SSL_read_ex(d->ssl, room, 4096, &k);
            if (rc == 1) {
                d->in.n += k;
                d->total += k;
                return true;
            }
            if (!tls_wait(d, rc, "reading", err)) return false;
            continue;
        }
        ssize_t k = recv(d->fd, room, 4096, 0);
        if (k == 0) return err_set(err, "it closed the connection");
        if (k > 0) {
            d->in.n += (size_t)k;
            d->total += (size_t)k;
            return true;
        }
        if (errno != EAGAIN && errno != EINTR) return err_sys(err, errno, "reading");
        if (!wait_for(d, POLLIN, err)) return false;
    }
}

bool dial_line(struct dial *d, struct slice *line, struct err *err)
{
    ptrdiff_t lf;
    buf_consume(&d->in, d->taken); /* the line before this one */
    d->taken = 0;
    while ((lf = slice_find(buf_slice(&d->in), '\n')) < 0 && d->in.n <= LINE_MAX_BYTES && d->total <= TOTAL_MAX)
        if (!read_more(d, err)) return false;
    if (lf < 0 || lf > LINE_MAX_BYTES) return err_set(err, "it says more than an answer needs");
    d->taken = (size_t)lf + 1;
    *line = slice_of(d->in.p, (size_t)lf);
    if (line->n && line->p[line->n - 1] == '\r') line->n--;
    return true;
}

void dial_close(struct dial *d)
{
    if (d->ssl) {
        (void)SSL_shutdown(d->ssl);
        SSL_free(d->ssl);
    }
    if (d->fd >= 0) close(d->fd);
    buf_wipe(&d->in);
    ERR_clear_error();
    d->ssl = NULL;
    d->fd = -1;
}
