/* SPDX-License-Identifier: Apache-2.0
 * Directories and what the master keeps in them. */
#include "proc/directory.h"
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/slice.h"
#include "proc/privilege.h"

static bool make_parents(const char *path, struct err *err)
{
    char part[4200];
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/') continue;
        if (snprintf(part, sizeof part, "%.*s", (int)i, path) >= (int)sizeof part)
            return err_set(err, "a path is too long");
        if (mkdir(part, 0755) != 0 && errno != EEXIST) return err_sys(err, errno, "making the directory %.200s", part);
    }
    return true;
}

bool directory_make(const char *path, mode_t mode, const struct privilege_user *owner, struct err *err)
{
    if (!make_parents(path, err)) return false;
    bool made = mkdir(path, mode) == 0;
    if (!made && errno != EEXIST) return err_sys(err, errno, "making the directory %.200s", path);
    if (!made && !owner) return true;
    /* by descriptor and without following: the directory above may belong to a less privileged user */
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "opening the directory %.200s", path);
    bool ok = true;
    if (owner && owner->change && fchown(fd, owner->uid, owner->gid) != 0)
        ok = err_sys(err, errno, "giving the directory %.200s to %s", path, owner->name);
    else if (fchmod(fd, mode) != 0 && errno != EPERM)
        ok = err_sys(err, errno, "mode of the directory %.200s", path);
    close(fd);
    return ok;
}

/* An access list as the kernel takes it (linux/posix_acl_xattr.h): the owner, one more user who may read, the group. */
static bool set_list(int fd, const char *name, uid_t reader)
{
    const struct {
        struct posix_acl_xattr_header head;
        struct posix_acl_xattr_entry entries[5];
    } list = { { htole32(POSIX_ACL_XATTR_VERSION) },
               { { htole16(ACL_USER_OBJ), htole16(7), htole32(ACL_UNDEFINED_ID) }, { htole16(ACL_USER), htole16(5), htole32(reader) },
                 { htole16(ACL_GROUP_OBJ), htole16(5), htole32(ACL_UNDEFINED_ID) }, { htole16(ACL_MASK), htole16(5), htole32(ACL_UNDEFINED_ID) },
                 { htole16(ACL_OTHER), 0, htole32(ACL_UNDEFINED_ID) } } };
    return fsetxattr(fd, name, &list, sizeof list, 0) == 0;
}

static bool share(int fd, const char *path, const struct privilege_user *owner, const struct privilege_user *reader,
                  const struct privilege_user *other, struct err *err)
{
    if (reader->change && fchown(fd, owner->change ? owner->uid : (uid_t)-1, reader->gid) != 0)
        return err_sys(err, errno, "giving the directory %.200s to %s", path, owner->name);
    if (fchmod(fd, S_ISGID | 0750) != 0 && errno != EPERM) return err_sys(err, errno, "mode of the directory %.200s", path);
    if (!other->change || other->gid == reader->gid || other->uid == owner->uid) return true;
    if (set_list(fd, "system.posix_acl_access", other->uid) && set_list(fd, "system.posix_acl_default", other->uid)) return true;
    return err_sys(err, errno, "the directory %.200s cannot be opened to %s, as there are no access lists on its file system: let "
                               "system.scan_user be system.user", path, other->name);
}

bool directory_share(const char *path, const struct privilege_user *owner, const struct privilege_user *reader,
                     const struct privilege_user *other, struct err *err)
{
    if (!directory_make(path, 0750, owner, err)) return false;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return err_sys(err, errno, "opening the directory %.200s", path);
    bool ok = share(fd, path, owner, reader, other, err);
    close(fd);
    return ok;
}

bool directory_check_private(const char *path, const char *option, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0) return err_sys(err, errno, "%s: %.200s", option, path);
    bool group_may = (st.st_mode & S_IWGRP) && st.st_gid != 0;
    if (st.st_uid == 0 && !group_may && !(st.st_mode & S_IWOTH)) return true;
    return err_set(err, "%s: %.200s must belong to root and be writable by nobody else: `chown root:root` and "
                        "`chmod go-w` it", option, path);
}

int directory_lock(const char *dir, bool *stale, struct err *err)
{
    char path[4200], text[32];
    snprintf(path, sizeof path, "%s/postern.pid", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_sys(err, errno, "opening %.200s", path);
        return -1;
    }
    (void)fchmod(fd, 0600); /* who can open it can lock it, and thereby keep us from starting */
    ssize_t before = read(fd, text, sizeof text - 1);
    *stale = before > 0;
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_SETLK, &whole) != 0) { /* POSIX locks: ours alone, not inherited by fork */
        int code = errno;
        if (code == EACCES || code == EAGAIN)
            err_set(err, "postern is running already with %.200s (pid %.*s)", dir,
                    (int)slice_trim(slice_of(text, before > 0 ? (size_t)before : 0)).n, text);
        else
            err_sys(err, code, "locking %.200s", path);
        err->code = code;
        close(fd);
        return -1;
    }
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n) return fd;
    err_sys(err, errno, "writing %.200s", path);
    close(fd);
    return -1;
}

void directory_unlock(int fd)
{
    /* not unlinked: who opened it just now would lock a file that nobody else finds */
    if (ftruncate(fd, 0) == 0) close(fd);
}

int directory_control_socket(const char *path, const struct privilege_user *user, struct err *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof to.sun_path) {
        err_set(err, "system.run_directory: %.120s is longer than the %zu bytes a socket's name may have", path,
                sizeof to.sun_path - 1);
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path));
    (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t former = umask(0177); /* nobody else until it has its owner */
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof to) == 0 && listen(fd, 64) == 0;
    int code = errno;
    umask(former);
    if (ok && ((user->change && lchown(path, (uid_t)-1, user->gid) != 0) || chmod(path, 0660) != 0)) {
        ok = false;
        code = errno;
    }
    if (ok) return fd;
    err_sys(err, code, "the control socket %.200s", path);
    if (fd >= 0) close(fd);
    return -1;
}
