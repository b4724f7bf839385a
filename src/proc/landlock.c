/* SPDX-License-Identifier: Apache-2.0
 * Landlock: which files a process may still reach. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "proc/privilege.h"

#define RIGHTS_FILE_READ LANDLOCK_ACCESS_FS_READ_FILE
#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_ABI1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define RIGHT_REFER (UINT64_C(1) << 13)     /* ABI 2 */
#define RIGHT_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define RIGHT_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */

static void add_path(struct landlock *l, const char *path, uint64_t directory_rights, uint64_t file_rights)
{
    struct stat st;
    if (l->rules < 0 || l->failed || !path || !*path) return;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES)) return;
    if (fd < 0 || fstat(fd, &st) != 0) {
        l->failed = true;
        err_set_sys(&l->err, errno, "%.200s", path);
    } else {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = S_ISDIR(st.st_mode) ? directory_rights : file_rights,
            .parent_fd = fd,
        };
        l->failed = syscall(SYS_landlock_add_rule, l->rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0;
        if (l->failed) err_set_sys(&l->err, errno, "Landlock, %.200s", path);
    }
    if (fd >= 0) close(fd);
}

void landlock_read(struct landlock *l, const char *path)
{
    add_path(l, path, RIGHTS_READ, RIGHTS_FILE_READ);
}

void landlock_read_below(struct landlock *l, const char *directory, const char *name)
{
    char path[4400];
    int n = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (n > 0 && (size_t)n < sizeof path) landlock_read(l, path);
}

void landlock_write(struct landlock *l, const char *path)
{
    uint64_t not_needed = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                          LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM;
    add_path(l, path, l->handled & ~not_needed,
             l->handled & (RIGHTS_FILE_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE));
}

void landlock_add_network(struct landlock *l)
{
    static const char *const paths[] = {
        "/etc/resolv.conf", "/etc/hosts",     "/etc/host.conf",  "/etc/nsswitch.conf", "/etc/gai.conf",
        "/etc/services",    "/etc/protocols", "/usr/share/dns",  "/var/lib/unbound",   "/etc/ssl",
        "/etc/ld.so.cache", "/proc/meminfo",  "/proc/sys/net",   "/usr/share/ca-certificates",
    };
    for (size_t i = 0; i < countof(paths); i++) landlock_read(l, paths[i]);
}

void landlock_init(struct landlock *l)
{
    static const char *const paths[] = {
        "/lib",          "/lib64",     "/usr/lib", "/etc/localtime", "/usr/share/zoneinfo",
        "/dev/urandom",  "/proc/self", "/sys/devices/system/cpu",
    };
    *l = (struct landlock){ .rules = -1 };
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) { /* ENOSYS: not built in; EOPNOTSUPP: not enabled at boot; EPERM: a container's filter */
        log_event(LOG_WARNING, "no-landlock", LOG_STR("reason", strerror(errno)));
        return;
    }
    l->handled = RIGHTS_ABI1;
    if (abi >= 2) l->handled |= RIGHT_REFER;
    if (abi >= 3) l->handled |= RIGHT_TRUNCATE;
    if (abi >= 5) l->handled |= RIGHT_IOCTL_DEV;
    struct landlock_ruleset_attr attr = { .handled_access_fs = l->handled };
    l->rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (l->rules < 0) {
        l->failed = true;
        err_set_sys(&l->err, errno, "Landlock");
    }
    for (size_t i = 0; i < countof(paths); i++) landlock_read(l, paths[i]);
    landlock_write(l, "/dev/null");
}

bool landlock_restrict(struct landlock *l, struct err *err)
{
    if (!l->failed && l->rules >= 0 && syscall(SYS_landlock_restrict_self, l->rules, 0) != 0) {
        l->failed = true;
        err_set_sys(&l->err, errno, "Landlock");
    }
    if (l->rules >= 0) close(l->rules);
    l->rules = -1;
    if (l->failed) *err = l->err;
    return !l->failed;
}
