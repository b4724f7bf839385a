/* SPDX-License-Identifier: Apache-2.0
 * A database as it is at one moment, while others write to it. It lies in a folder of somebody with fewer rights, who could put links there:
 * so the copy is made by a process with his rights. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backup/backup.h"

#define BUSY_MS 30000
#define PREFIX "postern-backup-"
#define FULL "the disk is full"

/* sqlite.org/fileformat.html, 1.3: bytes 18 and 19 say which kind of journal a database has. A copy is whole without one. */
static bool leave_wal(int fd)
{
    unsigned char kind[2];
    ssize_t n = pread(fd, kind, sizeof kind, 18);
    if (n != sizeof kind) return n == 0; /* there is nothing in it */
    return kind[0] != 2 || kind[1] != 2 || pwrite(fd, "\1\1", sizeof kind, 18) == sizeof kind;
}

/* In a process of its own, which reads what somebody else wrote: it has nothing else that is open. To standard output goes a line when the copy is
 * open, whose name is taken away then, and behind it what went wrong. A journal would need that name: there is none, as nobody wants half a copy. */
static bool copy_database(const char *from, const char *to)
{
    sqlite3 *in = NULL, *out = NULL;
    const char *at = "the database";
    int raw = -1, rc = sqlite3_open_v2(from, &in, SQLITE_OPEN_READWRITE, NULL);
    if (rc == SQLITE_OK) {
        at = "its copy";
        rc = sqlite3_open_v2(to, &out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
        if (rc == SQLITE_OK) rc = sqlite3_exec(out, "PRAGMA journal_mode=OFF", NULL, NULL, NULL);
        if (rc == SQLITE_OK && (raw = open(to, O_RDWR | O_CLOEXEC | O_NOFOLLOW)) < 0) rc = SQLITE_CANTOPEN;
        if (rc == SQLITE_OK) puts("");
        fflush(stdout);
        sqlite3_busy_timeout(in, BUSY_MS);
    }
    sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(out, "main", in, "main") : NULL;
    if (b) {
        (void)sqlite3_backup_step(b, -1);
        rc = sqlite3_backup_finish(b);
    } else if (rc == SQLITE_OK) {
        rc = sqlite3_errcode(out);
    }
    sqlite3_close(out);
    sqlite3_close(in);
    if (rc == SQLITE_OK && !leave_wal(raw)) rc = SQLITE_IOERR;
    if (rc != SQLITE_OK) printf("%s: %s", at, (rc & 0xff) == SQLITE_FULL ? FULL : sqlite3_errstr(rc));
    fflush(stdout);
    return rc == SQLITE_OK;
}

static bool become(const struct stat *owner)
{
    if (geteuid() != 0 || owner->st_uid == 0) return true;
    return setgroups(1, &owner->st_gid) == 0 && setresgid(owner->st_gid, owner->st_gid, owner->st_gid) == 0 &&
           setresuid(owner->st_uid, owner->st_uid, owner->st_uid) == 0;
}

/* Where a copy is made: <folder>/copy, as long as it needs names. A lock of the folder says that somebody works in there. */
struct scratch {
    char folder[4500], copy[4600];
    int lock;
};

static void scratch_end(struct scratch *s)
{
    (void)unlink(s->copy);
    (void)rmdir(s->folder);
    if (s->lock >= 0) close(s->lock);
    s->lock = -1;
}

/* What somebody left who was killed: a folder, perhaps with a copy that is empty, as it has a name only until it is open. Anything else is somebody
 * else's. Not in folders where everybody makes files. */
static void sweep(const char *in)
{
    struct stat st;
    DIR *d = opendir(in);
    if (!d || fstat(dirfd(d), &st) != 0 || (st.st_mode & S_IWOTH)) {
        if (d) closedir(d);
        return;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        if (strncmp(e->d_name, PREFIX, sizeof PREFIX - 1) != 0 || strlen(e->d_name) != sizeof PREFIX + 5) continue;
        int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) continue;
        bool left = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (left && fstatat(fd, "copy", &st, AT_SYMLINK_NOFOLLOW) == 0 && !st.st_size) (void)unlinkat(fd, "copy", 0);
        if (left) (void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
        close(fd);
    }
    closedir(d);
}

static bool scratch_begin(struct scratch *s, const char *in, const struct stat *owner, struct err *err)
{
    struct stat there;
    s->lock = -1;
    sweep(in);
    for (unsigned i = 0; i < 5; i++) { /* again: somebody swept it away before it was locked */
        snprintf(s->folder, sizeof s->folder, "%s/" PREFIX "XXXXXX", in);
        if (!mkdtemp(s->folder)) break;
        snprintf(s->copy, sizeof s->copy, "%s/copy", s->folder);
        s->lock = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        bool ours = s->lock >= 0 && flock(s->lock, LOCK_EX | LOCK_NB) == 0 && stat(s->folder, &there) == 0;
        if (ours && fchown(s->lock, owner->st_uid, owner->st_gid) == 0) return true;
        int code = errno;
        scratch_end(s);
        errno = code;
        if (ours) break;
    }
    return err_sys(err, errno, "%.250s", s->folder);
}

/* A descriptor of the copy, as soon as it has a name, which it loses then. */
static int take_copy(struct scratch *s)
{
    struct stat st;
    int fd = open(s->copy, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool plain = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
    (void)unlink(s->copy);
    (void)rmdir(s->folder);
    if (!plain && fd >= 0) close(fd);
    return plain ? fd : -1;
}

/* What it says, up to its end; after the first line the copy is there. */
static int listen_to(int from, struct scratch *s, char *why, size_t size)
{
    size_t n = 0;
    int fd = -1;
    ssize_t k;
    while (n < size - 1 && (k = read(from, why + n, size - 1 - n)) > 0) {
        n += (size_t)k;
        if (why[0] != '\n' || fd >= 0) continue;
        fd = take_copy(s);
        memmove(why, why + 1, --n);
        if (fd < 0) break;
    }
    why[n] = 0;
    return fd;
}

static int run(const char *path, struct scratch *s, const struct stat *owner, struct err *err)
{
    int status = 0, ends[2];
    char why[200];
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) return err_sys(err, errno, "a pipe") ? 0 : -1;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close_range(STDERR_FILENO + 1, ~0u, 0);
        bool fine = become(owner) && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent; /* a change of the user forgets the signal */
        _exit(fine && copy_database(path, s->copy) ? 0 : 1);
    }
    close(ends[1]);
    int fd = pid > 0 ? listen_to(ends[0], s, why, sizeof why) : -1;
    close(ends[0]);
    if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0 && fd >= 0) return fd;
    int folder = (int)(strrchr(s->copy, '/') - s->copy);
    err_set_text(err, "%.120s: a copy cannot be made in %.*s: %.100s", path, folder < 120 ? folder : 120, s->copy,
                 pid > 0 && *why ? why : "its process ended");
    if (pid > 0 && strstr(why, FULL)) err->code = ENOSPC;
    if (fd >= 0) close(fd);
    return -1;
}

static int snapshot_in(const char *path, const char *in, const struct stat *owner, struct err *err)
{
    struct scratch s;
    if (!scratch_begin(&s, in, owner, err)) return -1;
    int fd = run(path, &s, owner, err);
    scratch_end(&s);
    return fd;
}

int backup_snapshot(const char *path, const char *const *scratch, struct stat *st, struct err *err)
{
    struct err first;
    struct stat copy;
    int fd = -1;
    for (size_t i = 0; fd < 0 && scratch[i]; i++) {
        fd = snapshot_in(path, scratch[i], st, err);
        if (!i) first = *err;
    }
    if (fd < 0 && scratch[0]) *err = first;
    if (fd < 0) return -1;
    if (fstat(fd, &copy) == 0) {
        st->st_size = copy.st_size;
        return fd;
    }
    err_sys(err, errno, "%.250s", path);
    close(fd);
    return -1;
}
