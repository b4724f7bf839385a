/* SPDX-License-Identifier: Apache-2.0
 * What pipeline.c, run.c and answer.c share. */
#ifndef POSTERN_POLICY_PIPELINE_H
#define POSTERN_POLICY_PIPELINE_H
#include "base/list.h"
#include "policy/check.h"

struct policy {
    const struct config *config;
    struct tables *tables;
    struct policy_lists lists;
    const struct check **checks;  /* those that are on, in the order of the table */
    size_t n, from[STAGES + 1];   /* of stage s: from[s] .. from[s + 1] */
    bool reverse;                 /* somebody may ask for names of clients, */
    bool reverse_always;          /* and it is not for lists alone, which may have none for now */
    struct zone_skips *skips;     /* of zones that skip checks */
    size_t skip_n;
    struct ip *own;               /* our own addresses that nothing which may relay names alone */
    size_t own_n;
};

struct policy_engine {
    struct policy_engine_options o;
    struct policy_parts parts;
    uint64_t (*counts)[POLICY_WAIT]; /* of each check: how often each outcome */
    struct counter_place *(*places)[POLICY_WAIT + 1]; /* the same for the metrics; the last one: its time in us */
    struct list explains;            /* under way (explain.c) */
};

/* What is known of one check in one run. */
enum slot_state { SLOT_IDLE, SLOT_RUNNING, SLOT_DONE };
struct finding {
    int code;
    uint8_t quarantine;            /* enum envelope_quarantine */
    const char *enhanced, *text, *why;
    struct config_place place;
};
/* Checks that do not concern a zone's clients (skip.h). */
struct zone_skips {
    const struct config_zone *zone;
    struct finding finding;        /* "not for zone lan" */
    char *why;
    bool *checks;                  /* by number in policy->checks */
};
struct slot {
    struct check_call call;
    uint8_t state, outcome;
    bool passed_over;              /* not run: the outcome was settled, or something spares it */
    bool background;               /* RUNNING: it does not count as such before STAGE_CONTENT */
    int32_t score;
    uint32_t us;                   /* RUNNING: when it began, low bits; DONE: how long it took */
    const struct finding *finding; /* NULL: nothing to say */
    /* RUNNING: called when the earlier stages are complete, or `after` has answered; NULL: it does not wait. */
    void (*go_on)(struct check_call *call);
    const struct slot *after;      /* NULL: the earlier stages */
};

/* How long things are known: the arenas of a run. */
enum scope { SCOPE_CONNECTION, SCOPE_HELO, SCOPE_TRANSACTION, SCOPE_RECIPIENT, SCOPES };

struct policy_run {
    struct policy_engine *engine;
    struct check_facts facts;
    const struct zone_skips *skips;/* NULL: the client's zone skips nothing */
    bool dry, in_check;            /* in_check: what answers now is picked up by who began it */
    bool account_changed;          /* what that means for the stages that have begun is not looked at yet */
    bool begun[STAGES];
    uint8_t refusals[STAGES];      /* DEFER and REJECT among the answers */
    uint16_t running[STAGES], next[STAGES]; /* next: the first check not yet begun */
    uint16_t background;           /* checks that run there, which `running` does not count */
    unsigned allowed[STAGES];
    struct arena arenas[SCOPES];
    uint32_t taken, untold;        /* messages; those the store has not heard of */
    bool rejected;                 /* some check but the reputation itself rejected something */
    struct slice grey_key;         /* of the transaction: learn.h */
    struct grey_client {           /* of the connection: check_greylist.c */
        const char *exempt;        /* the entry that names the client; NULL: none */
        struct slice who;          /* empty: not found yet */
    } grey_client;
    struct relay_verdict *relay;   /* in the recipient's arena; NULL: not found yet */
    const struct expand_result *rewriting; /* the same */
    struct message_auth *text;     /* message_auth.c: of the message that is coming in; NULL: nobody wants it */
    void (*text_free)(struct message_auth **text);
    struct content_look *look;     /* content_look.h: in the transaction's arena; NULL: nobody has looked yet */
    struct content_outcome *outcome; /* outcome.c: in the transaction's arena; NULL: none */
    enum policy_stage asked;       /* of cb */
    policy_cb *cb;                 /* NULL: nobody waits */
    void *arg;
    struct buf trace;
    size_t trace_kept;             /* bytes of it that tell of recipients before this one */
    struct slot slots[];           /* policy->n */
};

/* The answers about the recipient at hand are kept in the trace before they are forgotten. */
void trace_keep_recipient(struct policy_run *run);
static inline const struct policy *run_policy(const struct policy_run *run) { return run->engine->o.policy; }
/* The check at `call` has answered; what waited for it goes on. `run` may be gone afterwards. */
void run_answered(struct check_call *call);
void run_find_trust(struct policy_run *run); /* anew, of what the facts say */
/* What was allowed (enum check_allow) up to a stage: a later one's allow, which is forgotten earlier, spares none before it. */
unsigned run_allowed(const struct policy_run *run, enum policy_stage stage);
/* For policy_relay_verdict, until the next recipient. */
void run_keep_relay(struct check_call *call, const struct relay_verdict *v);
static inline struct slot *call_slot(struct check_call *c) { return (struct slot *)c; }

#endif
