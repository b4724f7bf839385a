/* SPDX-License-Identifier: Apache-2.0
 * The flush thread: takes all that was handed over since its last turn, has it written, and starts again. */
#include "spool/private.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/clock.h"

static void wait_ms(struct flush *f, uint64_t ms)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += (time_t)(ms / 1000);
    ts.tv_nsec += (long)(ms % 1000) * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    f->sleeping = true;
    pthread_cond_timedwait(&f->wake, &f->lock, &ts);
    f->sleeping = false;
}

/* Called and left with the lock held. */
static void idle(struct spool *sp)
{
    struct flush *f = &sp->flush;
    uint64_t ms = 0;
    pthread_mutex_unlock(&f->lock);
    bool more = log_idle(sp, &ms);
    pthread_mutex_lock(&f->lock);
    if (f->stop || !list_empty(&f->incoming)) return;
    if (more) {
        if (ms) wait_ms(f, ms);
        return;
    }
    f->sleeping = true;
    pthread_cond_wait(&f->wake, &f->lock);
    f->sleeping = false;
}

/* All that came in; false: it is time to end. After a failure only news make it try again before the pause is over. */
static bool take_incoming(struct spool *sp, struct list *todo)
{
    struct flush *f = &sp->flush;
    list_init(todo);
    pthread_mutex_lock(&f->lock);
    for (;;) {
        uint64_t now = clock_mono_ms();
        bool any = !list_empty(&f->incoming);
        if (f->stop || (any && (f->urgent || now >= f->retry_at))) break;
        if (any)
            wait_ms(f, f->retry_at - now);
        else
            idle(sp);
    }
    f->urgent = false;
    list_move_all(&f->incoming, todo);
    bool go_on = !f->stop || !list_empty(todo);
    if (f->stop) f->retry_at = 0; /* a last try */
    pthread_mutex_unlock(&f->lock);
    return go_on;
}

static void *flush_main(void *arg)
{
    struct list todo;
    while (take_incoming(arg, &todo)) log_write(arg, &todo);
    return NULL;
}

void flush_handover(struct spool *sp, struct list *items)
{
    struct flush *f = &sp->flush;
    if (list_empty(items)) return;
    pthread_mutex_lock(&f->lock);
    list_move_all(items, &f->incoming);
    f->urgent = true;
    if (f->sleeping) pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
}

/* ---- the next segment */

int flush_next_segment(struct spool *sp)
{
    struct flush *f = &sp->flush;
    struct err err = { 0 };
    pthread_mutex_lock(&f->lock);
    while (f->making) pthread_cond_wait(&f->made, &f->lock);
    struct made_segment m = f->next;
    f->next.fd = -1;
    uint64_t sequence = m.fd < 0 ? f->next_sequence++ : 0;
    pthread_mutex_unlock(&f->lock);
    if (m.fd < 0 && !segment_make(sp, sequence, &m, &err)) return err.code ? err.code : EIO;
    f->cur = m;
    f->pos = f->synced = f->zeroed = f->marked = SEGMENT_HEAD;
    return 0;
}

struct ahead_job {
    struct job job;
    uint64_t sequence;
    bool ok;
    struct err err;
};

static void ahead_run(struct spool *sp, struct job *j)
{
    struct ahead_job *a = container_of(j, struct ahead_job, job);
    struct flush *f = &sp->flush;
    struct made_segment m;
    a->ok = segment_make(sp, a->sequence, &m, &a->err);
    pthread_mutex_lock(&f->lock);
    if (a->ok) f->next = m;
    f->making = false;
    pthread_cond_broadcast(&f->made);
    pthread_mutex_unlock(&f->lock);
}

static void ahead_done(struct spool *sp, struct job *j)
{
    struct ahead_job *a = container_of(j, struct ahead_job, job);
    if (!a->ok) spool_lack_of_space(sp, a->err.code);
    free(a);
}

void flush_ahead(struct spool *sp)
{
    struct flush *f = &sp->flush;
    pthread_mutex_lock(&f->lock);
    bool make = f->next.fd < 0 && !f->making && !f->stop;
    uint64_t sequence = make ? f->next_sequence++ : 0;
    if (make) f->making = true;
    pthread_mutex_unlock(&f->lock);
    if (!make) return;
    struct ahead_job *a = mem_new(struct ahead_job);
    a->job = (struct job){ .run = ahead_run, .done = ahead_done };
    a->sequence = sequence;
    pool_submit(sp, &a->job);
}

/* ---- begin and end */

bool flush_start(struct spool *sp, struct err *err)
{
    struct flush *f = &sp->flush;
    f->pos = f->synced = f->zeroed = f->marked = SEGMENT_HEAD;
    f->iov = mem_alloc(IOV_MAX * sizeof *f->iov);
    return thread_start(&f->thread, flush_main, sp, err);
}

void flush_stop(struct spool *sp)
{
    struct flush *f = &sp->flush;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    if (f->cur.fd >= 0 && !log_end(sp, RECORD_CLEAN)) close(f->cur.fd);
    if (f->next.fd >= 0) close(f->next.fd); /* empty: the next owner makes a spare of it */
    f->cur.fd = f->next.fd = -1;
    free(f->iov);
    f->iov = NULL;
}
