/* SPDX-License-Identifier: Apache-2.0
 * Frames between workers and the store. Each operation is a list of fields, which one function writes and another one reads. */
#include "store/wire.h"
#include <assert.h>
#include <math.h>
#include "base/mem.h"

#define HEAD 4 /* bytes of the length */

/* What is kept of an event's texts. Together with 100 recipients they stay below WIRE_FRAME_MAX. */
#define NAME_MAX_N 320 /* an address, a host */
#define TEXT_MAX_N 1000
#define TRACE_MAX_N 12000

/* ---- fields: written when `out` is set, else read */

struct pass {
    struct buf *out;
    struct slice in;
    bool bad;
};

static void pass_bytes(struct pass *p, void *field, size_t n)
{
    if (p->out) {
        buf_add(p->out, slice_of(field, n));
    } else if (p->in.n < n) {
        p->bad = true;
        memset(field, 0, n);
    } else {
        memcpy(field, p->in.p, n);
        p->in = slice_of(p->in.p + n, p->in.n - n);
    }
}

static void pass_number(struct pass *p, double *v)
{
    pass_bytes(p, v, sizeof *v);
    if (!p->out && !isfinite(*v)) p->bad = true;
}

static void pass_text(struct pass *p, struct slice *s, size_t max)
{
    uint16_t n = (uint16_t)(s->n < max ? s->n : max);
    pass_bytes(p, &n, sizeof n);
    if (p->out) {
        buf_add(p->out, slice_of(s->p, n));
    } else if (p->bad || n > max || n > p->in.n) {
        p->bad = true;
        *s = (struct slice){ 0 };
    } else {
        *s = slice_of(p->in.p, n);
        p->in = slice_of(p->in.p + n, p->in.n - n);
    }
}

static void pass_space(struct pass *p, uint8_t *space)
{
    pass_bytes(p, space, sizeof *space);
    if (*space >= STORE_SPACES) p->bad = true;
}

static void pass_key(struct pass *p, struct slice *key)
{
    pass_text(p, key, STORE_KEY_MAX);
    if (!key->n) p->bad = true;
}

/* ---- events */

static void pass_rcpts(struct pass *p, struct wire_frame *f)
{
    struct history_event *e = &f->event;
    pass_bytes(p, &e->rcpt_n, sizeof e->rcpt_n);
    if (p->bad) return;
    uint8_t n = (uint8_t)(e->rcpt_n < WIRE_RCPTS_MAX ? e->rcpt_n : WIRE_RCPTS_MAX);
    size_t max = NAME_MAX_N + 1 + (n == 1 ? NAME_MAX_N : sizeof HISTORY_COPY - 1); /* with what it is there for */
    for (uint8_t i = 0; i < n; i++) {
        struct slice s = p->out ? e->rcpts[i] : (struct slice){ 0 };
        pass_text(p, &s, max);
        f->rcpts[i] = s;
    }
    for (uint8_t i = n; i < WIRE_RCPTS_MAX && !p->out; i++) f->rcpts[i] = (struct slice){ 0 };
    if (!p->out) e->rcpts = f->rcpts;
}

static void pass_event(struct pass *p, struct wire_frame *f)
{
    struct history_event *e = &f->event;
    uint8_t kind = (uint8_t)e->kind;
    int32_t code = e->code;
    pass_bytes(p, &kind, sizeof kind);
    if (kind >= HISTORY_KINDS) p->bad = true;
    pass_bytes(p, &e->id, sizeof e->id);
    pass_bytes(p, &e->session, sizeof e->session);
    pass_bytes(p, &e->when, sizeof e->when);
    pass_bytes(p, &e->client.family, sizeof e->client.family);
    if (e->client.family) pass_bytes(p, e->client.bytes, sizeof e->client.bytes);
    if (e->client.family && e->client.family != 4 && e->client.family != 6) p->bad = true;
    pass_text(p, &e->helo, NAME_MAX_N);
    pass_text(p, &e->sender, NAME_MAX_N);
    pass_rcpts(p, f);
    pass_text(p, &e->given, HISTORY_GIVEN_MAX);
    pass_text(p, &e->message_id, NAME_MAX_N);
    pass_text(p, &e->subject, TEXT_MAX_N);
    pass_bytes(p, &e->size, sizeof e->size);
    pass_bytes(p, &code, sizeof code);
    pass_text(p, &e->text, TEXT_MAX_N);
    pass_text(p, &e->host, NAME_MAX_N);
    pass_text(p, &e->trace, TRACE_MAX_N);
    e->kind = kind < HISTORY_KINDS ? (enum history_kind)kind : HISTORY_ACCEPTED;
    e->code = code;
}

/* ---- frames */

static void pass_frame(struct pass *p, struct wire_frame *f)
{
    bool question = f->op == WIRE_GET || f->op == WIRE_PUT_NEW, value = f->op == WIRE_PUT_NEW || f->op == WIRE_PUT;
    switch (f->op) {
    case WIRE_GET:
    case WIRE_PUT_NEW:
    case WIRE_PUT:
    case WIRE_REMOVE:
        if (question) pass_bytes(p, &f->id, sizeof f->id);
        pass_space(p, &f->space);
        pass_key(p, &f->key);
        if (value) pass_bytes(p, &f->until, sizeof f->until);
        if (value) pass_text(p, &f->value, STORE_VALUE_MAX);
        break;
    case WIRE_COUNT:
        pass_key(p, &f->key);
        pass_bytes(p, &f->until, sizeof f->until);
        pass_number(p, &f->good);
        pass_number(p, &f->bad);
        if (f->good < 0 || f->bad < 0) p->bad = true;
        break;
    case WIRE_HISTORY: pass_event(p, f); break;
    case WIRE_ANSWER:
        pass_bytes(p, &f->id, sizeof f->id);
        pass_bytes(p, &f->status, sizeof f->status);
        if (f->status > STORE_GONE) p->bad = true;
        if (p->bad || f->status != STORE_FOUND) break;
        pass_bytes(p, &f->until, sizeof f->until);
        pass_text(p, &f->value, STORE_VALUE_MAX);
        pass_number(p, &f->good);
        pass_number(p, &f->bad);
        break;
    default: p->bad = true;
    }
}

void wire_add(struct buf *out, struct wire_frame *f)
{
    size_t start = out->n;
    uint32_t n = 0;
    uint8_t op = (uint8_t)f->op;
    struct pass p = { .out = out };
    buf_add(out, slice_of(&n, sizeof n));
    buf_add(out, slice_of(&op, sizeof op));
    pass_frame(&p, f);
    n = (uint32_t)(out->n - start - HEAD);
    assert(!p.bad && n <= WIRE_FRAME_MAX);
    memcpy(out->p + start, &n, sizeof n);
}

enum wire_status wire_take(struct slice *in, struct wire_frame *out)
{
    uint32_t n;
    if (in->n < HEAD) return WIRE_MORE;
    memcpy(&n, in->p, sizeof n);
    if (!n || n > WIRE_FRAME_MAX) return WIRE_BAD;
    if (in->n - HEAD < n) return WIRE_MORE;
    struct pass p = { .in = slice_of(in->p + HEAD + 1, n - 1) };
    memset(out, 0, offsetof(struct wire_frame, rcpts)); /* the rest is filled when there is something */
    out->op = (enum wire_op)(uint8_t)in->p[HEAD];
    pass_frame(&p, out);
    *in = slice_of(in->p + HEAD + n, in->n - HEAD - n);
    return p.bad || p.in.n ? WIRE_BAD : WIRE_FRAME;
}
