/* SPDX-License-Identifier: Apache-2.0
 * Line ends of a message from a file. */
#include "message/crlf.h"

bool crlf_is_mbox(struct slice text)
{
    const struct slice mark = SLICE("From ");
    return slice_starts(text, mark) && !slice_starts(slice_trim_blanks(slice_sub(text, mark.n, text.n)), SLICE(":"));
}

void crlf_add_message(struct slice text, struct buf *out)
{
    struct slice line;
    if (crlf_is_mbox(text)) slice_cut(&text, '\n', &line);
    while (text.n) {
        bool ended = slice_cut(&text, '\n', &line);
        buf_add(out, line);
        if (ended) buf_add_str(out, line.n && line.p[line.n - 1] == '\r' ? "\n" : "\r\n");
    }
}
