/* SPDX-License-Identifier: Apache-2.0
 * The admin process: HTTP and JSON on the control socket, for the command line. It owns nothing; it asks the master and
 * the workers, each with a time limit, and puts their answers together. */
#ifndef POSTERN_ADMIN_ADMIN_H
#define POSTERN_ADMIN_ADMIN_H
#include "proc/master.h"

/* In the child; returns the exit code. */
int admin_main(const struct admin_start *start);

#endif
