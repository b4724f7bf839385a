/* SPDX-License-Identifier: Apache-2.0
 * Files, and whole pieces of them, however many calls that takes. All of this blocks. */
#ifndef POSTERN_BASE_IO_H
#define POSTERN_BASE_IO_H
#include "base/err.h"
#include "base/slice.h"

/* For reading. -1 with err: it cannot be opened, or is no file; a pipe in its place is not waited for. */
int io_open_file(const char *path, struct err *err) MUST_CHECK;
/* False with errno. */
bool io_write_all(int fd, struct slice s) MUST_CHECK;
/* How many bytes were read; fewer than n: the end, or an error. */
size_t io_read_at(int fd, char *to, size_t n, uint64_t at) MUST_CHECK;

#endif
