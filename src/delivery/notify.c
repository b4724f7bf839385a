/* SPDX-License-Identifier: Apache-2.0
 * Who is told when mail fails or is late: the sender; for a null sender, one that is forged, or where bounces are off, the postmaster; and
 * when even the postmaster's notice fails, the log. A bounce is a message like any other: it goes through the spool. */
#include "base/utf8.h"
#include "delivery/bounce.h"
#include "delivery/internal.h"

#define HOUR_MS 3600000u
#define COPIES_TOLD 20 /* messages within an hour */

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

/* The sender's as his zone has it; the postmaster's is everybody else's. */
static enum template_language language_of(const struct work *w, enum bounce_kind kind)
{
    const struct config *c = w->q->config;
    enum config_language language = CONFIG_LANGUAGES;
    for (size_t i = 0; i < c->zone_n && kind != BOUNCE_NOTICE; i++)
        if (slice_eq(slice_str(c->zones[i].name), w->env.zone)) language = c->zones[i].language;
    return (enum template_language)(language < CONFIG_LANGUAGES ? language : c->notices.language);
}

static enum bounce_why why_not_told(const struct work *w)
{
    if (w->telling_copies) return BOUNCE_WHY_COPY;
    if (!w->env.sender.n || w->env.flags & ENVELOPE_BOUNCE) return BOUNCE_WHY_NULL;
    return w->env.flags & ENVELOPE_NO_DSN ? BOUNCE_WHY_OFF : BOUNCE_WHY_FORGED;
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
    struct bounce b = { .kind = kind, .why = why_not_told(w), .wording = { q->o.templates, language_of(w, kind) }, .subject = w->env.subject,
                        .hostname = q->config->hostname, .to = to, .sender = w->env.sender,
                        .id = w->notice_id, .original_id = m->spool.id, .arrival = m->arrival, .now = clock_wall_ms(),
                        .until = message_end(m), .rcpts = rcpts,
                        .envid = w->env.envid,
                        .random = (uint64_t)queue_random(q) << 32 | queue_random(q) };
    for (uint32_t i = 0; i < m->rcpt_n; i++) {
        struct slice reason = label_text(w->rcpts[i].reason ? w->rcpts[i].reason : m->reason);
        if (w->rcpts[i].status != status || (kind == BOUNCE_DELAYED && !dsn_wanted(w, i, NOTIFY_DELAY))) continue;
        if (status == RCPT_FAILED && work_is_copy(w, i) != w->telling_copies) continue;
        if (status == RCPT_PENDING && !w->rcpts[i].settled && w->blocked && w->blocked->reason[0])
            reason = slice_str(w->blocked->reason);
        struct slice orcpt = w->env.rcpt_dsn ? w->env.rcpt_dsn[i].orcpt : slice_of(NULL, 0);
        if (b.rcpt_n < NOTICE_RCPTS) rcpts[b.rcpt_n++] = (struct bounce_rcpt){ w->env.rcpts[i], reason, orcpt, envelope_marks(&w->env, i) & MARK_GROUP,
                                                                                     slice_starts(reason, SLICE("2.1.5 ")) /* maildir.c */ };
        else b.more_n++;
    }
    if (status != RCPT_PENDING) b.more_n = 0; /* they get a notice of their own */
    add_original(w, &b, &original);
    bounce_build(&b, &text);
    submit(w, to, buf_slice(&text));
    buf_deinit(&original);
    buf_deinit(&text);
}

/* The postmaster, or one whom his alias stands for. */
static bool is_postmasters(const struct work *w, uint32_t i)
{
    struct slice postmaster = slice_str(w->q->config->postmaster);
    struct buf original = { 0 };
    if (slice_ieq(w->env.rcpts[i], postmaster)) return true;
    own_original(postmaster, &original);
    bool is = w->env.rcpt_dsn && slice_ieq(w->env.rcpt_dsn[i].orcpt, buf_slice(&original));
    buf_deinit(&original);
    return is;
}

/* A notice to the postmaster, or a bounce to the postmaster of a message of his own. */
static bool is_last_resort(const struct work *w)
{
    if (!(w->env.flags & ENVELOPE_BOUNCE)) return false;
    for (uint32_t i = 0; i < w->m->rcpt_n; i++)
        if (!is_postmasters(w, i)) return false;
    return true;
}

static void log_last_resort(const struct work *w)
{
    for (uint32_t i = 0; i < w->m->rcpt_n; i++)
        if (w->rcpts[i].status == RCPT_FAILED)
            log_event(LOG_ERROR, "postmaster-notice-failed", LOG_ID(w->m->spool.id), LOG_TEXT("to", w->env.rcpts[i]),
                      LOG_TEXT("reply", label_text(w->rcpts[i].reason)));
}

/* A server for copies that is gone must not fill the postmaster's mailbox; the log has them all. */
static bool may_tell_of_copy(struct queue *q)
{
    uint64_t now = clock_mono_ms();
    if (now - q->copies_told_since >= HOUR_MS) {
        q->copies_told_since = now;
        q->copies_told = 0;
    }
    return q->copies_told++ < COPIES_TOLD;
}

static void notify_failed_copies(struct work *w)
{
    struct queue *q = w->q;
    uint32_t first = UINT32_MAX, n = 0;
    for (uint32_t i = 0; i < w->m->rcpt_n; i++) {
        if (w->rcpts[i].status != RCPT_FAILED || !work_is_copy(w, i)) continue;
        if (!n++) first = i;
    }
    bool told = may_tell_of_copy(q);
    log_event(LOG_WARNING, "copy-failed", LOG_ID(w->m->spool.id), LOG_TEXT("to", w->env.rcpts[first]), LOG_NUM("recipients", n),
              LOG_TEXT("reply", label_text(w->rcpts[first].reason)), LOG_STR("told", told ? "postmaster" : "nobody"));
    if (told) write_notice(w, BOUNCE_NOTICE, RCPT_FAILED, slice_str(q->config->postmaster));
    else w->on_told(w, true);
}

void notify_failed(struct work *w, void (*cb)(struct work *w, bool ok))
{
    static const char *const whys[] = { [BOUNCE_WHY_NULL] = "null sender", [BOUNCE_WHY_OFF] = "bounces are off", [BOUNCE_WHY_FORGED] = "forged sender" };
    struct queue *q = w->q;
    w->on_told = cb;
    if (is_last_resort(w)) {
        log_last_resort(w);
        cb(w, true);
        return;
    }
    if (w->telling_copies) {
        notify_failed_copies(w);
        return;
    }
    bool to_sender = w->env.sender.n && !(w->env.flags & (ENVELOPE_BOUNCE | ENVELOPE_NO_DSN | ENVELOPE_FORGED));
    if (!to_sender)
        log_event(LOG_WARNING, "sender-not-told", LOG_ID(w->m->spool.id), LOG_TEXT("from", w->env.sender),
                  LOG_STR("why", whys[why_not_told(w)]));
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
