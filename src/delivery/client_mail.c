/* SPDX-License-Identifier: Apache-2.0
 * One transaction of a session: MAIL, RCPT, DATA and what their replies mean for each recipient.
 *
 * With PIPELINING (RFC 2920) all of it is one write, and RFC 2920 §3.1 allows a group of commands to begin with the end of
 * the text of the message before: so while messages are waiting each costs one write and one read. The replies come in the order of
 * the commands: first that to the text of `ending`, then those to RSET, MAIL, RCPT, DATA of `sending`. */
#include "base/utf8.h"
#include "delivery/client.h"
#include "delivery/reason.h"

#define ROUNDS_MAX 20  /* transactions in a row that end with too many recipients */

void client_set_deadline(struct client *c)
{
    const struct config_timeouts *t = &c->q->config->timeouts;
    if (c->ending) stream_set_deadline(c->s, c->texting ? t->data_block : t->data_done);
    else stream_set_deadline(c->s, c->stage == CLIENT_DATA ? t->data_init : t->reply);
}

/* ---- commands */

bool client_converts(const struct client *c, const struct work *w)
{
    return w->env.flags & ENVELOPE_HAS_8BIT && !c->eight_bit && !c->utf8; /* RFC 6531 §3.1 (8): SMTPUTF8 includes 8BITMIME */
}

/* Where nobody can be asked never to report on a copy, no address is given to report to. LMTP reports by its replies alone. */
static void add_sender(const struct client *c, const struct part *p, struct buf *b)
{
    if (p->copy && !c->dsn && !client_is_lmtp(c)) return;
    client_utf8_add_address(c, p->rewritten ? p->work->rewritten : p->work->env.sender, b);
}

/* RFC 6531 §3.4: also when it was only an alias of ours that led to an address which is not ASCII. */
static bool is_wide(const struct part *p)
{
    const struct envelope *e = &p->work->env;
    if (e->flags & ENVELOPE_SMTPUTF8 || !utf8_ascii(p->rewritten ? p->work->rewritten : e->sender)) return true;
    PART_EACH(i, p)
        if (!utf8_ascii(e->rcpts[i])) return true;
    return false;
}

static void add_mail(const struct client *c, const struct part *p, struct buf *b)
{
    const struct envelope *e = &p->work->env;
    buf_add_str(b, "MAIL FROM:<");
    add_sender(c, p, b);
    buf_add_char(b, '>');
    if (c->has_size && !client_converts(c, p->work)) { /* RFC 1870 §5: without stuffed dots */
        buf_add_str(b, " SIZE=");
        buf_add_u64(b, e->prepend.n + envelope_sent_size(e));
    }
    if (e->flags & (ENVELOPE_8BIT | ENVELOPE_HAS_8BIT) && c->eight_bit) buf_add_str(b, " BODY=8BITMIME");
    if (c->utf8 && is_wide(p)) buf_add_str(b, " SMTPUTF8");
    if (e->flags & ENVELOPE_REQUIRETLS && c->requiretls) buf_add_str(b, " REQUIRETLS"); /* RFC 8689 §4.2.1 */
    client_dsn_add_mail(c, p->work, b);
    buf_add_str(b, "\r\n");
}

static void add_rcpt(const struct client *c, const struct part *p, uint32_t i, struct buf *b)
{
    buf_add_str(b, "RCPT TO:<");
    client_utf8_add_address(c, p->work->env.rcpts[i], b);
    buf_add_char(b, '>');
    client_dsn_add_rcpt(c, p->work, i, b);
    buf_add_str(b, "\r\n");
}

static void write_one(struct client *c, enum client_stage stage)
{
    struct buf *b = &c->q->scratch;
    buf_clear(b);
    if (stage == CLIENT_MAIL) add_mail(c, c->sending, b);
    else if (stage == CLIENT_RCPT) add_rcpt(c, c->sending, c->rcpt, b);
    else buf_add_str(b, "DATA\r\n");
    stream_write(c->s, buf_slice(b));
    c->stage = stage;
    client_set_deadline(c);
}

static void write_group(struct client *c, bool reset)
{
    struct part *p = c->sending;
    struct buf *b = &c->q->scratch;
    buf_clear(b);
    if (reset) buf_add_str(b, "RSET\r\n");
    add_mail(c, p, b);
    PART_EACH(i, p) add_rcpt(c, p, i, b);
    buf_add_str(b, "DATA\r\n");
    stream_write(c->s, buf_slice(b));
    c->stage = CLIENT_MAIL;
}

/* ---- what this server cannot have */

/* Why not, or nothing. */
static void find_unfit(const struct client *c, struct work *w, struct buf *reason)
{
    const struct envelope *e = &w->env;
    uint64_t size = e->prepend.n + envelope_sent_size(e);
    const char *why = e->flags & ENVELOPE_SMTPUTF8 ? client_utf8_refuses(c, w) : NULL;
    if (e->flags & ENVELOPE_REQUIRETLS && !route_is_here(&c->d->hop) && !(c->requiretls && client_tls_verified(c))) /* RFC 8689 §4.2.1 */
        why = "5.7.30 the message may only travel over TLS that is proven, and the server does not offer that (REQUIRETLS)";
    if (c->size_max && size > c->size_max)
        buf_addf(reason, "5.3.4 the message has %llu bytes, %s takes %llu at most", (unsigned long long)size, c->name,
                 (unsigned long long)c->size_max);
    else if (why)
        buf_addf(reason, "%s; asked: %s", why, c->name);
}

static bool is_unfit(struct client *c, struct part *p)
{
    struct buf reason = { 0 };
    find_unfit(c, p->work, &reason);
    if (reason.n) {
        client_log(c, p, "bounced", p->first, p->n, buf_slice(&reason));
        part_result_all(p, RCPT_FAILED, buf_slice(&reason));
    }
    bool unfit = reason.n > 0;
    buf_deinit(&reason);
    return unfit;
}

static void drop_unfit_rcpts(struct client *c, struct part *p)
{
    struct work *w = p->work;
    PART_EACH(i, p) {
        const char *why = client_utf8_refuses_rcpt(c, w->env.rcpts[i]);
        if (!why || w->rcpts[i].settled) continue;
        struct buf reason = { 0 };
        buf_addf(&reason, "%s; asked: %s", why, c->name);
        client_log(c, p, "bounced", i, 1, buf_slice(&reason));
        part_result(p, i, RCPT_FAILED, buf_slice(&reason));
        buf_deinit(&reason);
    }
    part_drop_settled(p);
}

/* The part becomes what fits into one transaction; false: nothing is left of it, and it is done. */
static bool prepare(struct client *c, struct part *p)
{
    if (p->tries)
        PART_EACH(i, p) p->work->rcpts[i].later = false;
    if (is_unfit(c, p)) {
        part_done(p);
        return false;
    }
    if (!c->utf8) drop_unfit_rcpts(c, p);
    if (!p->n) {
        part_done(p);
        return false;
    }
    if (c->rcpt_max && p->n > c->rcpt_max) part_split(p, c->rcpt_max); /* RFC 9422 §4.2 */
    return true;
}

bool client_mail_start(struct client *c, struct part *p)
{
    bool reset = c->transaction;
    if (!prepare(c, p)) return false;
    client_set_sending(c, p);
    c->mails++;
    c->turn_at = clock_mono_us();
    c->rcpt = p->first;
    c->accepted = 0;
    c->mail_refused = c->left_over = false;
    c->rset_awaited = reset;
    if (c->pipelining) write_group(c, reset);
    else if (reset) {
        stream_write(c->s, SLICE("RSET\r\n"));
        c->stage = CLIENT_MAIL;
    } else
        write_one(c, CLIENT_MAIL);
    client_set_deadline(c);
    return true;
}

/* ---- replies */

void client_mail_worked(struct client *c)
{
    struct destination *d = c->d;
    c->worked = true;
    d->failures = d->bad_sessions = 0;
    if (!d->blocked && !d->refused) d->reason[0] = 0;
}

/* The transaction is over without a text. */
static void give_up(struct client *c)
{
    struct part *p = c->sending;
    client_set_sending(c, NULL);
    c->stage = CLIENT_IDLE;
    client_mail_worked(c);
    part_done(p);
    client_next(c);
}

static void on_mail(struct client *c)
{
    if (c->reply.code / 100 == 2) c->transaction = true;
    else {
        c->mail_refused = true;
        client_decide(c, c->sending);
    }
    if (c->pipelining) c->stage = CLIENT_RCPT;
    else if (c->mail_refused) give_up(c);
    else write_one(c, CLIENT_RCPT);
}

/* RFC 5321 §4.5.3.1.10: 452, or 552 of old servers, to the next one too many. Both mean other things as well. */
static bool takes_no_more(const struct client *c)
{
    const char *code = c->reply.enhanced;
    return (c->reply.code == 452 || c->reply.code == 552) && c->accepted && c->sending->rounds < ROUNDS_MAX &&
           (!code[0] || !strcmp(code + 1, ".5.3"));
}

static void refuse_rcpt(struct client *c)
{
    struct part *p = c->sending;
    if (takes_no_more(c)) {
        p->work->rcpts[c->rcpt].later = true;
        c->left_over = true;
        return;
    }
    struct buf reason = { 0 };
    /* 552 here is "too many recipients" of old servers: RFC 5321 §4.5.3.1.10 */
    bool permanent = c->reply.code / 100 == 5 && c->reply.code != 552;
    client_add_reason(c, &reason);
    client_log(c, p, permanent ? "bounced" : "deferred", c->rcpt, 1, buf_slice(&reason));
    part_result(p, c->rcpt, permanent ? RCPT_FAILED : RCPT_PENDING, buf_slice(&reason));
    buf_deinit(&reason);
}

static void on_rcpt(struct client *c)
{
    struct work_rcpt *rcpts = c->sending->work->rcpts;
    if (c->reply.code / 100 != 2) {
        if (!c->mail_refused) refuse_rcpt(c);
    } else if (!c->mail_refused)
        c->accepted++;
    c->rcpt = rcpts[c->rcpt].next;
    if (c->rcpt == UINT32_MAX) {
        if (c->left_over) part_split(c->sending, 0);
        if (c->pipelining) c->stage = CLIENT_DATA;
        else if (c->accepted) write_one(c, CLIENT_DATA);
        else give_up(c);
    } else if (!c->pipelining)
        write_one(c, CLIENT_RCPT);
}

static void on_data(struct client *c)
{
    if (c->reply.code / 100 == 3 && !c->accepted && client_is_lmtp(c)) { /* RFC 2033 §4.2: there would be no reply to the text */
        client_fail(c, "wants a text that is for nobody");
        return;
    }
    if (c->reply.code / 100 == 3) {
        c->ending = c->sending;
        c->text_rcpt = client_first_unsettled(c->ending);
        client_set_sending(c, NULL);
        c->d->turn_us = clock_mono_us() - c->turn_at;
        c->stage = CLIENT_IDLE;
        c->transaction = false;
        c->nothing_sent = c->accepted == 0;
        c->behind_text = 0;
        if (!c->nothing_sent) {
            client_text_start(c);
            return;
        }
        /* RFC 2920 §3.1: DATA was accepted without recipients; a lone dot ends it. */
        stream_write(c->s, SLICE(".\r\n"));
        client_set_deadline(c);
        return;
    }
    client_decide(c, c->sending);
    give_up(c);
}

static void on_rset(struct client *c)
{
    c->rset_awaited = false;
    c->transaction = false;
    if (c->reply.code / 100 != 2) client_fail_reply(c);
    else if (!c->pipelining) write_one(c, CLIENT_MAIL);
}

/* 2xx to DATA, 3xx to the others and 1xx are no answers to what was asked; 221 is a farewell and accepts nothing. */
bool client_mail_makes_sense(const struct client *c)
{
    int class = c->reply.code / 100;
    if (c->reply.code == 221) return false;
    if (class == 4 || class == 5) return true;
    if (!c->ending && !c->rset_awaited && c->stage == CLIENT_DATA) return class == 3;
    return class == 2;
}

void client_mail_reply(struct client *c)
{
    bool *gone = c->gone;
    if (c->reply.code == 421) { /* RFC 5321 §3.8: the server goes away, which says nothing about the message */
        client_fail_reply(c);
        return;
    }
    if (!client_mail_makes_sense(c)) {
        client_fail(c, "sent a reply that does not fit the command");
        return;
    }
    if (c->rset_awaited) on_rset(c);
    else if (c->stage == CLIENT_MAIL) on_mail(c);
    else if (c->stage == CLIENT_RCPT) on_rcpt(c);
    else on_data(c);
    if (!*gone && c->sending) client_set_deadline(c);
}

void client_dot_reply(struct client *c)
{
    struct part *p = c->ending;
    if (!client_mail_makes_sense(c)) {
        client_fail(c, "sent a reply that does not fit the text");
        return;
    }
    c->ending = NULL;
    c->messages++;
    client_mail_worked(c);
    if (!c->nothing_sent && c->reply.code / 100 == 2) client_dsn_relayed(c, p);
    if (!c->nothing_sent) client_decide(c, p);
    c->nothing_sent = false;
    part_done(p);
    if (c->reply.code == 421) client_fail_reply(c);
    else if (!c->sending) client_next(c);
    else client_set_deadline(c);
}
