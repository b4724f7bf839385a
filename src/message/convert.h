/* SPDX-License-Identifier: Apache-2.0
 * A message with 8-bit text made 7-bit on its way to a server without 8BITMIME (RFC 6152 §3). Streams: besides the line at hand at most one
 * header field, 64 KiB of a part whose need is not known yet, and the boundaries around it are kept.
 *
 * Parts with 8-bit text become quoted-printable (text) or base64; parts that are short and 7-bit stay as they are, as do those
 * that have an encoding already. Header fields with 8-bit bytes: encode_field. What comes out is 7-bit, in lines of at most 998 bytes
 * that end in CRLF, whatever goes in; the last line ends. */
#ifndef POSTERN_MESSAGE_CONVERT_H
#define POSTERN_MESSAGE_CONVERT_H
#include "base/buf.h"

struct convert;
struct convert *convert_new(void);
void convert_free(struct convert **v); /* clears the pointer; NULL is fine */
/* Takes text in pieces of any size and appends what is ready to out: at most 256 KiB and 5 times as much as goes in. */
void convert_push(struct convert *v, struct slice text, struct buf *out);
void convert_end(struct convert *v, struct buf *out); /* the text is over; once */
/* Not NULL: the message is not fit to be converted (a signed or encrypted part would be damaged, the encoding is unknown, parts are
 * nested too deep), and this says why; nothing that came out may be used. May be set by any push or by the end. */
const char *convert_refused(const struct convert *v);

#endif
