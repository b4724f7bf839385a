/* SPDX-License-Identifier: Apache-2.0
 * Texts for other processes: a copy in memory that nobody can change, or the file, opened to be read. */
#include "spool/private.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/io.h"

/* `put` writes the text. */
static int make_copy(const struct content *c, int (*put)(const struct content *c, int fd), struct err *err)
{
    int fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int error = fd < 0 ? errno : put(c, fd);
    if (!error && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) error = errno;
    if (!error) return fd;
    if (fd >= 0) close(fd);
    err_sys(err, error, "cannot copy a message for another process");
    return -1;
}

static int put_chunks(const struct content *c, int fd)
{
    for (const struct chunk *k = c->chunks; k; k = k->next)
        if (!io_write_all(fd, slice_of(k->bytes, k->n))) return errno;
    return 0;
}

static int put_pieces(const struct content *c, int fd)
{
    for (size_t i = 0; i < c->pub.text.piece_n; i++)
        if (!io_write_all(fd, c->pub.text.pieces[i])) return errno;
    return 0;
}

enum spool_sharing spool_draft_share(struct spool_draft *d, struct spool_share *out, spool_share_cb *cb, void *arg, struct err *err)
{
    struct content *c = &d->content;
    assert(!d->committing && !d->share_cb && (!d->shared_n || d->shared_n == d->n));
    if (d->failed) {
        err_sys(err, d->error, "%s", d->error_what);
        return SPOOL_SHARE_FAILED;
    }
    d->shared_n = d->n;
    if (c->share_fd < 0 && d->big) {
        d->share_cb = cb;
        d->share_arg = arg;
        big_share(d);
        return SPOOL_SHARE_WAITS;
    }
    if (c->share_fd < 0) c->share_fd = make_copy(c, put_chunks, err);
    *out = (struct spool_share){ .fd = c->share_fd, .size = d->n };
    return c->share_fd < 0 ? SPOOL_SHARE_FAILED : SPOOL_SHARED;
}

void spool_draft_share_cancel(struct spool_draft *d)
{
    d->share_cb = NULL;
}

void draft_unshare(struct spool_draft *d)
{
    d->share_cb = NULL;
    if (d->content.share_fd >= 0) close(d->content.share_fd);
    d->content.share_fd = -1;
}

void draft_shared(struct spool_draft *d, int fd, int error, const char *what)
{
    spool_share_cb *cb = d->share_cb;
    struct spool_share share = { .fd = fd, .size = d->n };
    struct err err;
    d->share_cb = NULL;
    if (d->committing && fd >= 0) close(fd);
    else if (fd >= 0) d->content.share_fd = fd;
    if (!cb || d->sp->closing) return;
    if (error) err_sys(&err, error, "%s", what);
    cb(d->share_arg, error ? NULL : &share, error ? &err : NULL);
}

bool spool_content_share(struct spool_content *pub, struct spool_share *out, struct err *err)
{
    struct content *c = container_of(pub, struct content, pub);
    *out = (struct spool_share){ .fd = pub->text.fd, .offset = pub->text.offset, .size = pub->text.n };
    if (!pub->text.pieces && pub->text.fd >= 0) return true;
    assert(pub->text.pieces); /* it was read with its text */
    if (c->share_fd < 0) c->share_fd = make_copy(c, put_pieces, err);
    out->fd = c->share_fd;
    out->offset = 0;
    return c->share_fd >= 0;
}
