/* SPDX-License-Identifier: Apache-2.0
 * A backup goes to its places: written aside, given its owner and mode, renamed. No link is followed below the folder that all paths begin at. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "backup/backup.h"
#include "base/io.h"
#include "base/mem.h"
#include "config/config.h"

struct placing {
    const struct backup_archive *archive;
    const struct backup_place *place;
    const char *config;          /* where it goes */
    int root;                    /* of all paths: "/" or place->to */
};

/* ---- where things go */

static void path_of(const struct placing *p, const struct backup_entry *e, char out[8300])
{
    const char *slash = strrchr(p->config, '/');
    int n = (int)(slash - p->config);
    switch (e->kind) {
    case BACKUP_CONFIGURATION: snprintf(out, 8300, "%s", p->config); break;
    case BACKUP_REVISION: snprintf(out, 8300, "%.*s/.postern-revisions/%s", n, p->config, e->path); break;
    case BACKUP_NAMED: snprintf(out, 8300, "%s", e->path); break;
    default: snprintf(out, 8300, "%s/%s", p->archive->directory, e->path); break;
    }
}

static bool below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return !strncmp(path, folder, n) && path[n] == '/';
}

static bool is_ours(const char *path) { return below(path, "/etc/postern") || below(path, "/var/lib/postern"); }

static bool is_outside(const char *path, struct err *err)
{
    return err_set(err, "%.300s lies neither in /etc/postern nor in /var/lib/postern: say --outside when it may be written", path);
}

/* Whoever made the archive does not decide which files of this machine are replaced. Where the configuration goes is his decision who restores. */
static bool check_places(const struct placing *p, struct err *err)
{
    char path[8300];
    const char *directory = p->archive->directory; /* put aside, whatever is in it */
    if (p->place->outside || p->place->to[0]) return true;
    if (strcmp(directory, "/var/lib/postern") != 0 && !is_ours(directory)) return is_outside(directory, err);
    for (size_t i = 0; i < p->archive->n; i++) {
        enum backup_kind kind = p->archive->entries[i].kind;
        if (p->place->config && (kind == BACKUP_CONFIGURATION || kind == BACKUP_REVISION)) continue;
        path_of(p, &p->archive->entries[i], path);
        if (!is_ours(path)) return is_outside(path, err);
    }
    return true;
}

/* ---- folders; a descriptor of the one that path's last part is in. Links are the administrator's above system.directory; below it, and
 * below place->to, they are refused: others than root have rights in there, and may still run. */
static int open_above(const struct placing *p, const char *path, const char **last, struct err *err)
{
    struct slice rest = slice_str(path + 1), part;
    int at = dup(p->root);
    while (at >= 0 && slice_cut(&rest, '/', &part)) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)part.n, part.p);
        (void)mkdirat(at, name, 0755);
        bool ours = p->place->to[0] || (below(path, p->archive->directory) && part.p > path + strlen(p->archive->directory));
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (ours ? O_NOFOLLOW : 0));
        if (next < 0) err_sys(err, errno, "%.250s", path);
        close(at);
        at = next;
    }
    *last = strrchr(path, '/') + 1;
    return at;
}

/* Owners by name, as numbers differ between machines; whoever is not root keeps all himself. */
static bool give(int fd, const struct backup_entry *e, struct err *err)
{
    const struct passwd *pw = e->owner[0] ? getpwnam(e->owner) : NULL;
    const struct group *gr = e->group[0] ? getgrnam(e->group) : NULL;
    if (geteuid() == 0 && fchown(fd, pw ? pw->pw_uid : 0, gr ? gr->gr_gid : 0) != 0) return err_sys(err, errno, "%.250s", e->path);
    return fchmod(fd, e->mode) == 0 || err_sys(err, errno, "%.250s", e->path);
}

/* ---- files */

static bool write_content(int fd, const struct backup_entry *e, int (*next)(void *from, const void **bytes, size_t *n), void *from, struct err *err)
{
    const void *p;
    size_t n;
    int more;
    while ((more = next(from, &p, &n)) > 0)
        if (!io_write_all(fd, slice_of(p, n))) return err_sys(err, errno, "writing %.250s", e->path);
    return more == 0 || err_set(err, "the backup is damaged");
}

static bool place_file(void *arg, const struct backup_entry *e, int (*next)(void *from, const void **bytes, size_t *n), void *from, struct err *err)
{
    const struct placing *p = arg;
    char path[8300], aside[300];
    const char *last;
    path_of(p, e, path);
    int dir = open_above(p, path, &last, err);
    if (dir < 0) return false;
    snprintf(aside, sizeof aside, ".restore-%d", (int)getpid());
    (void)unlinkat(dir, aside, 0);
    int fd = openat(dir, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 || err_sys(err, errno, "%.250s", path);
    ok = ok && write_content(fd, e, next, from, err) && give(fd, e, err);
    if (ok && fsync(fd) != 0) ok = err_sys(err, errno, "%.250s", path);
    if (fd >= 0) close(fd);
    if (ok && renameat(dir, aside, dir, last) != 0) ok = err_sys(err, errno, "%.250s", path);
    if (!ok) (void)unlinkat(dir, aside, 0);
    close(dir);
    return ok;
}

static bool place_folders(struct placing *p, struct err *err)
{
    char path[8300];
    const char *last;
    for (size_t i = 0; i < p->archive->n; i++) {
        const struct backup_entry *e = &p->archive->entries[i];
        if (e->kind != BACKUP_FOLDER) continue;
        path_of(p, e, path);
        int dir = open_above(p, path, &last, err);
        if (dir < 0) return false;
        (void)mkdirat(dir, last, 0700);
        int fd = openat(dir, last, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        bool ok = fd >= 0 ? give(fd, e, err) : err_sys(err, errno, "%.250s", path);
        if (fd >= 0) close(fd);
        close(dir);
        if (!ok) return false;
    }
    return true;
}

/* ---- what is there already */

static bool whole(const struct placing *p, const char *path, char out[8300])
{
    return snprintf(out, 8300, "%s%s", p->place->to, path) < 8300;
}

static bool is_empty(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    bool empty = true;
    while (d && empty && (e = readdir(d))) empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    if (d) closedir(d);
    return empty;
}

bool backup_relay_runs(const char *run_directory)
{
    char path[8400];
    snprintf(path, sizeof path, "%.8300s/postern.pid", run_directory);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    bool runs = fd >= 0 && fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK; /* somebody else has the lock */
    if (fd >= 0) close(fd);
    return runs;
}

static bool check_lock(const struct placing *p, const char *run_directory, struct err *err)
{
    char path[8300];
    return !whole(p, run_directory, path) || !backup_relay_runs(path) ||
           err_set(err, "the relay is running: stop it first (systemctl stop postern)");
}

/* Neither the relay of the archive nor the one whose files are to be replaced, which may have another folder. */
static bool check_stopped(const struct placing *p, struct err *err)
{
    char path[8300];
    struct config_report report = { 0 };
    struct config *c = whole(p, p->config, path) && access(path, F_OK) == 0 ? config_load(path, &report) : NULL;
    bool ok = check_lock(p, p->archive->run_directory, err) && (!c || check_lock(p, c->system.run_directory, err));
    config_report_deinit(&report);
    config_free(c);
    return ok;
}

static bool has_queue(const struct backup_archive *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->entries[i].kind >= BACKUP_DATA && (!strcmp(a->entries[i].path, "spool") || below(a->entries[i].path, "spool"))) return true;
    return false;
}

/* The folder as it was stays beside the new one, but for mail that is still to be delivered. */
static bool put_aside(const struct placing *p, const char *directory, struct err *err)
{
    char aside[8400], from[8500], to[8400];
    struct stat st;
    snprintf(aside, sizeof aside, "%.8000s.before-restore-%lld", directory, (long long)time(NULL));
    if (stat(directory, &st) != 0) return err_sys(err, errno, "%.250s", directory);
    if (rename(directory, aside) != 0) return err_sys(err, errno, "%.250s cannot be put aside", directory);
    if (mkdir(directory, 0755) != 0 || chown(directory, st.st_uid, st.st_gid) != 0 || chmod(directory, st.st_mode & 0777) != 0)
        return err_sys(err, errno, "%.250s", directory);
    fprintf(stderr, "postern: what was in %s is in %s now\n", directory, aside);
    snprintf(from, sizeof from, "%.8390s/spool", aside);
    snprintf(to, sizeof to, "%.8300s/spool", directory);
    if (!has_queue(p->archive) && stat(from, &st) == 0 && rename(from, to) != 0) return err_sys(err, errno, "%.250s: its queue cannot be kept", directory);
    return true;
}

static bool check_empty(const struct placing *p, struct err *err)
{
    char directory[8300], config[8300];
    if (!whole(p, p->archive->directory, directory) || !whole(p, p->config, config)) return err_set(err, "a path is too long");
    bool empty = is_empty(directory);
    if (!p->place->force && !empty) return err_set(err, "%.250s is not empty: --force puts what is there aside", directory);
    if (!p->place->force && access(config, F_OK) == 0) return err_set(err, "%.250s is there already: --force replaces it", config);
    return empty || put_aside(p, directory, err);
}

static bool check_owners(const struct backup_archive *a, struct err *err)
{
    const char *last = "";
    for (size_t i = 0; geteuid() == 0 && i < a->n; i++) {
        const char *name = a->entries[i].owner;
        if (!name[0] || !strcmp(name, last)) continue;
        if (!getpwnam(name)) return err_set(err, "there is no user \"%.60s\" on this machine: install the package first, or make it with `useradd --system`", name);
        last = name;
    }
    return true;
}

bool backup_restore(int fd, const struct backup_archive *a, const struct backup_place *place, struct err *err)
{
    struct placing p = { .archive = a, .place = place, .config = place->config ? place->config : a->config };
    if (!backup_path_ok(p.config, true)) return err_set(err, "-c: an absolute path without . and .. is needed");
    p.root = open(place->to[0] ? place->to : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p.root < 0) return err_sys(err, errno, "%.250s", place->to);
    bool ok = check_places(&p, err) && check_owners(a, err) && check_stopped(&p, err) && check_empty(&p, err) && place_folders(&p, err) &&
              backup_each(fd, a, place_file, &p, err);
    sync();
    close(p.root);
    return ok;
}
