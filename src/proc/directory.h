/* SPDX-License-Identifier: Apache-2.0
 * Directories, the lock that keeps a second master out, and the control socket's name. */
#ifndef POSTERN_PROC_DIRECTORY_H
#define POSTERN_PROC_DIRECTORY_H
#include <sys/types.h>
#include "base/err.h"

struct privilege_user;

/* Makes path and what is missing above it. A directory with an owner gets that owner and mode also when it was there;
 * without (NULL: ours) one that was there is left as it is. */
bool directory_make(const char *path, mode_t mode, const struct privilege_user *owner, struct err *err) MUST_CHECK;
/* The same with files that its owner writes and these two read: by the group of the first, which what is made in there belongs to, and where
 * the second has another group by an access list. Nobody else may look into it. */
bool directory_share(const char *path, const struct privilege_user *owner, const struct privilege_user *reader,
                     const struct privilege_user *other, struct err *err) MUST_CHECK;
/* What root makes, opens and gives away in a directory must not be in the hands of others: it belongs to root, and
 * nobody else may write to it. */
bool directory_check_private(const char *path, const char *option, struct err *err) MUST_CHECK;
/* <dir>/postern.pid: locked as long as this process lives, and not by those it forks. -1 when another one runs, saying
 * its pid. *stale: a former master left it without taking leave. */
int directory_lock(const char *dir, bool *stale, struct err *err) MUST_CHECK;
/* Takes leave: empties the file; its lock goes with the descriptor. */
void directory_unlock(int fd);
/* A listening Unix socket at path, in place of one that was left over; mode 0660, of the user's group. -1 with err. */
int directory_control_socket(const char *path, const struct privilege_user *user, struct err *err) MUST_CHECK;

#endif
