/* SPDX-License-Identifier: Apache-2.0
 * What belongs into a backup: the configuration with its revisions, the files it names, and all below system.directory but what is made anew
 * by itself, or would be done twice. Links are not followed: others than root have rights in there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "backup/backup.h"
#include "base/mem.h"
#include "config/config.h"

#define DEPTH_MAX 12

struct collect {
    struct backup_writer *w;
    const struct backup_options *o;
    struct err *err;
    bool failed;
    char *directory;             /* system.directory, tidy */
    char **seen;                 /* paths of named files */
    size_t seen_n;
};

static bool ends(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && !strcmp(s + n - k, end);
}

/* One that goes away meanwhile is left out; a file that cannot be read is an error. */
static bool add_at(struct collect *c, int dir, const char *name, enum backup_kind kind, const char *path)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO)) return true;
    if (fd < 0) return err_sys(c->err, errno, "%.250s", path);
    bool ok = fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || backup_write(c->w, kind, path, fd, &st, c->err);
    close(fd);
    return ok;
}

/* ---- below system.directory */

/* Made anew, or of the moment. */
static bool left_out(const struct collect *c, const char *path)
{
    static const char *const never[] = { "tables", "fetch/hooks", "lost+found" };
    static const char *const endings[] = { "-wal", "-shm", "-journal", ".part", ".new", ".sock", "/lock" };
    for (size_t i = 0; i < countof(never); i++)
        if (!strcmp(path, never[i])) return true;
    for (size_t i = 0; i < countof(endings); i++)
        if (ends(path, endings[i]) && strncmp(path, "spool/", 6) != 0 && strncmp(path, "store/quarantine/", 17) != 0) return true;
    if (!c->o->queue && !strcmp(path, "spool")) return true;
    return (!c->o->quarantine && !strcmp(path, "store/quarantine")) || strstr(path, "postern-backup-");
}

/* st: what was seen without following links. The path may lead elsewhere by now: who reads it has that owner's rights. */
static bool add_database(struct collect *c, const char *path, struct stat *st)
{
    char whole[4400];
    snprintf(whole, sizeof whole, "%s/%s", c->o->config->system.directory, path);
    const char *near = c->o->near, *own = c->o->config->system.directory;
    const char *const folders[] = { near ? near : own, near ? own : "/var/tmp", near ? "/var/tmp" : NULL, NULL };
    if (!backup_writer_has_room(c->w, (uint64_t)st->st_size, c->err)) return false; /* its copy may lie on the same disk */
    int fd = backup_snapshot(whole, folders, st, c->err);
    if (fd < 0) return false;
    bool ok = backup_write(c->w, BACKUP_DATA, path, fd, st, c->err);
    close(fd);
    return ok;
}

static bool add_folder(struct collect *c, int dir, const char *path, unsigned depth);

static bool add_data(struct collect *c, int dir, const char *name, const char *path, unsigned depth)
{
    struct stat st;
    if (left_out(c, path) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return true;
    if (S_ISREG(st.st_mode) && ends(name, ".db")) return add_database(c, path, &st);
    if (S_ISREG(st.st_mode)) return add_at(c, dir, name, BACKUP_DATA, path);
    if (!S_ISDIR(st.st_mode) || depth >= DEPTH_MAX) return true;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return errno == ENOENT || err_sys(c->err, errno, "%.250s", path);
    backup_write_folder(c->w, path, &st);
    return add_folder(c, fd, path, depth + 1);
}

/* Takes dir. path: "" at the top. */
static bool add_folder(struct collect *c, int dir, const char *path, unsigned depth)
{
    DIR *d = fdopendir(dir);
    const struct dirent *e;
    char below[4200];
    bool ok = true;
    if (!d) {
        close(dir);
        return err_sys(c->err, errno, "%.250s", path);
    }
    while (ok && (e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        int n = snprintf(below, sizeof below, "%s%s%s", path, *path ? "/" : "", e->d_name);
        if (n > 0 && (size_t)n < sizeof below) ok = add_data(c, dirfd(d), e->d_name, below, depth);
    }
    closedir(d);
    return ok;
}

static bool add_all_data(struct collect *c)
{
    int fd = open(c->o->config->system.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return true; /* it was never started */
    if (fd < 0) return err_sys(c->err, errno, "%.250s", c->o->config->system.directory);
    return add_folder(c, fd, "", 0);
}

/* ---- what the configuration names */

static bool below(const char *path, const char *directory)
{
    size_t n = strlen(directory);
    return !strncmp(path, directory, n) && (path[n] == '/' || !path[n]);
}

static bool seen(struct collect *c, const char *path)
{
    for (size_t i = 0; i < c->seen_n; i++)
        if (!strcmp(c->seen[i], path)) return true;
    c->seen = mem_grow(c->seen, c->seen_n + 1, sizeof *c->seen);
    c->seen[c->seen_n++] = mem_strdup(path);
    return false;
}

/* What is nobody's but root's, whatever links led there; and what cannot be told. */
static bool is_roots(int fd)
{
    static const char *const roots[] = { "/root", "/home", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssh", "/etc/sudoers",
                                         "/etc/sudoers.d", "/etc/security", "/etc/krb5.keytab", "/var/spool/cron", "/proc", "/sys", "/dev", "/boot" };
    char link[40], real[4400];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, real, sizeof real - 1);
    bool is = n <= 0 || fstat(fd, &st) != 0 || !st.st_nlink; /* without a name: it was another's a moment ago */
    real[n > 0 ? n : 0] = 0;
    for (size_t i = 0; i < countof(roots); i++) is |= below(real, roots[i]);
    return is;
}

static void add_named(struct collect *c, const char *path, bool folders);

/* Takes fd. */
static void add_named_folder(struct collect *c, int fd, const char *path)
{
    char inner[4400];
    DIR *d = fdopendir(fd);
    for (const struct dirent *e; d && (e = readdir(d));) {
        int n = snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && n > 0 && (size_t)n < sizeof inner) add_named(c, inner, false);
    }
    if (d) closedir(d);
    else close(fd);
}

static void add_named(struct collect *c, const char *path, bool folders)
{
    struct stat st;
    if (c->failed || path[0] != '/' || stat(path, &st) != 0 || !(S_ISREG(st.st_mode) || (folders && S_ISDIR(st.st_mode))) || seen(c, path)) return;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* the administrator's links are followed */
    bool ok = fd >= 0 && fstat(fd, &st) == 0;
    if (!ok) err_sys(c->err, errno, "%.250s", path);
    else if (c->o->downloaded && is_roots(fd)) /* what is open, not what the path says now */
        ok = err_set(c->err, "%.200s, which the configuration names, lies where root's own files are: only `postern backup` takes it", path);
    else if (S_ISREG(st.st_mode)) ok = backup_write(c->w, BACKUP_NAMED, path, fd, &st, c->err);
    c->failed = !ok;
    if (ok && folders && S_ISDIR(st.st_mode)) add_named_folder(c, fd, path);
    else if (fd >= 0) close(fd);
}

static void on_path(void *arg, const char *option, const char *path)
{
    static const char *const ours[] = { "directory", "run_directory", "socket" };
    static const char *const systems[] = { "/usr", "/etc/ssl/certs", "/proc", "/sys", "/dev", "/run" };
    struct collect *c = arg;
    for (size_t i = 0; i < countof(ours); i++)
        if (!strcmp(option, ours[i])) return;
    char *tidy = backup_path_tidy(path);
    bool comes = !below(tidy, c->directory); /* else it comes with the rest of that */
    for (size_t i = 0; i < countof(systems); i++) comes &= !below(tidy, systems[i]);
    if (comes) add_named(c, tidy, !strcmp(option, "templates"));
    free(tidy);
}

/* ---- the configuration */

static bool add_revisions(struct collect *c)
{
    char path[4400];
    const char *slash = strrchr(c->o->file, '/');
    snprintf(path, sizeof path, "%.*s/.postern-revisions", (int)(slash - c->o->file), c->o->file);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    bool ok = true;
    for (const struct dirent *e; ok && d && (e = readdir(d));)
        if (e->d_name[0] != '.' && strcmp(e->d_name, "lock") != 0) ok = add_at(c, dirfd(d), e->d_name, BACKUP_REVISION, e->d_name);
    if (d) closedir(d);
    return ok;
}

bool backup_collect(struct backup_writer *w, const struct backup_options *o, struct err *err)
{
    struct collect c = { .w = w, .o = o, .err = err, .directory = backup_path_tidy(o->config->system.directory) };
    bool ok = add_at(&c, AT_FDCWD, o->file, BACKUP_CONFIGURATION, o->file) && add_revisions(&c);
    if (ok) config_each_path(o->config, on_path, &c);
    ok = ok && !c.failed && add_all_data(&c);
    for (size_t i = 0; i < c.seen_n; i++) free(c.seen[i]);
    free(c.seen);
    free(c.directory);
    return ok;
}
