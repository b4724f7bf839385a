/* SPDX-License-Identifier: Apache-2.0
 * A recipient's Maildir: where it is, and writing into it. Blocks; for threads. */
#ifndef POSTERN_MAILDIR_FOLDER_H
#define POSTERN_MAILDIR_FOLDER_H
#include "base/buf.h"
#include "base/err.h"

#define MAILDIR_NAME_MAX 200 /* bytes of what stands for %n, %d or %u */

/* The folder for a recipient: `path` (config_hop) with %d, %n and %u replaced, in lower case, local parts unquoted. What would lead elsewhere, be
 * hidden, or be no file's name is refused: NULL when it went well, else why not, as a clause about the address. */
const char *maildir_folder(const char *path, struct slice rcpt, struct buf *out) MUST_CHECK;
/* How many bytes of `path` the configuration alone decides: up to and without the last '/' before the first '%', or the end. At least 1. */
size_t maildir_fixed(const char *path);

/* A stretch of the message: n bytes of fd from `from` on, or with.p: these. */
struct maildir_run {
    uint64_t from, n;
    struct slice with;
};
struct maildir_mail {
    const char *hostname;
    struct slice head;             /* lines in front of the text, CRLF; then all runs. Line ends become LF */
    int fd;
    const struct maildir_run *runs;
    size_t run_n;
};
/* Delivers into `folder`, of which the first `fixed` bytes must be there; what is missing behind them is made, for its user alone. True: the
 * message is on disk, in new. False with errno as err->code: nothing is left of it. From any thread. */
bool maildir_write(const char *folder, size_t fixed, const struct maildir_mail *m, struct err *err) MUST_CHECK;

#endif
