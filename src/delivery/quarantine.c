/* SPDX-License-Identifier: Apache-2.0
 * Messages for the quarantine: instead of being routed they are handed to the store process, and leave the spool when it has them on disk.
 * While it cannot take them they wait here, however long that is: they were acknowledged, and nobody else must see them. */
#include <stdlib.h>
#include "delivery/internal.h"
#include "store/quarantine_link.h"

#define FIRST_MS 1000
#define LONGEST_MS 300000
#define AT_ONCE 100    /* more would keep room from other mail when the store is slow */
#define ENOUGH_MS 1000 /* about so long one waits for which there was no room */

static void put_off(struct work *w, const char *why)
{
    struct queue *q = w->q;
    struct message *m = w->m;
    char reason[256];
    int n = snprintf(reason, sizeof reason, "4.3.0 waiting for the quarantine: %s", why);
    uint64_t delay = retry_delay(FIRST_MS, LONGEST_MS, m->attempts, queue_random(q));
    message_set_reason(m, slice_of(reason, n < (int)sizeof reason ? (size_t)n : sizeof reason - 1), SLICE("quarantine"));
    char *by = work_take_by(w);
    work_free(w);
    if (m->flags & MESSAGE_DELETE) {
        history_tell_by(m, HISTORY_DELETED, by, SLICE(""));
        free(by);
        message_done(m);
        return;
    }
    if (m->flags & MESSAGE_HOLD) {
        message_hold(m);
        history_tell_by(m, HISTORY_HELD, by, SLICE(""));
    } else {
        log_event(LOG_WARNING, "quarantine-waits", LOG_ID(m->spool.id), LOG_STR("reason", why), LOG_NUM("again_ms", delay));
        if (m->attempts < UINT16_MAX) m->attempts++;
        message_defer(m, clock_wall_ms() + delay);
    }
    free(by);
    message_save(m);
}

static void on_kept(void *arg, bool kept, const char *why)
{
    struct work *w = arg;
    struct message *m = w->m;
    w->transfer = NULL;
    w->q->transfers--;
    if (!kept) {
        put_off(w, why);
        return;
    }
    crash_point("quarantine-acknowledged");
    log_event(LOG_INFO, "quarantined", LOG_ID(m->spool.id), LOG_TEXT("from", w->env.sender), LOG_NUM("recipients", m->rcpt_n),
              LOG_STR("kind", envelope_quarantine_name(w->env.quarantine)), LOG_TEXT("reason", w->env.hold));
    work_free(w);
    message_done(m);
}

void work_quarantine(struct work *w)
{
    struct queue *q = w->q;
    struct message *m = w->m;
    struct spool_share share;
    struct err err;
    m->flags &= (uint8_t)~MESSAGE_FORCE;
    if (q->transfers >= AT_ONCE) {
        work_free(w);
        message_defer(m, clock_wall_ms() + ENOUGH_MS / 2 + queue_random(q) % ENOUGH_MS);
    } else if (!q->o.quarantine) {
        put_off(w, "there is none");
    } else if (!spool_content_share(w->content, &share, &err)) {
        put_off(w, err.text);
    } else {
        work_hold(w); /* nobody else may end it */
        q->transfers++;
        w->transfer = quarantine_keep(q->o.quarantine, m->spool.id, w->content->envelope, share.fd, share.offset, share.size, on_kept, w);
    }
}

void work_quarantine_cancel(struct work *w)
{
    if (!w->transfer) return;
    quarantine_cancel(&w->transfer);
    w->q->transfers--;
}
