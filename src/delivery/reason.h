/* SPDX-License-Identifier: Apache-2.0
 * Reasons: one printable line that says why a recipient was not served, for people first. Two forms:
 *   "mx.example.com[192.0.2.1]: 550 5.1.1 no such user"   a server's reply
 *   "5.4.6 mail for example.com loops back to us"          found out by ourselves */
#ifndef POSTERN_DELIVERY_REASON_H
#define POSTERN_DELIVERY_REASON_H
#include "base/buf.h"

struct reason {
    struct slice host;        /* "mx.example.com"; empty: our own finding, or not a plain name */
    struct slice diagnostic;  /* "550 5.1.1 no such user"; our own: the whole text */
    char status[12];          /* RFC 3463: "5.1.1" */
    bool remote;
};

/* Takes a reason apart. `permanent` decides the class of the status when the text tells none. */
void reason_parse(struct slice text, bool permanent, struct reason *out);
/* "host[ip]: 550 5.1.1 text" of a reply, printable (enhanced may be empty); at most LABEL_MAX bytes are added. */
void reason_add_reply(struct buf *out, struct slice host, int code, const char *enhanced, struct slice text);

#endif
