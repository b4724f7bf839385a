/* SPDX-License-Identifier: Apache-2.0
 * The growing buffer. */
#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/utf8.h"

void buf_deinit(struct buf *b)
{
    free(b->p);
    *b = (struct buf){ .max = b->max };
}

void buf_wipe(struct buf *b)
{
    mem_wipe(b->p, b->cap);
    buf_deinit(b);
}

char *buf_reserve(struct buf *b, size_t more)
{
    if (more > SIZE_MAX / 4 || (b->max && b->n + more > b->max)) {
        b->overflow = true;
        return NULL;
    }
    if (b->n + more > b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 128;
        while (cap < b->n + more) cap *= 2;
        b->p = mem_grow(b->p, cap, 1);
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_add(struct buf *b, struct slice s)
{
    if (!s.n) return;
    char *to = buf_reserve(b, s.n);
    if (!to) return;
    memcpy(to, s.p, s.n);
    b->n += s.n;
}

void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, slice_str(s));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, slice_of(&c, 1));
}

void buf_add_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t i = sizeof digits;
    do digits[--i] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, slice_of(digits + i, sizeof digits - i));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    size_t max = b->max;
    b->max = max ? max + 1 : 0; /* the terminating NUL does not count */
    char *to = n >= 0 ? buf_reserve(b, (size_t)n + 1) : NULL;
    b->max = max;
    if (to) {
        vsnprintf(to, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

/* As much of it as there is room for. */
static void add_run(struct buf *b, struct slice s)
{
    size_t room = !b->max ? s.n : b->n < b->max ? b->max - b->n : 0;
    buf_add(b, slice_sub(s, 0, room));
    if (room < s.n) b->overflow = true;
}

void buf_add_code(struct buf *b, uint32_t code)
{
    char c[4];
    buf_add(b, slice_of(c, utf8_put(c, code)));
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One of those that are written here: the text has been made printable before. */
static bool is_escape(struct slice s)
{
    if (s.n < 4 || s.p[0] != '\\' || s.p[1] != 'x') return false;
    int high = hex_value(s.p[2]), low = hex_value(s.p[3]), c = high * 16 + low;
    return high >= 0 && low >= 0 && (c < 0x20 || c >= 0x7F || c == '\\');
}

void buf_add_printable(struct buf *b, struct slice s, size_t max_in)
{
    size_t end = s.n < max_in ? s.n : max_in;
    for (size_t i = 0; i < end;) {
        size_t run = i;
        while (run < end && s.p[run] >= 0x20 && s.p[run] < 0x7F && s.p[run] != '\\') run++;
        if (run > i) {
            add_run(b, slice_sub(s, i, run));
            i = run;
            continue;
        }
        unsigned char c = (unsigned char)s.p[i];
        size_t len = 1;
        bool plain = false;
        if (c >= 0x80) {
            uint32_t code = 0;
            len = utf8_char(slice_sub(s, i, end), &code);
            plain = len && !utf8_is_control(code);
            if (!len) len = 1;
        } else if (is_escape(slice_sub(s, i, end))) {
            len = 4;
            plain = true;
        }
        if (plain)
            buf_add(b, slice_sub(s, i, i + len));
        else
            for (size_t k = 0; k < len; k++) buf_addf(b, "\\x%02x", (unsigned char)s.p[i + k]);
        i += len;
    }
    if (end < s.n) buf_add_str(b, "...");
}

const char *buf_cstr(struct buf *b)
{
    size_t max = b->max;
    b->max = 0;
    buf_reserve(b, 1)[0] = 0;
    b->max = max;
    return b->p;
}

struct slice buf_keep(struct buf *b, struct arena *arena)
{
    struct slice s = b->n ? arena_slice(arena, buf_slice(b)) : SLICE("");
    buf_deinit(b);
    return s;
}
