/* SPDX-License-Identifier: Apache-2.0
 * The pipeline of policy checks, as the server and `postern explain` see it.
 *
 * A session has a run. The session tells the run what it learns (client, EHLO, sender, recipient) and at each stage asks whether to
 * go on. The checks (policy/checks.c is their table) start as soon as their stage is reached; those of one step run at the same
 * time. What is refused before RCPT is told at RCPT, unless checks.delay_reject is off, so that the look-ups of the earlier stages
 * hold nobody up. Each outcome stands in the trace, which is kept with the message and in the history. */
#ifndef POSTERN_POLICY_POLICY_H
#define POSTERN_POLICY_POLICY_H
#include "config/config.h"
#include "smtp/address.h"
#include "store/trace.h"

struct event_base;
struct expander;
struct policy;
struct policy_engine;
struct policy_run;
struct provider_keeper;
struct queue;
struct resolver;
struct rewriter;
struct shared;
struct spool_draft;
struct spool_share;
struct store_link;
struct link;
struct tables;
struct templates;

/* ---- what is made of a configuration, once, before the workers are forked */

/* Reads the files that lists and tables name; blocks. NULL and an error that names file and line when one cannot be used. The
 * configuration must outlive it; while it is there, domains[].table have their names. */
struct policy *policy_new(const struct config *c, struct err *err) MUST_CHECK;
void policy_free(struct policy *p); /* NULL is fine */
/* All tables of the configuration. Of each process that was forked since then its own: a worker watches them (tables_watch). */
struct tables *policy_tables(const struct policy *p);
/* What becomes of recipients (route/expand.h). As long as the policy. */
const struct expander *policy_expander(const struct policy *p);

/* ---- of one worker */

struct policy_engine_options {
    struct event_base *base;
    const struct config *config;
    const struct policy *policy;
    struct resolver *resolver;
    struct store_link *store;    /* NULL: nothing is remembered */
    struct shared *shared;       /* counts of all workers; NULL: nothing is counted */
    struct link *auth;           /* asks directories; NULL: none */
    struct link *scan;           /* to the process that looks into messages; NULL: none */
    const struct rewriter *rewriter; /* of senders, which mail may come back to; NULL: none */
    const struct templates *templates; /* of notes where parts were; NULL: the built-in ones */
    struct queue *queue;         /* asks inner servers; NULL: none */
    const struct provider_keeper *providers; /* for explanations: it chooses zones; NULL: no zone names one */
    /* Something that the postmaster must be told. event: one word for the log; text: some sentences. */
    void (*alarm)(void *arg, const char *event, const char *text);
    void *alarm_arg;
};
struct policy_engine *policy_engine_new(const struct policy_engine_options *o);
void policy_engine_free(struct policy_engine *e); /* runs must be freed before; explanations under way are answered; NULL is fine */

/* ---- of one session */

/* CONTENT is the end of the text, before it is taken. */
enum policy_stage { STAGE_CONNECT, STAGE_HELO, STAGE_MAIL, STAGE_RCPT, STAGE_DATA, STAGE_CONTENT, STAGES };

enum policy_outcome {
    POLICY_PASS,     /* nothing against it */
    POLICY_SKIP,     /* does not apply here, or could not be found out: the reason tells */
    POLICY_ALLOW,    /* spares it what an allow entry may spare */
    POLICY_SCORE,    /* adds to the score */
    POLICY_HOLD,     /* taken, and held in the queue */
    POLICY_DEFER,
    POLICY_REJECT,
    POLICY_DISCARD,  /* taken as far as the client knows, and dropped */
    POLICY_QUARANTINE, /* taken, and kept apart until somebody releases it */
    POLICY_WAIT,     /* not known yet; of policy_ask: the callback comes. Not stored, as the others are: those are appended to */
};
_Static_assert((int)STAGES == TRACE_STAGES && (int)POLICY_QUARANTINE == TRACE_QUARANTINE && (int)POLICY_WAIT == TRACE_OUTCOMES, "as in traces");
/* What decides when checks answer differently: reject before defer, discard, quarantine, hold; 0: nothing of that. */
unsigned policy_strength(unsigned outcome);
static inline bool policy_refuses(unsigned outcome) { return outcome == POLICY_DEFER || outcome == POLICY_REJECT; }

struct policy_verdict {
    enum policy_outcome outcome; /* PASS, HOLD, QUARANTINE, DISCARD, DEFER, REJECT or WAIT */
    uint8_t quarantine;          /* enum envelope_quarantine, of QUARANTINE */
    int code;                    /* reply to the client, of DEFER and REJECT */
    const char *enhanced;
    const char *text;            /* for the client, with the reference; as long as the run's scope */
    const char *check;           /* which one decided; for the log */
    const char *why;             /* for the log */
    struct config_place place;   /* what in the configuration decided; line 0: a default */
};

/* What counts of a client are kept under (policy/shared.h): its address, of IPv6 the /64. */
uint64_t policy_client_key(const struct ip *ip);

/* The client, as it is known when it connects. Everything is copied. */
struct policy_client {
    struct ip ip;                /* family 0: somebody the peer could not name, who is nobody's friend */
    const struct config_zone *zone;
    uint64_t session;            /* id, for references and the log */
    bool submission;             /* the listener's role */
    struct ip intended;          /* of a transparent zone: what the client meant to reach; family 0: us */
    uint16_t intended_port;
};
/* dry: nothing is written, counted or remembered (explain). */
struct policy_run *policy_run_new(struct policy_engine *e, const struct policy_client *client, bool dry);
void policy_run_free(struct policy_run **run); /* breaks off what is under way; NULL is fine */

/* What the session learned. Each forgets what depended on the old value: EHLO the sender, MAIL the recipients. Domains in any
 * form; copied. */
void policy_set_helo(struct policy_run *run, struct slice helo);
void policy_set_account(struct policy_run *run, struct slice account); /* empty: nobody */
void policy_set_sender(struct policy_run *run, const struct address *sender);
void policy_set_recipient(struct policy_run *run, const struct address *rcpt, uint32_t taken); /* taken: recipients so far */
void policy_talked_first(struct policy_run *run); /* before it was greeted */
/* Before STAGE_CONTENT: the complete text, for checks that look into it. It stays the session's, who says NULL before he gives it away,
 * unless the transaction is ended first. */
void policy_set_text(struct policy_run *run, struct spool_draft *text);
/* Of a dry run, instead: the text, which stays the caller's. */
void policy_set_share(struct policy_run *run, const struct spool_share *text);
/* The same: the message's id, its recipients, which live as long as the text does, and whether it came by TLS. */
void policy_set_envelope(struct policy_run *run, uint64_t id, const struct slice *rcpts, uint32_t n, bool tls);
/* At STAGE_DATA: recipients that were taken. */
void policy_set_recipients(struct policy_run *run, uint32_t n);
/* The transaction is over: what was known of it is forgotten. Not while something is asked. */
void policy_end_transaction(struct policy_run *run);

/* Starts the checks of the stage and says what is known: of CONNECT, HELO and MAIL only what must be told there. RCPT waits for all
 * that came before but what runs in the background, for which CONTENT waits. DATA answers at once. With WAIT, cb comes from the loop,
 * once; until then nothing else may be asked. Fast when no check is on. */
typedef void policy_cb(void *arg, const struct policy_verdict *v);
void policy_ask(struct policy_run *run, enum policy_stage stage, struct policy_verdict *out, policy_cb *cb, void *arg);

/* The right to relay, as the check "relay" found it for the last recipient. */
struct relay_verdict;
const struct relay_verdict *policy_relay_verdict(const struct policy_run *run);
/* What becomes of the last recipient (route/expand.h), as the check "rewriting" found it; NULL: it was not asked, or had nothing to say. */
struct expand_result;
const struct expand_result *policy_rewriting(const struct policy_run *run);
const struct expander *policy_run_expander(const struct policy_run *run); /* its policy's */
bool policy_is_outgoing(const struct policy_run *run); /* from a user, or a client that may relay */
/* May its sender decide which way mail goes? A stranger may write any; so may the clients of a zone that is trusted for some senders alone. */
bool policy_sender_decides(const struct policy_run *run);
int policy_score(const struct policy_run *run);
/* Is the sender's address forged, as far as is known? A stranger's message, for whose sender SPF says fail, while DMARC does not say that
 * it is its author's all the same; or DMARC says fail (with a policy that asks for something) of an author in the sender's domain, and SPF
 * does not say pass, nor a trusted sealer (ARC) that it was his. Whether policies are honored does not matter. After STAGE_CONTENT. */
bool policy_sender_is_forged(const struct policy_run *run);
bool policy_is_distrusted(const struct policy_run *run); /* whatever its zone says: strangers come from the client's address */
/* The trace of the transaction so far, encoded; valid until the next call on the run. */
struct slice policy_trace(struct policy_run *run);
/* The message is on disk: what is learnt from that (reputation, greylist). */
void policy_message_taken(struct policy_run *run);

/* The lists in the DNS and what is known of them (dns_lists.h); NULL: none is on. */
struct dns_lists;
struct dns_lists *policy_dns_lists(const struct policy_engine *e);
/* Figures for `postern status`, to be added to its answer: DNS lists that are off, entries, distrusted clients. */
struct json_t *policy_figures(const struct policy_engine *e);

#endif
