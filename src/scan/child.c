/* SPDX-License-Identifier: Apache-2.0
 * A scan process: rights go, then one message after the other, until the dispatcher is gone. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/channel.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitizer.h"
#include "message/crlf.h"
#include "scan/dispatch.h"

#define ENGINE_ROOM (UINT64_C(512) << 20) /* what a child has before its first message, beyond the dispatcher: engine, dictionaries, threads */

bool scan_uses_network(const struct config *c)
{
    bool any = c->spam.enabled && c->spam.builtin && c->spam.dns && c->spam.uri_list_n;
    for (size_t i = 0; i < c->scanner_n; i++) any |= c->scanners[i].enabled && c->scanners[i].address;
    return any;
}

bool scan_runs_programs(const struct config *c)
{
    bool any = false;
    for (size_t i = 0; i < c->scanner_n; i++) any |= c->scanners[i].enabled && c->scanners[i].type == CONFIG_SCANNER_COMMAND;
    return any;
}

/* ---- rights */

static uint64_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lu", &pages) != 1) pages = 0; // NOLINT(cert-err34-c): the kernel's own number
    if (f) fclose(f);
    return pages ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : UINT64_C(1) << 30;
}

static bool limit_memory(const struct scan_child *child, struct err *err)
{
    const struct config *c = child->config;
    uint64_t room = address_space() + c->scan.memory + c->spam.bayes.tokens + scanning_tables_room(child->scanning) + ENGINE_ROOM;
    struct rlimit space = { room, scan_runs_programs(c) ? RLIM_INFINITY : room }, none = { 0 };
    if (setrlimit(RLIMIT_CORE, &none) != 0) return err_sys(err, errno, "RLIMIT_CORE");
    if (!SANITIZER && setrlimit(RLIMIT_AS, &space) != 0) /* one reserves more address space than there is memory */
        return err_sys(err, errno, "RLIMIT_AS");
    return true;
}

static bool give_up_rights(const struct scan_child *c, struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return err_sys(err, errno, "PR_SET_PDEATHSIG");
    if (getppid() != c->parent) return err_set(err, "the dispatcher is gone");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return err_sys(err, errno, "PR_SET_DUMPABLE");
    if (!scanning_start(c->scanning, err) || !limit_memory(c, err)) return false;
    if (!c->config->system.sandbox || scan_runs_programs(c->config)) return true; /* the dispatcher's filter stays */
    return seccomp_restrict(scan_uses_network(c->config) ? SECCOMP_SCAN_CHILD_NET : SECCOMP_SCAN_CHILD, err);
}

/* ---- crash tests: a message that ends the process */

#ifdef POSTERN_CRASH_POINTS
static void crash_by_header(struct slice bytes)
{
    static const char name[] = "\r\nX-Crash-Test: ";
    const char *at = getenv("POSTERN_SCAN_CRASH") ? memmem(bytes.p, bytes.n < 8192 ? bytes.n : 8192, name, sizeof name - 1) : NULL;
    if (!at) return;
    struct slice word = slice_sub(bytes, (size_t)(at - bytes.p) + sizeof name - 1, bytes.n);
    if (slice_starts(word, SLICE("abort"))) abort();
    if (slice_starts(word, SLICE("slow"))) usleep(300000);
    while (slice_starts(word, SLICE("hang"))) poll(NULL, 0, -1);
    for (size_t n = 0; slice_starts(word, SLICE("memory")); n += 1u << 24) {
        if (SANITIZER && n > 1u << 28) abort();
        memset(mem_alloc(1u << 24), 1, 1u << 24);
    }
}
#else
#define crash_by_header(bytes) ((void)(bytes))
#endif

/* ---- messages */

static json_t *scan_one(const struct scan_child *c, const json_t *m, struct slice bytes, struct arena *arena, struct err *err)
{
    struct scan_context context;
    struct report report;
    if (!scan_context_decode(json_object_get(m, "context"), arena, &context, err)) return NULL;
    scanning_run(c->scanning, bytes, &context, arena, &report);
    return json_pack("{s:o}", "report", report_encode(&report));
}

static json_t *do_one(const struct scan_child *c, const json_t *m, struct slice bytes, struct arena *arena, struct err *err)
{
    struct slice op = json_text(m, "op");
    crash_by_header(bytes);
    scanning_poll(c->scanning);
    if (slice_eq(op, SLICE("scan"))) return scan_one(c, m, bytes, arena, err);
    if (slice_eq(op, SLICE("view"))) return json_pack("{s:o}", "view", scanning_view(c->scanning, bytes, arena));
    if (!scanning_learn(c->scanning, bytes, json_text(m, "as"), arena, err)) return NULL;
    return json_pack("{s:b}", "learnt", 1);
}

/* The dispatcher has seen that there are so many bytes. A file that gets shorter meanwhile ends this process. */
static bool map(const json_t *m, int fd, void **at, size_t *mapped, struct slice *bytes, struct err *err)
{
    uint64_t size = (uint64_t)json_integer_value(json_object_get(m, "size"));
    uint64_t offset = (uint64_t)json_integer_value(json_object_get(m, "offset"));
    uint64_t before = offset % (uint64_t)sysconf(_SC_PAGESIZE);
    *bytes = SLICE("");
    *mapped = 0;
    if (!size) return true;
    *at = mmap(NULL, size + before, PROT_READ, MAP_PRIVATE, fd, (off_t)(offset - before));
    if (*at == MAP_FAILED) return err_sys(err, errno, "the message cannot be read");
    *mapped = size + before;
    *bytes = slice_of((const char *)*at + before, size);
    return true;
}

static bool serve(const struct scan_child *c, const json_t *m, int fd, struct arena *arena, struct err *err)
{
    void *at = NULL;
    size_t mapped = 0;
    struct slice bytes;
    struct err why = { 0 };
    struct buf lines = { 0 };
    bool there = map(m, fd, &at, &mapped, &bytes, &why);
    if (there && json_is_true(json_object_get(m, "file"))) {
        crlf_add_message(bytes, &lines);
        bytes = buf_slice(&lines);
    }
    json_t *answer = there ? do_one(c, m, bytes, arena, &why) : NULL;
    if (!answer) answer = json_pack("{s:s}", "error", why.text);
    if (!answer) answer = json_pack("{s:s}", "error", "it cannot be said why"); /* not UTF-8 */
    json_object_set(answer, "id", json_object_get(m, "id"));
    bool ok = channel_send_now(c->channel, answer, err);
    json_decref(answer);
    scanning_settle(c->scanning);
    if (mapped) munmap(at, mapped);
    buf_deinit(&lines);
    return ok;
}

static bool serve_all(const struct scan_child *c, struct err *err)
{
    struct arena arena = { 0 };
    json_t *ready = json_pack("{s:s, s:s*}", "op", "ready", "trouble", scanning_trouble(c->scanning));
    bool ok = channel_send_now(c->channel, ready, err);
    json_decref(ready);
    while (ok) {
        int fd;
        json_t *m = channel_receive_now(c->channel, &fd, err);
        if (!m) break;
        ok = fd >= 0 && serve(c, m, fd, &arena, err);
        if (fd >= 0) close(fd);
        json_decref(m);
        arena_deinit(&arena); /* whole blocks: one large message must not stay */
        log_flush();
    }
    return ok && !err->text[0];
}

/* The dispatcher tells people why none begins. */
static bool start(const struct scan_child *c, struct err *err)
{
    struct err ignored;
    if (give_up_rights(c, err)) return true;
    json_t *failed = json_pack("{s:s, s:s}", "op", "failed", "error", err->text);
    if (failed) (void)!channel_send_now(c->channel, failed, &ignored);
    json_decref(failed);
    return false;
}

void scan_child_main(const struct scan_child *c)
{
    struct err err = { 0 };
    char name[24];
    snprintf(name, sizeof name, "scan-%u", c->number);
    prctl(PR_SET_NAME, name);
    log_open(name, (enum log_level)c->config->log.level);
    privilege_close_all_but(c->channel, -1);
    bool ok = channel_block(c->channel, &err) && start(c, &err) && serve_all(c, &err);
    bool gone = err.code == EPIPE || err.code == ECONNRESET; /* the dispatcher */
    if (!ok && err.text[0] && !gone) log_event(LOG_ERROR, "scan-process", LOG_ERR(&err));
    log_flush();
    _exit(ok ? 0 : EXIT_FAILURE);
}
