/* SPDX-License-Identifier: Apache-2.0
 * The way of tasks to threads and back: a list under a lock, and an eventfd that wakes the loop. */
#include "base/task.h"
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct tasks {
    void (*run)(struct task *t);
    void (*done)(struct task *t);
    pthread_mutex_t lock;
    pthread_cond_t idle;       /* outstanding is 0 */
    struct list ready;         /* under the lock: tasks that were run, by task.done */
    unsigned outstanding;      /* under the lock: tasks that were not */
    int fd;
    struct event *wake;
};

/* ---- in a thread */

static void run(void *arg)
{
    struct task *t = arg;
    struct tasks *all = t->all;
    uint64_t one = 1;
    all->run(t);
    pthread_mutex_lock(&all->lock);
    list_push_back(&all->ready, &t->done);
    if (write(all->fd, &one, sizeof one) < 0) abort(); /* it cannot be full; under the lock: nobody closes it meanwhile */
    if (!--all->outstanding) pthread_cond_signal(&all->idle);
    pthread_mutex_unlock(&all->lock);
}

/* ---- on the loop */

static void leave_owner(struct task *t)
{
    if (!t->owner) return;
    list_remove(&t->node);
    t->owner->n--;
}

static void take(struct tasks *all)
{
    struct list ready, *node;
    list_init(&ready);
    pthread_mutex_lock(&all->lock);
    while ((node = list_pop_front(&all->ready))) list_push_back(&ready, node);
    pthread_mutex_unlock(&all->lock);
    while ((node = list_pop_front(&ready))) {
        struct task *t = list_entry(node, struct task, done);
        leave_owner(t);
        all->done(t);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t n;
    if (read(fd, &n, sizeof n) > 0) take(arg);
}

bool task_start(struct tasks *all, struct pool *pool, struct task_owner *owner, struct task *t)
{
    t->all = all;
    t->owner = owner;
    atomic_store(&t->gone, false);
    pthread_mutex_lock(&all->lock);
    all->outstanding++;
    pthread_mutex_unlock(&all->lock);
    if (pool_add(pool, run, t)) {
        if (owner) list_push_back(&owner->tasks, &t->node);
        if (owner) owner->n++;
        return true;
    }
    pthread_mutex_lock(&all->lock);
    all->outstanding--;
    pthread_mutex_unlock(&all->lock);
    return false;
}

void task_owner_init(struct task_owner *o)
{
    list_init(&o->tasks);
    o->n = 0;
}

void task_owner_gone(struct task_owner *o)
{
    list_each_safe(it, &o->tasks) {
        struct task *t = list_entry(it, struct task, node);
        leave_owner(t);
        t->owner = NULL;
        atomic_store(&t->gone, true);
    }
}

/* ---- all of them */

struct tasks *tasks_new(struct event_base *base, void (*task_run)(struct task *t), void (*done)(struct task *t), struct err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        err_set_sys(err, errno, "eventfd");
        return NULL;
    }
    struct tasks *all = mem_new(struct tasks);
    *all = (struct tasks){ .run = task_run, .done = done, .fd = fd };
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->idle, NULL);
    list_init(&all->ready);
    all->wake = event_new(base, fd, EV_READ | EV_PERSIST, on_wake, all);
    event_add(all->wake, NULL);
    return all;
}

void tasks_free(struct tasks *all)
{
    for (bool more = true; more; take(all)) { /* one that is done may start the next */
        pthread_mutex_lock(&all->lock);
        while (all->outstanding) pthread_cond_wait(&all->idle, &all->lock);
        more = !list_empty(&all->ready);
        pthread_mutex_unlock(&all->lock);
    }
    event_free(all->wake);
    close(all->fd);
    pthread_mutex_destroy(&all->lock);
    pthread_cond_destroy(&all->idle);
    free(all);
}
