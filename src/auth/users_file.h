/* SPDX-License-Identifier: Apache-2.0
 * Changing the users file (its format: user_line.c), for `postern user` and the process that does it for the API. All
 * block; one change at a time. */
#ifndef POSTERN_AUTH_USERS_FILE_H
#define POSTERN_AUTH_USERS_FILE_H
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

/* What the file holds in place of a password: yescrypt hash, SCRAM keys, and a secret for CRAM-MD5, of which
 * users_file_change makes no use unless the user has one. Takes a tenth of a second; any thread. Wipe it. */
bool users_secret_make(struct slice password, struct buf *out, struct err *err) MUST_CHECK;
bool users_password_ok(struct slice password, struct err *err) MUST_CHECK; /* can it be one? */
bool users_name_ok(struct slice name, struct err *err) MUST_CHECK;
/* May a user send as this? a@b.example, @b.example, * */
bool users_address_ok(struct slice one, struct err *err) MUST_CHECK;
/* The id of this user's group, which may read a file that is new; -1: there is no such user, or only root could give it
 * away. */
int64_t users_group_of(const char *user);

struct users_change {
    struct slice name;
    struct slice secret;    /* of users_secret_make; p NULL: stays as it is */
    struct slice addresses; /* separated by commas; p NULL: stays as it is */
    bool cram_md5;          /* keep the secret for CRAM-MD5, too; who had one before gets the new one in any case */
    bool remove;
    bool must_exist, must_not_exist;
    /* Folders (ended by NULL), for whoever names the file, but may not write anywhere: elsewhere it must have been made as a
     * users file, and in these nothing else is changed either. NULL: wherever it is. */
    const char *const *new_in;
    int64_t group; /* of a file that is new; -1: as it comes */
};
/* Replaces the file by a changed one (mode 0640, or what an older one has of it), which is on disk when it returns
 * true. Not a link. err->code: EEXIST, ESRCH (there is no such user), EINVAL (name or addresses), or what the system said. */
bool users_file_change(const char *path, const struct users_change *change, struct err *err) MUST_CHECK;

struct users_entry {
    struct slice name, addresses; /* valid within the call */
    bool cram_md5, locked;
};
/* Calls for each user. */
typedef void users_file_cb(void *arg, const struct users_entry *user);
bool users_file_each(const char *path, users_file_cb *cb, void *arg, struct err *err) MUST_CHECK;

#endif
