/* SPDX-License-Identifier: Apache-2.0
 * A growing byte buffer, and the only way text is built. Zero-initialise it; buf_deinit when done.
 * Adding past `max` (0: no limit) sets `overflow` and drops the addition whole. */
#ifndef POSTERN_BASE_BUF_H
#define POSTERN_BASE_BUF_H
#include "base/slice.h"

struct buf {
    char *p;
    size_t n, cap, max;
    bool overflow;
};

void buf_deinit(struct buf *b);                       /* frees; the buffer may be used anew */
void buf_wipe(struct buf *b);                         /* the same, for one that held a secret */
static inline void buf_clear(struct buf *b) { b->n = 0; b->overflow = false; }
char *buf_reserve(struct buf *b, size_t more);        /* room for `more` bytes at p+n; NULL when over max */
void buf_add(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_add_u64(struct buf *b, uint64_t v);
void buf_add_code(struct buf *b, uint32_t code);       /* one character as UTF-8: utf8_put */
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n);            /* drops the first n bytes */
/* Text from outside made fit for a log or terminal: control characters, DEL, backslash and bytes that are
 * not UTF-8 become \xNN; such a \xNN that is there already stays, so that what is printable is not changed again. At most
 * max_in bytes of s are taken, then "..." follows. */
void buf_add_printable(struct buf *b, struct slice s, size_t max_in);
const char *buf_cstr(struct buf *b);                  /* NUL-terminated view, valid until the next change */
struct arena;
struct slice buf_keep(struct buf *b, struct arena *arena); /* a copy that lives as long as the arena; the buffer is freed */
static inline struct slice buf_slice(const struct buf *b) { return slice_of(b->p, b->n); }

#endif
