/* SPDX-License-Identifier: Apache-2.0
 * Alarms of the guards: a line in the log and a mail to the postmaster. Who raises them sees to it that they stay few. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "proc/worker_int.h"

static void on_committed(void *arg, bool ok, const struct err *err)
{
    if (!ok) log_event(LOG_WARNING, "alarm-not-written", LOG_ERR(err));
}

static void format(const struct config *c, const char *check, const char *text, struct buf *out)
{
    buf_addf(out, "From: <%s>\r\nTo: <%s>\r\nSubject: %s: %s\r\nDate: ", c->postmaster, c->postmaster, c->hostname, check);
    clock_add_rfc5322(out, clock_wall_ms());
    buf_addf(out, "\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                  "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    for (size_t width = 0; *text; text++) { /* lines of a readable length */
        bool turn = *text == ' ' && width > 65;
        buf_add(out, turn ? SLICE("\r\n") : slice_of(text, 1));
        width = turn ? 0 : width + 1;
    }
    buf_add(out, SLICE("\r\n"));
}

void worker_alarm(void *arg, const char *check, const char *text)
{
    struct worker *w = arg;
    struct err err;
    struct buf mail = { 0 };
    struct slice to = slice_str(w->config->postmaster);
    struct spool *sp = w->queue && !w->draining ? queue_spool(w->queue) : NULL;
    struct spool_draft *draft = sp && !spool_full(sp) ? spool_draft_new(sp) : NULL;
    log_event(LOG_ERROR, "alarm", LOG_STR("check", check), LOG_STR("text", text));
    format(w->config, check, text, &mail);
    if (draft && spool_draft_append(draft, buf_slice(&mail), &err)) {
        struct envelope e = { .id = queue_new_id(w->queue), .arrival = clock_wall_ms(), .flags = ENVELOPE_BOUNCE,
                              .zone = SLICE("internet"), .rcpts = &to, .rcpt_n = 1, .text_size = mail.n, .subject = slice_str(check) };
        queue_submit(w->queue, draft, &e, on_committed, w);
    } else spool_draft_free(&draft);
    buf_deinit(&mail);
}
