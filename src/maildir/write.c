/* SPDX-License-Identifier: Apache-2.0
 * One message into a Maildir: written in tmp under a name that nobody has, brought to disk, linked into new, and that brought to disk. Folders are
 * walked one by one without following links, so that whoever may write into one of them cannot lead mail elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "maildir/folder.h"

#define CHUNK 65536

static bool fail(struct err *err, const char *what)
{
    return err_sys(err, errno, "%s", what);
}

/* One folder below another one; made where it is missing. -1 with errno. */
static int open_below(int parent, const char *name)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, fd = openat(parent, name, flags);
    if (fd >= 0 || errno != ENOENT) return fd;
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) return -1;
    if (fsync(parent) != 0) return -1;
    return openat(parent, name, flags);
}

static int open_folder(const char *folder, size_t fixed)
{
    char name[256], root[1200];
    if (fixed >= sizeof root) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(root, folder, fixed);
    root[fixed] = 0;
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct slice rest = slice_str(folder + fixed), part;
    while (fd >= 0 && rest.n) {
        slice_cut(&rest, '/', &part);
        if (!part.n) continue;
        int below = -1;
        if (part.n >= sizeof name) errno = ENAMETOOLONG;
        else {
            memcpy(name, part.p, part.n);
            name[part.n] = 0;
            below = open_below(fd, name);
        }
        int code = errno;
        close(fd);
        errno = code;
        fd = below;
    }
    return fd;
}

/* ---- the text */

struct out {
    int fd;
    bool cr;          /* the last byte was one, and is not written yet */
    size_t n;
    char *to;         /* CHUNK bytes and a little */
};

static bool flush(struct out *o)
{
    bool ok = io_write_all(o->fd, slice_of(o->to, o->n));
    o->n = 0;
    return ok;
}

/* CRLF becomes LF, as mailboxes have it. */
static bool add(struct out *o, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (o->cr && s.p[i] != '\n') o->to[o->n++] = '\r';
        o->cr = s.p[i] == '\r';
        if (!o->cr) o->to[o->n++] = s.p[i];
        if (o->n >= CHUNK && !flush(o)) return false;
    }
    return true;
}

static bool copy_run(struct out *o, int fd, const struct maildir_run *r, char *room)
{
    for (uint64_t done = 0; done < r->n;) {
        size_t want = r->n - done < CHUNK ? (size_t)(r->n - done) : CHUNK, n = io_read_at(fd, room, want, r->from + done);
        if (n != want) {
            errno = EIO; /* the spool's file is shorter than it must be */
            return false;
        }
        if (!add(o, slice_of(room, n))) return false;
        done += n;
    }
    return true;
}

static bool write_text(int fd, const struct maildir_mail *m)
{
    char *room = mem_alloc(2 * CHUNK + 16);
    struct out o = { .fd = fd, .to = room + CHUNK };
    bool ok = add(&o, m->head);
    for (size_t i = 0; i < m->run_n && ok; i++) ok = m->runs[i].with.p ? add(&o, m->runs[i].with) : copy_run(&o, m->fd, &m->runs[i], room);
    if (o.cr) o.to[o.n++] = '\r';
    ok = ok && flush(&o) && fsync(fd) == 0;
    int code = errno;
    free(room);
    errno = code;
    return ok;
}

/* ---- names: time, process and a count in it make it unique on this machine, the host elsewhere */

static void make_name(const char *hostname, char *out, size_t size)
{
    static atomic_uint count;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int n = snprintf(out, size, "%lld.M%06ldP%dQ%u.", (long long)now.tv_sec, now.tv_nsec / 1000, (int)getpid(), atomic_fetch_add(&count, 1));
    for (; *hostname && (size_t)n + 1 < size; hostname++) out[n++] = *hostname == '/' || *hostname == ':' ? '_' : *hostname;
    out[n] = 0;
}

static bool place(int tmp, int new, const char *name, const struct maildir_mail *m)
{
    int fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool ok = write_text(fd, m) && linkat(tmp, name, new, name, 0) == 0;
    int code = errno;
    close(fd);
    unlinkat(tmp, name, 0);
    if (ok && fsync(new) != 0) {
        ok = false;
        code = errno;
        unlinkat(new, name, 0); /* it will be written again */
    }
    errno = code;
    return ok;
}

bool maildir_write(const char *folder, size_t fixed, const struct maildir_mail *m, struct err *err)
{
    char name[200];
    int dir = open_folder(folder, fixed), tmp = -1, new = -1, cur = -1;
    if (dir < 0) return fail(err, "the folder cannot be opened or made");
    if ((cur = open_below(dir, "cur")) >= 0 && (new = open_below(dir, "new")) >= 0) tmp = open_below(dir, "tmp");
    make_name(m->hostname, name, sizeof name);
    bool ok = tmp >= 0 ? place(tmp, new, name, m) || fail(err, "the message cannot be written")
                       : fail(err, "the folders cur, new and tmp cannot be opened or made");
    const int all[] = { tmp, new, cur, dir };
    for (size_t i = 0; i < countof(all); i++)
        if (all[i] >= 0) close(all[i]);
    return ok;
}
