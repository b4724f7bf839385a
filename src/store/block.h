/* SPDX-License-Identifier: Apache-2.0
 * What the history is searched by: blocks of some 1,000 messages, or events, each a few columns of bytes that one look goes through. Texts
 * are folded to lower case; a message's end with NUL, the addresses in one stand between line feeds. A column costs its bytes and nothing
 * else to write, and a million messages are read at the speed of memory. Columns that come from the disk may be damaged: what is found in
 * them is only a hint where to look. */
#ifndef POSTERN_STORE_BLOCK_H
#define POSTERN_STORE_BLOCK_H
#include "base/buf.h"
#include "base/ip.h"

#define BLOCK_DOCS 1024u
#define BLOCK_BYTES (1u << 20) /* after which no more is added, however few there are */
#define BLOCK_CHECKS_MAX 512u  /* of a stage, an outcome and a name, in one block */

enum block_column { BLOCK_IDS, BLOCK_ORIGIN, BLOCK_SENDER, BLOCK_RCPTS, BLOCK_MESSAGE_ID, BLOCK_SUBJECT, BLOCK_REASON, BLOCK_CHECKS, BLOCK_COLUMNS };

struct block_bits { /* a set of messages of a block */
    uint64_t w[BLOCK_DOCS / 64];
};

struct block_check {
    uint8_t stage, outcome, name_n;
    char name[37];
    struct block_bits bits;
};

/* A message or refusal. Slices are read only. */
struct block_doc {
    uint64_t id, time;
    uint8_t kind;
    struct ip client;
    struct slice sender, rcpts; /* rcpts: lines; what an address is there for stands behind a TAB */
    struct slice message_id, subject, text, trace;
};

struct block { /* that grows */
    unsigned n;
    uint64_t first, last;       /* smallest and largest id */
    struct buf columns[BLOCK_CHECKS];
    struct block_check *checks;
    size_t check_n, check_cap;
};

void block_add(struct block *b, const struct block_doc *d);
bool block_is_full(const struct block *b);
void block_add_checks(const struct block *b, struct buf *out); /* the last column */
void block_clear(struct block *b);
void block_deinit(struct block *b);

/* Events: which message, what, and what was said. */
struct block_events {
    unsigned n;
    uint64_t row;               /* of the last one */
    uint64_t first, last;       /* of the messages' ids */
    uint32_t kinds;             /* a bit each */
    struct buf ids, kind, text;
};

void block_events_add(struct block_events *b, uint64_t row, uint64_t id, unsigned kind, struct slice text, struct slice host);
bool block_events_are_full(const struct block_events *b);
void block_events_clear(struct block_events *b);
void block_events_deinit(struct block_events *b);

/* ---- looking: what does not fit is taken out of *io */

void block_fill(struct block_bits *b, unsigned n);
bool block_is_none(const struct block_bits *b);
static inline bool block_has(const struct block_bits *b, unsigned i) { return i < BLOCK_DOCS && b->w[i / 64] >> (i % 64) & 1; }
static inline void block_set(struct block_bits *b, unsigned i) { b->w[i / 64] |= UINT64_C(1) << (i % 64); }
static inline void block_drop(struct block_bits *b, unsigned i) { b->w[i / 64] &= ~(UINT64_C(1) << (i % 64)); }
void block_both(struct block_bits *io, const struct block_bits *other);
/* Adds those that have the needle (folded, without NUL). whole: behind a line feed or an @. */
void block_mark(struct slice column, struct slice needle, bool whole, struct block_bits *found);
void block_match_client(struct slice origin, const struct ip_net *net, struct block_bits *io);
void block_match_kind(struct slice origin, unsigned kind, struct block_bits *io);
/* One check found it so. -1: any; empty: any. */
void block_match_check(struct slice column, int stage, int outcome, struct slice name, struct block_bits *io);
bool block_id(struct slice ids, unsigned i, uint64_t *id, uint64_t *time);

void block_fold(struct buf *out, struct slice s); /* lower case; NUL and line feeds as blanks */

#endif
