/* SPDX-License-Identifier: Apache-2.0
 * A TLS report as a message. */
#ifndef POSTERN_FETCH_REPORT_MAIL_H
#define POSTERN_FETCH_REPORT_MAIL_H
#include <jansson.h>
#include "base/buf.h"

struct report_mail {
    const char *from, *domain, *submitter, *id, *boundary; /* clean ASCII all */
    struct slice to;           /* clean ASCII */
    struct slice packed;       /* report_pack's */
    int64_t start, end;        /* UTC seconds */
};
void report_mail_format(const struct report_mail *m, struct buf *out); /* appends; CRLF line ends */
bool report_pack(const json_t *report, struct buf *out);               /* appends gzip'ed JSON */

#endif
