/* SPDX-License-Identifier: Apache-2.0
 * Threads for what may take long, and the way back to the loop. Threads are started as they are needed. */
#include "spool/private.h"
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_SIZE (256 << 10)

void mutex_and_cond_init(pthread_mutex_t *m, pthread_cond_t *c)
{
    pthread_condattr_t a;
    pthread_mutex_init(m, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(c, &a);
    pthread_condattr_destroy(&a);
}

bool thread_start(pthread_t *t, void *(*run)(void *), void *arg, struct err *err)
{
    sigset_t all, before;
    pthread_attr_t a;
    sigfillset(&all);
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(t, &a, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&a);
    return !error || err_sys(err, error, "cannot start a thread of the spool");
}

/* ---- the way back */

static void wake_loop(struct outbox *o)
{
    uint64_t one = 1;
    while (write(o->fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

void list_move_all(struct list *from, struct list *to)
{
    if (list_empty(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

void outbox_put_items(struct spool *sp, struct list *items)
{
    struct outbox *o = &sp->outbox;
    if (list_empty(items)) return;
    pthread_mutex_lock(&o->lock);
    bool first = list_empty(&o->items) && list_empty(&o->jobs);
    list_move_all(items, &o->items);
    pthread_mutex_unlock(&o->lock);
    if (first) wake_loop(o);
}

static void outbox_put_job(struct outbox *o, struct job *j)
{
    pthread_mutex_lock(&o->lock);
    bool first = list_empty(&o->items) && list_empty(&o->jobs);
    list_push_back(&o->jobs, &j->link);
    pthread_mutex_unlock(&o->lock);
    if (first) wake_loop(o);
}

/* The lists are kept in the outbox while they are worked on, as a callback may close the spool, which takes them. */
bool outbox_take(struct spool *sp)
{
    struct outbox *o = &sp->outbox;
    struct list *node;
    uint64_t count;
    while (read(o->fd, &count, sizeof count) < 0 && errno == EINTR) {}
    pthread_mutex_lock(&o->lock);
    list_move_all(&o->items, &o->taken_items);
    list_move_all(&o->jobs, &o->taken_jobs);
    pthread_mutex_unlock(&o->lock);
    bool any = !list_empty(&o->taken_items) || !list_empty(&o->taken_jobs);
    spool_enter(sp);
    while ((node = list_pop_front(&o->taken_items))) {
        struct item *it = list_entry(node, struct item, link);
        if (!it->internal && it->handed) sp->in_flight--;
        it->done(sp, it);
    }
    while ((node = list_pop_front(&o->taken_jobs))) {
        struct job *j = list_entry(node, struct job, link);
        sp->pool.outstanding--;
        j->done(sp, j);
    }
    if (any && !sp->closed) {
        sync_waits_check(sp);
        draft_relieve(sp);
    }
    spool_leave(sp);
    return any;
}

static void on_outbox(evutil_socket_t fd, short what, void *arg)
{
    outbox_take(arg);
}

bool outbox_init(struct spool *sp, struct err *err)
{
    struct outbox *o = &sp->outbox;
    pthread_mutex_init(&o->lock, NULL);
    list_init(&o->items);
    list_init(&o->jobs);
    list_init(&o->taken_items);
    list_init(&o->taken_jobs);
    o->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (o->fd < 0) return err_sys(err, errno, "cannot make an eventfd");
    o->event = event_new(sp->base, o->fd, EV_READ | EV_PERSIST, on_outbox, sp);
    if (!o->event || event_add(o->event, NULL) != 0) return err_set(err, "cannot watch the spool's eventfd");
    return true;
}

void outbox_deinit(struct spool *sp)
{
    if (sp->outbox.event) event_free(sp->outbox.event);
    if (sp->outbox.fd >= 0) close(sp->outbox.fd);
    pthread_mutex_destroy(&sp->outbox.lock);
}

/* ---- the pool */

static struct job *take_job(struct pool *p)
{
    struct list *node = list_pop_front(&p->fast);
    if (!node && p->slow_running < POOL_THREADS - 1 && (node = list_pop_front(&p->slow))) p->slow_running++;
    if (node) p->queued--;
    return node ? list_entry(node, struct job, link) : NULL;
}

static void *pool_main(void *arg)
{
    struct spool *sp = arg;
    struct pool *p = &sp->pool;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct job *j = take_job(p);
        if (!j) {
            if (p->stop) break;
            p->idle++;
            pthread_cond_wait(&p->wake, &p->lock);
            p->idle--;
            continue;
        }
        bool slow = j->slow;
        pthread_mutex_unlock(&p->lock);
        j->run(sp, j);
        outbox_put_job(&sp->outbox, j);
        pthread_mutex_lock(&p->lock);
        if (slow) p->slow_running--;
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

bool pool_init(struct spool *sp, struct err *err)
{
    struct pool *p = &sp->pool;
    mutex_and_cond_init(&p->lock, &p->wake);
    list_init(&p->fast);
    list_init(&p->slow);
    if (!thread_start(&p->threads[0], pool_main, sp, err)) return false;
    p->thread_n = 1;
    return true;
}

void pool_submit(struct spool *sp, struct job *j)
{
    struct pool *p = &sp->pool;
    struct err ignored; /* the threads there are do it, only later */
    p->outstanding++;
    pthread_mutex_lock(&p->lock);
    list_push_back(j->slow ? &p->slow : &p->fast, &j->link);
    bool more = ++p->queued > p->idle && p->thread_n < POOL_THREADS;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    if (more && thread_start(&p->threads[p->thread_n], pool_main, sp, &ignored)) p->thread_n++;
}

void pool_deinit(struct spool *sp)
{
    struct pool *p = &sp->pool;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->thread_n; i++) pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
}
