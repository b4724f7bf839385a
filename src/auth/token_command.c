/* SPDX-License-Identifier: Apache-2.0
 * A token from a command: run by the shell in a process group of its own, with an end in time and in size. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "auth/client_internal.h"
#include "auth/token.h"
#include "base/clock.h"

extern char **environ;

static int spawn(const char *command, int out, pid_t *pid)
{
    char *const argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char *)(uintptr_t)command, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!rc) rc = posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (!rc) rc = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0); /* it might show secrets, and that is our log */
    if (!rc) rc = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (!rc) rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!rc) rc = posix_spawnattr_setsigmask(&attributes, &none);
    if (!rc) rc = posix_spawnattr_setsigdefault(&attributes, &all);
    if (!rc) rc = posix_spawn(pid, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

/* To the end of its output. False with errno: too slow (ETIMEDOUT), too much (EFBIG). */
static bool read_all(int fd, uint64_t until, struct buf *out)
{
    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int n = now < until ? poll(&p, 1, (int)(until - now)) : 0;
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ETIMEDOUT;
        if (n <= 0) return false;
        char *to = buf_reserve(out, 1024);
        if (!to) {
            errno = EFBIG;
            return false;
        }
        ssize_t k = read(fd, to, 1024);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return k == 0;
        out->n += (size_t)k;
    }
}

/* It may have closed its output and go on. */
static int reap(pid_t pid, uint64_t until)
{
    int status = 0;
    for (;;) {
        bool late = clock_mono_ms() >= until;
        if (late) kill(-pid, SIGKILL);
        pid_t k = waitpid(pid, &status, late ? 0 : WNOHANG);
        if (k == pid) return status;
        if (k < 0 && errno != EINTR) return -1;
        if (k == 0) usleep(10000);
    }
}

bool token_run_command(const char *command, struct token *t, char reason[200])
{
    int pipes[2], rc;
    pid_t pid = 0;
    struct buf text = { .max = TOKEN_COMMAND_MAX + 1024 };
    uint64_t until = clock_mono_ms() + TOKEN_TIME_MAX;
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        snprintf(reason, 200, "token.command: %s", strerror(errno));
        return false;
    }
    rc = spawn(command, pipes[1], &pid);
    close(pipes[1]);
    if (rc) {
        close(pipes[0]);
        snprintf(reason, 200, "token.command cannot be run: %s", strerror(rc));
        return false;
    }
    char what[200] = "";
    bool ok = read_all(pipes[0], until, &text);
    if (!ok) {
        snprintf(what, sizeof what, "%s", errno == ETIMEDOUT ? "took longer than 30 s" : "printed more than 16 KiB");
        until = 0;
    }
    close(pipes[0]);
    int status = reap(pid, until);
    kill(-pid, SIGKILL); /* what it left behind */
    if (ok && (!WIFEXITED(status) || WEXITSTATUS(status))) {
        ok = false;
        if (WIFEXITED(status)) snprintf(what, sizeof what, "ended with exit code %d", WEXITSTATUS(status));
        else snprintf(what, sizeof what, "was killed");
    }
    if (ok) ok = token_parse_output(buf_slice(&text), t, what);
    if (!ok) snprintf(reason, 200, "token.command: %.180s", what);
    buf_wipe(&text);
    return ok;
}
