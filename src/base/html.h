/* SPDX-License-Identifier: Apache-2.0
 * Text from outside as text in HTML: whatever it says, it is no markup, and nothing in it turns or hides what stands around it. */
#ifndef POSTERN_BASE_HTML_H
#define POSTERN_BASE_HTML_H
#include "base/buf.h"

/* UTF-8 in an element or a quoted attribute. Control characters, direction marks, invisible ones and bytes that are not UTF-8 become U+FFFD,
 * blanks stay; after max characters of s "..." follows. */
void html_add(struct buf *out, struct slice s, size_t max);
/* The same for plain text: nothing is escaped. */
void html_add_plain(struct buf *out, struct slice s, size_t max);

#endif
