/* SPDX-License-Identifier: Apache-2.0
 * The users file (a line of it: user_line.c) as the auth process reads it. */
#include "auth/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

#define FILE_MAX_SIZE (64u << 20)
#define DUMMY_HASH "$y$j9T$sdjs3kQRXAgYWAnj9RRkO.$4Qe1Bq6lPTHeyOdr7qvCYG5HkTBXyUOFfMBUGWnFw8C" /* nobody's */
#define DUMMY_ITERATIONS 16384

struct loaded {
    struct htable names;
    struct user *users;
    size_t n;
    char *text;
    struct stat stat;
    unsigned char seed[32];
    bool has_seed;
};

struct users {
    const char *path;
    pthread_rwlock_t lock;
    struct loaded now;
    unsigned char seed[32]; /* of this process, when the file has none */
};

/* ---- the file */

static uint64_t hash_of(const void *item) { return hash_ibytes(slice_str(((const struct user *)item)->name)); }

static bool match(const void *item, const void *key)
{
    return slice_ieq(slice_str(((const struct user *)item)->name), *(const struct slice *)key);
}

static void loaded_free(struct loaded *l)
{
    htable_deinit(&l->names);
    if (l->users) mem_wipe(l->users, l->n * sizeof *l->users);
    free(l->users);
    if (l->text) mem_wipe(l->text, strlen(l->text));
    free(l->text);
}

static const struct user *lookup(const struct loaded *l, struct slice name)
{
    return l->names.hash_of ? htable_find(&l->names, hash_ibytes(name), match, &name) : NULL;
}

static void parse_text(struct loaded *l, const char *path)
{
    struct slice rest = slice_str(l->text), line;
    size_t room = 0, number = 0;
    struct err err;
    while (rest.n) {
        slice_cut(&rest, '\n', &line);
        number++;
        if (slice_starts(line, SLICE("#seed:")))
            l->has_seed = user_decode(slice_sub(line, 6, line.n), l->seed, sizeof l->seed);
        if (!slice_trim(line).n || line.p[0] == '#') continue;
        if (l->n == room) l->users = mem_grow(l->users, room = 2 * room + 16, sizeof *l->users);
        if (user_parse(line, &l->users[l->n], &err)) l->n++;
        else log_event(LOG_ERROR, "users-file", LOG_STR("file", path), LOG_NUM("line", number), LOG_ERR(&err));
    }
    htable_init(&l->names, hash_of);
    for (size_t i = 0; i < l->n; i++)
        if (!lookup(l, slice_str(l->users[i].name))) htable_add(&l->names, &l->users[i]);
}

static bool load(struct loaded *l, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return err_sys(err, errno, "%.200s", path);
    bool ok = fstat(fd, &l->stat) == 0 && S_ISREG(l->stat.st_mode) && (uint64_t)l->stat.st_size <= FILE_MAX_SIZE;
    if (!ok) err_set(err, "%.200s is no regular file, or too large", path);
    if (ok && l->stat.st_mode & S_IROTH)
        log_event(LOG_WARNING, "users-file-readable-by-others", LOG_STR("file", path), LOG_STR("mend", "chmod o-rwx"));
    size_t n = 0, size = ok ? (size_t)l->stat.st_size : 0;
    l->text = mem_zalloc(size + 1);
    while (ok && n < size) {
        ssize_t k = read(fd, l->text + n, size - n);
        if (k <= 0) break;
        n += (size_t)k;
    }
    if (ok && memchr(l->text, 0, n)) ok = err_set(err, "%.200s holds bytes that are no text", path);
    close(fd);
    if (ok) parse_text(l, path);
    return ok;
}

static bool is_current(const struct users *u)
{
    struct stat s;
    const struct stat *is = &u->now.stat;
    return u->now.text && stat(u->path, &s) == 0 && s.st_ino == is->st_ino && s.st_size == is->st_size &&
           s.st_mtim.tv_sec == is->st_mtim.tv_sec && s.st_mtim.tv_nsec == is->st_mtim.tv_nsec;
}

/* Holds the read lock when it succeeds. */
static bool refresh(struct users *u, struct auth_verdict *v)
{
    struct err err;
    struct loaded fresh = { 0 };
    pthread_rwlock_rdlock(&u->lock);
    if (is_current(u)) return true;
    pthread_rwlock_unlock(&u->lock);
    if (!load(&fresh, u->path, &err)) {
        loaded_free(&fresh);
        auth_verdict_set(v, AUTH_TEMPFAIL, "the users file: %.150s", err.text);
        return false;
    }
    pthread_rwlock_wrlock(&u->lock);
    struct loaded old = u->now;
    u->now = fresh;
    pthread_rwlock_unlock(&u->lock);
    loaded_free(&old);
    pthread_rwlock_rdlock(&u->lock);
    return true;
}

struct users *users_new(const char *path)
{
    struct users *u = mem_new(struct users);
    u->path = path;
    pthread_rwlock_init(&u->lock, NULL);
    if (RAND_bytes(u->seed, sizeof u->seed) != 1) abort();
    return u;
}

void users_free(struct users *u)
{
    if (!u) return;
    loaded_free(&u->now);
    pthread_rwlock_destroy(&u->lock);
    free(u);
}

/* ---- asking */

/* Looks like the others': the same iterations, a salt of the same length, which stays the same. */
static void make_dummy(const struct users *u, struct slice name, struct user *out)
{
    const struct user *like = u->now.n && slice_starts(slice_str(u->now.users[0].hash), SLICE("$y$")) ? u->now.users : NULL;
    unsigned char lower[AUTH_NAME_MAX], made[32];
    size_t n = name.n < sizeof lower ? name.n : sizeof lower;
    for (size_t i = 0; i < n; i++) lower[i] = (unsigned char)ascii_lower(name.p[i]);
    const unsigned char *seed = u->now.has_seed ? u->now.seed : u->seed;
    if (!HMAC(EVP_sha256(), seed, 32, lower, n, made, NULL)) abort();
    *out = (struct user){ .has_scram = true, .has_cram = true };
    memcpy(out->hash, like ? like->hash : DUMMY_HASH, strlen(like ? like->hash : DUMMY_HASH) + 1);
    out->scram.iterations = like && like->has_scram ? like->scram.iterations : DUMMY_ITERATIONS;
    out->scram.salt_n = like && like->has_scram && like->scram.salt_n <= sizeof made ? like->scram.salt_n : 16;
    memcpy(out->scram.salt, made, out->scram.salt_n);
    if (RAND_bytes(out->scram.stored, SCRAM_KEY) != 1 || RAND_bytes(out->scram.server, SCRAM_KEY) != 1 ||
        RAND_bytes(out->cram.inner, 16) != 1 || RAND_bytes(out->cram.outer, 16) != 1)
        abort();
}

static void add_addresses(struct auth_verdict *v, struct slice list)
{
    struct slice one;
    while (list.n) {
        slice_cut(&list, ',', &one);
        one = slice_trim(one);
        if (slice_eq(one, SLICE("*"))) v->any_sender = true;
        else if (one.n) auth_verdict_add_sender(v, one);
    }
}

bool users_find(struct users *u, struct slice name, struct user *out, struct auth_verdict *v)
{
    *out = (struct user){ 0 };
    v->outcome = AUTH_FAILED;
    if (!refresh(u, v)) return false;
    const struct user *known = lookup(&u->now, name);
    if (known && user_is_locked(known)) known = NULL; /* looks like one that is not there */
    if (known) {
        *out = *known;
        add_addresses(v, known->addresses);
        out->addresses = SLICE(""); /* the text may be gone when the lock is */
    } else make_dummy(u, name, out);
    pthread_rwlock_unlock(&u->lock);
    return known != NULL;
}

void users_dummy(struct users *u, struct slice name, struct user *out)
{
    pthread_rwlock_rdlock(&u->lock);
    make_dummy(u, name, out);
    pthread_rwlock_unlock(&u->lock);
}

void users_check(struct users *u, struct slice name, struct slice password, struct auth_verdict *v)
{
    struct user user;
    bool known = users_find(u, name, &user, v);
    if (!known && v->outcome == AUTH_TEMPFAIL) return;
    bool right = secret_hash_matches(user.hash, password);
    if (known && right) {
        v->outcome = AUTH_OK;
        memcpy(v->account, user.name, sizeof v->account);
    } else auth_verdict_set(v, AUTH_FAILED, known ? "wrong password" : "no such user");
    mem_wipe(&user, sizeof user);
}
