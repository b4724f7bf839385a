/* SPDX-License-Identifier: Apache-2.0
 * The texts of the page behind the links of digests. */
#ifndef POSTERN_ADMIN_DIGEST_TEXT_H
#define POSTERN_ADMIN_DIGEST_TEXT_H
#include <jansson.h>
#include "notice/template.h"

enum digest_page_kind {
    DIGEST_PAGE_ASK,             /* the message and a button */
    DIGEST_PAGE_DONE,            /* it is on its way */
    DIGEST_PAGE_AGAIN,           /* it had been released before */
    DIGEST_PAGE_NONE,            /* forged, expired or unknown: nothing is told */
    DIGEST_PAGE_LATER,           /* somebody who is needed does not answer */
    DIGEST_PAGE_METHOD,          /* neither GET, HEAD nor POST */
};
/* message, address, token: of ASK, DONE and AGAIN, as the store tells them. */
void digest_page_text(const struct wording *w, enum digest_page_kind kind, const json_t *message, struct slice address, const char *token,
                      struct buf *out);

#endif
