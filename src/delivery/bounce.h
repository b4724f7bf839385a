/* SPDX-License-Identifier: Apache-2.0
 * The text of bounces, delay warnings and notices: multipart/report (RFC 6522, 3464). */
#ifndef POSTERN_DELIVERY_BOUNCE_H
#define POSTERN_DELIVERY_BOUNCE_H
#include "base/buf.h"

#define BOUNCE_HEADERS_MAX 65536

enum bounce_kind {
    BOUNCE_FAILED,             /* to the sender */
    BOUNCE_DELAYED,            /* to the sender: it is still being tried */
    BOUNCE_NOTICE,             /* to the postmaster: nobody else can be told */
};

struct bounce_rcpt {
    struct slice address, reason; /* reason as in reason.h */
};

struct bounce {
    enum bounce_kind kind;
    const char *hostname;
    struct slice to;           /* without <> */
    struct slice sender;       /* of the message that failed; empty: the null reverse-path */
    uint64_t id, original_id;
    uint64_t arrival, now, until; /* wall ms; until: how long a delayed message is tried */
    const struct bounce_rcpt *rcpts;
    size_t rcpt_n, more_n;     /* more_n: others that are not listed */
    struct slice headers;      /* of the failed message, CRLF line ends, without the empty line */
    uint64_t random;           /* for the boundary: no text from outside may guess it */
};

/* Appends a whole message with CRLF line ends. It is 7-bit whatever comes in, and nothing in it begins a header line or a part
 * that was not meant to. */
void bounce_build(const struct bounce *b, struct buf *out);
/* The header part of a message's beginning: up to the empty line or max bytes, whole lines only. */
struct slice bounce_cut_headers(struct slice text, size_t max);

#endif
