/* SPDX-License-Identifier: Apache-2.0
 * The quarantine's life: its bounds, what expires, its figures. */
#include "store/quarantine.h"
#include <stdlib.h>
#include "base/clock.h"
#include "store/quarantine_int.h"

#define TICK_MS 250

/* One at a time: nobody waits for it. */
void quarantine_expire(struct quarantine *q)
{
    uint64_t id, now = clock_wall_ms(), keep = q->limits.keep;
    if (!keep || keep >= now || q->expiring || q->sync.phase != SYNC_IDLE) return;
    if (quarantine_index_oldest(&q->index, now - keep, &id)) request_remove(q, id);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct quarantine *q = arg;
    db_tend(&q->index.db, clock_mono_ms());
    quarantine_index_tend(&q->index);
    sync_tend(q);
    quarantine_expire(q);
}

void quarantine_set_limits(struct quarantine *q, const struct quarantine_limits *limits)
{
    q->limits = *limits;
    q->full_told = false;
    q->full_until = 0;
}

static void make_root(struct quarantine *q, const char *directory)
{
    struct buf path = { 0 };
    struct err err;
    buf_addf(&path, "%s/quarantine", directory);
    q->root = mem_strdup(buf_cstr(&path));
    buf_deinit(&path);
    if (!quarantine_root_make(q->root, &err)) log_event(LOG_ERROR, "quarantine-unreadable", LOG_ERR(&err)); /* tried again for each message */
}

struct quarantine *quarantine_new(struct event_base *base, const char *directory, const struct quarantine_limits *limits,
                                  struct history *history, struct err *err)
{
    struct quarantine *q = mem_new(struct quarantine);
    *q = (struct quarantine){ .base = base, .limits = *limits, .history = history };
    list_init(&q->keepers);
    list_init(&q->queries);
    make_root(q, directory);
    bool index = quarantine_index_open(&q->index, directory, err);
    if (!index || !jobs_open(q, err)) { /* the process ends */
        if (index) quarantine_index_close(&q->index);
        free(q->root);
        free(q);
        return NULL;
    }
    sync_open(q);
    q->tick = event_new(base, -1, EV_PERSIST, on_tick, q);
    event_add(q->tick, &(struct timeval){ 0, TICK_MS * 1000 });
    sync_tend(q);
    return q;
}

void quarantine_free(struct quarantine *q)
{
    if (!q) return;
    keepers_close(q);
    queries_close(q, NULL);
    list_each(it, &q->running.tasks) job_of(it)->asker.reply = NULL;
    q->dead = true; /* what ends now starts nothing */
    jobs_close(q);
    sync_close(q);
    event_free(q->tick);
    if (q->querying) event_free(q->querying);
    quarantine_index_close(&q->index);
    free(q->root);
    free(q);
}

json_t *quarantine_figures(const struct quarantine *q)
{
    const struct quarantine_index *x = &q->index;
    return json_pack("{s:I, s:I, s:I, s:I, s:b, s:b, s:b}", "messages", (json_int_t)x->messages, "held", (json_int_t)x->held, "bytes",
                     (json_int_t)x->bytes, "size", (json_int_t)q->limits.size, "full", q->full_until > clock_mono_ms(), "reading",
                     q->sync.phase != SYNC_IDLE, "writing", !x->db.off_until);
}
