/* SPDX-License-Identifier: Apache-2.0
 * Writing the log, in the flush thread: many records, one pwritev, one fdatasync. What a failed write or sync leaves
 * behind is never trusted: the segment is given up at the last byte known to be on disk and a new one begun. */
#include "spool/private.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crc32c.h"

#define BATCH_BYTES (8u << 20) /* of one flush: those in front should not wait for all */
#define RETRY_MS 250
#define MARK_MS 100
#define ZERO_STEP (256u << 10)
#define ZERO_WAIT_MS 2
#define ZERO_IDLE_MS 50

static uint64_t item_size(const struct item *it)
{
    if (it->kind == ITEM_SYNC) return 0;
    uint64_t text = it->flags & RECORD_BIG ? 0 : it->text_n;
    return (RECORD_HEAD + it->meta_n + text + 7) & ~(uint64_t)7;
}

static int write_all(int fd, struct iovec *v, unsigned n, uint64_t at)
{
    while (n) {
        ssize_t k = pwritev(fd, v, (int)n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return k < 0 ? errno : ENOSPC;
        at += (uint64_t)k;
        for (; n && (size_t)k >= v->iov_len; v++, n--) k -= (ssize_t)v->iov_len;
        if (!n) break;
        v->iov_base = (char *)v->iov_base + k;
        v->iov_len -= (size_t)k;
    }
    return 0;
}

static int iov_write(struct flush *f)
{
    int error = f->iov_n ? write_all(f->cur.fd, f->iov, f->iov_n, f->iov_at) : 0;
    f->iov_at += f->iov_bytes;
    f->iov_n = 0;
    f->iov_bytes = 0;
    return error;
}

static int iov_add(struct flush *f, const void *p, size_t n)
{
    int error = f->iov_n == IOV_MAX ? iov_write(f) : 0;
    f->iov[f->iov_n++] = (struct iovec){ (void *)(uintptr_t)p, n };
    f->iov_bytes += n;
    return error;
}

static void encode_item(struct flush *f, struct item *it)
{
    static const uint8_t types[] = { RECORD_MESSAGE, RECORD_COPY, RECORD_STATE, RECORD_DONE };
    struct record_head h = {
        .type = types[it->kind], .flags = it->flags, .meta_n = it->meta_n, .text_n = it->text_n, .id = it->id,
        .meta_crc = crc32c(0, it->record + RECORD_HEAD, it->meta_n), .text_crc = it->text_crc,
        .durable = (uint32_t)f->synced,
        .back = it->kind == ITEM_COPY ? (uint32_t)(f->cur.sequence - it->source) : 0,
    };
    record_encode(&h, f->cur.sequence, f->cur.seed, it->record);
    it->sequence = f->cur.sequence;
    it->seed = f->cur.seed;
    it->offset = (uint32_t)f->pos;
}

/* Head and meta, then the text from where it lies, then zeros to the next multiple of 8. */
static int put_item(struct flush *f, struct item *it, uint64_t size)
{
    struct { char *p; size_t n; } last = { it->record, RECORD_HEAD + it->meta_n };
    uint64_t n = last.n;
    bool text = !(it->flags & RECORD_BIG);
    int error = 0;
    for (uint32_t i = 0; text && i < it->piece_n; i++) {
        if (!it->pieces[i].n) continue;
        if ((error = iov_add(f, last.p, last.n))) return error;
        last.p = (char *)(uintptr_t)it->pieces[i].p;
        last.n = it->pieces[i].n;
        n += last.n;
    }
    assert(n <= size && size - n < PAD_ROOM);
    memset(last.p + last.n, 0, (size_t)(size - n));
    return iov_add(f, last.p, last.n + (size_t)(size - n));
}

static bool fits(const struct flush *f, uint64_t size)
{
    return f->pos + size + RECORD_HEAD <= f->cur.size || f->pos == SEGMENT_HEAD; /* one of its own, however large */
}

static int write_mark(struct flush *f, uint8_t type, uint8_t flags)
{
    char b[RECORD_HEAD];
    struct record_head h = { .type = type, .flags = flags, .durable = (uint32_t)f->synced };
    record_encode(&h, f->cur.sequence, f->cur.seed, b);
    struct iovec v = { b, sizeof b };
    int error = write_all(f->cur.fd, &v, 1, f->pos);
    if (error) return error;
    f->marked = f->synced;
    f->pos += sizeof b;
    return 0;
}

static int sync_data(struct flush *f)
{
    if (f->cur.fd < 0) return 0; /* given up; nothing unsynced was left in it */
    if (fdatasync(f->cur.fd) != 0) return errno;
    f->synced = f->pos;
    f->synced_at = clock_mono_ms();
    return 0;
}

static int sync_batch(struct flush *f)
{
    int error = sync_data(f);
    if (error) return error;
    atomic_fetch_add(&f->flushes, 1);
    crash_point("flush-after");
    return 0;
}

/* Everything that waited for a sync is on disk. */
static void complete_unsynced(struct spool *sp)
{
    outbox_put_items(sp, &sp->flush.unsynced);
}

bool log_end(struct spool *sp, uint8_t flags)
{
    struct flush *f = &sp->flush;
    if (f->cur.fd < 0 || (f->pos > f->synced && sync_data(f) != 0)) return false;
    if (write_mark(f, RECORD_END, flags) != 0 || sync_data(f) != 0) return false;
    complete_unsynced(sp);
    close(f->cur.fd);
    f->cur.fd = -1;
    return true;
}

/* Before the first item of a batch: a segment with room for it. */
static int make_room(struct spool *sp, const struct item *it)
{
    struct flush *f = &sp->flush;
    uint64_t size = item_size(it);
    if (!size || (f->cur.fd >= 0 && fits(f, size))) return 0;
    if (f->cur.fd >= 0 && !log_end(sp, 0)) return EIO;
    return flush_next_segment(sp);
}

static int write_batch(struct spool *sp, struct list *todo, struct list *batch, bool *sync)
{
    struct flush *f = &sp->flush;
    uint64_t begin = f->pos;
    bool done = false, state = false;
    f->iov_at = begin;
    f->iov_n = 0;
    f->iov_bytes = 0;
    crash_point("write-before");
    while (!list_empty(todo)) {
        struct item *it = list_entry(todo->next, struct item, link);
        uint64_t size = item_size(it);
        if (size && (f->cur.fd < 0 || !fits(f, size) || (f->pos > begin && f->pos - begin + size > BATCH_BYTES))) break;
        list_remove(&it->link);
        list_push_back(batch, &it->link);
        *sync |= it->kind == ITEM_MESSAGE || it->kind == ITEM_COPY || it->kind == ITEM_SYNC;
        if (!size) continue;
        encode_item(f, it);
        int error = put_item(f, it, size);
        if (error) return error;
        f->pos += size;
        done |= it->kind == ITEM_DONE;
        state |= it->kind == ITEM_STATE;
        atomic_fetch_add(&f->records, 1);
    }
    if (f->pos > begin) f->marked = f->synced;
    int error = iov_write(f);
    if (error) return error;
    crash_point("write-after");
    if (done) crash_point("done-written");
    if (state) crash_point("state-written");
    return 0;
}

/* Gives the segment up at its last synced byte. False: nothing that was acknowledged is in it and it is removed. */
static bool abandon_segment(struct spool *sp)
{
    struct flush *f = &sp->flush;
    char name[NAME_N];
    bool stays = f->synced > SEGMENT_HEAD;
    if (ftruncate(f->cur.fd, (off_t)f->synced) != 0) stays = true;
    close(f->cur.fd);
    f->cur.fd = -1;
    name_segment(name, f->cur.sequence);
    if (!stays && unlinkat(sp->dir_fd, name, 0) != 0) stays = true;
    return stays;
}

/* What says of failed commits that their records, should any have reached the disk, are void. NULL: there are none. */
static struct item *make_void(struct list *batch)
{
    size_t n = 0;
    list_each(node, batch) {
        struct item *it = list_entry(node, struct item, link);
        n += it->kind == ITEM_MESSAGE && it->sequence;
    }
    if (!n) return NULL;
    struct item *v = mem_new(struct item);
    v->kind = ITEM_DONE;
    v->internal = true;
    v->record = mem_zalloc(RECORD_HEAD + n * DONE_ENTRY + PAD_ROOM);
    list_each(node, batch) {
        struct item *it = list_entry(node, struct item, link);
        if (it->kind != ITEM_MESSAGE || !it->sequence) continue;
        done_entry_put(v->record + RECORD_HEAD + v->meta_n, it->id, it->sequence);
        v->meta_n += DONE_ENTRY;
    }
    v->done = done_item_done;
    return v;
}

/* Commits are told; what became of messages is kept, in its order, in front of all that came in since. */
static void fail_batch(struct spool *sp, struct list *batch, int error)
{
    struct flush *f = &sp->flush;
    struct list back, out;
    list_init(&back);
    list_init(&out);
    struct item *v = f->cur.fd >= 0 && abandon_segment(sp) ? make_void(batch) : NULL;
    if (v) list_push_back(&back, &v->link);
    list_move_all(&f->unsynced, &back);
    list_each_safe(node, batch) {
        struct item *it = list_entry(node, struct item, link);
        list_remove(node);
        it->error = error;
        list_push_back(it->kind == ITEM_DONE || it->kind == ITEM_STATE ? &back : &out, node);
    }
    pthread_mutex_lock(&f->lock);
    bool last = f->stop;
    if (!last) {
        list_move_all(&f->incoming, &back);
        list_move_all(&back, &f->incoming);
    }
    pthread_mutex_unlock(&f->lock);
    list_each(node, &back)
        if (last) list_entry(node, struct item, link)->error = error;
    list_move_all(&back, &out);
    outbox_put_items(sp, &out);
}

void log_write(struct spool *sp, struct list *todo)
{
    struct flush *f = &sp->flush;
    f->worked_at = clock_mono_ms();
    while (!list_empty(todo)) {
        struct list batch;
        bool sync = false, wait = clock_mono_ms() < f->retry_at;
        list_init(&batch);
        int error = wait ? f->error : make_room(sp, list_entry(todo->next, struct item, link));
        if (!error) error = write_batch(sp, todo, &batch, &sync);
        if (!error && sync) error = sync_batch(f);
        if (error) {
            if (!wait) f->retry_at = clock_mono_ms() + RETRY_MS;
            f->error = error;
            list_move_all(todo, &batch); /* or what follows would overtake what is kept for another try */
            fail_batch(sp, &batch, error);
            return;
        }
        list_each(node, &batch) list_entry(node, struct item, link)->error = 0;
        list_move_all(&batch, &f->unsynced);
        if (sync) complete_unsynced(sp);
    }
}

/* Overwriting is cheaper than writing to blocks that were only reserved, so idle time goes into filling the segment. */
static bool zero_step(struct spool *sp)
{
    static const char zeros[65536];
    struct flush *f = &sp->flush;
    struct iovec v[ZERO_STEP / sizeof zeros];
    if (f->zeroed < f->pos) f->zeroed = (f->pos + 4095) & ~(uint64_t)4095;
    if (f->zeroed >= f->cur.size) return false;
    uint64_t n = f->cur.size - f->zeroed < ZERO_STEP ? f->cur.size - f->zeroed : ZERO_STEP, left = n;
    unsigned k = 0;
    for (; left; k++) {
        size_t part = left < sizeof zeros ? (size_t)left : sizeof zeros;
        v[k] = (struct iovec){ (void *)(uintptr_t)zeros, part };
        left -= part;
    }
    int error = write_all(f->cur.fd, v, k, f->zeroed);
    f->zeroed = error ? f->cur.size : f->zeroed + n; /* it was only for speed */
    if (!error && (error = sync_data(f))) {
        struct list none;
        list_init(&none);
        fail_batch(sp, &none, error);
        return false;
    }
    if (!error) complete_unsynced(sp);
    return true;
}

bool log_idle(struct spool *sp, uint64_t *wait_ms)
{
    struct flush *f = &sp->flush;
    uint64_t now = clock_mono_ms();
    bool more = false;
    if (f->cur.fd < 0) return false;
    if (f->synced > f->marked &&
        f->pos + 2 * RECORD_HEAD <= f->cur.size) { /* so that damage can be told from a torn tail */
        more = true;
        *wait_ms = f->synced_at + MARK_MS > now ? f->synced_at + MARK_MS - now : 0;
        if (!*wait_ms && write_mark(f, RECORD_MARK, 0) != 0) f->marked = f->synced;
    }
    uint64_t zero_wait = f->worked_at + ZERO_IDLE_MS > now ? f->worked_at + ZERO_IDLE_MS - now : ZERO_WAIT_MS;
    if (f->cur.written || f->zeroed >= f->cur.size || (zero_wait == ZERO_WAIT_MS && !zero_step(sp))) return more;
    if (!more || *wait_ms > zero_wait) *wait_ms = zero_wait;
    return true;
}
