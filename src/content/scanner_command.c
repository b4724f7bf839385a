/* SPDX-License-Identifier: Apache-2.0
 * A program that looks into a file: started without a shell, in a process group of its own, with an end in time and in output. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <ftw.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "content/scanner_internal.h"

#define OUTPUT_KEPT 16384
#define OUTPUT_MAX (8u << 20)

struct run {
    struct ask *ask;
    char *folder;                /* of by_file: private, gone at the end; NULL: none */
    char *file;
    int input;                   /* its standard input */
    pid_t pid;
    struct buf output;           /* the beginning of what it printed */
    char **argv;
};

/* ---- what it gets */

static bool fail_file(const struct run *r, const char *what)
{
    return scanner_fail(r->ask, SCANNER_DOWN, "cannot write the file for %s: %s: %s", r->ask->s->argv[0], what, strerror(errno));
}

static bool write_all(const struct run *r, int fd, struct slice data)
{
    return io_write_all(fd, data) || fail_file(r, "write");
}

/* Its name never comes from the message. */
static bool make_file(struct run *r, struct slice data)
{
    struct arena *arena = r->ask->arena;
    char *folder = arena_printf(arena, "%s/scan-XXXXXX", r->ask->s->directory);
    if (!mkdtemp(folder)) return fail_file(r, r->ask->s->directory);
    r->folder = folder;
    r->file = arena_printf(arena, "%s/message", folder);
    int fd = open(r->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return fail_file(r, r->file);
    bool ok = write_all(r, fd, data);
    close(fd);
    return ok;
}

/* A file without a name: programs may seek in it, and none can be stopped by a full pipe. */
static bool make_input(struct run *r, struct slice data)
{
    r->input = r->ask->s->by_file ? open("/dev/null", O_RDONLY | O_CLOEXEC) : memfd_create("message", MFD_CLOEXEC);
    if (r->input < 0) return fail_file(r, "standard input");
    if (r->ask->s->by_file) return make_file(r, data);
    return write_all(r, r->input, data) && (lseek(r->input, 0, SEEK_SET) == 0 || fail_file(r, "lseek"));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)remove(path); /* what cannot be removed stays for who looks after the folder */
    return 0;
}

/* With what the program left beside the file. */
static void remove_folder(const struct run *r)
{
    if (r->folder) (void)nftw(r->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Its arguments with the file's path for {}. */
static void make_arguments(struct run *r)
{
    char **argv = r->ask->s->argv;
    size_t n = 0;
    while (argv[n]) n++;
    r->argv = arena_alloc(r->ask->arena, (n + 1) * sizeof *r->argv);
    for (size_t i = 0; i < n; i++) {
        const char *at = r->file ? strstr(argv[i], "{}") : NULL;
        r->argv[i] = at ? arena_printf(r->ask->arena, "%.*s%s%s", (int)(at - argv[i]), argv[i], r->file, at + 2) : argv[i];
    }
}

/* ---- running it */

static int spawn(struct run *r, int out)
{
    char *const environment[] = { (char[]){ "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" }, (char[]){ "LC_ALL=C.UTF-8" },
                                  arena_printf(r->ask->arena, "TMPDIR=%s", r->folder ? r->folder : r->ask->s->directory), NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    struct rlimit limit = { 0 }, whole;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int rc = posix_spawn_file_actions_adddup2(&actions, r->input, 0);
    if (!rc) rc = posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (!rc) rc = posix_spawn_file_actions_adddup2(&actions, out, 2);
    if (!rc) rc = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (!rc) rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!rc) rc = posix_spawnattr_setsigmask(&attributes, &none);
    if (!rc) rc = posix_spawnattr_setsigdefault(&attributes, &all);
    /* Our own limit of memory is not the program's, which may hold a database: it gets what the limit may be raised to. */
    bool limited = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != limit.rlim_max;
    whole = (struct rlimit){ limit.rlim_max, limit.rlim_max };
    if (limited) (void)setrlimit(RLIMIT_AS, &whole);
    if (!rc) rc = posix_spawn(&r->pid, r->argv[0], &actions, &attributes, r->argv, environment);
    if (limited) (void)setrlimit(RLIMIT_AS, &limit);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

/* To the end of its output; keeps the beginning. */
static bool read_output(struct run *r, int fd)
{
    char bytes[4096];
    for (size_t all = 0; all <= OUTPUT_MAX;) {
        uint64_t now = clock_mono_ms();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int n = now < r->ask->until ? poll(&p, 1, (int)(r->ask->until - now)) : 0;
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return scanner_fail(r->ask, SCANNER_TIMEOUT, "%s did not end in time", r->argv[0]);
        ssize_t k = read(fd, bytes, sizeof bytes);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return true;
        all += (size_t)k;
        buf_add(&r->output, slice_sub(slice_of(bytes, (size_t)k), 0, OUTPUT_KEPT - r->output.n));
    }
    return scanner_fail(r->ask, SCANNER_NONSENSE, "%s prints more than 8 MiB", r->argv[0]);
}

/* It may have closed its output and go on. -1: it was not there. */
static int reap(const struct run *r, bool now, bool *late)
{
    int status = -1;
    for (;;) {
        *late = clock_mono_ms() >= r->ask->until;
        if (now || *late) kill(-r->pid, SIGKILL);
        pid_t k = waitpid(r->pid, &status, now || *late ? 0 : WNOHANG);
        if (k == r->pid) return status;
        if (k < 0 && errno != EINTR) return -1;
        if (k == 0) usleep(2000);
    }
}

/* ---- what it says */

/* "/path/of/the/file: Name FOUND" as clamscan has it, else its first line; without the file's path. */
static struct slice virus_name(const struct run *r)
{
    struct slice rest = buf_slice(&r->output), line, first = slice_of(NULL, 0), mark = SLICE(" FOUND");
    while (rest.n) {
        slice_cut(&rest, '\n', &line);
        line = slice_trim(line);
        if (r->file && slice_starts(line, slice_str(r->file))) line = slice_sub(line, strlen(r->file), line.n);
        while (line.n && (line.p[0] == ':' || line.p[0] == ' ')) line = slice_sub(line, 1, line.n);
        if (slice_iends(line, mark)) {
            line = slice_sub(line, 0, line.n - mark.n);
            return slice_starts(line, SLICE("stdin: ")) ? slice_sub(line, 7, line.n) : line;
        }
        if (!first.n) first = line;
    }
    return first;
}

static bool judge(struct run *r, int status, struct slice part)
{
    struct slice last = slice_trim(buf_slice(&r->output));
    const char *program = r->argv[0];
    if (WIFSIGNALED(status)) return scanner_fail(r->ask, SCANNER_DOWN, "%s was killed by signal %d", program, WTERMSIG(status));
    if (!WIFEXITED(status)) return scanner_fail(r->ask, SCANNER_DOWN, "%s did not end", program);
    int code = WEXITSTATUS(status);
    if (code == 0) return true;
    if ((uint32_t)code == r->ask->s->c->infected_code) {
        scanner_add_virus(r->ask, virus_name(r), part);
        return true;
    }
    const char *newline = last.n ? memrchr(last.p, '\n', last.n) : NULL;
    if (newline) last = slice_sub(last, (size_t)(newline - last.p) + 1, last.n);
    last = scanner_text(r->ask->arena, slice_sub(last, 0, 150));
    return scanner_fail(r->ask, SCANNER_DOWN, "%s ended with exit code %d%s%.*s", program, code, last.n ? ": " : "", SLICE_ARG(last));
}

static bool run_program(struct run *r, struct slice part)
{
    int pipes[2];
    bool late = false;
    make_arguments(r);
    if (pipe2(pipes, O_CLOEXEC) != 0) return scanner_fail(r->ask, SCANNER_DOWN, "pipe: %s", strerror(errno));
    int rc = spawn(r, pipes[1]);
    close(pipes[1]);
    if (rc) {
        close(pipes[0]);
        return scanner_fail(r->ask, SCANNER_DOWN, "cannot run %s: %s", r->argv[0], strerror(rc));
    }
    bool ok = read_output(r, pipes[0]);
    close(pipes[0]);
    int status = reap(r, !ok, &late);
    kill(-r->pid, SIGKILL); /* what it left behind */
    if (ok && late && WIFSIGNALED(status)) ok = scanner_fail(r->ask, SCANNER_TIMEOUT, "%s did not end in time", r->argv[0]);
    return ok && judge(r, status, part);
}

static bool ask_piece(struct ask *a, const struct scanner_piece *piece)
{
    struct run r = { .ask = a, .input = -1 };
    bool ok = make_input(&r, piece->data) && run_program(&r, piece->name);
    if (r.input >= 0) close(r.input);
    remove_folder(&r);
    buf_deinit(&r.output);
    return ok;
}

void scanner_ask_command(struct ask *a)
{
    struct scanner_piece pieces[SCANNER_PIECES_MAX];
    size_t n = scanner_pieces(a->m, pieces);
    for (size_t i = 0; i < n && ask_piece(a, &pieces[i]);) i++;
}
