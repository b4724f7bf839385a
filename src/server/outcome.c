/* SPDX-License-Identifier: Apache-2.0
 * What the checks want done with a message is done: it gets other recipients, fields, a place in the quarantine; or it is dropped. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/outcome.h"
#include "server/text.h"
#include "store/store.h"

/* The run forgets when the client leaves, which may be before the commit is over. */
void text_note_outcome(struct session *s, const struct policy_verdict *v)
{
    struct transaction *tx = &s->tx;
    const struct content_outcome *o = policy_outcome(s->run);
    tx->notices = NULL;
    tx->notice_n = o->notice_n;
    if (o->notice_n) tx->notices = arena_alloc(&s->arena, o->notice_n * sizeof *tx->notices);
    for (uint32_t i = 0; i < o->notice_n; i++) {
        struct policy_notice *n = &tx->notices[i];
        *n = o->notices[i];
        n->to = arena_slice(&s->arena, n->to);
        n->from = arena_slice(&s->arena, n->from);
        n->what = arena_slice(&s->arena, n->what);
    }
    if (v->outcome != POLICY_QUARANTINE) return;
    tx->score = o->score;
    tx->findings = arena_slice(&s->arena, o->findings);
}

/* ---- recipients */

static bool has_rcpt(const struct transaction *tx, struct slice address)
{
    for (uint32_t i = 0; i < tx->rcpt_n; i++)
        if (slice_ieq(tx->rcpts[i], address)) return true;
    return false;
}

/* Room for all that may come, beside what the session has of those the client gave. */
static void make_room(struct session *s, uint32_t kept, uint32_t more)
{
    struct transaction *tx = &s->tx;
    struct slice *rcpts = arena_alloc(&s->arena, (kept + more) * sizeof *rcpts);
    struct envelope_dsn *dsn = arena_alloc(&s->arena, (kept + more) * sizeof *dsn);
    for (uint32_t i = 0; i < kept; i++) {
        rcpts[i] = tx->rcpts[i];
        if (tx->rcpt_dsn) dsn[i] = tx->rcpt_dsn[i];
    }
    tx->rcpts = rcpts;
    tx->rcpt_dsn = dsn;
    tx->rcpt_n = kept;
}

static void add_rcpt(struct session *s, struct slice address, uint8_t notify)
{
    struct transaction *tx = &s->tx;
    if (has_rcpt(tx, address)) return;
    tx->rcpts[tx->rcpt_n] = arena_slice(&s->arena, address);
    tx->rcpt_dsn[tx->rcpt_n++].notify = notify;
}

/* Of those the client gave. Whoever asked for it has seen to it that somebody is left. */
static void remove_rcpts(struct transaction *tx, const struct content_outcome *o)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < tx->rcpt_n; i++) {
        bool removed = false;
        for (uint32_t k = 0; k < o->removed_n && !removed; k++) removed = slice_ieq(tx->rcpts[i], o->removed[k]);
        if (removed) continue;
        tx->rcpts[n] = tx->rcpts[i];
        if (tx->rcpt_dsn) tx->rcpt_dsn[n] = tx->rcpt_dsn[i];
        n++;
    }
    if (n) tx->rcpt_n = n;
}

/* A message that is redirected keeps its sender, who is told when that fails; of a copy he is told nothing. */
void text_apply_outcome(struct session *s)
{
    struct transaction *tx = &s->tx;
    const struct content_outcome *o = policy_outcome(s->run);
    tx->added = o->prepend.n ? arena_slice(&s->arena, o->prepend) : SLICE("");
    if (o->removed_n) remove_rcpts(tx, o);
    tx->given_sender = tx->sender;
    if (o->has_sender) tx->sender = arena_slice(&s->arena, o->sender);
    if (!o->redirect.n && !o->copy_n) return;
    struct slice *given = tx->rcpts;
    uint32_t given_n = tx->rcpt_n;
    make_room(s, o->redirect.n ? 0 : tx->rcpt_n, o->copy_n + 1);
    if (o->redirect.n) {
        tx->given = given;
        tx->given_n = given_n;
        add_rcpt(s, o->redirect, NOTIFY_UNSET);
        log_event(LOG_INFO, "redirected", LOG_SESSION(s->id), LOG_ID(tx->id), LOG_TEXT("from", tx->sender), LOG_TEXT("to", given[0]),
                  LOG_NUM("recipients", given_n), LOG_TEXT("instead", o->redirect));
    }
    tx->copy_n = tx->rcpt_n;
    for (uint32_t i = 0; i < o->copy_n; i++) add_rcpt(s, o->copies[i], NOTIFY_NEVER);
    tx->copy_n = tx->rcpt_n - tx->copy_n;
    tx->flags |= ENVELOPE_DSN_SEEN;
}

/* ---- dropped */

static void tell_discarded(const struct session *s, const struct policy_verdict *v)
{
    const struct transaction *tx = &s->tx;
    struct history_event e = { .kind = HISTORY_DISCARDED, .id = tx->id, .session = s->id, .when = clock_wall_ms(),
                               .text = slice_str(v->why) };
    if (s->server->o.store) store_history(s->server->o.store, &e);
}

void text_discard(struct session *s, const struct policy_verdict *v)
{
    struct transaction *tx = &s->tx;
    struct log_field line = { .key = NULL };
    if (v->place.line) line = LOG_NUM("line", v->place.line);
    log_event(LOG_INFO, "discarded", LOG_SESSION(s->id), LOG_ID(tx->id), LOG_TEXT("from", tx->sender), LOG_TEXT("to", tx->rcpts[0]),
              LOG_NUM("recipients", tx->rcpt_n), LOG_NUM("size", tx->data.size), LOG_IP("client", &s->ip),
              LOG_TEXT("message_id", tx->message_id), LOG_STR("check", v->check), LOG_STR("why", v->why), line);
    tx->trace = arena_slice(&s->arena, policy_trace(s->run));
    session_tell_accepted(s);
    tell_discarded(s, v);
    text_tell(s, NOTICE_DISCARDED);
    text_count_taken(s);
    text_reply_taken(s);
    session_reset(s);
}
