/* SPDX-License-Identifier: Apache-2.0
 * DATA (RFC 5321 §4.1.1.4): text with dots, ended by CRLF.CRLF alone. */
#include "server/text.h"

size_t data_take(struct session *s, struct slice in)
{
    struct transaction *tx = &s->tx;
    size_t total = 0;
    while (total < in.n) {
        size_t room, used, put;
        char *out = text_room(s, &room);
        enum data_status status = data_read(&tx->data, slice_sub(in, total, in.n), &used, out, room, &put);
        total += used;
        text_keep(s, slice_of(out, put));
        if (status == DATA_END) {
            text_finish(s);
            return total;
        }
        text_check_limits(s);
    }
    if (!text_is_endless(s, tx->data.size)) text_brake(s);
    return total;
}

void verb_data(struct session *s, const struct command *c)
{
    struct transaction *tx = &s->tx;
    if (tx->chunked) { /* RFC 3030 §2 */
        session_refuse(s, "DATA", 503, "5.5.1", "the text comes by BDAT already: RSET begins anew", SLICE(""));
        return;
    }
    if (!text_begin(s)) {
        header_reader_deinit(&tx->header);
        text_refuse(s, tx->rcpts[0]);
        tx->refusal = (struct refusal){ 0 };
        return;
    }
    tx->data.lenient = s->zone->bare_lf;
    s->phase = SESSION_DATA;
    session_reply(s, 354, NULL, "send the message, end with <CR><LF>.<CR><LF>");
}
