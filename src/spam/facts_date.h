/* SPDX-License-Identifier: Apache-2.0
 * Dates of header fields. Of this folder only. */
#ifndef POSTERN_SPAM_FACTS_DATE_H
#define POSTERN_SPAM_FACTS_DATE_H
#include "base/slice.h"

/* RFC 5322 §3.3, with the years and zones of old programs. Seconds since 1970. False: it is no date, or one that cannot be. */
bool facts_date_read(struct slice s, int64_t *out);

#endif
