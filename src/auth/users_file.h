/* SPDX-License-Identifier: Apache-2.0
 * Changing the users file (its format: users.c). All block; one change at a time. */
#ifndef POSTERN_AUTH_USERS_FILE_H
#define POSTERN_AUTH_USERS_FILE_H
#include "base/buf.h"
#include "base/err.h"

struct users_change {
    struct slice name;
    struct slice password;       /* p NULL: stays as it is */
    struct slice addresses;      /* separated by commas; p NULL: stays as it is */
    bool cram_md5;               /* a secret for CRAM-MD5, too */
    bool remove;
    bool must_exist, must_not_exist;
    const char *group_of;        /* user whose group may read a file that is new; NULL: nobody's */
};
/* Replaces the file by a changed one (mode 0640, or what an older one has of it), which is on disk when it returns true. */
bool users_file_change(const char *path, const struct users_change *change, struct err *err) MUST_CHECK;
/* Calls for each user. */
typedef void users_file_cb(void *arg, const char *name, bool cram_md5, struct slice addresses);
bool users_file_each(const char *path, users_file_cb *cb, void *arg, struct err *err) MUST_CHECK;

#endif
