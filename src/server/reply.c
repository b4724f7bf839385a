/* SPDX-License-Identifier: Apache-2.0
 * Answers to the client and lines in the log. */
#include "smtp/reply.h"
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

void session_refuse(struct session *s, const char *stage, int code, const char *enhanced, const char *text,
                    struct slice about)
{
    char room[INTENDED_ROOM];
    s->errors++;
    s->refused++;
    log_event(LOG_INFO, "refused", LOG_SESSION(s->id), LOG_STR("stage", stage), LOG_IP("client", &s->ip),
              LOG_NUM("code", code), LOG_STR("status", enhanced), LOG_STR("text", text), LOG_TEXT("about", about),
              LOG_TEXT("from", s->tx.sender), intended_field(s, room));
    session_reply(s, code, enhanced, text);
}

void session_log(struct session *s, const char *event, const char *reason)
{
    log_event(LOG_INFO, event, LOG_SESSION(s->id), LOG_IP("client", &s->ip), LOG_STR("reason", reason),
              LOG_NUM("messages", s->messages), LOG_NUM("recipients", s->rcpts), LOG_NUM("refused", s->refused),
              LOG_NUM("bytes", s->bytes));
}
