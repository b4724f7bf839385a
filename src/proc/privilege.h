/* SPDX-License-Identifier: Apache-2.0
 * Giving up what a process does not need: its user, its files, its system calls. */
#ifndef POSTERN_PROC_PRIVILEGE_H
#define POSTERN_PROC_PRIVILEGE_H
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct privilege_user {
    bool change; /* false: stay who we are */
    uid_t uid;
    gid_t gid;
    char name[64];
};

/* "" or not being root: no change. false: no such user. Blocks (passwd database). */
bool privilege_lookup(const char *name, struct privilege_user *out, struct err *err) MUST_CHECK;
/* Becomes that user for good, with its group only, and sets no_new_privs in any case. */
bool privilege_drop(const struct privilege_user *u, struct err *err) MUST_CHECK;
/* Closes all descriptors but standard input, output, error and these two (b: -1: none). */
void privilege_close_all_but(int a, int b);

/* Landlock: a list of paths, which are all that this thread and those it starts reach from landlock_restrict on. Where
 * the kernel has none: a line in the log, and all succeeds. An error of any step is told by landlock_restrict. */
struct landlock {
    int rules;          /* -1: there is no list */
    uint64_t handled;   /* rights */
    bool failed;
    struct err err;
};
void landlock_init(struct landlock *l); /* with what every program reads */
void landlock_add_network(struct landlock *l); /* what is read to find names, addresses and authorities */
typedef void landlock_add_path(struct landlock *l, const char *path);
/* A file, or all in a folder; NULL, "" and what does not exist are passed over. */
landlock_add_path landlock_read, landlock_write;
void landlock_read_below(struct landlock *l, const char *directory, const char *name);
bool landlock_restrict(struct landlock *l, struct err *err) MUST_CHECK;

/* AUTH_COMMAND: may start programs, which inherit the filter; so it only takes away what no program of an ordinary user needs. */
/* SCAN: may fork, and end what it forked; its children narrow it to SCAN_CHILD, or with sockets to SCAN_CHILD_NET. TABLES: files; TABLES_NET: and sockets. */
enum seccomp_profile {
    SECCOMP_RELAY,
    SECCOMP_ADMIN,
    SECCOMP_AUTH,
    SECCOMP_AUTH_COMMAND,
    SECCOMP_STORE,
    SECCOMP_SCAN,
    SECCOMP_SCAN_CHILD,
    SECCOMP_SCAN_CHILD_NET,
    SECCOMP_TABLES,
    SECCOMP_TABLES_NET,
    SECCOMP_MAILDIR,     /* files alone */
    SECCOMP_RELAY_LOCAL, /* RELAY, and Unix sockets: mail is handed over on this machine (LMTP) */
};
/* A list of allowed system calls for all threads of the process. Others fail with ENOSYS; those that only an attacker
 * would make end the process. In builds with a sanitizer, or where the kernel has no seccomp: a line in the log, and
 * true. */
bool seccomp_restrict(enum seccomp_profile profile, struct err *err) MUST_CHECK;

#endif
