/* SPDX-License-Identifier: Apache-2.0
 * The test client's inside: one process, one thread, every session takes the next message's number until there are none. */
#ifndef POSTERN_CLI_SEND_H
#define POSTERN_CLI_SEND_H
#include "cli/load.h"
#include "smtp/reply.h"

/* Where a session may vanish: after the command of that stage was sent, without waiting for the answer. */
enum send_vanish { VANISH_NEVER, VANISH_CONNECT, VANISH_HELO, VANISH_MAIL, VANISH_RCPT, VANISH_DATA, VANISH_TEXT, VANISH_DOT };
enum send_abort { ABORT_CLOSE, ABORT_RESET, ABORT_SILENT };

/* Log-linear buckets of microseconds: 64 to each power of two, so a percentile is right to 1.6 %. */
#define SEND_BUCKETS (64 * 60)
struct send_latency {
    uint64_t count[SEND_BUCKETS], n, max;
};

struct send_options {
    struct load_list to;
    const char *word, *from, *helo, *subject, *file, *vanish, *abort, *ledger, *run, *source;
    uint64_t messages, sessions, size, recipients, rate, slow, timeout, retry;
    bool keep, reconnect, distinct, pipeline, tls, smtps, raw, quiet, json, verbose;
};

struct send_totals {
    uint64_t accepted, refused, lost, vanished; /* together: the messages that are over */
    uint64_t refused_by[600];                   /* by the code that decided */
    uint64_t rcpt_refused;                      /* recipients refused in messages that were accepted for others */
    uint64_t connections, bytes, retries;
};

struct send {
    struct load_loop loop;
    struct send_options o;
    struct load_endpoint endpoint, source;
    enum send_vanish vanish;
    enum send_abort abort;
    struct ssl_ctx_st *tls;
    char run[64], helo[256];
    struct slice *to;          /* the recipients given */
    size_t to_n;
    struct buf text;           /* what ends every message: filler or the file, then the line with the dot */
    bool own_header, eight;    /* own_header: generated header fields come first */
    uint64_t next, next_at_us; /* number of the next message, from 1; when --rate lets it start */
    uint64_t started_us, ended_us;
    struct send_totals totals;
    struct send_latency latency;
    int ledger;
    struct buf ledger_text;
    char *read_buf;
    char last_error[300];      /* why the last message or connection failed */
    size_t running;            /* sessions that are not over */
    bool conversation;         /* print the server's answers */
};

enum send_stage {
    SEND_IDLE, SEND_CONNECT, SEND_HANDSHAKE, SEND_GREETING, SEND_EHLO, SEND_HELO, SEND_STARTTLS,
    SEND_MAIL, SEND_RCPT, SEND_DATA, SEND_DOT, SEND_RSET, SEND_QUIT, SEND_SILENT, SEND_OVER
};

struct send_session {
    struct load_io io;         /* first: events lead here */
    struct load_timer timer;
    struct send *send;
    enum send_stage stage;     /* the answer that is awaited */
    struct reply_reader reader;
    struct buf in, out;        /* an answer cut by a read; commands */
    size_t out_at, address_at; /* address_at: which of the endpoint's addresses is tried */
    struct slice text;         /* what is to be sent after `out` */
    uint64_t number;           /* of the message at hand, 0: none */
    uint64_t sent_us, deadline, retry_until; /* retry_until 0: not failed yet */
    uint64_t taken;            /* messages finished on this connection */
    uint64_t connection;       /* counts closings: tells an old connection's input from a new one's */
    unsigned rcpt_n, rcpt_sent, rcpt_done, rcpt_ok, rcpt_bad;
    int verdict;               /* the first refusal of this transaction */
    bool pipelining, size, eight, starttls, pipelined, mail_done, vanishing, quitting;
};

/* send_session.c */
void send_session_start(struct send_session *s);       /* takes a number and begins; or is over when there are none */
void send_session_timeout(struct send_session *s);
void send_session_deinit(struct send_session *s);
void send_session_flush(struct send_session *s);
void send_session_lost(struct send_session *s, const char *why);
void send_session_close(struct send_session *s, bool reset);
void send_session_say(struct send_session *s, enum send_stage await, struct slice line); /* adds CRLF */
void send_session_open(struct send_session *s);        /* connects */

/* send_dialog.c: what to say next */
void send_dialog_reply(struct send_session *s);        /* a whole answer is in s->reader */
void send_dialog_begin(struct send_session *s);        /* connected and greeted: the message at hand, or QUIT */
/* The message at hand is over: counts it, or keeps it for another try. code 0: no answer came. */
void send_dialog_settle(struct send_session *s, int code);

/* send_message.c */
bool send_message_init(struct send *c, struct err *err) MUST_CHECK;    /* recipients, filler or file */
void send_message_deinit(struct send *c);
unsigned send_message_rcpts(const struct send *c);
void send_message_rcpt(const struct send *c, uint64_t number, unsigned i, struct buf *out); /* adds an address */
/* Adds the header fields of this message to *out and sets *rest to what follows them, the final dot included. */
void send_message_text(const struct send *c, uint64_t number, struct buf *out, struct slice *rest);
uint64_t send_message_size(const struct send *c);      /* about, for SIZE= */

/* send_report.c */
void send_report_show(struct send_session *s, const char *arrow, struct slice text); /* a line of the conversation */
void send_report_accepted(struct send_session *s);     /* ledger and latency */
void send_report_flush(struct send *c);                /* the ledger, before anything else is read */
void send_report_progress(const struct send *c, bool last);
void send_report_summary(const struct send *c);

#endif
