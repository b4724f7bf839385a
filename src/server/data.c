/* SPDX-License-Identifier: Apache-2.0
 * DATA (RFC 5321 §4.1.1.4): message text goes from the read buffer straight into the spool's memory; the
 * header part of it is looked at on the way. What is wrong with a message is kept and told at its end, which is found by
 * CRLF.CRLF alone; meanwhile its text goes to waste, up to twice the size limit. */
#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "server/received.h"
#include "server/session.h"

#define LISTED_MAX 255 /* bytes of Subject and Message-ID kept for listings */

/* ---- what the header says */

/* An unfolded copy (RFC 5322 §2.2.3). */
static struct slice keep_value(struct session *s, struct slice value)
{
    value = slice_trim(value);
    char *to = arena_alloc(&s->arena, LISTED_MAX);
    size_t n = 0;
    for (size_t i = 0; i < value.n && n < LISTED_MAX; i++)
        if (value.p[i] != '\r' && value.p[i] != '\n') to[n++] = value.p[i];
    return slice_of(to, n);
}

static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct session *s = arg;
    struct transaction *tx = &s->tx;
    if (slice_ieq(name, SLICE("Received")))
        tx->hops++;
    else if (!tx->has_subject && slice_ieq(name, SLICE("Subject"))) {
        tx->has_subject = true;
        tx->subject = keep_value(s, value);
    } else if (!tx->has_message_id && slice_ieq(name, SLICE("Message-ID"))) {
        tx->has_message_id = true;
        tx->message_id = keep_value(s, value);
    }
}

/* ---- refusals */

/* The first reason stays. The draft goes at once: nobody shall fill memory with mail that is refused. */
static void spoil(struct session *s, int code, const char *enhanced, const char *text)
{
    struct transaction *tx = &s->tx;
    if (!tx->refusal.code) tx->refusal = (struct refusal){ .code = code, .enhanced = enhanced, .text = text };
    spool_draft_free(&tx->draft);
    s->congested = false;
}

static void spoil_limit(struct session *s, int code, const char *enhanced, const char *what, uint64_t limit,
                        const char *unit)
{
    char text[160];
    if (s->tx.refusal.code) return;
    int n = snprintf(text, sizeof text, "%s (limit: %llu %s)", what, (unsigned long long)limit, unit);
    spoil(s, code, enhanced, arena_strdup(&s->arena, slice_of(text, (size_t)n)));
}

static void spoil_storage(struct session *s, const struct err *err)
{
    log_event(LOG_WARNING, "spool-failed", LOG_SESSION(s->id), LOG_ID(s->tx.id), LOG_ERR(err));
    bool space = err->code == ENOSPC || err->code == EDQUOT;
    if (space) spoil(s, 452, "4.3.1", "not enough storage, please try again later");
    else spoil(s, 451, "4.3.0", "the message could not be stored, please try again later");
}

/* The limits that show while text is coming. */
static void check_limits(struct session *s)
{
    struct transaction *tx = &s->tx;
    const struct config_limits *limits = &s->server->o.config->limits;
    uint64_t size = server_message_size(s);
    if (tx->data.size > size) spoil_limit(s, 552, "5.3.4", "the message is too large", size, "bytes");
    if (tx->header.size > limits->header_size)
        spoil_limit(s, 552, "5.3.4", "the header of the message is too large", limits->header_size, "bytes");
    if (tx->hops > limits->hops) /* RFC 5321 §6.3 */
        spoil_limit(s, 554, "5.4.6", "too many hops, the message seems to go in circles", limits->hops, "hops");
    if (tx->data.long_line)
        spoil_limit(s, 554, "5.6.0", "a line of the message is too long", limits->line_length, "bytes");
    if (tx->data.nul) spoil(s, 550, "5.6.0", "NUL bytes are not allowed in a message");
}

/* Another server may have seen the end of the message, and a second message, where we saw neither. */
static void check_line_ends(struct session *s)
{
    struct data_reader *r = &s->tx.data;
    if (!r->bare_cr && !r->bare_lf) return;
    spool_draft_free(&s->tx.draft);
    s->tx.refusal = (struct refusal){
        .code = 550, .enhanced = "5.6.0", .hang_up = true,
        .text = r->bare_lf ? "the message holds a bare LF: lines must end in CRLF"
                           : "the message holds a bare CR: lines must end in CRLF",
    };
}

/* ---- the end of the message */

static void log_accepted(const struct session *s, const char *note)
{
    const struct transaction *tx = &s->tx;
    log_event(LOG_INFO, "accepted", LOG_ID(tx->id), LOG_SESSION(s->id), LOG_TEXT("from", tx->sender),
              LOG_TEXT("to", tx->rcpts[0]), LOG_NUM("recipients", tx->rcpt_n), LOG_NUM("size", tx->data.size),
              LOG_IP("client", &s->ip), LOG_TEXT("message_id", tx->message_id), { .key = note, .text = SLICE("yes") });
}

static void reply_committed(struct session *s, bool ok, const struct err *err)
{
    char text[40] = "queued as ";
    if (!ok) {
        spoil_storage(s, err);
        session_refuse(s, "DATA", s->tx.refusal.code, s->tx.refusal.enhanced, s->tx.refusal.text, SLICE(""));
        return;
    }
    id_format(s->tx.id, text + strlen(text));
    session_reply(s, 250, "2.0.0", text);
}

static void on_committed(void *arg, bool ok, const struct err *err)
{
    struct session *s = arg;
    if (ok) {
        log_accepted(s, s->stream ? NULL : "client_gone");
        s->messages++;
        s->rcpts += s->tx.rcpt_n;
        s->bytes += s->tx.data.size;
        s->chatter = 0;
        if (s->server) {
            s->server->figures.messages++;
            s->server->figures.bytes += s->tx.data.size;
        }
    }
    if (!s->stream) { /* the client left before it could be told */
        s->phase = SESSION_OVER;
        session_close(s, "lost", true);
        return;
    }
    reply_committed(s, ok, err);
    session_reset(s);
    s->last_done = s->server->draining;
    session_go_on(s);
    session_arm(s);
}

static void format_received(struct session *s, uint64_t now, struct buf *out)
{
    struct transaction *tx = &s->tx;
    struct received r = { .helo = slice_str(s->helo), .client = s->ip, .hostname = s->server->o.config->hostname,
                          .esmtp = s->esmtp, .id = tx->id, .wall_ms = now };
    if (stream_is_tls(s->stream)) stream_tls_info(s->stream, &r.tls_version, &r.tls_cipher, &r.tls_bits);
    if (tx->rcpt_n == 1) r.rcpt = tx->rcpts[0];
    buf_clear(out);
    received_format(&r, out);
}

static void submit(struct session *s)
{
    struct transaction *tx = &s->tx;
    struct buf *received = &s->server->scratch;
    uint64_t now = clock_wall_ms();
    uint32_t flags = (tx->body_8bit ? ENVELOPE_8BIT : 0) | (tx->data.has_dots ? ENVELOPE_HAS_DOTS : 0) |
                     (s->zone->dsn ? 0 : ENVELOPE_NO_DSN);
    format_received(s, now, received);
    struct envelope e = {
        .id = tx->id, .arrival = now, .flags = flags, .client = s->ip, .helo = slice_str(s->helo),
        .zone = slice_str(s->zone->name), .sender = tx->sender, .rcpts = tx->rcpts, .rcpt_n = tx->rcpt_n,
        .prepend = buf_slice(received), .text_size = tx->data.size, .message_id = tx->message_id, .subject = tx->subject,
    };
    struct spool_draft *draft = tx->draft;
    tx->draft = NULL;
    s->phase = SESSION_COMMIT;
    queue_submit(s->server->o.queue, draft, &e, on_committed, s);
}

static void finish(struct session *s)
{
    struct transaction *tx = &s->tx;
    if (!tx->refusal.code) header_finish(&tx->header);
    check_limits(s);
    check_line_ends(s);
    if (!tx->refusal.code) {
        submit(s);
        return;
    }
    struct refusal r = tx->refusal;
    session_refuse(s, "DATA", r.code, r.enhanced, r.text, tx->rcpts[0]);
    session_reset(s);
    if (r.hang_up) session_hang_up(s, "bare CR or LF in a message");
    else session_check_errors(s);
}

/* ---- text */

static char *text_room(struct session *s, size_t *room)
{
    if (s->tx.draft) {
        char *p = spool_draft_room(s->tx.draft, room);
        if (p) return p;
        spoil_storage(s, &(struct err){ .code = ENOSPC, .text = "no room for message text" });
    }
    *room = sizeof s->server->waste;
    return s->server->waste;
}

static void keep_text(struct session *s, struct slice text)
{
    struct transaction *tx = &s->tx;
    struct err err;
    if (!tx->draft) return;
    if (!tx->header.ended) header_read(&tx->header, text);
    if (!spool_draft_added(tx->draft, text.n, &err)) spoil_storage(s, &err);
}

static void on_relief(void *arg)
{
    struct session *s = arg;
    s->congested = false;
    session_go_on(s);
    session_arm(s);
}

size_t data_take(struct session *s, struct slice in)
{
    struct transaction *tx = &s->tx;
    size_t total = 0;
    while (total < in.n) {
        size_t room, used, put;
        char *out = text_room(s, &room);
        enum data_status status = data_read(&tx->data, slice_sub(in, total, in.n), &used, out, room, &put);
        total += used;
        keep_text(s, slice_of(out, put));
        if (status == DATA_END) {
            finish(s);
            return total;
        }
        check_limits(s);
    }
    if (tx->data.size / 2 > server_message_size(s)) {
        session_refuse(s, "DATA", 552, "5.3.4", "the message is far too large, good bye", SLICE(""));
        session_hang_up(s, "message far too large");
    } else if (tx->draft && spool_draft_congested(tx->draft, on_relief, s))
        s->congested = true;
    return total;
}

void verb_data(struct session *s, const struct command *c)
{
    const struct config *config = s->server->o.config;
    struct transaction *tx = &s->tx;
    struct spool *spool = queue_spool(s->server->o.queue);
    if (!spool || spool_full(spool)) {
        session_refuse(s, "DATA", 452, "4.3.1", "not enough storage at the moment, please try again later", SLICE(""));
        return;
    }
    tx->id = queue_new_id(s->server->o.queue);
    tx->end = clock_mono_ms() + config->timeouts.message;
    tx->draft = spool_draft_new(spool);
    data_reader_init(&tx->data, config->limits.line_length);
    header_reader_init(&tx->header, on_field, s);
    s->phase = SESSION_DATA;
    session_reply(s, 354, NULL, "send the message, end with <CR><LF>.<CR><LF>");
}
