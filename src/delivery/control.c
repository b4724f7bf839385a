/* SPDX-License-Identifier: Apache-2.0
 * Requests of `postern queue`: they walk over all messages in slices of a few milliseconds, with as much time left to mail in
 * between. Between slices a message may go: the walk's place and the list of the best are told by control_forget. */
#include "delivery/control.h"
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#define SLICE_US 4000
#define PAUSE_MS 4
#define OPS_MAX 16

enum op_kind { OP_LIST, OP_SHOW, OP_RETRY, OP_HOLD, OP_RELEASE, OP_DELETE, OP_FIGURES, OP_GROUPS };
enum op_phase { PHASE_AFTER, PHASE_WALK, PHASE_SHOW };

struct control_op {
    struct list link;
    struct queue *q;
    void (*reply)(void *arg, json_t *answer);
    void *arg;
    enum op_kind kind;
    enum op_phase phase;
    const char *error;
    struct match match;
    struct top top;
    struct groups groups;
    char by[BY_MAX];             /* who asks, for the history; empty: nobody who is known */
    struct list *at;             /* the next message, or the head of queue.all */
    uint64_t started, newest, matched; /* newest: the last id given when it began */
    size_t shown;
    json_t *messages;
    struct event *timer;
    struct buf encoded;
    struct arena arena;
    struct envelope env;
};

/* ---- envelopes */

/* NULL when the message is not on disk yet or cannot be read. Valid until the next call. */
static const struct envelope *read_envelope(struct control_op *op, struct message *m)
{
    struct err err;
    if (m->work && m->work->content) return &m->work->env;
    if (m->state == MESSAGE_INCOMING) return NULL;
    buf_clear(&op->encoded);
    arena_reset(&op->arena);
    if (!spool_read_envelope(m->home->sp, &m->spool, &op->encoded, &err)) return NULL;
    return envelope_decode(buf_slice(&op->encoded), &op->arena, &op->env, &err) ? &op->env : NULL;
}

/* ---- what is done to a message; it may be gone afterwards */

/* While it is worked on, what is wanted is done when that ends. Who came first is told; who deletes is told before who holds. */
static void note_by(struct message *m, const char *by, unsigned settled)
{
    if (!m->work || m->flags & settled) return;
    free(m->work->by);
    m->work->by = by ? mem_strdup(by) : NULL;
}

static void delete_message(struct message *m, const char *by)
{
    note_by(m, by, MESSAGE_DELETE);
    m->flags |= MESSAGE_DELETE;
    if (m->state == MESSAGE_INCOMING) return; /* when its commit is over */
    if (m->work && !m->work->load) {
        work_cancel_ready(m->work); /* what is being sent is sent to its end */
        return;
    }
    if (m->work) work_free(m->work);
    history_tell_by(m, HISTORY_DELETED, by, SLICE(""));
    message_done(m);
}

static void hold_message(struct message *m, const char *by)
{
    if (m->state == MESSAGE_HELD) return;
    note_by(m, by, MESSAGE_HOLD | MESSAGE_DELETE);
    m->flags |= MESSAGE_HOLD;
    if (m->state == MESSAGE_INCOMING) return;
    if (m->work && !m->work->load) {
        work_cancel_ready(m->work);
        return;
    }
    if (m->work) work_free(m->work);
    message_hold(m);
    message_save(m);
    history_tell_by(m, HISTORY_HELD, by, SLICE(""));
}

static void release_message(struct message *m, const char *by)
{
    m->flags &= (uint8_t)~MESSAGE_HOLD;
    if (m->state != MESSAGE_HELD) return;
    message_due(m);
    message_save(m);
    history_tell_by(m, HISTORY_RESUMED, by, SLICE(""));
}

static void retry_message(struct queue *q, struct message *m)
{
    if (m->state == MESSAGE_PARKED) {
        if (m->dest->blocked && m->dest->failed_at <= q->retried_at) destination_retry_now(m->dest); /* all that is parked there goes */
    } else if (m->state == MESSAGE_DEFERRED) {
        m->flags |= MESSAGE_FORCE;
        message_due(m);
    }
}

static void apply(struct control_op *op, struct message *m, const struct envelope *e)
{
    struct entry entry;
    const char *by = op->by[0] ? op->by : NULL;
    switch (op->kind) {
    case OP_LIST:
    case OP_SHOW:
        top_fill(&op->top, &entry, m, e);
        top_put(&op->top, &entry);
        break;
    case OP_RETRY: retry_message(op->q, m); break;
    case OP_HOLD: hold_message(m, by); break;
    case OP_RELEASE: release_message(m, by); break;
    case OP_DELETE: delete_message(m, by); break;
    case OP_GROUPS: groups_add(&op->groups, m); break;
    case OP_FIGURES: break;
    }
}

/* ---- the walk */

static bool is_meant(struct control_op *op, struct message *m, const struct envelope **e)
{
    *e = NULL;
    /* Else the end might never be reached. An arrival later than now alone may be due to a clock that was set back. */
    if (m->arrival > op->started && m->spool.id > op->newest && !op->match.ids) return false;
    if (!match_message(&op->match, m, op->started)) return false;
    bool list = (op->kind == OP_LIST || op->kind == OP_SHOW) && op->top.key == SORT_SENDER;
    if (!match_needs_envelope(&op->match) && !list) return true;
    *e = read_envelope(op, m);
    return !match_needs_envelope(&op->match) || (*e && match_envelope(&op->match, m, *e));
}

/* Steps: false when the phase is over. */
static bool step_after(struct control_op *op)
{
    if (op->at == &op->q->all) {
        op->error = "the message to go on after is gone";
        return false;
    }
    struct message *m = list_entry(op->at, struct message, all);
    op->at = op->at->next;
    if (m->spool.id != op->top.after.id) return true;
    top_fill(&op->top, &op->top.after, m, op->top.key == SORT_SENDER ? read_envelope(op, m) : NULL);
    op->top.after.m = NULL;
    return false;
}

static bool step_walk(struct control_op *op)
{
    const struct envelope *e;
    if (op->at == &op->q->all || (op->match.ids && op->matched == op->match.id_n)) return false;
    struct message *m = list_entry(op->at, struct message, all);
    op->at = op->at->next;
    if (!is_meant(op, m, &e)) return true;
    op->matched++;
    apply(op, m, e);
    return true;
}

static bool step_show(struct control_op *op)
{
    if (op->shown == op->top.n) return false;
    struct message *m = op->top.entries[op->shown++].m;
    if (m) json_array_append_new(op->messages, message_json(m, read_envelope(op, m), op->kind == OP_SHOW));
    return true;
}

static void op_free(struct control_op *op)
{
    list_remove(&op->link);
    event_free(op->timer);
    match_deinit(&op->match);
    free(op->top.entries);
    groups_deinit(&op->groups);
    json_decref(op->messages);
    buf_deinit(&op->encoded);
    arena_deinit(&op->arena);
    free(op);
}

static void finish(struct control_op *op)
{
    void (*reply)(void *arg, json_t *answer) = op->reply;
    void *arg = op->arg;
    json_t *answer;
    if (op->error) answer = json_pack("{s:s}", "error", op->error);
    else if (op->kind == OP_FIGURES) answer = queue_figures(op->q);
    else if (op->kind == OP_GROUPS)
        answer = json_pack("{s:o, s:I, s:I}", "groups", groups_json(&op->groups), "total", (json_int_t)op->matched, "others",
                           (json_int_t)op->groups.others);
    else
        answer = json_pack("{s:O, s:I, s:I}", "messages", op->messages, "matched", (json_int_t)op->matched, "total", (json_int_t)op->matched);
    if (!op->error && op->kind == OP_SHOW && op->top.n)
        json_object_set_new(answer, "place", top_place(op->top.entries));
    op_free(op);
    reply(arg, answer);
}

static bool next_phase(struct control_op *op)
{
    if (op->error || op->phase == PHASE_SHOW) return false;
    op->phase++;
    op->at = op->q->all.next;
    if (op->phase == PHASE_SHOW) top_finish(&op->top);
    return true;
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
    struct control_op *op = arg;
    uint64_t end = clock_mono_us() + SLICE_US;
    static bool (*const steps[])(struct control_op *op) = { step_after, step_walk, step_show };
    if (op->error || op->kind == OP_FIGURES) {
        finish(op);
        return;
    }
    for (unsigned n = 0; (n & 15) || clock_mono_us() < end; n++) {
        if (steps[op->phase](op) || next_phase(op)) continue;
        finish(op);
        return;
    }
    event_add(op->timer, &(struct timeval){ 0, PAUSE_MS * 1000 });
}

/* ---- beginning and end */

static const char *op_init(struct control_op *op, const json_t *request)
{
    static const char *const names[] = { "list", "show", "retry", "hold", "release", "delete", "figures", "groups" };
    const char *name = json_string_value(json_object_get(request, "op"));
    size_t kind = 0;
    while (name && kind < countof(names) && strcmp(names[kind], name) != 0) kind++;
    if (!name || kind == countof(names)) return "op is not known";
    op->kind = (enum op_kind)kind;
    const char *wrong = match_init(&op->match, request);
    if (!wrong) wrong = top_init(&op->top, request);
    if (!wrong && op->kind == OP_GROUPS) wrong = groups_init(&op->groups, request);
    if (wrong) return wrong;
    const char *by = json_string_value(json_object_get(request, "by"));
    if (op->kind != OP_GROUPS) snprintf(op->by, sizeof op->by, "%s", by ? by : "");
    if (op->kind == OP_SHOW && !op->match.ids) return "ids are missing";
    op->phase = op->kind == OP_LIST && op->top.has_after && !op->top.has_place ? PHASE_AFTER : PHASE_WALK;
    return NULL;
}

void queue_control(struct queue *q, const json_t *request, void (*reply)(void *arg, json_t *answer), void *arg)
{
    struct control_op *op = mem_new(struct control_op);
    unsigned n = 0;
    int64_t ahead = (int64_t)clock_wall_ms() - (int64_t)clock_mono_ms();
    if (llabs(ahead - q->wall_ahead) > 1000) q->wall_ahead = ahead;
    list_each(node, &q->ops) n++;
    *op = (struct control_op){ .q = q, .reply = reply, .arg = arg, .started = clock_wall_ms(), .messages = json_array() };
    op->newest = (q->last_ms + 1) << 22;
    op->error = n < OPS_MAX ? op_init(op, request) : "too many requests at once";
    op->at = q->all.next;
    if (op->kind == OP_RETRY) q->retried_at = clock_mono_ms();
    op->timer = evtimer_new(q->o.base, on_slice, op);
    if (!op->timer) abort();
    list_push_back(&q->ops, &op->link);
    event_add(op->timer, &(struct timeval){ 0, 0 });
}

void control_forget(struct queue *q, struct message *m)
{
    list_each(node, &q->ops) {
        struct control_op *op = list_entry(node, struct control_op, link);
        if (op->at == &m->all) op->at = m->all.next;
        top_forget(&op->top, m);
    }
}

void control_free_all(struct queue *q)
{
    while (!list_empty(&q->ops)) {
        struct control_op *op = list_entry(q->ops.next, struct control_op, link);
        op->error = "this worker is about to end";
        finish(op);
    }
}
