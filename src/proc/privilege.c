/* SPDX-License-Identifier: Apache-2.0
 * Changing the user for good. */
#include "proc/privilege.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/watch.h"

bool privilege_lookup(const char *name, struct privilege_user *out, struct err *err)
{
    *out = (struct privilege_user){ .uid = geteuid(), .gid = getegid() };
    if (!*name || geteuid() != 0) return true;
    errno = 0;
    const struct passwd *pw = getpwnam(name);
    if (!pw && errno && errno != ENOENT) return err_sys(err, errno, "looking up the user %.60s", name);
    if (!pw)
        return err_set(err, "there is no user \"%.60s\": make it with `useradd --system %.60s`, or name another", name,
                       name);
    if (pw->pw_uid == 0) return err_set(err, "the user \"%.60s\" is root: name one without privileges", name);
    out->change = true;
    out->uid = pw->pw_uid;
    out->gid = pw->pw_gid;
    snprintf(out->name, sizeof out->name, "%s", name);
    return true;
}

static bool change_user(const struct privilege_user *u, struct err *err)
{
    uid_t uid[3];
    gid_t gid[3];
    if (setgroups(1, &u->gid) != 0) return err_sys(err, errno, "setgroups");
    if (setresgid(u->gid, u->gid, u->gid) != 0) return err_sys(err, errno, "setresgid");
    if (setresuid(u->uid, u->uid, u->uid) != 0) return err_sys(err, errno, "setresuid");
    if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0)
        return err_sys(err, errno, "getresuid");
    for (int i = 0; i < 3; i++)
        if (uid[i] != u->uid || gid[i] != u->gid) return err_set(err, "the change to user %s did not take", u->name);
    if (setuid(0) == 0) return err_set(err, "root can be had back after the change to user %s", u->name);
    return true;
}

bool privilege_drop(const struct privilege_user *u, struct err *err)
{
    if (u->change && !change_user(u, err)) return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return err_sys(err, errno, "no_new_privs");
    return true;
}

static void close_between(unsigned first, unsigned last)
{
    if (first > last) return;
    if (syscall(SYS_close_range, first, last, 0) == 0) return;
    long most = sysconf(_SC_OPEN_MAX); /* a kernel before 5.9 */
    if (most > 0 && last >= (unsigned)most) last = (unsigned)most - 1;
    for (unsigned fd = first; fd <= last; fd++) close((int)fd);
}

static int compare_fds(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

void privilege_close_all_but(int a, int b)
{
    int keep[] = { a, b, log_socket(), watch_writer(), watch_reader() };
    unsigned from = 3;
    qsort(keep, countof(keep), sizeof keep[0], compare_fds);
    for (size_t i = 0; i < countof(keep); i++) {
        if (keep[i] < (int)from) continue; /* none, or seen */
        close_between(from, (unsigned)keep[i] - 1);
        from = (unsigned)keep[i] + 1;
    }
    close_between(from, ~0u);
}
