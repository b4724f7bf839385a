/* SPDX-License-Identifier: Apache-2.0
 * A TCP connection on the event loop, with or without TLS. Bytes read are offered to the owner, who says how many it
 * took; what it leaves is kept (at most in_max bytes) and offered again, longer, with the next bytes. Bytes written are gathered and
 * sent once per turn of the loop. A stream without unread or unsent bytes holds no buffers.
 *
 * Every callback may free the stream. No callback comes before the starter returned, none after stream_free. */
#ifndef POSTERN_NET_STREAM_H
#define POSTERN_NET_STREAM_H
#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"

struct event_base;
struct stream;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;     /* and SSL */

enum stream_end { STREAM_EOF, STREAM_ERROR, STREAM_TIMEOUT, STREAM_TLS_FAILED };

struct stream_ops {
    /* New bytes: `in` is all that is not taken yet. Returns how many bytes were taken (0..in.n). Called again only when more
     * bytes arrive or after stream_resume. A stream freed within must answer anything. */
    size_t (*on_input)(void *owner, struct slice in);
    /* All that was written has been given to the kernel (only after a time when some had to wait). May be NULL. */
    void (*on_drained)(void *owner);
    /* The peer is gone, an error, or the deadline passed. The owner frees the stream, after STREAM_TIMEOUT it may also write a
     * last word and stream_close it. Called once. */
    void (*on_end)(void *owner, enum stream_end why, const struct err *err);
    /* The connection stands (stream_connect), or the TLS handshake is done. May be NULL for accepted streams without TLS. */
    void (*on_ready)(void *owner);
};

/* Worker-wide: the loop, a read buffer, the list of streams with something to send. One per event loop. */
struct stream_loop;
struct stream_loop *stream_loop_new(struct event_base *base);
void stream_loop_free(struct stream_loop *l);

/* Takes over a connected, non-blocking descriptor. in_max: most bytes kept that the owner has not taken; when they are
 * full and nothing is taken, on_end(STREAM_ERROR). */
struct stream *stream_accept(struct stream_loop *l, int fd, size_t in_max, const struct stream_ops *ops, void *owner);
/* Starts to connect; source->family 0: any. NULL with err when even that cannot be tried. on_ready or on_end follow. */
struct stream *stream_connect(struct stream_loop *l, const struct ip *ip, uint16_t port, const struct ip *source, size_t in_max,
                              const struct stream_ops *ops, void *owner, struct err *err);
/* The same to a Unix socket. */
struct stream *stream_connect_path(struct stream_loop *l, const char *path, size_t in_max, const struct stream_ops *ops, void *owner,
                                   struct err *err);
void stream_free(struct stream **s); /* closes at once, unsent bytes are lost; clears the pointer; NULL is fine */
/* Sends what is pending, then closes and frees by itself: no callback to the owner any more. Clears the pointer.
 * linger_ms 0: close as soon as all is with the kernel (after QUIT). Else the peer is given so long to read the last reply and
 * close first, what it still sends is thrown away (it may be in the middle of something when it gets a 421). When too
 * many streams are in this state, what cannot be sent at once is lost. */
void stream_close(struct stream **s, uint32_t linger_ms);

/* TLS from here on, as the server; ctx has its certificate. What was read and not taken is thrown away (RFC 3207 §4.2). on_ready
 * follows or on_end(STREAM_TLS_FAILED). */
void stream_start_tls(struct stream *s, struct ssl_ctx_st *ctx);
/* The same as a client with a session of tls_client_session (taken over). */
void stream_start_tls_client(struct stream *s, struct ssl_st *ssl);
struct ssl_st *stream_ssl(const struct stream *s);     /* NULL: not TLS, or the handshake is not done */
bool stream_is_tls(const struct stream *s);
/* Channel binding "tls-exporter" (RFC 9266); false: there is none (not TLS, or TLS 1.2 without extended master secret). */
bool stream_tls_binding(const struct stream *s, unsigned char out[32]);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384", 256; only when stream_is_tls. */
void stream_tls_info(const struct stream *s, const char **version, const char **cipher, int *bits);

/* Writing copies (small) or borrows. A borrowed slice stays valid until on_drained or the end; use stream_write_own to give a
 * callback that lets it go. */
void stream_write(struct stream *s, struct slice bytes);
void stream_write_own(struct stream *s, struct slice bytes, void (*release)(void *arg), void *arg); /* release may be NULL */
/* n bytes of a file from offset; the descriptor stays the caller's and open until released. sendfile(2) without TLS. */
void stream_write_file(struct stream *s, int fd, uint64_t offset, uint64_t n, void (*release)(void *arg), void *arg);
size_t stream_unsent(const struct stream *s);

/* Within on_input: what it takes holds a secret, and is overwritten as soon as it returns. */
void stream_wipe_input(struct stream *s);
/* No more on_input until resumed; a resume offers what is kept, from the loop. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* on_end(STREAM_TIMEOUT) when this many ms pass without another call; 0: never. Cheap: call it for each command. */
void stream_set_deadline(struct stream *s, uint64_t ms);

bool stream_peer(const struct stream *s, struct ip *ip, uint16_t *port);
bool stream_local(const struct stream *s, struct ip *ip, uint16_t *port);

#endif
