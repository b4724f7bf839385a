/* SPDX-License-Identifier: Apache-2.0
 * Blocks of the history: made, and looked through. */
#include "store/block.h"
#include <stdlib.h>
#include "base/mem.h"
#include "store/store.h"
#include "store/trace.h"

#define ORIGIN_N 18 /* kind, family, address */
#define ID_N 16     /* id, time */

/* ---- making */

static void fold(struct buf *out, struct slice s, bool lines)
{
    char *to = buf_reserve(out, s.n);
    if (!to) return;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        to[i] = c == 0 || (c == '\n' && !lines) ? ' ' : ascii_lower(c);
    }
    out->n += s.n;
}

void block_fold(struct buf *out, struct slice s)
{
    fold(out, s, false);
}

static void add_text(struct buf *out, struct slice s)
{
    fold(out, s, false);
    buf_add_char(out, 0);
}

/* "\nann@example.org\nbob@example.org\n": an address is found by the line feeds around it, a domain by that behind it. */
static void add_address(struct buf *out, struct slice a)
{
    if (out->n == 0 || out->p[out->n - 1] != '\n') buf_add_char(out, '\n');
    fold(out, a, false);
    buf_add_char(out, '\n');
}

static void add_rcpts(struct buf *out, struct slice lines)
{
    struct slice tail, one;
    while (lines.n) {
        slice_cut(&lines, '\n', &tail);
        slice_cut(&tail, '\t', &one);
        if (one.n) add_address(out, one);
        if (tail.n && !slice_eq(tail, SLICE(HISTORY_COPY))) add_address(out, tail);
    }
    buf_add_char(out, 0);
}

static struct block_check *find_check(struct block *b, const struct trace_entry *e, size_t *hint)
{
    struct slice name = slice_sub(e->check, 0, sizeof b->checks->name);
    for (size_t k = 0; k < b->check_n; k++) {
        size_t i = (*hint + k) % b->check_n; /* they mostly come in the same order */
        struct block_check *c = &b->checks[i];
        if (c->stage != e->stage || c->outcome != e->outcome || !slice_ieq(slice_of(c->name, c->name_n), name)) continue;
        *hint = i + 1;
        return c;
    }
    if (b->check_n == BLOCK_CHECKS_MAX) return NULL;
    if (b->check_n == b->check_cap) {
        b->check_cap = b->check_cap ? 2 * b->check_cap : 64;
        b->checks = mem_grow(b->checks, b->check_cap, sizeof *b->checks);
    }
    struct block_check *c = &b->checks[b->check_n++];
    *c = (struct block_check){ .stage = e->stage, .outcome = e->outcome, .name_n = (uint8_t)name.n };
    for (size_t i = 0; i < name.n; i++) c->name[i] = ascii_lower(name.p[i]);
    return c;
}

/* What was in its way is part of the reason; what does not apply is not kept. */
static void add_trace(struct block *b, struct slice trace)
{
    struct buf *reason = &b->columns[BLOCK_REASON];
    struct trace_entry e;
    struct slice in;
    size_t hint = 0;
    if (!trace_open(trace, &in)) return;
    while (trace_next(&in, &e)) {
        struct block_check *c = e.outcome == TRACE_SKIP ? NULL : find_check(b, &e, &hint);
        if (c) block_set(&c->bits, b->n);
        if (e.outcome < TRACE_HOLD) continue;
        buf_add_char(reason, '\n');
        fold(reason, e.check, false);
        buf_add_str(reason, ": ");
        fold(reason, e.why, false);
    }
}

void block_add(struct block *b, const struct block_doc *d)
{
    uint64_t ids[2] = { d->id, d->time };
    char origin[ORIGIN_N] = { (char)d->kind, (char)d->client.family };
    struct buf *c = b->columns;
    if (b->n >= BLOCK_DOCS) return;
    memcpy(origin + 2, d->client.bytes, 16);
    buf_add(&c[BLOCK_IDS], slice_of(ids, sizeof ids));
    buf_add(&c[BLOCK_ORIGIN], slice_of(origin, sizeof origin));
    buf_add_char(&c[BLOCK_SENDER], '\n');
    fold(&c[BLOCK_SENDER], d->sender, false);
    buf_add(&c[BLOCK_SENDER], slice_of("\n", 2)); /* with the NUL */
    add_rcpts(&c[BLOCK_RCPTS], d->rcpts);
    add_text(&c[BLOCK_MESSAGE_ID], d->message_id);
    add_text(&c[BLOCK_SUBJECT], d->subject);
    fold(&c[BLOCK_REASON], d->text, false);
    add_trace(b, d->trace);
    buf_add_char(&c[BLOCK_REASON], 0);
    if (!b->n || d->id < b->first) b->first = d->id;
    if (!b->n || d->id > b->last) b->last = d->id;
    b->n++;
}

bool block_is_full(const struct block *b)
{
    size_t bytes = 0;
    for (size_t i = 0; i < BLOCK_CHECKS; i++) bytes += b->columns[i].n;
    return b->n >= BLOCK_DOCS || bytes >= BLOCK_BYTES;
}

/* Of each: stage, outcome, name with its length, and a bit for each message. */
void block_add_checks(const struct block *b, struct buf *out)
{
    for (size_t i = 0; i < b->check_n; i++) {
        const struct block_check *c = &b->checks[i];
        char head[3] = { (char)c->stage, (char)c->outcome, (char)c->name_n };
        buf_add(out, slice_of(head, sizeof head));
        buf_add(out, slice_of(c->name, c->name_n));
        buf_add(out, slice_of(&c->bits, sizeof c->bits));
    }
}

void block_clear(struct block *b)
{
    for (size_t i = 0; i < BLOCK_CHECKS; i++) buf_clear(&b->columns[i]);
    b->n = 0;
    b->first = b->last = 0;
    b->check_n = 0;
}

void block_deinit(struct block *b)
{
    for (size_t i = 0; i < BLOCK_CHECKS; i++) buf_deinit(&b->columns[i]);
    free(b->checks);
    *b = (struct block){ 0 };
}

/* ---- events */

void block_events_add(struct block_events *b, uint64_t row, uint64_t id, unsigned kind, struct slice text, struct slice host)
{
    buf_add(&b->ids, slice_of(&id, sizeof id));
    buf_add_char(&b->kind, (char)kind);
    fold(&b->text, text, false);
    if (host.n) buf_add_char(&b->text, ' ');
    add_text(&b->text, host);
    if (!b->n || id < b->first) b->first = id;
    if (!b->n || id > b->last) b->last = id;
    b->kinds |= UINT32_C(1) << (kind & 31);
    b->row = row;
    b->n++;
}

bool block_events_are_full(const struct block_events *b)
{
    return b->n >= BLOCK_DOCS || b->text.n >= BLOCK_BYTES;
}

void block_events_clear(struct block_events *b)
{
    buf_clear(&b->ids);
    buf_clear(&b->kind);
    buf_clear(&b->text);
    b->n = 0;
    b->kinds = 0;
    b->row = b->first = b->last = 0;
}

void block_events_deinit(struct block_events *b)
{
    buf_deinit(&b->ids);
    buf_deinit(&b->kind);
    buf_deinit(&b->text);
    *b = (struct block_events){ 0 };
}

/* ---- looking */

void block_fill(struct block_bits *b, unsigned n)
{
    for (unsigned i = 0; i < BLOCK_DOCS / 64; i++) {
        unsigned from = i * 64;
        b->w[i] = n >= from + 64 ? UINT64_MAX : n > from ? (UINT64_C(1) << (n - from)) - 1 : 0;
    }
}

bool block_is_none(const struct block_bits *b)
{
    uint64_t any = 0;
    for (size_t i = 0; i < countof(b->w); i++) any |= b->w[i];
    return !any;
}

void block_both(struct block_bits *io, const struct block_bits *other)
{
    for (size_t i = 0; i < countof(io->w); i++) io->w[i] &= other->w[i];
}

static unsigned count_ends(const char *from, const char *to)
{
    unsigned n = 0;
    for (; from < to; from++) n += *from == 0;
    return n;
}

void block_mark(struct slice column, struct slice needle, bool whole, struct block_bits *found)
{
    const char *p = column.p, *counted = p, *end = column.n ? column.p + column.n : column.p, *hit;
    unsigned doc = 0;
    while (p < end && (hit = memmem(p, (size_t)(end - p), needle.p, needle.n))) {
        if (whole && (hit == column.p || (hit[-1] != '\n' && hit[-1] != '@'))) {
            p = hit + 1;
            continue;
        }
        doc += count_ends(counted, hit);
        if (doc >= BLOCK_DOCS) return;
        block_set(found, doc++);
        p = memchr(hit, 0, (size_t)(end - hit));
        if (!p) return;
        counted = ++p; /* the next one's */
    }
}

static bool in_net(const struct ip_net *net, const char *one)
{
    size_t bytes = net->prefix / 8;
    uint8_t rest = (uint8_t)(0xff00 >> net->prefix % 8);
    if ((uint8_t)one[1] != net->ip.family || memcmp(one + 2, net->ip.bytes, bytes) != 0) return false;
    return net->prefix % 8 == 0 || ((uint8_t)one[2 + bytes] & rest) == net->ip.bytes[bytes];
}

void block_match_client(struct slice origin, const struct ip_net *net, struct block_bits *io)
{
    for (unsigned i = 0; i < BLOCK_DOCS; i++) {
        size_t at = (size_t)i * ORIGIN_N;
        if (block_has(io, i) && (at + ORIGIN_N > origin.n || !in_net(net, origin.p + at))) block_drop(io, i);
    }
}

void block_match_kind(struct slice origin, unsigned kind, struct block_bits *io)
{
    for (unsigned i = 0; i < BLOCK_DOCS; i++) {
        size_t at = (size_t)i * ORIGIN_N;
        if (block_has(io, i) && (at >= origin.n || (uint8_t)origin.p[at] != kind)) block_drop(io, i);
    }
}

void block_match_check(struct slice column, int stage, int outcome, struct slice name, struct block_bits *io)
{
    struct block_bits found = { 0 };
    while (column.n > 3) {
        size_t n = (uint8_t)column.p[2];
        if (column.n < 3 + n + sizeof found) break;
        bool fits = (stage < 0 || (uint8_t)column.p[0] == stage) && (outcome < 0 || (uint8_t)column.p[1] == outcome) &&
                    (!name.n || slice_ieq(slice_sub(column, 3, 3 + n), name));
        for (size_t i = 0; fits && i < countof(found.w); i++) {
            uint64_t w;
            memcpy(&w, column.p + 3 + n + i * sizeof w, sizeof w);
            found.w[i] |= w;
        }
        column = slice_sub(column, 3 + n + sizeof found, column.n);
    }
    block_both(io, &found);
}

bool block_id(struct slice ids, unsigned i, uint64_t *id, uint64_t *time)
{
    struct slice one = slice_sub(ids, (size_t)i * ID_N, (size_t)(i + 1) * ID_N);
    if (one.n != ID_N) return false;
    memcpy(id, one.p, sizeof *id);
    memcpy(time, one.p + sizeof *id, sizeof *time);
    return true;
}
