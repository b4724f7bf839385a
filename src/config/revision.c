/* SPDX-License-Identifier: Apache-2.0
 * Revisions and the atomic replacement of the file. */
#include "config/revision.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crash.h"
#include "base/io.h"
#include "base/mem.h"
#include "config/parse.h"

#define FOLDER ".postern-revisions"
#define FIRST_LINE_MAX 1024

static char *printed(struct buf *b)
{
    char *out = mem_slicedup(buf_slice(b));
    buf_deinit(b);
    return out;
}

static char *join(const char *directory, const char *name)
{
    struct buf b = { 0 };
    buf_addf(&b, "%s/%s", directory, name);
    return printed(&b);
}

static void add_title(const struct store *s, uint64_t number, struct buf *b)
{
    buf_addf(b, "# revision %llu of ", (unsigned long long)number);
    buf_add_printable(b, slice_str(strrchr(s->file, '/') + 1), 255);
    buf_add_str(b, ", ");
}

/* "# revision 3 of postern.yaml, 2026-11-21T21:30:11.123Z, root: set limits.message_size 30M". False when it is not one
 * of this file. */
static bool parse_first_line(const struct store *s, struct slice line, struct revision *r)
{
    struct buf title = { 0 };
    struct slice when, who;
    add_title(s, r->number, &title);
    bool ours = slice_starts(line, buf_slice(&title));
    line = slice_sub(line, title.n, line.n);
    buf_deinit(&title);
    if (!ours) return false;
    slice_cut(&line, ',', &when);
    who = line;
    for (size_t i = 0; i + 1 < line.n; i++) /* "web:anna: set ..." */
        if (line.p[i] == ':' && line.p[i + 1] == ' ') {
            who = slice_sub(line, 0, i);
            break;
        }
    line = slice_sub(line, who.n + 1, line.n);
    r->when = mem_slicedup(slice_trim(when));
    r->who = mem_slicedup(slice_trim(who));
    r->what = mem_slicedup(slice_trim(line));
    return true;
}

static bool read_first_line(const struct store *s, struct revision *r)
{
    char bytes[FIRST_LINE_MAX], *path = join(s->directory, r->file);
    struct slice line, rest = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (fd >= 0) close(fd);
    free(path);
    if (n > 0) rest = slice_of(bytes, (size_t)n);
    slice_cut(&rest, '\n', &line);
    return parse_first_line(s, line, r);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const struct revision *)a)->number, y = ((const struct revision *)b)->number;
    return (x > y) - (x < y);
}

static bool list(struct store *s, struct err *err)
{
    DIR *dir = opendir(s->directory);
    if (!dir) return errno == ENOENT ? true : err_sys(err, errno, "cannot read %s", s->directory);
    for (struct dirent *d; (d = readdir(dir));) {
        struct slice rest = slice_str(d->d_name), stamp;
        uint64_t number;
        if (rest.n >= sizeof s->revisions->file || !slice_iends(rest, SLICE(".yaml")) ||
            !slice_cut(&rest, '-', &stamp) || !slice_to_u64(slice_sub(rest, 0, rest.n - 5), UINT32_MAX, &number))
            continue;
        struct revision r = { .number = number };
        memcpy(r.file, d->d_name, strlen(d->d_name) + 1);
        if (number > s->last) s->last = number;
        if (!read_first_line(s, &r)) continue;
        s->revisions = mem_grow(s->revisions, s->n + 1, sizeof *s->revisions);
        s->revisions[s->n++] = r;
    }
    closedir(dir);
    if (s->n) qsort(s->revisions, s->n, sizeof *s->revisions, by_number);
    return true;
}

static bool lock(struct store *s, struct err *err)
{
    if (mkdir(s->directory, 0700) < 0 && errno != EEXIST) return err_sys(err, errno, "cannot make %s", s->directory);
    s->lock = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (s->lock < 0) return err_sys(err, errno, "cannot open %s", s->directory);
    if (flock(s->lock, LOCK_EX) < 0) return err_sys(err, errno, "cannot lock %s", s->directory);
    return true;
}

bool store_open(struct store *s, const char *config_file, bool write, struct err *err)
{
    *s = (struct store){ .lock = -1 };
    s->file = realpath(config_file, NULL);
    if (!s->file) return err_sys(err, errno, "cannot read %s", config_file);
    struct buf b = { 0 };
    buf_add(&b, slice_of(s->file, (size_t)(strrchr(s->file, '/') - s->file) + 1));
    buf_add_str(&b, FOLDER);
    s->directory = printed(&b);
    if ((!write || lock(s, err)) && list(s, err)) return true;
    store_close(s);
    return false;
}

void store_close(struct store *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->revisions[i].when);
        free(s->revisions[i].who);
        free(s->revisions[i].what);
    }
    free(s->revisions);
    free(s->file);
    free(s->directory);
    if (s->lock >= 0) close(s->lock);
    *s = (struct store){ .lock = -1 };
}

bool store_read(const struct store *s, uint64_t number, struct buf *text, struct err *err)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->revisions[i].number != number) continue;
        char *path = join(s->directory, s->revisions[i].file);
        bool ok = config_read_file(path, text, err);
        free(path);
        ptrdiff_t eol = slice_find(buf_slice(text), '\n');
        if (ok && slice_starts(buf_slice(text), SLICE("# revision ")) && eol >= 0) buf_consume(text, (size_t)eol + 1);
        return ok;
    }
    return err_set(err, "there is no revision %llu; see `postern config history`", (unsigned long long)number);
}

static bool sync_folder(const char *path, struct err *err)
{
    char *folder = mem_strdup(path);
    *strrchr(folder, '/') = 0;
    int fd = open(folder[0] ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok) err_sys(err, errno, "cannot sync the folder of %s", path);
    if (fd >= 0) close(fd);
    free(folder);
    return ok;
}

/* A new file with these bytes, synced, under its final or a temporary name. `like`: takes its mode and owner. */
static bool write_new(const char *path, struct slice text, const struct stat *like, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(err, errno, "cannot write %s", path);
    bool ok = true;
    struct stat own;
    if (like && fstat(fd, &own) == 0 && (own.st_uid != like->st_uid || own.st_gid != like->st_gid))
        ok = fchown(fd, like->st_uid, like->st_gid) == 0;
    if (ok && like) ok = fchmod(fd, like->st_mode & 07777) == 0;
    ok = ok && io_write_all(fd, text) && fsync(fd) == 0;
    if (!ok) err_sys(err, errno, "cannot write %s", path);
    close(fd);
    if (!ok) unlink(path);
    return ok;
}

static void add_author(struct buf *b, struct slice author)
{
    for (size_t i = 0; i < author.n && i < 80; i++) {
        char c = author.p[i], l = ascii_lower(c);
        buf_add_char(b, (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || (c && strchr(":@._-", c)) ? c : '_');
    }
}

static void add_who(const struct store *s, struct buf *b)
{
    if (s->author) {
        add_author(b, slice_str(s->author));
        return;
    }
    const struct passwd *pw = getpwuid(getuid());
    const char *sudo = getenv("SUDO_USER"), *name = pw ? pw->pw_name : NULL;
    if (sudo && *sudo && getuid() == 0) buf_add_printable(b, slice_str(sudo), 32), buf_add_str(b, " as ");
    if (name) buf_add_printable(b, slice_str(name), 32);
    else buf_addf(b, "user %u", getuid());
}

/* *kept: the file that was made; freed by the caller. */
static bool keep(struct store *s, struct slice old_text, const char *what, uint64_t *number, char **kept, struct err *err)
{
    struct buf b = { 0 };
    time_t now = time(NULL);
    struct tm tm = { 0 };
    gmtime_r(&now, &tm);
    char stamp[32], file[64];
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    *number = s->last + 1;
    snprintf(file, sizeof file, "%s-%llu.yaml", stamp, (unsigned long long)*number);
    add_title(s, *number, &b);
    clock_add_rfc3339(&b, (uint64_t)now * 1000);
    buf_add_str(&b, ", ");
    add_who(s, &b);
    buf_add_str(&b, ": ");
    buf_add_printable(&b, slice_str(what), 400);
    buf_add_char(&b, '\n');
    buf_add(&b, old_text);
    char *path = join(s->directory, file);
    bool ok = write_new(path, buf_slice(&b), NULL, err) && sync_folder(path, err);
    if (ok) *kept = path;
    else free(path);
    buf_wipe(&b);
    return ok;
}

bool store_replace(struct store *s, struct slice old_text, struct slice new_text, const char *what, uint64_t *number,
                   struct err *err)
{
    struct stat st;
    char *kept;
    if (stat(s->file, &st) < 0) return err_sys(err, errno, "cannot read %s", s->file);
    if (!keep(s, old_text, what, number, &kept, err)) return false;
    crash_point("config-kept");
    struct buf b = { 0 };
    buf_addf(&b, "%s.new", s->file);
    char *temporary = printed(&b);
    unlink(temporary); /* left by a crash: we hold the lock */
    bool ok = write_new(temporary, new_text, &st, err);
    crash_point("config-written");
    if (ok && rename(temporary, s->file) < 0) {
        ok = err_sys(err, errno, "cannot replace %s", s->file);
        unlink(temporary);
    }
    crash_point("config-replaced");
    if (!ok) unlink(kept); /* nothing was changed */
    free(temporary);
    free(kept);
    struct err late; /* it is in force: what is told from here on is told of that, whether a power failure undoes it or not */
    if (ok) (void)sync_folder(s->file, &late);
    return ok;
}
