/* SPDX-License-Identifier: Apache-2.0
 * What is in a spool's directory: names, and the heads of segments. Changes nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "spool/recover.h"

static void add_number(struct numbers *all, uint64_t n)
{
    if (all->n == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 16;
        all->p = mem_grow(all->p, all->cap, sizeof *all->p);
    }
    all->p[all->n++] = n;
}

static void add_segment(struct found *f, uint64_t sequence)
{
    if (f->segment_n == f->segment_cap) {
        f->segment_cap = f->segment_cap ? f->segment_cap * 2 : 16;
        f->segments = mem_grow(f->segments, f->segment_cap, sizeof *f->segments);
    }
    f->segments[f->segment_n++] = (struct old_segment){ .sequence = sequence };
}

void found_free(struct found *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->segment_n; i++) free(f->segments[i].refs);
    free(f->segments);
    free(f->bigs.p);
    free(f->spares.p);
    free(f->drafts.p);
    free(f);
}

static void take_name(struct found *f, const char *name)
{
    uint64_t n;
    if (name_parse(name, "seg-", &n)) {
        add_segment(f, n);
    } else if (name_parse(name, "spare-", &n)) {
        add_number(&f->spares, n);
    } else {
        if (name_parse(name, "draft-", &n)) add_number(&f->drafts, n);
        if (name_parse(name, "big-", &n)) add_number(&f->bigs, n);
        return;
    }
    if (n > f->last) f->last = n;
}

static int by_sequence(const void *a, const void *b)
{
    const struct old_segment *x = a, *y = b;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static bool read_names(struct found *f, int dir_fd, const char *dir_name, struct err *err)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = errno;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    if (!dir) {
        if (fd >= 0) close(fd);
        return err_sys(err, error, "cannot read %s", dir_name);
    }
    while (errno = 0, (e = readdir(dir))) take_name(f, e->d_name);
    error = errno;
    closedir(dir);
    return !error || err_sys(err, error, "cannot read %s", dir_name);
}

static bool read_head(struct found *f, struct old_segment *o, int dir_fd, const char *dir_name, struct err *err)
{
    char name[NAME_N];
    name_segment(name, o->sequence);
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0 && errno != ELOOP && errno != ENOENT) return err_sys(err, errno, "cannot open %s/%s", dir_name, name);
    o->gone = fd < 0 && errno == ENOENT;
    o->status = fd < 0 ? SEGMENT_BAD : segment_head_read(fd, &o->head);
    if (fd >= 0) close(fd);
    if (o->status == SEGMENT_NEWER)
        return err_set(err, "%s/%s was written by a newer version of Postern; this one does not read it", dir_name,
                       name);
    if (o->head.sequence != o->sequence) o->status = SEGMENT_BAD;
    if (o->status != SEGMENT_BAD && o->head.epoch > f->epoch) f->epoch = o->head.epoch;
    return true;
}

struct found *found_read(int dir_fd, const char *dir_name, struct err *err)
{
    struct found *f = mem_new(struct found);
    bool ok = read_names(f, dir_fd, dir_name, err);
    if (ok && f->segment_n) qsort(f->segments, f->segment_n, sizeof *f->segments, by_sequence);
    for (size_t i = 0; ok && i < f->segment_n; i++) ok = read_head(f, &f->segments[i], dir_fd, dir_name, err);
    if (ok) return f;
    found_free(f);
    return NULL;
}
