/* SPDX-License-Identifier: Apache-2.0
 * A message from a file as it would be on the wire. */
#ifndef POSTERN_MESSAGE_CRLF_H
#define POSTERN_MESSAGE_CRLF_H
#include "base/buf.h"

/* Does it begin with the line "From SENDER DATE" of a mailbox (mbox)? A field may be written "From : ...", too (RFC 5322 §4.5.2). */
bool crlf_is_mbox(struct slice text);
/* Appended: lines end in CRLF, whether it was CRLF or LF; the line of a mailbox in front of the header is left out. */
void crlf_add_message(struct slice text, struct buf *out);

#endif
