/* SPDX-License-Identifier: Apache-2.0
 * Mail that we wrote (bounces, alarms, reports): it is signed like that of users when there is a key for its author's domain, and then
 * submitted. It is never lost for want of a signature: when the signer does not answer, it goes without. Its recipient may be an alias. */
#include <stdlib.h>
#include "base/utf8.h"
#include "delivery/internal.h"
#include "message/header.h"
#include "route/expand.h"
#include "signer/signer.h"
#include "smtp/xtext.h"

/* What waits for its signatures. */
struct own {
    struct list node;            /* in queue->signing */
    struct queue *q;
    struct arena arena;
    struct auth_header header;
    struct auth_body *body;
    struct signing *signing;
    struct spool_draft *draft;
    struct buf encoded;          /* `envelope` points into it */
    struct envelope envelope;
    queue_submit_cb *cb;
    void *arg;
};

static void own_free(struct own *o)
{
    signing_cancel(&o->signing);
    auth_body_free(&o->body);
    buf_deinit(&o->encoded);
    arena_deinit(&o->arena);
    list_remove(&o->node);
    free(o);
}

/* With these fields in front. */
static void submit(struct own *o, struct slice fields)
{
    struct buf prepend = { 0 };
    buf_add(&prepend, fields);
    buf_add(&prepend, o->envelope.prepend);
    o->envelope.prepend = buf_slice(&prepend);
    queue_submit(o->q, o->draft, &o->envelope, o->cb, o->arg);
    buf_deinit(&prepend);
    own_free(o);
}

static void submit_unsigned(struct own *o, const char *why)
{
    log_event(LOG_WARNING, "sent-unsigned", LOG_ID(o->envelope.id), LOG_STR("reason", why));
    submit(o, SLICE(""));
}

static void on_signed(void *arg, bool ok, struct slice fields)
{
    struct own *o = arg;
    o->signing = NULL;
    if (ok) submit(o, fields);
    else submit_unsigned(o, "the signer does not answer");
}

static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct own *o = arg;
    auth_header_add(&o->header, slice_of(name.p, (size_t)(value.p + value.n - name.p)));
    o->header.overflow |= truncated;
}

/* False: there is no key for it. */
static bool begin_signing(struct own *o, struct slice text)
{
    struct header_reader reader = { 0 };
    header_reader_init(&reader, on_field, o);
    size_t n = header_read(&reader, text);
    header_finish(&reader);
    o->header.overflow |= reader.malformed;
    header_reader_deinit(&reader);
    o->signing = signing_begin_dkim(o->q->o.keys, &o->header, o->body, clock_wall_ms(), &o->arena);
    if (!o->signing) return false;
    auth_body_push(o->body, slice_sub(text, n, text.n));
    auth_body_end(o->body);
    return true;
}

/* The envelope is copied as the spool does it. */
static void keep_envelope(struct own *o, const struct envelope *e)
{
    struct err err;
    envelope_encode(e, &o->encoded);
    if (!envelope_decode(buf_slice(&o->encoded), &o->arena, &o->envelope, &err)) abort(); /* it is our own */
}

/* False: it is none that is signed, and as it was. */
static bool sign(struct queue *q, struct spool_draft *draft, const struct envelope *e, struct slice text, queue_submit_cb *cb, void *arg)
{
    if (!q->config->dkim.key_n || !q->o.keys || !q->o.signer) return false;
    struct own *o = mem_new(struct own);
    *o = (struct own){ .q = q, .draft = draft, .body = auth_body_new(), .cb = cb, .arg = arg };
    o->header.arena = &o->arena;
    list_push_back(&q->signing, &o->node);
    if (!begin_signing(o, text)) {
        own_free(o);
        return false;
    }
    keep_envelope(o, e);
    if (!signing_start(o->signing, q->o.signer, NULL, SLICE(""), on_signed, o)) abort(); /* only seals may be refused */
    return true;
}

void own_give_up_signing(struct queue *q)
{
    while (!list_empty(&q->signing)) submit_unsigned(list_entry(q->signing.next, struct own, node), "the relay ends");
}

static bool has_dots(struct slice text)
{
    return text.n && (text.p[0] == '.' || memmem(text.p, text.n, "\n.", 2));
}

void own_original(struct slice address, struct buf *out)
{
    buf_add_str(out, "rfc822;");
    xtext_encode(address, out);
}

/* What becomes of a recipient; of one of whom nothing can be said it waits in the queue, or fails there. */
static void expand_recipient(const struct queue *q, struct envelope *e, struct arena *arena)
{
    struct expand_result r = { 0 };
    if (!q->o.expander || e->rcpt_n != 1 || !utf8_ascii(e->rcpts[0])) return;
    expand(q->o.expander, e->rcpts[0], arena, &r);
    if (r.status != EXPAND_DONE) return;
    struct buf original = { 0 };
    struct envelope_dsn dsn = e->rcpt_dsn ? e->rcpt_dsn[0] : (struct envelope_dsn){ 0 };
    own_original(e->rcpts[0], &original);
    if (!dsn.orcpt.n && original.n <= ENVELOPE_ORCPT_MAX) dsn.orcpt = arena_slice(arena, buf_slice(&original));
    buf_deinit(&original);
    struct slice *to = arena_alloc(arena, r.to_n * sizeof *to);
    e->rcpt_dsn = arena_alloc(arena, r.to_n * sizeof *e->rcpt_dsn);
    for (uint32_t i = 0; i < r.to_n; i++) {
        to[i] = r.to[i].address;
        e->rcpt_dsn[i] = dsn;
    }
    e->rcpts = to;
    e->rcpt_n = r.to_n;
}

bool queue_submit_own(struct queue *q, struct envelope *e, struct slice text, queue_submit_cb *cb, void *arg, struct err *err)
{
    struct spool_draft *draft = spool_draft_new(q->main->sp);
    struct arena arena = { 0 };
    if (!spool_draft_append(draft, text, err)) {
        spool_draft_free(&draft);
        return false;
    }
    if (!e->id) e->id = queue_new_id(q);
    e->arrival = clock_wall_ms();
    e->text_size = text.n;
    e->flags |= (has_dots(text) ? ENVELOPE_HAS_DOTS : 0) | (utf8_ascii(text) ? 0 : ENVELOPE_8BIT | ENVELOPE_HAS_8BIT);
    struct envelope to = *e;
    expand_recipient(q, &to, &arena);
    if (!sign(q, draft, &to, text, cb, arg)) queue_submit(q, draft, &to, cb, arg);
    arena_deinit(&arena);
    return true;
}
