/* SPDX-License-Identifier: Apache-2.0
 * Named steps, for crash tests: when the environment variable POSTERN_CRASH_AT is "name:count" the process kills itself with SIGKILL at the
 * count-th time it passes that step. Compiled in only with -Dcrash_points=true (the test build). */
#ifndef POSTERN_BASE_CRASH_H
#define POSTERN_BASE_CRASH_H
#ifdef POSTERN_CRASH_POINTS
void crash_point(const char *name);
#else
#define crash_point(name) ((void)0)
#endif

#endif
