/* SPDX-License-Identifier: Apache-2.0
 * The users file from the side of `postern user`: read whole, changed, written anew beside, synced, renamed. */
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
#include <unistd.h>
#include "auth/internal.h"
#include "base/base64.h"
#include "base/io.h"
#include "base/mem.h"
#include "smtp/address.h"

#define ITERATIONS 16384 /* of SCRAM; RFC 7677 §4 wants 4096 at least */
#define FILE_SIZE_MAX (64u << 20)

struct edit {
    const char *path;
    int dir; /* locked while it lasts */
    bool exists;
    struct stat stat;
    struct buf text;
};

static bool read_all(struct edit *e, struct err *err)
{
    int fd = open(e->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return true;
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

static bool open_folder(struct edit *e, struct err *err)
{
    char *copy = mem_strdup(e->path);
    e->dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (e->dir < 0) err_sys(err, errno, "the folder of %.200s", e->path);
    else if (flock(e->dir, LOCK_EX) != 0) err_sys(err, errno, "locking the folder of %.200s", e->path);
    free(copy);
    return e->dir >= 0;
}

static bool set_owner(const struct edit *e, int fd, const char *group_of)
{
    if (e->exists) return fchown(fd, e->stat.st_uid, e->stat.st_gid) == 0 || geteuid() != 0;
    const struct passwd *pw = group_of && *group_of && geteuid() == 0 ? getpwnam(group_of) : NULL;
    return !pw || fchown(fd, 0, pw->pw_gid) == 0;
}

static bool replace(const struct edit *e, struct slice text, const char *group_of, struct err *err)
{
    struct buf temporary = { 0 };
    buf_addf(&temporary, "%s.new", e->path);
    const char *name = buf_cstr(&temporary);
    (void)unlink(name); /* left by one that was killed: we have the lock */
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && set_owner(e, fd, group_of) && fchmod(fd, e->exists ? e->stat.st_mode & 0640 : 0640) == 0 &&
              io_write_all(fd, text) && fsync(fd) == 0;
    if (!ok) err_sys(err, errno, "writing %.200s", name);
    if (fd >= 0) close(fd);
    if (ok && rename(name, e->path) != 0) ok = err_sys(err, errno, "replacing %.200s", e->path);
    if (ok && fsync(e->dir) != 0) ok = err_sys(err, errno, "syncing the folder of %.200s", e->path);
    if (!ok && fd >= 0) (void)unlink(name);
    buf_deinit(&temporary);
    return ok;
}

/* ---- one user */

static bool check_addresses(struct slice list, struct err *err)
{
    struct slice one;
    struct address parsed;
    while (list.n) {
        slice_cut(&list, ',', &one);
        bool domain = one.n && one.p[0] == '@' && address_domain_ok(slice_sub(one, 1, one.n), false);
        if (domain || slice_eq(one, SLICE("*")) || !address_parse(one, &parsed)) continue;
        struct buf shown = { 0 };
        buf_add_printable(&shown, one, 100);
        err_set(err, "\"%s\" is no address: write a@b.example, @b.example or *, with commas between", buf_cstr(&shown));
        buf_deinit(&shown);
        return false;
    }
    return true;
}

static bool set_password(struct user *u, struct slice password, bool cram, struct err *err)
{
    unsigned char salt[16];
    struct buf prepared = { 0 };
    bool ok = secret_prepare(password, &prepared) ||
              err_set(err, "the password is empty, too long, or holds characters that no password may hold (RFC 4013)");
    ok = ok && secret_hash(buf_slice(&prepared), u->hash, err);
    if (ok && RAND_bytes(salt, sizeof salt) != 1) ok = err_set(err, "no random numbers");
    if (ok) secret_scram(buf_slice(&prepared), salt, sizeof salt, ITERATIONS, &u->scram);
    if (ok && cram) secret_cram(buf_slice(&prepared), &u->cram);
    u->has_scram = ok;
    u->has_cram = ok && cram;
    buf_wipe(&prepared);
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
    bool ok = !c->password.p || set_password(&u, c->password, c->cram_md5 || u.has_cram, err);
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
        if (c->must_not_exist) return err_set(err, "there is such a user already");
        if (!c->remove && !found) ok = user_parse(line, &old, err) && add_line(c, slice_str(old.name), &old, out, err);
        found = true;
    }
    if (ok && !found && c->must_exist) return err_set(err, "there is no such user");
    return ok && (found || c->remove || add_line(c, name, NULL, out, err));
}

bool users_file_change(const char *path, const struct users_change *c, struct err *err)
{
    struct edit e = { .path = path, .dir = -1 };
    struct buf name = { 0 }, out = { 0 };
    bool ok =
        (secret_prepare_name(c->name, &name) && user_name_ok(buf_slice(&name))) ||
        err_set(
            err,
            "that is no name for a user: up to 255 bytes, without colons, control characters, # at its beginning, or blanks "
            "that cannot be seen");
    ok = ok && check_addresses(c->addresses, err) && open_folder(&e, err) && read_all(&e, err) &&
         change_text(c, buf_slice(&name), buf_slice(&e.text), &out, err) &&
         replace(&e, buf_slice(&out), c->group_of, err);
    if (e.dir >= 0) close(e.dir);
    buf_wipe(&e.text);
    buf_wipe(&out);
    buf_deinit(&name);
    return ok;
}

bool users_file_each(const char *path, users_file_cb *cb, void *arg, struct err *err)
{
    struct edit e = { .path = path, .dir = -1 };
    struct user u;
    struct slice rest, line;
    bool ok = read_all(&e, err);
    rest = buf_slice(&e.text);
    while (ok && rest.n) {
        struct err damaged;
        slice_cut(&rest, '\n', &line);
        if (slice_trim(line).n && line.p[0] != '#' && user_parse(line, &u, &damaged))
            cb(arg, u.name, u.has_cram, u.addresses);
    }
    mem_wipe(&u, sizeof u);
    buf_wipe(&e.text);
    return ok;
}
