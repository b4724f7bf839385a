/* SPDX-License-Identifier: Apache-2.0
 * The test server's inside: one process, one thread, every session a small state machine. */
#ifndef POSTERN_CLI_SINK_H
#define POSTERN_CLI_SINK_H
#include "base/arena.h"
#include "cli/load.h"

/* ---- misbehaviour on request */
enum sink_stage { SINK_CONNECT, SINK_HELO, SINK_MAIL, SINK_RCPT, SINK_DATA, SINK_TEXT, SINK_DOT, SINK_STAGES };

struct sink_rule {
    enum sink_stage stage;
    bool drop;            /* else answer with `reply` */
    int code;
    uint32_t ppm;         /* how likely, in millionths */
    uint64_t first, used; /* first: only so many times; 0: always */
    const char *pattern;  /* of addresses, as fnmatch(3); NULL: any */
    struct slice reply;   /* "550 5.0.0 text\r\n" */
};

struct sink_rules {
    struct sink_rule rules[2 * LOAD_LIST_MAX]; /* the first that fits decides */
    size_t n;
    uint64_t seed;
    uint64_t slow[SINK_STAGES]; /* ms before the answer */
    struct arena arena;
};

/* "STAGE=CODE" with any of "%PERCENT", "#TIMES", "/PATTERN", ":TEXT" after it, in this order. For a drop there is no "=CODE". */
bool sink_rule_parse(struct sink_rules *r, const char *text, bool drop, struct err *err) MUST_CHECK;
bool sink_slow_parse(struct sink_rules *r, const char *text, struct err *err) MUST_CHECK; /* "STAGE=MS" */
/* The rule for this stage, or NULL. addresses: each ends in NUL; a pattern fits when it fits one of them. */
const struct sink_rule *sink_rule_find(struct sink_rules *r, enum sink_stage stage, struct slice addresses);

/* ---- the server */
struct sink_totals {
    uint64_t connections, messages, recipients, bytes; /* messages: answered with 250; bytes: of their text on the wire */
    uint64_t refused;                                  /* answers of --fail and of limits */
    uint64_t dropped;                                  /* connections cut by --drop */
    uint64_t broken;                                   /* connections lost within a transaction */
};

struct sink {
    struct load_loop loop;
    struct sink_rules rules;
    struct sink_totals totals;
    struct list sessions;
    size_t session_n;
    struct load_io listeners[16];
    size_t listener_n;
    struct ssl_ctx_st *tls;  /* NULL: no STARTTLS */
    struct buf ehlo;         /* the answer, without STARTTLS */
    char *read_buf;          /* LOAD_READ_SIZE bytes; a session's input lives in it for one read only */
    uint64_t session_max, message_max, once, slow_read, timeout_ms;
    bool pipelining, eight, announce_size;
    bool stopping;           /* takes no new mail; sessions may say goodbye */
    bool json, print, count;
    const char *store;       /* NULL: messages are counted, not kept */
    int ledger;              /* -1: none */
    struct buf ledger_text;  /* gathered for one write, which comes before the answers */
    uint64_t printed, unprinted; /* message lines of this second */
};

struct sink_session {
    struct load_io io;       /* first: events lead here */
    struct list link;
    struct load_timer timer;
    struct sink *sink;
    bool handshaking, in_text, text_begun, greeted, mail, closing, dropped, paused, reset;
    unsigned dot;            /* bytes of CRLF.CRLF seen */
    unsigned errors;
    uint32_t rcpt_n;
    uint64_t size;           /* of the text so far, as it came */
    uint64_t deadline;       /* monotonic ms */
    size_t out_at;
    struct buf line, held, out; /* a line cut by a read; input that waits for a pause's end; answers */
    struct buf helo, sender, rcpts, text; /* sender and rcpts: NUL after each address; text: as much as is needed */
};

/* sink_session.c */
void sink_session_accept(struct sink *k, int fd);
void sink_session_free(struct sink_session *s);

/* sink_command.c: takes input and puts answers into s->out. Returns the bytes used: less than n when the session is paused or
 * about to close; the rest is to be given again, or dropped. */
size_t sink_take(struct sink_session *s, const char *p, size_t n);
/* Answers at a stage: by a rule, or with `reply` when none fits. True when `reply` was given. */
bool sink_answer(struct sink_session *s, enum sink_stage stage, struct slice addresses, struct slice reply);
/* Looks for CRLF.CRLF, of which *state bytes came before (2 when text begins). Returns the bytes up to and with it, or n. */
size_t sink_find_end(unsigned *state, const char *p, size_t n, bool *found);
/* Sends what is in s->out unless the session is paused. */
void sink_session_flush(struct sink_session *s);
void sink_session_pause(struct sink_session *s, uint64_t ms);
bool sink_session_tls(struct sink_session *s);

/* sink_record.c */
size_t sink_record_want(const struct sink *k);           /* how much of a message's text is to be gathered */
bool sink_record_message(struct sink_session *s);        /* before its 250; false: it could not be kept */
bool sink_record_flush(struct sink *k);
void sink_record_totals(struct sink *k, bool last);

#endif
