/* SPDX-License-Identifier: Apache-2.0
 * Processes: the channel, the pause before a restart, the register of spools, listening sockets, the certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/channel.h"
#include "base/mem.h"
#include "proc/directory.h"
#include "proc/listen.h"
#include "proc/privilege.h"
#include "proc/restart.h"
#include "proc/spools.h"
#include "net/tls.h"
#include "proc/tls.h"

/* ---- channel */

struct side {
    struct event_base *base;
    struct channel *channel;
    json_t *got; /* array of all messages */
    int fds[8];
    unsigned fd_n, ends;
    bool free_at_first;
};

static void on_message(void *arg, const json_t *m, int fd)
{
    struct side *s = arg;
    json_array_append(s->got, (json_t *)m);
    if (fd >= 0) s->fds[s->fd_n++] = fd;
    if (s->free_at_first) channel_free(&s->channel);
}

static void on_end(void *arg)
{
    struct side *s = arg;
    s->ends++;
    channel_free(&s->channel);
}

static void pair_open(struct side *a, struct side *b, int fds[2])
{
    struct err err;
    *a = (struct side){ .base = event_base_new(), .got = json_array() };
    *b = (struct side){ .base = a->base, .got = json_array() };
    assert_true(channel_pair(fds, &err));
    a->channel = channel_new(a->base, fds[0], on_message, on_end, a);
    b->channel = channel_new(b->base, fds[1], on_message, on_end, b);
}

static void turn(struct side *s, int n)
{
    while (n--) event_base_loop(s->base, EVLOOP_NONBLOCK);
}

static void pair_close(struct side *a, struct side *b)
{
    channel_free(&a->channel);
    channel_free(&b->channel);
    event_base_free(a->base);
    json_decref(a->got);
    json_decref(b->got);
    for (unsigned i = 0; i < b->fd_n; i++) close(b->fds[i]);
}

static void send_number(struct channel *c, int n, int fd)
{
    json_t *m = json_pack("{s:i}", "n", n);
    channel_send(c, m, fd);
    json_decref(m);
}

static int number_at(const struct side *s, size_t i)
{
    return (int)json_integer_value(json_object_get(json_array_get(s->got, i), "n"));
}

static void channel_carries_messages_in_order(void **state)
{
    struct side a, b;
    int fds[2];
    pair_open(&a, &b, fds);
    for (int i = 0; i < 1000; i++) send_number(a.channel, i, -1);
    turn(&a, 50);
    assert_int_equal(json_array_size(b.got), 1000);
    for (int i = 0; i < 1000; i++) assert_int_equal(number_at(&b, (size_t)i), i);
    pair_close(&a, &b);
}

static void channel_carries_large_messages(void **state)
{
    struct side a, b;
    int fds[2];
    size_t n = CHANNEL_FRAME_MAX - 100;
    char *text = mem_alloc(n);
    memset(text, 'x', n);
    pair_open(&a, &b, fds);
    json_t *m = json_pack("{s:s%}", "text", text, n);
    for (int i = 0; i < 3; i++) channel_send(a.channel, m, -1);
    turn(&a, 500);
    assert_int_equal(json_array_size(b.got), 3);
    assert_true(json_equal(json_array_get(b.got, 2), m));
    json_decref(m);
    free(text);
    pair_close(&a, &b);
}

/* Each descriptor must come with its own message, however the bytes were cut. */
static void channel_carries_descriptors(void **state)
{
    struct side a, b;
    struct stat sent, got;
    int fds[2], pipes[4][2];
    pair_open(&a, &b, fds);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        send_number(a.channel, 100 + i, -1);
        send_number(a.channel, i, pipes[i][0]);
    }
    turn(&a, 50);
    assert_int_equal(json_array_size(b.got), 8);
    assert_int_equal(b.fd_n, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(number_at(&b, (size_t)i * 2 + 1), i);
        fstat(pipes[i][0], &sent);
        fstat(b.fds[i], &got);
        assert_true(sent.st_ino == got.st_ino);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    pair_close(&a, &b);
}

static void channel_tells_the_end_once(void **state)
{
    struct side a, b;
    int fds[2];
    pair_open(&a, &b, fds);
    send_number(a.channel, 7, -1);
    channel_free(&a.channel);
    turn(&a, 10);
    assert_int_equal(json_array_size(b.got), 1); /* what was sent before is not lost */
    assert_int_equal(b.ends, 1);
    assert_null(b.channel);
    pair_close(&a, &b);
}

static void channel_may_be_freed_within_a_callback(void **state)
{
    struct side a, b;
    int fds[2];
    pair_open(&a, &b, fds);
    b.free_at_first = true;
    for (int i = 0; i < 3; i++) send_number(a.channel, i, -1);
    turn(&a, 10);
    assert_int_equal(json_array_size(b.got), 1);
    assert_int_equal(b.ends, 0);
    pair_close(&a, &b);
}

static void expect_refused(const void *bytes, size_t n)
{
    struct side a;
    struct err err;
    int fds[2];
    a = (struct side){ .base = event_base_new(), .got = json_array() };
    assert_true(channel_pair(fds, &err));
    a.channel = channel_new(a.base, fds[0], on_message, on_end, &a);
    assert_int_equal(write(fds[1], bytes, n), n);
    turn(&a, 10);
    assert_int_equal(a.ends, 1);
    assert_int_equal(json_array_size(a.got), 0);
    close(fds[1]);
    event_base_free(a.base);
    json_decref(a.got);
}

static void channel_refuses_what_is_no_frame(void **state)
{
    expect_refused("\0\0\0\0\0\0\0\0", 8);                     /* empty */
    expect_refused("\xff\xff\xff\x7f\0\0\0\0", 8);             /* longer than any frame */
    expect_refused("\2\0\0\0\2\0\0\0{}", 10);                  /* more than one descriptor */
    expect_refused("\2\0\0\0\1\0\0\0{}", 10);                  /* a descriptor that did not come */
    expect_refused("\2\0\0\0\0\0\0\0[]", 10);                  /* not an object */
    expect_refused("\3\0\0\0\0\0\0\0{{}", 11);                 /* not JSON */
}

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Descriptors that nobody announced are not kept without end. */
static void channel_ends_when_descriptors_pile_up(void **state)
{
    struct side a = { .base = event_base_new(), .got = json_array() };
    struct err err;
    int fds[2], before = count_fds(), sent = 0;
    assert_true(channel_pair(fds, &err));
    a.channel = channel_new(a.base, fds[0], on_message, on_end, &a);
    for (; sent < 100 && !a.ends; sent++) {
        char room[CMSG_SPACE(3 * sizeof(int))] = { 0 };
        char frame[] = "\2\0\0\0\0\0\0\0{}";
        struct iovec io = { frame, 10 };
        struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        *h = (struct cmsghdr){ CMSG_LEN(3 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(h), (int[]){ 0, 1, 2 }, 3 * sizeof(int));
        assert_int_equal(sendmsg(fds[1], &m, 0), 10);
        turn(&a, 3);
    }
    assert_true(sent < 20);
    assert_int_equal(a.ends, 1);
    close(fds[1]);
    assert_int_equal(count_fds(), before);
    event_base_free(a.base);
    json_decref(a.got);
}

/* ---- restart */

static void restart_pauses_grow(void **state)
{
    static const uint64_t seconds[] = { 0, 1, 2, 4, 8, 16, 32, 60, 60 };
    struct restart r = { 0 };
    for (size_t i = 0; i < countof(seconds); i++) assert_int_equal(restart_pause(&r, 100), seconds[i] * 1000);
    assert_int_equal(restart_pause(&r, RESTART_HEALTHY_MS), 0);
    assert_int_equal(restart_pause(&r, 0), 1000);
}

/* ---- spools */

static char *temporary(void)
{
    char *dir = mem_strdup("/tmp/postern-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void remove_all(char *dir)
{
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    free(dir);
}

static void spools_have_one_owner(void **state)
{
    char *dir = temporary(), path[100];
    struct privilege_user user = { 0 };
    struct err err;
    int a, b;
    snprintf(path, sizeof path, "%s/7", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    struct spools *s = spools_new(dir, &user, &err);
    assert_non_null(s);
    assert_int_equal(spools_take(s, &a, 0, &err), 0);
    assert_int_equal(spools_take(s, &b, 0, &err), 1);
    assert_true(spools_owned(s, 0, &a));
    assert_false(spools_owned(s, 0, &b));
    assert_int_equal(spools_adopt(s, &b, 0), 7); /* it was there */
    assert_int_equal(spools_adopt(s, &b, 0), -1);
    spools_release(s, &b, false, 0);
    assert_int_equal(spools_adopt(s, &a, 0), 1);
    assert_int_equal(spools_adopt(s, &a, 0), 7);
    spools_emptied(s, 7);
    assert_int_equal(spools_adopt(s, &a, 0), -1);
    assert_int_equal(spools_take(s, &b, 0, &err), 2);
    spools_free(&s);
    remove_all(dir);
}

static void spools_wait_after_trouble(void **state)
{
    char *dir = temporary();
    struct privilege_user user = { 0 };
    struct err err;
    int a;
    struct spools *s = spools_new(dir, &user, &err);
    assert_int_equal(spools_take(s, &a, 0, &err), 0);
    spools_busy(s, 0, 0);
    assert_int_equal(spools_take(s, &a, 1, &err), 1); /* not 0 */
    assert_int_equal(spools_adopt(s, &a, 1999), -1);
    assert_int_equal(spools_adopt(s, &a, 2000), 0);
    spools_release(s, &a, true, 2000); /* both: the first crash costs no pause, the second a second */
    assert_int_equal(spools_adopt(s, &a, 2000), 0);
    spools_release(s, &a, true, 2000);
    assert_int_equal(spools_adopt(s, &a, 2999), 1);
    assert_int_equal(spools_adopt(s, &a, 3000), 0);
    spools_free(&s);
    remove_all(dir);
}

/* A worker that was taken over owns what is in the spool's folder, and can put there what it likes. */
static void spools_pass_over_what_is_no_directory(void **state)
{
    char *dir = temporary(), path[100], target[100];
    struct privilege_user user = { 0 };
    struct stat st;
    struct err err;
    int a;
    snprintf(target, sizeof target, "%s/target", dir);
    assert_int_equal(mkdir(target, 0755), 0);
    snprintf(path, sizeof path, "%s/spool", dir);
    struct spools *s = spools_new(path, &user, &err);
    assert_non_null(s);
    snprintf(path, sizeof path, "%s/spool/0", dir);
    assert_int_equal(symlink(target, path), 0);
    snprintf(path, sizeof path, "%s/spool/1", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(spools_take(s, &a, 0, &err), 2);
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755); /* not reached through the link */
    spools_free(&s);
    remove_all(dir);
}

/* ---- listening sockets */

static struct config_listener loopback(uint16_t port)
{
    struct config_listener l = { .port = port };
    assert_true(ip_parse(SLICE("127.0.0.1"), &l.ip));
    return l;
}

static uint16_t free_port(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &n), 0);
    close(fd);
    return ntohs(to.sin_port);
}

static void listeners_are_kept_over_reloads(void **state)
{
    struct config_listener first[] = { loopback(free_port()) }, second[] = { loopback(free_port()), first[0] };
    struct config c1 = { .listeners = first, .listener_n = 1 }, c2 = { .listeners = second, .listener_n = 2 };
    struct err err;
    struct listen_set *a = listen_set_open(&c1, 3, NULL, false, &err);
    assert_non_null(a);
    int fd = listen_set_fd(a, 0, 2);
    struct listen_set *b = listen_set_open(&c2, 2, a, false, &err);
    assert_non_null(b);
    assert_int_equal(listen_set_sockets(b, 0), 2);
    assert_int_equal(listen_set_sockets(b, 1), 3); /* none is closed */
    assert_int_equal(listen_set_fd(b, 1, 2), fd);
    listen_set_free(&a);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    a = listen_set_open(&c1, 4, b, false, &err);
    assert_int_equal(listen_set_sockets(a, 0), 4);
    listen_set_free(&b);
    listen_set_free(&a);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* A worker that was taken over can do this to the socket it shares with the master. */
static void listeners_recover_from_misuse(void **state)
{
    struct config_listener l[] = { loopback(free_port()) };
    struct config c = { .listeners = l, .listener_n = 1 };
    struct sockaddr_storage to;
    struct err err;
    struct listen_set *a = listen_set_open(&c, 1, NULL, false, &err);
    assert_non_null(a);
    int fd = dup(listen_set_fd(a, 0, 0)), client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    socklen_t n = ip_to_sockaddr(&l[0].ip, l[0].port, &to);
    assert_int_equal(connect(client, (struct sockaddr *)&to, n), -1);
    assert_true(fcntl(listen_set_fd(a, 0, 0), F_GETFL) & O_NONBLOCK);
    assert_int_equal(connect(client, (struct sockaddr *)&to, n), 0);
    close(client);
    close(fd);
    listen_set_free(&a);
}

static void listeners_name_the_option_when_taken(void **state)
{
    struct config_listener l[] = { loopback(free_port()) };
    struct config c = { .listeners = l, .listener_n = 1 };
    struct err err;
    struct listen_set *a = listen_set_open(&c, 1, NULL, false, &err);
    assert_non_null(a);
    assert_null(listen_set_open(&c, 1, NULL, false, &err)); /* though SO_REUSEPORT would let it */
    assert_int_equal(err.code, EADDRINUSE);
    assert_non_null(strstr(err.text, "listeners[0].address"));
    listen_set_free(&a);
}

/* ---- directory */

static void only_one_master_runs(void **state)
{
    char *dir = temporary();
    struct err err;
    bool stale = true;
    int lock = directory_lock(dir, &stale, &err);
    assert_true(lock >= 0 && !stale);
    pid_t pid = fork();
    if (pid == 0) _exit(directory_lock(dir, &stale, &err) < 0 && strstr(err.text, "already") ? 0 : 1);
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    directory_unlock(lock);
    lock = directory_lock(dir, &stale, &err);
    assert_true(lock >= 0 && !stale);
    close(lock); /* as by kill -9 */
    lock = directory_lock(dir, &stale, &err);
    assert_true(lock >= 0 && stale);
    directory_unlock(lock);
    remove_all(dir);
}

static void pid_file_cannot_be_locked_by_others(void **state)
{
    char *dir = temporary(), path[100];
    struct stat st;
    struct err err;
    bool stale;
    snprintf(path, sizeof path, "%s/postern.pid", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0644); /* of an earlier version */
    assert_true(fd >= 0);
    close(fd);
    int lock = directory_lock(dir, &stale, &err);
    assert_true(lock >= 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    directory_unlock(lock);
    remove_all(dir);
}

static void directories_of_others_are_refused(void **state)
{
    if (geteuid() != 0) skip();
    char *dir = temporary();
    struct err err;
    assert_true(directory_check_private(dir, "system.directory", &err));
    assert_int_equal(chmod(dir, 01777), 0);
    assert_false(directory_check_private(dir, "system.directory", &err));
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chown(dir, 1, 0), 0);
    assert_false(directory_check_private(dir, "system.directory", &err));
    assert_int_equal(chown(dir, 0, 1), 0);
    assert_true(directory_check_private(dir, "system.directory", &err));
    assert_int_equal(chmod(dir, 0775), 0);
    assert_false(directory_check_private(dir, "system.directory", &err));
    assert_non_null(strstr(err.text, "system.directory"));
    remove_all(dir);
}

/* ---- privileges: each in a process of its own, which ends with the number of the check that failed */

#define CHECK(condition) \
    if (!(condition)) _exit(__LINE__ % 250 + 1)

static void in_child(void (*body)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void drop_user(void)
{
    struct privilege_user u;
    struct err err;
    gid_t many[] = { 0, 4, 27, 42 }, left[8];
    CHECK(setgroups(countof(many), many) == 0);
    CHECK(privilege_lookup("nobody", &u, &err) && u.change);
    CHECK(privilege_drop(&u, &err));
    CHECK(getgroups(countof(left), left) == 1 && left[0] == u.gid);
    CHECK(getuid() == u.uid && geteuid() == u.uid && getgid() == u.gid && getegid() == u.gid);
    CHECK(setuid(0) != 0 && setgid(0) != 0 && setgroups(1, many) != 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0); /* no core with mail in it, no tracing by the other workers */
}

static void privileges_are_gone(void **state)
{
    if (geteuid() != 0) skip();
    in_child(drop_user);
}

static void restrict_calls(void)
{
    struct err err;
    struct rlimit none = { 0 };
    pid_t parent = getppid();
    int fds[2];
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && pipe(fds) == 0);
    CHECK(seccomp_restrict(SECCOMP_RELAY, &err));
    if (prctl(PR_GET_SECCOMP) == 0) _exit(0); /* built with a sanitizer: there is no filter */
    CHECK(kill(getpid(), 0) == 0 && raise(0) == 0);
    CHECK(kill(parent, 0) != 0 && errno == ENOSYS);
    CHECK(syscall(SYS_tgkill, parent, parent, 0) != 0 && errno == ENOSYS);
    CHECK(prlimit(0, RLIMIT_NOFILE, NULL, &none) == 0);
    CHECK(prlimit(parent, RLIMIT_NOFILE, NULL, &none) != 0 && errno == ENOSYS);
    CHECK(ioctl(fds[0], FIONREAD, &(int){ 0 }) == 0);
    CHECK(ioctl(STDIN_FILENO, TIOCSTI, "x") != 0 && errno == ENOSYS);
    CHECK(ioctl(STDIN_FILENO, (unsigned long)TIOCSTI | 1ul << 32, "x") != 0 && errno == ENOSYS);
    CHECK(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(fcntl(fds[0], F_SETOWN, parent) != 0 && errno == ENOSYS);
    CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0 && socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP) >= 0);
    CHECK(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && socket(AF_PACKET, SOCK_RAW, 0) < 0);
    CHECK(socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP) < 0 && socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT) < 0);
    CHECK(syscall(SYS_unshare, 0) == 0); /* the end */
}

static void system_calls_stay_within_the_process(void **state)
{
    int status;
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0 && errno == ENOSYS) skip(); /* under valgrind */
    pid_t pid = fork();
    if (pid == 0) {
        restrict_calls();
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) assert_int_equal(WEXITSTATUS(status), 0);
    else assert_int_equal(WTERMSIG(status), SIGSYS);
}

static char *shared_dir;

static void restrict_files(void)
{
    char inside[100];
    struct landlock l;
    struct err err;
    snprintf(inside, sizeof inside, "%s/file", shared_dir);
    landlock_init(&l);
    landlock_write(&l, shared_dir);
    landlock_read(&l, "/etc/hosts");
    landlock_read(&l, "/nonexistent");
    CHECK(landlock_restrict(&l, &err));
    int fd = open("/etc/passwd", O_RDONLY);
    if (fd >= 0 && syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1) _exit(0); /* the kernel has none */
    CHECK(fd < 0 && errno == EACCES);
    CHECK(open("/etc/hosts", O_RDONLY) >= 0 && open("/etc/hosts", O_WRONLY) < 0);
    CHECK(open(inside, O_CREAT | O_RDWR, 0600) >= 0 && truncate(inside, 10) == 0 && unlink(inside) == 0);
    CHECK(symlink("/etc/passwd", inside) != 0 && mkfifo(inside, 0600) != 0);
    CHECK(opendir("/proc") == NULL && opendir("/") == NULL);
}

static void files_outside_are_out_of_reach(void **state)
{
    shared_dir = temporary();
    in_child(restrict_files);
    remove_all(shared_dir);
}

/* ---- TLS */

static void certificate_is_made_once(void **state)
{
    char *dir = temporary(), certificate[100], key[100];
    struct stat before, after;
    struct err err;
    snprintf(certificate, sizeof certificate, "%s/certificate.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    assert_true(tls_self_signed(dir, "mx.example.com", &err));
    assert_int_equal(stat(key, &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    assert_true(tls_self_signed(dir, "mx.example.com", &err));
    assert_int_equal(stat(key, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    struct config c = { .tls = { .certificate = "", .key = "", .ca = "", .min_version = 12 } };
    struct tls_server *server = tls_server_new(&c, dir, NULL, &err);
    assert_non_null(server);
    tls_server_free(server);
    assert_true(tls_self_signed(dir, "other.example.com", &err));
    c.tls.certificate = certificate;
    c.tls.key = "/nonexistent.pem";
    assert_null(tls_server_new(&c, dir, NULL, &err));
    assert_non_null(strstr(err.text, "tls.key"));
    struct tls_client *client = tls_client_new(&c, &err);
    assert_non_null(client);
    tls_client_free(client);
    remove_all(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channel_carries_messages_in_order),
        cmocka_unit_test(channel_carries_large_messages),
        cmocka_unit_test(channel_carries_descriptors),
        cmocka_unit_test(channel_tells_the_end_once),
        cmocka_unit_test(channel_may_be_freed_within_a_callback),
        cmocka_unit_test(channel_refuses_what_is_no_frame),
        cmocka_unit_test(channel_ends_when_descriptors_pile_up),
        cmocka_unit_test(restart_pauses_grow),
        cmocka_unit_test(spools_have_one_owner),
        cmocka_unit_test(spools_wait_after_trouble),
        cmocka_unit_test(spools_pass_over_what_is_no_directory),
        cmocka_unit_test(listeners_are_kept_over_reloads),
        cmocka_unit_test(listeners_name_the_option_when_taken),
        cmocka_unit_test(listeners_recover_from_misuse),
        cmocka_unit_test(only_one_master_runs),
        cmocka_unit_test(pid_file_cannot_be_locked_by_others),
        cmocka_unit_test(directories_of_others_are_refused),
        cmocka_unit_test(privileges_are_gone),
        cmocka_unit_test(system_calls_stay_within_the_process),
        cmocka_unit_test(files_outside_are_out_of_reach),
        cmocka_unit_test(certificate_is_made_once),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
