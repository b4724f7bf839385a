/* SPDX-License-Identifier: Apache-2.0
 * Key files: made once, never written to again, readable by the signer alone. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/io.h"
#include "base/mem.h"
#include "change/dkim_keys.h"
#include "config/config.h"
#include "config/dump.h"

#define MARK "._domainkey."
#define A_DAY_MAX 1000           /* keys of one domain in a day */

void dkim_named_keys_deinit(struct dkim_named_keys *k)
{
    for (size_t i = 0; i < k->n; i++) dkim_key_free(&k->items[i].key);
    k->n = 0;
}

void dkim_keys_of(const struct config *c, const char *domain, struct dkim_named_keys *out)
{
    out->n = 0;
    for (size_t i = 0; i < c->dkim.key_n && out->n < DKIM_KEYS_MAX; i++) {
        const struct config_dkim_key *k = &c->dkim.keys[i];
        struct dkim_named_key *to = &out->items[out->n];
        if (!slice_ieq(slice_str(k->domain), slice_str(domain))) continue;
        *to = (struct dkim_named_key){ .waits = !k->enabled };
        snprintf(to->selector, sizeof to->selector, "%s", k->selector);
        snprintf(to->file, sizeof to->file, "%s", k->file);
        out->n++;
    }
}

void dkim_add_entry(const char *domain, const struct dkim_named_key *k, bool enabled, struct buf *out)
{
    buf_addf(out, "{domain: %s, selector: %s, file: ", domain, k->selector);
    yaml_add_scalar(out, slice_str(k->file));
    buf_add_str(out, enabled ? "}" : ", enabled: no}");
}

/* ---- making one */

/* Without root, or without such a user, files stay ours. */
static void owner_of(const char *name, uid_t *uid, gid_t *gid)
{
    const struct passwd *pw = *name && geteuid() == 0 ? getpwnam(name) : NULL;
    *uid = pw ? pw->pw_uid : (uid_t)-1;
    *gid = pw ? pw->pw_gid : (gid_t)-1;
}

static bool make_directory(const char *path, gid_t gid, struct err *err)
{
    if (mkdir(path, 0750) != 0) return errno == EEXIST || err_sys(err, errno, "cannot make the folder %.300s", path);
    return gid == (gid_t)-1 || chown(path, (uid_t)-1, gid) == 0 ||
           err_sys(err, errno, "cannot give the folder %.300s to its group", path);
}

/* What is made is on the disk before it is published. */
static bool sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return ok;
}

static bool write_file(const char *path, const struct dkim_place *place, struct slice pem, struct err *err)
{
    uid_t uid;
    gid_t gid;
    owner_of(place->owner, &uid, &gid);
    if (!make_directory(place->directory, gid, err)) return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno,
                       errno == EEXIST ? "%.300s is there already and stays as it is" : "cannot make %.300s", path);
    bool ok = io_write_all(fd, pem) && fchmod(fd, 0600) == 0 && (uid == (uid_t)-1 || fchown(fd, uid, gid) == 0) &&
              fsync(fd) == 0;
    int code = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        code = errno;
    }
    if (ok && !sync_directory(place->directory)) {
        ok = false;
        code = errno;
    }
    if (!ok) unlink(path);
    return ok || err_sys(err, code, "cannot write %.300s", path);
}

static bool is_taken(const struct dkim_named_keys *taken, const char *selector)
{
    for (size_t i = 0; i < taken->n; i++)
        if (slice_ieq(slice_str(taken->items[i].selector), slice_str(selector))) return true;
    return false;
}

static void set_file(struct dkim_named_key *k, const char *directory, const char *domain)
{
    struct buf b = { .max = sizeof k->file - 1 };
    buf_addf(&b, "%s/%s" MARK "%s.pem", directory, k->selector, domain);
    memcpy(k->file, buf_cstr(&b), b.n + 1); /* "" when it is too long */
    buf_deinit(&b);
}

/* Tries names until one is free. */
static bool write_named(const struct dkim_wish *o, const struct dkim_place *place, const struct dkim_named_keys *taken,
                        struct slice pem, struct dkim_named_key *out, struct err *err)
{
    char day[16];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(day, sizeof day, "%Y-%m-%d", &tm);
    for (unsigned n = 1; n < A_DAY_MAX; n++) {
        if (o->selector) snprintf(out->selector, sizeof out->selector, "%s", o->selector);
        else snprintf(out->selector, sizeof out->selector, "selector-%s-%u", day, n);
        if (!o->selector && is_taken(taken, out->selector)) continue;
        set_file(out, place->directory, o->domain);
        err->code = 0;
        if (write_file(out->file, place, pem, err)) return true;
        if (err->code != EEXIST || o->selector) return false;
    }
    return false;
}

bool dkim_file_new(const struct dkim_wish *o, const struct dkim_place *place, const struct dkim_named_keys *taken,
                   struct dkim_named_key *out, struct err *err)
{
    struct buf pem = { 0 };
    *out = (struct dkim_named_key){ 0 };
    if (o->selector && is_taken(taken, o->selector))
        return err_set(err, "the configuration has the selector %.100s already", o->selector);
    out->key = dkim_key_new(o->type, o->bits ? o->bits : 2048, err);
    if (!out->key) return false;
    bool ok = dkim_key_pem(out->key, &pem) ? write_named(o, place, taken, buf_slice(&pem), out, err)
                                           : err_set(err, "the key cannot be written as PEM");
    buf_wipe(&pem);
    if (!ok) dkim_key_free(&out->key);
    char *real = ok ? realpath(place->directory, NULL) : NULL;
    if (real && strlen(real) + strlen(o->domain) + 300 < sizeof out->file)
        set_file(out, real, o->domain); /* the configuration may lie elsewhere */
    free(real);
    return ok;
}

/* ---- finding them */

/* "SELECTOR._domainkey.DOMAIN.pem" */
static bool selector_of(const char *name, const char *domain, struct dkim_named_key *out)
{
    char tail[300];
    int n = snprintf(tail, sizeof tail, MARK "%s.pem", domain);
    struct slice s = slice_str(name), end = slice_of(tail, (size_t)n);
    if (s.n <= end.n || !slice_iends(s, end) || s.n - end.n >= sizeof out->selector) return false;
    snprintf(out->selector, sizeof out->selector, "%.*s", (int)(s.n - end.n), s.p);
    return true;
}

void dkim_files_list(const char *directory, const char *domain, void (*passed_over)(const struct err *err),
                     struct dkim_named_keys *out)
{
    struct err err;
    const struct dirent *e;
    out->n = 0;
    DIR *d = opendir(directory);
    if (!d) return;
    while ((e = readdir(d)) && out->n < DKIM_KEYS_MAX) {
        struct dkim_named_key *k = &out->items[out->n];
        *k = (struct dkim_named_key){ 0 };
        if (!selector_of(e->d_name, domain, k)) continue;
        set_file(k, directory, domain);
        k->key = dkim_key_load(k->file, &err);
        if (k->key) out->n++;
        else if (passed_over) passed_over(&err);
    }
    closedir(d);
}

static bool stamp_of(const char *selector, unsigned out[4])
{
    int end = 0;
    int n = sscanf(selector, "selector-%4u-%2u-%2u-%u%n", &out[0], &out[1], &out[2], &out[3], &end);
    return n == 4 && !selector[end];
}

bool dkim_file_newer(const struct dkim_named_key *a, const struct dkim_named_key *b)
{
    unsigned x[4], y[4];
    struct stat p, q;
    if (stamp_of(a->selector, x) && stamp_of(b->selector, y)) {
        for (size_t i = 0; i < countof(x); i++)
            if (x[i] != y[i]) return x[i] > y[i];
        return false;
    }
    if (stat(a->file, &p) != 0 || stat(b->file, &q) != 0) return false;
    if (p.st_mtim.tv_sec != q.st_mtim.tv_sec) return p.st_mtim.tv_sec > q.st_mtim.tv_sec;
    return p.st_mtim.tv_nsec > q.st_mtim.tv_nsec;
}
