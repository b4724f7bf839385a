/* SPDX-License-Identifier: Apache-2.0
 * Call-ahead: questions whether a recipient exists, and the connections that ask them (verify.h). Their destination is one of its own,
 * beside that of mail (route_to_ask): no mail ever goes there, and what fails there puts no mail off. */
#include "delivery/verify.h"
#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include "base/crc32c.h"
#include "base/utf8.h"
#include "delivery/client.h"
#include "delivery/reason.h"

#define ASKED_MAX 100          /* questions of one connection: servers limit commands */
#define RSET_MS 5000
#define QUIET_MS 5000          /* so long a hop that cannot be reached is left alone */

/* What a destination has when it is asked questions. */
struct asker {
    struct list waiting;
    unsigned waiting_n, asking_n;
    uint64_t quiet_until;      /* mono ms */
};

struct verify_question {
    struct list link;          /* of asker.waiting */
    struct destination *d;     /* NULL: it is answered */
    struct client *client;     /* that asks it */
    struct event *timer;       /* its end; of an answered one: the callback */
    bool again;                /* a connection was lost with it already */
    struct verify_answer answer;
    struct buf why;
    verify_cb *cb;
    void *arg;
    size_t n;
    char rcpt[];
};

static struct slice rcpt_of(const struct verify_question *v) { return slice_of(v->rcpt, v->n); }

static void set_timer(struct verify_question *v, uint64_t ms)
{
    event_add(v->timer, &(struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) });
}

/* ---- answers */

static void detach(struct verify_question *v)
{
    struct asker *a = v->d ? v->d->asker : NULL;
    assert(a || (!list_linked(&v->link) && !v->client)); /* only a destination has it waiting, or asked */
    if (list_linked(&v->link)) {
        list_remove(&v->link);
        a->waiting_n--;
    }
    if (v->client) {
        v->client->question = NULL;
        a->asking_n--;
    }
    v->client = NULL;
    v->d = NULL;
}

/* From anywhere: the callback comes when nothing of the queue is on the stack. */
static void finish(struct verify_question *v, enum verify_status status, struct slice why)
{
    if (v->d) v->d->idle_since = clock_mono_ms();
    detach(v);
    v->answer.status = status;
    buf_clear(&v->why);
    buf_add(&v->why, slice_sub(why, 0, LABEL_MAX));
    set_timer(v, 0);
}

static void question_free(struct verify_question *v)
{
    detach(v);
    event_free(v->timer);
    buf_deinit(&v->why);
    free(v);
}

static void answer_waiting(struct destination *d, struct slice why)
{
    list_each_safe(node, &d->asker->waiting) finish(list_entry(node, struct verify_question, link), VERIFY_UNSURE, why);
}

static void on_timeout(struct verify_question *v)
{
    struct destination *d = v->d;
    struct client *c = v->client;
    bool silent = !c && d->client_n == d->connecting_n; /* nobody is there to ask */
    finish(v, VERIFY_UNSURE, SLICE("there was no answer in time"));
    if (c) client_fail(c, "timed out"); /* its reply would be taken for another question's */
    else if (silent) verify_down(d, slice_str("there is no answer"));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct verify_question *v = arg;
    if (v->d) {
        on_timeout(v);
        return;
    }
    v->answer.why = buf_slice(&v->why);
    v->cb(v->arg, &v->answer);
    question_free(v);
}

/* ---- asking */

static bool is_clean(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F) return false;
    return true;
}

static void enqueue(struct verify_question *v, struct destination *d)
{
    struct asker *a = d->asker;
    uint64_t now = clock_mono_ms();
    if (a->quiet_until > now) {
        finish(v, VERIFY_UNSURE, slice_str(d->reason));
    } else if (a->waiting_n >= VERIFY_WAITING) {
        finish(v, VERIFY_UNSURE, SLICE("too many questions wait for the inner server"));
    } else {
        v->d = d;
        a->waiting_n++;
        list_push_back(&a->waiting, &v->link);
        destination_kick(d);
    }
}

struct verify_question *verify_recipient(struct queue *q, struct slice rcpt, uint64_t timeout, verify_cb *cb, void *arg)
{
    struct verify_question *v = mem_zalloc(sizeof *v + rcpt.n + 1);
    struct route_hop hop;
    struct err err;
    v->cb = cb;
    v->arg = arg;
    v->n = rcpt.n;
    memcpy(v->rcpt, rcpt.p, rcpt.n);
    v->timer = evtimer_new(q->o.base, on_timer, v);
    if (!v->timer) abort();
    set_timer(v, timeout);
    if (q->dead || !is_clean(rcpt)) finish(v, VERIFY_UNSURE, SLICE("it cannot be asked for"));
    else if (!route_find(q->routes, SLICE(""), rcpt, &hop, &err)) finish(v, VERIFY_UNSURE, slice_str(err.text));
    else if (route_is_maildir(&hop)) finish(v, VERIFY_UNSURE, SLICE("folders of mailboxes cannot be asked"));
    else {
        route_to_ask(&hop);
        struct destination *d = destination_get(q, &hop);
        if (!d->asker) {
            d->asker = mem_new(struct asker);
            list_init(&d->asker->waiting);
        }
        enqueue(v, d);
    }
    return v;
}

void verify_cancel(struct verify_question **vp)
{
    struct verify_question *v = *vp;
    *vp = NULL;
    if (v) question_free(v); /* the connection reads the reply, and nobody looks at it */
}

uint32_t verify_hop(const struct queue *q, struct slice rcpt)
{
    struct route_hop hop;
    struct err err;
    if (!route_find(q->routes, SLICE(""), rcpt, &hop, &err)) return 0;
    return crc32c(0, hop.key, strlen(hop.key));
}

/* ---- for the destination */

bool verify_waits(const struct destination *d) { return d->asker && d->asker->waiting_n; }
bool verify_is_used(const struct destination *d) { return d->asker && (d->asker->waiting_n || d->asker->asking_n); }

/* Connections that are free in a moment. */
static unsigned ending_n(const struct destination *d)
{
    unsigned n = 0;
    list_each(node, &d->clients) n += list_entry(node, struct client, link)->rset_awaited;
    return n;
}

bool verify_wants_connection(const struct destination *d)
{
    if (d->client_n && d->connect_after > clock_mono_ms()) return false;
    return d->client_n < VERIFY_CONNECTIONS && d->asker->waiting_n > d->connecting_n + ending_n(d);
}

void verify_down(struct destination *d, struct slice why)
{
    destination_set_reason(d, why);
    d->asker->quiet_until = clock_mono_ms() + QUIET_MS;
    targets_forgive(d);
    answer_waiting(d, slice_str(d->reason));
}

/* What failed while others serve is passed over for long; when none is left to try, all of them are tried again soon. */
void verify_host_failed(struct destination *d)
{
    size_t at;
    if (!targets_pick(d, clock_mono_ms(), &at)) verify_down(d, slice_str(d->reason));
}

void verify_refused(struct destination *d)
{
    if (d->asker) answer_waiting(d, slice_str(d->reason));
}

void verify_free(struct destination *d)
{
    if (d->asker) assert(list_empty(&d->asker->waiting));
    free(d->asker);
    d->asker = NULL;
}

/* ---- for the connection */

static void add_mail(const struct client *c, struct buf *b)
{
    buf_add_str(b, "MAIL FROM:<>");
    if (c->utf8 && !utf8_ascii(rcpt_of(c->question))) buf_add_str(b, " SMTPUTF8"); /* RFC 6531 §3.4 */
    buf_add_str(b, "\r\n");
}

static void add_rcpt(const struct client *c, struct buf *b)
{
    buf_add_str(b, "RCPT TO:<");
    client_utf8_add_address(c, rcpt_of(c->question), b);
    buf_add_str(b, ">\r\n");
}

static void write_commands(struct client *c, bool mail, bool rcpt)
{
    struct buf *b = &c->q->scratch;
    buf_clear(b);
    if (mail) add_mail(c, b);
    if (rcpt) add_rcpt(c, b);
    stream_write(c->s, buf_slice(b));
    stream_set_deadline(c->s, c->q->config->timeouts.reply);
    c->stage = mail ? CLIENT_MAIL : CLIENT_RCPT;
}

static void write_rset(struct client *c)
{
    stream_write(c->s, SLICE("RSET\r\n"));
    stream_set_deadline(c->s, RSET_MS); /* somebody may wait for this connection */
    c->rset_awaited = true;
}

bool verify_next(struct client *c)
{
    struct asker *a = c->d->asker;
    unsigned most = c->mail_max && c->mail_max < ASKED_MAX ? c->mail_max : ASKED_MAX; /* RFC 9422 §4.1 */
    struct list *node;
    a->quiet_until = 0;
    while (c->mails < most && (node = list_pop_front(&a->waiting))) {
        struct verify_question *v = list_entry(node, struct verify_question, link);
        const char *unfit = client_utf8_refuses_rcpt(c, rcpt_of(v));
        a->waiting_n--;
        if (unfit) {
            finish(v, VERIFY_UNSURE, slice_str(unfit));
            continue;
        }
        v->client = c;
        c->question = v;
        a->asking_n++;
        c->mails++;
        c->mail_refused = false;
        write_commands(c, true, c->pipelining);
        return true;
    }
    return false;
}

bool verify_is_spent(const struct client *c) { return c->mails >= ASKED_MAX || (c->mail_max && c->mails >= c->mail_max); }

void verify_lost(struct client *c, struct slice why)
{
    struct verify_question *v = c->question;
    if (!v) return;
    struct destination *d = v->d;
    if (v->again || c->mails == 1) { /* the server was asked on a connection just opened */
        finish(v, VERIFY_UNSURE, why);
        return;
    }
    v->again = true;
    v->client = NULL;
    c->question = NULL;
    d->asker->asking_n--;
    d->asker->waiting_n++;
    list_push_front(&d->asker->waiting, &v->link);
}

/* A 5xx is about the recipient, unless it says something else: 5.7.x tells of rules (relaying denied, this sender may not), 5.2.2 and
 * 5.2.3 of a mailbox that is there, 5.3 of the server, 5.5 of the protocol (RFC 3463 §3). */
static enum verify_status judge(const struct reply_reader *r)
{
    const char *e = r->enhanced;
    if (r->code / 100 == 2) return VERIFY_KNOWN;
    if (r->code / 100 == 4 || r->code < 550 || r->code == 552) return VERIFY_UNSURE;
    if (!strncmp(e, "5.7.", 4) || !strncmp(e, "5.3.", 4) || !strncmp(e, "5.5.", 4) || !strcmp(e, "5.2.2") || !strcmp(e, "5.2.3"))
        return VERIFY_UNSURE;
    return VERIFY_UNKNOWN;
}

static void answer(struct client *c, enum verify_status status, const char *before)
{
    struct buf why = { 0 };
    if (!c->question) return;
    buf_add_str(&why, before);
    client_add_reason(c, &why);
    finish(c->question, status, buf_slice(&why));
    buf_deinit(&why);
}

static void on_mail(struct client *c)
{
    c->mail_refused = c->reply.code / 100 != 2;
    if (c->mail_refused) answer(c, VERIFY_UNSURE, "the null sender is refused: ");
    if (c->pipelining) c->stage = CLIENT_RCPT;
    else if (c->mail_refused || !c->question) write_rset(c);
    else write_commands(c, false, true);
}

static void on_rset(struct client *c)
{
    c->rset_awaited = false;
    c->stage = CLIENT_IDLE;
    if (c->reply.code / 100 != 2) client_fail_reply(c);
    else client_next(c);
}

void verify_reply(struct client *c)
{
    int class = c->reply.code / 100;
    if (c->reply.code == 421) { /* RFC 5321 §3.8: it goes away, which says nothing about the recipient */
        client_fail_reply(c);
    } else if ((class != 2 && class != 4 && class != 5) || c->reply.code == 221) {
        client_fail(c, "sent a reply that does not fit the command");
    } else if (c->rset_awaited) {
        on_rset(c);
    } else if (c->stage == CLIENT_MAIL) {
        on_mail(c);
    } else {
        if (!c->mail_refused) answer(c, judge(&c->reply), "");
        write_rset(c);
    }
}
