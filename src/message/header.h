/* SPDX-License-Identifier: Apache-2.0
 * Header fields of a message that is streaming by (RFC 5322 §2.2). Knows nothing of sockets or files. */
#ifndef POSTERN_MESSAGE_HEADER_H
#define POSTERN_MESSAGE_HEADER_H
#include "base/buf.h"

#define HEADER_FIELD_MAX 65536 /* bytes kept of one field; the rest of it is passed over */

/* Called for each field, folded lines still folded, without the last CRLF. `value` begins behind the colon. The
 * slices are valid within the call. */
typedef void header_field_cb(void *arg, struct slice name, struct slice value, bool truncated);

/* Zero it, then header_reader_init. */
struct header_reader {
    header_field_cb *on_field;
    void *arg;
    struct buf field;        /* the field at hand */
    size_t field_n;          /* its true size */
    uint64_t size;           /* bytes of header so far, with the empty line */
    bool ended;              /* the empty line, or a line that is no field, was met: the body begins */
    bool malformed;          /* a line that is no field and no continuation ended the header */
    int state;
};
void header_reader_init(struct header_reader *r, header_field_cb *on_field, void *arg);
/* Takes text with CRLF line ends in pieces of any size. Returns how many bytes of `in` belong to the header (all of it until
 * ended). After `ended` it takes nothing. The beginning of a line that turns out to be no field may have been taken with an
 * earlier piece; `size` then is right, it ends before that line. */
size_t header_read(struct header_reader *r, struct slice in);
void header_finish(struct header_reader *r); /* the text is over: hands on a last field without an empty line after it */
void header_reader_deinit(struct header_reader *r);

#endif
