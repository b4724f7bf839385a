/* SPDX-License-Identifier: Apache-2.0
 * A session and its server as the files of this folder see them. Nobody else includes this. session.c tells how a
 * session lives and who may free it. */
#ifndef POSTERN_SERVER_SESSION_H
#define POSTERN_SERVER_SESSION_H
#include "base/arena.h"
#include "base/hash.h"
#include "base/list.h"
#include "message/header.h"
#include "policy/policy.h"
#include "server/clients.h"
#include "server/server.h"
#include "smtp/command.h"
#include "smtp/data.h"
#include "spool/spool.h"

#define AUTH_LINE_MAX (12288 + 2) /* AUTH with a response, or a response alone, with CRLF (RFC 4954 §4) */

struct event;
struct log_field;

/* Refusals told to the history that are no check's: so many a minute of a client's network, and of all whose hash is the same. */
#define NOTED_MOST 60
struct noted {
    uint32_t minute, n;
};
#define NOTED_NETS 1024

struct server {
    struct noted noted[NOTED_NETS];
    struct server_options o;
    struct list listeners, sessions;
    struct htable clients;       /* struct client */
    uint32_t *zone_sessions;     /* open sessions of each of config->zones */
    bool routes_by_address;      /* some route is for one address: the domain alone does not tell the next hop */
    struct list incoming;        /* connections whose PROXY header has not come yet (proxy.c) */
    uint32_t incoming_n;
    struct server_figures figures;
    struct list yielding;        /* sessions that go on in the next turn of the loop */
    struct event *yield;
    struct event *accept_again;  /* after a pause for want of descriptors */
    struct buf scratch;          /* one reply or header at a time */
    struct notices *notices;     /* who was told lately; NULL: nobody yet */
    uint64_t turned_away, turned_away_logged; /* since the last line about it; when that was */
    bool draining;
    struct event *drain_cut, *drain_idle;
    void (*on_idle)(void *arg);
    void *on_idle_arg;
    char waste[16384];           /* where text of refused messages goes */
};

enum session_phase {
    SESSION_TLS,    /* the handshake is under way */
    SESSION_START,  /* greeted, no EHLO or HELO yet */
    SESSION_READY,  /* no transaction */
    SESSION_MAIL,   /* a sender was given */
    SESSION_RCPT,   /* and at least one recipient taken */
    SESSION_AUTH,   /* an authentication is under way: lines are responses, or it is the back end's turn */
    SESSION_DATA,   /* message text is coming */
    SESSION_CHUNK,  /* a BDAT chunk is coming (RFC 3030) */
    SESSION_COMMIT, /* the text is complete and on its way to the disk */
    SESSION_OVER,   /* the last reply was given */
};

/* Where a session comes from. */
struct origin {
    struct ip ip;
    uint16_t port;
    struct ip peer; /* who really connected, when it speaks for another; family 0: ip */
    bool unnamed;   /* it speaks for somebody it does not name */
    struct ip intended; /* of a transparent zone: what it meant to reach; family 0: us */
    uint16_t intended_port;
};

/* A refusal that is kept until the end of the text, when it can be told. Strings are constants or in the arena. */
struct refusal {
    int code;       /* 0: none */
    const char *enhanced, *text;
    bool hang_up;   /* what follows on this connection cannot be trusted */
    const struct policy_verdict *verdict; /* of the checks; NULL: they have nothing to do with it */
};

/* To whom a message goes in the end, as struct envelope has them. */
struct recipients {
    struct slice *rcpts;
    struct envelope_dsn *dsn;    /* n; NULL: nothing was said of any */
    uint8_t *marks;              /* n, enum envelope_mark; NULL: none has any */
    uint32_t n;
    uint32_t groups;             /* of them, at the end: marked MARK_GROUP, nothing is sent there */
    struct slice given;          /* what the client wrote, where that became others (struct history_event) */
};

/* What one message needs; zero between transactions. */
struct transaction {
    struct slice sender, sender_domain;
    bool sender_utf8;            /* its local part is not ASCII; a domain has another form */
    struct slice *rcpts, *rcpt_keys; /* as given; in the form in which two that are one are equal */
    uint32_t *rcpt_index;        /* hash table of numbers into rcpt_keys, plus one; 2 * rcpt_room slots */
    uint32_t rcpt_n, rcpt_room;
    struct envelope_dsn *rcpt_dsn; /* rcpt_room; NULL: no DSN parameter was given */
    uint32_t copy_n;             /* of rcpts, at the end: rules send them copies */
    uint64_t became;             /* recipients that those taken stand for, about */
    bool full;                   /* one was refused because of that: so are all others */
    struct recipients final;     /* of a message on its way to the disk */
    struct slice given_sender;   /* as the client gave it, when the text is complete */
    struct slice envid;
    uint32_t flags;              /* enum envelope_flag, of MAIL's parameters */
    uint64_t declared;           /* SIZE=; 0: not given */
    bool chunked;                /* the text comes by BDAT; DATA is no more possible */
    bool chunk_last, misplaced;  /* misplaced: the chunk at hand is thrown away, and the phase goes back to chunk_from */
    enum session_phase chunk_from;
    uint64_t chunk_left, chunk_size; /* bytes of the chunk at hand */
    uint64_t hop_size;           /* the most that the next hop of some recipient takes; 0: no recipient yet */
    struct hop_abilities hop;    /* of the next hop asked for last, */
    struct slice hop_domain;     /* for this domain; empty: not to be used again */
    bool reading_header, refusal_told;
    bool judged, header_told;    /* the checks want the text; they know that the header is over */
    struct envelope_cut *cuts;   /* fields that pretend to be ours, later all edits; room for ENVELOPE_CUTS_MAX; NULL: none */
    uint32_t cut_n;
    struct edited *edited;       /* the text as it will be sent is looked at, or was; NULL: it was not */
    bool edits_dots, edits_8bit; /* as envelope_flag: what the edits bring with them */
    struct slice added;          /* fields of the checks */
    struct slice findings;       /* for the quarantine, */
    uint8_t quarantine;          /* which it goes to; 0: it does not */
    int32_t score;
    struct slice *given;         /* recipients as the client gave them; NULL: rcpts are those */
    uint32_t given_n;
    struct policy_notice *notices; /* who is told when the message is taken, or not; in the arena */
    uint32_t notice_n;
    struct signing *signing;     /* by us; NULL: it is not signed, or that is done */
    struct slice signatures;     /* fields of ours */
    const char *missing;         /* fields the client has left to us; NULL: not made yet */
    struct slice certificate;    /* the client's, for the log */
    bool body_8bit, has_message_id, has_subject, has_date;
    uint32_t hops, authors;      /* Received headers, addresses in From and its like so far */
    uint64_t id, end;            /* of the message; mono ms by which its text must be complete */
    struct slice message_id, subject;
    struct asked_rcpt *asked;    /* the recipient that was asked about last; NULL: none had to wait */
    struct slice hold;           /* why the message is held when it is taken; empty: it is not */
    struct slice trace;          /* of a message on its way to the disk */
    struct spool_draft *draft;   /* NULL in SESSION_DATA: the text goes to waste */
    struct data_reader data;
    struct header_reader header;
    struct header_reader stray;  /* of what stands behind a line that is no field; begins with the first */
    bool in_stray_line;          /* the rest of such a line is passed over */
    struct refusal refusal;
};

struct session;
typedef void session_then(struct session *s, const struct policy_verdict *v);

struct session {
    struct list link;            /* in server->sessions */
    struct list yield_link;      /* in server->yielding */
    struct server *server;       /* NULL: the server is gone, the commit under way is all that is left */
    struct stream *stream;       /* NULL: the client is gone, likewise */
    const struct config_listener *listener;
    const struct config_zone *zone;
    struct client *client;
    struct ip ip;
    uint16_t port;
    enum session_phase phase;
    bool esmtp, held, congested, skipping, skip_cr;
    bool quit;                   /* the client said QUIT */
    uint32_t errors, chatter;    /* bad commands and refusals; commands since the last message */
    uint32_t messages, rcpts, refused;
    uint64_t noted;              /* the refusal told to the history last: a hash of what it was */
    uint32_t skipped;            /* bytes of a line that is too long */
    uint64_t id, bytes, end;     /* end: mono ms; 0: no limit for the session as a whole */
    char *helo;                  /* NULL: none yet */
    char *account;               /* authenticated as; NULL: nobody */
    struct slice *senders;       /* addresses it may use; one block with what they point to; NULL: see any_sender */
    size_t sender_n;
    bool any_sender;
    bool waiting;                /* for the auth process: no input is taken */
    struct policy_run *run;
    session_then *then;          /* goes on when the checks have answered: no input is taken until then; NULL: nothing is asked */
    bool greeted;
    bool auth_said;              /* it said AUTH, and nothing that makes sense since: a line may be a late response */
    unsigned auth_failures;
    uint32_t auth_method;        /* enum config_sasl: of the last AUTH */
    struct auth_exchange *auth;
    struct ip intended;          /* what the client of a transparent zone meant to reach, when that is not us; else family 0 */
    uint16_t intended_port;
    struct ip peer;              /* who really connected, where PROXY or XCLIENT named another client; else family 0 */
    bool unnamed;                /* somebody the peer could not name: ip is the peer's and lends no right */
    bool xclient;                /* it used XCLIENT, and may do so again */
    char *client_name;           /* XCLIENT NAME; NULL: none */
    const char *reason;          /* why it is over */
    struct arena arena;          /* of the transaction */
    struct transaction tx;
};

/* ---- session.c: life */
void session_start(struct server *server, const struct config_listener *l, int fd, const struct origin *from,
                   const struct config_zone *zone, struct client *client);
void session_say_greeting(struct session *s);
/* Nothing more is read; once the caller has returned to the loop, what was written is sent and the session ends. */
void session_hang_up(struct session *s, const char *reason);
/* Ends it now (not from within a verb's handler): sends what was written unless `cut`. Frees the session, or leaves it
 * to its commit. */
void session_close(struct session *s, const char *reason, bool cut);
/* The server is to be emptied: the client may finish, or begin within moments, one transaction; then it gets 421. */
void session_drain(struct session *s);
/* Forgets the transaction; the session keeps a small block of memory for the next. */
void session_reset(struct session *s);
void session_arm(struct session *s);   /* sets the deadline that fits the phase */
void session_go_on(struct session *s); /* reads again if it was held and nothing holds it now */
/* What the session waited for has come and was told: ends it if it is over, else goes on with the deadline that fits. */
void session_resume(struct session *s);
void session_check_errors(struct session *s); /* says 421 and hangs up when there were too many */
void session_yield(struct server *server); /* those that gave way to others go on */

/* ---- line.c: commands */
size_t line_take(struct session *s, struct slice in); /* one line; 0 when it is not complete yet */

/* ---- reply.c: what the client is told */
void session_reply(struct session *s, int code, const char *enhanced, const char *text);
/* A refusal: logs it with the command's name (or another stage), counts it as an error, replies. `about`: the address
 * or argument it is about; may be empty. */
void session_refuse(struct session *s, const char *stage, int code, const char *enhanced, const char *text,
                    struct slice about);
/* The same within a transaction, and at MAIL, of the given sender: also told to the history when the sender is known, the reference in the
 * reply; a command out of order is not. `rcpt`: the recipient it is about; may be empty. Bounded for each client. */
void session_refuse_mail(struct session *s, int code, const char *enhanced, const char *text, struct slice sender);
void session_refuse_rcpt(struct session *s, const char *stage, int code, const char *enhanced, const char *text, struct slice rcpt);
void session_log(struct session *s, const char *event, const char *reason);

/* ---- policy.c: what the checks say */
/* The client at hand is asked about, then greeted or sent away. Also for another client on the same connection. */
void session_greet(struct session *s);
/* True: *v is the verdict. False: the session waits, and `then` is called with it. */
bool session_ask(struct session *s, enum policy_stage stage, struct policy_verdict *v, session_then *then);
/* Tells the history of a refusal that is no check's, and puts the text with its reference into room; else the text as it is. */
#define SESSION_REFUSAL_ROOM 424
const char *session_note_refusal(struct session *s, int code, const char *text, struct slice sender, struct slice rcpt,
                                 char room[SESSION_REFUSAL_ROOM]);
/* Tells the client, the log and the history of a refusal; only rejections count as errors. */
void session_policy_refuse(struct session *s, const char *stage, const struct policy_verdict *v, struct slice about);
void session_tell_accepted(struct session *s); /* to the history */

/* ---- the verbs: each answers the client and moves the phase. They never free the session. */
typedef void verb_handler(struct session *s, const struct command *c);
verb_handler verb_ehlo, verb_starttls, verb_mail, verb_rcpt, verb_data, verb_rset, verb_noop, verb_vrfy, verb_expn, verb_help,
    verb_quit, verb_auth, verb_bdat, verb_xclient;

/* ---- rcpt.c */
/* One for all forms of an address: the local part without the quotes (RFC 5321 §4.1.2), the domain as A-labels. In room, or as written. */
#define RCPT_KEY_MAX (ADDRESS_LOCAL_MAX + 1 + 256) /* local part, @, domain, NUL */
struct slice rcpt_key(const struct address *a, char room[RCPT_KEY_MAX]);
/* What was asked for either time; nothing said is failure and delay (RFC 3461 §4.1), and never is nothing asked for. */
uint8_t rcpt_unite_notify(uint8_t a, uint8_t b);

/* ---- ehlo.c: what listener and zone together say of TLS: the stronger one, but a zone's `none` hides STARTTLS where the listener
 * only offers it. A listener that requires a client certificate requires TLS. */
enum config_tls session_tls(const struct session *s);

/* ---- data.c */
/* Takes message text; returns the bytes used: all, or up to the end of the message. */
size_t data_take(struct session *s, struct slice in);

/* The same for the chunk at hand (bdat.c). */
size_t chunk_take(struct session *s, struct slice in);

/* ---- auth.c: AUTH (RFC 4954) */
void auth_take_line(struct session *s, struct slice line); /* a response, in SESSION_AUTH */
void auth_forget(struct session *s);                       /* cancels what is under way, forgets the account */
void auth_break_off(struct session *s);                    /* what is under way; the account stays */
bool auth_offered(const struct session *s);                /* to this client at this moment */
void auth_ehlo(const struct session *s, struct buf *out);  /* adds the line "AUTH ..." with \n before it, if it is */
bool auth_binds_sender(const struct session *s);           /* there is an account, and senders must belong to it */
/* May the account send as `sender` (MAIL FROM)? The session has one, or it is true. */
bool auth_may_send_as(const struct session *s, struct slice sender);

/* ---- proxy.c: the PROXY protocol */
bool proxy_expected(const struct config_listener *l, const struct ip *peer); /* a header must come first */
/* Waits for it, then gives the connection to server_admit, or closes it. */
void proxy_accept(struct server *s, const struct config_listener *l, int fd, const struct ip *proxy, uint16_t port);
void proxy_cancel_all(struct server *s);

/* ---- intended.c: where a connection went that was taken on its way */
/* Of a client of a transparent zone. False: it was not taken, but meant for this machine. */
bool intended_find(int fd, struct ip *ip, uint16_t *port);
/* For log_fields: "intended=[2001:db8::1]:25", or nothing when the session was not taken. `room` holds the text. */
#define INTENDED_ROOM 64
struct log_field intended_field(const struct session *s, char room[INTENDED_ROOM]);

/* ---- xclient.c */
bool xclient_offered(const struct session *s); /* to this client */
void xclient_add_offer(const struct session *s, struct buf *text); /* its line of the reply to EHLO, when it is offered */

/* ---- server.c */
/* Lets a connection in as a session, or turns it away. */
void server_admit(struct server *s, const struct config_listener *l, int fd, const struct origin *from);
/* The session has another client than thought: zone and limits are found anew. ip NULL: somebody who cannot be named. False:
 * that one is turned away (and was told). */
bool server_client_is(struct session *s, const struct ip *ip, uint16_t port);
void server_check_drained(struct server *s); /* after a session or connection has gone */
uint64_t server_message_size(const struct session *s); /* the limit that holds for this client */
void server_session_gone(struct server *server, struct session *s);

#endif
