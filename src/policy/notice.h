/* SPDX-License-Identifier: Apache-2.0
 * Mail that tells somebody what was found in a message, and what became of it. */
#ifndef POSTERN_POLICY_NOTICE_H
#define POSTERN_POLICY_NOTICE_H
#include "notice/template.h"
#include "policy/outcome.h"

enum notice_done { NOTICE_REFUSED, NOTICE_DISCARDED, NOTICE_QUARANTINED, NOTICE_HELD, NOTICE_REDIRECTED, NOTICE_EDITED, NOTICE_PASSED };

struct notice_mail {
    const char *hostname;
    struct wording wording;
    struct slice from, to;           /* to empty: nobody is named */
    uint64_t id;                     /* of this mail */
    uint64_t now;                    /* wall ms */
    enum notice_reason reason;
    enum notice_done done;
    struct slice what;               /* as struct policy_notice's */
    struct slice sender;             /* of the message it is about; so is all of this: */
    const struct slice *rcpts;
    uint32_t rcpt_n;
    struct ip client;
    struct slice subject, message_id;
    uint64_t about;                  /* its id */
    uint32_t untold;                 /* messages since the last notice of this kind that nobody was told of */
    bool last;                       /* of this hour */
};
const char *notice_reason_name(unsigned reason); /* "virus" */
const char *notice_subject(enum notice_reason reason); /* as it is listed in the queue */
/* The whole mail, 7-bit but for the addresses in its header. What came from outside is printable in it. */
void notice_format(const struct notice_mail *m, struct buf *out);

#endif
