/* SPDX-License-Identifier: Apache-2.0
 * What a reply means for recipients: their results, the log and the history. */
#include "delivery/client.h"

/* n: 1, or all of the part that are not settled. */
static void remember(const struct client *c, const struct part *p, const char *event, uint32_t rcpt, uint32_t n, struct slice reply)
{
    const struct work *w = p->work;
    enum history_kind kind = !strcmp(event, "delivered") ? HISTORY_DELIVERED : !strcmp(event, "bounced") ? HISTORY_BOUNCED : HISTORY_DEFERRED;
    if (!w->q->o.store) return;
    PART_EACH(i, p)
        if (n == 1 ? i == rcpt : !w->rcpts[i].settled) history_tell_rcpt(w, kind, i, reply, c->name);
}

void client_log(const struct client *c, const struct part *p, const char *event, uint32_t rcpt, uint32_t n, struct slice reply)
{
    const struct work *w = p->work;
    uint64_t now = clock_wall_ms();
    const char *version = "none", *cipher;
    int bits;
    remember(c, p, event, rcpt, n, reply);
    if (!log_enabled(LOG_INFO)) return;
    struct buf room = { 0 };
    if (c->s && stream_is_tls(c->s)) stream_tls_info(c->s, &version, &cipher, &bits);
    log_event(LOG_INFO, event, LOG_ID(w->m->spool.id), LOG_TEXT("to", w->env.rcpts[rcpt]), LOG_NUM("recipients", n),
              LOG_STR("host", c->name), LOG_TEXT("reply", reply), LOG_STR("tls", version), LOG_STR("tls_proof", client_tls_proof(c)),
              LOG_NUM("ms", now > w->env.arrival ? now - w->env.arrival : 0), work_for(w, rcpt, &room));
    buf_deinit(&room);
}

uint32_t client_first_unsettled(const struct part *p)
{
    PART_EACH(i, p)
        if (!p->work->rcpts[i].settled) return i;
    return p->first;
}

/* Of n recipients of p: all that have no result, the first of which is `first`; or that one alone. */
static void take(struct part *p, uint32_t first, uint32_t n, bool alone, enum rcpt_status status, struct slice reason)
{
    if (alone) part_result(p, first, status, reason);
    else if (n) part_result_all(p, status, reason);
}

static void decide(struct client *c, struct part *p, uint32_t first, uint32_t n, bool alone)
{
    int class = c->reply.code / 100;
    if (!n) return;
    if (class == 2) { /* the way of nearly all mail: no text is put together but for the log */
        char reply[256];
        size_t text_n = c->reply.text_n < 200 ? c->reply.text_n : 200;
        int k = snprintf(reply, sizeof reply, "%d %s%s", c->reply.code, c->reply.enhanced, c->reply.enhanced[0] ? " " : "");
        memcpy(reply + k, c->reply.text, text_n);
        client_log(c, p, "delivered", first, n, slice_of(reply, (size_t)k + text_n));
        take(p, first, n, alone, RCPT_DELIVERED, slice_of(NULL, 0));
        return;
    }
    struct buf reason = { 0 };
    client_add_reason(c, &reason);
    client_log(c, p, class == 5 ? "bounced" : "deferred", first, n, buf_slice(&reason));
    take(p, first, n, alone, class == 5 ? RCPT_FAILED : RCPT_PENDING, buf_slice(&reason));
    buf_deinit(&reason);
}

void client_decide(struct client *c, struct part *p)
{
    decide(c, p, client_first_unsettled(p), part_unsettled(p), false);
}

void client_decide_one(struct client *c, struct part *p, uint32_t i)
{
    decide(c, p, i, 1, true);
}
