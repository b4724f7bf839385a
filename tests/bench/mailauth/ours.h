/* SPDX-License-Identifier: Apache-2.0
 * This library's part of the benchmark: verifying in ours.c, signing in ours_sign.c. */
#ifndef POSTERN_TESTS_BENCH_MAILAUTH_OURS_H
#define POSTERN_TESTS_BENCH_MAILAUTH_OURS_H
#include "case.h"
#include "mailauth/mailauth.h"

void ours_header(struct auth_header *h, const struct case_message *m);
void ours_body(struct auth_body *b, const struct case_message *m);
/* False: it is not the name of a measurement of signing. */
bool ours_sign(struct case_world *w, const char *what, const char *how_long);

#endif
