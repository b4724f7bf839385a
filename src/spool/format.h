/* SPDX-License-Identifier: Apache-2.0
 * The bytes of a segment: its head, the heads of records, and reading one record after the other with what does
 * not check between them. Knows nothing of what records mean together. docs/spool.md tells the layout. */
#ifndef POSTERN_SPOOL_FORMAT_H
#define POSTERN_SPOOL_FORMAT_H
#include "base/err.h"
#include "base/slice.h"

#define FORMAT_VERSION 1
#define SEGMENT_HEAD 8192  /* two copies of the head, a block apart; records follow */
#define SEGMENT_COPY 4096  /* where the second copy is */
#define SEGMENT_HEAD_N 64
#define RECORD_HEAD 56
#define RECORD_META_MAX (64u << 20)
#define DONE_ENTRY 16      /* id and sequence, 8 bytes each */

enum record_type {
    RECORD_MESSAGE = 1, /* meta: envelope */
    RECORD_COPY,        /* the same message again, taken out of an older segment (`back` segments ago) */
    RECORD_STATE,       /* meta: the queue's state of message `id` */
    RECORD_DONE,        /* meta: entries {id, sequence}: what that segment and older ones hold of this id is dead */
    RECORD_MARK,        /* nothing but its `durable` */
    RECORD_END,         /* no record follows in this segment */
    RECORD_TYPES
};
enum { RECORD_BIG = 1, RECORD_CLEAN = 2 }; /* flags: text is in big-<id>; END of a spool that was closed */

struct record_head {
    uint8_t type, flags;
    uint32_t meta_n, meta_crc, text_crc;
    uint64_t text_n, id;
    uint32_t durable; /* all bytes of the segment before this offset were on disk when the record was written */
    uint32_t back;
};

struct segment_head {
    uint64_t sequence, epoch, created; /* epoch: how often the spool had been opened; created: wall ms */
    uint64_t salt;                     /* random: no message can contain bytes that pass for a record */
};

enum segment_read { SEGMENT_OK, SEGMENT_SECOND /* only one copy is good */, SEGMENT_NEWER, SEGMENT_BAD };

bool segment_head_write(int fd, const struct segment_head *h, struct err *err) MUST_CHECK;
enum segment_read segment_head_read(int fd, struct segment_head *out);
uint32_t segment_seed(const struct segment_head *h); /* where the sum of each record head starts */

void record_encode(const struct record_head *h, uint64_t sequence, uint32_t seed, char out[RECORD_HEAD]);
bool record_decode(const char in[RECORD_HEAD], uint64_t sequence, uint32_t seed, struct record_head *out);
/* Bytes in the segment, padding included. */
static inline uint64_t record_inline(const struct record_head *h)
{
    return h->flags & RECORD_BIG && h->type <= RECORD_COPY ? 0 : h->text_n;
}
static inline uint64_t record_size(const struct record_head *h)
{
    return (RECORD_HEAD + h->meta_n + record_inline(h) + 7) & ~(uint64_t)7;
}
const char *record_name(unsigned type);
void done_entry_put(char *p, uint64_t id, uint64_t sequence);
void done_entry(const char *meta, size_t i, uint64_t *id, uint64_t *sequence);

/* A window on a file: bytes are read ahead and stay valid until the next call. */
struct window {
    int fd;
    uint64_t end, at; /* of the file; of the window */
    char *p;
    size_t n, cap;
    int error;        /* errno of the last read that failed; 0: none did */
};
void window_init(struct window *w, int fd, uint64_t end);
void window_deinit(struct window *w);
const char *window_get(struct window *w, uint64_t at, uint64_t n); /* NULL: not there or not readable */
/* The sum over n bytes of the file; false when they cannot be read. */
bool window_crc(struct window *w, uint64_t at, uint64_t n, uint32_t *crc);

enum scan_kind {
    SCAN_RECORD,  /* head and meta check; the text was not read */
    SCAN_DAMAGED, /* the head checks, the meta does not */
    SCAN_GAP,     /* nothing checks until the next record, or until the end of the file (`last`) */
    SCAN_EOF
};
struct scan {
    struct window window;
    uint64_t sequence, at;
    uint32_t seed;
};
struct scan_event {
    enum scan_kind kind;
    bool last;
    uint64_t offset, size;
    struct record_head head;
    struct slice meta; /* until the next call */
};
void scan_init(struct scan *s, int fd, uint64_t file_size, const struct segment_head *h);
void scan_deinit(struct scan *s);
enum scan_kind scan_next(struct scan *s, struct scan_event *ev);
/* Does something begin there that was meant to be a record? */
bool scan_is_started(struct scan *s, uint64_t at);
/* Does the text of a record just read check? Big ones do as far as the segment is concerned. */
bool scan_text_ok(struct scan *s, const struct scan_event *ev);

#endif
