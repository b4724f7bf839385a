/* SPDX-License-Identifier: Apache-2.0
 * Line ends of a message from a file. */
#include "message/crlf.h"

void crlf_add_message(struct slice text, struct buf *out)
{
    struct slice line;
    if (slice_starts(text, SLICE("From ")) && slice_find(text, ':') > slice_find(text, '\n'))
        slice_cut(&text, '\n', &line); /* mbox */
    while (text.n) {
        bool ended = slice_cut(&text, '\n', &line);
        buf_add(out, line);
        if (ended) buf_add_str(out, line.n && line.p[line.n - 1] == '\r' ? "\n" : "\r\n");
    }
}
