/* SPDX-License-Identifier: Apache-2.0
 * The users file from the side of who changes it: read whole, changed, written anew beside, synced, renamed. All of that
 * in the folder as it was opened, whatever becomes of the path meanwhile. */
#include "auth/users_file.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/rand.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "auth/internal.h"
#include "base/base64.h"
#include "base/io.h"
#include "base/mem.h"
#include "smtp/address.h"

#define ITERATIONS 16384 /* of SCRAM; RFC 7677 §4 wants 4096 at least */
#define FILE_SIZE_MAX (64u << 20)
#define LOCK_TRIES 200 /* of 50 ms */

struct edit {
    const char *path, *name; /* name: in dir */
    int dir; /* of a change: the folder, locked while it lasts; else AT_FDCWD */
    bool exists;
    struct stat stat;
    struct buf text;
};

static bool read_all(struct edit *e, struct err *err)
{
    int link = e->dir == AT_FDCWD ? 0 : O_NOFOLLOW; /* what would be replaced is the link */
    int fd = openat(e->dir, e->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | link); /* a pipe in its place is not waited for */
    if (fd < 0 && errno == ENOENT) return true;
    if (fd < 0 && errno == ELOOP) return err_set(err, "%.200s is a symbolic link: name the file itself", e->path);
    if (fd < 0) return err_sys(err, errno, "%.200s", e->path);
    e->exists = true;
    bool ok = fstat(fd, &e->stat) == 0 && S_ISREG(e->stat.st_mode) && e->stat.st_size <= (off_t)FILE_SIZE_MAX;
    if (!ok) err_set(err, "%.200s is no regular file, or too large", e->path);
    for (ssize_t k = 1; ok && k > 0;) {
        k = read(fd, buf_reserve(&e->text, 65536), 65536);
        if (k > 0) e->text.n += (size_t)k;
        if (k < 0) ok = err_sys(err, errno, "%.200s", e->path);
    }
    close(fd);
    return ok;
}

/* Whoever may read the folder can lock it, too: nobody waits for him for ever. */
static bool lock(int dir)
{
    for (unsigned i = 0; flock(dir, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES) return false;
        (void)nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
    }
    return true;
}

static bool open_folder(struct edit *e, struct err *err)
{
    char *copy = mem_strdup(e->path);
    const char *slash = strrchr(e->path, '/');
    if (slash) e->name = slash + 1;
    if (!e->name[0]) {
        free(copy);
        return err_set(err, "%.200s is a folder: name a file", e->path);
    }
    e->dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (e->dir < 0) err_sys(err, errno, "the folder of %.200s", e->path);
    bool ok = e->dir >= 0 && (lock(e->dir) || err_sys(err, errno, "locking the folder of %.200s", e->path));
    free(copy);
    return ok;
}

int64_t users_group_of(const char *user)
{
    const struct passwd *pw = user && *user && geteuid() == 0 ? getpwnam(user) : NULL;
    return pw ? (int64_t)pw->pw_gid : -1;
}

static bool set_owner(const struct edit *e, int fd, int64_t group)
{
    if (e->exists) return fchown(fd, e->stat.st_uid, e->stat.st_gid) == 0 || geteuid() != 0;
    return group < 0 || fchown(fd, geteuid(), (gid_t)group) == 0;
}

static bool replace(const struct edit *e, struct slice text, int64_t group, struct err *err)
{
    struct buf temporary = { 0 };
    buf_addf(&temporary, "%s.new", e->name);
    const char *name = buf_cstr(&temporary);
    (void)unlinkat(e->dir, name, 0); /* left by one that was killed: we have the lock */
    int fd = openat(e->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && set_owner(e, fd, group) && fchmod(fd, e->exists ? e->stat.st_mode & 0640 : 0640) == 0 &&
              io_write_all(fd, text) && fsync(fd) == 0;
    if (!ok) err_sys(err, errno, "writing %.200s.new", e->path);
    if (fd >= 0) close(fd);
    if (ok && renameat(e->dir, name, e->dir, e->name) != 0) ok = err_sys(err, errno, "replacing %.200s", e->path);
    if (ok && fsync(e->dir) != 0) ok = err_sys(err, errno, "syncing the folder of %.200s", e->path);
    if (!ok && fd >= 0) (void)unlinkat(e->dir, name, 0);
    buf_deinit(&temporary);
    return ok;
}

/* ---- one user */

static bool wrong(struct err *err, int code)
{
    err->code = code;
    return false;
}

bool users_name_ok(struct slice name, struct err *err)
{
    struct buf prepared = { 0 };
    bool ok = secret_prepare_name(name, &prepared) && user_name_ok(buf_slice(&prepared));
    buf_deinit(&prepared);
    if (ok) return true;
    err_set_text(err, "that is no name for a user: up to 255 bytes, without colons, control characters, # at its "
                      "beginning, or blanks that cannot be seen");
    return wrong(err, EINVAL);
}

bool users_address_ok(struct slice one, struct err *err)
{
    struct address parsed;
    struct buf shown = { 0 };
    bool domain = one.n && one.p[0] == '@' && address_domain_ok(slice_sub(one, 1, one.n), false);
    bool comma = slice_find(one, ',') >= 0; /* which separates them in the file */
    if (domain || slice_eq(one, SLICE("*")) || (!comma && !address_parse(one, &parsed))) return true;
    buf_add_printable(&shown, one, 100);
    err_set_text(err, "\"%s\" is no address: write a@b.example, @b.example or *", buf_cstr(&shown));
    buf_deinit(&shown);
    return wrong(err, EINVAL);
}

static bool check_addresses(struct slice list, struct err *err)
{
    struct slice one;
    while (list.n) {
        slice_cut(&list, ',', &one);
        if (!users_address_ok(one, err)) return false;
    }
    return true;
}

static bool prepare_password(struct slice password, struct buf *out, struct err *err)
{
    if (password.n && secret_prepare(password, out)) return true;
    err_set_text(err, "the password is empty, too long, or holds characters that no password may hold (RFC 4013)");
    return wrong(err, EINVAL);
}

bool users_password_ok(struct slice password, struct err *err)
{
    struct buf prepared = { 0 };
    bool ok = prepare_password(password, &prepared, err);
    buf_wipe(&prepared);
    return ok;
}

bool users_secret_make(struct slice password, struct buf *out, struct err *err)
{
    unsigned char salt[16];
    struct buf prepared = { 0 };
    struct user u = { .has_scram = true, .has_cram = true };
    bool ok = prepare_password(password, &prepared, err) && secret_hash(buf_slice(&prepared), u.hash, err);
    if (ok && RAND_bytes(salt, sizeof salt) != 1) ok = err_set(err, "no random numbers");
    if (ok) {
        secret_scram(buf_slice(&prepared), salt, sizeof salt, ITERATIONS, &u.scram);
        secret_cram(buf_slice(&prepared), &u.cram);
        user_format_secret(&u, out);
    }
    mem_wipe(&u, sizeof u);
    buf_wipe(&prepared);
    return ok;
}

/* It may come from another process. */
static bool set_secret(struct user *u, struct slice secret, bool cram, struct err *err)
{
    struct buf line = { 0 };
    struct user made;
    bool ok = true;
    for (size_t i = 0; ok && i < secret.n; i++) ok = secret.p[i] > ' ' && secret.p[i] < 127;
    buf_addf(&line, "x:");
    buf_add(&line, secret);
    buf_add_char(&line, ':');
    if (!ok || !user_parse(buf_slice(&line), &made, err) || made.addresses.n)
        ok = err_set(err, "a secret that is none");
    if (ok) {
        memcpy(u->hash, made.hash, sizeof u->hash);
        u->scram = made.scram;
        u->cram = made.cram;
        u->has_scram = made.has_scram;
        u->has_cram = made.has_cram && cram;
    }
    mem_wipe(&made, sizeof made);
    buf_wipe(&line);
    return ok;
}

/* The user's new line behind what is in out. */
static bool add_line(const struct users_change *c, struct slice name, const struct user *old, struct buf *out,
                     struct err *err)
{
    struct user u = { 0 };
    if (old) u = *old;
    memcpy(u.name, name.p, name.n);
    u.name[name.n] = 0;
    if (c->addresses.p) u.addresses = c->addresses;
    bool ok = !c->secret.p || set_secret(&u, c->secret, c->cram_md5 || u.has_cram, err);
    if (ok) user_format(&u, out);
    mem_wipe(&u, sizeof u);
    return ok;
}

static bool same_name(struct slice line, struct slice name)
{
    struct slice first;
    return line.n && line.p[0] != '#' && slice_cut(&line, ':', &first) && slice_ieq(first, name);
}

static bool has_seed(struct slice text)
{
    struct slice line;
    while (text.n) {
        slice_cut(&text, '\n', &line);
        if (slice_starts(line, SLICE("#seed:"))) return true;
    }
    return false;
}

/* Every line could be in one; so is nothing at all. */
static bool looks_like_users(struct slice text)
{
    struct slice line;
    struct user u;
    struct err err;
    bool all = true;
    while (all && text.n) {
        slice_cut(&text, '\n', &line);
        all = !slice_trim(line).n || line.p[0] == '#' || user_parse(line, &u, &err);
    }
    mem_wipe(&u, sizeof u);
    return all;
}

static bool is_one_of(int dir, const char *const *folders)
{
    struct stat is, one;
    for (; fstat(dir, &is) == 0 && *folders; folders++)
        if (stat(*folders, &one) == 0 && one.st_dev == is.st_dev && one.st_ino == is.st_ino) return true;
    return false;
}

static bool may_write(const struct edit *e, const struct users_change *c, struct err *err)
{
    struct slice text = buf_slice(&e->text);
    return !c->new_in || (looks_like_users(text) && (has_seed(text) || is_one_of(e->dir, c->new_in))) ||
           err_set(err, "%.200s is no users file. A new one is made in system.directory or beside the configuration, and elsewhere by "
                        "`postern user add`", e->path);
}

static bool change_text(const struct users_change *c, struct slice name, struct slice text, struct buf *out,
                        struct err *err)
{
    struct slice line;
    struct user old;
    unsigned char seed[32];
    bool found = false, ok = true;
    if (!text.n) buf_add_str(out, "# Users of Postern: `postern user` changes this file.\n");
    if (!has_seed(text) && RAND_bytes(seed, sizeof seed) == 1) {
        buf_add_str(out, "#seed:");
        base64_add(out, slice_of(seed, sizeof seed));
        buf_add_char(out, '\n');
    }
    while (ok && text.n) {
        slice_cut(&text, '\n', &line);
        if (!same_name(line, name)) {
            buf_add(out, line);
            buf_add_char(out, '\n');
            continue;
        }
        if (c->must_not_exist) {
            err_set_text(err, "there is such a user already");
            return wrong(err, EEXIST);
        }
        if (!c->remove && !found) ok = user_parse(line, &old, err) && add_line(c, slice_str(old.name), &old, out, err);
        found = true;
    }
    if (ok && !found && c->must_exist) {
        err_set_text(err, "there is no such user");
        return wrong(err, ESRCH);
    }
    return ok && (found || c->remove || add_line(c, name, NULL, out, err));
}

bool users_file_change(const char *path, const struct users_change *c, struct err *err)
{
    struct edit e = { .path = path, .name = path, .dir = -1 };
    struct buf name = { 0 }, out = { 0 };
    bool ok = users_name_ok(c->name, err) && secret_prepare_name(c->name, &name) &&
              check_addresses(c->addresses, err) && open_folder(&e, err) && read_all(&e, err) && may_write(&e, c, err) &&
              change_text(c, buf_slice(&name), buf_slice(&e.text), &out, err) &&
              replace(&e, buf_slice(&out), c->group, err);
    if (e.dir >= 0) close(e.dir);
    buf_wipe(&e.text);
    buf_wipe(&out);
    buf_deinit(&name);
    return ok;
}

bool users_file_each(const char *path, users_file_cb *cb, void *arg, struct err *err)
{
    struct edit e = { .path = path, .name = path, .dir = AT_FDCWD };
    struct user u;
    struct slice rest, line;
    bool ok = read_all(&e, err);
    rest = buf_slice(&e.text);
    while (ok && rest.n) {
        struct err damaged;
        slice_cut(&rest, '\n', &line);
        if (slice_trim(line).n && line.p[0] != '#' && user_parse(line, &u, &damaged))
            cb(arg, &(struct users_entry){ slice_str(u.name), u.addresses, u.has_cram, user_is_locked(&u) });
    }
    mem_wipe(&u, sizeof u);
    buf_wipe(&e.text);
    return ok;
}
