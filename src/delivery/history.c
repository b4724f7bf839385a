/* SPDX-License-Identifier: Apache-2.0
 * What becomes of messages, told to the history. */
#include "delivery/internal.h"
#include <stdio.h>
#include "smtp/xtext.h"
#include "store/store.h"

/* The code in front of a host's reply; reasons have the host's name before it. */
static int take_code(struct slice *text, struct slice host)
{
    uint64_t code;
    if (host.n && slice_starts(*text, host) && slice_starts(slice_sub(*text, host.n, text->n), SLICE(": ")))
        *text = slice_sub(*text, host.n + 2, text->n);
    if (text->n < 4 || text->p[3] != ' ' || !slice_to_u64(slice_sub(*text, 0, 3), 599, &code) || code < 200) return 0;
    *text = slice_sub(*text, 4, text->n);
    return (int)code;
}

void history_tell(const struct queue *q, uint64_t id, enum history_kind kind, struct slice rcpt, struct slice text, const char *host)
{
    if (!q->o.store) return;
    struct history_event e = { .kind = kind, .id = id, .when = clock_wall_ms(), .rcpts = &rcpt, .rcpt_n = rcpt.n ? 1 : 0,
                               .host = slice_str(host) };
    e.code = take_code(&text, e.host);
    e.text = text;
    store_history(q->o.store, &e);
}

void history_tell_by(const struct message *m, enum history_kind kind, const char *by, struct slice why)
{
    char text[BY_MAX + 4];
    const char *event = kind == HISTORY_HELD ? "held" : kind == HISTORY_RESUMED ? "released" : "deleted";
    log_event(LOG_INFO, event, LOG_ID(m->spool.id), LOG_STR("by", by));
    int n = by ? snprintf(text, sizeof text, "by %s", by) : 0;
    if (n > 0) why = slice_of(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
    history_tell(m->home->q, m->spool.id, kind, SLICE(""), why, NULL);
}

bool work_original(const struct work *w, uint32_t i, struct buf *out)
{
    size_t before = out->n;
    if (!w->env.rcpt_dsn || !w->env.rcpt_dsn[i].orcpt.n || !xtext_orcpt_address(w->env.rcpt_dsn[i].orcpt, out)) return false;
    if (!slice_ieq(slice_sub(buf_slice(out), before, out->n), w->env.rcpts[i])) return true;
    out->n = before;
    return false;
}

struct log_field work_for(const struct work *w, uint32_t i, struct buf *room)
{
    bool other = work_original(w, i, room);
    return other ? LOG_TEXT("for", buf_slice(room)) : (struct log_field){ .key = NULL };
}

void history_tell_rcpt(const struct work *w, enum history_kind kind, uint32_t rcpt, struct slice text, const char *host)
{
    struct buf b = { 0 }, original = { 0 };
    bool copy = work_is_copy(w, rcpt), other = !copy && work_original(w, rcpt, &original);
    if (!w->q->o.store || (!copy && !other)) {
        history_tell(w->q, w->m->spool.id, kind, w->env.rcpts[rcpt], text, host);
    } else {
        buf_add(&b, w->env.rcpts[rcpt]);
        buf_add_char(&b, '\t');
        buf_add(&b, copy ? SLICE(HISTORY_COPY) : buf_slice(&original));
        history_tell(w->q, w->m->spool.id, kind, buf_slice(&b), text, host);
    }
    buf_deinit(&b);
    buf_deinit(&original);
}

void history_tell_failed(const struct work *w, uint32_t rcpt, struct slice text)
{
    history_tell_rcpt(w, HISTORY_BOUNCED, rcpt, text, NULL);
}
