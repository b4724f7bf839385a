/* SPDX-License-Identifier: Apache-2.0
 * What is kept of a message besides its text: who sent it to whom, how it came, and what is put in front of
 * its text when it is sent on. On disk a sequence of (tag, length, bytes), so that later versions can add
 * fields and older ones pass over what they do not know. */
#ifndef POSTERN_SPOOL_ENVELOPE_H
#define POSTERN_SPOOL_ENVELOPE_H
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"

enum envelope_flag {
    ENVELOPE_8BIT = 1,       /* MAIL FROM ... BODY=8BITMIME */
    ENVELOPE_HAS_DOTS = 2,   /* some line of the text begins with a dot: stuffing is needed */
    ENVELOPE_BOUNCE = 4,     /* made by us */
    ENVELOPE_NO_DSN = 8,     /* came from a zone where bounces are off */
    ENVELOPE_HELD = 16,      /* arrived on hold */
    ENVELOPE_SMTPUTF8 = 32,  /* MAIL FROM ... SMTPUTF8 (RFC 6531) */
    ENVELOPE_REQUIRETLS = 64,/* MAIL FROM ... REQUIRETLS (RFC 8689) */
    ENVELOPE_RET_HDRS = 128, /* RET=HDRS (RFC 3461 §4.3) */
    ENVELOPE_RET_FULL = 256, /* RET=FULL */
    ENVELOPE_DSN_SEEN = 512, /* some DSN parameter was given: rcpt_dsn is set */
    ENVELOPE_AUTHED = 1024,  /* from an authenticated user */
    ENVELOPE_HAS_8BIT = 2048,/* some byte of the text is not ASCII, whatever was declared */
};

/* What a client said of one recipient (RFC 3461 §4.1, §4.2). */
enum envelope_notify {
    NOTIFY_UNSET = 0,        /* as FAILURE and DELAY */
    NOTIFY_SUCCESS = 1,
    NOTIFY_FAILURE = 2,
    NOTIFY_DELAY = 4,
    NOTIFY_NEVER = 8,        /* stands alone */
};
struct envelope_dsn {
    uint8_t notify;          /* enum envelope_notify */
    struct slice orcpt;      /* as given, "rfc822;xtext"; empty: none; at most 500 bytes */
};

/* A part of the text that is left out when it is sent. */
struct envelope_cut {
    uint64_t at;             /* in the text as it is kept */
    uint32_t n;              /* bytes, at least 1 */
};

struct envelope {
    uint64_t id;
    uint64_t arrival;        /* wall ms */
    uint32_t flags;
    struct ip client;        /* family 0: made here */
    struct slice helo, zone;
    struct slice sender;     /* without <>; empty: the null reverse-path */
    struct slice *rcpts;     /* without <> */
    uint32_t rcpt_n;
    struct envelope_dsn *rcpt_dsn; /* rcpt_n; NULL: nothing was said */
    struct slice envid;      /* as given, xtext, at most 100 bytes (RFC 3461 §4.4); empty: none */
    struct slice account;    /* of ENVELOPE_AUTHED */
    struct slice prepend;    /* header lines put in front of the text when it is sent (Received ...), ending in CRLF */
    uint64_t text_size;      /* bytes of message text, CRLF line ends, dots not stuffed */
    const struct envelope_cut *cuts; /* cut_n, ascending, apart from each other, within the text */
    uint32_t cut_n;          /* at most ENVELOPE_CUTS_MAX */
    struct slice message_id, subject; /* for listings; at most 255 bytes each; may be empty */
    struct slice hold;       /* of ENVELOPE_HELD: why, for people; at most 255 bytes; may be empty */
    struct slice trace;      /* what was checked (policy/trace.h), opaque here; at most ENVELOPE_TRACE_MAX bytes; may be empty */
};

#define ENVELOPE_ORCPT_MAX 500
#define ENVELOPE_ENVID_MAX 100
#define ENVELOPE_ACCOUNT_MAX 255
#define ENVELOPE_TRACE_MAX 10000
#define ENVELOPE_CUTS_MAX 64

void envelope_encode(const struct envelope *e, struct buf *out);
/* The slices point into `in`; the arrays of recipients are in `arena`. At most 100,000 recipients. rcpt_dsn is set when
 * ENVELOPE_DSN_SEEN is, or when something was said of a recipient. */
bool envelope_decode(struct slice in, struct arena *arena, struct envelope *out, struct err *err) MUST_CHECK;

/* Bytes of the text when it is sent: without what is cut. */
uint64_t envelope_sent_size(const struct envelope *e);
/* Of the text that is sent, from its byte `at` on: how many bytes stand together in the text as it is kept, and *from where. 0: the
 * end. */
uint64_t envelope_run(const struct envelope *e, uint64_t at, uint64_t *from);

#endif
