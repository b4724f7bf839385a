/* SPDX-License-Identifier: Apache-2.0
 * Streams: writing. Output is a list of pieces - copied, borrowed, or parts of files - sent with as few system calls as the
 * pieces allow, once per turn of the loop. */
#include "net/private.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#define COPY_ROOM 1000   /* bytes of a piece that gathers small writes */
#define IOV_COUNT 32
#define FLUSH_BYTES (4u << 20) /* at most this much for one stream in one turn: others want to be served, too */

static void item_free(struct stream_item *item)
{
    if (item->release) item->release(item->arg);
    free(item);
}

void stream_drop_output(struct stream *s)
{
    struct stream_item *item;
    while ((item = s->out)) {
        s->out = item->next;
        item_free(item);
    }
    s->out_tail = &s->out;
    s->unsent = s->clear = 0;
}

static void append(struct stream *s, struct stream_item *item)
{
    *s->out_tail = item;
    s->out_tail = &item->next;
    s->unsent += item->n;
    if (s->phase == STREAM_OPEN) stream_schedule_flush(s);
}

static struct stream_item *last_item(struct stream *s) /* there is one */
{
    return container_of(s->out_tail, struct stream_item, next);
}

/* Room for n more bytes behind those of the last piece; NULL: there is not. */
static char *room_in_last(struct stream *s, size_t n)
{
    if (!s->out) return NULL;
    struct stream_item *item = last_item(s);
    if (item->room < n) return NULL;
    char *to = (char *)item->p + item->n;
    item->n += n;
    item->room -= n;
    s->unsent += n;
    return to;
}

void stream_write(struct stream *s, struct slice bytes)
{
    if (s->ended || s->freed || !bytes.n) return;
    char *to = room_in_last(s, bytes.n);
    if (to) {
        memcpy(to, bytes.p, bytes.n);
        return;
    }
    size_t size = bytes.n > COPY_ROOM ? bytes.n : COPY_ROOM;
    struct stream_item *item = mem_alloc(sizeof *item + size);
    *item = (struct stream_item){ .p = item->bytes, .n = bytes.n, .room = size - bytes.n, .fd = -1 };
    memcpy(item->bytes, bytes.p, bytes.n);
    append(s, item);
}

void stream_write_own(struct stream *s, struct slice bytes, void (*release)(void *arg), void *arg)
{
    if (s->ended || s->freed || !bytes.n) {
        if (release) release(arg);
        return;
    }
    struct stream_item *item = mem_alloc(sizeof *item);
    *item = (struct stream_item){ .p = bytes.p, .n = bytes.n, .fd = -1, .release = release, .arg = arg };
    append(s, item);
}

void stream_write_file(struct stream *s, int fd, uint64_t offset, uint64_t n, void (*release)(void *arg), void *arg)
{
    if (s->ended || s->freed || !n) {
        if (release) release(arg);
        return;
    }
    struct stream_item *item = mem_alloc(sizeof *item);
    *item = (struct stream_item){ .fd = fd, .offset = offset, .n = n, .release = release, .arg = arg };
    append(s, item);
}

size_t stream_unsent(const struct stream *s)
{
    return s->unsent;
}

/* k bytes went out from the front of the list. */
static void sent(struct stream *s, size_t k)
{
    s->unsent -= k;
    while (k) {
        struct stream_item *item = s->out;
        assert(item);
        size_t part = k < item->n ? k : (size_t)item->n;
        k -= part;
        item->n -= part;
        item->offset += part;
        if (item->p) item->p += part;
        if (item->n) return;
        s->out = item->next;
        if (!s->out) s->out_tail = &s->out;
        item_free(item);
    }
}

static ssize_t send_bytes(struct stream *s, size_t most)
{
    struct iovec iov[IOV_COUNT];
    struct msghdr m = { .msg_iov = iov };
    struct stream_item *item = s->out;
    for (; item && item->p && item->n <= most && m.msg_iovlen < IOV_COUNT; item = item->next) {
        iov[m.msg_iovlen++] = (struct iovec){ (void *)item->p, item->n };
        most -= item->n;
    }
    /* A file's part follows: let the kernel wait for it rather than send a small packet. */
    return sendmsg(s->fd, &m, MSG_NOSIGNAL | (item && !item->p ? MSG_MORE : 0));
}

static ssize_t send_file(struct stream *s)
{
    struct stream_item *item = s->out;
    off_t at = (off_t)item->offset;
    ssize_t k = sendfile(s->fd, item->fd, &at, item->n < FLUSH_BYTES ? item->n : FLUSH_BYTES);
    if (k == 0) {
        errno = EIO; /* the file is shorter than it was said to be */
        return -1;
    }
    return k;
}

/* TLS wants bytes: small pieces are put together to one record. */
static ssize_t send_tls(struct stream *s)
{
    char piece[STREAM_TLS_PIECE];
    size_t n = 0;
    struct stream_item *item = s->out;
    if (item->p && item->n >= sizeof piece) return stream_tls_write(s, item->p, sizeof piece);
    for (; item && n < sizeof piece; item = item->next) {
        size_t part = item->n < sizeof piece - n ? (size_t)item->n : sizeof piece - n;
        if (item->p)
            memcpy(piece + n, item->p, part);
        else {
            ssize_t k = pread(item->fd, piece + n, part, (off_t)item->offset);
            if (k <= 0) {
                if (n) break;
                if (k == 0) errno = EIO;
                return -1;
            }
            part = (size_t)k;
        }
        n += part;
        if (!item->p && part < item->n) break;
    }
    ssize_t k = stream_tls_write(s, piece, n);
    mem_wipe(piece, n < 256 ? n : 256);
    return k;
}

static ssize_t send_some(struct stream *s)
{
    if (s->ssl) return send_tls(s);
    return s->out->p ? send_bytes(s, SIZE_MAX) : send_file(s);
}

void stream_seal_output(struct stream *s)
{
    if (s->out) last_item(s)->room = 0; /* nothing is added to it any more */
    s->clear = s->unsent;
}

bool stream_flush_clear(struct stream *s)
{
    while (s->clear) {
        ssize_t k = s->out->p ? send_bytes(s, s->clear) : send_file(s);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 && errno != EAGAIN) stream_fail(s, STREAM_ERROR, "the connection broke", errno);
        if (k < 0) return false;
        s->clear -= (size_t)k;
        sent(s, (size_t)k);
    }
    return true;
}

void stream_flush(struct stream *s)
{
    size_t budget = FLUSH_BYTES;
    if (s->ended || s->freed || s->phase == STREAM_CONNECTING || s->phase == STREAM_HANDSHAKE) return;
    while (s->out) {
        ssize_t k = send_some(s);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 && errno != EAGAIN) {
            stream_fail(s, STREAM_ERROR, "the connection broke", errno);
            return;
        }
        if (k < 0 || (size_t)k >= budget) {
            s->wait_drain = true;
            if (k > 0) sent(s, (size_t)k);
            if (!s->write_wants_read) event_add(&s->write_ev, NULL);
            return;
        }
        budget -= (size_t)k;
        sent(s, (size_t)k);
    }
    if (s->phase == STREAM_LINGER) {
        stream_linger(s);
        return;
    }
    if (s->wait_drain) {
        s->wait_drain = false;
        if (s->ops->on_drained) s->ops->on_drained(s->owner);
    }
}
