/* SPDX-License-Identifier: Apache-2.0
 * The index is brought in line with the files: at the start, when it was begun anew, when writing to it failed. Folder by folder, and then row
 * by row, so that mail goes on meanwhile. A file is read only when its row is missing or speaks of another size, as each note makes a
 * file longer. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "store/quarantine_int.h"

#define FILES_PER_TURN 200
#define ROWS_PER_TURN 200
#define AGAIN_MS 60000           /* after an attempt that could not be finished */

static void step_soon(struct quarantine *q)
{
    event_add(q->sync.timer, &(struct timeval){ 0, 0 });
}

static void give_up(struct quarantine *q)
{
    q->sync.phase = SYNC_IDLE;
    q->sync.again_at = clock_mono_ms() + AGAIN_MS;
}

/* ---- a folder's names */

static void add_found(void *arg, uint64_t id, uint64_t size, bool rest)
{
    struct job *j = arg;
    if (j->found_n % 256 == 0) j->found = mem_grow(j->found, j->found_n + 256, sizeof *j->found);
    j->found[j->found_n++] = (struct found){ .id = id, .size = size, .rest = rest };
}

static void run_folder(struct job *j)
{
    j->ok = quarantine_folder_read(j->q->root, j->folder, add_found, j, &j->err);
}

static void done_folder(struct job *j)
{
    struct sync *s = &j->q->sync;
    if (!j->ok) {
        log_event(LOG_ERROR, "quarantine-unreadable", LOG_ERR(&j->err));
        give_up(j->q);
        return;
    }
    s->found = j->found;
    s->found_n = j->found_n;
    s->at = 0;
    s->listed = true;
    j->found = NULL;
    step_soon(j->q);
}

static void forget_folder(struct sync *s)
{
    free(s->found);
    s->found = NULL;
    s->found_n = 0;
    s->listed = false;
}

static void start_folder(struct quarantine *q)
{
    struct job *j = job_new(q, 0, run_folder, done_folder);
    j->folder = q->sync.folder;
    if (job_start(j)) return;
    job_free(j);
    give_up(q);
}

/* ---- a file's row */

static void run_file(struct job *j)
{
    int fd = quarantine_file_open(j->q->root, j->id, &j->err);
    if (fd < 0) return;
    j->ok = quarantine_file_read(fd, &j->head, &j->encoded, &j->size, &j->err);
    if (j->ok) j->ok = j->head.id == j->id && envelope_decode(buf_slice(&j->encoded), &j->arena, &j->envelope, &j->err);
    if (j->ok) job_read_notes(j, fd);
    else if (!j->err.code || j->err.code == EBADMSG) j->known = quarantine_file_set_aside(j->q->root, j->id);
    close(fd);
}

static void done_file(struct job *j)
{
    struct quarantine *q = j->q;
    if (j->ok) {
        q->sync.added += job_add_row(j);
    } else if (j->err.code != ENOENT) {
        log_event(LOG_ERROR, "quarantine-damaged", LOG_ID(j->id), LOG_ERR(&j->err),
                  LOG_STR("done", j->known ? "put aside as .damaged" : "left alone"));
        (void)quarantine_index_drop(&q->index, j->id);
        q->sync.damaged++;
    }
    step_soon(q);
}

/* True: its file is being read. */
static bool look_at(struct quarantine *q, const struct found *f)
{
    uint64_t size;
    if (job_busy(q, f->id)) return false; /* whoever is at it keeps the row */
    if (f->rest) quarantine_folder_remove_rest(q->root, f->id);
    if (f->rest || (quarantine_index_size(&q->index, f->id, &size) && size == f->size)) return false;
    struct job *j = job_new(q, f->id, run_file, done_file);
    if (job_start(j)) return true;
    job_free(j);
    give_up(q);
    return true;
}

static void step_files(struct quarantine *q)
{
    struct sync *s = &q->sync;
    for (unsigned n = 0; s->at < s->found_n; n++) {
        if (n == FILES_PER_TURN) {
            step_soon(q);
            return;
        }
        if (look_at(q, &s->found[s->at++])) return;
    }
    forget_folder(s);
    if (++s->folder < QUARANTINE_FOLDERS) {
        start_folder(q);
        return;
    }
    s->phase = SYNC_ROWS;
    s->after = 0;
    step_soon(q);
}

/* ---- rows without a file */

static void run_rows(struct job *j)
{
    for (size_t i = 0; i < j->found_n; i++) {
        struct err err;
        int fd = quarantine_file_open(j->q->root, j->found[i].id, &err);
        j->found[i].rest = fd < 0 && err.code == ENOENT;
        if (fd >= 0) close(fd);
    }
}

static void done_rows(struct job *j)
{
    struct quarantine *q = j->q;
    for (size_t i = 0; i < j->found_n; i++) {
        if (!j->found[i].rest || job_busy(q, j->found[i].id)) continue;
        log_event(LOG_WARNING, "quarantine-file-missing", LOG_ID(j->found[i].id));
        (void)quarantine_index_drop(&q->index, j->found[i].id);
        q->sync.dropped++;
    }
    step_soon(q);
}

static void end_sync(struct quarantine *q)
{
    struct sync *s = &q->sync;
    s->phase = SYNC_IDLE;
    if (s->added + s->dropped + s->damaged)
        log_event(LOG_INFO, "quarantine-index-mended", LOG_NUM("added", s->added), LOG_NUM("dropped", s->dropped),
                  LOG_NUM("damaged", s->damaged));
}

static void step_rows(struct quarantine *q)
{
    uint64_t ids[ROWS_PER_TURN];
    size_t n = quarantine_index_next(&q->index, q->sync.after, ids, ROWS_PER_TURN);
    if (!n) {
        end_sync(q);
        return;
    }
    struct job *j = job_new(q, 0, run_rows, done_rows);
    for (size_t i = 0; i < n; i++) add_found(j, ids[i], 0, false);
    q->sync.after = ids[n - 1];
    if (job_start(j)) return;
    job_free(j);
    give_up(q);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
    struct quarantine *q = arg;
    if (q->sync.phase == SYNC_FOLDERS && q->sync.listed) step_files(q);
    else if (q->sync.phase == SYNC_ROWS) step_rows(q);
}

/* ---- beginning and end */

void sync_wanted(struct quarantine *q)
{
    if (!q->sync.again_at) q->sync.again_at = clock_mono_ms() + AGAIN_MS;
}

void sync_tend(struct quarantine *q)
{
    struct sync *s = &q->sync;
    const struct quarantine_index *x = &q->index;
    bool changed = s->opened != x->opened || s->rollbacks != x->db.rollbacks;
    if (s->phase != SYNC_IDLE || !x->db.sql || x->db.damaged || x->db.off_until) return;
    if (!changed && (!s->again_at || s->again_at > clock_mono_ms())) return;
    forget_folder(s);
    *s = (struct sync){ .phase = SYNC_FOLDERS, .timer = s->timer, .opened = x->opened, .rollbacks = x->db.rollbacks };
    start_folder(q);
}

void sync_open(struct quarantine *q)
{
    q->sync.timer = evtimer_new(q->base, on_step, q);
}

void sync_close(struct quarantine *q)
{
    q->sync.phase = SYNC_IDLE;
    forget_folder(&q->sync);
    if (q->sync.timer) event_free(q->sync.timer);
    q->sync.timer = NULL;
}
