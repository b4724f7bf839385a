/* SPDX-License-Identifier: Apache-2.0
 * Streams: TLS by OpenSSL on the stream's own descriptor. */
#include "net/private.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

/* What OpenSSL has to say, without its file names. */
static void fail_tls(struct stream *s, const char *what)
{
    char text[200];
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    snprintf(text, sizeof text, "%s: %s", what, reason ? reason : "the other side broke off");
    ERR_clear_error();
    stream_fail(s, STREAM_TLS_FAILED, text, 0);
}

/* Takes ssl, which may be NULL. Where that fails it stays as it is, for the owner may hold it; the handshake fails. */
static SSL *ssl_prepare(SSL *ssl, int fd, bool server)
{
    if (!ssl || !SSL_set_fd(ssl, fd)) return ssl;
    /* Output is gathered anew for each try. */
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    /* A read is over after one record: a peer that sends key updates without end shall not keep the loop. */
    SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    if (server) SSL_set_accept_state(ssl);
    else SSL_set_connect_state(ssl);
    return ssl;
}

/* All of it begins from the loop, failures too: no callback before this returns. */
static void start(struct stream *s, SSL *ssl, bool server)
{
    if (s->ended || s->freed) {
        SSL_free(ssl);
        return;
    }
    buf_wipe(&s->kept);
    s->must_offer = false;
    s->phase = STREAM_HANDSHAKE;
    stream_seal_output(s); /* the reply that announced it goes out in the clear */
    s->ssl = ssl_prepare(ssl, s->fd, server);
    event_del(&s->read_ev); /* not before that reply is out */
    event_add(&s->write_ev, NULL);
}

void stream_start_tls(struct stream *s, struct ssl_ctx_st *ctx)
{
    start(s, SSL_new(ctx), true);
}

void stream_start_tls_client(struct stream *s, struct ssl_st *ssl)
{
    start(s, ssl, false);
}

struct ssl_st *stream_ssl(const struct stream *s)
{
    return stream_is_tls(s) ? s->ssl : NULL;
}

bool stream_tls_binding(const struct stream *s, unsigned char out[32])
{
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 §2 */
    SSL *ssl = stream_ssl(s);
    if (!ssl) return false;
    /* RFC 9266 §3: before TLS 1.3 it is unique only with RFC 7627 */
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) return false;
    return SSL_export_keying_material(ssl, out, 32, label, sizeof label - 1, NULL, 0, 0) == 1;
}

void stream_handshake(struct stream *s)
{
    if (!stream_flush_clear(s)) return;
    if (!s->ssl || !SSL_get_rbio(s->ssl)) {
        fail_tls(s, "cannot set up TLS");
        return;
    }
    ERR_clear_error();
    int rc = SSL_do_handshake(s->ssl);
    if (rc == 1) {
        stream_opened(s);
        return;
    }
    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        event_del(&s->write_ev);
        event_add(&s->read_ev, NULL);
        break;
    case SSL_ERROR_WANT_WRITE: event_add(&s->write_ev, NULL); break;
    default: fail_tls(s, "TLS handshake failed");
    }
}

static ssize_t outcome(struct stream *s, int rc, bool writing)
{
    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        if (writing) s->write_wants_read = true;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        if (!writing) {
            s->read_wants_write = true;
            event_add(&s->write_ev, NULL);
        }
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL:
        if (errno == 0) return 0; /* closed without a TLS goodbye: many servers do */
        return -1;
    default: {
        unsigned long code = ERR_peek_error();
        ERR_clear_error();
        if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return 0;
        errno = EPROTO;
        return -1;
    }
    }
}

ssize_t stream_tls_read(struct stream *s, char *to, size_t room)
{
    size_t got = 0;
    ERR_clear_error();
    while (got < room) {
        errno = 0;
        int rc = SSL_read(s->ssl, to + got, (int)(room - got));
        if (rc > 0) {
            got += (size_t)rc;
            if (!SSL_pending(s->ssl)) break;
            continue;
        }
        if (got) break; /* the end or error shows again next time */
        return outcome(s, rc, false);
    }
    return (ssize_t)got;
}

ssize_t stream_tls_write(struct stream *s, const char *p, size_t n)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write(s->ssl, p, (int)n);
    return rc > 0 ? rc : outcome(s, rc, true);
}

bool stream_tls_pending(const struct stream *s)
{
    return SSL_pending(s->ssl) > 0;
}

void stream_tls_shutdown(struct stream *s)
{
    ERR_clear_error();
    SSL_shutdown(s->ssl);
    ERR_clear_error();
}

void stream_tls_free(struct stream *s)
{
    if (!s->ssl) return;
    if (!s->ended && s->phase != STREAM_HANDSHAKE) stream_tls_shutdown(s);
    SSL_free(s->ssl);
    s->ssl = NULL;
}

bool stream_is_tls(const struct stream *s)
{
    return s->ssl && s->phase != STREAM_HANDSHAKE;
}

void stream_tls_info(const struct stream *s, const char **version, const char **cipher, int *bits)
{
    const SSL_CIPHER *c = SSL_get_current_cipher(s->ssl);
    *version = SSL_get_version(s->ssl);
    *cipher = c ? SSL_CIPHER_get_name(c) : "none";
    *bits = c ? SSL_CIPHER_get_bits(c, NULL) : 0;
}
