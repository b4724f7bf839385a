/* SPDX-License-Identifier: Apache-2.0
 * The system calls a process may still make. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "proc/privilege.h"

/* What both kinds of process need: memory, threads, the event loop, descriptors they have, time. */
static const char *const common_calls[] = {
    "accept4",
    "brk",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "dup",
    "dup2",
    "dup3",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd2",
    "exit",
    "exit_group",
    "fstat",
    "fstatfs",
    "futex",
    "getcpu",
    "getcwd",
    "getegid",
    "geteuid",
    "getgid",
    "getpeername",
    "getpid",
    "getppid",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsockname",
    "getsockopt",
    "gettid",
    "gettimeofday",
    "getuid",
    "lseek",
    "madvise",
    "membarrier",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "nanosleep",
    "newfstatat",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "sched_getaffinity",
    "sched_yield",
    "select",
    "sendmsg",
    "sendto",
    "set_robust_list",
    "setsockopt",
    "shutdown",
    "sigaltstack",
    "socketpair",
    "stat",
    "statx",
    "sysinfo",
    "time",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    "times",
    "umask",
    "uname",
    "write",
    "writev",
    "open",
    "openat",
    "access",
    "faccessat",
    "faccessat2",
    "lstat",
    "readlink",
    "readlinkat",
    "set_tid_address",
    "mlock",
    "munlock",
    "get_mempolicy",
};
/* What a relay needs besides: the network, the spool. Which files is Landlock's matter. */
static const char *const relay_calls[] = {
    "accept",          "bind",
    "chmod",           "connect",
    "copy_file_range", "fadvise64",
    "fallocate",       "fchmod",
    "fchmodat",        "fdatasync",
    "flock",           "fsync",
    "ftruncate",       "getdents64",
    "ioprio_set",      "link",
    "linkat",          "memfd_create",
    "mkdir",           "mkdirat",
    "msync",
    "pread64",         "preadv",
    "preadv2",         "pwrite64",
    "pwritev",         "pwritev2",
    "readahead",       "recvmmsg",
    "rename",          "renameat",
    "renameat2",       "rmdir",
    "sched_getparam",  "sched_getscheduler",
    "sendfile",        "sendmmsg",
    "splice",          "statfs",
    "sync_file_range", "syncfs",
    "truncate",        "unlink",
    "unlinkat",        "utimensat",
};
/* What asking back ends needs: connections, files that are read, and a refresh token's file that is replaced. */
static const char *const auth_calls[] = {
    "connect",   "bind",           "getdents64",         "pread64", "recvmmsg", "sendmmsg", "statfs",
    "fadvise64", "sched_getparam", "sched_getscheduler", "fchmod",  "fsync",    "rename",   "renameat",
    "renameat2", "unlink",         "unlinkat",
};
/* Messages that are handed over in memory, and files of the quarantine that are handed on. */
static const char *const admin_calls[] = { "memfd_create", "pread64" };
/* What SQLite needs for its files. */
static const char *const store_calls[] = {
    "pread64",   "pwrite64", "fsync",    "fdatasync", "ftruncate", "fallocate", "fadvise64", "unlink", "unlinkat",
    "rename",    "renameat", "renameat2", "fchmod",   "mkdir",     "getdents64", "statfs",
};
/* What reading tables and writing blocks needs: SQLite's files among them, and who of two processes writes. */
static const char *const table_calls[] = {
    "pread64", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate", "fadvise64", "flock", "unlink", "unlinkat", "rename", "renameat",
    "renameat2", "fchmod", "getdents64", "statfs",
};
/* What looking into messages needs: the table of tokens, temporary files. */
static const char *const scan_calls[] = {
    "pread64",   "pwrite64",  "fsync",     "fdatasync", "ftruncate", "fallocate", "fadvise64", "flock",    "msync", "unlink",
    "unlinkat",  "rename",    "renameat",  "renameat2", "fchmod",    "mkdir",     "rmdir",     "getdents64", "statfs", "memfd_create",
};
static const char *const scan_net_calls[] = { "connect", "bind", "sendmmsg", "recvmmsg", "sched_getparam", "sched_getscheduler" };
/* What its dispatcher needs: to start such a process, to narrow its rights, to end it. */
static const char *const fork_calls[] = { "wait4", "waitid", "seccomp", "setrlimit", "close_range", "tgkill" };
/* What writing into mailboxes needs. */
static const char *const maildir_calls[] = {
    "pread64", "fsync", "mkdir", "mkdirat", "link", "linkat", "unlink", "unlinkat", "statfs",
};
/* Starting other programs. */
static const char *const start_calls[] = { "execve", "execveat", "fork", "vfork" };
/* Nothing here is ever called by us or our libraries: whoever does is somebody else. */
static const char *const deadly_calls[] = {
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "bpf",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "capset",
    "userfaultfd",
    "perf_event_open",
    "keyctl",
    "add_key",
    "request_key",
    "open_by_handle_at",
    "mknod",
    "mknodat",
    "personality",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
};

/* Calls that this architecture does not have are passed over. */
static int add_calls(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int call = seccomp_syscall_resolve_name(names[i]);
        if (call < 0) continue;
        int rc = seccomp_rule_add(f, action, call, 0);
        if (rc != 0) return rc;
    }
    return 0;
}

/* Threads, but no processes and no namespaces. clone3 keeps its flags in memory, where a filter cannot look: the C
 * library falls back to clone when it is told there is no such call. */
static int add_threads(scmp_filter_ctx f)
{
    return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, 0x10000, 0x10000));
}

/* A call that is allowed when its argument `which` has one of these values. */
static int add_choice(scmp_filter_ctx f, int call, unsigned which, const int *values, size_t n)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, SCMP_CMP(which, SCMP_CMP_EQ, (scmp_datum_t)values[i]));
    return rc;
}

/* Processes, but no namespaces; and SIGKILL for them. */
static int add_forks(scmp_filter_ctx f)
{
    static const int names[] = { PR_SET_DUMPABLE, PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_GET_SECCOMP, PR_SET_NO_NEW_PRIVS };
    int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, 0x7E020000, 0));
    if (rc == 0) rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, SCMP_A1(SCMP_CMP_EQ, SIGKILL));
    if (rc == 0) rc = add_choice(f, SCMP_SYS(prctl), 0, names, countof(names));
    if (rc == 0) rc = add_calls(f, SCMP_ACT_ALLOW, fork_calls, countof(fork_calls));
    return rc;
}

/* What reaches beyond the process: the other workers have the same user, and standard error may be root's terminal,
 * into which ioctl could type. */
static int add_own(scmp_filter_ctx f)
{
    static const int names[] = { PR_SET_NAME }, nobody[] = { 0 };
    static const int controls[] = { FIONREAD, FIONBIO, FIOCLEX, TCGETS };
    static const int commands[] = { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK,
                                    F_SETLKW, F_ADD_SEALS };
    const int self[] = { getpid() };
    int rc = add_choice(f, SCMP_SYS(prctl), 0, names, countof(names));
    if (rc == 0) rc = add_choice(f, SCMP_SYS(kill), 0, self, countof(self));
    if (rc == 0) rc = add_choice(f, SCMP_SYS(tgkill), 0, self, countof(self));
    if (rc == 0) rc = add_choice(f, SCMP_SYS(prlimit64), 0, nobody, countof(nobody));
    if (rc == 0) rc = add_choice(f, SCMP_SYS(ioctl), 1, controls, countof(controls));
    if (rc == 0) rc = add_choice(f, SCMP_SYS(fcntl), 1, commands, countof(commands));
    return rc;
}

/* The sockets of Dovecot, of a directory, of LMTP servers. */
static int add_local_sockets(scmp_filter_ctx f)
{
    return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
}

/* TCP and UDP, and what getaddrinfo and getifaddrs ask the kernel. */
static int add_sockets(scmp_filter_ctx f)
{
    static const struct {
        int family, protocol;
    } kinds[] = {
        { AF_INET, 0 },  { AF_INET, IPPROTO_TCP },  { AF_INET, IPPROTO_UDP },
        { AF_INET6, 0 }, { AF_INET6, IPPROTO_TCP }, { AF_INET6, IPPROTO_UDP },
        { AF_NETLINK, NETLINK_ROUTE },
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < countof(kinds); i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)kinds[i].family),
                              SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)kinds[i].protocol));
    return rc;
}

static int add_scan_rules(scmp_filter_ctx f, enum seccomp_profile profile, int rc)
{
    if (rc == 0) rc = add_calls(f, SCMP_ACT_ALLOW, scan_calls, countof(scan_calls));
    if (rc == 0 && profile == SECCOMP_SCAN) rc = add_forks(f);
    if (rc != 0 || profile == SECCOMP_SCAN_CHILD) return rc;
    rc = add_calls(f, SCMP_ACT_ALLOW, scan_net_calls, countof(scan_net_calls));
    if (rc == 0) rc = add_local_sockets(f);
    if (rc == 0) rc = add_sockets(f);
    return rc;
}

static int add_table_rules(scmp_filter_ctx f, enum seccomp_profile profile, int rc)
{
    if (rc == 0) rc = add_calls(f, SCMP_ACT_ALLOW, table_calls, countof(table_calls));
    if (rc != 0 || profile == SECCOMP_TABLES) return rc;
    rc = add_calls(f, SCMP_ACT_ALLOW, scan_net_calls, countof(scan_net_calls));
    if (rc == 0) rc = add_local_sockets(f);
    return rc == 0 ? add_sockets(f) : rc;
}

static int add_rules(scmp_filter_ctx f, enum seccomp_profile profile)
{
    bool programs = profile == SECCOMP_AUTH_COMMAND; /* of others, which may try one of these and do without */
    int rc = add_calls(f, programs ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS, deadly_calls, countof(deadly_calls));
    if (programs) return rc;
    if (rc == 0) rc = add_calls(f, SCMP_ACT_KILL_PROCESS, start_calls, countof(start_calls));
    if (rc == 0) rc = add_calls(f, SCMP_ACT_ALLOW, common_calls, countof(common_calls));
    if (rc == 0) rc = add_threads(f);
    if (rc == 0) rc = add_own(f);
    if (profile == SECCOMP_ADMIN && rc == 0) rc = add_calls(f, SCMP_ACT_ALLOW, store_calls, countof(store_calls)); /* the database of accounts */
    if (profile == SECCOMP_ADMIN) return rc == 0 ? add_calls(f, SCMP_ACT_ALLOW, admin_calls, countof(admin_calls)) : rc;
    if (profile == SECCOMP_SCAN || profile == SECCOMP_SCAN_CHILD || profile == SECCOMP_SCAN_CHILD_NET) return add_scan_rules(f, profile, rc);
    if (profile == SECCOMP_TABLES || profile == SECCOMP_TABLES_NET) return add_table_rules(f, profile, rc);
    if (profile == SECCOMP_STORE) return rc == 0 ? add_calls(f, SCMP_ACT_ALLOW, store_calls, countof(store_calls)) : rc;
    if (profile == SECCOMP_MAILDIR) return rc == 0 ? add_calls(f, SCMP_ACT_ALLOW, maildir_calls, countof(maildir_calls)) : rc;
    if (profile == SECCOMP_RELAY_LOCAL && rc == 0) rc = add_local_sockets(f);
    if ((profile == SECCOMP_RELAY || profile == SECCOMP_RELAY_LOCAL) && rc == 0) rc = add_calls(f, SCMP_ACT_ALLOW, relay_calls, countof(relay_calls));
    if (profile == SECCOMP_AUTH && rc == 0) rc = add_calls(f, SCMP_ACT_ALLOW, auth_calls, countof(auth_calls));
    if (profile == SECCOMP_AUTH && rc == 0) rc = add_local_sockets(f);
    if (rc == 0) rc = add_sockets(f);
    return rc;
}

bool seccomp_restrict(enum seccomp_profile profile, struct err *err)
{
    if (SANITIZER) {
        log_event(LOG_INFO, "no-seccomp", LOG_STR("reason", "built with a sanitizer, which needs other system calls"));
        return true;
    }
    if (prctl(PR_GET_SECCOMP) < 0) {
        log_event(LOG_WARNING, "no-seccomp", LOG_STR("reason", "the kernel has none"));
        return true;
    }
    scmp_filter_ctx f = seccomp_init(profile == SECCOMP_AUTH_COMMAND ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS));
    if (!f) return err_set(err, "seccomp: no memory");
    int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); /* all threads */
    if (rc == 0) (void)seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree of calls, not a list */
    if (rc == 0) rc = add_rules(f, profile);
    if (rc == 0) rc = seccomp_load(f);
    seccomp_release(f);
    return rc == 0 ? true : err_sys(err, -rc, "seccomp");
}
