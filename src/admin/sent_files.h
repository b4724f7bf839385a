/* SPDX-License-Identifier: Apache-2.0
 * Files that the master opens for us, and sends before it says what they are for. */
#ifndef POSTERN_ADMIN_SENT_FILES_H
#define POSTERN_ADMIN_SENT_FILES_H
#include "base/buf.h"
#include "base/err.h"

struct sent_files {
    int socket, secret, certificate, key; /* -1: none */
};
#define SENT_FILES_NONE { -1, -1, -1, -1 }
void sent_files_take(struct sent_files *f, struct slice what, int fd); /* what: "key"; takes fd, which may be -1 */
void sent_files_close(struct sent_files *f);
/* All of a small one; what is in out may be a secret. False: there is none, or it cannot be read. */
bool sent_file_read(int fd, struct buf *out) MUST_CHECK;

#endif
