/* SPDX-License-Identifier: Apache-2.0
 * Reading and writing whole pieces of files. */
#include "base/io.h"
#include <errno.h>
#include <unistd.h>

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
