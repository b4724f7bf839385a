/* SPDX-License-Identifier: Apache-2.0
 * A digest: the mail that tells a recipient what was held back for him. */
#ifndef POSTERN_PROC_DIGEST_MAIL_H
#define POSTERN_PROC_DIGEST_MAIL_H
#include "notice/template.h"

struct digest_line {             /* a message */
    struct slice kind;           /* "spam", "virus" ..: as envelope_quarantine_name */
    struct slice sender, subject;/* as they came; sender empty: a bounce */
    struct slice link;           /* clean ASCII; empty: he cannot release it himself */
    uint64_t stored;             /* wall ms */
    uint64_t expires;            /* when it is removed; 0: never */
};
struct digest_mail {
    const char *hostname;
    struct wording wording;
    struct slice from, to;       /* clean */
    uint64_t id;                 /* of this mail */
    uint64_t now;                /* wall ms */
    const struct digest_line *lines; /* the newest first */
    size_t line_n;
    uint64_t count;              /* of all, also those that are not among the lines */
};
/* The whole mail, 7-bit but for the addresses in its header: multipart/alternative, plain text and HTML without anything remote. */
void digest_mail_format(const struct digest_mail *m, struct buf *out);

#endif
