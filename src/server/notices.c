/* SPDX-License-Identifier: Apache-2.0
 * Mail to those who are told of what was found in messages. Bounded: of one reason nobody gets more than some within an hour, and all
 * together not more than many; the next one after that tells how many there would have been. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "policy/notice.h"
#include "route/expand.h"
#include "server/text.h"

#define HOUR 3600000u
#define EACH_MAX 20      /* to one address, for one reason, within an hour; of each worker */
#define ALL_MAX 500      /* the same of all */
#define SLOTS 512        /* addresses remembered */
#define RCPTS_MAX 100    /* of one message */

struct told {
    char address[256];       /* lower case; empty: free */
    uint8_t reason;
    uint32_t n, untold;      /* mails within the hour; messages without one since the last */
    uint64_t since;          /* mono ms: when the hour began */
};
struct notices {
    struct told all;
    struct told slots[SLOTS];
};

void notices_free(struct notices **n)
{
    free(*n);
    *n = NULL;
}

/* A new one takes the place of the one whose hour began first. */
static struct told *find(struct notices *n, struct slice address, enum notice_reason reason, uint64_t now)
{
    struct told *oldest = &n->slots[0];
    for (unsigned i = 0; i < SLOTS; i++) {
        struct told *t = &n->slots[i];
        if (t->address[0] && t->reason == reason && slice_ieq(slice_str(t->address), address)) return t;
        if (t->since < oldest->since) oldest = t;
    }
    *oldest = (struct told){ .reason = (uint8_t)reason, .since = now };
    memcpy(oldest->address, address.p, address.n < sizeof oldest->address ? address.n : sizeof oldest->address - 1);
    return oldest;
}

static void begin_hour(struct told *t, uint64_t now)
{
    if (now - t->since < HOUR) return;
    t->since = now;
    t->n = 0;
}

/* NULL: not now. */
static struct told *may_tell(struct server *server, struct slice address, enum notice_reason reason)
{
    uint64_t now = clock_mono_ms();
    if (!server->notices) server->notices = mem_new(struct notices);
    struct told *all = &server->notices->all, *t = find(server->notices, address, reason, now);
    begin_hour(all, now);
    begin_hour(t, now);
    if (t->n >= EACH_MAX || all->n >= ALL_MAX) {
        t->untold++;
        log_event(LOG_DEBUG, "notice-not-sent", LOG_TEXT("to", address), LOG_STR("about", notice_reason_name(reason)));
        return NULL;
    }
    t->n++;
    all->n++;
    return t;
}

static void on_committed(void *arg, bool ok, const struct err *err)
{
    if (!ok) log_event(LOG_WARNING, "notice-not-written", LOG_ERR(err));
}

static void submit(struct session *s, struct notice_mail *m)
{
    struct queue *q = s->server->o.queue;
    struct spool *sp = queue_spool(q);
    struct buf text = { 0 };
    struct err err = { .text = "there is no room in the spool" };
    m->id = queue_new_id(q);
    notice_format(m, &text);
    bool wide = !utf8_ascii(m->from) || !utf8_ascii(m->to);
    struct envelope e = { .id = m->id, .flags = ENVELOPE_BOUNCE | (wide ? ENVELOPE_SMTPUTF8 : 0), .zone = slice_str(s->zone->name),
                          .rcpts = &m->to, .rcpt_n = 1, .subject = slice_str(notice_subject(m->reason)) };
    if (sp && !spool_full(sp) && queue_submit_own(q, &e, buf_slice(&text), on_committed, NULL, &err))
        log_event(LOG_INFO, "noticed", LOG_ID(m->about), LOG_STR("about", notice_reason_name(m->reason)), LOG_TEXT("to", m->to),
                  ((struct log_field){ .key = "notice", .kind = LOG_FIELD_ID, .num = m->id }));
    else
        on_committed(NULL, false, &err);
    buf_deinit(&text);
}

static void tell(struct session *s, enum notice_reason reason, struct slice to, struct notice_mail m)
{
    struct told *t = may_tell(s->server, to, reason);
    if (!t) return;
    m.to = to;
    m.untold = t->untold;
    m.last = t->n == EACH_MAX;
    t->untold = 0;
    submit(s, &m);
}

static bool is_repeated(const struct slice *all, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (slice_ieq(all[k], all[i])) return true;
    return false;
}

/* A mail for each, which names nobody else: some of them may not know of the others (Bcc). */
static void tell_recipients(struct session *s, const struct policy_notice *n, const struct notice_mail *m)
{
    uint32_t told = 0;
    for (uint32_t i = 0; i < m->rcpt_n && told < RCPTS_MAX; i++) {
        if (is_repeated(m->rcpts, i) || (n->own_only && !expand_is_ours_address(policy_run_expander(s->run), m->rcpts[i]))) continue;
        struct notice_mail one = *m;
        one.rcpts = &m->rcpts[i];
        one.rcpt_n = 1;
        tell(s, n->reason, m->rcpts[i], one);
        told++;
    }
}

void text_tell(struct session *s, enum notice_done done)
{
    struct transaction *tx = &s->tx;
    for (uint32_t i = 0; i < tx->notice_n; i++) {
        const struct policy_notice *n = &tx->notices[i];
        struct notice_mail m = {
            .hostname = s->server->o.config->hostname,
            .wording = { s->server->o.templates, (enum template_language)s->server->o.config->notices.language },
            .from = n->from.n ? n->from : slice_str(s->server->o.config->postmaster),
            .now = clock_wall_ms(), .reason = n->reason, .done = done, .what = n->what, .sender = tx->sender,
            .rcpts = tx->given ? tx->given : tx->rcpts, .rcpt_n = tx->given ? tx->given_n : tx->rcpt_n - tx->copy_n, .client = s->ip,
            .subject = tx->subject, .message_id = tx->message_id, .about = tx->id,
        };
        if (n->to.n) tell(s, n->reason, n->to, m);
        else tell_recipients(s, n, &m);
    }
    tx->notice_n = 0;
}
