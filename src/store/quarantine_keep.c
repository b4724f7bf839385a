/* SPDX-License-Identifier: Apache-2.0
 * Messages come from workers: each is written by a thread, and acknowledged when it is on disk. A message that comes again was not heard
 * of by its worker, and is acknowledged again. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "spool/spool.h"
#include "store/quarantine_int.h"
#include "store/quarantine_link.h"

#define FULL_SHOWN_MS 600000

struct keeper {
    struct list node;
    struct quarantine *q;
    struct channel *channel;
    int envelope_fd;             /* of the message whose text comes next */
    uint64_t envelope_id, envelope_n;
};

static void tell(const struct keeper *k, uint64_t id, const char *state, const char *text)
{
    json_t *m = json_pack("{s:I, s:s, s:s}", "id", (json_int_t)id, "state", state, "text", text);
    channel_send(k->channel, m, -1);
    json_decref(m);
}

/* ---- in a thread */

static bool read_envelope(struct job *j)
{
    char *to = buf_reserve(&j->encoded, (size_t)j->envelope_n + 1);
    j->encoded.n = io_read_at(j->envelope_fd, to, (size_t)j->envelope_n, 0);
    if (j->encoded.n < j->envelope_n) return err_set(&j->err, "the envelope cannot be read");
    if (!envelope_decode(buf_slice(&j->encoded), &j->arena, &j->envelope, &j->err)) return false;
    bool fits = j->envelope.id == j->id && j->envelope.text_size == j->n;
    return fits || err_set(&j->err, "the envelope is of another message");
}

/* What became of it since it came first. */
static void read_known(struct job *j)
{
    struct err err;
    int fd = quarantine_file_open(j->q->root, j->id, &err);
    if (fd < 0) return;
    job_read_notes(j, fd);
    close(fd);
}

static void run_keep(struct job *j)
{
    j->head = (struct quarantine_head){ .id = j->id, .stored = clock_wall_ms() };
    crash_point("quarantine-received");
    if (!read_envelope(j)) return;
    struct quarantine_source from = { .envelope = buf_slice(&j->encoded), .fd = j->fd, .offset = j->offset, .n = j->n };
    j->ok = quarantine_file_write(j->q->root, &j->head, &from, &j->known, &j->size, &j->err);
    if (j->ok && j->known) read_known(j);
}

/* ---- on the loop */

static void add_row(struct job *j)
{
    uint64_t size;
    if (j->known && quarantine_index_size(&j->q->index, j->id, &size)) return;
    (void)job_add_row(j);
    tell_history(j->q, j->id, HISTORY_QUARANTINED, j->envelope.hold);
}

static void done_keep(struct job *j)
{
    struct quarantine *q = j->q;
    bool room = j->err.code == ENOSPC || j->err.code == EDQUOT;
    q->pending -= j->n;
    if (j->ok) {
        add_row(j);
        q->full_told = false;
    } else {
        log_event(LOG_ERROR, "quarantine-not-written", LOG_ID(j->id), LOG_ERR(&j->err));
        if (room) q->full_until = clock_mono_ms() + FULL_SHOWN_MS;
    }
    crash_point("quarantine-indexed");
    if (j->keeper) tell(j->keeper, j->id, j->ok ? "kept" : room ? "full" : "failed", j->ok ? "" : j->err.text);
    if (j->ok) crash_point("quarantine-told");
}

static bool is_full(struct quarantine *q, uint64_t more)
{
    uint64_t size = q->limits.size;
    if (!size || q->index.bytes + q->pending + more <= size) return false;
    q->full_until = clock_mono_ms() + FULL_SHOWN_MS;
    if (!q->full_told)
        log_event(LOG_ERROR, "quarantine-full", LOG_NUM("bytes", q->index.bytes), LOG_NUM("size", size),
                  LOG_STR("done", "what comes waits in the spool; make quarantine.size larger, or delete messages"));
    q->full_told = true;
    return true;
}

/* Takes the descriptors. */
static void start(struct keeper *k, uint64_t id, int fd, uint64_t offset, uint64_t n)
{
    struct quarantine *q = k->q;
    struct job *j = job_new(q, id, run_keep, done_keep);
    j->keeper = k;
    j->envelope_fd = k->envelope_fd;
    j->envelope_n = k->envelope_n;
    j->fd = fd;
    j->offset = offset;
    j->n = n;
    k->envelope_fd = -1;
    const char *state = NULL, *text = "";
    if (job_busy(q, id)) state = "busy";
    else if (is_full(q, n + j->envelope_n)) {
        state = "full";
        text = "quarantine.size is reached";
    } else {
        q->pending += n;
        if (job_start(j)) return;
        q->pending -= n;
        state = "busy";
    }
    tell(k, id, state, text);
    job_free(j);
}

static void keeper_free(struct keeper *k)
{
    list_each(it, &k->q->running.tasks) {
        struct job *j = job_of(it);
        if (j->keeper == k) j->keeper = NULL;
    }
    if (k->envelope_fd >= 0) close(k->envelope_fd);
    list_remove(&k->node);
    channel_free(&k->channel);
    free(k);
}

static uint64_t number(const json_t *m, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(m, key));
    return v > 0 ? (uint64_t)v : 0;
}

static void take_envelope(struct keeper *k, const json_t *m, int fd)
{
    if (k->envelope_fd >= 0) close(k->envelope_fd);
    k->envelope_fd = fd;
    k->envelope_id = number(m, "id");
    k->envelope_n = number(m, "size");
}

static void on_message(void *arg, const json_t *m, int fd)
{
    struct keeper *k = arg;
    const char *op = json_string_value(json_object_get(m, "op"));
    uint64_t id = number(m, "id"), n = number(m, "size");
    bool envelope = op && !strcmp(op, "envelope"), text = op && !strcmp(op, "text");
    if (fd >= 0 && envelope && id && n && n <= QUARANTINE_ENVELOPE_MAX) {
        take_envelope(k, m, fd);
    } else if (fd >= 0 && text && k->envelope_fd >= 0 && k->envelope_id == id && n < UINT64_C(1) << 48) {
        start(k, id, fd, number(m, "offset"), n);
    } else {
        if (fd >= 0) close(fd);
        log_event(LOG_ERROR, "store-protocol", LOG_STR("error", "a worker sent what makes no sense to the quarantine"));
    }
}

static void on_end(void *arg)
{
    keeper_free(arg);
}

void quarantine_add_worker(struct quarantine *q, int fd)
{
    struct keeper *k = mem_new(struct keeper);
    *k = (struct keeper){ .q = q, .envelope_fd = -1 };
    list_push_back(&q->keepers, &k->node);
    k->channel = channel_new(q->base, fd, on_message, on_end, k);
}

void keepers_close(struct quarantine *q)
{
    while (!list_empty(&q->keepers)) keeper_free(list_entry(q->keepers.next, struct keeper, node));
}
