/* SPDX-License-Identifier: Apache-2.0
 * The master process: binds ports, starts and restarts the others, reloads, gives left spools to those that live. It
 * parses nothing that comes from outside. */
#ifndef POSTERN_PROC_MASTER_H
#define POSTERN_PROC_MASTER_H
#include "base/buf.h"
#include "config/config.h"

struct privilege_user;

/* What the admin process begins with (admin/admin.h). */
struct admin_start {
    int channel; /* to the master */
    int socket;  /* listening: the control socket */
    const char *directory; /* of accounts, which it may write */
    const struct privilege_user *user;
    bool sandbox;
};

struct master_options {
    struct config *config;                           /* the master's from here on */
    const char *file;                                /* where it came from, for reloads */
    int (*admin_main)(const struct admin_start *start); /* in the child; what it returns is the exit code */
};

/* users.c: false: some users that the processes of this configuration become are not on this machine. names: "a", nor "b"; hint: what makes them.
 * Who is not root changes to nobody, so that none is missed. Blocks (passwd database). */
bool master_users_there(const struct config *c, struct buf *names, struct buf *hint);

/* Runs until SIGTERM or SIGINT; the exit code. */
int master_run(const struct master_options *o);

#endif
