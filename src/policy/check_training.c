/* SPDX-License-Identifier: Apache-2.0
 * Mail of users and trusted clients to spam.bayes.spam_address and ham_address is learnt, and not delivered. What is learnt are the
 * messages attached to it; when there are none, the message itself. */
#include "base/mem.h"
#include "content/scan.h"
#include "policy/checks.h"
#include "policy/content_look.h"

#define LEARNT_MAX 50 /* attached messages of one mail */
static const struct config_place nowhere = { 0 };

static bool wanted(const struct config *c, const struct policy *p)
{
    return c->spam.bayes.enabled && (c->spam.bayes.spam_address || c->spam.bayes.ham_address);
}

/* ---- the recipient */

static void rcpt_run(struct check_call *c)
{
    const struct check_facts *f = check_facts(c);
    if (!check_training(check_engine(c)->config, f->rcpt)) check_skip(c, "not an address of the classifier");
    else if (f->trusted) check_pass(c, "what comes there is learnt");
    else
        check_refuse(c, 550, "5.1.1", nowhere, arena_printf(check_arena(c), "<%s> is not known here", check_show(c, f->rcpt)),
                     "only users and trusted clients may train the classifier");
}

const struct check check_training_address = { .name = "training-address", .never_skipped = true, .stage = STAGE_RCPT, .step = 1, .whom = FOR_ALL,
                                              .wanted = wanted, .run = rcpt_run };

/* ---- the message */

struct piece {
    uint64_t at, n;
};
struct training {
    struct check_call *call;
    const char *as;
    struct piece pieces[LEARNT_MAX];
    size_t n, next;
    struct scan_request *request;
};

/* Messages in the message that stand there as they are; not those within them. */
static void find_messages(struct training *t, const struct report *r)
{
    for (size_t i = 1; i < r->part_n && t->n < LEARNT_MAX; i++) {
        const struct report_part *p = &r->parts[i], *of = &r->parts[p->parent];
        bool message = p->parent && p->is_mime && p->n && slice_starts(of->type, SLICE("message/rfc822"));
        if (!message || (t->n && p->at < t->pieces[t->n - 1].at + t->pieces[t->n - 1].n)) continue;
        t->pieces[t->n++] = (struct piece){ p->at, p->n };
    }
}

static void finish(struct check_call *c, const struct training *t)
{
    uint32_t others = 0;
    for (uint32_t i = 0; i < check_facts(c)->rcpt_n; i++) {
        struct slice rcpt = check_facts(c)->rcpts[i];
        if (!check_training(check_engine(c)->config, rcpt)) others++;
        else (void)policy_outcome_remove(c->run, rcpt);
    }
    const char *what = arena_printf(check_arena(c), "learnt as %s: %zu messages", t->as, t->n);
    if (others) check_pass(c, "%s", what);
    else check_discard(c, nowhere, "%s", what);
}

static void learn_next(struct training *t);

static void on_learnt(void *arg, const char *error)
{
    struct training *t = arg;
    struct check_call *c = t->call;
    t->request = NULL;
    if (!error && t->next < t->n) {
        learn_next(t);
        return;
    }
    c->own = NULL;
    if (error) check_refuse(c, 451, "4.3.0", nowhere, "the message cannot be learnt at the moment, please try again later", "%s", error);
    else finish(c, t);
}

static void learn_next(struct training *t)
{
    struct check_call *c = t->call;
    const struct policy_engine_options *e = check_engine(c);
    const struct spool_share *s = &check_look(c)->share;
    const struct piece *p = &t->pieces[t->next++];
    t->request = scan_learn(e->scan, e->config, t->as, s->fd, s->offset + p->at, p->n, check_arena(c), on_learnt, t);
}

static const char *as_what(const struct check_call *c)
{
    const char *as = NULL;
    for (uint32_t i = 0; i < check_facts(c)->rcpt_n && !as; i++) as = check_training(check_engine(c)->config, check_facts(c)->rcpts[i]);
    return as;
}

static void run(struct check_call *c)
{
    const struct content_look *l = check_look(c);
    const char *as = as_what(c);
    if (!as || !check_facts(c)->trusted) {
        check_skip(c, "it is not to be learnt");
        return;
    }
    if (!l->report || !check_engine(c)->scan) {
        check_refuse(c, 451, "4.3.0", nowhere, "the message cannot be learnt at the moment, please try again later", "there is no report");
        return;
    }
    struct training *t = c->own = arena_alloc(check_arena(c), sizeof *t);
    t->call = c;
    t->as = as;
    find_messages(t, l->report);
    if (!t->n) t->pieces[t->n++] = (struct piece){ 0, l->share.size };
    if (check_dry(c)) {
        c->own = NULL;
        finish(c, t);
    } else learn_next(t);
}

static void cancel(struct check_call *c)
{
    struct training *t = c->own;
    c->own = NULL;
    if (t) scan_cancel(&t->request);
}

const struct check check_content_training = { .name = "training", .never_skipped = true, .stage = STAGE_CONTENT, .step = 4, .whom = FOR_TRUSTED, .wanted = wanted,
                                           .run = run, .cancel = cancel };
