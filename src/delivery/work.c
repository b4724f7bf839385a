/* SPDX-License-Identifier: Apache-2.0
 * Works: a message is read if it is not in memory still, its recipients are sorted by destination into parts, and the parts'
 * results are gathered. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "delivery/internal.h"
#include "route/rewrite.h"

#define SPARE_WORKS 256

struct work *work_new(struct queue *q, struct message *m)
{
    struct work *w;
    struct list *node = list_pop_front(&q->spare_works);
    assert(!m->work);
    if (node) {
        w = list_entry(node, struct work, link);
        q->spare_work_n--;
        struct arena keep = w->arena;
        *w = (struct work){ .arena = keep };
    } else
        w = mem_new(struct work);
    w->q = q;
    w->m = m;
    list_init(&w->parts);
    m->work = w;
    return w;
}

void work_count(struct work *w)
{
    w->counted = true;
    w->q->active++;
}

static void count_file(struct work *w, bool file)
{
    w->q->files += (unsigned)file - (unsigned)w->file;
    w->file = file;
}

static void drop_content(struct work *w)
{
    struct queue *q = w->q;
    count_file(w, false);
    spool_content_free(w->content);
    w->content = NULL;
    q->memory -= w->memory;
    w->memory = 0;
}

static void leave_origin(struct work *w)
{
    if (!w->from) return;
    struct destination *d = w->from;
    w->from = NULL;
    d->loading_n--;
    d->bytes -= w->from_bytes;
    destination_want(d);
}

void work_free(struct work *w)
{
    struct queue *q = w->q;
    free(w->by);
    if (w->load) {
        spool_load_cancel(&w->load);
        w->m->home->loads--;
    }
    work_quarantine_cancel(w);
    list_each_safe(node, &w->parts) {
        struct part *p = list_entry(node, struct part, sibling);
        if (list_linked(&p->link)) destination_unready(p);
        p->dest->bytes -= p->bytes;
    }
    leave_origin(w);
    if (w->blocked) w->blocked->waiting_n--;
    drop_content(w);
    if (w->rcpts)
        for (uint32_t i = 0; i < w->m->rcpt_n; i++) label_put(&q->reasons, &w->rcpts[i].reason);
    if (w->counted) {
        q->active--;
        if (!list_empty(&q->due) || !list_empty(&q->refill) || q->heap.n) queue_kick(q);
    }
    list_remove(&w->link);
    w->m->work = NULL;
    arena_reset(&w->arena);
    if (q->spare_work_n >= SPARE_WORKS) {
        arena_deinit(&w->arena);
        free(w);
        return;
    }
    q->spare_work_n++;
    list_push_front(&q->spare_works, &w->link);
}

bool work_set_content(struct work *w, struct spool_content *c, struct err *err)
{
    struct message *m = w->m;
    if (!envelope_decode(c->envelope, &w->arena, &w->env, err)) {
        spool_content_free(c);
        return false;
    }
    if (w->env.rcpt_n != m->rcpt_n) {
        spool_content_free(c);
        return err_set(err, "the envelope has %u recipients, not %u as before", w->env.rcpt_n, m->rcpt_n);
    }
    if (w->env.text_size != c->text.n) {
        spool_content_free(c);
        return err_set(err, "the text has %llu bytes, not %llu as the envelope says", (unsigned long long)c->text.n,
                       (unsigned long long)w->env.text_size);
    }
    w->q->memory -= w->memory;
    w->content = c;
    work_set_text(w);
    w->memory = c->memory;
    w->q->memory += w->memory;
    count_file(w, !c->text.pieces);
    w->rcpts = arena_alloc(&w->arena, m->rcpt_n * sizeof *w->rcpts);
    for (uint32_t i = 0; m->rcpts && i < m->rcpt_n; i++) {
        w->rcpts[i].status = (uint8_t)m->rcpts[i].status;
        w->rcpts[i].reason = label_ref(m->rcpts[i].reason);
    }
    return true;
}

/* ---- reading */

static void on_load(void *arg, struct spool_content *content, const struct err *err)
{
    struct work *w = arg;
    struct message *m = w->m;
    struct err decode_err = { 0 };
    w->load = NULL;
    m->home->loads--;
    if (content && work_set_content(w, content, &decode_err)) {
        work_begin(w);
        return;
    }
    struct buf why = { 0 };
    buf_addf(&why, "4.3.0 the message cannot be read from the spool: %s", content ? decode_err.text : err->text);
    bool damaged = content || err->code == EBADMSG;
    log_event(LOG_ERROR, damaged ? "message-damaged-held" : "message-unreadable", LOG_ID(m->spool.id),
              LOG_TEXT("error", buf_slice(&why)));
    message_set_reason(m, buf_slice(&why), label_text(m->where));
    buf_deinit(&why);
    bool delete = m->flags & MESSAGE_DELETE;
    char *by = work_take_by(w);
    work_free(w);
    if (delete) history_tell_by(m, HISTORY_DELETED, by, SLICE(""));
    free(by);
    if (delete) message_done(m);
    else if (damaged) message_hold(m);
    else message_defer(m, clock_wall_ms() + m->home->q->config->queue.retry_first);
}

void work_load(struct message *m, struct destination *from)
{
    struct queue *q = m->home->q;
    message_become(m, MESSAGE_ACTIVE);
    struct work *w = work_new(q, m);
    work_count(w);
    w->memory = m->spool.meta_n + (m->spool.big ? 0 : m->spool.text_n); /* counted before it is there */
    q->memory += w->memory;
    count_file(w, m->spool.big);
    if (from) {
        w->from = from;
        w->from_bytes = destination_weight(q, w->memory, m->spool.big);
        from->loading_n++;
        from->bytes += w->from_bytes;
    }
    m->home->loads++;
    w->load = spool_load_start(m->home->sp, &m->spool, false, on_load, w);
}

/* ---- sorting recipients by destination */

/* Of mail that goes on from here. Once for a work. */
static bool is_rewritten(struct work *w)
{
    struct buf b = { 0 };
    if (!w->rewriting_tried && rewriter_wrap(w->q->o.rewriter, w->env.sender, clock_wall_ms(), &b)) {
        w->rewritten = arena_slice(&w->arena, buf_slice(&b));
        log_event(LOG_DEBUG, "sender-rewritten", LOG_ID(w->m->spool.id), LOG_TEXT("from", w->env.sender), LOG_TEXT("to", w->rewritten));
    }
    w->rewriting_tried = true;
    buf_deinit(&b);
    return w->rewritten.n;
}

static struct part **filling(struct destination *d, bool rewritten, bool copy) { return &d->filling[rewritten + 2 * copy]; }

static struct part *part_new(struct work *w, struct destination *d, bool rewritten, bool copy)
{
    struct part *p = arena_alloc(&w->arena, sizeof *p);
    p->work = w;
    p->dest = d;
    p->first = p->last = UINT32_MAX;
    list_push_back(&w->parts, &p->sibling);
    w->open++;
    p->rewritten = rewritten;
    p->copy = copy;
    *filling(d, rewritten, copy) = p;
    return p;
}

static void part_append(struct part *p, uint32_t i)
{
    struct work_rcpt *rcpts = p->work->rcpts;
    if (p->last == UINT32_MAX) p->first = i;
    else rcpts[p->last].next = i;
    p->last = i;
    p->n++;
    rcpts[i].next = UINT32_MAX;
}

static void set_result(struct work *w, uint32_t i, enum rcpt_status status, struct slice reason)
{
    struct work_rcpt *r = &w->rcpts[i];
    r->status = (uint8_t)status;
    r->settled = true;
    if (status == RCPT_PENDING) w->deferred = true;
    label_set(&w->q->reasons, &r->reason, reason);
}

/* A byte that would end a command's line must never get into one, whoever wrote it to the spool. */
static bool is_clean(struct slice address)
{
    for (size_t i = 0; i < address.n; i++)
        if ((unsigned char)address.p[i] < 0x20 || address.p[i] == 0x7F) return false;
    return true;
}

/* Its members have it, or will. Who asked is told so. */
static void settle_group(struct work *w, uint32_t i)
{
    set_result(w, i, dsn_wanted(w, i, NOTIFY_SUCCESS) ? RCPT_RELAYED : RCPT_DELIVERED,
               SLICE("2.0.0 the address stands for several others, to whom the message is passed on"));
}

static void route_recipient(struct work *w, uint32_t i)
{
    struct route_hop hop;
    struct err err;
    struct queue *q = w->q;
    unsigned marks = envelope_marks(&w->env, i);
    if (marks & MARK_GROUP) {
        settle_group(w, i);
        return;
    }
    bool clean = is_clean(w->env.sender) && is_clean(w->env.rcpts[i]);
    if (!clean || !route_find(q->routes, envelope_route_sender(&w->env), w->env.rcpts[i], &hop, &err)) {
        char reason[sizeof err.text + 16];
        struct buf room = { 0 };
        int n = snprintf(reason, sizeof reason, "5.1.2 %s", clean ? err.text : "control characters in an address");
        set_result(w, i, RCPT_FAILED, slice_of(reason, (size_t)n));
        log_event(LOG_INFO, "bounced", LOG_ID(w->m->spool.id), LOG_TEXT("to", w->env.rcpts[i]), LOG_STR("reply", reason),
                  work_for(w, i, &room));
        buf_deinit(&room);
        history_tell_failed(w, i, slice_of(reason, (size_t)n));
        return;
    }
    if (w->env.flags & ENVELOPE_REQUIRETLS && !route_is_here(&hop)) route_require_tls(&hop);
    struct destination *d = destination_get(q, &hop);
    bool rewritten = (hop.rewrite_sender || marks & MARK_FORWARDED) && is_rewritten(w), copy = marks & MARK_COPY;
    struct part *p = *filling(d, rewritten, copy);
    if (!p || p->work != w || p->n >= q->config->delivery.recipients) p = part_new(w, d, rewritten, copy);
    part_append(p, i);
}

void work_begin(struct work *w)
{
    struct message *m = w->m;
    if (w->env.flags & ENVELOPE_QUARANTINED && !(m->flags & (MESSAGE_HOLD | MESSAGE_DELETE))) {
        leave_origin(w);
        work_quarantine(w);
        return;
    }
    work_hold(w);
    if (!(m->flags & (MESSAGE_HOLD | MESSAGE_DELETE)))
        for (uint32_t i = 0; i < m->rcpt_n; i++)
            if (w->rcpts[i].status == RCPT_PENDING) route_recipient(w, i);
    leave_origin(w);
    /* All are sorted before the first one goes out; a part may be finished in here. */
    list_each_safe(node, &w->parts) {
        struct part *p = list_entry(node, struct part, sibling);
        *filling(p->dest, p->rewritten, p->copy) = NULL;
    }
    list_each_safe(node, &w->parts) destination_add(list_entry(node, struct part, sibling));
    m->flags &= (uint8_t)~MESSAGE_FORCE;
    work_release(w);
}

void work_release(struct work *w)
{
    assert(w->open);
    if (--w->open == 0) work_finish(w);
}

void work_save(struct work *w)
{
    struct message *m = w->m;
    struct rcpt_memory *kept = m->rcpts;
    m->rcpts = mem_grow(NULL, m->rcpt_n, sizeof *m->rcpts);
    for (uint32_t i = 0; i < m->rcpt_n; i++)
        m->rcpts[i] = (struct rcpt_memory){ .reason = w->rcpts[i].reason, .status = w->rcpts[i].status };
    message_save(m);
    free(m->rcpts);
    m->rcpts = kept;
}

void work_cancel_ready(struct work *w)
{
    work_hold(w);
    list_each_safe(node, &w->parts) {
        struct part *p = list_entry(node, struct part, sibling);
        if (!list_linked(&p->link)) continue;
        destination_unready(p);
        part_done(p);
    }
    work_release(w);
}

/* ---- results of parts */

void part_result(struct part *p, uint32_t i, enum rcpt_status status, struct slice reason)
{
    struct work *w = p->work;
    set_result(w, i, status, reason);
    if (status == RCPT_PENDING) message_set_reason(w->m, reason, slice_str(p->dest->hop.key));
}

void part_result_all(struct part *p, enum rcpt_status status, struct slice reason)
{
    PART_EACH(i, p)
        if (!p->work->rcpts[i].settled) part_result(p, i, status, reason);
}

uint32_t part_unsettled(const struct part *p)
{
    uint32_t n = 0;
    PART_EACH(i, p) n += !p->work->rcpts[i].settled;
    return n;
}

void work_save_soon(struct work *w)
{
    if (w->m->state == MESSAGE_ACTIVE && !list_linked(&w->link)) list_push_back(&w->q->unsaved, &w->link);
}

void part_done(struct part *p)
{
    struct work *w = p->work;
    struct destination *d = p->dest;
    assert(!list_linked(&p->link));
    list_remove(&p->sibling);
    d->bytes -= p->bytes;
    if (d->parked_n) destination_want(d);
    /* With others still under way a result may have to wait for long: the tick brings it to disk. */
    if (w->open > 1) work_save_soon(w);
    work_release(w);
}

void part_drop_settled(struct part *p)
{
    struct work_rcpt *rcpts = p->work->rcpts;
    uint32_t i = p->first;
    p->first = p->last = UINT32_MAX;
    p->n = 0;
    while (i != UINT32_MAX) {
        uint32_t next = rcpts[i].next;
        if (!rcpts[i].settled) part_append(p, i);
        i = next;
    }
}

/* The text is in memory once, so the new part weighs nothing. */
void part_split(struct part *p, uint32_t most)
{
    struct work_rcpt *rcpts = p->work->rcpts;
    struct part *rest = NULL;
    uint32_t i = p->first, n = 0;
    p->first = p->last = UINT32_MAX;
    p->n = 0;
    while (i != UINT32_MAX) {
        uint32_t next = rcpts[i].next;
        bool moves = !rcpts[i].settled && (rcpts[i].later || (most && n >= most));
        rcpts[i].later = false;
        if (moves && !rest) rest = part_new(p->work, p->dest, p->rewritten, p->copy);
        part_append(moves ? rest : p, i);
        n += !moves;
        i = next;
    }
    if (!rest) return;
    *filling(p->dest, p->rewritten, p->copy) = NULL;
    rest->rounds = p->rounds + !most;
    destination_requeue(rest);
}

void part_blocked(struct part *p)
{
    if (!p->work->blocked) {
        p->work->blocked = p->dest;
        p->dest->waiting_n++;
    }
    part_done(p);
}
