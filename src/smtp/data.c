/* SPDX-License-Identifier: Apache-2.0
 * Message text on the wire. Two passes over bytes that are in the cache: one walks from line end to line end and copies
 * runs, one looks at all bytes sixteen at a time for what must not be there. */
#include "smtp/data.h"
#include <assert.h>

/* Where in a line the reader stands. A line ends at LF behind exactly one CR. CR CR LF ends none: whether the first CR
 * belongs to the line end is what servers disagree about, and on such doubt smuggled messages live. */
enum {
    AT_START,   /* behind a line end, or nothing was read yet */
    AT_DOT,     /* a dot stood at the start; it is not put out */
    AT_DOT_CR,  /* and then a CR, not put out yet */
    WITHIN,     /* in a line, */
    WITHIN_CR,  /* behind one CR, */
    WITHIN_CRS, /* behind two or more */
    AT_END,
};

void data_reader_init(struct data_reader *r, uint64_t line_max)
{
    *r = (struct data_reader){ .state = AT_START, .line_max = line_max };
}

/* ---- what must not be there */

#define BLOCK 16
typedef unsigned char block __attribute__((vector_size(BLOCK)));

static bool any(block b)
{
    uint64_t half[2];
    memcpy(half, &b, sizeof half);
    return half[0] | half[1];
}

/* Sets the flags for the bytes s, which came in one piece behind a CR or not. A CR at the end of s is looked at with
 * the next piece. */
static void look_at(struct data_reader *r, struct slice s, bool behind_cr)
{
    block bare_cr = { 0 }, bare_lf = { 0 }, nul = { 0 }, high = { 0 };
    size_t i = 0;
    if (!s.n) return;
    r->bare_cr |= behind_cr && s.p[0] != '\n';
    r->bare_lf |= !behind_cr && s.p[0] == '\n';
    for (; i + BLOCK + 1 <= s.n; i += BLOCK) {
        block here, next;
        memcpy(&here, s.p + i, BLOCK);
        memcpy(&next, s.p + i + 1, BLOCK);
        bare_cr |= (block)(here == '\r') & (block)(next != '\n');
        bare_lf |= (block)(here != '\r') & (block)(next == '\n');
        nul |= (block)(here == 0);
        high |= here;
    }
    high &= 0x80;
    r->bare_cr |= any(bare_cr);
    r->bare_lf |= any(bare_lf);
    r->nul |= any(nul);
    r->has_8bit |= any(high);
    for (; i < s.n; i++) {
        r->nul |= s.p[i] == 0;
        r->has_8bit |= (unsigned char)s.p[i] >= 0x80;
        if (i + 1 == s.n) break;
        r->bare_cr |= s.p[i] == '\r' && s.p[i + 1] != '\n';
        r->bare_lf |= s.p[i] != '\r' && s.p[i + 1] == '\n';
    }
}

/* ---- lines */

static bool behind_cr(int state)
{
    return state == AT_DOT_CR || state == WITHIN_CR || state == WITHIN_CRS;
}

/* The state at `to` when from..to was read within a line, from being at `state` (WITHIN or later). */
static int state_at(int state, const char *from, const char *to)
{
    int crs = 0;
    while (crs < 2 && to - crs > from && to[-crs - 1] == '\r') crs++;
    if (to - crs == from) crs += state - WITHIN;
    return crs == 0 ? WITHIN : crs == 1 ? WITHIN_CR : WITHIN_CRS;
}

/* Walks over bytes of lines (none of them to be removed) and returns where it stopped: at the end, or at a dot that
 * starts a line. */
static const char *walk_lines(struct data_reader *r, const char *at, const char *end)
{
    while (at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        const char *stop = lf ? lf : end;
        int state = state_at(r->state, at, stop);
        r->line_n += (size_t)(stop - at) + (lf != NULL);
        if (r->line_n > r->line_max) r->long_line = true;
        r->state = lf ? WITHIN : state;
        if (!lf) return end;
        at = lf + 1;
        if (state != WITHIN_CR) continue;
        r->line_n = 0;
        if (at == end || *at == '.') {
            r->state = AT_START;
            return at;
        }
    }
    return at;
}

/* What is never put out: a dot at the start of a line, and what ends the text behind it. True: c is such a byte. */
static bool take_dot(struct data_reader *r, char c)
{
    if (r->state == AT_START && c == '.') r->state = AT_DOT;
    else if (r->state == AT_DOT && c == '\r') r->state = AT_DOT_CR;
    else if (c == '\n' && (r->state == AT_DOT_CR || (r->state == AT_DOT && r->lenient))) r->state = AT_END;
    else return false;
    return true;
}

/* ---- old devices */

/* A byte that is put out. */
static void put_byte(struct data_reader *r, char c, char *out, size_t *o)
{
    r->bare_cr |= r->state == WITHIN_CR && c != '\n';
    r->nul |= c == 0;
    r->has_8bit |= (unsigned char)c >= 0x80;
    r->long_line |= ++r->line_n > r->line_max;
    r->state = c == '\n' ? AT_START : c == '\r' ? WITHIN_CR : WITHIN;
    if (c == '\n') r->line_n = 0;
    out[(*o)++] = c;
}

/* Byte by byte: such devices send little. A bare LF is read as if a CR had stood before it, which is why each step puts out
 * one byte at most. */
static enum data_status read_lenient(struct data_reader *r, struct slice in, size_t *used, char *out, size_t room,
                                     size_t *put)
{
    size_t i = 0, o = 0;
    enum data_status status = DATA_MORE;
    while (i < in.n && status == DATA_MORE) {
        char c = in.p[i];
        if (take_dot(r, c)) {
            if (r->state == AT_END) status = DATA_END;
            i++;
        } else if (o == room) {
            status = DATA_ROOM;
        } else if (r->state == AT_DOT_CR || (c == '\n' && r->state != WITHIN_CR)) {
            put_byte(r, '\r', out, &o);
        } else {
            r->has_dots |= r->state == AT_DOT && c == '.';
            put_byte(r, c, out, &o);
            i++;
        }
    }
    r->size += o;
    *used = i;
    *put = o;
    return status;
}

/* ---- chunks */

void data_read_chunk(struct data_reader *r, struct slice in, char *out)
{
    bool carried_cr = behind_cr(r->state);
    const char *at = in.p, *end = in.p + in.n;
    if (!in.n) return;
    while (at < end) {
        r->has_dots |= r->state == AT_START && *at == '.';
        if (r->state < WITHIN) r->state = WITHIN;
        at = walk_lines(r, at, end);
    }
    memcpy(out, in.p, in.n);
    look_at(r, in, carried_cr);
    r->size += in.n;
}

bool data_end_chunks(struct data_reader *r)
{
    if (r->state == AT_START) return true;
    r->bare_cr |= behind_cr(r->state);
    r->state = AT_START;
    r->line_n = 0;
    r->size += 2;
    return false;
}

/* ---- dot-stuffed text */

enum data_status data_read(struct data_reader *r, struct slice in, size_t *used, char *out, size_t room, size_t *put)
{
    enum data_status status = DATA_MORE;
    size_t i = 0, o = 0;
    bool carried_cr = behind_cr(r->state);
    assert(r->state != AT_END);
    if (r->lenient) return read_lenient(r, in, used, out, room, put);
    while (i < in.n && status == DATA_MORE) {
        char c = in.p[i];
        if (take_dot(r, c)) {
            if (r->state == AT_END) status = DATA_END;
            i++;
        } else if (o == room) {
            status = DATA_ROOM;
        } else if (r->state == AT_DOT_CR) {
            out[o++] = '\r';
            r->line_n++;
            r->state = WITHIN_CR;
        } else {
            size_t most = in.n - i < room - o ? in.n - i : room - o;
            if (r->state == AT_DOT && c == '.') r->has_dots = true;
            if (r->state < WITHIN) r->state = WITHIN;
            size_t n = (size_t)(walk_lines(r, in.p + i, in.p + i + most) - (in.p + i));
            memcpy(out + o, in.p + i, n);
            i += n;
            o += n;
        }
    }
    look_at(r, slice_of(in.p, i), carried_cr);
    r->size += o;
    *used = i;
    *put = o;
    return status;
}

size_t data_stuff(struct slice in, bool *at_line_start, char *out)
{
    size_t o = 0, from = 0;
    while (from < in.n) {
        if (*at_line_start && in.p[from] == '.') out[o++] = '.';
        const char *lf = memchr(in.p + from, '\n', in.n - from);
        size_t to = lf ? (size_t)(lf - in.p) + 1 : in.n;
        while (lf && to < in.n && in.p[to] != '.') { /* lines without a dot go in one run */
            lf = memchr(in.p + to, '\n', in.n - to);
            to = lf ? (size_t)(lf - in.p) + 1 : in.n;
        }
        memcpy(out + o, in.p + from, to - from);
        o += to - from;
        from = to;
        *at_line_start = lf != NULL;
    }
    return o;
}
