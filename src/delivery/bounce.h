/* SPDX-License-Identifier: Apache-2.0
 * The text of bounces, delay warnings and notices: multipart/report (RFC 6522, 3464, 6533). */
#ifndef POSTERN_DELIVERY_BOUNCE_H
#define POSTERN_DELIVERY_BOUNCE_H
#include "notice/template.h"

#define BOUNCE_HEADERS_MAX 65536
#define BOUNCE_MESSAGE_MAX 65536

enum bounce_kind {
    BOUNCE_FAILED,             /* to the sender */
    BOUNCE_DELAYED,            /* to the sender: it is still being tried */
    BOUNCE_NOTICE,             /* to the postmaster: nobody else can be told */
    BOUNCE_RELAYED,            /* to the sender, who asked: a server has it that will not report (RFC 3461 §5.2.2) */
};

struct bounce_rcpt {
    struct slice address, reason; /* reason as in reason.h */
    struct slice orcpt;        /* as the sender gave it, "type;xtext", or of an alias; empty: not */
    bool expanded;             /* of BOUNCE_RELAYED: it stands for others (RFC 3461 §5.2.7.3) */
    bool delivered;            /* of BOUNCE_RELAYED: it is in a mailbox here */
};

/* Of BOUNCE_NOTICE: why the sender is not told. */
enum bounce_why { BOUNCE_WHY_NULL, BOUNCE_WHY_OFF, BOUNCE_WHY_FORGED, BOUNCE_WHY_COPY };

struct bounce {
    enum bounce_kind kind;
    enum bounce_why why;
    struct wording wording;    /* for people; what programs read is always the same */
    const char *hostname;
    struct slice to;           /* without <> */
    struct slice sender;       /* of the message that failed; empty: the null reverse-path */
    struct slice subject;      /* of that message, as it came; empty: none */
    uint64_t id, original_id;
    uint64_t arrival, now, until; /* wall ms; until: how long a delayed message is tried */
    const struct bounce_rcpt *rcpts;
    size_t rcpt_n, more_n;     /* more_n: others that are not listed */
    struct slice envid;        /* as the sender gave it, xtext; empty: not */
    struct slice headers;      /* of the failed message, CRLF line ends, without the empty line */
    bool utf8_headers;         /* they are those of an internationalized message (RFC 6532) */
    struct slice message;      /* all of it, instead of its headers; empty: not */
    uint64_t random;           /* for the boundary: no text from outside may guess it */
};

/* Appends a whole message with CRLF line ends. It is 7-bit whatever comes in, but for `message` and for a recipient that is
 * not ASCII in its To; and nothing in it begins a header line or a part that was not meant to. */
void bounce_build(const struct bounce *b, struct buf *out);
/* The header part of a message's beginning: up to the empty line or max bytes, whole lines only. */
struct slice bounce_cut_headers(struct slice text, size_t max);

#endif
