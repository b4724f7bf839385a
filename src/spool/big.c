/* SPDX-License-Identifier: Apache-2.0
 * Large messages: their text goes to a file of its own as it comes in, by jobs of the pool, one at a time for each.
 * At the commit: the rest of the text, fdatasync, the file's final name, fsync of the directory; only then the record
 * that names it goes to the log. So a live record without its file means damage, and a file without a record that the
 * commit did not come to its end. */
#include "spool/private.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define WRITEBACK_STEP (1u << 20)

struct big {
    struct job job;
    struct spool_draft *draft; /* NULL: given up */
    struct chunk *ready, *ready_last;
    uint64_t ready_n, outstanding; /* bytes in `ready`; those and the ones being written */
    bool running, committing, created;
    bool share;                    /* once all is written the file is to be opened for others */
    struct list commits;           /* in spool.big_commits */
    uint64_t ticket, no;
    /* the job's while it runs */
    struct chunk *chunks;
    uint64_t taken, at, writeback, id;
    bool final, remove, discard, sharing;
    int fd, error;
    int share_fd, share_error;     /* of sharing */
    const char *step;
};

static int write_chunks(struct big *b)
{
    struct iovec v[64];
    struct chunk *c = b->chunks;
    while (c) {
        unsigned n = 0;
        size_t total = 0;
        for (; c && n < countof(v); c = c->next) {
            v[n++] = (struct iovec){ c->bytes, c->n };
            total += c->n;
        }
        for (unsigned i = 0; total;) {
            ssize_t k = pwritev(b->fd, v + i, (int)(n - i), (off_t)b->at);
            if (k < 0 && errno == EINTR) continue;
            if (k <= 0) return k < 0 ? errno : ENOSPC;
            b->at += (uint64_t)k;
            total -= (size_t)k;
            for (; i < n && (size_t)k >= v[i].iov_len; i++) k -= (ssize_t)v[i].iov_len;
            if (i == n) break;
            v[i].iov_base = (char *)v[i].iov_base + k;
            v[i].iov_len -= (size_t)k;
        }
    }
    return 0;
}

/* The disk begins early, so that the sync at the end has little left to wait for. */
static void start_writeback(struct big *b)
{
    if (b->final || b->at - b->writeback < WRITEBACK_STEP) return;
    sync_file_range(b->fd, (off_t)b->writeback, (off_t)(b->at - b->writeback), SYNC_FILE_RANGE_WRITE);
    b->writeback = b->at;
}

static int finish_file(struct spool *sp, struct big *b)
{
    char from[NAME_N], to[NAME_N];
    b->step = "cannot sync a large message";
    if (fdatasync(b->fd) != 0) return errno;
    name_draft(from, b->no);
    name_big(to, b->id);
    b->step = "cannot name the file of a large message";
    if (renameat(sp->dir_fd, from, sp->dir_fd, to) != 0) return errno;
    b->step = "cannot sync the spool's directory";
    if (fsync(sp->dir_fd) == 0) return 0;
    int error = errno;
    unlinkat(sp->dir_fd, to, 0);
    return error;
}

static void big_run(struct spool *sp, struct job *j)
{
    struct big *b = container_of(j, struct big, job);
    char name[NAME_N];
    name_draft(name, b->no);
    if (b->discard) {
        name_big(name, b->id);
        unlinkat(sp->dir_fd, name, 0);
    } else if (b->remove) {
        unlinkat(sp->dir_fd, name, 0);
    } else if (!b->error) {
        b->step = "cannot make a file for a large message";
        if (b->fd < 0) b->fd = openat(sp->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        b->error = b->fd < 0 ? errno : 0;
        if (!b->error) {
            b->step = "cannot write a large message";
            b->error = write_chunks(b);
            start_writeback(b);
        }
        if (!b->error && b->sharing) {
            b->share_fd = openat(sp->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
            b->share_error = b->share_fd < 0 ? errno : 0;
        }
        if (!b->error && b->final) b->error = finish_file(sp, b);
    }
    if (b->final && b->error) unlinkat(sp->dir_fd, name, 0);
    chunks_free(b->chunks);
    b->chunks = NULL;
    if ((b->final || b->remove) && b->fd >= 0) {
        close(b->fd);
        b->fd = -1;
    }
}

/* Gives the next job what there is to write; without a draft, what there is to clean up. */
static void pump(struct spool *sp, struct big *b)
{
    if (b->running) return;
    if (!b->draft) {
        if (b->fd < 0) { /* no file, or one with its final name that the log or recovery sees to */
            chunks_free(b->ready);
            free(b);
            return;
        }
        b->remove = true;
    } else {
        b->final = b->committing;
        if (!b->ready && !b->final && !b->share) return;
    }
    b->sharing = b->share;
    b->share = false;
    b->share_fd = -1;
    b->chunks = b->ready;
    b->taken = b->ready_n;
    b->ready = b->ready_last = NULL;
    b->ready_n = 0;
    b->running = true;
    pool_submit(sp, &b->job);
}

/* Those who asked are told last: they may do away with the draft. */
static void tell_shared(struct spool_draft *d, const struct big *b)
{
    if (d && d->failed) draft_shared(d, b->share_fd, d->error, d->error_what);
    else if (d) draft_shared(d, b->share_fd, b->share_error, "cannot open the file of a large message");
    else if (b->share_fd >= 0) close(b->share_fd);
}

static void big_done(struct spool *sp, struct job *j)
{
    struct big *b = container_of(j, struct big, job);
    struct spool_draft *d = b->draft;
    struct big was = *b;
    b->running = false;
    b->outstanding -= b->taken;
    sp->pending -= b->taken;
    b->taken = 0;
    b->sharing = false;
    if (d && b->error) draft_fail(d, b->error, b->step);
    if (b->discard) {
        draft_refuse(d);
        return;
    }
    if (d && b->final) {
        list_remove(&b->commits);
        sp->fresh_bigs[sp->fresh_at++ % FRESH_BIGS] = b->id;
        if (d->failed)
            draft_refuse(d);
        else
            draft_queue(d);
        if (was.share_fd >= 0) close(was.share_fd);
        return;
    }
    pump(sp, b); /* may free it */
    if (was.sharing) tell_shared(d, &was);
}

static void take_chunks(struct spool_draft *d, bool all)
{
    struct big *b = d->big;
    while (d->content.chunks && (all || d->content.chunks->n == d->content.chunks->cap)) {
        struct chunk *c = d->content.chunks;
        d->content.chunks = c->next;
        if (c == d->last) d->last = NULL;
        c->next = NULL;
        if (b->ready_last)
            b->ready_last->next = c;
        else
            b->ready = c;
        b->ready_last = c;
        b->ready_n += c->n;
        b->outstanding += c->n;
        d->sp->pending += c->n;
    }
}

void big_start(struct spool_draft *d)
{
    struct big *b = d->big = mem_new(struct big);
    b->job = (struct job){ .run = big_run, .done = big_done, .slow = true };
    b->draft = d;
    b->fd = -1;
    b->no = ++d->sp->draft_no;
    crash_point("draft-big");
    take_chunks(d, false);
    pump(d->sp, b);
}

void big_add(struct spool_draft *d)
{
    take_chunks(d, false);
    pump(d->sp, d->big);
}

void big_share(struct spool_draft *d)
{
    struct big *b = d->big;
    if (b->running && b->sharing) return; /* it was asked before, and cancelled */
    b->share = true;
    take_chunks(d, true);
    pump(d->sp, b);
}

uint64_t big_outstanding(const struct big *b)
{
    return b->outstanding;
}

void big_commit(struct spool_draft *d)
{
    struct big *b = d->big;
    b->committing = true;
    b->id = d->item.id;
    b->ticket = ++d->sp->ticket;
    list_push_back(&d->sp->big_commits, &b->commits);
    take_chunks(d, true);
    pump(d->sp, b);
}

void big_abandon(struct spool_draft *d)
{
    struct big *b = d->big;
    d->big = NULL;
    b->draft = NULL;
    d->sp->pending -= b->ready_n; /* never written */
    b->outstanding -= b->ready_n;
    b->ready_n = 0;
    chunks_free(b->ready);
    b->ready = b->ready_last = NULL;
    pump(d->sp, b);
}

bool big_discard(struct spool_draft *d)
{
    struct big *b = d->big;
    if (b->discard || b->error) return false;
    b->discard = true;
    b->running = true;
    pool_submit(d->sp, &b->job);
    return true;
}

uint64_t big_oldest_ticket(const struct spool *sp)
{
    if (list_empty(&sp->big_commits)) return UINT64_MAX;
    return list_entry(sp->big_commits.next, struct big, commits)->ticket;
}

bool big_is_fresh(const struct spool *sp, uint64_t id)
{
    for (unsigned i = 0; i < FRESH_BIGS; i++)
        if (id && sp->fresh_bigs[i] == id) return true;
    return false;
}
