/* SPDX-License-Identifier: Apache-2.0
 * BDAT (RFC 3030 §2): the text in chunks of a size told beforehand. A chunk is on its way when its command is read: whatever
 * the answer is going to be, its bytes are taken first, and are never looked at as commands. Where its size cannot be known
 * the connection ends.
 *
 * A refusal is told at the end of the chunk in which it showed; the chunks behind it go to waste with the same answer, until
 * LAST, RSET or EHLO end the transaction. */
#include <stdio.h>
#include "base/clock.h"
#include "server/text.h"

#define CHATTER_SIZE 512 /* chunks below it count as commands that bring nothing; the others are bounded by what a message is */

/* What a chunk without a place ends with. */
static void end_misplaced(struct session *s)
{
    struct transaction *tx = &s->tx;
    const char *text = "please give a sender and recipients first";
    s->phase = tx->chunk_from;
    if (s->phase == SESSION_START) text = "please say EHLO first";
    else if (s->phase == SESSION_MAIL) text = "no valid recipients";
    else if (s->phase == SESSION_RCPT) text = "BDAT needs EHLO";
    tx->misplaced = tx->chunk_last = false;
    tx->end = 0;
    session_refuse(s, "BDAT", 503, "5.5.1", text, SLICE(""));
    session_check_errors(s);
}

/* The text need not end in CRLF (RFC 3030 §2: the size alone tells), but a message by DATA does, and that is how it may leave. The
 * line end is added: it changes nothing that is signed (RFC 6376 §3.4.3), and to refuse the mail would help nobody. */
static void complete(struct session *s)
{
    struct transaction *tx = &s->tx;
    struct err err;
    if (!tx->data.size || data_end_chunks(&tx->data) || !tx->draft) return;
    if (!tx->header.ended) header_read(&tx->header, SLICE("\r\n")); /* may refuse the message */
    if (tx->draft && !spool_draft_append(tx->draft, SLICE("\r\n"), &err)) text_spoil_storage(s, &err);
}

static void end_chunk(struct session *s)
{
    struct transaction *tx = &s->tx;
    char text[60];
    if (tx->misplaced) {
        end_misplaced(s);
        return;
    }
    if (tx->chunk_last) {
        complete(s);
        text_finish(s);
        return;
    }
    s->phase = SESSION_RCPT;
    text_check_line_ends(s);
    if (tx->refusal.code && !tx->refusal_told) {
        tx->refusal_told = true;
        text_refuse(s, tx->rcpts[0]);
        session_check_errors(s);
    } else if (tx->refusal.code) {
        session_reply(s, tx->refusal.code, tx->refusal.enhanced, tx->refusal.text);
    } else {
        snprintf(text, sizeof text, "%llu octets received", (unsigned long long)tx->chunk_size);
        session_reply(s, 250, "2.0.0", text);
        text_brake(s);
    }
}

size_t chunk_take(struct session *s, struct slice in)
{
    struct transaction *tx = &s->tx;
    size_t n = in.n < tx->chunk_left ? in.n : (size_t)tx->chunk_left;
    for (size_t total = 0; total < n && !tx->misplaced;) {
        size_t room;
        char *out = text_room(s, &room);
        size_t k = n - total < room ? n - total : room;
        data_read_chunk(&tx->data, slice_sub(in, total, total + k), out);
        text_keep(s, slice_of(out, k));
        total += k;
        text_check_limits(s);
    }
    tx->chunk_left -= n;
    if (!tx->chunk_left) end_chunk(s);
    else text_brake(s);
    return n;
}

void verb_bdat(struct session *s, const struct command *c)
{
    struct transaction *tx = &s->tx;
    struct command_error error;
    uint64_t size, before = tx->data.size;
    bool last;
    if (!command_bdat(c, &size, &last, &error)) {
        session_refuse(s, "BDAT", error.code, error.enhanced, error.text, c->arg);
        session_hang_up(s, "BDAT without a size");
        return;
    }
    if (text_is_endless(s, size > UINT64_MAX - before ? UINT64_MAX : before + size)) return;
    tx->misplaced = s->phase != SESSION_RCPT || !s->esmtp;
    tx->chunk_from = s->phase;
    tx->chunk_left = tx->chunk_size = size;
    tx->chunk_last = last;
    if (tx->misplaced) tx->end = clock_mono_ms() + s->server->o.config->timeouts.message;
    else if (!tx->chunked) {
        tx->chunked = true;
        text_begin(s); /* without storage the chunk is swallowed, then the refusal is told */
    }
    if (size >= CHATTER_SIZE && !tx->misplaced) s->chatter--;
    s->phase = SESSION_CHUNK;
    if (!size) end_chunk(s);
}
