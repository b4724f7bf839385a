/* SPDX-License-Identifier: Apache-2.0
 * Jobs of the quarantine: to the threads and back. */
#include <stdlib.h>
#include <unistd.h>
#include "store/quarantine_int.h"

#define THREADS 4
#define WAITING_MAX 1024

static struct job *job_of_task(struct task *t) { return container_of(t, struct job, task); }
struct job *job_of(struct list *node) { return job_of_task(list_entry(node, struct task, node)); }

static void run(struct task *t) { job_of_task(t)->run(job_of_task(t)); }

static void finish(struct task *t)
{
    struct job *j = job_of_task(t);
    j->done(j);
    job_free(j);
}

bool jobs_open(struct quarantine *q, struct err *err)
{
    task_owner_init(&q->running);
    q->tasks = tasks_new(q->base, run, finish, err);
    q->pool = q->tasks ? pool_new(THREADS, WAITING_MAX, err) : NULL;
    return q->pool != NULL;
}

void jobs_close(struct quarantine *q) { tasks_free(q->tasks); }

struct job *job_new(struct quarantine *q, uint64_t id, void (*job_run)(struct job *j), void (*done)(struct job *j))
{
    struct job *j = mem_new(struct job);
    *j = (struct job){ .q = q, .id = id, .run = job_run, .done = done, .envelope_fd = -1, .fd = -1 };
    return j;
}

bool job_start(struct job *j)
{
    struct quarantine *q = j->q;
    return !q->dead && task_start(q->tasks, q->pool, &q->running, &j->task);
}

void job_free(struct job *j)
{
    if (j->envelope_fd >= 0) close(j->envelope_fd);
    if (j->fd >= 0) close(j->fd);
    arena_deinit(&j->arena);
    buf_deinit(&j->encoded);
    json_decref(j->answer);
    free(j->notes);
    free(j->as);
    free(j->by);
    free(j->found);
    free(j);
}

void job_add_notes(struct job *j)
{
    j->ok = quarantine_file_add_notes(j->q->root, j->id, j->notes, j->note_n, &j->size, &j->err);
}

void job_read_notes(struct job *j, int fd)
{
    uint64_t n = quarantine_note_count(&j->head, j->size);
    j->notes = mem_zalloc((size_t)(n + 1) * sizeof *j->notes);
    for (uint64_t i = 0; i < n; i++) j->note_n += quarantine_file_note(fd, &j->head, i, &j->notes[j->note_n]);
}

bool job_add_row(struct job *j)
{
    struct quarantine *q = j->q;
    bool ok = quarantine_index_add(&q->index, &j->head, &j->envelope, j->size);
    for (size_t i = 0; ok && i < j->note_n; i++) ok = quarantine_index_note(&q->index, j->id, &j->notes[i], j->size);
    if (!ok) sync_wanted(q);
    return ok;
}

bool job_busy(const struct quarantine *q, uint64_t id)
{
    if (!id) return false;
    list_each(it, &q->running.tasks) {
        const struct job *j = job_of(it);
        if (j->id == id && !j->reads) return true;
    }
    return false;
}
