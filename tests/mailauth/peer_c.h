/* SPDX-License-Identifier: Apache-2.0
 * What the peers' headers do not say: functions that this program puts in place of theirs. */
#ifndef POSTERN_TESTS_MAILAUTH_PEER_C_H
#define POSTERN_TESTS_MAILAUTH_PEER_C_H
#include <stddef.h>

char *dmarc_dns_get_record(char *domain, int *reply, char *out, size_t room);

#endif
