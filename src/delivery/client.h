/* SPDX-License-Identifier: Apache-2.0
 * Connections to the hosts of destinations. Functions that may free the client say so. */
#ifndef POSTERN_DELIVERY_CLIENT_H
#define POSTERN_DELIVERY_CLIENT_H
#include "delivery/internal.h"
#include "smtp/reply.h"

enum client_stage {
    CLIENT_CONNECT, CLIENT_GREETING, CLIENT_EHLO, CLIENT_HELO, CLIENT_STARTTLS, CLIENT_TLS, CLIENT_AUTH,
    CLIENT_IDLE,                       /* no transaction is being set up */
    CLIENT_MAIL, CLIENT_RCPT, CLIENT_DATA, /* the reply that is awaited for `sending`, after that for `ending` */
};

struct client {
    struct queue *q;
    struct destination *d;
    struct stream *s;
    struct list link, idle_link, lru_link, pump_link;
    uint64_t idle_since;               /* mono ms */
    struct route_target host;
    char name[224];                    /* "host[ip]", printable: for logs and reasons */
    enum client_stage stage;
    bool *gone;                        /* set when c is freed, for whoever is on the stack */
    bool usable;                       /* greeting and EHLO are done */
    bool no_tls;
    bool pipelining, has_size, eight_bit, starttls, dsn, utf8, requiretls; /* of the last EHLO reply */
    uint64_t size_max;
    uint32_t rcpt_max, mail_max;       /* LIMITS (RFC 9422); 0: none */
    struct auth_exchange *auth;        /* client_auth.c */
    struct client_sasl *sasl;          /* the same: what is under way; NULL: nothing */
    struct tls_state *tls;             /* client_tls.c: what was asked of TLS and what came of it */
    struct verify_question *question;  /* verify.c: MAIL or RCPT is under way for it; NULL: none, or nobody wants to know any more */
    struct part *sending, *ending;     /* MAIL..DATA is under way for the one; the other's text is sent or being sent */
    uint32_t rcpt;                     /* recipient whose RCPT is answered next */
    uint32_t accepted;
    uint32_t text_rcpt;                /* LMTP: recipient of `ending` whose reply to the text is awaited */
    bool mail_refused;
    bool left_over;                    /* some recipients wait for another transaction */
    bool transaction;                  /* MAIL was accepted and neither text nor RSET ended it */
    bool rset_awaited;
    bool nothing_sent;                 /* `ending` had no recipients left: a lone dot went out */
    bool texting;                      /* the text of `ending` is not all written */
    bool worked;                       /* some transaction came to a result */
    unsigned borrowed;                 /* pieces of text the stream holds */
    size_t behind_text;                /* bytes written behind the text of `ending`: the next group of commands */
    unsigned messages, mails;          /* sent; MAIL commands */
    uint64_t turn_at;                  /* mono us: MAIL of `sending` was written */
    uint64_t text_at;                  /* bytes of text written */
    bool line_start;
    char *chunk;                       /* for stuffing dots */
    struct convert *convert;           /* the text under way is made 7-bit */
    struct buf converted;              /* and this piece of it is being sent */
    struct reply_reader reply;
};

/* client.c */
bool client_open(struct destination *d, struct target *target, struct err *err) MUST_CHECK;
void client_next(struct client *c);                /* takes the next part, or goes idle, or quits; may free c */
void client_set_sending(struct client *c, struct part *p); /* NULL: none */
void client_quit(struct client *c);                /* QUIT; frees c; it has no parts */
void client_free(struct client *c);                /* no parts may be left */
/* The session is of no use any more: parts are requeued or deferred for this reason, c is freed. */
void client_fail(struct client *c, const char *what);
void client_fail_reply(struct client *c);          /* the same, for the reply at hand */
void client_fail_said(struct client *c, const char *meaning);      /* the same; with what the reply means */
/* A session that stands, with a server that lacks what its mail must have (RFC 8689 §4.2.1): QUIT; the next host's turn. */
void client_fail_unfit(struct client *c, const char *what);
/* The same while TLS is being set up: `code` (RFC 3463) and what went wrong; why TLS must be is added. */
void client_fail_tls(struct client *c, const char *code, struct slice what);
void client_add_reason(const struct client *c, struct buf *out); /* of the reply at hand */

/* client_result.c */
void client_log(const struct client *c, const struct part *p, const char *event, uint32_t rcpt, uint32_t n, struct slice reply);
/* The reply at hand decides all of p's recipients without a result, or one of them, and is logged. */
void client_decide(struct client *c, struct part *p);
void client_decide_one(struct client *c, struct part *p, uint32_t i);
uint32_t client_first_unsettled(const struct part *p); /* any when there is none */

/* client_lmtp.c: RFC 2033, where each recipient has a reply of its own to the text. */
bool client_is_lmtp(const struct client *c);
void client_lmtp_reply(struct client *c);          /* to the text of `ending`. May free c */

/* client_tls.c: what must hold of TLS on a connection, and whether it held. */
enum tls_need { TLS_NEVER, TLS_MAY, TLS_MUST };
/* May it still have to look something up? Then it calls destination_kick when it knows, and false is returned. Called before
 * a connection is opened. */
bool client_tls_ready(struct destination *d, struct target *target);
/* After client_tls_ready. False: what is asked of TLS cannot hold there, so it must not be connected to; why: a reason. */
bool client_tls_allowed(struct destination *d, const struct target *target, struct buf *why);
void client_tls_open(struct client *c, const struct target *target); /* for a new client */
enum tls_need client_tls_need(const struct client *c);
bool client_tls_implicit(const struct client *c);  /* TLS from the first byte */
/* 220 came to STARTTLS, or TLS is implicit. False with a reason: it cannot even be tried. */
bool client_tls_start(struct client *c, struct buf *reason) MUST_CHECK;
bool client_tls_proven(const struct client *c, struct buf *reason); /* after the handshake: false: this host must not be used */
void client_tls_count(const struct client *c, const char *failure, struct slice reason); /* NULL: as it turned out */
bool client_tls_verified(const struct client *c);  /* encrypted, and it is proven who it is (RFC 8689 §4.2.1) */
const char *client_tls_proof(const struct client *c); /* "dane", "verified", "none": for logs */
void client_tls_add_failure(const struct client *c, struct buf *out); /* why a handshake failed, when it was a proof; else nothing */
void client_tls_add_cause(const struct client *c, struct buf *out);   /* " (tls: verify)", " (it has TLSA records)", or nothing */
void client_tls_free(struct client *c);

/* client_auth.c: AUTH towards the hop. May free c. */
bool client_auth_wanted(const struct client *c);
void client_auth_start(struct client *c);          /* sends AUTH; goes on to client_usable, or fails */
void client_auth_reply(struct client *c);
void client_auth_cancel(struct client *c);

/* client_hello.c: from the greeting to a usable session. May free c. */
void client_hello_reply(struct client *c);
void client_hello_start(struct client *c);         /* EHLO */
void client_hello_tls(struct client *c);           /* begins the handshake */
void client_usable(struct client *c);              /* mail may go */

/* client_mail.c: one transaction. May free c. */
bool client_mail_start(struct client *c, struct part *p); /* false: the part was finished without being sent */
void client_mail_reply(struct client *c);
void client_dot_reply(struct client *c);
void client_mail_worked(struct client *c);         /* the server decided something */
bool client_mail_makes_sense(const struct client *c); /* the reply at hand may be one to what was said */
void client_set_deadline(struct client *c);        /* for the reply that comes next */
bool client_converts(const struct client *c, const struct work *w); /* the text is made 7-bit for this server (RFC 6152 §3) */

/* client_utf8.c: internationalized mail (RFC 6531) to servers that may not take it. */
/* Why this server cannot have an internationalized message at all, or not for one recipient; NULL: it can. Text as in reason.h. */
const char *client_utf8_refuses(const struct client *c, struct work *w);
const char *client_utf8_refuses_rcpt(const struct client *c, struct slice rcpt);
void client_utf8_add_address(const struct client *c, struct slice address, struct buf *out); /* in the form the server takes */

/* client_dsn.c: delivery status notifications (RFC 3461). */
void client_dsn_add_mail(const struct client *c, const struct work *w, struct buf *out);
void client_dsn_add_rcpt(const struct client *c, const struct work *w, uint32_t i, struct buf *out);
void client_dsn_relayed(struct client *c, struct part *p); /* 2xx to the text: who is owed a report of that is settled */
bool client_dsn_relayed_one(struct client *c, struct part *p, uint32_t i); /* the same of one recipient; false: it is owed none */

/* verify.c: questions about recipients (verify.h); of destinations that have an asker. */
bool verify_next(struct client *c);                /* asks the next question; false: there is none, or c is spent */
bool verify_is_spent(const struct client *c);
void verify_reply(struct client *c);               /* may free c */
void verify_lost(struct client *c, struct slice why); /* the connection is lost: its question is asked again, or answered */

/* ability.c */
void ability_learn(const struct client *c);        /* EHLO said all it will say */
void ability_free(struct queue *q);

/* client_text.c. May free c. */
void client_text_start(struct client *c);
void client_text_more(struct client *c);

#endif
