/* SPDX-License-Identifier: Apache-2.0
 * One policy check: the interface of the files of this folder to the pipeline. A check is a row in checks.c, a file, a group of
 * options and an entry in the manual.
 *
 * run() looks at the facts and answers once, now or later: check_pass, _skip, _allow, _score, _hold, _discard, _quarantine, _refuse. One that answers later
 * keeps what it needs at call->own and has a cancel(), which must leave nothing behind that calls back. No check logs, and none
 * blocks. When check_dry is true nothing may be written or counted. */
#ifndef POSTERN_POLICY_CHECK_H
#define POSTERN_POLICY_CHECK_H
#include "base/arena.h"
#include "policy/policy.h"
#include "policy/relay.h"
#include "spool/envelope.h"

struct check_call;
struct list_match;
struct spf;
struct spool_share;

/* Whom a check concerns. */
enum check_for {
    FOR_STRANGERS = 1, /* neither a user nor from a zone that may relay */
    FOR_TRUSTED = 2,
    FOR_ALL = 3,
};
/* What an allow spares: each allow gives some of these, each check names those that spare it. */
enum check_allow {
    ALLOW_CLIENT = 1,  /* an allow entry for clients */
    ALLOW_MAIL = 2,    /* one for senders or recipients */
    ALLOW_LISTED = 4,  /* an allow list in the DNS */
};

struct check {
    const char *name;              /* in the trace, the log and `postern explain`: lower case, hyphens */
    enum policy_stage stage;
    uint8_t step;                  /* of its stage: those of one step run at the same time, the next begins when they have answered */
    enum check_for whom;
    unsigned spared_by;            /* enum check_allow */
    bool holds_up;                 /* its stage waits for it, even when refusals are delayed */
    bool told_at_once;             /* its refusal is told there */
    bool always_runs;              /* its result is of use even where something spares the mail: only its refusal is spared then */
    bool never_skipped;            /* no zone's skip_checks may name it: it keeps the relay closed, or others build on it */
    size_t place_offset;           /* of its group's struct config_place in struct config, told when nothing nearer decided; 0: none */
    bool judges_history;           /* it repeats what is known already: nothing is learnt from its refusal */
    bool (*wanted)(const struct config *c, const struct policy *p); /* is it on? Asked once, at load time; NULL: always */
    void (*run)(struct check_call *call);
    void (*cancel)(struct check_call *call); /* of one that has not answered; NULL: it always answers at once */
};
extern const struct check *const checks[]; /* checks.c: the pipeline, in order; NULL at the end */

/* How the client's name was found. */
enum reverse_state { REVERSE_UNKNOWN, REVERSE_NONE, REVERSE_UNCONFIRMED, REVERSE_CONFIRMED, REVERSE_TEMPFAIL };

/* What is known. Slices live as long as what they tell of. Domains are A-labels in lower case. */
struct check_facts {
    struct policy_client client;
    bool trusted;                  /* a user of ours, or from a zone that may relay, or one that the list `relaying` lets relay */
    bool own_address;              /* one of our own, which no zone and no entry of `relaying` names alone */
    bool listed;                   /* the list `relaying` lets the client relay (check_trust) */
    bool distrusted;               /* whatever zone and list say (check_distrust) */
    bool talked_first;
    enum reverse_state reverse;    /* after STAGE_CONNECT step 0, where a check needs it (check_wants_reverse) */
    struct slice reverse_name;     /* of UNCONFIRMED and CONFIRMED */
    struct slice helo;             /* as written */
    struct slice account;
    struct slice sender, sender_local, sender_domain; /* as written, without <>; empty: the null reverse-path */
    const struct spf *spf, *spf_helo; /* of the sender (of EHLO, when it is null), and of EHLO; NULL: not known, or not asked */
    struct slice rcpt, rcpt_domain;
    const struct address *rcpt_address;
    uint32_t taken;                /* recipients taken so far */
    uint8_t reputation;            /* percent of good mail of the client's network, plus one; 0: too little is known */
    bool grey_known;               /* the client, the sender and some recipient have met before */
    bool tls;                      /* from STAGE_CONTENT on, as are: */
    uint64_t id;                   /* of the message; 0: it has none */
    const struct slice *rcpts; uint32_t rcpt_n; /* as taken */
    const struct spool_share *share; /* of a dry run: the text; NULL: there is none */
    struct spool_draft *text;      /* from STAGE_CONTENT on: complete; NULL: there is none, or none any more (its callbacks are off then) */
};

struct check_call {
    struct policy_run *run;
    const struct check *check;
    void *own;                     /* the check's, while it waits */
};

const struct check_facts *check_facts(const struct check_call *c);
struct check_facts *check_learn(struct check_call *c); /* for the checks that find something out: reverse, relay */
const struct policy_engine_options *check_engine(const struct check_call *c);
bool check_dry(const struct check_call *c);
/* Lives as long as the scope of the check's stage: the connection, the EHLO, the transaction, the recipient. */
struct arena *check_arena(struct check_call *c);
unsigned check_allowed(const struct check_call *c); /* enum check_allow given up to its stage */
bool check_is_spared(const struct check_call *c); /* of one that always runs: its refusal would be spared by what was allowed */
/* What the answer of another check added to the score; 0 when it has not answered, or is off. */
int check_score_of(const struct check_call *c, const struct check *other);
/* Is it spam.bayes.spam_address or ham_address? "spam", "ham"; NULL: neither. */
const char *check_training(const struct config *c, struct slice rcpt);
/* For an answer that depends on earlier stages, while its own look-ups need not wait for them: go_on is called once they are
 * complete, at once if they are. Not after an answer or cancel. */
void check_when_earlier_done(struct check_call *c, void (*go_on)(struct check_call *c));
/* The same for another check, by its name: one that stands before it in the table. */
void check_when_answered(struct check_call *c, const char *other, void (*go_on)(struct check_call *c));
/* Within run(): nothing before STAGE_CONTENT depends on its answer, and nobody waits for it until then. Not when dry: there it is
 * waited for as usual. */
void check_in_background(struct check_call *c);

/* The answers. `why` is one clause for people who look it up: printf, printable (texts from outside by %s of check_show). A call is
 * over with its answer. */
void check_pass(struct check_call *c, const char *why, ...) __attribute__((format(printf, 2, 3)));
/* The same, by a line of the configuration. */
void check_pass_by(struct check_call *c, struct config_place place, const char *why, ...) __attribute__((format(printf, 3, 4)));
void check_skip(struct check_call *c, const char *why, ...) __attribute__((format(printf, 2, 3)));
void check_allow(struct check_call *c, enum check_allow what, struct config_place place, const char *why, ...)
    __attribute__((format(printf, 4, 5)));
void check_score(struct check_call *c, int score, struct config_place place, const char *why, ...)
    __attribute__((format(printf, 4, 5)));
void check_hold(struct check_call *c, struct config_place place, const char *why, ...) __attribute__((format(printf, 3, 4)));
/* Of STAGE_CONTENT alone. Discard: the client is told that the message was taken, and it is dropped. Quarantine: it is taken and kept apart;
 * kind: what it is listed under there; its findings come by policy_outcome_set_findings (policy/outcome.h). */
void check_discard(struct check_call *c, struct config_place place, const char *why, ...) __attribute__((format(printf, 3, 4)));
void check_quarantine(struct check_call *c, enum envelope_quarantine kind, struct config_place place, const char *why, ...)
    __attribute__((format(printf, 4, 5)));
/* code 4xx: defer, 5xx: reject. text: for the client, one line, printable; the reference is added to it. */
void check_refuse(struct check_call *c, int code, const char *enhanced, struct config_place place, const char *text,
                  const char *why, ...) __attribute__((format(printf, 6, 7)));
/* Neither zone nor list lends the client trust any more; a user of ours stays one. */
void check_distrust(struct check_call *c);
/* The list `relaying` lets the client relay: it is trusted as one of a zone that may, unless it is distrusted. */
void check_trust(struct check_call *c);
/* Something the postmaster must be told at once: a log event and a mail, by the engine's owner. Not when dry. */
void check_alarm(struct check_call *c, const char *event, const char *text, ...) __attribute__((format(printf, 3, 4)));
/* Text from outside made printable, at most 100 bytes of it; in check_arena. */
const char *check_show(struct check_call *c, struct slice s);

/* The parts of an engine that single checks keep: made at start by the row's file. */
struct dns_lists;
struct public_suffix;
struct recipients;
struct memo;
struct policy_parts {
    struct dns_lists *dns_lists;   /* their health; NULL: none is on */
    struct recipients *recipients; /* which there are; NULL: nobody is asked */
    struct memo *memo;             /* of answers of the store */
    struct dkim_keys *dkim_keys;   /* public ones that were read before */
};
struct policy_parts *check_parts(const struct check_call *c);

/* The lists that policy_new made. */
struct policy_lists {
    const struct list_match *allow_clients, *allow_senders, *allow_recipients, *block_clients, *block_senders, *block_recipients,
        *pause_exempt, *limits_exempt, *reverse_exempt, *grey_clients, *grey_senders, *grey_recipients;
    const struct relaying *relaying;
    const struct expander *expander;
    const struct list_match **recipients; /* of config->domains, by index; NULL: none */
    const struct public_suffix *suffixes; /* NULL: no check asks, or there is no such list */
};
const struct policy_lists *check_lists(const struct check_call *c);
const struct policy_lists *policy_lists_of(const struct policy *p);
bool check_wants_reverse(const struct policy *p); /* some list may have host names, or a check asks for them */
bool check_wants_reverse_now(const struct check_call *c); /* the same, as files and tables are now */

#endif
