/* SPDX-License-Identifier: Apache-2.0
 * The words in which a message is told what was thought of it as spam. */
#ifndef POSTERN_POLICY_SPAM_TEXT_H
#define POSTERN_POLICY_SPAM_TEXT_H
#include "base/buf.h"
#include "content/report.h"
#include "notice/template.h"

/* The fields X-Spam-Status, X-Spam-Level and, where it is marked, X-Spam-Flag; folded, ASCII, each ends in CRLF. */
void spam_fields_format(const struct config_spam *c, const struct report *r, bool marked, struct buf *out);
/* The text in front of a message: the score and what it comes from, UTF-8, CRLF line ends. */
void spam_report_format(const struct config_spam *c, const struct report *r, const char *hostname, const struct wording *w, struct buf *out);

#endif
