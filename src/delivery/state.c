/* SPDX-License-Identifier: Apache-2.0
 * What the spool keeps with a message, as an opaque state of at most 64 KiB. All numbers little-endian:
 *   u8 version (1), u8 flags (1 warned, 2 held), u16 attempts, u64 next try (wall ms; 0: now), text reason, text destination,
 *   u8 form
 *   form 0: all recipients are pending
 *   form 1: u16 n, n texts: reasons; u32 n, n runs of u8 status, u16 reason (0: none, else its number), u32 recipients
 *   form 2: u32 recipients, 2 bits of status each: when there are too many runs
 *   form 3: u32 recipients, 4 bits of status each: the same, when some status takes more than 2
 * A text is u16 length and bytes. */
#include "delivery/internal.h"
#include <stdlib.h>

#define VERSION 1
#define REASONS_MAX 64
#define RUNS_MAX 4000

enum form { FORM_ALL, FORM_RUNS, FORM_PACKED, FORM_WIDE };

static void put(struct buf *out, uint64_t v, size_t bytes)
{
    for (; bytes; bytes--, v >>= 8) buf_add_char(out, (char)(v & 0xFF));
}

static void put_text(struct buf *out, struct slice s)
{
    if (s.n > LABEL_MAX) s.n = LABEL_MAX;
    put(out, s.n, 2);
    buf_add(out, s);
}

static uint32_t reason_number(const struct label **table, uint32_t *n, const struct label *reason)
{
    if (!reason) return 0;
    for (uint32_t i = 0; i < *n; i++)
        if (table[i] == reason) return i + 1;
    if (*n == REASONS_MAX) return 0; /* the message's reason stands for it */
    table[(*n)++] = reason;
    return *n;
}

static bool put_runs(const struct message *m, struct buf *out)
{
    const struct label *table[REASONS_MAX];
    uint32_t table_n = 0, runs = 0;
    struct buf b = { 0 };
    for (uint32_t i = 0, next; i < m->rcpt_n && runs <= RUNS_MAX; i = next) {
        const struct rcpt_memory *r = &m->rcpts[i];
        for (next = i + 1; next < m->rcpt_n && m->rcpts[next].status == r->status && m->rcpts[next].reason == r->reason;) next++;
        put(&b, r->status, 1);
        put(&b, reason_number(table, &table_n, r->reason), 2);
        put(&b, next - i, 4);
        runs++;
    }
    bool fits = runs <= RUNS_MAX;
    if (fits) {
        put(out, FORM_RUNS, 1);
        put(out, table_n, 2);
        for (uint32_t i = 0; i < table_n; i++) put_text(out, label_text(table[i]));
        put(out, runs, 4);
        buf_add(out, buf_slice(&b));
    }
    buf_deinit(&b);
    return fits;
}

static void put_packed(const struct message *m, struct buf *out)
{
    bool wide = false;
    for (uint32_t i = 0; i < m->rcpt_n && !wide; i++) wide = m->rcpts[i].status > RCPT_CLOSED;
    unsigned bits = wide ? 4 : 2, each = 8 / bits;
    put(out, wide ? FORM_WIDE : FORM_PACKED, 1);
    put(out, m->rcpt_n, 4);
    for (uint32_t i = 0; i < m->rcpt_n; i += each) {
        unsigned byte = 0;
        for (uint32_t k = i; k < i + each && k < m->rcpt_n; k++) byte |= (unsigned)m->rcpts[k].status << bits * (k - i);
        put(out, byte, 1);
    }
}

void state_encode(const struct message *m, struct buf *out)
{
    bool held = m->state == MESSAGE_HELD || m->flags & MESSAGE_HOLD;
    put(out, VERSION, 1);
    put(out, (m->flags & MESSAGE_WARNED ? 1 : 0) | (held ? 2 : 0), 1);
    put(out, m->attempts, 2);
    put(out, m->state == MESSAGE_DEFERRED ? m->next_try : 0, 8); /* a parked one's is the end of its life or the like */
    put_text(out, label_text(m->reason));
    put_text(out, label_text(m->where));
    if (!m->rcpts) put(out, FORM_ALL, 1);
    else if (!put_runs(m, out)) put_packed(m, out);
}

/* ---- reading */

struct input {
    struct slice in;
    bool bad;
};

static uint64_t take(struct input *s, size_t bytes)
{
    uint64_t v = 0;
    if (s->in.n < bytes) {
        s->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++) v |= (uint64_t)(unsigned char)s->in.p[i] << 8 * i;
    s->in = slice_sub(s->in, bytes, s->in.n);
    return v;
}

static struct slice take_text(struct input *s)
{
    size_t n = (size_t)take(s, 2);
    if (n > s->in.n) {
        s->bad = true;
        n = 0;
    }
    struct slice text = slice_sub(s->in, 0, n);
    s->in = slice_sub(s->in, n, s->in.n);
    return text;
}

static void take_runs(struct input *s, struct message *m, struct labels *labels)
{
    struct slice table[REASONS_MAX];
    uint64_t table_n = take(s, 2), at = 0;
    if (table_n > REASONS_MAX) s->bad = true;
    for (uint64_t i = 0; !s->bad && i < table_n; i++) table[i] = take_text(s);
    for (uint64_t runs = s->bad ? 0 : take(s, 4); !s->bad && runs; runs--) {
        unsigned status = (unsigned)take(s, 1), reason = (unsigned)take(s, 2);
        uint64_t n = take(s, 4);
        if (status >= RCPT_STATUSES || reason > table_n || n > m->rcpt_n - at) s->bad = true;
        for (; !s->bad && n; n--, at++) {
            m->rcpts[at].status = (enum rcpt_status)status;
            if (reason) m->rcpts[at].reason = label_get(labels, table[reason - 1]);
        }
    }
    if (at != m->rcpt_n) s->bad = true;
}

static void take_packed(struct input *s, struct message *m, unsigned bits)
{
    unsigned each = 8 / bits;
    if (take(s, 4) != m->rcpt_n) s->bad = true;
    for (uint32_t i = 0; !s->bad && i < m->rcpt_n; i += each) {
        unsigned byte = (unsigned)take(s, 1);
        for (uint32_t k = i; k < i + each && k < m->rcpt_n; k++, byte >>= bits) {
            unsigned status = byte & ((1u << bits) - 1);
            if (status >= RCPT_STATUSES) s->bad = true;
            else m->rcpts[k].status = (enum rcpt_status)status;
        }
    }
}

bool state_decode(struct slice encoded, struct message *m, struct labels *reasons, struct labels *names)
{
    struct input s = { .in = encoded };
    if (take(&s, 1) != VERSION) return false;
    unsigned flags = (unsigned)take(&s, 1), attempts = (unsigned)take(&s, 2);
    uint64_t next_try = take(&s, 8);
    struct slice reason = take_text(&s), where = take_text(&s);
    unsigned form = (unsigned)take(&s, 1);
    if (s.bad || form > FORM_WIDE) return false;
    if (form != FORM_ALL) m->rcpts = mem_zalloc(m->rcpt_n * sizeof *m->rcpts);
    if (form == FORM_RUNS) take_runs(&s, m, reasons);
    else if (form == FORM_PACKED || form == FORM_WIDE) take_packed(&s, m, form == FORM_WIDE ? 4 : 2);
    if (s.bad) {
        for (uint32_t i = 0; m->rcpts && i < m->rcpt_n; i++) label_put(reasons, &m->rcpts[i].reason);
        free(m->rcpts);
        m->rcpts = NULL;
        return false;
    }
    if (flags & 1) m->flags |= MESSAGE_WARNED;
    if (flags & 2) m->flags |= MESSAGE_HOLD;
    m->attempts = (uint16_t)attempts;
    m->next_try = next_try;
    label_set(reasons, &m->reason, reason);
    label_set(names, &m->where, where);
    return true;
}
