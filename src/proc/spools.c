/* SPDX-License-Identifier: Apache-2.0
 * The register of spool directories. */
#include "proc/spools.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "proc/directory.h"
#include "proc/restart.h"

#define BUSY_MS 2000
#define FAILED_MS 60000

struct spools {
    char *dir;
    const struct privilege_user *user;
    struct {
        const void *owner;
        uint64_t not_before; /* ms, monotonic */
        struct restart crashes;
        bool dirty;          /* may hold mail */
        bool refused;        /* the lock was taken or the directory bad, at the last try */
    } at[SPOOLS_MAX];
};

static bool scan(struct spools *s, struct err *err)
{
    DIR *d = opendir(s->dir);
    if (!d) return err_sys(err, errno, "reading %.200s", s->dir);
    uint64_t n;
    for (const struct dirent *e; (e = readdir(d));)
        if (slice_to_u64(slice_str(e->d_name), SPOOLS_MAX - 1, &n)) s->at[n].dirty = true;
    closedir(d);
    return true;
}

struct spools *spools_new(const char *dir, const struct privilege_user *user, struct err *err)
{
    if (!directory_make(dir, 0700, user, err)) return NULL;
    struct spools *s = mem_new(struct spools);
    s->dir = mem_strdup(dir);
    s->user = user;
    if (!scan(s, err)) spools_free(&s);
    return s;
}

void spools_free(struct spools **s)
{
    if (!*s) return;
    free((*s)->dir);
    free(*s);
    *s = NULL;
}

int spools_take(struct spools *s, const void *owner, uint64_t now, struct err *err)
{
    char path[4200];
    for (int n = 0; n < SPOOLS_MAX; n++) {
        if (s->at[n].owner || (s->at[n].refused && s->at[n].not_before > now)) continue;
        if (s->at[n].crashes.failures > 3) continue; /* what is in it may be what kills: new mail goes elsewhere */
        snprintf(path, sizeof path, "%s/%d", s->dir, n);
        if (!directory_make(path, 0700, s->user, err)) {
            if (err->code != ELOOP && err->code != ENOTDIR) return -1;
            /* a worker that was taken over may have put anything there: it shall not stop the others */
            log_event(LOG_ERROR, "no-spool-directory", LOG_NUM("spool", n), LOG_ERR(err));
            spools_failed(s, n, now);
            continue;
        }
        s->at[n].owner = owner;
        s->at[n].dirty = true;
        s->at[n].refused = false;
        return n;
    }
    err_set(err, "all %d spool directories under %.200s are in use", SPOOLS_MAX, s->dir);
    return -1;
}

int spools_adopt(struct spools *s, const void *owner, uint64_t now)
{
    for (int n = 0; n < SPOOLS_MAX; n++) {
        if (!s->at[n].dirty || s->at[n].owner || s->at[n].not_before > now) continue;
        s->at[n].owner = owner;
        s->at[n].refused = false;
        return n;
    }
    return -1;
}

static void refuse(struct spools *s, int n, uint64_t until)
{
    s->at[n].owner = NULL;
    s->at[n].dirty = s->at[n].refused = true;
    s->at[n].not_before = until;
}

void spools_busy(struct spools *s, int n, uint64_t now) { refuse(s, n, now + BUSY_MS); }
void spools_failed(struct spools *s, int n, uint64_t now) { refuse(s, n, now + FAILED_MS); }

void spools_emptied(struct spools *s, int n)
{
    s->at[n].owner = NULL;
    s->at[n].dirty = false;
    s->at[n].crashes.failures = 0;
}

void spools_release(struct spools *s, const void *owner, bool crashed, uint64_t now)
{
    for (int n = 0; n < SPOOLS_MAX; n++) {
        if (s->at[n].owner != owner) continue;
        s->at[n].owner = NULL;
        if (crashed) s->at[n].not_before = now + restart_pause(&s->at[n].crashes, 0);
        else s->at[n].crashes.failures = 0;
    }
}

bool spools_owned(const struct spools *s, int n, const void *owner)
{
    return n >= 0 && n < SPOOLS_MAX && s->at[n].owner == owner;
}
