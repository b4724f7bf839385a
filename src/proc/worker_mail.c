/* SPDX-License-Identifier: Apache-2.0
 * Mail that a worker sends by itself: alarms of the guards, for the log and the postmaster (who raises them sees to it that they stay few),
 * and the reports that the fetch process writes. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "notice/template.h"
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

/* The text is the checks': names, addresses and numbers in English sentences. */
static void format(const struct worker *w, const char *check, const char *text, struct buf *out)
{
    const struct config *c = w->config;
    const struct wording wording = { w->start->templates, (enum template_language)c->notices.language };
    const struct template_value values[] = {
        { .name = "hostname", .text = slice_str(c->hostname) }, { .name = "check", .text = slice_str(check) }, { .name = "text", .text = slice_str(text) },
    };
    struct buf body = { 0 };
    template_add_from(&wording, "notices-from", slice_str(c->postmaster), out);
    buf_addf(out, "To: <%s>\r\n", c->postmaster);
    template_add_subject(&wording, TEMPLATE_ALARM, values, countof(values), out);
    buf_add_str(out, "Date: ");
    clock_add_rfc5322(out, clock_wall_ms());
    buf_add_str(out, "\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
    template_add_body(&wording, TEMPLATE_ALARM, values, countof(values), &body);
    template_add_part(&wording, "text/plain", buf_slice(&body), out);
    buf_deinit(&body);
}

void worker_alarm(void *arg, const char *check, const char *text)
{
    struct worker *w = arg;
    struct err err;
    struct buf mail = { 0 };
    struct slice to = slice_str(w->config->postmaster);
    struct envelope e = { .flags = ENVELOPE_BOUNCE, .rcpts = &to, .rcpt_n = 1, .subject = slice_str(check) };
    log_event(LOG_ERROR, "alarm", LOG_STR("check", check), LOG_STR("text", text));
    format(w, check, text, &mail);
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
