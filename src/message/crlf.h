/* SPDX-License-Identifier: Apache-2.0
 * A message from a file as it would be on the wire. */
#ifndef POSTERN_MESSAGE_CRLF_H
#define POSTERN_MESSAGE_CRLF_H
#include "base/buf.h"

/* Appended: lines end in CRLF, whether it was CRLF or LF; the line "From ..." of a mailbox (mbox) in front of the header
 * is left out. */
void crlf_add_message(struct slice text, struct buf *out);

#endif
