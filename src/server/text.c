/* SPDX-License-Identifier: Apache-2.0
 * What DATA and BDAT share: text goes from the read buffer straight into the spool's memory; the header part of it is
 * looked at on the way. What is wrong with a message is kept and told when the client listens for it; meanwhile its text goes to
 * waste, up to twice the size limit. */
#include "server/text.h"
#include <assert.h>
#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "net/stream.h"
#include "policy/message_auth.h"
#include "policy/outcome.h"

static const char *verb_name(const struct session *s) { return s->tx.chunked ? "BDAT" : "DATA"; }

/* ---- refusals */

static void drop_draft(struct session *s)
{
    if (s->run) policy_set_text(s->run, NULL);
    spool_draft_free(&s->tx.draft);
}

/* The draft goes at once: nobody shall fill memory with mail that is refused. */
void text_spoil(struct session *s, int code, const char *enhanced, const char *text)
{
    struct transaction *tx = &s->tx;
    if (!tx->refusal.code) tx->refusal = (struct refusal){ .code = code, .enhanced = enhanced, .text = text };
    if (!tx->reading_header) drop_draft(s);
    s->congested = false;
}

static void spoil_limit(struct session *s, int code, const char *enhanced, const char *what, uint64_t limit,
                        const char *unit)
{
    if (s->tx.refusal.code) return;
    text_spoil(s, code, enhanced, arena_printf(&s->arena, "%s (limit: %llu %s)", what, (unsigned long long)limit, unit));
}

void text_spoil_storage(struct session *s, const struct err *err)
{
    log_event(LOG_WARNING, "spool-failed", LOG_SESSION(s->id), LOG_ID(s->tx.id), LOG_ERR(err));
    bool space = err->code == ENOSPC || err->code == EDQUOT;
    if (space) text_spoil(s, 452, "4.3.1", "not enough storage, please try again later");
    else text_spoil(s, 451, "4.3.0", "the message could not be stored, please try again later");
}

void text_refuse(struct session *s, struct slice about)
{
    const struct refusal *r = &s->tx.refusal;
    if (r->verdict) session_policy_refuse(s, verb_name(s), r->verdict, about);
    else session_refuse_rcpt(s, verb_name(s), r->code, r->enhanced, r->text, about);
}

void text_check_limits(struct session *s)
{
    struct transaction *tx = &s->tx;
    const struct config_limits *limits = &s->server->o.config->limits;
    uint64_t size = server_message_size(s);
    if (tx->data.size > size) spoil_limit(s, 552, "5.3.4", "the message is too large", size, "bytes");
    if (tx->data.size > tx->hop_size)
        spoil_limit(s, 552, "5.3.4", "the message is too large for the next server of every recipient", tx->hop_size, "bytes");
    if (tx->header.size > limits->header_size)
        spoil_limit(s, 552, "5.3.4", "the header of the message is too large", limits->header_size, "bytes");
    if (tx->hops > limits->hops) /* RFC 5321 §6.3 */
        spoil_limit(s, 554, "5.4.6", "too many hops, the message seems to go in circles", limits->hops, "hops");
    if (tx->data.long_line)
        spoil_limit(s, 554, "5.6.0", "a line of the message is too long", limits->line_length, "bytes");
    if (tx->data.nul) text_spoil(s, 550, "5.6.0", "NUL bytes are not allowed in a message");
}

/* Another server may have seen the end of the message, and a second message, where we saw neither. A chunk's end is beyond
 * doubt: there the connection may go on. */
void text_check_line_ends(struct session *s)
{
    struct data_reader *r = &s->tx.data;
    if (!r->bare_cr && !r->bare_lf) return;
    spool_draft_free(&s->tx.draft);
    s->tx.refusal = (struct refusal){
        .code = 550, .enhanced = "5.6.0", .hang_up = !s->tx.chunked,
        .text = r->bare_lf ? "the message holds a bare LF: lines must end in CRLF"
                           : "the message holds a bare CR: lines must end in CRLF",
    };
}

bool text_is_endless(struct session *s, uint64_t size)
{
    if (size / 2 <= server_message_size(s)) return false;
    session_refuse_rcpt(s, verb_name(s), 552, "5.3.4", "the message is far too large, good bye",
                        s->tx.rcpt_n ? s->tx.rcpts[0] : SLICE(""));
    session_hang_up(s, "message far too large");
    return true;
}

/* ---- the way of the text */

/* False: the checks refuse the message. */
static bool heed(struct session *s, const struct policy_verdict *v)
{
    struct transaction *tx = &s->tx;
    if (v->outcome == POLICY_HOLD || v->outcome == POLICY_QUARANTINE) tx->hold = arena_slice(&s->arena, slice_str(v->why));
    if (v->outcome == POLICY_QUARANTINE) tx->quarantine = v->quarantine;
    if (!policy_refuses(v->outcome)) return true;
    struct policy_verdict *kept = arena_alloc(&s->arena, sizeof *kept);
    *kept = *v;
    text_spoil(s, v->code, v->enhanced, v->text);
    tx->refusal.verdict = kept;
    return false;
}

/* The checks of this stage answer at once: a chunk may be on its way. */
static bool ask(struct session *s)
{
    struct policy_verdict v;
    policy_set_recipients(s->run, s->tx.rcpt_n);
    policy_ask(s->run, STAGE_DATA, &v, NULL, NULL);
    assert(v.outcome != POLICY_WAIT);
    return heed(s, &v);
}

bool text_begin(struct session *s)
{
    const struct config *config = s->server->o.config;
    struct transaction *tx = &s->tx;
    struct spool *spool = queue_spool(s->server->o.queue);
    tx->end = clock_mono_ms() + config->timeouts.message;
    data_reader_init(&tx->data, config->limits.line_length);
    header_reader_init(&tx->header, text_on_field, s);
    if (!spool || spool_full(spool)) {
        text_spoil(s, 452, "4.3.1", "not enough storage at the moment, please try again later");
        return false;
    }
    if (!ask(s)) return false;
    tx->id = queue_new_id(s->server->o.queue);
    tx->draft = spool_draft_new(spool);
    tx->judged = policy_text_begin(s->run);
    return true;
}

char *text_room(struct session *s, size_t *room)
{
    if (s->tx.draft) {
        char *p = spool_draft_room(s->tx.draft, room);
        if (p) return p;
        text_spoil_storage(s, &(struct err){ .code = ENOSPC, .text = "no room for message text" });
    }
    *room = sizeof s->server->waste;
    return s->server->waste;
}

/* A header that ends in a line that is no field is no header for those who judge it, and what is behind it no body. */
static void end_header(struct session *s)
{
    struct transaction *tx = &s->tx;
    if (tx->header_told) return;
    text_sign_begin(s);
    policy_text_header_end(s->run, tx->header.malformed);
    tx->header_told = true;
}

static void judge_body(struct session *s, struct slice text)
{
    end_header(s);
    if (text.n) policy_text_body(s->run, text);
}

void text_keep(struct session *s, struct slice text)
{
    struct transaction *tx = &s->tx;
    struct err err;
    if (!tx->draft) return;
    size_t header = 0;
    tx->reading_header = true; /* a field may refuse the message: the draft stays while its bytes are read */
    if (!tx->header.ended) header = header_read(&tx->header, text);
    if (tx->judged && tx->header.malformed) text_look_behind(s, slice_sub(text, header, text.n));
    tx->reading_header = false;
    if (tx->refusal.code) spool_draft_free(&tx->draft);
    if (tx->judged && tx->draft && tx->header.ended) judge_body(s, slice_sub(text, header, text.n));
    if (tx->draft && !spool_draft_added(tx->draft, text.n, &err)) text_spoil_storage(s, &err);
}

static void on_relief(void *arg)
{
    struct session *s = arg;
    s->congested = false;
    session_resume(s);
}

void text_brake(struct session *s)
{
    if (s->tx.draft && spool_draft_congested(s->tx.draft, on_relief, s)) s->congested = true;
}

/* ---- its end */

void text_give_up(struct session *s)
{
    struct transaction *tx = &s->tx;
    bool hang_up = tx->refusal.hang_up;
    text_refuse(s, tx->rcpts[0]);
    session_reset(s);
    if (hang_up) session_hang_up(s, "bare CR or LF in a message");
    else session_check_errors(s);
}

/* Who looked into the message has decoded it: that is what people are shown. */
static void take_subject(struct session *s)
{
    struct slice decoded = policy_outcome(s->run)->subject;
    if (decoded.n) s->tx.subject = arena_slice(&s->arena, decoded);
}

static void on_content(struct session *s, const struct policy_verdict *v)
{
    take_subject(s);
    text_note_outcome(s, v);
    if (!heed(s, v)) {
        if (v->outcome == POLICY_REJECT) text_tell(s, NOTICE_REFUSED);
        text_give_up(s);
    } else if (v->outcome == POLICY_DISCARD) text_discard(s, v);
    else text_edit(s);
}

/* No input is taken until the checks have answered. Who leaves before that was promised nothing: the message is forgotten. */
static void ask_content(struct session *s)
{
    struct policy_verdict v;
    if (s->tx.judged) {
        end_header(s);
        policy_text_end(s->run);
    }
    policy_set_text(s->run, s->tx.draft);
    policy_set_envelope(s->run, s->tx.id, s->tx.rcpts, s->tx.rcpt_n, s->stream && stream_is_tls(s->stream));
    if (session_ask(s, STAGE_CONTENT, &v, on_content)) on_content(s, &v);
}

void text_finish(struct session *s)
{
    struct transaction *tx = &s->tx;
    if (!tx->refusal.code) header_finish(&tx->header);
    if (!tx->refusal.code && tx->stray.on_field && !tx->in_stray_line) header_finish(&tx->stray);
    text_check_header(s);
    text_check_limits(s);
    text_check_line_ends(s);
    if (tx->refusal.code) text_give_up(s);
    else ask_content(s);
}
