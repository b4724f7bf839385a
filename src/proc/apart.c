/* SPDX-License-Identifier: Apache-2.0
 * What strangers wrote, and an administrator wants read, is read by a process that is forked for it from the one that serves his request. It has the
 * scan user's rights, and no file or socket; it writes its answer into a file in memory, which goes on without being looked at, and ends. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/base64.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "base/watch.h"
#include "fetch/tls_report.h"
#include "proc/process.h"

#define ANSWER_MAX (2u << 20)
#define MEMORY_MAX (UINT64_C(1) << 30)
#define CPU_SECONDS 5
#define WAIT_MS 10000 /* others wait behind it; one that was taken over may only sleep */

/* ---- in the process without rights */

static bool give_up_rights(const struct privilege_user *user, bool sandbox, pid_t parent, struct err *err)
{
    struct landlock nothing;
    const struct rlimit size = { ANSWER_MAX, ANSWER_MAX }, cpu = { CPU_SECONDS, CPU_SECONDS }, room = { MEMORY_MAX, MEMORY_MAX }, none = { 0, 0 };
    bool ok = setrlimit(RLIMIT_FSIZE, &size) == 0 && setrlimit(RLIMIT_CPU, &cpu) == 0 && setrlimit(RLIMIT_CORE, &none) == 0;
    ok = ok && (SANITIZER || setrlimit(RLIMIT_AS, &room) == 0); /* one reserves more address space than there is memory */
    if (!ok) return err_sys(err, errno, "setrlimit");
    if (!privilege_drop(user, err)) return false; /* which would clear the next */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) return err_set(err, "the process that wants it is gone");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return err_sys(err, errno, "PR_SET_DUMPABLE");
    if (!sandbox) return true;
    landlock_init(&nothing);
    return landlock_restrict(&nothing, err) && seccomp_restrict(SECCOMP_SCAN_CHILD, err);
}

static json_t *bad(const char *text)
{
    struct buf b = { 0 };
    buf_add_printable(&b, slice_str(text), 300);
    json_t *out = json_pack("{s:i, s:s}", "status", 400, "error", buf_cstr(&b));
    buf_deinit(&b);
    return out;
}

static json_t *read_tls_report(const json_t *request)
{
    struct buf file = { 0 };
    struct err err;
    json_t *report = NULL, *out;
    if (!base64_decode(json_text(request, "file"), &file)) err_set(&err, "the report is not as it was sent");
    else report = tls_report_open(buf_slice(&file), &err);
    out = report ? tls_report_to_people(report) : bad(err.text);
    if (report) json_object_set_new(out, "status", json_integer(200));
    json_decref(report);
    buf_deinit(&file);
    return out;
}

_Noreturn static void be_apart(const struct config *c, const struct privilege_user *user, pid_t parent, const json_t *request, int out)
{
    struct err err;
    watch_forget();
    privilege_close_all_but(out, -1);
    if (!give_up_rights(user, c->system.sandbox, parent, &err)) {
        log_event(LOG_ERROR, "config-confine", LOG_ERR(&err));
        log_flush();
        _exit(EXIT_FAILURE);
    }
    char *text = json_dumps(read_tls_report(request), JSON_COMPACT);
    bool ok = text && strlen(text) <= ANSWER_MAX && io_write_all(out, slice_str(text));
    _exit(ok ? EXIT_SUCCESS : EXIT_FAILURE); /* what it has is gone with it */
}

/* ---- in the one that asks */

/* It is gone then, or about to be. False: it was not in time. */
static bool wait_for_end(pid_t pid)
{
    struct pollfd ended = { .fd = pidfd_open(pid, 0), .events = POLLIN };
    int n;
    do n = ended.fd >= 0 ? poll(&ended, 1, WAIT_MS) : 0;
    while (n < 0 && errno == EINTR);
    bool in_time = n == 1;
    if (!in_time) kill(pid, SIGKILL);
    if (ended.fd >= 0) close(ended.fd);
    return in_time;
}

static bool run(const struct config *c, const json_t *request, int out, struct err *err)
{
    struct privilege_user user;
    int status;
    if (!privilege_lookup(c->system.scan_user, &user, err)) return false;
    pid_t self = getpid(), pid = fork();
    if (pid == 0) be_apart(c, &user, self, request, out);
    if (pid < 0) return err_sys(err, errno, "fork");
    bool in_time = wait_for_end(pid);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return err_sys(err, errno, "waitpid");
    if (!in_time) return err_set(err, "it takes too long to be read");
    return (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) || err_set(err, "the process that read it ended without an answer");
}

bool apart_wants(const json_t *request) { return slice_eq(json_text(request, "op"), SLICE("tls-report")); }

int apart_answer(const struct config *c, const json_t *request, json_t **why)
{
    struct err err;
    int out = memfd_create("answer", MFD_CLOEXEC);
    *why = NULL;
    if (out >= 0 && run(c, request, out, &err)) return out;
    if (out < 0) err_set_sys(&err, errno, "memfd_create");
    else close(out);
    *why = bad(err.text);
    return -1;
}
