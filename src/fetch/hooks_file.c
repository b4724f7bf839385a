/* SPDX-License-Identifier: Apache-2.0
 * What waits for a webhook, on disk. A crash may have the first line sent once more, or leave a last one that is cut. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "fetch/hooks_int.h"

#define HEAD_N 40                /* "postern-webhook 1 00000000000000000040\n\n" */
#define SHRINK_FROM (4u << 20)   /* bytes that are done: the rest is written anew */

static bool write_at(int fd, const char *p, size_t n, uint64_t at)
{
    while (n) {
        ssize_t k = pwrite(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return true;
}

static bool write_head(int fd, uint64_t from)
{
    char head[HEAD_N + 1];
    snprintf(head, sizeof head, "postern-webhook 1 %020llu\n\n", (unsigned long long)from);
    return write_at(fd, head, HEAD_N, 0);
}

static bool read_head(struct hook_file *f, uint64_t size)
{
    char head[HEAD_N + 1] = "", *end = NULL;
    if (size < HEAD_N || io_read_at(f->fd, head, HEAD_N, 0) < HEAD_N || strncmp(head, "postern-webhook 1 ", 18) != 0) return false;
    f->from = strtoull(head + 18, &end, 10);
    f->to = size;
    return end && *end == '\n' && f->from >= HEAD_N && f->from <= size;
}

static void begin(struct hook_file *f)
{
    f->from = f->to = HEAD_N;
    if (ftruncate(f->fd, 0) != 0 || !write_head(f->fd, HEAD_N))
        log_event(LOG_WARNING, "webhook-queue", LOG_STR("file", f->path), LOG_STR("error", strerror(errno)));
}

void hook_file_open(struct hook_file *f, const char *directory, const char *url)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char name[17], last;
    struct stat st;
    SHA256((const unsigned char *)url, strlen(url), digest);
    for (size_t i = 0; i < 8; i++) snprintf(name + 2 * i, 3, "%02x", digest[i]);
    snprintf(f->path, sizeof f->path, "%s/%s", directory, name);
    f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        log_event(LOG_WARNING, "webhook-queue", LOG_STR("file", f->path), LOG_STR("error", strerror(errno)));
        hook_file_close(f);
        return;
    }
    if (!read_head(f, (uint64_t)st.st_size)) begin(f);
    else if (f->to > f->from && io_read_at(f->fd, &last, 1, f->to - 1) == 1 && last != '\n' && write_at(f->fd, "\n", 1, f->to)) f->to++;
}

void hook_file_close(struct hook_file *f)
{
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

enum hook_kept hook_file_add(struct hook_file *f, struct slice line)
{
    struct buf b = { 0 };
    if (f->fd < 0) return HOOK_NOT_WRITTEN;
    if (f->to - f->from + line.n + 1 > HOOK_QUEUE_MAX) return HOOK_FULL;
    buf_add(&b, line);
    buf_add_char(&b, '\n');
    bool ok = write_at(f->fd, b.p, b.n, f->to);
    if (ok) f->to += b.n;
    else (void)!ftruncate(f->fd, (off_t)f->to);
    buf_deinit(&b);
    return ok ? HOOK_KEPT : HOOK_NOT_WRITTEN;
}

bool hook_file_first(struct hook_file *f, struct buf *line, uint64_t *end)
{
    while (f->fd >= 0 && f->from < f->to) {
        size_t n = f->to - f->from < HOOK_EVENT_MAX + 1 ? (size_t)(f->to - f->from) : HOOK_EVENT_MAX + 1;
        buf_clear(line);
        char *p = buf_reserve(line, n);
        n = io_read_at(f->fd, p, n, f->from);
        const char *stop = n ? memchr(p, '\n', n) : NULL;
        if (stop && stop > p && p[0] == '{' && stop[-1] == '}') {
            line->n = (size_t)(stop - p);
            *end = f->from + line->n + 1;
            return true;
        }
        if (!n) begin(f); /* it was made shorter by somebody */
        else hook_file_done(f, f->from + (stop ? (size_t)(stop - p) + 1 : n));
    }
    return false;
}

/* The rest moves to a new file. */
static void shrink(struct hook_file *f)
{
    char path[4410], piece[65536];
    snprintf(path, sizeof path, "%s.new", f->path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 && write_head(fd, HEAD_N);
    uint64_t at = HEAD_N;
    for (uint64_t from = f->from; ok && from < f->to;) {
        size_t n = io_read_at(f->fd, piece, f->to - from < sizeof piece ? (size_t)(f->to - from) : sizeof piece, from);
        ok = n && write_at(fd, piece, n, at);
        from += n;
        at += n;
    }
    if (ok && rename(path, f->path) == 0) {
        close(f->fd);
        f->fd = fd;
        f->from = HEAD_N;
        f->to = at;
        return;
    }
    if (fd >= 0) close(fd);
    (void)unlink(path);
}

void hook_file_done(struct hook_file *f, uint64_t end)
{
    f->from = end > f->to ? f->to : end;
    if (f->fd < 0) return;
    if (f->from == f->to) begin(f);
    else if (f->from > SHRINK_FROM) shrink(f);
    else (void)write_head(f->fd, f->from);
}
