/* SPDX-License-Identifier: Apache-2.0
 * What the policy checks say of a session, told to the client and written down. While checks look something up the session takes no
 * input; what is to happen then is kept in session->then. */
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "server/session.h"
#include "store/store.h"

#define TEXT_SHOWN 380 /* of a refusal: the reference behind it must fit into a reply */

static void begin(struct session *s)
{
    struct policy_client client = { .zone = s->zone, .session = s->id, .submission = s->listener->role == CONFIG_ROLE_SUBMISSION,
                                    .intended = s->intended, .intended_port = s->intended_port };
    if (!s->unnamed) client.ip = s->ip;
    policy_run_free(&s->run);
    s->run = policy_run_new(s->server->o.policy, &client, false);
    s->greeted = false;
    if (s->account) policy_set_account(s->run, slice_str(s->account));
    if (s->helo) policy_set_helo(s->run, slice_str(s->helo));
}

static void on_verdict(void *arg, const struct policy_verdict *v)
{
    struct session *s = arg;
    session_then *then = s->then;
    s->then = NULL;
    then(s, v);
    session_check_errors(s);
    session_resume(s);
}

bool session_ask(struct session *s, enum policy_stage stage, struct policy_verdict *v, session_then *then)
{
    policy_ask(s->run, stage, v, on_verdict, s);
    if (v->outcome != POLICY_WAIT) return true;
    s->then = then;
    return false;
}

/* ---- the history */

static void add_sender(const struct session *s, struct history_event *e)
{
    e->session = s->id;
    e->when = clock_wall_ms();
    e->client = s->ip;
    e->helo = slice_str(s->helo);
    e->sender = s->tx.sender;
}

static void tell_refusal(struct session *s, uint64_t ref, int code, const char *text, struct slice sender, struct slice about)
{
    struct history_event e = { .kind = HISTORY_REFUSED, .id = ref, .code = code, .text = slice_str(text), .rcpts = &about,
                               .rcpt_n = about.n ? 1 : 0, .message_id = s->tx.message_id, .subject = s->tx.subject,
                               .trace = policy_trace(s->run) };
    add_sender(s, &e);
    e.sender = sender;
    if (s->server->o.store) store_history(s->server->o.store, &e);
}

/* The recipients, copies told as such. */
static const struct slice *told_rcpts(struct session *s)
{
    const struct recipients *to = &s->tx.final; /* of one that is dropped there are none */
    if (!to->n || !to->marks) return to->n ? to->rcpts : s->tx.rcpts;
    struct slice *told = arena_alloc(&s->arena, to->n * sizeof *told);
    for (uint32_t i = 0; i < to->n; i++)
        told[i] = i < HISTORY_RCPTS_KEPT && to->marks[i] & MARK_COPY
                      ? slice_str(arena_printf(&s->arena, "%.*s\t" HISTORY_COPY, SLICE_ARG(to->rcpts[i])))
                      : to->rcpts[i];
    return told;
}

void session_tell_accepted(struct session *s)
{
    const struct transaction *tx = &s->tx;
    const struct recipients *to = &tx->final;
    struct history_event e = { .kind = HISTORY_ACCEPTED, .id = tx->id, .code = 250, .rcpts = told_rcpts(s),
                               .rcpt_n = to->n ? to->n - to->groups : tx->rcpt_n, .given = to->given, .message_id = tx->message_id, .subject = tx->subject,
                               .size = tx->data.size, .trace = tx->trace };
    add_sender(s, &e);
    if (s->server->o.store) store_history(s->server->o.store, &e);
}

/* ---- refusals */

/* "try again later (ref 3k9...)": the reference finds the refusal in the log and the history. */
static void format_text(const char *said, uint64_t ref, char *out, size_t size)
{
    char id[ID_TEXT_LEN + 1];
    id_format(ref, id);
    snprintf(out, size, "%.*s (ref %s)", TEXT_SHOWN, said, id);
}

void session_policy_refuse(struct session *s, const char *stage, const struct policy_verdict *v, struct slice about)
{
    char text[TEXT_SHOWN + 40];
    uint64_t ref = s->tx.id ? s->tx.id : queue_new_id(s->server->o.queue); /* a text's id is nobody's yet */
    format_text(v->text, ref, text, sizeof text);
    if (v->outcome == POLICY_REJECT) s->errors++; /* who is to come again has made no error */
    s->refused++;
    struct log_field line = { .key = NULL };
    char room[INTENDED_ROOM];
    if (v->place.line) line = LOG_NUM("line", v->place.line);
    log_event(LOG_INFO, "refused", LOG_SESSION(s->id), LOG_STR("stage", stage), LOG_IP("client", &s->ip),
              LOG_NUM("code", v->code), LOG_STR("status", v->enhanced), LOG_STR("text", text), LOG_TEXT("about", about),
              LOG_TEXT("from", s->tx.sender), LOG_STR("check", v->check), LOG_STR("why", v->why), line.key ? line : intended_field(s, room),
              line.key ? intended_field(s, room) : line);
    tell_refusal(s, ref, v->code, text, s->tx.sender, about);
    session_reply(s, v->code, v->enhanced, text);
}

/* A client may err as often as it likes: the same twice in a row is told once, and so much of one network is enough. */
static bool may_note(struct session *s, int code, const char *text, struct slice sender, struct slice rcpt)
{
    struct noted *t = &s->server->noted[clients_hash(&s->ip) % NOTED_NETS];
    uint32_t minute = (uint32_t)(clock_mono_ms() / 60000);
    uint64_t what = hash_bytes(slice_str(text)) + 3 * hash_bytes(sender) + 5 * hash_bytes(rcpt) + (uint64_t)code;
    if (what == s->noted) return false;
    if (t->minute != minute) *t = (struct noted){ .minute = minute };
    if (t->n >= NOTED_MOST) return false;
    t->n++;
    s->noted = what;
    return true;
}

_Static_assert(SESSION_REFUSAL_ROOM >= TEXT_SHOWN + 40, "a text with its reference fits");

const char *session_note_refusal(struct session *s, int code, const char *text, struct slice sender, struct slice rcpt,
                                 char room[SESSION_REFUSAL_ROOM])
{
    if (!s->server->o.store || !may_note(s, code, text, sender, rcpt)) return text;
    uint64_t ref = s->tx.id ? s->tx.id : queue_new_id(s->server->o.queue);
    format_text(text, ref, room, SESSION_REFUSAL_ROOM);
    tell_refusal(s, ref, code, room, sender, rcpt);
    return room;
}

/* ---- connect */

static void on_connect(struct session *s, const struct policy_verdict *v)
{
    s->greeted = true;
    if (!policy_refuses(v->outcome)) {
        session_say_greeting(s);
        return;
    }
    struct policy_verdict told = *v;
    told.code = v->outcome == POLICY_REJECT ? 554 : 421; /* RFC 5321 §4.3.2: what may stand for a greeting */
    session_policy_refuse(s, "connect", &told, SLICE(""));
    session_hang_up(s, "refused");
}

void session_greet(struct session *s)
{
    struct policy_verdict v;
    begin(s);
    if (session_ask(s, STAGE_CONNECT, &v, on_connect)) on_connect(s, &v);
}
