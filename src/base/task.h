/* SPDX-License-Identifier: Apache-2.0
 * Tasks that a loop gives to threads (base/pool.h) and gets back when they are done. Who wants the result may go meanwhile. */
#ifndef POSTERN_BASE_TASK_H
#define POSTERN_BASE_TASK_H
#include <stdatomic.h>
#include "base/err.h"
#include "base/list.h"
#include "base/pool.h"

struct event_base;
struct tasks;

/* Whose tasks they are; the loop's. */
struct task_owner {
    struct list tasks;         /* by task.node: those that threads have, or that wait for one */
    unsigned n;
};
/* Part of the caller's own. */
struct task {
    struct list node, done;
    struct tasks *all;
    struct task_owner *owner;  /* the loop's; NULL: gone, or there is none */
    atomic_bool gone;          /* the owner; for threads, too */
};

/* run: in a thread; done: on the loop, when it is no more among its owner's. It may free the task, or start it again. */
struct tasks *tasks_new(struct event_base *base, void (*run)(struct task *t), void (*done)(struct task *t), struct err *err) MUST_CHECK;
/* The following are called on the loop. owner: NULL: none. False: too many wait in the pool; nothing will be called. */
bool task_start(struct tasks *all, struct pool *pool, struct task_owner *owner, struct task *t) MUST_CHECK;
void task_owner_init(struct task_owner *o);
void task_owner_gone(struct task_owner *o); /* its tasks have none any more; they end all the same */
/* Waits until threads have none any more, and has all of them done. Not from within `done`. */
void tasks_free(struct tasks *all);

#endif
