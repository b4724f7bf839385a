/* SPDX-License-Identifier: Apache-2.0
 * Recovery: what spool_open found, what reading the log made of it (scan.c, in a thread), and how it is told to the
 * queue (recover.c, on the loop). */
#ifndef POSTERN_SPOOL_RECOVER_H
#define POSTERN_SPOOL_RECOVER_H
#include "spool/private.h"

struct old_segment {
    struct segment_head head;
    enum segment_read status;
    uint64_t sequence;        /* of its name */
    uint64_t file_size, used, live_bytes;
    uint32_t live_n;
    bool kept;                /* has records that are not understood */
    bool gone;                /* while its owner went on: it needs not be read */
    uint64_t *refs;           /* older segments that its records speak of */
    size_t ref_n, ref_cap;
};

struct numbers {
    uint64_t *p;
    size_t n, cap;
};

struct found {
    struct old_segment *segments; /* ascending */
    size_t segment_n, segment_cap;
    struct numbers bigs, spares, drafts;
    uint64_t last, epoch;     /* highest sequence of any name; highest epoch */
};
struct found *found_read(int dir_fd, const char *dir_name, struct err *err) MUST_CHECK; /* NULL on failure */

struct old_message {          /* or only the state of one whose record comes later, as a copy */
    uint64_t id, text_n;
    uint32_t segment, offset, meta_n;              /* segment: 1 + place in found.segments; 0: no message */
    uint32_t state_segment, state_offset, state_n; /* likewise */
    uint32_t text_crc;
    bool big;
    struct old_message *free_next;
};

enum report_kind {
    REPORT_GAP,
    REPORT_RECORD,
    REPORT_TEXT,
    REPORT_BIG,
    REPORT_HEAD,
    REPORT_SEGMENT,
    REPORT_UNKNOWN,
    REPORT_TAIL
};
struct report {
    enum report_kind kind;
    uint64_t sequence, offset, size, id;
};

struct old_block;
struct log_read {              /* the log as scan.c has read it */
    int dir_fd;
    bool read_only;            /* reads of a spool that others may own: nothing is cut, saved or removed */
    struct found *found;
    atomic_bool stop;
    struct htable messages;
    struct old_block *blocks;
    struct old_message *free_list;
    struct report *reports;
    size_t report_n, report_cap;
    uint64_t damaged;
    struct { size_t segment; uint64_t at; bool any; } tail; /* of the last segment without an end; segment: 1 + place */
    struct old_message **live; /* in log order */
    size_t live_n;
};

/* Reads the whole log; may take long. dir_fd, found (taken over) and read_only are set, the rest is zero. */
void log_read_all(struct log_read *r);
void log_read_deinit(struct log_read *r);
struct old_message *log_read_find(const struct log_read *r, uint64_t id);
const char *scan_report_text(enum report_kind kind);
void scan_report_add(struct log_read *r, enum report_kind kind, uint64_t sequence, uint64_t offset, uint64_t size,
                     uint64_t id);

#endif
