/* SPDX-License-Identifier: Apache-2.0
 * Which segments are needed still. A segment goes when nothing alive is in it and all older segments that its done
 * and copy records speak of are gone: without those records what the older ones hold would come to life again. Before
 * one goes, all that was said so far about its messages is synced (the barrier). */
#include "spool/private.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"

uint32_t segment_index(const struct spool *sp, uint64_t sequence)
{
    uint64_t i = sequence - sp->first_sequence + 1;
    return sequence >= sp->first_sequence && i <= UINT32_MAX ? (uint32_t)i : 0;
}

/* Where it is or would be. */
static size_t position(const struct spool *sp, uint32_t index)
{
    size_t low = 0, high = sp->segment_n;
    if (high && sp->segments[high - 1]->index <= index) low = high - 1; /* mostly the last */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (sp->segments[mid]->index < index)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct segment *segment_find(const struct spool *sp, uint32_t index)
{
    size_t i = position(sp, index);
    return i < sp->segment_n && sp->segments[i]->index == index ? sp->segments[i] : NULL;
}

struct segment *segment_get(struct spool *sp, uint64_t sequence)
{
    uint32_t index = segment_index(sp, sequence);
    size_t i = position(sp, index);
    assert(index);
    if (i < sp->segment_n && sp->segments[i]->index == index) return sp->segments[i];
    if (sp->segment_n == sp->segment_cap) {
        sp->segment_cap = sp->segment_cap ? sp->segment_cap * 2 : 16;
        sp->segments = mem_grow(sp->segments, sp->segment_cap, sizeof *sp->segments);
    }
    memmove(sp->segments + i + 1, sp->segments + i, (sp->segment_n - i) * sizeof *sp->segments);
    struct segment *s = sp->segments[i] = mem_new(struct segment);
    sp->segment_n++;
    *s = (struct segment){ .sequence = sequence, .index = index, .size = sp->o.segment_size, .used = SEGMENT_HEAD };
    return s;
}

static void segment_forget(struct spool *sp, struct segment *s)
{
    size_t i = position(sp, s->index);
    assert(sp->segments[i] == s);
    memmove(sp->segments + i, sp->segments + i + 1, (--sp->segment_n - i) * sizeof *sp->segments);
    if (sp->peek_fd >= 0 && sp->peek_index == s->index) {
        close(sp->peek_fd);
        sp->peek_fd = -1;
    }
    free(s->refs);
    free(s);
}

void segments_free(struct spool *sp)
{
    while (sp->segment_n) segment_forget(sp, sp->segments[sp->segment_n - 1]);
    free(sp->segments);
}

void segment_refer(struct spool *sp, struct segment *s, uint64_t older)
{
    uint32_t index = segment_index(sp, older);
    if (!index || index >= s->index || !segment_find(sp, index)) return;
    uint32_t at = s->ref_n;
    while (at > 0 && s->refs[at - 1] > index) at--;
    if (at > 0 && s->refs[at - 1] == index) return;
    if (s->ref_n == s->ref_cap) {
        s->ref_cap = s->ref_cap ? s->ref_cap * 2 : 4;
        s->refs = mem_grow(s->refs, s->ref_cap, sizeof *s->refs);
    }
    memmove(s->refs + at + 1, s->refs + at, (s->ref_n++ - at) * sizeof *s->refs);
    s->refs[at] = index;
}

uint64_t message_cost(const struct spool_msg *m)
{
    return (RECORD_HEAD + m->meta_n + (m->big ? 0 : m->text_n) + 7) & ~(uint64_t)7;
}

void segment_live(struct spool *sp, uint32_t index, uint64_t bytes, int by)
{
    struct segment *s = segment_find(sp, index);
    assert(s && (by > 0 || (s->live_n && s->live_bytes >= bytes)));
    s->live_n += (uint32_t)by;
    s->live_bytes += by > 0 ? bytes : -bytes;
}

void segment_place(struct spool *sp, const struct item *it, uint64_t size)
{
    struct segment *s = segment_get(sp, it->sequence);
    s->seed = it->seed;
    uint64_t end = (it->offset + size + 7) & ~(uint64_t)7;
    if (end > s->used) s->used = end;
    if (s->used > s->size) s->size = s->used;
    if (it->sequence > sp->active) {
        sp->active = it->sequence;
        for (size_t i = 0; i < sp->segment_n; i++) sp->segments[i]->sealed |= sp->segments[i]->sequence < sp->active;
        tick_arm(sp);
    }
    if (s->used > s->size / 2 && it->sequence == sp->active && !s->ahead) {
        s->ahead = true;
        flush_ahead(sp);
    }
}

void segment_unpin(struct segment *s)
{
    assert(s->pins);
    s->pins--;
}

/* ---- dead segments and dead big files */

struct retire_job {
    struct job job;
    struct list link;
    size_t segment_n, big_n, gone; /* of the segments, so many from the first are gone */
    struct { uint64_t sequence, size; } *segments;
    uint64_t *bigs;
};

static void unlink_bigs(struct spool *sp, const uint64_t *ids, size_t n)
{
    char name[NAME_N];
    for (size_t i = 0; i < n; i++) {
        name_big(name, ids[i]);
        unlinkat(sp->dir_fd, name, 0);
    }
}

static void retire_run(struct spool *sp, struct job *j)
{
    struct retire_job *r = container_of(j, struct retire_job, job);
    unlink_bigs(sp, r->bigs, r->big_n);
    while (r->gone < r->segment_n && segment_retire(sp, r->segments[r->gone].sequence, r->segments[r->gone].size))
        r->gone++;
}

static void retire_done(struct spool *sp, struct job *j)
{
    struct retire_job *r = container_of(j, struct retire_job, job);
    for (size_t i = 0; i < r->segment_n; i++) {
        struct segment *s = segment_find(sp, segment_index(sp, r->segments[i].sequence));
        if (i < r->gone) {
            segment_forget(sp, s);
            continue;
        }
        if (i == r->gone)
            log_event(LOG_WARNING, "spool-segment-stays", LOG_STR("dir", sp->dir), LOG_NUM("segment", s->sequence));
        s->kept = true;
        s->retiring = false;
    }
    free(r->segments);
    free(r->bigs);
    free(r);
    sp->barrier = false;
    tick_arm(sp);
}

bool segment_is_dead(const struct spool *sp, const struct segment *s)
{
    if (!s->sealed || s->live_n || s->pins || s->kept) return false;
    for (uint32_t i = 0; i < s->ref_n; i++) {
        struct segment *older = segment_find(sp, s->refs[i]);
        if (older && !older->retiring) return false;
    }
    return true;
}

struct barrier {
    struct item item;
    struct retire_job *job;
};

static void barrier_done(struct spool *sp, struct item *it)
{
    struct barrier *b = container_of(it, struct barrier, item);
    struct retire_job *r = b->job;
    if (!it->error && !sp->closing) {
        sp->trash_n -= r->big_n;
        if (r->big_n) memmove(sp->trash, sp->trash + r->big_n, sp->trash_n * sizeof *sp->trash);
        pool_submit(sp, &r->job);
    } else { /* nothing goes; another try with the next tick */
        for (size_t i = 0; i < r->segment_n; i++)
            segment_find(sp, segment_index(sp, r->segments[i].sequence))->retiring = false;
        free(r->segments);
        free(r->bigs);
        free(r);
        sp->barrier = false;
        tick_arm(sp);
    }
    free(b);
}

/* Oldest first, and in this order they will go: one may lean on another that goes before it. */
static void collect_dead(struct spool *sp, struct retire_job *r)
{
    r->segments = mem_alloc((sp->segment_n ? sp->segment_n : 1) * sizeof *r->segments);
    for (size_t i = 0; i < sp->segment_n && !sp->recovery; i++) {
        struct segment *s = sp->segments[i];
        if (!segment_is_dead(sp, s)) continue;
        s->retiring = true;
        r->segments[r->segment_n].sequence = s->sequence;
        r->segments[r->segment_n++].size = s->size;
    }
    r->big_n = sp->trash_n;
    r->bigs = mem_alloc((r->big_n ? r->big_n : 1) * sizeof *r->bigs);
    if (r->big_n) memcpy(r->bigs, sp->trash, r->big_n * sizeof *r->bigs);
}

void tick_arm(struct spool *sp)
{
    struct timeval wait = { (time_t)(sp->tick_ms / 1000), (suseconds_t)(sp->tick_ms % 1000 * 1000) };
    if (sp->closing || event_pending(sp->tick_event, EV_TIMEOUT, NULL)) return;
    event_add(sp->tick_event, &wait);
}

/* Syncs what waits for no commit, so that a power cut a second later forgets no end of a message; then lets go what is
 * dead. */
void tick_run(evutil_socket_t fd, short what, void *arg)
{
    struct spool *sp = arg;
    if (sp->closing) return;
    compact_consider(sp);
    if (sp->barrier) return;
    struct retire_job *r = mem_new(struct retire_job);
    r->job = (struct job){ .run = retire_run, .done = retire_done, .slow = true };
    collect_dead(sp, r);
    if (!r->segment_n && !r->big_n && !sp->in_flight && !sp->dones.n && list_empty(&sp->states)) {
        free(r->segments);
        free(r->bigs);
        free(r);
        return;
    }
    struct barrier *b = mem_new(struct barrier);
    b->job = r;
    sp->barrier = true;
    barrier_queue(sp, barrier_done, &b->item);
}

void trash_big(struct spool *sp, uint64_t id, uint64_t text_n)
{
    if (sp->trash_n == sp->trash_cap) {
        sp->trash_cap = sp->trash_cap ? sp->trash_cap * 2 : 16;
        sp->trash = mem_grow(sp->trash, sp->trash_cap, sizeof *sp->trash);
    }
    sp->trash[sp->trash_n++] = id;
    sp->big_bytes -= text_n < sp->big_bytes ? text_n : sp->big_bytes;
}

void trash_now(struct spool *sp)
{
    unlink_bigs(sp, sp->trash, sp->trash_n);
    sp->trash_n = 0;
}
