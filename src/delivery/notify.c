/* SPDX-License-Identifier: Apache-2.0
 * Who is told when mail fails or is late: the sender; for a null sender, or where bounces are off, the postmaster; and
 * when even the postmaster's notice fails, the log. A bounce is a message like any other: it goes through the spool. */
#include "base/utf8.h"
#include "delivery/bounce.h"
#include "delivery/internal.h"

/* The beginning of the message as it would have been sent. */
static void read_beginning(const struct work *w, size_t want, struct buf *out)
{
    buf_add(out, slice_sub(w->env.prepend, 0, want));
    size_t more = want - out->n < w->text.n ? want - out->n : (size_t)w->text.n;
    out->n += work_read_text(w, 0, buf_reserve(out, more), more);
}

/* RET=FULL (RFC 3461 §4.3) is for failures only, and within a limit. An internationalized message is no message/rfc822. Of one that must
 * not travel without TLS nothing is shown (RFC 8689 §5). */
static void add_original(const struct work *w, struct bounce *b, struct buf *original)
{
    const struct envelope *e = &w->env;
    uint64_t size = e->prepend.n + w->text.n;
    bool wide = e->flags & ENVELOPE_SMTPUTF8 && e->flags & ENVELOPE_HAS_8BIT;
    bool full = e->flags & ENVELOPE_RET_FULL && b->kind == BOUNCE_FAILED && size <= BOUNCE_MESSAGE_MAX && !wide;
    if (e->flags & ENVELOPE_REQUIRETLS) return;
    read_beginning(w, full ? BOUNCE_MESSAGE_MAX : BOUNCE_HEADERS_MAX, original);
    b->utf8_headers = wide;
    if (full && original->n == size) b->message = buf_slice(original);
    else b->headers = bounce_cut_headers(buf_slice(original), BOUNCE_HEADERS_MAX);
}

static void on_written(void *arg, bool ok, const struct err *err)
{
    struct work *w = arg;
    if (ok)
        log_event(LOG_INFO, "notified", LOG_ID(w->m->spool.id), ((struct log_field){ .key = "notice", .kind = LOG_FIELD_ID, .num = w->notice_id }));
    else
        log_event(LOG_ERROR, "bounce-not-written", LOG_ID(w->m->spool.id), LOG_ERR(err));
    w->on_told(w, ok);
}

static void submit(struct work *w, struct slice to, struct slice text)
{
    struct err err;
    struct envelope e = { .id = w->notice_id, .zone = w->env.zone, .rcpts = &to, .rcpt_n = 1, .subject = SLICE("Mail delivery report"),
                          .flags = ENVELOPE_BOUNCE | (utf8_ascii(to) ? 0 : ENVELOPE_SMTPUTF8) |
                                   (w->env.flags & ENVELOPE_REQUIRETLS) }; /* RFC 8689 §5 */
    if (!queue_submit_own(w->q, &e, text, on_written, w, &err)) on_written(w, false, &err);
}

static void write_notice(struct work *w, enum bounce_kind kind, enum rcpt_status status, struct slice to)
{
    struct queue *q = w->q;
    struct message *m = w->m;
    struct bounce_rcpt rcpts[NOTICE_RCPTS];
    struct buf original = { 0 }, text = { 0 };
    char plain[PLAIN_ADDRESS_ROOM];
    to = utf8_plain_address(to, plain); /* then the notice is no internationalized mail */
    w->notice_id = queue_new_id(q);
    struct bounce b = { .kind = kind, .hostname = q->config->hostname, .to = to, .sender = w->env.sender,
                        .id = w->notice_id, .original_id = m->spool.id, .arrival = m->arrival, .now = clock_wall_ms(),
                        .until = message_end(m), .rcpts = rcpts,
                        .envid = w->env.envid,
                        .random = (uint64_t)queue_random(q) << 32 | queue_random(q) };
    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        struct slice reason = label_text(w->rcpts[i].reason ? w->rcpts[i].reason : m->reason);
        if (w->rcpts[i].status != status || (kind == BOUNCE_DELAYED && !dsn_wanted(w, i, NOTIFY_DELAY))) continue;
        if (status == RCPT_PENDING && !w->rcpts[i].settled && w->blocked && w->blocked->reason[0])
            reason = slice_str(w->blocked->reason);
        struct slice orcpt = w->env.rcpt_dsn ? w->env.rcpt_dsn[i].orcpt : slice_of(NULL, 0);
        if (b.rcpt_n < NOTICE_RCPTS) rcpts[b.rcpt_n++] = (struct bounce_rcpt){ w->env.rcpts[i], reason, orcpt };
        else b.more_n++;
    }
    if (status != RCPT_PENDING) b.more_n = 0; /* they get a notice of their own */
    add_original(w, &b, &original);
    bounce_build(&b, &text);
    submit(w, to, buf_slice(&text));
    buf_deinit(&original);
    buf_deinit(&text);
}

/* A notice to the postmaster, or a bounce to the postmaster of a message of his own. */
static bool is_last_resort(const struct work *w)
{
    return w->env.flags & ENVELOPE_BOUNCE && w->m->rcpt_n == 1 &&
           slice_ieq(w->env.rcpts[0], slice_str(w->q->config->postmaster));
}

void notify_failed(struct work *w, void (*cb)(struct work *w, bool ok))
{
    struct queue *q = w->q;
    w->on_told = cb;
    if (is_last_resort(w)) {
        log_event(LOG_ERROR, "postmaster-notice-failed", LOG_ID(w->m->spool.id),
                  LOG_TEXT("to", w->env.rcpts[0]), LOG_TEXT("reply", label_text(w->rcpts[0].reason)));
        cb(w, true);
        return;
    }
    bool to_sender = w->env.sender.n && !(w->env.flags & (ENVELOPE_BOUNCE | ENVELOPE_NO_DSN));
    if (!to_sender)
        log_event(LOG_WARNING, "sender-not-told", LOG_ID(w->m->spool.id),
                  LOG_TEXT("from", w->env.sender));
    write_notice(w, to_sender ? BOUNCE_FAILED : BOUNCE_NOTICE, RCPT_FAILED,
                 to_sender ? w->env.sender : slice_str(q->config->postmaster));
}

void notify_delayed(struct work *w, void (*cb)(struct work *w, bool ok))
{
    w->on_told = cb;
    write_notice(w, BOUNCE_DELAYED, RCPT_PENDING, w->env.sender);
}

void notify_relayed(struct work *w, void (*cb)(struct work *w, bool ok))
{
    w->on_told = cb;
    write_notice(w, BOUNCE_RELAYED, RCPT_RELAYED, w->env.sender);
}
