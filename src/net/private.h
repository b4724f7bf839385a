/* SPDX-License-Identifier: Apache-2.0
 * The inside of a stream, for stream.c (life, reading), stream_out.c (writing) and stream_tls.c. */
#ifndef POSTERN_NET_PRIVATE_H
#define POSTERN_NET_PRIVATE_H
#include <event2/event.h>
#include <event2/event_struct.h>
#include "base/list.h"
#include "net/stream.h"

#define STREAM_READ_MIN 16384 /* of one read; doubled while the owner takes all that fills it */
#define STREAM_READ_MAX 65536
#define STREAM_TLS_PIECE 16384 /* one TLS record */
#define STREAM_LINGER_MAX 500  /* streams without an owner: nobody counts them any more, so they are few */

/* One piece of output; for copied bytes they follow the struct. */
struct stream_item {
    struct stream_item *next;
    const char *p;      /* bytes, or NULL: a part of a file */
    uint64_t n;         /* left to send */
    size_t room;        /* of a copied piece: bytes that may still be added */
    uint64_t offset;
    int fd;
    void (*release)(void *arg);
    void *arg;
    char bytes[];
};

struct stream_loop {
    struct event_base *base;
    struct event *flush;       /* runs once behind the events of this turn */
    struct list dirty;         /* streams with new output */
    char *scratch;             /* what was kept of a stream, and one read */
    size_t scratch_n;
    size_t lingering;
};

enum stream_phase { STREAM_CONNECTING, STREAM_HANDSHAKE, STREAM_OPEN, STREAM_LINGER };

struct stream {
    struct stream_loop *loop;
    const struct stream_ops *ops;
    void *owner;
    int fd;
    enum stream_phase phase;
    bool paused, must_offer, ended, freed, wait_drain, write_wants_read, read_wants_write;
    bool secret;               /* what is taken of the input at hand is to be wiped */
    int depth;                 /* callbacks under way: memory is freed when the last returns */
    struct event read_ev, write_ev, timer;
    uint64_t deadline;         /* mono ms; 0: none */
    uint32_t linger_ms;
    size_t in_max, read_size;
    struct buf kept;           /* read, not taken; wiped, as the half of a line may be half a password */
    struct list dirty;
    struct stream_item *out, **out_tail;
    size_t unsent, clear;      /* bytes of output; those of them written before TLS began, which go out in the clear */
    struct ssl_st *ssl;
};

void stream_schedule_flush(struct stream *s);
/* Neither reading nor writing yet. Takes fd. */
struct stream *stream_new(struct stream_loop *l, int fd, size_t in_max, const struct stream_ops *ops, void *owner);
/* Sends what it can. Ends the stream on errors: the caller must not touch s afterwards but through stream_leave. */
void stream_flush(struct stream *s);
void stream_seal_output(struct stream *s); /* what is waiting now goes out before TLS begins */
/* Sends that. False: not all could be sent now, or the stream has ended. */
bool stream_flush_clear(struct stream *s);
void stream_drop_output(struct stream *s);
void stream_fail(struct stream *s, enum stream_end why, const char *what, int code); /* tells the owner, once */
static inline void stream_enter(struct stream *s) { s->depth++; }
void stream_leave(struct stream *s);
void stream_opened(struct stream *s);
void stream_linger(struct stream *s); /* all is sent: close, or wait for the peer to */

/* TLS. ssize_t as read(2) and send(2): -1 with errno EAGAIN when it must wait, 0 at a clean end, -1/EPROTO on a TLS error. */
void stream_handshake(struct stream *s);
ssize_t stream_tls_read(struct stream *s, char *to, size_t room);
ssize_t stream_tls_write(struct stream *s, const char *p, size_t n);
bool stream_tls_pending(const struct stream *s);
void stream_tls_shutdown(struct stream *s);
void stream_tls_free(struct stream *s);

#endif
