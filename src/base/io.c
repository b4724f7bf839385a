/* SPDX-License-Identifier: Apache-2.0
 * Reading and writing whole pieces of files. */
#include "base/io.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int io_open_file(const char *path, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) err_set_sys(err, errno, "cannot read %.250s", path);
    else if (S_ISREG(st.st_mode)) return fd;
    else err_set_text(err, "%.250s is not a file", path);
    if (fd >= 0) close(fd);
    return -1;
}

bool io_write_all(int fd, struct slice s)
{
    while (s.n) {
        ssize_t k = write(fd, s.p, s.n);
        if (k < 0 && errno == EINTR) continue;
        if (k == 0) errno = ENOSPC;
        if (k <= 0) return false;
        s = slice_sub(s, (size_t)k, s.n);
    }
    return true;
}

size_t io_read_at(int fd, char *to, size_t n, uint64_t at)
{
    size_t done = 0;
    while (done < n) {
        ssize_t k = pread(fd, to + done, n - done, (off_t)(at + done));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        done += (size_t)k;
    }
    return done;
}
