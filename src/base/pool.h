/* SPDX-License-Identifier: Apache-2.0
 * Threads for what blocks or takes long, and a bounded queue before them. They run until the process ends. */
#ifndef POSTERN_BASE_POOL_H
#define POSTERN_BASE_POOL_H
#include <stdbool.h>
#include "base/err.h"

struct pool;
struct pool *pool_new(unsigned threads, unsigned waiting_max, struct err *err) MUST_CHECK;
/* A job runs once, in any of them. False: too many wait. From any thread. */
bool pool_add(struct pool *p, void (*run)(void *arg), void *arg);

#endif
