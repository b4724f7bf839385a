/* SPDX-License-Identifier: Apache-2.0
 * The programs nft and ip: started without a shell, fed from a file in memory, their words kept for whoever called. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/io.h"
#include "cli/nft.h"

#define OUTPUT_MAX (16 << 20)

/* Where such programs are, whatever PATH says: they run as root. */
static bool find(const char *program, char out[64])
{
    static const char *const folders[] = { "/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin" };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(out, 64, "%s/%s", folders[i], program);
        if (access(out, X_OK) == 0) return true;
    }
    return false;
}

/* An errno, or 0. */
static int start(const char *const *argv, int in, int out, pid_t *pid)
{
    static const char *const environment[] = { "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    char program[64];
    posix_spawn_file_actions_t actions;
    if (!find(argv[0], program)) return ENOENT;
    posix_spawn_file_actions_init(&actions);
    int rc = posix_spawn_file_actions_adddup2(&actions, in, 0);
    if (!rc) rc = posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (!rc) rc = posix_spawn_file_actions_adddup2(&actions, out, 2);
    if (!rc) rc = posix_spawn(pid, program, &actions, NULL, (char *const *)argv, (char *const *)environment);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static void read_back(int fd, struct buf *out)
{
    char *room;
    ssize_t n;
    if (lseek(fd, 0, SEEK_SET) != 0) return;
    out->max = OUTPUT_MAX;
    while ((room = buf_reserve(out, 65536)) && (n = read(fd, room, 65536)) > 0) out->n += (size_t)n;
}

/* Its first line tells; the rest repeats the rules. */
static bool told(const char *program, struct buf *said, struct err *err)
{
    bool rights = strstr(buf_cstr(said), "not permitted") || strstr(buf_cstr(said), "must be root") || strstr(buf_cstr(said), "Permission denied");
    struct slice rest = buf_slice(said), line = SLICE("");
    struct buf shown = { 0 };
    while (rest.n && !slice_trim(line).n && slice_cut(&rest, '\n', &line)) {}
    buf_add_printable(&shown, slice_trim(line), 250);
    if (rights) err_set(err, "the rights are missing: run it as root (%s: %s)", program, buf_cstr(&shown));
    else err_set(err, "%s failed: %s", program, shown.n ? buf_cstr(&shown) : "it does not say why");
    err->code = rights ? EPERM : ECHILD;
    buf_deinit(&shown);
    return false;
}

bool nft_run(const char *const *argv, struct slice input, struct buf *out, struct err *err)
{
    int in_fd = memfd_create("input", MFD_CLOEXEC), out_fd = memfd_create("output", MFD_CLOEXEC), status = 0;
    pid_t pid;
    bool ok = in_fd >= 0 && out_fd >= 0 && io_write_all(in_fd, input) && lseek(in_fd, 0, SEEK_SET) == 0;
    int code = ok ? start(argv, in_fd, out_fd, &pid) : errno;
    if (ok && !code) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
        buf_clear(out);
        read_back(out_fd, out);
    }
    if (in_fd >= 0) close(in_fd);
    if (out_fd >= 0) close(out_fd);
    if (code == ENOENT) {
        err_set(err, "there is no program %s here: install the package %s", argv[0], !strcmp(argv[0], "nft") ? "nftables" : "iproute2");
        err->code = ENOENT;
        return false;
    }
    if (code) return err_sys(err, code, "cannot start %s", argv[0]);
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) || told(argv[0], out, err);
}

/* ---- what tproxy takes goes to this machine, whatever address it was sent to */

static const char *flag_of(int family) { return family == 4 ? "-4" : "-6"; }

static bool ip_run(int family, const char *const *words, size_t n, struct buf *out, struct err *err)
{
    const char *argv[16] = { "ip", flag_of(family) };
    for (size_t i = 0; i < n && i + 3 < sizeof argv / sizeof *argv; i++) argv[i + 2] = words[i];
    return nft_run(argv, SLICE(""), out, err);
}

#define IP_RUN(family, out, err, ...)                                                        \
    ip_run(family, (const char *const[]){ __VA_ARGS__ },                                     \
           sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *), out, err)
#define RULE "fwmark", NFT_MASKED_MARK, "lookup", NFT_ROUTES, "pref", NFT_ROUTES
#define ROUTE "local", "default", "dev", "lo", "table", NFT_ROUTES

static bool has_rule(int family)
{
    struct buf out = { 0 };
    struct err err;
    bool found = IP_RUN(family, &out, &err, "rule", "show", "pref", NFT_ROUTES) && strstr(buf_cstr(&out), "fwmark " NFT_MASKED_MARK);
    buf_deinit(&out);
    return found;
}

static bool has_route(int family)
{
    struct buf out = { 0 };
    struct err err;
    bool found = IP_RUN(family, &out, &err, "route", "show", "table", NFT_ROUTES) && strstr(buf_cstr(&out), "local default");
    buf_deinit(&out);
    return found;
}

bool nft_has_route(int family) { return has_rule(family) && has_route(family); }

bool nft_set_route(int family, bool there, struct err *err)
{
    struct buf out = { 0 };
    bool rule = has_rule(family), route = has_route(family), ok = true;
    if (there && !route) ok = IP_RUN(family, &out, err, "route", "add", ROUTE);
    if (ok && there && !rule) ok = IP_RUN(family, &out, err, "rule", "add", RULE);
    if (ok && !there && rule) ok = IP_RUN(family, &out, err, "rule", "del", RULE);
    if (ok && !there && route) ok = IP_RUN(family, &out, err, "route", "del", ROUTE);
    buf_deinit(&out);
    return ok;
}
