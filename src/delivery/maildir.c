/* SPDX-License-Identifier: Apache-2.0
 * Mailboxes on this machine (destinations "maildir:/path"): parts go to the maildir process (maildir/process.h) instead of over a connection, a
 * recipient after the other. While that process is away they wait for the next one; what it did not answer is asked for again. */
#include "delivery/internal.h"
#include <stdlib.h>
#include "base/base64.h"
#include "base/json.h"
#include "base/link.h"
#include "maildir/process.h"

#define HEAD_MAX (512u << 10) /* in one frame, as base64, beside what was put in elsewhere */
#define AT_ONCE 32      /* parts of one destination that are being written */

struct handing {
    struct list link;                  /* of destination.handings */
    struct part *part;
    struct link_request request;
    uint32_t rcpt;
};

static void ask(struct handing *h);

static void handing_free(struct handing *h)
{
    link_end(&h->request);
    list_remove(&h->link);
    free(h);
}

/* All recipients of the part have a result. */
static void finish(struct handing *h)
{
    struct part *p = h->part;
    struct destination *d = p->dest;
    list_remove(&h->link);
    free(h);
    d->handing_n--;
    d->q->handings--;
    d->idle_since = clock_mono_ms();
    part_done(p);
    destination_kick(d);
    if (d->q->draining) queue_kick(d->q);
}

static void note(const struct handing *h, const char *event, enum history_kind kind, struct slice reply)
{
    const struct work *w = h->part->work;
    const char *key = h->part->dest->hop.key;
    uint64_t now = clock_wall_ms();
    struct buf room = { 0 };
    history_tell_rcpt(w, kind, h->rcpt, reply, key);
    log_event(LOG_INFO, event, LOG_ID(w->m->spool.id), LOG_TEXT("to", w->env.rcpts[h->rcpt]), LOG_NUM("recipients", 1), LOG_STR("host", key),
              LOG_TEXT("reply", reply), LOG_NUM("ms", now > w->env.arrival ? now - w->env.arrival : 0), work_for(w, h->rcpt, &room));
    buf_deinit(&room);
}

/* status: RCPT_DELIVERED, RCPT_FAILED or RCPT_PENDING. */
static void settle(struct handing *h, enum rcpt_status status, struct slice text)
{
    struct part *p = h->part;
    bool told = status == RCPT_DELIVERED && dsn_wanted(p->work, h->rcpt, NOTIFY_SUCCESS);
    if (status == RCPT_DELIVERED) note(h, "delivered", HISTORY_DELIVERED, text);
    else if (status == RCPT_FAILED) note(h, "bounced", HISTORY_BOUNCED, text);
    else note(h, "deferred", HISTORY_DEFERRED, text);
    part_result(p, h->rcpt, told ? RCPT_RELAYED : status, status == RCPT_DELIVERED && !told ? SLICE("") : text);
}

static void go_on(struct handing *h)
{
    const struct work_rcpt *rcpts = h->part->work->rcpts;
    while (h->rcpt != UINT32_MAX && rcpts[h->rcpt].settled) h->rcpt = rcpts[h->rcpt].next;
    if (h->rcpt == UINT32_MAX || h->part->work->m->flags & (MESSAGE_DELETE | MESSAGE_HOLD)) finish(h);
    else ask(h);
}

static void on_answer(struct link_request *r, const json_t *answer)
{
    struct handing *h = container_of(r, struct handing, request);
    struct slice state = json_text(answer, "state"), text = json_text(answer, "text");
    struct buf reason = { 0 };
    bool known = text.n > 5 && (text.p[0] == '2' || text.p[0] == '4' || text.p[0] == '5');
    if (known) buf_add_printable(&reason, text, REASON_MAX);
    else buf_add_str(&reason, answer ? "4.3.0 the process that writes mailboxes makes no sense" : "4.3.0 the process that writes mailboxes is away");
    enum rcpt_status status = known && slice_eq(state, SLICE("done")) ? RCPT_DELIVERED : known && slice_eq(state, SLICE("failed")) ? RCPT_FAILED : RCPT_PENDING;
    settle(h, status, buf_slice(&reason));
    buf_deinit(&reason);
    link_end(r);
    work_save_soon(h->part->work);
    go_on(h);
}

/* ---- asking */

static json_t *base64_json(struct slice bytes)
{
    struct buf b = { 0 };
    base64_add(&b, bytes);
    json_t *s = json_stringn(b.n ? b.p : "", b.n);
    buf_deinit(&b);
    return s;
}

/* The text as it is sent, in stretches of what the descriptor has. */
static json_t *runs_json(const struct envelope *e, uint64_t offset)
{
    json_t *runs = json_array();
    struct slice with;
    uint64_t from, n;
    for (uint64_t at = 0; (n = envelope_run(e, at, &from, &with)); at += n) {
        uint64_t first = offset + from;
        json_array_append_new(runs, with.p ? base64_json(slice_sub(with, 0, (size_t)n)) : json_integer((json_int_t)first));
        json_array_append_new(runs, json_integer(with.p ? 0 : (json_int_t)n));
    }
    return runs;
}

static json_t *head_json(const struct part *p, uint32_t rcpt)
{
    const struct work *w = p->work;
    struct buf b = { 0 };
    buf_add_str(&b, "Return-Path: <"); /* RFC 5321 §4.4 */
    buf_add(&b, p->rewritten ? w->rewritten : w->env.sender);
    buf_add_str(&b, ">\r\nDelivered-To: ");
    buf_add(&b, w->env.rcpts[rcpt]);
    buf_add_str(&b, "\r\n");
    buf_add(&b, w->env.prepend);
    json_t *s = base64_json(buf_slice(&b));
    buf_deinit(&b);
    return s;
}

/* It is nobody's fault among the recipients. */
static void give_up(struct handing *h, const char *why)
{
    struct buf reason = { 0 };
    buf_addf(&reason, "4.3.0 %s", why);
    note(h, "deferred", HISTORY_DEFERRED, buf_slice(&reason));
    part_result_all(h->part, RCPT_PENDING, buf_slice(&reason));
    buf_deinit(&reason);
    finish(h);
}

static void ask(struct handing *h)
{
    struct part *p = h->part;
    struct work *w = p->work;
    struct queue *q = w->q;
    struct spool_share share;
    struct err err;
    struct slice to = w->env.rcpts[h->rcpt];
    const char *why = NULL;
    if (!q->o.maildir) why = "there is no process that writes mailboxes";
    else if (w->env.prepend.n > HEAD_MAX) why = "more was put in front of the message than can be handed over";
    else if (!spool_content_share(w->content, &share, &err)) why = err.text;
    if (why) {
        give_up(h, why);
        return;
    }
    json_t *m = json_pack("{s:s, s:i, s:o, s:o, s:o}", "op", "deliver", "hop", p->dest->hop.hop->id, "to", json_stringn(to.p, to.n), "head",
                          head_json(p, h->rcpt), "runs", runs_json(&w->env, share.offset));
    link_ask_with(q->o.maildir, &h->request, m, share.fd, MAILDIR_WAIT_MS, on_answer);
}

void maildir_dispatch(struct destination *d)
{
    struct part *p;
    while (d->handing_n < AT_ONCE && (p = destination_take(d))) {
        struct handing *h = mem_new(struct handing);
        h->part = p;
        h->rcpt = p->first;
        list_push_back(&d->handings, &h->link);
        d->handing_n++;
        d->q->handings++;
        go_on(h);
    }
}

void maildir_stop(struct destination *d)
{
    while (!list_empty(&d->handings)) handing_free(list_entry(d->handings.next, struct handing, link));
    d->q->handings -= d->handing_n;
    d->handing_n = 0;
}
