/* SPDX-License-Identifier: Apache-2.0
 * The Received header that we put in front of a message (RFC 5321 §4.4). */
#ifndef POSTERN_SERVER_RECEIVED_H
#define POSTERN_SERVER_RECEIVED_H
#include "base/buf.h"
#include "base/ip.h"

struct received {
    struct slice helo;        /* as the client said it; made harmless here */
    struct ip client;
    struct slice client_name; /* by XCLIENT; empty: not known */
    const char *hostname;     /* ours */
    bool esmtp;               /* EHLO was used */
    bool utf8, authed;        /* SMTPUTF8 was declared; the client is authenticated */
    const char *tls_version, *tls_cipher; /* NULL: not encrypted */
    int tls_bits;
    uint64_t id;              /* of the message */
    struct slice rcpt;        /* the only recipient; empty when there are several: they need not know of each other */
    uint64_t wall_ms;         /* now */
};

/* Appends the field, folded, with its CRLF. Lines stay below 998 bytes (RFC 5322 §2.1.1). */
void received_format(const struct received *r, struct buf *out);

#endif
