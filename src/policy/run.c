/* SPDX-License-Identifier: Apache-2.0
 * One session's way through the pipeline: facts come in, checks begin as soon as their stage and step are reached, and a verdict is
 * given when all that it depends on have answered.
 *
 * What is known has a scope: the connection, the EHLO, the transaction, the recipient. A new EHLO, sender or recipient forgets the
 * answers of its stage and those behind it, and breaks off what still runs of them. */
#include <assert.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/mem.h"
#include "policy/learn.h"
#include "policy/pipeline.h"
#include "policy/relay.h"
#include "policy/skip.h"

static const enum scope scope_of[STAGES] = {
    [STAGE_CONNECT] = SCOPE_CONNECTION, [STAGE_HELO] = SCOPE_HELO,         [STAGE_MAIL] = SCOPE_TRANSACTION,
    [STAGE_RCPT] = SCOPE_RECIPIENT,     [STAGE_DATA] = SCOPE_TRANSACTION, [STAGE_CONTENT] = SCOPE_TRANSACTION,
};

struct arena *check_arena(struct check_call *c) { return &c->run->arenas[scope_of[c->check->stage]]; }

/* ---- forgetting */

static void forget_stage(struct policy_run *run, enum policy_stage stage)
{
    const struct policy *p = run_policy(run);
    if (!run->begun[stage]) return;
    for (size_t i = p->from[stage]; i < p->from[stage + 1]; i++) {
        struct slot *s = &run->slots[i];
        if (s->state == SLOT_RUNNING) s->call.check->cancel(&s->call);
        run->background -= s->background;
        *s = (struct slot){ .call = { run, p->checks[i], NULL } };
    }
    run->begun[stage] = false;
    run->refusals[stage] = 0;
    run->running[stage] = 0;
    run->next[stage] = (uint16_t)p->from[stage];
    run->allowed[stage] = 0;
}

static void forget_stages(struct policy_run *run, enum policy_stage from)
{
    for (unsigned i = from; i < STAGES; i++) forget_stage(run, i);
    if (run->text) run->text_free(&run->text);
    run->outcome = NULL;
    run->look = NULL;
    run->facts.text = NULL;
    run->facts.share = NULL;
    run->facts.rcpts = NULL;
    run->facts.rcpt_n = 0;
}

/* Stages have the order of their scopes but for DATA and CONTENT, which are of the transaction. */
static void forget(struct policy_run *run, enum policy_stage from)
{
    assert(!run->cb);
    forget_stages(run, from);
    for (unsigned i = scope_of[from]; i < SCOPES; i++) arena_reset(&run->arenas[i]);
    run->grey_key = SLICE("");
    run->relay = NULL;
    run->rewriting = NULL;
    run->facts.spf = run->facts.spf_helo = NULL;
}

/* ---- facts */

void run_find_trust(struct policy_run *run)
{
    struct check_facts *f = &run->facts;
    f->trusted = f->account.n || ((f->client.zone->trust == CONFIG_TRUST_RELAY || f->listed) && !f->distrusted);
}

static struct slice keep_domain(struct arena *a, struct slice domain)
{
    char name[256];
    return arena_slice(a, address_domain_ascii(domain, name) ? slice_str(name) : domain);
}

static const struct address *keep_address(struct arena *arena, const struct address *from)
{
    struct address *a = arena_alloc(arena, sizeof *a);
    *a = *from;
    a->text = arena_slice(arena, from->text);
    a->local = slice_sub(a->text, 0, from->local.n);
    a->domain = slice_sub(a->text, a->text.n - from->domain.n, a->text.n);
    return a;
}

static void forget_mail(struct policy_run *run)
{
    struct check_facts *f = &run->facts;
    f->sender = f->sender_local = f->sender_domain = f->rcpt = f->rcpt_domain = SLICE("");
    f->taken = 0;
    f->grey_known = false;
}

void policy_set_helo(struct policy_run *run, struct slice helo)
{
    forget(run, STAGE_HELO);
    run->facts.helo = arena_slice(&run->arenas[SCOPE_HELO], helo);
    forget_mail(run);
}

void policy_end_transaction(struct policy_run *run)
{
    forget(run, STAGE_MAIL);
    forget_mail(run);
}

void policy_set_account(struct policy_run *run, struct slice account)
{
    run->facts.account = arena_slice(&run->arenas[SCOPE_CONNECTION], account);
    run->account_changed = true;
    run_find_trust(run);
}

void policy_set_sender(struct policy_run *run, const struct address *sender)
{
    struct check_facts *f = &run->facts;
    struct arena *a = &run->arenas[SCOPE_TRANSACTION];
    forget(run, STAGE_MAIL);
    buf_clear(&run->trace);
    run->trace_kept = 0;
    f->sender = arena_slice(a, sender->text);
    f->sender_local = slice_sub(f->sender, 0, sender->local.n);
    f->sender_domain = keep_domain(a, sender->domain);
    f->rcpt = f->rcpt_domain = SLICE("");
    f->taken = 0;
}

void policy_set_recipient(struct policy_run *run, const struct address *rcpt, uint32_t taken)
{
    struct check_facts *f = &run->facts;
    struct arena *a = &run->arenas[SCOPE_RECIPIENT];
    trace_keep_recipient(run);
    forget_stages(run, STAGE_RCPT);
    arena_reset(a);
    run->relay = NULL;
    run->rewriting = NULL;
    f->rcpt = arena_slice(a, rcpt->text);
    f->rcpt_domain = keep_domain(a, rcpt->domain);
    f->rcpt_address = keep_address(a, rcpt);
    f->taken = taken;
}

/* What was said of the last recipient says nothing of the message. */
void policy_set_recipients(struct policy_run *run, uint32_t n)
{
    trace_keep_recipient(run);
    forget_stages(run, STAGE_RCPT);
    run->facts.taken = n;
}

void policy_set_text(struct policy_run *run, struct spool_draft *text) { run->facts.text = text; }

void policy_set_envelope(struct policy_run *run, uint64_t id, const struct slice *rcpts, uint32_t n, bool tls)
{
    struct check_facts *f = &run->facts;
    f->id = id;
    f->rcpts = rcpts;
    f->rcpt_n = n;
    f->tls = tls;
}

void policy_set_share(struct policy_run *run, const struct spool_share *text) { run->facts.share = text; }

void policy_talked_first(struct policy_run *run) { run->facts.talked_first = true; }

/* ---- running the checks */

static bool concerns(const struct policy_run *run, const struct check *k)
{
    const struct check_facts *f = &run->facts;
    if (f->trusted) return k->whom & FOR_TRUSTED;
    return k->whom == FOR_STRANGERS ? !f->client.submission : k->whom & FOR_STRANGERS;
}

unsigned run_allowed(const struct policy_run *run, enum policy_stage stage)
{
    unsigned all = 0;
    for (unsigned i = 0; i <= stage; i++) all |= run->allowed[i];
    return all;
}

static bool is_complete(const struct policy_run *run, enum policy_stage stage)
{
    return !run->begun[stage] || (!run->running[stage] && run->next[stage] == run_policy(run)->from[stage + 1]);
}

/* All stages before this one. What runs in the background counts once the end of the text is reached. */
static bool are_complete(const struct policy_run *run, unsigned before)
{
    for (unsigned i = 0; i < before; i++)
        if (!is_complete(run, i)) return false;
    return before <= STAGE_CONTENT || !run->background;
}

/* An answer that counts: somebody who has logged in since is no stranger, and an allow that spares the check may have come after it,
 * or may still come from an earlier stage. */
static bool holds(const struct policy_run *run, const struct slot *s)
{
    const struct check *k = s->call.check;
    if (s->state != SLOT_DONE || !concerns(run, k)) return false;
    return !k->spared_by || (!(k->spared_by & run_allowed(run, k->stage)) && are_complete(run, k->stage));
}

/* By a stage up to this one. What a later one says is forgotten earlier, and settles nothing here. */
static bool is_refused(const struct policy_run *run, enum policy_stage last)
{
    const struct policy *p = run_policy(run);
    for (unsigned stage = 0; stage <= last; stage++) {
        if (!run->refusals[stage]) continue;
        for (size_t i = p->from[stage]; i < p->from[stage + 1]; i++)
            if (policy_refuses(run->slots[i].outcome) && holds(run, &run->slots[i])) return true;
    }
    return false;
}

static void begin(struct policy_run *run, struct slot *s)
{
    const struct check *k = s->call.check;
    if (run->skips && run->skips->checks[s - run->slots]) {
        s->state = SLOT_DONE;
        s->outcome = POLICY_SKIP;
        s->finding = &run->skips->finding;
        return;
    }
    if ((!k->always_runs && k->spared_by & run_allowed(run, k->stage)) || is_refused(run, k->stage)) {
        s->state = SLOT_DONE;
        s->outcome = POLICY_SKIP;
        s->passed_over = true;
        return;
    }
    s->state = SLOT_RUNNING;
    s->us = (uint32_t)clock_mono_us();
    run->running[k->stage]++;
    run->in_check = true;
    k->run(&s->call);
    run->in_check = false;
    assert(s->state == SLOT_DONE || k->cancel);
}

/* Begins what can be begun of a stage: step after step, each when the one before has answered. Of a recipient nothing is asked before
 * all is known of the client and the sender: what it is spared depends on it. */
static void advance(struct policy_run *run, enum policy_stage stage)
{
    const struct policy *p = run_policy(run);
    size_t end = p->from[stage + 1];
    if (!run->begun[stage] || (stage >= STAGE_RCPT && !are_complete(run, STAGE_RCPT))) return;
    while (run->next[stage] < end && !run->running[stage]) {
        uint8_t step = p->checks[run->next[stage]]->step;
        for (; run->next[stage] < end && p->checks[run->next[stage]]->step == step; run->next[stage]++) {
            struct slot *s = &run->slots[run->next[stage]];
            if (s->state == SLOT_IDLE && concerns(run, s->call.check)) begin(run, s);
        }
    }
}

/* Who has logged in, or is a stranger again: of the stages that have begun, what concerns him only now begins, and what was passed
 * over, as the refusal that settled it may not hold any more. */
static void reconsider(struct policy_run *run)
{
    const struct policy *p = run_policy(run);
    run->account_changed = false;
    for (unsigned stage = 0; stage < STAGES; stage++) {
        for (size_t i = p->from[stage]; run->begun[stage] && i < p->from[stage + 1]; i++)
            if (run->slots[i].passed_over) run->slots[i] = (struct slot){ .call = { run, p->checks[i], NULL } };
        run->next[stage] = (uint16_t)p->from[stage];
        advance(run, stage);
    }
}

/* Does something that the stage waits for still run? */
static bool is_held_up(const struct policy_run *run, enum policy_stage stage)
{
    const struct policy *p = run_policy(run);
    for (size_t i = p->from[stage]; i < p->from[stage + 1]; i++)
        if (p->checks[i]->holds_up && run->slots[i].state == SLOT_RUNNING) return true;
    return false;
}

static bool tells_all(const struct policy_run *run, enum policy_stage stage)
{
    return stage >= STAGE_RCPT || !run->engine->o.config->checks.delay_reject;
}

static bool is_settled(const struct policy_run *run, enum policy_stage stage)
{
    if (!tells_all(run, stage)) return !is_held_up(run, stage);
    return is_refused(run, stage) || are_complete(run, stage + 1);
}

/* ---- verdicts */

unsigned policy_strength(unsigned outcome)
{
    static const uint8_t strength[] = {
        [POLICY_HOLD] = 1, [POLICY_QUARANTINE] = 2, [POLICY_DISCARD] = 3, [POLICY_DEFER] = 4, [POLICY_REJECT] = 5, [POLICY_WAIT] = 0,
    };
    return outcome < countof(strength) ? strength[outcome] : 0;
}

/* The strongest; of equals the first. */
static const struct slot *decisive(const struct policy_run *run, enum policy_stage stage)
{
    const struct policy *p = run_policy(run);
    const struct slot *best = NULL;
    bool all = tells_all(run, stage);
    for (size_t i = 0; i < p->from[stage + 1]; i++) {
        const struct slot *s = &run->slots[i];
        unsigned strength = policy_strength(s->outcome);
        if (!strength || !holds(run, s) || (!all && !s->call.check->told_at_once)) continue;
        if (!best || strength > policy_strength(best->outcome)) best = s;
    }
    return best;
}

static void judge(const struct policy_run *run, enum policy_stage stage, struct policy_verdict *out)
{
    const struct slot *s = decisive(run, stage);
    *out = (struct policy_verdict){ .outcome = POLICY_PASS, .enhanced = "", .text = "", .check = "", .why = "" };
    if (!s) return;
    const struct finding *f = s->finding;
    *out = (struct policy_verdict){ .outcome = s->outcome, .code = f->code, .enhanced = f->enhanced, .text = f->text,
                                    .check = s->call.check->name, .why = f->why, .place = f->place, .quarantine = f->quarantine };
}

static void begin_stage(struct policy_run *run, enum policy_stage stage)
{
    run->begun[stage] = true;
    advance(run, stage);
}

void policy_ask(struct policy_run *run, enum policy_stage stage, struct policy_verdict *out, policy_cb *cb, void *arg)
{
    assert(!run->cb);
    if (stage > STAGE_HELO && run->facts.helo.n && !run->begun[STAGE_HELO]) begin_stage(run, STAGE_HELO); /* it came with the client */
    if (run->account_changed) reconsider(run);
    begin_stage(run, stage);
    if (is_settled(run, stage)) {
        judge(run, stage, out);
        return;
    }
    *out = (struct policy_verdict){ .outcome = POLICY_WAIT, .enhanced = "", .text = "", .check = "", .why = "" };
    run->asked = stage;
    run->cb = cb;
    run->arg = arg;
}

/* ---- answers */

static bool may_go_on(const struct policy_run *run, const struct slot *s)
{
    return s->after ? s->after->state != SLOT_RUNNING : are_complete(run, s->call.check->stage);
}

/* One that waits for earlier stages, or another check, goes on, if there is such a one and they are complete. */
static bool wake(struct policy_run *run)
{
    for (size_t i = 0; i < run_policy(run)->n; i++) {
        struct check_call *c = &run->slots[i].call;
        void (*go_on)(struct check_call *) = run->slots[i].go_on;
        if (!go_on || !may_go_on(run, &run->slots[i])) continue;
        run->slots[i].go_on = NULL;
        run->slots[i].after = NULL;
        run->in_check = true;
        go_on(c);
        run->in_check = false;
        return true;
    }
    return false;
}

void check_when_earlier_done(struct check_call *c, void (*go_on)(struct check_call *c))
{
    if (are_complete(c->run, c->check->stage)) go_on(c);
    else call_slot(c)->go_on = go_on;
}

void check_when_answered(struct check_call *c, const char *other, void (*go_on)(struct check_call *c))
{
    const struct slot *s = c->run->slots, *own = call_slot(c);
    while (s < own && strcmp(s->call.check->name, other) != 0) s++;
    if (s == own || s->state != SLOT_RUNNING) {
        go_on(c);
        return;
    }
    call_slot(c)->go_on = go_on;
    call_slot(c)->after = s;
}

void check_in_background(struct check_call *c)
{
    struct slot *s = call_slot(c);
    assert(s->state == SLOT_RUNNING && c->check->stage < STAGE_CONTENT);
    if (c->run->dry || s->background) return;
    s->background = true;
    c->run->background++;
    c->run->running[c->check->stage]--;
}

/* Called with the answer recorded. One that comes within run() is picked up by advance(). */
void run_answered(struct check_call *call)
{
    struct policy_run *run = call->run;
    struct slot *s = call_slot(call);
    const struct check *k = call->check;
    enum policy_stage stage = k->stage;
    size_t at = (size_t)(s - run->slots);
    s->us = (uint32_t)clock_mono_us() - s->us;
    s->go_on = NULL;
    if (s->background) run->background--;
    else run->running[stage]--;
    s->background = false;
    if (policy_refuses(s->outcome)) run->refusals[stage] = 1;
    if (s->outcome == POLICY_REJECT && !k->judges_history) run->rejected = true;
    if (!run->dry) {
        run->engine->counts[at][s->outcome]++;
        counters_add_at(run->engine->places[at][s->outcome], 1);
        counters_add_at(run->engine->places[at][POLICY_WAIT], s->us);
    }
    if (run->in_check) return;
    do
        for (unsigned i = stage; i < STAGES; i++) advance(run, i);
    while (wake(run));
    if (!run->cb || !is_settled(run, run->asked)) return;
    policy_cb *cb = run->cb;
    struct policy_verdict v;
    run->cb = NULL;
    judge(run, run->asked, &v);
    cb(run->arg, &v); /* the run may be gone now */
}

/* ---- life */

static bool is_own(const struct policy *p, const struct ip *ip)
{
    for (size_t i = 0; i < p->own_n; i++)
        if (p->own[i].family == ip->family && !memcmp(p->own[i].bytes, ip->bytes, sizeof ip->bytes)) return true;
    return false;
}

struct policy_run *policy_run_new(struct policy_engine *e, const struct policy_client *client, bool dry)
{
    const struct policy *p = e->o.policy;
    struct policy_run *run = mem_zalloc(sizeof *run + p->n * sizeof *run->slots);
    run->engine = e;
    run->dry = dry;
    run->facts.client = *client;
    run->skips = skips_of(p, client->zone);
    run_find_trust(run);
    run->facts.own_address = is_own(p, &client->ip);
    for (size_t i = 0; i < p->n; i++) run->slots[i].call = (struct check_call){ run, p->checks[i], NULL };
    for (unsigned i = 0; i < STAGES; i++) run->next[i] = (uint16_t)p->from[i];
    return run;
}

void policy_run_free(struct policy_run **runp)
{
    struct policy_run *run = *runp;
    *runp = NULL;
    if (!run) return;
    run->cb = NULL;
    learn_end(run);
    forget_stages(run, STAGE_CONNECT);
    for (unsigned i = 0; i < SCOPES; i++) arena_deinit(&run->arenas[i]);
    buf_deinit(&run->trace);
    free(run);
}

const struct relay_verdict *policy_relay_verdict(const struct policy_run *run) { return run->relay; }
const struct expand_result *policy_rewriting(const struct policy_run *run) { return run->rewriting; }

int policy_score(const struct policy_run *run)
{
    int sum = 0;
    for (size_t i = 0; i < run_policy(run)->n; i++) sum += run->slots[i].score;
    return sum;
}

bool policy_is_distrusted(const struct policy_run *run) { return run->facts.distrusted; }
bool policy_is_outgoing(const struct policy_run *run) { return run->facts.trusted; }

bool policy_sender_decides(const struct policy_run *run)
{
    const struct check_facts *f = &run->facts;
    if (!f->trusted || f->account.n || f->listed) return f->trusted;
    return config_zone_sends(f->client.zone, f->sender_domain);
}
const struct expander *policy_run_expander(const struct policy_run *run) { return run_policy(run)->lists.expander; }
