/* SPDX-License-Identifier: Apache-2.0
 * Files of blocks, and who may write them. */
#include "table/block_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"

#define SUFFIX ".table"
#define ASIDE ".aside" /* beginning of what is being written */
#define LOCK "lock"
#define MODE 0640      /* the group: of those who look into them */

static void name(char out[4300], const char *directory, const char *id)
{
    snprintf(out, 4300, "%s/%s" SUFFIX, directory, id);
}

/* ---- reading */

static bool read_all(int fd, char *out, size_t n)
{
    while (n) {
        ssize_t k = read(fd, out, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        out += k;
        n -= (size_t)k;
    }
    return true;
}

struct snapshot *block_file_read(const char *directory, const char *id)
{
    char path[4300];
    struct stat st;
    struct err err;
    name(path, directory, id);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return NULL;
    char *block = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= (off_t)SNAPSHOT_MAX) {
        block = mem_alloc((size_t)st.st_size);
        if (!read_all(fd, block, (size_t)st.st_size)) {
            free(block);
            block = NULL;
        }
    }
    close(fd);
    return block ? snapshot_open(block, (size_t)st.st_size, &err) : NULL;
}

/* ---- writing */

static bool write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static bool write_aside(const char *path, const void *block, size_t n, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, MODE);
    if (fd < 0) return err_sys(err, errno, "%.250s cannot be written", path);
    bool ok = fchmod(fd, MODE) == 0 && write_all(fd, block, n) && fsync(fd) == 0;
    int code = errno;
    close(fd);
    return ok || err_sys(err, code, "%.250s cannot be written", path);
}

static bool sync_folder(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return ok;
}

bool block_file_write(const char *directory, const char *id, const struct snapshot *s, struct err *err)
{
    char aside[4400], path[4300];
    size_t n;
    const void *block = snapshot_block(s, &n);
    snprintf(aside, sizeof aside, "%s/" ASIDE "-%s-%ld", directory, id, (long)getpid());
    name(path, directory, id);
    if (!write_aside(aside, block, n, err)) {
        (void)unlink(aside);
        return false;
    }
    if (rename(aside, path) == 0) return sync_folder(directory) || err_sys(err, errno, "the folder %.250s", directory);
    err_sys(err, errno, "%.250s cannot be written", path);
    (void)unlink(aside);
    return false;
}

/* ---- what is left over */

static bool is_ours(const struct tables *t, const char *file)
{
    size_t n = strlen(file), suffix = sizeof SUFFIX - 1;
    if (n <= suffix || strcmp(file + n - suffix, SUFFIX) != 0) return false;
    for (size_t i = 0; i < tables_count(t); i++) {
        const char *id = tables_source(t, i)->id;
        if (strlen(id) == n - suffix && !memcmp(id, file, n - suffix)) return true;
    }
    return false;
}

void block_file_clean(const char *directory, const struct tables *t)
{
    DIR *d = opendir(directory);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        bool block = strstr(e->d_name, SUFFIX), aside = !strncmp(e->d_name, ASIDE, sizeof ASIDE - 1);
        if ((!block && !aside) || is_ours(t, e->d_name)) continue;
        if (unlinkat(dirfd(d), e->d_name, 0) == 0 && block && !aside) log_event(LOG_INFO, "table-removed", LOG_STR("file", e->d_name));
    }
    if (d) closedir(d);
}

/* ---- who may write */

void block_owner_take(struct block_owner *o, const char *directory)
{
    char aside[4400], path[4300];
    struct err before = o->trouble;
    *o = (struct block_owner){ .directory = directory, .fd = -1 };
    snprintf(aside, sizeof aside, "%s/" ASIDE "-" LOCK "-%ld", directory, (long)getpid());
    snprintf(path, sizeof path, "%s/" LOCK, directory);
    int fd = open(aside, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && rename(aside, path) == 0) {
        o->fd = fd;
        return;
    }
    err_set_sys(&o->trouble, errno, "%.250s cannot be made", path);
    if (strcmp(before.text, o->trouble.text) != 0) log_event(LOG_WARNING, "table-lock", LOG_STR("file", path), LOG_STR("error", strerror(o->trouble.code)));
    if (fd >= 0) close(fd);
    (void)unlink(aside);
}

bool block_owner_is_us(struct block_owner *o)
{
    char path[4300];
    struct stat ours, there;
    snprintf(path, sizeof path, "%s/" LOCK, o->directory);
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && o->fd >= 0 && fstat(o->fd, &ours) == 0 && fstat(fd, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
        close(fd);
        return true;
    }
    bool gone = fd < 0 ? errno == ENOENT : flock(fd, LOCK_EX | LOCK_NB) == 0; /* of one that lives: it would not be had */
    if (!gone) o->trouble = (struct err){ .text = "" };
    if (!gone && fd < 0) err_set_sys(&o->trouble, errno, "%.250s cannot be opened", path);
    if (fd >= 0) close(fd);
    if (o->fd >= 0) close(o->fd);
    o->fd = -1;
    if (gone) block_owner_take(o, o->directory);
    return o->fd >= 0;
}
