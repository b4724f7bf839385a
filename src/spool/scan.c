/* SPDX-License-Identifier: Apache-2.0
 * Recovery, first part: reads all segments, oldest first, and finds which messages live and where. What does not
 * check is damage, but at the end of the last segment that an owner wrote to who did not come to close it: what was not
 * yet acknowledged may be torn there, and is cut. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "spool/recover.h"

#define BLOCK_N 1024
#define SAVE_MAX (16u << 20)

struct old_block {
    struct old_block *next;
    struct old_message messages[BLOCK_N];
};

/* One thing in a segment: a record, or (kind not SCAN_RECORD) something that does not check. */
struct thing {
    struct record_head head;
    uint64_t offset, size;
    enum scan_kind kind;
    bool text_bad;
};
struct things {
    struct thing *p;
    size_t n, cap;
    bool end; /* the last is an END record */
};

static uint64_t old_hash(const void *item) { return hash_u64(((const struct old_message *)item)->id); }
static bool old_match(const void *item, const void *key)
{
    return ((const struct old_message *)item)->id == *(const uint64_t *)key;
}

struct old_message *log_read_find(const struct log_read *r, uint64_t id)
{
    return htable_find(&r->messages, hash_u64(id), old_match, &id);
}

static struct old_message *old_get(struct log_read *r, uint64_t id)
{
    struct old_message *m = log_read_find(r, id);
    if (m) return m;
    if (!r->free_list) {
        struct old_block *b = mem_new(struct old_block);
        b->next = r->blocks;
        r->blocks = b;
        for (size_t i = 0; i < BLOCK_N; i++) {
            b->messages[i].free_next = r->free_list;
            r->free_list = &b->messages[i];
        }
    }
    m = r->free_list;
    r->free_list = m->free_next;
    *m = (struct old_message){ .id = id };
    htable_add(&r->messages, m);
    return m;
}

static void old_drop(struct log_read *r, struct old_message *m)
{
    htable_remove(&r->messages, m);
    m->free_next = r->free_list;
    r->free_list = m;
}

void scan_report_add(struct log_read *r, enum report_kind kind, uint64_t sequence, uint64_t offset, uint64_t size,
                     uint64_t id)
{
    if (r->report_n == r->report_cap) {
        r->report_cap = r->report_cap ? r->report_cap * 2 : 16;
        r->reports = mem_grow(r->reports, r->report_cap, sizeof *r->reports);
    }
    r->reports[r->report_n++] = (struct report){ kind, sequence, offset, size, id };
    if (kind != REPORT_TAIL) r->damaged++;
}

static void refer(struct old_segment *s, uint64_t sequence)
{
    if (sequence >= s->sequence) return;
    for (size_t i = s->ref_n; i-- > 0;)
        if (s->refs[i] == sequence) return;
    if (s->ref_n == s->ref_cap) {
        s->ref_cap = s->ref_cap ? s->ref_cap * 2 : 4;
        s->refs = mem_grow(s->refs, s->ref_cap, sizeof *s->refs);
    }
    s->refs[s->ref_n++] = sequence;
}

/* ---- what records mean */

static void apply_message(struct log_read *r, size_t place, const struct thing *t)
{
    struct old_message *m = old_get(r, t->head.id);
    if (t->head.type == RECORD_MESSAGE) m->state_segment = 0; /* a copy keeps the state, which may be older than it */
    if (t->head.type == RECORD_COPY)
        refer(&r->found->segments[place], r->found->segments[place].sequence - t->head.back);
    m->segment = (uint32_t)place + 1;
    m->offset = (uint32_t)t->offset;
    m->meta_n = t->head.meta_n;
    m->text_n = t->head.text_n;
    m->text_crc = t->head.text_crc;
    m->big = t->head.flags & RECORD_BIG;
}

static void apply_state(struct log_read *r, size_t place, const struct thing *t)
{
    struct old_message *m = old_get(r, t->head.id);
    m->state_segment = (uint32_t)place + 1;
    m->state_offset = (uint32_t)t->offset;
    m->state_n = t->head.meta_n;
}

static void apply_done(struct log_read *r, size_t place, struct slice meta)
{
    struct old_segment *all = r->found->segments;
    for (size_t i = 0; i < meta.n / DONE_ENTRY; i++) {
        uint64_t id, sequence;
        done_entry(meta.p, i, &id, &sequence);
        refer(&all[place], sequence);
        struct old_message *m = log_read_find(r, id);
        if (!m || !m->segment || all[m->segment - 1].sequence > sequence) continue;
        m->segment = 0;
        if (!m->state_segment) old_drop(r, m); /* else a copy further on may need it */
    }
}

static void apply(struct log_read *r, size_t place, const struct thing *t, struct scan *s)
{
    const char *meta;
    switch (t->head.type) {
    case RECORD_MESSAGE:
    case RECORD_COPY: apply_message(r, place, t); break;
    case RECORD_STATE: apply_state(r, place, t); break;
    case RECORD_DONE:
        meta = window_get(&s->window, t->offset + RECORD_HEAD, t->head.meta_n);
        if (meta) apply_done(r, place, slice_of(meta, t->head.meta_n));
        break;
    case RECORD_MARK:
    case RECORD_END: break;
    default:
        r->found->segments[place].kept = true;
        scan_report_add(r, REPORT_UNKNOWN, s->sequence, t->offset, t->size, t->head.id);
    }
}

/* ---- reading one segment */

static void collect(struct log_read *r, struct scan *s, struct things *all)
{
    struct scan_event ev;
    while (!all->end && !atomic_load(&r->stop) && scan_next(s, &ev) != SCAN_EOF) {
        if (all->n == all->cap) {
            all->cap = all->cap ? all->cap * 2 : 1024;
            all->p = mem_grow(all->p, all->cap, sizeof *all->p);
        }
        all->p[all->n++] = (struct thing){ ev.head, ev.offset, ev.size, ev.kind, false };
        all->end = ev.kind == SCAN_RECORD && ev.head.type == RECORD_END;
    }
}

/* In a segment that was not ended texts may be torn, too: such a record is not there; an older copy counts. */
static void check_texts(struct scan *s, struct things *all)
{
    for (size_t i = 0; i < all->n; i++) {
        struct thing *t = &all->p[i];
        struct scan_event ev = { .offset = t->offset, .head = t->head };
        if (t->kind == SCAN_RECORD && t->head.type <= RECORD_COPY) t->text_bad = !scan_text_ok(s, &ev);
    }
}

static bool is_good(const struct thing *t) { return t->kind == SCAN_RECORD && !t->text_bad; }

const char *scan_report_text(enum report_kind kind)
{
    static const char *const texts[] = {
        [REPORT_GAP] = "no record where one should be",
        [REPORT_RECORD] = "a record that does not check",
        [REPORT_TEXT] = "a text that does not check",
        [REPORT_BIG] = "the file of a large message is missing or damaged",
        [REPORT_HEAD] = "one copy of the head of a segment",
        [REPORT_SEGMENT] = "a segment that cannot be read",
        [REPORT_UNKNOWN] = "a record of an unknown type",
        [REPORT_TAIL] = "a write that was not finished",
    };
    return texts[kind];
}

static void report_thing(struct log_read *r, const struct scan *s, const struct thing *t)
{
    enum report_kind kind = t->kind == SCAN_GAP ? REPORT_GAP : t->text_bad ? REPORT_TEXT : REPORT_RECORD;
    scan_report_add(r, kind, s->sequence, t->offset, t->size, t->head.id);
    if (!r->read_only)
        damaged_save(r->dir_fd, s->window.fd, s->sequence, t->offset, t->size < SAVE_MAX ? t->size : SAVE_MAX);
}

/* An END there, so that the next owner knows what this one found. */
static void cut_tail(struct log_read *r)
{
    struct old_segment *o = &r->found->segments[r->tail.segment - 1];
    struct record_head end = { .type = RECORD_END, .durable = (uint32_t)r->tail.at };
    char name[NAME_N], b[RECORD_HEAD];
    if (r->tail.any) scan_report_add(r, REPORT_TAIL, o->sequence, r->tail.at, o->file_size - r->tail.at, 0);
    if (r->read_only || (!r->tail.any && r->tail.at == SEGMENT_HEAD)) return; /* never written to */
    name_segment(name, o->sequence);
    int fd = openat(r->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    record_encode(&end, o->sequence, segment_seed(&o->head), b);
    if (fd < 0 || pwrite(fd, b, sizeof b, (off_t)r->tail.at) != (ssize_t)sizeof b || fdatasync(fd) != 0)
        scan_report_add(r, REPORT_SEGMENT, o->sequence, r->tail.at, 0, 0);
    if (fd >= 0) close(fd);
}

/* Before the segment at `place` is read: what is there to say of an earlier one that has no end? `written`: this one
 * has records of the same owner, who therefore had ended the earlier one. */
static void settle_tail(struct log_read *r, bool written)
{
    if (!r->tail.segment) return;
    struct old_segment *o = &r->found->segments[r->tail.segment - 1];
    if (!written)
        cut_tail(r);
    else if (r->tail.any)
        scan_report_add(r, REPORT_GAP, o->sequence, r->tail.at, o->file_size - r->tail.at, 0);
    r->tail.segment = 0;
}

/* Behind the last good record: does anything there look like a record that was begun? */
static bool is_torn(struct scan *s, const struct things *all, uint64_t good_end)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->p[i].offset >= good_end && all->p[i].kind != SCAN_GAP) return true;
    return scan_is_started(s, good_end);
}

static void judge(struct log_read *r, size_t place, struct scan *s, struct things *all)
{
    struct old_segment *o = &r->found->segments[place];
    uint64_t good_end = SEGMENT_HEAD;
    for (size_t i = 0; i < all->n; i++)
        if (is_good(&all->p[i])) good_end = all->p[i].offset + all->p[i].size;
    bool torn = !all->end && is_torn(s, all, good_end), written = torn || good_end > SEGMENT_HEAD;
    if (r->tail.segment) {
        bool same = o->head.epoch == r->found->segments[r->tail.segment - 1].head.epoch;
        if (written || !same) settle_tail(r, same);
    }
    o->used = good_end;
    for (size_t i = 0; i < all->n; i++) {
        const struct thing *t = &all->p[i];
        if (is_good(t))
            apply(r, place, t, s);
        else if (t->offset < good_end)
            report_thing(r, s, t);
    }
    if (all->end || (r->tail.segment && !written)) return;
    r->tail.segment = place + 1;
    r->tail.at = good_end;
    r->tail.any = torn;
}

static void scan_segment(struct log_read *r, size_t place)
{
    struct old_segment *o = &r->found->segments[place];
    struct things all = { 0 };
    struct scan s;
    struct stat st;
    char name[NAME_N], aside[NAME_N];
    name_segment(name, o->sequence);
    if (o->gone) return;
    if (o->status == SEGMENT_BAD) {
        snprintf(aside, sizeof aside, "damaged-%016" PRIx64 "-segment", o->sequence);
        if (!r->read_only) renameat(r->dir_fd, name, r->dir_fd, aside);
        scan_report_add(r, REPORT_SEGMENT, o->sequence, 0, 0, 0);
        return;
    }
    int fd = openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (r->read_only && errno == ENOENT) return; /* its owner let go of it meanwhile */
        scan_report_add(r, REPORT_SEGMENT, o->sequence, 0, 0, 0);
        o->kept = true;
        if (fd >= 0) close(fd);
        return;
    }
    if (o->status == SEGMENT_SECOND) scan_report_add(r, REPORT_HEAD, o->sequence, 0, SEGMENT_HEAD, 0);
    o->file_size = (uint64_t)st.st_size;
    scan_init(&s, fd, o->file_size, &o->head);
    collect(r, &s, &all);
    if (!all.end) check_texts(&s, &all);
    judge(r, place, &s, &all);
    scan_deinit(&s);
    free(all.p);
    close(fd);
}

/* ---- large texts, and the result */

static void check_bigs(struct log_read *r)
{
    char name[NAME_N], aside[NAME_N + 16];
    struct stat st;
    struct old_message *m;
    for (size_t at = 0; (m = htable_next(&r->messages, &at));) {
        if (!m->segment || !m->big) continue;
        const struct old_segment *o = &r->found->segments[m->segment - 1];
        name_big(name, m->id);
        bool there = fstatat(r->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (there && S_ISREG(st.st_mode) && (uint64_t)st.st_size == m->text_n) continue;
        scan_report_add(r, REPORT_BIG, o->sequence, m->offset, m->text_n, m->id);
        m->segment = 0;
        if (r->read_only) continue;
        snprintf(aside, sizeof aside, "damaged-%s", name);
        if (there) renameat(r->dir_fd, name, r->dir_fd, aside);
        name_segment(name, o->sequence);
        int fd = openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0) {
            damaged_save(r->dir_fd, fd, o->sequence, m->offset, RECORD_HEAD + m->meta_n);
            close(fd);
        }
    }
}

/* Files without a message: their commit did not come to its end, or the message has ended. Kept when something is
 * damaged: it may have been their record. */
static void remove_orphans(struct log_read *r)
{
    char name[NAME_N];
    for (size_t i = 0; i < r->found->bigs.n && !r->damaged && !r->read_only; i++) {
        const struct old_message *m = log_read_find(r, r->found->bigs.p[i]);
        if (m && m->segment && m->big) continue;
        name_big(name, r->found->bigs.p[i]);
        unlinkat(r->dir_fd, name, 0);
    }
}

static int by_place(const void *a, const void *b)
{
    const struct old_message *x = *(struct old_message *const *)a, *y = *(struct old_message *const *)b;
    if (x->segment != y->segment) return x->segment < y->segment ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void list_live(struct log_read *r)
{
    struct old_message *m;
    r->live = mem_alloc((r->messages.n ? r->messages.n : 1) * sizeof *r->live);
    for (size_t at = 0; (m = htable_next(&r->messages, &at));) {
        if (!m->segment) continue;
        struct old_segment *o = &r->found->segments[m->segment - 1];
        o->live_n++;
        o->live_bytes += (RECORD_HEAD + m->meta_n + (m->big ? 0 : m->text_n) + 7) & ~(uint64_t)7;
        if (m->state_segment) {
            r->found->segments[m->state_segment - 1].live_n++;
            r->found->segments[m->state_segment - 1].live_bytes += STATE_COST;
        }
        r->live[r->live_n++] = m;
    }
    qsort(r->live, r->live_n, sizeof *r->live, by_place);
}

void log_read_all(struct log_read *r)
{
    htable_init(&r->messages, old_hash);
    for (size_t i = 0; i < r->found->segment_n && !atomic_load(&r->stop); i++) scan_segment(r, i);
    if (atomic_load(&r->stop)) return;
    settle_tail(r, false);
    check_bigs(r);
    remove_orphans(r);
    list_live(r);
}

void log_read_deinit(struct log_read *r)
{
    for (struct old_block *b = r->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    htable_deinit(&r->messages);
    found_free(r->found);
    free(r->reports);
    free(r->live);
}
