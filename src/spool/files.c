/* SPDX-License-Identifier: Apache-2.0
 * The files of a spool's directory: their names, how a segment comes to be and how it goes. A name seg-* is only ever
 * given to a file whose head is on disk, and no record is written before that name is on disk too; so no two segments
 * that hold records were ever written under the same sequence number. */
#include "spool/private.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

void name_segment(char out[NAME_N], uint64_t sequence) { snprintf(out, NAME_N, "seg-%016" PRIx64, sequence); }
void name_spare(char out[NAME_N], uint64_t sequence) { snprintf(out, NAME_N, "spare-%016" PRIx64, sequence); }
void name_draft(char out[NAME_N], uint64_t no) { snprintf(out, NAME_N, "draft-%016" PRIx64, no); }

void name_big(char out[NAME_N], uint64_t id)
{
    char text[ID_TEXT_LEN + 1];
    id_format(id, text);
    snprintf(out, NAME_N, "big-%s", text);
}

bool name_parse(const char *name, const char *prefix, uint64_t *number)
{
    size_t n = strlen(prefix);
    char check[NAME_N], *end;
    if (strncmp(name, prefix, n) != 0) return false;
    if (!strcmp(prefix, "big-")) return id_parse(slice_str(name + n), number);
    if (strlen(name + n) != 16 || name[n] == '-' || name[n] == '+' || name[n] == ' ') return false;
    errno = 0;
    *number = strtoull(name + n, &end, 16);
    snprintf(check, sizeof check, "%s%016" PRIx64, prefix, *number);
    return !errno && !*end && !strcmp(check, name);
}

static bool write_head(struct spool *sp, int fd, struct made_segment *m, struct err *err)
{
    struct segment_head h = { .sequence = m->sequence, .epoch = sp->epoch, .created = clock_wall_ms() };
    if (getrandom(&h.salt, sizeof h.salt, 0) != (ssize_t)sizeof h.salt) return err_set(err, "no random numbers");
    m->seed = segment_seed(&h);
    if (!segment_head_write(fd, &h, err)) return false;
    return fdatasync(fd) == 0 || err_sys(err, errno, "cannot sync the head of a segment");
}

/* A spare to write over; its name in `name`. -1 when there is none. */
static int take_spare(struct spool *sp, struct made_segment *m, char name[NAME_N])
{
    struct stat st;
    pthread_mutex_lock(&sp->flush.lock);
    bool have = sp->flush.spare_n > 0;
    uint64_t sequence = have ? sp->flush.spares[--sp->flush.spare_n] : 0;
    pthread_mutex_unlock(&sp->flush.lock);
    if (!have) return -1;
    name_spare(name, sequence);
    int fd = openat(sp->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == sp->o.segment_size &&
        (uint64_t)st.st_blocks * 512 >= sp->o.segment_size) {
        m->written = true;
        return fd;
    }
    if (fd >= 0) close(fd);
    unlinkat(sp->dir_fd, name, 0);
    return -1;
}

/* Room that is only reserved must not be what the guard keeps free: ends of messages are written there when nothing else is left,
 * and only they make room again. */
static bool may_reserve(const struct spool *sp)
{
    struct statvfs v;
    if (fstatvfs(sp->dir_fd, &v) != 0) return false;
    return (uint64_t)v.f_bavail * v.f_frsize >= sp->o.segment_size + (uint64_t)v.f_blocks * v.f_frsize / 100 * sp->o.free_percent;
}

/* A new file, its blocks reserved if the file system can and has them. Without them it is tried all the same: what
 * little is left may do for the records that make other segments free. */
static int make_file(struct spool *sp, struct made_segment *m, char name[NAME_N], struct err *err)
{
    name_spare(name, m->sequence);
    int fd = openat(sp->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_sys(err, errno, "cannot make a segment in %s", sp->dir);
        return -1;
    }
    m->written = false;
    if (!may_reserve(sp) || fallocate(fd, 0, 0, (off_t)sp->o.segment_size) != 0) {
        m->written = true; /* appending: there is nothing to fill with zeros ahead */
        if (ftruncate(fd, 0) != 0) { /* the head is written over whatever there is */ }
    }
    return fd;
}

bool segment_make(struct spool *sp, uint64_t sequence, struct made_segment *out, struct err *err)
{
    struct made_segment m = { .sequence = sequence, .size = sp->o.segment_size };
    char old[NAME_N], name[NAME_N];
    int fd = take_spare(sp, &m, old);
    if (fd < 0) fd = make_file(sp, &m, old, err);
    if (fd < 0) return false;
    name_segment(name, sequence);
    bool ok = write_head(sp, fd, &m, err);
    if (ok && renameat(sp->dir_fd, old, sp->dir_fd, name) != 0)
        ok = err_sys(err, errno, "cannot name %s/%s", sp->dir, name);
    if (ok && fsync(sp->dir_fd) != 0) {
        ok = err_sys(err, errno, "cannot sync the directory %s", sp->dir);
        unlinkat(sp->dir_fd, name, 0);
    }
    if (!ok) {
        unlinkat(sp->dir_fd, old, 0);
        close(fd);
        return false;
    }
    m.fd = fd;
    *out = m;
    crash_point("segment-new");
    return true;
}

bool segment_retire(struct spool *sp, uint64_t sequence, uint64_t size)
{
    struct flush *f = &sp->flush;
    char name[NAME_N], to[NAME_N];
    name_segment(name, sequence);
    name_spare(to, sequence);
    pthread_mutex_lock(&f->lock);
    bool keep = f->spare_n < SPARES_MAX && size == sp->o.segment_size;
    pthread_mutex_unlock(&f->lock);
    if (keep) keep = renameat(sp->dir_fd, name, sp->dir_fd, to) == 0;
    if (!keep && unlinkat(sp->dir_fd, name, 0) != 0 && errno != ENOENT) return false;
    if (fsync(sp->dir_fd) != 0) return false; /* its bytes must not be written over while the old name may come back */
    if (keep) {
        pthread_mutex_lock(&f->lock);
        assert(f->spare_n < SPARES_MAX); /* only this adds to them, one call at a time */
        f->spares[f->spare_n++] = sequence;
        pthread_mutex_unlock(&f->lock);
    }
    crash_point("segment-removed");
    return true;
}

void damaged_save(int dir_fd, int from, uint64_t sequence, uint64_t offset, uint64_t n)
{
    char name[NAME_N], b[65536];
    snprintf(name, sizeof name, "damaged-%016" PRIx64 "-%08" PRIx64, sequence, offset);
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return;
    while (n) {
        size_t part = n < sizeof b ? (size_t)n : sizeof b;
        ssize_t k = pread(from, b, part, (off_t)offset);
        if (k <= 0 || write(fd, b, (size_t)k) != k) break;
        offset += (uint64_t)k;
        n -= (uint64_t)k;
    }
    if (fsync(fd) == 0) fsync(dir_fd);
    close(fd);
}
