/* SPDX-License-Identifier: Apache-2.0
 * Answers to the client and lines in the log. */
#include "smtp/reply.h"
#include <string.h>
#include "base/log.h"
#include "server/session.h"

void session_reply(struct session *s, int code, const char *enhanced, const char *text)
{
    struct buf *out = &s->server->scratch;
    if (!s->stream) return;
    buf_clear(out);
    reply_format(out, code, enhanced, slice_str(text));
    stream_write(s->stream, buf_slice(out));
}

static void refuse(struct session *s, const char *stage, int code, const char *enhanced, const char *text, struct slice about)
{
    char room[INTENDED_ROOM];
    s->errors++;
    s->refused++;
    log_event(LOG_INFO, "refused", LOG_SESSION(s->id), LOG_STR("stage", stage), LOG_IP("client", &s->ip),
              LOG_NUM("code", code), LOG_STR("status", enhanced), LOG_STR("text", text), LOG_TEXT("about", about),
              LOG_TEXT("from", s->tx.sender), intended_field(s, room));
    session_reply(s, code, enhanced, text);
}

/* A command out of order says nothing of a message. */
static bool is_of_message(const struct session *s, const char *enhanced)
{
    return s->phase >= SESSION_MAIL && s->phase <= SESSION_COMMIT && s->phase != SESSION_AUTH && strcmp(enhanced, "5.5.1") != 0;
}

void session_refuse(struct session *s, const char *stage, int code, const char *enhanced, const char *text, struct slice about)
{
    char room[SESSION_REFUSAL_ROOM];
    if (is_of_message(s, enhanced)) text = session_note_refusal(s, code, text, s->tx.sender, SLICE(""), room);
    refuse(s, stage, code, enhanced, text, about);
}

void session_refuse_mail(struct session *s, int code, const char *enhanced, const char *text, struct slice sender)
{
    char room[SESSION_REFUSAL_ROOM];
    refuse(s, "MAIL", code, enhanced, session_note_refusal(s, code, text, sender, SLICE(""), room), sender);
}

void session_refuse_rcpt(struct session *s, const char *stage, int code, const char *enhanced, const char *text, struct slice rcpt)
{
    char room[SESSION_REFUSAL_ROOM];
    if (is_of_message(s, enhanced)) text = session_note_refusal(s, code, text, s->tx.sender, rcpt, room);
    refuse(s, stage, code, enhanced, text, rcpt);
}

void session_log(struct session *s, const char *event, const char *reason)
{
    log_event(LOG_INFO, event, LOG_SESSION(s->id), LOG_IP("client", &s->ip), LOG_STR("reason", reason),
              LOG_NUM("messages", s->messages), LOG_NUM("recipients", s->rcpts), LOG_NUM("refused", s->refused),
              LOG_NUM("bytes", s->bytes));
}
