/* SPDX-License-Identifier: Apache-2.0
 * Tokens that are kept: who fetches, who waits, and what is not asked for again for a while. */
#include "auth/token.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "auth/client_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define LIFE_UNKNOWN 300000    /* ms */
#define MARGIN_MAX 60000       /* ms before its end a token is not used any more */

struct kept {
    struct kept *next;
    const struct config_hop *hop;
    bool fetching;
    struct buf access;
    uint64_t until;            /* mono ms */
    unsigned refusals;         /* in a row */
    char reason[200];          /* of the last error */
    uint64_t reason_until;     /* mono ms */
    struct buf refresh;        /* newer than what the file holds, because that could not be written */
    struct timespec file_time; /* of the file then: when it is changed by hand, it is believed again */
};

/* The process's one. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct kept *first;
} tokens = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static struct kept *find(const struct config_hop *hop)
{
    for (struct kept *k = tokens.first; k; k = k->next)
        if (k->hop == hop) return k;
    return NULL;
}

static struct kept *get(const struct config_hop *hop)
{
    struct kept *k = find(hop);
    if (k) return k;
    k = mem_new(struct kept);
    k->hop = hop;
    k->next = tokens.first;
    return tokens.first = k;
}

/* ---- the refresh token */

static struct timespec time_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mtim : (struct timespec){ 0 };
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool read_refresh(const struct kept *k, struct buf *out, char reason[200])
{
    const char *path = k->hop->auth.token.refresh_token_file;
    if (!path) {
        snprintf(reason, 200, "token.refresh_token_file is not set");
        return false;
    }
    if (k->refresh.n && same_time(k->file_time, time_of(path))) {
        buf_add(out, buf_slice(&k->refresh));
        return true;
    }
    return auth_secret_file(path, TOKEN_MAX, out, reason);
}

/* In one step, whatever happens in between: the old one may be worth nothing by now. */
static bool write_refresh(const char *path, struct slice token)
{
    struct buf temporary = { 0 }, folder = { 0 };
    const char *slash = strrchr(path, '/');
    struct stat st;
    mode_t mode = stat(path, &st) == 0 ? st.st_mode & 0770 : 0600;
    buf_addf(&temporary, "%s.%d.new", path, (int)getpid()); /* while a reload lasts there are two of us */
    buf_add(&folder, slash ? slice_of(path, (size_t)(slash - path) + 1) : SLICE("."));
    (void)unlink(buf_cstr(&temporary));
    int fd = open(buf_cstr(&temporary), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), dir = -1;
    bool ok = fd >= 0 && fchmod(fd, mode) == 0 && write(fd, token.p, token.n) == (ssize_t)token.n && write(fd, "\n", 1) == 1 &&
              fsync(fd) == 0 && rename(buf_cstr(&temporary), path) == 0;
    int code = errno;
    if (fd >= 0 && !ok) unlink(buf_cstr(&temporary));
    if (fd >= 0) close(fd);
    if (ok && (dir = open(buf_cstr(&folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0) {
        if (fsync(dir) != 0) code = errno;
        close(dir);
    }
    buf_deinit(&temporary);
    buf_deinit(&folder);
    errno = code;
    return ok;
}

static void keep_refresh(struct kept *k, struct slice token, struct slice sent)
{
    const char *path = k->hop->auth.token.refresh_token_file;
    if (!token.n || !path || slice_eq(token, sent)) return;
    buf_wipe(&k->refresh);
    if (write_refresh(path, token)) return;
    log_event(LOG_WARNING, "refresh-token-not-saved", LOG_STR("file", path), LOG_STR("error", strerror(errno)),
              LOG_STR("mend", "let the user of the auth process write the file and its folder, or it will be lost at the next restart or reload"));
    buf_add(&k->refresh, token);
    k->file_time = time_of(path);
}

/* ---- fetching */

static bool fetch(const struct config *c, struct kept *k, struct token *t, char reason[200])
{
    struct buf refresh = { 0 };
    if (k->hop->auth.token.command) return token_run_command(k->hop->auth.token.command, t, reason);
    bool ok = read_refresh(k, &refresh, reason) && token_ask_endpoint(c, k->hop, buf_slice(&refresh), t, reason);
    if (ok) keep_refresh(k, buf_slice(&t->refresh), buf_slice(&refresh));
    buf_wipe(&refresh);
    return ok;
}

static void keep(struct kept *k, const struct token *t, bool ok, const char *reason)
{
    uint64_t now = clock_mono_ms(), life = t->life ? t->life : LIFE_UNKNOWN, margin = life / 4;
    buf_wipe(&k->access);
    k->reason[0] = 0;
    if (ok) {
        buf_add(&k->access, buf_slice(&t->access));
        k->until = now + life - (margin < MARGIN_MAX ? margin : MARGIN_MAX);
    } else {
        snprintf(k->reason, sizeof k->reason, "%s", reason);
        k->reason_until = now + TOKEN_ERROR_MS;
        log_event(LOG_ERROR, "token-not-fetched", LOG_STR("hop", k->hop->text), LOG_STR("error", reason));
    }
}

/* With the lock, which is let go of meanwhile. k->fetching keeps others away from what `fetch` uses of k. */
static void fetch_and_keep(const struct config *c, struct kept *k)
{
    struct token t = { 0 };
    char reason[200] = "";
    k->fetching = true;
    pthread_mutex_unlock(&tokens.lock);
    bool ok = fetch(c, k, &t, reason);
    pthread_mutex_lock(&tokens.lock);
    keep(k, &t, ok, reason);
    token_deinit(&t);
    k->fetching = false;
    pthread_cond_broadcast(&tokens.changed);
}

bool token_get(const struct config *c, const struct config_hop *hop, struct buf *out, char reason[200])
{
    pthread_mutex_lock(&tokens.lock);
    struct kept *k = get(hop);
    while (k->fetching) pthread_cond_wait(&tokens.changed, &tokens.lock); /* a fetch ends in TOKEN_TIME_MAX */
    uint64_t now = clock_mono_ms();
    bool known_bad = k->reason[0] && now < k->reason_until;
    if (!known_bad && (!k->access.n || now >= k->until)) fetch_and_keep(c, k);
    bool ok = !k->reason[0] && k->access.n;
    if (ok) buf_add(out, buf_slice(&k->access));
    else snprintf(reason, 200, "%s", k->reason[0] ? k->reason : "the token was refused");
    pthread_mutex_unlock(&tokens.lock);
    return ok;
}

void token_refuse(const struct config_hop *hop, struct slice token)
{
    pthread_mutex_lock(&tokens.lock);
    struct kept *k = find(hop);
    if (k && !k->fetching && slice_eq(buf_slice(&k->access), token)) {
        buf_wipe(&k->access);
        if (++k->refusals > 1) { /* it was a fresh one: more of them will not help */
            snprintf(k->reason, sizeof k->reason, "the server refuses every token: look at its scope and at the user");
            k->reason_until = clock_mono_ms() + TOKEN_ERROR_MS;
        }
    }
    pthread_mutex_unlock(&tokens.lock);
}

void token_accept(const struct config_hop *hop)
{
    pthread_mutex_lock(&tokens.lock);
    struct kept *k = find(hop);
    if (k) k->refusals = 0;
    pthread_mutex_unlock(&tokens.lock);
}

void token_forget(void)
{
    pthread_mutex_lock(&tokens.lock);
    while (tokens.first) {
        struct kept *k = tokens.first;
        tokens.first = k->next;
        buf_wipe(&k->access);
        buf_wipe(&k->refresh);
        free(k);
    }
    pthread_mutex_unlock(&tokens.lock);
}
