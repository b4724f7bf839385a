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
    ENVELOPE_QUARANTINED = 4096, /* goes to the quarantine, not to its recipients */
    ENVELOPE_RELEASED = 8192,    /* somebody let it go from there */
    ENVELOPE_FORGED = 16384,     /* a stranger's, and its sender's domain says that he may not use it: nothing is sent to that address */
    ENVELOPE_INCOMING = 32768,   /* from a client who may not relay: who he says he is decides no way (envelope_route_sender) */
};

/* What it is listed under there. Kept on disk: new ones are appended. */
enum envelope_quarantine {
    QUARANTINE_NONE, QUARANTINE_SPAM, QUARANTINE_VIRUS, QUARANTINE_FILE, QUARANTINE_RULE, QUARANTINE_CRASH, QUARANTINE_AUTH,
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

/* What is special about a recipient. Kept on disk. */
enum envelope_mark {
    MARK_FORWARDED = 1,      /* by an alias or mapping of ours, out of the house: the sender is rewritten (SRS) where that is set up */
    MARK_COPY = 2,           /* gets a copy that the sender knows nothing of */
    MARK_GROUP = 4,          /* stands for others, who are recipients, too: nothing is sent there; the sender, who asked for it, is told */
};

/* A part of the text that is left out when it is sent, or replaced; or text that is put in. */
struct envelope_cut {
    uint64_t at;             /* in the text as it is kept */
    uint64_t n;              /* bytes; 0: `with` is put in before the byte `at` (or at the end) */
    struct slice with;       /* what stands there instead, CRLF line ends; empty: nothing */
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
    uint8_t *rcpt_marks;     /* rcpt_n, enum envelope_mark; NULL: none has any */
    struct slice envid;      /* as given, xtext, at most 100 bytes (RFC 3461 §4.4); empty: none */
    struct slice account;    /* of ENVELOPE_AUTHED */
    struct slice prepend;    /* header lines put in front of the text when it is sent (Received ...), ending in CRLF */
    uint64_t text_size;      /* bytes of message text, CRLF line ends, dots not stuffed */
    const struct envelope_cut *cuts; /* cut_n, as envelope_cuts_ok says */
    uint32_t cut_n;          /* at most ENVELOPE_CUTS_MAX */
    struct slice message_id, subject; /* for listings; at most 255 bytes each; may be empty */
    struct slice hold;       /* of ENVELOPE_HELD and _QUARANTINED: why, for people; at most 255 bytes; may be empty */
    uint8_t quarantine;      /* of ENVELOPE_QUARANTINED: enum envelope_quarantine */
    int32_t score;           /* as spam, hundredths */
    struct slice findings;   /* of the checks of content: JSON for people, opaque here; at most ENVELOPE_FINDINGS_MAX bytes; may be empty */
    struct slice trace;      /* what was checked (store/trace.h), opaque here; at most ENVELOPE_TRACE_MAX bytes; may be empty */
};

#define ENVELOPE_RCPTS_MAX 100000
#define ENVELOPE_ORCPT_MAX 500
#define ENVELOPE_ENVID_MAX 100
#define ENVELOPE_ACCOUNT_MAX 255
#define ENVELOPE_TRACE_MAX 10000
#define ENVELOPE_FINDINGS_MAX 8192
#define ENVELOPE_CUTS_MAX 64
#define ENVELOPE_CUTS_TEXT_MAX 65536 /* bytes of all `with` together */

void envelope_encode(const struct envelope *e, struct buf *out);
/* The slices point into `in`; the arrays of recipients are in `arena`. At most ENVELOPE_RCPTS_MAX recipients. rcpt_dsn is set when
 * ENVELOPE_DSN_SEEN is, or when something was said of a recipient; rcpt_marks when some recipient has one. */
bool envelope_decode(struct slice in, struct arena *arena, struct envelope *out, struct err *err) MUST_CHECK;

/* Bytes of the text when it is sent: without what is cut, with what is put in. */
uint64_t envelope_sent_size(const struct envelope *e);
/* Of the text that is sent, from its byte `at` on: how many bytes stand together, at least 1, in the text as it is kept, *from where, or
 * in an edit: then *with are just these bytes (else with->p is NULL). 0: the end. */
uint64_t envelope_run(const struct envelope *e, uint64_t at, uint64_t *from, struct slice *with);
/* Up to n bytes of the text that is sent, from its byte `at` on; the kept text begins at `offset` of fd. Fewer at its end, or where the file cannot be read. */
size_t envelope_read(const struct envelope *e, int fd, uint64_t offset, uint64_t at, char *to, size_t n);
/* Are they in order, apart from each other, within a text of that size, and within the bounds? Text that is put in may stand where a cut
 * begins or ends, and several at one place: they come in their order. */
bool envelope_cuts_ok(const struct envelope_cut *cuts, uint32_t n, uint64_t text_size);
/* Puts one in its place among *n that are in order; there is room for one more. False: it overlaps one that is there already, and nothing
 * was done. */
bool envelope_cuts_add(struct envelope_cut *cuts, uint32_t *n, struct envelope_cut cut);
const char *envelope_quarantine_name(unsigned kind); /* "spam" */
const char *envelope_marks_name(unsigned marks);     /* "copy", "forwarded, copy"; empty: none */
/* By whose rules it goes (route_find): the sender's; of mail of strangers, who may write any sender, nobody's. */
static inline struct slice envelope_route_sender(const struct envelope *e)
{
    return e->flags & ENVELOPE_INCOMING ? SLICE("") : e->sender;
}
static inline unsigned envelope_marks(const struct envelope *e, uint32_t rcpt) { return e->rcpt_marks ? e->rcpt_marks[rcpt] : 0; }

#endif
