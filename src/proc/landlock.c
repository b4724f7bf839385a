/* SPDX-License-Identifier: Apache-2.0
 * Landlock: which files a process may still reach. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"
#include "proc/privilege.h"

#define RIGHTS_FILE_READ LANDLOCK_ACCESS_FS_READ_FILE
#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_ABI1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define RIGHT_REFER (UINT64_C(1) << 13)     /* ABI 2 */
#define RIGHT_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define RIGHT_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */

static bool add_path(int rules, const char *path, uint64_t directory_rights, uint64_t file_rights, struct err *err)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? true : err_sys(err, errno, "%.200s", path);
    if (fstat(fd, &st) != 0) {
        err_sys(err, errno, "%.200s", path);
        close(fd);
        return false;
    }
    struct landlock_path_beneath_attr rule = {
        .allowed_access = S_ISDIR(st.st_mode) ? directory_rights : file_rights,
        .parent_fd = fd,
    };
    long rc = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    if (rc != 0) err_sys(err, errno, "Landlock, %.200s", path);
    close(fd);
    return rc == 0;
}

static bool add_paths(int rules, const char *const *read_write, const char *const *read_only, uint64_t handled,
                      struct err *err)
{
    uint64_t write =
        handled & ~(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM);
    uint64_t write_file = handled & (RIGHTS_FILE_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE);
    for (; *read_write; read_write++)
        if (!add_path(rules, *read_write, write, write_file, err)) return false;
    for (; *read_only; read_only++)
        if (!add_path(rules, *read_only, RIGHTS_READ, RIGHTS_FILE_READ, err)) return false;
    return true;
}

bool landlock_restrict(const char *const *read_write, const char *const *read_only, struct err *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) { /* ENOSYS: not built in; EOPNOTSUPP: not enabled at boot; EPERM: a container's filter */
        log_event(LOG_WARNING, "no-landlock", LOG_STR("reason", strerror(errno)));
        return true;
    }
    struct landlock_ruleset_attr attr = { .handled_access_fs = RIGHTS_ABI1 };
    if (abi >= 2) attr.handled_access_fs |= RIGHT_REFER;
    if (abi >= 3) attr.handled_access_fs |= RIGHT_TRUNCATE;
    if (abi >= 5) attr.handled_access_fs |= RIGHT_IOCTL_DEV;
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0) return err_sys(err, errno, "Landlock");
    bool ok = add_paths(rules, read_write, read_only, attr.handled_access_fs, err);
    if (ok && syscall(SYS_landlock_restrict_self, rules, 0) != 0) ok = err_sys(err, errno, "Landlock");
    close(rules);
    return ok;
}
