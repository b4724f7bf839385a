/* SPDX-License-Identifier: Apache-2.0
 * Sending a message's text. Small ones are copied into the stream; larger ones are borrowed to it or sent from their file;
 * those with dots to be stuffed, or to be made 7-bit, go through a buffer in pieces. A piece is written when the one before has gone, so that memory
 * is bounded and the time limit is one for each piece. */
#include "delivery/client.h"
#include <stdlib.h>
#include "message/convert.h"
#include "smtp/data.h"

#define COPY_MAX 2048            /* a piece up to this is cheaper copied than borrowed */
#define STUFF_AT_ONCE 32768      /* a text with dots up to this is stuffed in one go */
#define CHUNK 65536
#define CONVERT_CHUNK 16384      /* it may become several times as long */
#define CONVERT_ROUNDS 16        /* chunks of which nothing is left, before others have their turn */
#define FILE_CHUNK (256u << 10)

static void stuff(struct client *c, struct slice text)
{
    struct buf *b = &c->q->scratch;
    buf_clear(b);
    char *to = buf_reserve(b, 2 * text.n);
    stream_write(c->s, slice_of(to, data_stuff(text, &c->line_start, to)));
}

static void go_on_later(struct client *c)
{
    if (list_linked(&c->pump_link)) return;
    list_push_back(&c->q->pumping, &c->pump_link);
    queue_kick(c->q);
}

/* From within the stream: the rest is the pump's. */
static void on_piece_sent(void *arg)
{
    struct client *c = arg;
    c->borrowed--;
    if (c->s && c->texting && !c->borrowed) go_on_later(c);
}

static void write_memory(struct client *c, const struct spool_text *t)
{
    for (size_t i = 0; i < t->piece_n; i++) {
        if (t->pieces[i].n <= COPY_MAX) {
            stream_write(c->s, t->pieces[i]);
            continue;
        }
        c->borrowed++;
        stream_write_own(c->s, t->pieces[i], on_piece_sent, c);
    }
    c->text_at = t->n;
}

static void write_file(struct client *c, const struct spool_text *t)
{
    struct slice with;
    uint64_t from, run = envelope_run(&c->ending->work->env, c->text_at, &from, &with), n = run < FILE_CHUNK ? run : FILE_CHUNK;
    c->text_at += n;
    c->borrowed++;
    if (with.p) {
        stream_write_own(c->s, slice_sub(with, 0, (size_t)n), on_piece_sent, c);
        return;
    }
    stream_write_file(c->s, t->fd, t->offset + from, n, on_piece_sent, c);
}

static void fail_unreadable(struct client *c)
{
    log_event(LOG_ERROR, "message-unreadable", LOG_ID(c->ending->work->m->spool.id));
    client_fail(c, "broken off by us, the message could not be read from the spool");
}

/* The chunk: first its stuffed text, behind that the text as read. */
static bool write_stuffed(struct client *c)
{
    if (!c->chunk) c->chunk = mem_alloc(3 * CHUNK);
    char *raw = c->chunk + 2 * CHUNK;
    size_t n = work_read_text(c->ending->work, c->text_at, raw, CHUNK);
    if (!n) return false;
    size_t k = data_stuff(slice_of(raw, n), &c->line_start, c->chunk);
    c->text_at += n;
    c->borrowed++;
    stream_write_own(c->s, slice_of(c->chunk, k), on_piece_sent, c);
    return true;
}

/* ---- to 7-bit */

static void write_converted(struct client *c, struct slice text)
{
    buf_clear(&c->converted);
    char *to = buf_reserve(&c->converted, 2 * text.n);
    c->converted.n = data_stuff(text, &c->line_start, to);
    c->borrowed++;
    stream_write_own(c->s, buf_slice(&c->converted), on_piece_sent, c);
}

/* It cannot be told before that it cannot be: so much is sent already. Without the dot at its end the server takes nothing. */
static void refuse_to_convert(struct client *c, const char *why)
{
    struct part *p = c->ending;
    struct buf reason = { 0 };
    buf_addf(&reason, "5.6.3 the message cannot be converted for %s, which takes no 8-bit text: %s", c->name, why);
    client_log(c, p, "bounced", p->first, part_unsettled(p), buf_slice(&reason));
    part_result_all(p, RCPT_FAILED, buf_slice(&reason));
    buf_deinit(&reason);
    c->worked = true;
    client_fail(c, "broken off by us, the message cannot be converted to 7-bit");
}

/* One piece that is ready to be sent. False: c may be gone. */
static bool convert_more(struct client *c, const struct spool_text *t)
{
    struct buf *out = &c->q->scratch;
    char raw[CONVERT_CHUNK];
    buf_clear(out);
    for (unsigned i = 0; !out->n && c->text_at < t->n; i++) {
        if (i == CONVERT_ROUNDS) {
            go_on_later(c);
            return true;
        }
        size_t n = work_read_text(c->ending->work, c->text_at, raw, sizeof raw);
        if (!n) {
            fail_unreadable(c);
            return false;
        }
        convert_push(c->convert, slice_of(raw, n), out);
        c->text_at += n;
    }
    if (c->text_at == t->n) convert_end(c->convert, out);
    const char *why = convert_refused(c->convert);
    if (why) {
        refuse_to_convert(c, why);
        return false;
    }
    if (c->text_at == t->n) convert_free(&c->convert);
    if (out->n) write_converted(c, buf_slice(out));
    return true;
}

static void end_text(struct client *c)
{
    const struct work *w = c->ending->work;
    if (!client_converts(c, w) && !work_ends_line(w)) stream_write(c->s, SLICE("\r\n")); /* else the dot ends nothing */
    stream_write(c->s, SLICE(".\r\n"));
    c->texting = false;
    client_set_deadline(c);
    /* RFC 2920 §3.1: the next MAIL may follow in the same group. */
    size_t text = stream_unsent(c->s);
    if (c->pipelining && !client_is_lmtp(c)) client_next(c);
    c->behind_text = stream_unsent(c->s) - text;
}

void client_text_more(struct client *c)
{
    const struct work *w = c->ending ? c->ending->work : NULL;
    if (!w || !c->texting || c->borrowed) return;
    const struct spool_text *t = &w->text;
    bool dots = w->env.flags & ENVELOPE_HAS_DOTS;
    if (c->convert) {
        client_set_deadline(c);
        if (!convert_more(c, t)) return;
    } else if (c->text_at < t->n) {
        client_set_deadline(c);
        if (t->pieces && !dots) write_memory(c, t);
        else if (t->pieces && t->n <= STUFF_AT_ONCE) {
            for (size_t i = 0; i < t->piece_n; i++) stuff(c, t->pieces[i]);
            c->text_at = t->n;
        } else if (!dots) write_file(c, t);
        else if (!write_stuffed(c)) { /* without the dot at its end the server takes no half of a message */
            fail_unreadable(c);
            return;
        }
    }
    if (c->text_at == t->n && !c->convert) end_text(c);
}

void client_text_start(struct client *c)
{
    const struct envelope *e = &c->ending->work->env;
    c->texting = true;
    c->text_at = 0;
    c->line_start = true;
    if (client_converts(c, c->ending->work)) {
        struct buf head = { 0 };
        c->convert = convert_new();
        convert_push(c->convert, e->prepend, &head);
        stuff(c, buf_slice(&head));
        buf_deinit(&head);
    } else
        stuff(c, e->prepend);
    client_text_more(c);
}
