/* SPDX-License-Identifier: Apache-2.0
 * Copying forward what is alive in a segment with little alive: in slices, each read and checked in a thread and
 * handed to the log from the buffer it was read into. What the segment says of older ones that are still there is
 * carried on as well. When all of it is on disk again the segment needs nothing any more, and goes. */
#include "spool/private.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"

#define SLICE_BYTES (1u << 20)
#define ALIVE_PERCENT 25

struct slice_record {
    struct record_head head;
    uint64_t offset;
};

struct compaction {
    struct job job;
    struct item sync;
    struct segment *segment;
    unsigned waiting;       /* copies on their way */
    bool failed;
    /* the job's while it runs */
    uint64_t sequence, at, used;
    uint32_t seed;
    bool end, bad;
    char *buf;              /* from `from` on */
    uint64_t from;
    size_t cap;
    struct slice_record *records;
    size_t record_n, record_cap;
};

struct copy {
    struct item item;
    struct slice text;
    uint32_t offset;        /* where it was */
};

static uint64_t read_some(int fd, char *p, uint64_t n, uint64_t at)
{
    uint64_t have = 0;
    while (have < n) {
        ssize_t k = pread(fd, p + have, n - have, (off_t)(at + have));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        have += (uint64_t)k;
    }
    return have;
}

/* Records that are whole in the buffer; 0: the first is not. Sets `end`, `bad`. */
static uint64_t take_records(struct compaction *c, uint64_t have)
{
    uint64_t done = 0;
    struct record_head h;
    while (have - done >= RECORD_HEAD) {
        const char *p = c->buf + done;
        if (!record_decode(p, c->sequence, c->seed, &h)) {
            c->bad = true;
            break;
        }
        if (record_size(&h) > have - done) break;
        if (!record_check(p, &h)) {
            c->bad = true;
            break;
        }
        if ((c->end = h.type == RECORD_END)) break;
        if (c->record_n == c->record_cap) {
            c->record_cap = c->record_cap ? c->record_cap * 2 : 256;
            c->records = mem_grow(c->records, c->record_cap, sizeof *c->records);
        }
        c->records[c->record_n++] = (struct slice_record){ h, c->from + done };
        done += record_size(&h);
    }
    return done;
}

static void compact_run(struct spool *sp, struct job *j)
{
    struct compaction *c = container_of(j, struct compaction, job);
    char name[NAME_N];
    name_segment(name, c->sequence);
    int fd = openat(sp->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    c->bad = fd < 0;
    c->record_n = 0;
    for (uint64_t want = SLICE_BYTES; !c->bad && !c->end; want = c->cap * 2) { /* again for a record that is larger */
        if (want > c->used - c->at) want = c->used - c->at;
        if (want < RECORD_HEAD) {
            c->end = true;
            break;
        }
        if (want + PAD_ROOM > c->cap) {
            c->cap = want + PAD_ROOM;
            c->buf = mem_grow(c->buf, c->cap, 1);
        }
        c->from = c->at;
        uint64_t have = read_some(fd, c->buf, want, c->at), done = take_records(c, have);
        c->at += done;
        if (done) break;
        if (have < want || want == c->used - c->from) c->bad = !c->end;
    }
    if (fd >= 0) close(fd);
}

/* ---- the loop's side */

static void compact_step(struct spool *sp);

static void copy_done(struct spool *sp, struct item *it)
{
    struct copy *k = container_of(it, struct copy, item);
    struct compaction *c = sp->compaction;
    struct spool_msg *msg = spool_find(sp, it->id);
    c->waiting--;
    if (it->error) {
        c->failed = true;
    } else {
        uint32_t source = segment_index(sp, it->source);
        segment_place(sp, it, RECORD_HEAD + it->meta_n + (it->flags & RECORD_BIG ? 0 : it->text_n));
        segment_refer(sp, segment_get(sp, it->sequence), it->source);
        if (msg && msg->segment == source && msg->offset == k->offset) {
            segment_live(sp, source, message_cost(msg), -1);
            msg->segment = segment_index(sp, it->sequence);
            msg->offset = it->offset;
            segment_live(sp, msg->segment, message_cost(msg), 1);
        } else { /* it ended meanwhile; what said so spoke of the old place */
            sp->late_ends++;
            done_queue(sp, it->id, it->sequence);
            handover_soon(sp);
        }
        crash_point("compact-copied");
    }
    free(k);
    if (!c->waiting) compact_step(sp);
}

static void carry_message(struct spool *sp, struct compaction *c, const struct slice_record *r)
{
    const struct record_head *h = &r->head;
    struct spool_msg *msg = spool_find(sp, h->id);
    uint64_t source = c->sequence - h->back;
    /* It stands in the way of an older record; once this segment is gone something else must. */
    if (h->type == RECORD_COPY && segment_find(sp, segment_index(sp, source))) done_queue(sp, h->id, source);
    if (!msg || msg->segment != c->segment->index || msg->offset != r->offset) return;
    struct copy *k = mem_new(struct copy);
    k->offset = (uint32_t)r->offset;
    k->item = (struct item){
        .kind = ITEM_COPY, .flags = h->flags & RECORD_BIG, .id = h->id, .source = c->sequence, .text_crc = h->text_crc,
        .text_n = h->text_n, .record = c->buf + (r->offset - c->from), .meta_n = h->meta_n, .done = copy_done,
    };
    if (record_inline(h)) {
        k->text = slice_of(k->item.record + RECORD_HEAD + h->meta_n, h->text_n);
        k->item.pieces = &k->text;
        k->item.piece_n = 1;
    }
    c->waiting++;
    list_push_back(&sp->commits, &k->item.link);
}

/* A state that has a newer one on its way is left: that one frees it. This goes in front of any saved later. */
static void carry_state(struct spool *sp, struct compaction *c, const struct slice_record *r)
{
    struct spool_msg *msg = spool_find(sp, r->head.id);
    if (!msg || msg->state_segment != c->segment->index || msg->state_offset != r->offset ||
        state_in_flight(sp, msg->id))
        return;
    const char *p = c->buf + (r->offset - c->from) + RECORD_HEAD;
    list_push_back(&sp->commits, &state_item_new(sp, msg->id, slice_of(p, r->head.meta_n))->link);
}

static void carry_dones(struct spool *sp, struct compaction *c, const struct slice_record *r)
{
    const char *p = c->buf + (r->offset - c->from) + RECORD_HEAD;
    for (size_t i = 0; i < r->head.meta_n / DONE_ENTRY; i++) {
        uint64_t id, sequence;
        done_entry(p, i, &id, &sequence);
        uint32_t index = segment_index(sp, sequence);
        if (index && index != c->segment->index && segment_find(sp, index)) done_queue(sp, id, sequence);
    }
}

static void compact_end(struct spool *sp, bool stuck)
{
    struct compaction *c = sp->compaction;
    if (stuck) {
        log_event(LOG_WARNING, "spool-compaction-stopped", LOG_STR("dir", sp->dir), LOG_NUM("segment", c->sequence),
                  LOG_NUM("offset", c->at));
        c->segment->kept = true;
    }
    segment_unpin(c->segment);
    compact_free(sp);
    tick_arm(sp);
}

static void compact_synced(struct spool *sp, struct item *it)
{
    struct compaction *c = sp->compaction;
    if (!it->error && !c->failed) c->segment->ref_n = 0; /* all it said is said again */
    compact_end(sp, false);
}

/* After a slice: the next one, or the end. */
static void compact_step(struct spool *sp)
{
    struct compaction *c = sp->compaction;
    if (sp->closing || c->failed) {
        compact_end(sp, false);
    } else if (c->bad) {
        compact_end(sp, true); /* it may hold what nobody can read now: left for people */
    } else if (c->end) {
        barrier_queue(sp, compact_synced, &c->sync);
    } else {
        pool_submit(sp, &c->job);
    }
}

static void compact_done(struct spool *sp, struct job *j)
{
    struct compaction *c = container_of(j, struct compaction, job);
    for (size_t i = 0; i < c->record_n && !sp->closing; i++) {
        const struct slice_record *r = &c->records[i];
        switch (r->head.type) {
        case RECORD_MESSAGE:
        case RECORD_COPY: carry_message(sp, c, r); break;
        case RECORD_STATE: carry_state(sp, c, r); break;
        case RECORD_DONE: carry_dones(sp, c, r); break;
        case RECORD_MARK: break;
        default: c->bad = true; /* not understood: it stays */
        }
    }
    handover_soon(sp);
    if (!c->waiting) compact_step(sp);
}

static void compact_start(struct spool *sp, struct segment *s)
{
    struct compaction *c = sp->compaction = mem_new(struct compaction);
    *c = (struct compaction){
        .segment = s, .sequence = s->sequence, .seed = s->seed, .at = SEGMENT_HEAD, .used = s->used
    };
    c->job = (struct job){ .run = compact_run, .done = compact_done, .slow = true };
    s->pins++;
    pool_submit(sp, &c->job);
}

/* The oldest of those with little alive: others may only be waiting for it. */
void compact_consider(struct spool *sp)
{
    uint64_t total = 0, alive = 0;
    struct segment *oldest = NULL;
    if (sp->compaction || sp->recovery || sp->closing) return;
    for (size_t i = 0; i < sp->segment_n; i++) {
        struct segment *s = sp->segments[i];
        if (!s->sealed) continue;
        total += s->used;
        alive += s->live_bytes;
        bool little =
            !s->kept && !s->retiring && !segment_is_dead(sp, s) && s->live_bytes < s->used / 100 * ALIVE_PERCENT;
        if (little && !oldest) oldest = s;
    }
    uint64_t dead = total - (alive < total ? alive : total);
    if (oldest && dead > sp->compact_min && dead > total / 2) compact_start(sp, oldest);
}

void compact_free(struct spool *sp)
{
    struct compaction *c = sp->compaction;
    if (!c) return;
    free(c->buf);
    free(c->records);
    free(c);
    sp->compaction = NULL;
}
