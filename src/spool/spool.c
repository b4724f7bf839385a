/* SPDX-License-Identifier: Apache-2.0
 * Opening and closing a spool, and what can be said of it. */
#include "spool/private.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "spool/recover.h"

#define SEGMENT_MIN (64u << 10)
#define SEGMENT_MAX (1u << 30)
#define PENDING_DEFAULT (64u << 20)
#define TICK_MS 1000
#define CLOSE_TRIES 3
#define FULL_ASK_MS 1000

static uint64_t message_hash(const void *item) { return hash_u64(((const struct spool_msg *)item)->id); }
static bool message_match(const void *item, const void *key)
{
    return ((const struct spool_msg *)item)->id == *(const uint64_t *)key;
}

struct spool_msg *spool_find(const struct spool *sp, uint64_t id)
{
    return htable_find(&sp->messages, hash_u64(id), message_match, &id);
}

/* ---- open */

/* What is of no use any more goes; a few spares are kept to be written over. */
static bool look_around(struct spool *sp, struct err *err)
{
    char name[NAME_N];
    struct found *f = sp->found = found_read(sp->dir_fd, sp->dir, err);
    if (!f) return false;
    for (size_t i = 0; i < f->drafts.n; i++) {
        name_draft(name, f->drafts.p[i]);
        unlinkat(sp->dir_fd, name, 0); /* never committed */
    }
    for (size_t i = 0; i < f->spares.n; i++) {
        name_spare(name, f->spares.p[i]);
        if (i < SPARES_MAX)
            sp->flush.spares[sp->flush.spare_n++] = f->spares.p[i];
        else
            unlinkat(sp->dir_fd, name, 0);
    }
    sp->epoch = f->epoch + 1;
    sp->first_sequence = f->segment_n ? f->segments[0].sequence : f->last + 1;
    sp->flush.next_sequence = f->last + 1;
    return true;
}

static bool take_lock(struct spool *sp, bool *busy, struct err *err)
{
    sp->dir_fd = open(sp->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (sp->dir_fd < 0) return err_sys(err, errno, "cannot open the spool %s", sp->dir);
    sp->lock_fd = openat(sp->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (sp->lock_fd < 0) return err_sys(err, errno, "cannot open %s/lock", sp->dir);
    if (flock(sp->lock_fd, LOCK_EX | LOCK_NB) == 0) return true;
    *busy = errno == EWOULDBLOCK;
    if (*busy) return err_set(err, "the spool %s is in use by another process", sp->dir);
    return err_sys(err, errno, "cannot lock the spool %s", sp->dir);
}

static void init(struct spool *sp, struct event_base *base, const struct spool_options *o)
{
    struct list *const lists[] = { &sp->commits,     &sp->states,         &sp->syncs,
                                   &sp->big_commits, &sp->sync_waits,     &sp->relief,
                                   &sp->relieved,    &sp->flush.incoming, &sp->flush.unsynced };
    for (size_t i = 0; i < countof(lists); i++) list_init(lists[i]);
    sp->base = base;
    sp->o = *o;
    sp->o.dir = sp->dir = mem_strdup(o->dir);
    if (sp->o.segment_size < SEGMENT_MIN) sp->o.segment_size = SEGMENT_MIN;
    if (sp->o.segment_size > SEGMENT_MAX) sp->o.segment_size = SEGMENT_MAX;
    sp->o.segment_size &= ~(uint64_t)4095;
    if (sp->o.inline_size > SEGMENT_MAX) sp->o.inline_size = SEGMENT_MAX;
    if (!sp->o.pending_max) sp->o.pending_max = PENDING_DEFAULT;
    sp->compact_min = 2 * sp->o.segment_size;
    sp->tick_ms = TICK_MS;
    sp->dir_fd = sp->lock_fd = sp->outbox.fd = sp->peek_fd = sp->flush.cur.fd = sp->flush.next.fd = -1;
    htable_init(&sp->messages, message_hash);
    htable_init(&sp->state_items, state_item_hash);
    mutex_and_cond_init(&sp->flush.lock, &sp->flush.wake);
    pthread_cond_init(&sp->flush.made, NULL);
    sp->fresh_bigs = mem_zalloc(FRESH_BIGS * sizeof *sp->fresh_bigs);
    sp->handover_event = event_new(base, -1, 0, handover_on_event, sp);
    sp->later_event = event_new(base, -1, 0, handover_on_event, sp);
    sp->tick_event = event_new(base, -1, 0, tick_run, sp);
    if (!sp->handover_event || !sp->later_event || !sp->tick_event) abort();
}

/* All but the threads. */
static void deinit(struct spool *sp)
{
    outbox_deinit(sp);
    event_free(sp->handover_event);
    event_free(sp->later_event);
    event_free(sp->tick_event);
    recovery_free(sp);
    compact_free(sp);
    found_free(sp->found);
    segments_free(sp);
    htable_deinit(&sp->messages);
    htable_deinit(&sp->state_items);
    buf_deinit(&sp->dones);
    free(sp->trash);
    free(sp->fresh_bigs);
    if (sp->peek_fd >= 0) close(sp->peek_fd);
    if (sp->dir_fd >= 0) close(sp->dir_fd);
    if (sp->lock_fd >= 0) close(sp->lock_fd);
    pthread_cond_destroy(&sp->flush.made);
    pthread_cond_destroy(&sp->flush.wake);
    pthread_mutex_destroy(&sp->flush.lock);
    free(sp->dir);
    sp->closed = true;
    if (!sp->depth) free(sp);
}

/* The directory itself may be new. Whoever made it should have synced its name; once more does no harm. */
static void sync_parent(struct spool *sp)
{
    int fd = openat(sp->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

/* What is in the spool can be delivered from a full disk as well; the flush thread makes a segment when there is room. */
static bool first_segment(struct spool *sp, struct err *err)
{
    if (segment_make(sp, sp->flush.next_sequence++, &sp->flush.cur, err)) return true;
    if (err->code != ENOSPC && err->code != EDQUOT) return false;
    log_event(LOG_ERROR, "spool-no-space", LOG_STR("dir", sp->dir), LOG_ERR(err));
    spool_lack_of_space(sp, err->code);
    return true;
}

struct spool *spool_open(struct event_base *base, const struct spool_options *o, bool *busy, struct err *err)
{
    struct spool *sp = mem_new(struct spool);
    *busy = false;
    init(sp, base, o);
    bool ok = outbox_init(sp, err) && take_lock(sp, busy, err) && look_around(sp, err) && first_segment(sp, err);
    if (ok) sync_parent(sp);
    bool pool = ok && pool_init(sp, err);
    if (!pool || !flush_start(sp, err)) {
        if (pool) pool_deinit(sp);
        if (sp->flush.cur.fd >= 0) close(sp->flush.cur.fd);
        deinit(sp);
        return NULL;
    }
    if (sp->flush.cur.fd >= 0) sp->active = segment_get(sp, sp->flush.cur.sequence)->sequence;
    return sp;
}

/* ---- close */

void spool_enter(struct spool *sp)
{
    sp->depth++;
}

void spool_leave(struct spool *sp)
{
    if (!--sp->depth && sp->closed) free(sp);
}

static void close_synced(struct spool *sp, struct item *it)
{
    *(int *)it->pieces = it->error;
    free(it);
}

/* Until all that was handed over came back: at a failing disk it may not. */
static bool drain(struct spool *sp)
{
    for (int idle = 0; idle < CLOSE_TRIES;) {
        if (outbox_take(sp)) {
            handover_now(sp);
            idle = 0;
            continue;
        }
        if (!sp->in_flight && !sp->pool.outstanding && list_empty(&sp->sync_waits)) return true;
        struct pollfd p = { .fd = sp->outbox.fd, .events = POLLIN };
        if (poll(&p, 1, 1000) == 0 && !sp->pool.outstanding) idle++;
    }
    return false;
}

void spool_close(struct spool *sp)
{
    spool_enter(sp);
    sp->closing = true;
    recovery_stop(sp);
    event_del(sp->tick_event);
    event_del(sp->later_event);
    int result = -1;
    for (int i = 0; i < 3 && result; i++) { /* a failed one is tried again: it may have been one segment only */
        struct item *it = mem_new(struct item);
        it->pieces = (struct slice *)(void *)&result;
        result = -1;
        barrier_queue(sp, close_synced, it);
        handover_now(sp);
        if (!drain(sp)) break;
    }
    flush_stop(sp);
    while (outbox_take(sp)) {}
    pool_deinit(sp);
    while (outbox_take(sp)) {}
    if (!result) trash_now(sp);
    if (result) log_event(LOG_ERROR, "spool-not-synced", LOG_STR("dir", sp->dir));
    deinit(sp);
    spool_leave(sp);
}

/* ---- figures */

void spool_lack_of_space(struct spool *sp, int error)
{
    if (error != ENOSPC && error != EDQUOT && error != EFBIG) return;
    sp->no_space_at = clock_mono_ms();
    sp->full_asked = 0;
}

static void ask_space(struct spool *sp)
{
    struct statvfs v;
    uint64_t now = clock_mono_ms();
    if (sp->full_asked && now - sp->full_asked < FULL_ASK_MS) return;
    sp->full_asked = now;
    sp->came_since = 0;
    if (fstatvfs(sp->dir_fd, &v) != 0) return;
    sp->disk_bytes = (uint64_t)v.f_blocks * v.f_frsize;
    sp->free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
}

bool spool_full(struct spool *sp)
{
    uint64_t keep = sp->disk_bytes / 100 * sp->o.free_percent;
    if (sp->came_since > (sp->free_bytes - (keep < sp->free_bytes ? keep : sp->free_bytes)) / 2) sp->full_asked = 0; /* much may be used */
    ask_space(sp);
    if (sp->no_space_at && clock_mono_ms() - sp->no_space_at < FULL_ASK_MS) return true; /* then another one may try */
    sp->no_space_at = 0;
    return sp->free_bytes < sp->disk_bytes / 100 * sp->o.free_percent + sp->pending;
}

void spool_get_figures(struct spool *sp, struct spool_figures *out)
{
    ask_space(sp);
    *out = (struct spool_figures){
        .messages = sp->messages.n, .segments = sp->segment_n, .flushes = atomic_load(&sp->flush.flushes),
        .records = atomic_load(&sp->flush.records), .damaged = sp->damaged, .free_bytes = sp->free_bytes,
        .disk_bytes = sp->disk_bytes, .bytes_total = sp->big_bytes, .bytes_alive = sp->big_bytes,
    };
    pthread_mutex_lock(&sp->flush.lock);
    out->spare_segments = sp->flush.spare_n;
    pthread_mutex_unlock(&sp->flush.lock);
    for (size_t i = 0; i < sp->segment_n; i++) {
        out->bytes_total += sp->segments[i]->size;
        out->bytes_alive += sp->segments[i]->live_bytes;
    }
}
