/* SPDX-License-Identifier: Apache-2.0
 * Jobs of the quarantine: to the threads and back. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "store/quarantine_int.h"

#define THREADS 4
#define WAITING_MAX 1024

static void run(void *arg)
{
    struct job *j = arg;
    struct quarantine *q = j->q;
    uint64_t one = 1;
    j->run(j);
    pthread_mutex_lock(&q->lock);
    list_push_back(&q->ready, &j->ready);
    q->outstanding--;
    ssize_t k = write(q->wake_fd, &one, sizeof one); /* under the lock: nobody closes it meanwhile */
    if (!q->outstanding) pthread_cond_signal(&q->idle);
    pthread_mutex_unlock(&q->lock);
    (void)k;
}

static struct job *take(struct quarantine *q)
{
    pthread_mutex_lock(&q->lock);
    struct list *node = list_pop_front(&q->ready);
    pthread_mutex_unlock(&q->lock);
    return node ? list_entry(node, struct job, ready) : NULL;
}

static void finish(struct job *j)
{
    list_remove(&j->node); /* what it does next may be about the same message */
    j->done(j);
    job_free(j);
}

static void on_woken(evutil_socket_t fd, short what, void *arg)
{
    struct quarantine *q = arg;
    uint64_t n;
    ssize_t k = read(fd, &n, sizeof n);
    (void)k;
    for (struct job *j; (j = take(q));) finish(j);
}

bool jobs_open(struct quarantine *q, struct err *err)
{
    list_init(&q->ready);
    list_init(&q->running);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->idle, NULL);
    q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->wake_fd < 0) return err_sys(err, errno, "cannot make an eventfd");
    q->pool = pool_new(THREADS, WAITING_MAX, err);
    if (!q->pool) return false;
    q->woken = event_new(q->base, q->wake_fd, EV_READ | EV_PERSIST, on_woken, q);
    event_add(q->woken, NULL);
    return true;
}

void jobs_close(struct quarantine *q)
{
    pthread_mutex_lock(&q->lock);
    while (q->outstanding) pthread_cond_wait(&q->idle, &q->lock);
    pthread_mutex_unlock(&q->lock);
    for (struct job *j; (j = take(q));) finish(j);
    if (q->woken) event_free(q->woken);
    if (q->wake_fd >= 0) close(q->wake_fd);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->idle);
}

struct job *job_new(struct quarantine *q, uint64_t id, void (*job_run)(struct job *j), void (*done)(struct job *j))
{
    struct job *j = mem_new(struct job);
    *j = (struct job){ .q = q, .id = id, .run = job_run, .done = done, .envelope_fd = -1, .fd = -1 };
    return j;
}

bool job_start(struct job *j)
{
    struct quarantine *q = j->q;
    if (q->dead) return false;
    pthread_mutex_lock(&q->lock);
    q->outstanding++;
    pthread_mutex_unlock(&q->lock);
    list_push_back(&q->running, &j->node);
    if (pool_add(q->pool, run, j)) return true;
    list_remove(&j->node);
    pthread_mutex_lock(&q->lock);
    q->outstanding--;
    pthread_mutex_unlock(&q->lock);
    return false;
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
    list_each(it, &q->running) {
        const struct job *j = list_entry(it, struct job, node);
        if (j->id == id && !j->reads) return true;
    }
    return false;
}
