/* SPDX-License-Identifier: Apache-2.0
 * Named steps at which a crash test has the process killed; nothing of this is in a release. */
#include "base/crash.h"
#ifdef POSTERN_CRASH_POINTS
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    pthread_once_t once;
    char name[64];
    atomic_long left; /* passes until the end; 0: never */
} crash = { .once = PTHREAD_ONCE_INIT };

static void read_environment(void)
{
    const char *at = getenv("POSTERN_CRASH_AT"), *colon = at ? strchr(at, ':') : NULL;
    size_t n = colon ? (size_t)(colon - at) : at ? strlen(at) : 0;
    if (!n || n >= sizeof crash.name) return;
    memcpy(crash.name, at, n);
    atomic_store(&crash.left, colon ? atol(colon + 1) : 1);
}

void crash_point(const char *name)
{
    pthread_once(&crash.once, read_environment);
    if (!crash.name[0] || strcmp(crash.name, name) != 0) return;
    if (atomic_fetch_sub(&crash.left, 1) == 1) kill(getpid(), SIGKILL);
}
#else
extern int base_has_no_crash_points; /* ISO C wants a declaration in every file */
#endif
