/* SPDX-License-Identifier: Apache-2.0
 * Threads and the queue before them. */
#include "base/pool.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "base/list.h"
#include "base/mem.h"

struct job {
    struct list node;
    void (*run)(void *arg);
    void *arg;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list jobs;
    unsigned waiting, waiting_max;
};

static _Noreturn void *work(void *arg)
{
    struct pool *p = arg;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (list_empty(&p->jobs)) pthread_cond_wait(&p->more, &p->lock);
        struct job *j = list_entry(list_pop_front(&p->jobs), struct job, node);
        p->waiting--;
        pthread_mutex_unlock(&p->lock);
        j->run(j->arg);
        free(j);
    }
}

struct pool *pool_new(unsigned threads, unsigned waiting_max, struct err *err)
{
    struct pool *p = mem_new(struct pool);
    sigset_t all, before;
    int rc = 0;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    list_init(&p->jobs);
    p->waiting_max = waiting_max;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are the event loop's */
    for (unsigned i = 0; rc == 0 && i < threads; i++) {
        pthread_t t;
        rc = pthread_create(&t, NULL, work, p);
        if (rc == 0) pthread_detach(t);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) return p;
    err_sys(err, rc, "starting threads");
    return NULL; /* with p, which threads may use; the process ends */
}

bool pool_add(struct pool *p, void (*run)(void *arg), void *arg)
{
    struct job *j = mem_new(struct job);
    *j = (struct job){ .run = run, .arg = arg };
    pthread_mutex_lock(&p->lock);
    bool room = p->waiting < p->waiting_max;
    if (room) {
        p->waiting++;
        list_push_back(&p->jobs, &j->node);
        pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
    if (!room) free(j);
    return room;
}
