/* SPDX-License-Identifier: Apache-2.0
 * Descriptors of the master, kept until they are used. */
#include "admin/sent_files.h"
#include <unistd.h>
#include "base/mem.h"

#define FILE_MAX (256u << 10)

static void replace(int *fd, int with)
{
    if (*fd >= 0) close(*fd);
    *fd = with;
}

void sent_files_take(struct sent_files *f, struct slice what, int fd)
{
    static const char *const names[] = { "socket", "secret", "certificate", "key" };
    int *const where[] = { &f->socket, &f->secret, &f->certificate, &f->key };
    for (size_t i = 0; i < countof(names); i++) {
        if (!slice_eq(what, slice_str(names[i]))) continue;
        replace(where[i], fd);
        return;
    }
    if (fd >= 0) close(fd);
}

void sent_files_close(struct sent_files *f)
{
    int *const all[] = { &f->socket, &f->secret, &f->certificate, &f->key };
    for (size_t i = 0; i < countof(all); i++) replace(all[i], -1);
}

bool sent_file_read(int fd, struct buf *out)
{
    ssize_t k = -1;
    out->max = FILE_MAX;
    for (char *to; (to = buf_reserve(out, 4096)) && (k = pread(fd, to, 4096, (off_t)out->n)) > 0;) out->n += (size_t)k;
    return k == 0 && out->n;
}
