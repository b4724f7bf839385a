/* SPDX-License-Identifier: Apache-2.0
 * Mail that a worker sends by itself: alarms of the guards, for the log and the postmaster (who raises them sees to it that they stay few),
 * and the reports that the fetch process writes. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "proc/worker_int.h"

bool worker_submit(struct worker *w, struct envelope *e, struct slice text, queue_submit_cb *cb, void *arg, struct err *err)
{
    struct spool *sp = w->queue && !w->draining ? queue_spool(w->queue) : NULL;
    e->zone = SLICE("internet");
    if (!sp || spool_full(sp)) return err_set(err, "there is no room in the spool");
    return queue_submit_own(w->queue, e, text, cb, arg, err);
}

/* ---- alarms */

static void on_alarm_committed(void *arg, bool ok, const struct err *err)
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
    struct envelope e = { .flags = ENVELOPE_BOUNCE, .rcpts = &to, .rcpt_n = 1, .subject = slice_str(check) };
    log_event(LOG_ERROR, "alarm", LOG_STR("check", check), LOG_STR("text", text));
    format(w->config, check, text, &mail);
    (void)!worker_submit(w, &e, buf_slice(&mail), on_alarm_committed, w, &err);
    buf_deinit(&mail);
}

/* ---- reports that the fetch process writes */

struct report {
    struct worker *worker;
    uint64_t ticket;
};

static void on_report_committed(void *arg, bool ok, const struct err *err)
{
    struct report *r = arg;
    if (!ok) log_event(LOG_WARNING, "tls-report-not-written", LOG_ERR(err));
    fetch_submitted(r->worker->fetch, r->ticket, ok);
    free(r);
}

/* From the relay's own address, as its contact is somewhere else perhaps: what comes back is for the postmaster. */
void worker_on_fetch_message(void *arg, const json_t *m)
{
    struct worker *w = arg;
    struct fetch_mail mail;
    struct err err;
    if (!fetch_read_mail(m, &mail)) return;
    struct slice to = mail.to;
    struct envelope e = { .sender = slice_str(w->config->postmaster), .rcpts = &to, .rcpt_n = 1, .subject = SLICE("TLS report") };
    struct report *r = mem_new(struct report);
    *r = (struct report){ w, mail.ticket };
    if (worker_submit(w, &e, mail.text, on_report_committed, r, &err)) return;
    fetch_submitted(w->fetch, mail.ticket, false);
    free(r);
}

/* ---- the scan process: one for all workers, and each is told the same */

void worker_on_scan_message(void *arg, const json_t *m)
{
    struct worker *w = arg;
    if (!slice_eq(json_text(m, "op"), SLICE("state"))) return;
    json_decref(w->scan_state);
    w->scan_state = json_copy((json_t *)m);
    json_object_del(w->scan_state, "op");
}
