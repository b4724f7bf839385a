/* SPDX-License-Identifier: Apache-2.0
 * 7-bit forms of 8-bit text, as it streams by: quoted-printable and base64 for bodies (RFC 2045 §6.7, §6.8), encoded words for
 * header fields (RFC 2047). */
#ifndef POSTERN_MESSAGE_ENCODE_H
#define POSTERN_MESSAGE_ENCODE_H
#include "base/buf.h"

/* Zero to begin with. */
struct quoted_printable {
    size_t column;
};
/* The text of one line or a piece of it; CR and LF in it are encoded as well. */
void quoted_printable_add(struct quoted_printable *q, struct slice text, struct buf *out);
void quoted_printable_break(struct quoted_printable *q, struct buf *out); /* a line's end of the text itself */
/* A whole text with CRLF line ends. */
void quoted_printable_text(struct slice text, struct buf *out);

/* Zero to begin with. Puts out whole lines only. */
struct base64_lines {
    char rest[57];
    size_t n;
};
void base64_lines_add(struct base64_lines *b, struct slice bytes, struct buf *out);
void base64_lines_end(struct base64_lines *b, struct buf *out); /* what is left, with padding; ready for another text */

/* A whole field, "Name: value" with its folds as CRLF, without the last line end, which is added. It comes out as 7-bit text in lines of at
 * most 998 bytes: 8-bit words of unstructured fields and of display names become encoded words (utf-8 when they are that, else unknown-8bit,
 * RFC 1428 §3); elsewhere no standard has a form for 8-bit bytes, and each becomes "?". What is 7-bit and fits stays as it is. */
void encode_field(struct slice field, struct buf *out);
/* Text in which nothing can be encoded: 8-bit bytes and stray control characters become "?". */
void encode_masked(struct slice text, struct buf *out);

#endif
