/* SPDX-License-Identifier: Apache-2.0
 * Segment heads, record heads, the scanner. All numbers are little-endian. */
#include "spool/format.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "base/le.h"
#include "base/mem.h"

/* A bare LF and a NUL, which no text that came by SMTP has, and a byte that is in no UTF-8 (RFC 3629 §1). */
#define RECORD_MAGIC 0xF5000A50u
static const unsigned char segment_magic[8] = { 'P', 'S', 'T', 'N', 'S', 'E', 'G', '\n' };
#define WINDOW_MIN (128u << 10)

bool segment_head_write(int fd, const struct segment_head *h, struct err *err)
{
    static const off_t places[] = { 0, SEGMENT_COPY };
    char b[SEGMENT_COPY] = { 0 };
    memcpy(b, segment_magic, 8);
    le_put32(b + 8, FORMAT_VERSION);
    le_put32(b + 12, SEGMENT_HEAD);
    le_put64(b + 16, h->sequence);
    le_put64(b + 24, h->epoch);
    le_put64(b + 32, h->created);
    le_put64(b + 40, h->salt);
    le_put32(b + 60, crc32c(0, b, 60));
    for (size_t i = 0; i < countof(places); i++) {
        ssize_t k = pwrite(fd, b, sizeof b, places[i]);
        if (k != (ssize_t)sizeof b) return err_sys(err, k < 0 ? errno : ENOSPC, "cannot write the head of a segment");
    }
    return true;
}

static enum segment_read read_copy(int fd, off_t at, struct segment_head *out)
{
    char b[SEGMENT_HEAD_N];
    if (pread(fd, b, sizeof b, at) != (ssize_t)sizeof b) return SEGMENT_BAD;
    if (memcmp(b, segment_magic, 8) != 0 || crc32c(0, b, 60) != le_get32(b + 60)) return SEGMENT_BAD;
    if (le_get32(b + 8) != FORMAT_VERSION) return SEGMENT_NEWER;
    *out = (struct segment_head){ le_get64(b + 16), le_get64(b + 24), le_get64(b + 32), le_get64(b + 40) };
    return SEGMENT_OK;
}

enum segment_read segment_head_read(int fd, struct segment_head *out)
{
    struct segment_head second = { 0 };
    enum segment_read a = read_copy(fd, 0, out), b = read_copy(fd, SEGMENT_COPY, &second);
    if (a == SEGMENT_NEWER || b == SEGMENT_NEWER) return SEGMENT_NEWER;
    if (a == SEGMENT_BAD && b == SEGMENT_OK) *out = second;
    return a == SEGMENT_OK && b == SEGMENT_OK ? SEGMENT_OK
           : a == SEGMENT_OK || b == SEGMENT_OK ? SEGMENT_SECOND : SEGMENT_BAD;
}

uint32_t segment_seed(const struct segment_head *h)
{
    char b[16];
    le_put64(b, h->sequence);
    le_put64(b + 8, h->salt);
    return crc32c(0, b, sizeof b);
}

void record_encode(const struct record_head *h, uint64_t sequence, uint32_t seed, char out[RECORD_HEAD])
{
    le_put32(out, RECORD_MAGIC);
    le_put32(out + 4, (uint32_t)sequence);
    out[8] = (char)h->type;
    out[9] = (char)h->flags;
    out[10] = out[11] = 0;
    le_put32(out + 12, h->meta_n);
    le_put64(out + 16, h->text_n);
    le_put64(out + 24, h->id);
    le_put32(out + 32, h->durable);
    le_put32(out + 36, h->text_crc);
    le_put32(out + 40, h->back);
    le_put32(out + 44, h->meta_crc);
    le_put32(out + 48, 0);
    le_put32(out + 52, crc32c(seed, out, 52));
}

bool record_decode(const char in[RECORD_HEAD], uint64_t sequence, uint32_t seed, struct record_head *out)
{
    if (le_get32(in) != RECORD_MAGIC || le_get32(in + 4) != (uint32_t)sequence) return false;
    if (crc32c(seed, in, 52) != le_get32(in + 52)) return false;
    *out = (struct record_head){
        .type = (uint8_t)in[8], .flags = (uint8_t)in[9], .meta_n = le_get32(in + 12), .text_n = le_get64(in + 16),
        .id = le_get64(in + 24), .durable = le_get32(in + 32), .text_crc = le_get32(in + 36), .back = le_get32(in + 40),
        .meta_crc = le_get32(in + 44),
    };
    return out->meta_n <= RECORD_META_MAX && record_inline(out) <= UINT32_MAX;
}

const char *record_name(unsigned type)
{
    static const char *const names[RECORD_TYPES] = { "unknown", "message", "copy", "state", "done", "mark", "end" };
    return names[type < RECORD_TYPES ? type : 0];
}

void done_entry_put(char *p, uint64_t id, uint64_t sequence)
{
    le_put64(p, id);
    le_put64(p + 8, sequence);
}

void done_entry(const char *meta, size_t i, uint64_t *id, uint64_t *sequence)
{
    *id = le_get64(meta + i * DONE_ENTRY);
    *sequence = le_get64(meta + i * DONE_ENTRY + 8);
}

/* ---- window */

void window_init(struct window *w, int fd, uint64_t end)
{
    *w = (struct window){ .fd = fd, .end = end };
}

void window_deinit(struct window *w)
{
    free(w->p);
    *w = (struct window){ .fd = -1 };
}

const char *window_get(struct window *w, uint64_t at, uint64_t n)
{
    if (at > w->end || n > w->end - at) return NULL;
    if (at >= w->at && at + n <= w->at + w->n) return w->p + (at - w->at);
    uint64_t want = n > WINDOW_MIN ? n : WINDOW_MIN;
    if (want > w->end - at) want = w->end - at;
    if (want > w->cap) {
        w->p = mem_grow(w->p, want, 1);
        w->cap = want;
    }
    w->at = at;
    w->n = 0;
    while (w->n < want) {
        ssize_t k = pread(w->fd, w->p + w->n, want - w->n, (off_t)(at + w->n));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) w->error = errno;
        if (k <= 0) break;
        w->n += (size_t)k;
    }
    return w->n >= n ? w->p : NULL;
}

bool window_crc(struct window *w, uint64_t at, uint64_t n, uint32_t *crc)
{
    for (*crc = 0; n;) {
        uint64_t part = n < WINDOW_MIN ? n : WINDOW_MIN;
        const char *p = window_get(w, at, part);
        if (!p) return false;
        *crc = crc32c(*crc, p, part);
        at += part;
        n -= part;
    }
    return true;
}

/* ---- scan */

void scan_init(struct scan *s, int fd, uint64_t file_size, const struct segment_head *h)
{
    *s = (struct scan){ .sequence = h->sequence, .seed = segment_seed(h), .at = SEGMENT_HEAD };
    window_init(&s->window, fd, file_size);
}

void scan_deinit(struct scan *s)
{
    window_deinit(&s->window);
}

/* A head that checks and whose record lies within the file. */
static bool head_at(struct scan *s, uint64_t at, struct record_head *out)
{
    const char *p = window_get(&s->window, at, RECORD_HEAD);
    return p && record_decode(p, s->sequence, s->seed, out) &&
           RECORD_HEAD + out->meta_n + record_inline(out) <= s->window.end - at;
}

/* The first place from `at` where a head checks, or the end of the file. */
static uint64_t next_head(struct scan *s, uint64_t at)
{
    char mark[8];
    struct record_head head;
    le_put32(mark, RECORD_MAGIC);
    le_put32(mark + 4, (uint32_t)s->sequence);
    while (at + RECORD_HEAD <= s->window.end) {
        const char *p = window_get(&s->window, at, RECORD_HEAD);
        if (!p) { /* a block of the disk that cannot be read: go on behind it */
            at = (at | 4095) + 1;
            continue;
        }
        uint64_t have = s->window.at + s->window.n - at;
        for (; have >= RECORD_HEAD; have -= 8, p += 8, at += 8)
            if (memcmp(p, mark, 8) == 0) break;
        if (have < RECORD_HEAD) continue;
        if (head_at(s, at, &head)) return at;
        at += 8;
    }
    return s->window.end;
}

enum scan_kind scan_next(struct scan *s, struct scan_event *ev)
{
    *ev = (struct scan_event){ .kind = SCAN_EOF, .offset = s->at };
    if (s->at + RECORD_HEAD > s->window.end) return SCAN_EOF;
    if (!head_at(s, s->at, &ev->head)) {
        s->at = next_head(s, s->at + 8);
        ev->size = s->at - ev->offset;
        ev->last = s->at == s->window.end;
        return ev->kind = SCAN_GAP;
    }
    ev->size = record_size(&ev->head);
    s->at += ev->size;
    const char *meta = window_get(&s->window, ev->offset + RECORD_HEAD, ev->head.meta_n);
    if (!meta || crc32c(0, meta, ev->head.meta_n) != ev->head.meta_crc) return ev->kind = SCAN_DAMAGED;
    ev->meta = slice_of(meta, ev->head.meta_n);
    return ev->kind = SCAN_RECORD;
}

bool scan_is_started(struct scan *s, uint64_t at)
{
    const char *p = window_get(&s->window, at, 8);
    return p && le_get32(p) == RECORD_MAGIC && le_get32(p + 4) == (uint32_t)s->sequence;
}

bool scan_text_ok(struct scan *s, const struct scan_event *ev)
{
    uint32_t crc;
    uint64_t n = record_inline(&ev->head);
    return !n ||
           (window_crc(&s->window, ev->offset + RECORD_HEAD + ev->head.meta_n, n, &crc) && crc == ev->head.text_crc);
}
