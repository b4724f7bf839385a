/* SPDX-License-Identifier: Apache-2.0
 * Recovery, second part: what was found is taken over, reported, and told to the queue: batches of envelopes and states
 * are read in a thread and handed on in slices of a few milliseconds. */
#include "spool/recover.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

#define BATCH_N 512
#define BATCH_BYTES (1u << 20)
#define SLICE_US 5000
#define REPORTS_LOGGED 100

struct recovery {
    struct job job;
    struct spool_recovery user;
    struct log_read log;
    size_t at;                 /* of log.live: read so far */
    size_t told;               /* of log.reports */
    uint64_t messages;
    struct replay_batch *batch;
    struct event *event;
};

struct replay_batch {
    struct job job;
    struct buf bytes;
    size_t n, next;
    struct { struct old_message *m; size_t envelope_n, state_n; bool bad; } each[BATCH_N];
    size_t at;          /* in bytes, of the next to be told */
};

/* ---- reports */

static void log_report(const struct spool *sp, const struct report *p)
{
    if (p->kind == REPORT_TAIL)
        log_event(LOG_WARNING, "spool-tail-cut", LOG_STR("dir", sp->dir), LOG_NUM("segment", p->sequence),
                  LOG_NUM("offset", p->offset), LOG_STR("what", scan_report_text(p->kind)));
    else
        log_event(LOG_ERROR, "spool-damaged", LOG_STR("dir", sp->dir), LOG_NUM("segment", p->sequence),
                  LOG_NUM("offset", p->offset), LOG_NUM("bytes", p->size), LOG_ID(p->id),
                  LOG_STR("what", scan_report_text(p->kind)));
}

static void tell_reports(struct spool *sp)
{
    struct recovery *r = sp->recovery;
    for (; r->told < r->log.report_n && r->told < REPORTS_LOGGED; r->told++) log_report(sp, &r->log.reports[r->told]);
    if (r->told < r->log.report_n)
        log_event(LOG_ERROR, "spool-damaged", LOG_STR("dir", sp->dir), LOG_NUM("more", r->log.report_n - r->told));
    r->told = r->log.report_n;
}

/* ---- batches, in the thread */

static void read_one(struct spool *sp, struct recovery *r, struct replay_batch *b, struct old_message *m, int *fd,
                     uint32_t *open_segment)
{
    const struct { uint32_t segment, offset, n; } parts[] = {
        { m->segment, m->offset, m->meta_n },
        { m->state_segment, m->state_offset, m->state_n },
    };
    size_t got[2] = { 0 };
    struct err err;
    for (size_t i = 0; i < countof(parts); i++) {
        char name[NAME_N], *p = NULL;
        struct record_head head;
        if (!parts[i].segment) continue;
        const struct old_segment *o = &r->log.found->segments[parts[i].segment - 1];
        struct place at = { o->sequence, parts[i].offset, (uint64_t)RECORD_HEAD + parts[i].n, segment_seed(&o->head) };
        if (*open_segment != parts[i].segment) {
            if (*fd >= 0) close(*fd);
            name_segment(name, o->sequence);
            *fd = openat(sp->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
            *open_segment = parts[i].segment;
        }
        if (*fd >= 0 && record_read(*fd, &at, &p, &head, &err) && head.id == m->id) {
            buf_add(&b->bytes, slice_of(p + RECORD_HEAD, head.meta_n));
            got[i] = head.meta_n;
        } else if (i == 0) {
            b->each[b->n].bad = true;
        }
        free(p);
    }
    b->each[b->n].m = m;
    b->each[b->n].envelope_n = got[0];
    b->each[b->n++].state_n = got[1];
}

static void batch_run(struct spool *sp, struct job *j)
{
    struct replay_batch *b = container_of(j, struct replay_batch, job);
    struct recovery *r = sp->recovery;
    int fd = -1;
    uint32_t open_segment = 0;
    while (b->n < BATCH_N && b->bytes.n < BATCH_BYTES && r->at < r->log.live_n && !atomic_load(&r->log.stop))
        read_one(sp, r, b, r->log.live[r->at++], &fd, &open_segment);
    if (fd >= 0) close(fd);
}

/* ---- on the loop */

static void read_batch(struct spool *sp);

static void finish(struct spool *sp)
{
    struct recovery *r = sp->recovery;
    struct spool_recovery user = r->user;
    uint64_t messages = r->messages, damaged = r->log.damaged;
    tell_reports(sp);
    recovery_free(sp);
    malloc_trim(0); /* reading a large log took much; a queue of many messages may last for days */
    tick_arm(sp);
    user.on_done(user.arg, messages, damaged);
}

static void surface(struct spool *sp, struct replay_batch *b)
{
    struct recovery *r = sp->recovery;
    const struct old_message *m = b->each[b->next].m;
    size_t env_n = b->each[b->next].envelope_n, state_n = b->each[b->next].state_n;
    struct slice envelope = slice_of(b->bytes.p + b->at, env_n), state = slice_of(b->bytes.p + b->at + env_n, state_n);
    bool bad = b->each[b->next++].bad;
    b->at += env_n + state_n;
    const struct old_segment *o = &r->log.found->segments[m->segment - 1];
    if (bad) {
        scan_report_add(&r->log, REPORT_RECORD, o->sequence, m->offset, RECORD_HEAD + m->meta_n, m->id);
        sp->damaged++;
        return;
    }
    if (spool_find(sp, m->id)) return; /* committed anew meanwhile: that is the later record */
    struct spool_msg *msg = r->user.on_message(r->user.arg, m->id, envelope, state);
    assert(msg);
    *msg = (struct spool_msg){
        .id = m->id,
        .segment = segment_index(sp, o->sequence),
        .offset = m->offset,
        .meta_n = m->meta_n,
        .text_n = m->text_n,
        .big = m->big,
    };
    if (m->state_segment) {
        msg->state_segment = segment_index(sp, r->log.found->segments[m->state_segment - 1].sequence);
        msg->state_offset = m->state_offset;
    }
    if (m->big) sp->big_bytes += m->text_n;
    htable_add(&sp->messages, msg);
    r->messages++;
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
    struct spool *sp = arg;
    struct replay_batch *b = sp->recovery->batch;
    uint64_t until = clock_mono_us() + SLICE_US;
    spool_enter(sp);
    while (b->next < b->n && clock_mono_us() < until && !sp->closing) surface(sp, b);
    if (!sp->closing) {
        if (b->next < b->n)
            event_add(sp->recovery->event, &(struct timeval){ 0 }); /* others first */
        else
            read_batch(sp);
    }
    spool_leave(sp);
}

static void batch_done(struct spool *sp, struct job *j)
{
    if (!sp->closing) on_slice(-1, 0, sp);
}

static void read_batch(struct spool *sp)
{
    struct recovery *r = sp->recovery;
    struct replay_batch *b = r->batch;
    if (!b) b = r->batch = mem_new(struct replay_batch);
    b->n = b->next = b->at = 0;
    b->bytes.n = 0;
    if (r->at == r->log.live_n) {
        finish(sp);
        return;
    }
    b->job = (struct job){ .run = batch_run, .done = batch_done, .slow = true };
    pool_submit(sp, &b->job);
}

/* The segments become ours; they are not let go before the queue knows all messages in them. */
static void take_over(struct spool *sp, struct recovery *r)
{
    for (size_t i = 0; i < r->log.found->segment_n; i++) {
        const struct old_segment *o = &r->log.found->segments[i];
        if (o->status == SEGMENT_BAD) continue;
        struct segment *s = segment_get(sp, o->sequence);
        s->seed = segment_seed(&o->head);
        s->size = o->file_size;
        s->used = o->used > SEGMENT_HEAD ? o->used : SEGMENT_HEAD;
        s->live_n = o->live_n;
        s->live_bytes = o->live_bytes;
        s->sealed = true;
        s->kept = o->kept;
        for (size_t k = 0; k < o->ref_n; k++) segment_refer(sp, s, o->refs[k]);
    }
}

static void scan_run(struct spool *sp, struct job *j)
{
    log_read_all(&sp->recovery->log);
}

static void scan_done(struct spool *sp, struct job *j)
{
    struct recovery *r = sp->recovery;
    if (sp->closing) return;
    take_over(sp, r);
    sp->damaged += r->log.damaged;
    tell_reports(sp);
    read_batch(sp);
}

void spool_recover(struct spool *sp, const struct spool_recovery *user)
{
    assert(sp->found && !sp->recovery);
    struct recovery *r = sp->recovery = mem_new(struct recovery);
    r->user = *user;
    r->log.dir_fd = sp->dir_fd;
    r->log.found = sp->found;
    sp->found = NULL;
    r->event = event_new(sp->base, -1, 0, on_slice, sp);
    if (!r->event) abort();
    r->job = (struct job){ .run = scan_run, .done = scan_done, .slow = true };
    pool_submit(sp, &r->job);
}

void recovery_stop(struct spool *sp)
{
    if (!sp->recovery) return;
    atomic_store(&sp->recovery->log.stop, true);
    event_del(sp->recovery->event);
}

void recovery_free(struct spool *sp)
{
    struct recovery *r = sp->recovery;
    if (!r) return;
    log_read_deinit(&r->log);
    if (r->event) event_free(r->event);
    if (r->batch) buf_deinit(&r->batch->bytes);
    free(r->batch);
    free(r);
    sp->recovery = NULL;
}
