/* SPDX-License-Identifier: Apache-2.0
 * BDAT (RFC 3030 §2): the text in chunks of a size told beforehand. */
#include "server/session.h"

/* Who says BDAT unasked may send the chunk at once: it must not be read as commands. */
void verb_bdat(struct session *s, const struct command *c)
{
    session_refuse(s, "BDAT", 502, "5.5.1", "BDAT is not offered", SLICE(""));
    session_hang_up(s, "BDAT");
}

size_t chunk_take(struct session *s, struct slice in)
{
    return in.n;
}
