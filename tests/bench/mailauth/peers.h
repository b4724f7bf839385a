/* SPDX-License-Identifier: Apache-2.0
 * What the peers' headers do not say: the look-up of libopendmarc, which this program puts in place of its own. */
#ifndef POSTERN_TESTS_BENCH_MAILAUTH_PEERS_H
#define POSTERN_TESTS_BENCH_MAILAUTH_PEERS_H
#include <stddef.h>

char *dmarc_dns_get_record(char *domain, int *reply, char *out, size_t room);

#endif
