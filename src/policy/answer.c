/* SPDX-License-Identifier: Apache-2.0
 * What a check may ask and answer, and what of it gets into the trace. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/buf.h"
#include "policy/pipeline.h"

#define WHY_MAX 240

const struct check_facts *check_facts(const struct check_call *c) { return &c->run->facts; }
struct check_facts *check_learn(struct check_call *c) { return &c->run->facts; }
const struct policy_engine_options *check_engine(const struct check_call *c) { return &c->run->engine->o; }
bool check_dry(const struct check_call *c) { return c->run->dry; }
struct policy_parts *check_parts(const struct check_call *c) { return &c->run->engine->parts; }
const struct policy_lists *policy_lists_of(const struct policy *p) { return &p->lists; }
const struct policy_lists *check_lists(const struct check_call *c) { return &run_policy(c->run)->lists; }

const char *check_show(struct check_call *c, struct slice s)
{
    struct buf shown = { 0 };
    buf_add_printable(&shown, s, 100);
    const char *text = arena_strdup(check_arena(c), buf_slice(&shown));
    buf_deinit(&shown);
    return text;
}

void check_distrust(struct check_call *c)
{
    c->run->facts.distrusted = true;
    run_find_trust(c->run);
}

void check_trust(struct check_call *c)
{
    c->run->facts.listed = true;
    run_find_trust(c->run);
}

unsigned check_allowed(const struct check_call *c) { return run_allowed(c->run, c->check->stage); }

bool check_is_spared(const struct check_call *c)
{
    return c->check->always_runs && c->check->spared_by & check_allowed(c);
}

const char *check_training(const struct config *c, struct slice rcpt)
{
    const char *spam = c->spam.bayes.spam_address, *ham = c->spam.bayes.ham_address;
    if (!c->spam.bayes.enabled) return NULL;
    if (spam && slice_ieq(rcpt, slice_str(spam))) return "spam";
    return ham && slice_ieq(rcpt, slice_str(ham)) ? "ham" : NULL;
}

int check_score_of(const struct check_call *c, const struct check *other)
{
    const struct policy *p = run_policy(c->run);
    for (size_t i = p->from[other->stage]; i < p->from[other->stage + 1]; i++)
        if (p->checks[i] == other) return c->run->slots[i].score;
    return 0;
}

void check_alarm(struct check_call *c, const char *event, const char *text, ...)
{
    const struct policy_engine_options *e = &c->run->engine->o;
    char room[1200];
    va_list args;
    if (c->run->dry || !e->alarm) return;
    va_start(args, text);
    (void)vsnprintf(room, sizeof room, text, args);
    va_end(args);
    e->alarm(e->alarm_arg, event, room);
}

void run_keep_relay(struct check_call *c, const struct relay_verdict *v)
{
    c->run->relay = arena_alloc(&c->run->arenas[SCOPE_RECIPIENT], sizeof *c->run->relay);
    *c->run->relay = *v;
}

/* ---- answers */

/* What needs no formatting is a constant, and stays where it is. */
__attribute__((format(printf, 2, 0))) static const char *format(struct check_call *c, const char *why, va_list args)
{
    char text[WHY_MAX];
    if (!strchr(why, '%')) return why;
    int n = vsnprintf(text, sizeof text, why, args);
    return n > 0 ? arena_strdup(check_arena(c), slice_str(text)) : "";
}

static void answer(struct check_call *c, enum policy_outcome outcome, const struct finding *f)
{
    struct slot *s = call_slot(c);
    size_t at = c->check->place_offset;
    struct finding placed = *f, spared = { .enhanced = "", .text = "" };
    assert(s->state == SLOT_RUNNING);
    if (outcome >= POLICY_HOLD && check_is_spared(c)) {
        outcome = POLICY_PASS;
        spared.why = arena_printf(check_arena(c), "%s; an allow entry spares it", f->why);
        f = &spared;
    }
    if (at && outcome >= POLICY_SCORE && !f->place.line) {
        memcpy(&placed.place, (const char *)c->run->engine->o.config + at, sizeof placed.place);
        f = &placed;
    }
    if (f->why[0] || f->code) {
        struct finding *kept = arena_alloc(check_arena(c), sizeof *kept);
        *kept = *f;
        s->finding = kept;
    }
    s->state = SLOT_DONE;
    s->outcome = (uint8_t)outcome;
    run_answered(c);
}

#define FORMAT_WHY(c, why, out)       \
    do {                              \
        va_list args;                 \
        va_start(args, why);          \
        (out) = format(c, why, args); \
        va_end(args);                 \
    } while (0)

void check_pass(struct check_call *c, const char *why, ...)
{
    struct finding f = { .enhanced = "", .text = "" };
    FORMAT_WHY(c, why, f.why);
    answer(c, POLICY_PASS, &f);
}

void check_pass_by(struct check_call *c, struct config_place place, const char *why, ...)
{
    struct finding f = { .enhanced = "", .text = "", .place = place };
    FORMAT_WHY(c, why, f.why);
    answer(c, POLICY_PASS, &f);
}

void check_skip(struct check_call *c, const char *why, ...)
{
    struct finding f = { .enhanced = "", .text = "" };
    FORMAT_WHY(c, why, f.why);
    answer(c, POLICY_SKIP, &f);
}

void check_allow(struct check_call *c, enum check_allow what, struct config_place place, const char *why, ...)
{
    struct finding f = { .enhanced = "", .text = "", .place = place };
    FORMAT_WHY(c, why, f.why);
    c->run->allowed[c->check->stage] |= what;
    answer(c, POLICY_ALLOW, &f);
}

void check_score(struct check_call *c, int score, struct config_place place, const char *why, ...)
{
    struct finding f = { .enhanced = "", .text = "", .place = place };
    FORMAT_WHY(c, why, f.why);
    call_slot(c)->score = score;
    answer(c, POLICY_SCORE, &f);
}

void check_hold(struct check_call *c, struct config_place place, const char *why, ...)
{
    struct finding f = { .enhanced = "", .text = "", .place = place };
    FORMAT_WHY(c, why, f.why);
    answer(c, POLICY_HOLD, &f);
}

void check_discard(struct check_call *c, struct config_place place, const char *why, ...)
{
    struct finding f = { .enhanced = "", .text = "", .place = place };
    assert(c->check->stage == STAGE_CONTENT);
    FORMAT_WHY(c, why, f.why);
    answer(c, POLICY_DISCARD, &f);
}

void check_quarantine(struct check_call *c, enum envelope_quarantine kind, struct config_place place, const char *why, ...)
{
    struct finding f = { .enhanced = "", .text = "", .place = place, .quarantine = (uint8_t)kind };
    assert(c->check->stage == STAGE_CONTENT && kind != QUARANTINE_NONE);
    FORMAT_WHY(c, why, f.why);
    answer(c, POLICY_QUARANTINE, &f);
}

void check_refuse(struct check_call *c, int code, const char *enhanced, struct config_place place, const char *text,
                  const char *why, ...)
{
    struct finding f = { .code = code, .enhanced = enhanced, .place = place };
    f.text = arena_strdup(check_arena(c), slice_str(text));
    FORMAT_WHY(c, why, f.why);
    answer(c, code < 500 ? POLICY_DEFER : POLICY_REJECT, &f);
}

/* ---- the trace */

static void trace_stage(const struct policy_run *run, enum policy_stage stage, struct buf *out)
{
    const struct policy *p = run_policy(run);
    static const struct finding nothing = { .why = "" };
    for (size_t i = p->from[stage]; run->begun[stage] && i < p->from[stage + 1]; i++) {
        const struct slot *s = &run->slots[i];
        if (s->state != SLOT_DONE) continue;
        const struct finding *f = s->finding ? s->finding : &nothing;
        struct trace_entry e = { .stage = (uint8_t)stage, .outcome = s->outcome, .check = slice_str(p->checks[i]->name),
                                 .why = slice_str(s->passed_over ? "not asked, as it is settled" : f->why),
                                 .line = f->place.line, .score = s->score, .us = s->passed_over ? 0 : s->us };
        if (stage == STAGE_RCPT) e.about = run->facts.rcpt;
        trace_add(out, &e);
    }
}

void trace_keep_recipient(struct policy_run *run)
{
    run->trace.n = run->trace_kept;
    if (run->begun[STAGE_RCPT]) trace_stage(run, STAGE_RCPT, &run->trace);
    run->trace_kept = run->trace.n;
}

/* The recipients before this one stand at the beginning: what is behind them is made anew. */
struct slice policy_trace(struct policy_run *run)
{
    run->trace.n = run->trace_kept;
    for (unsigned stage = 0; stage < STAGES; stage++) trace_stage(run, stage, &run->trace);
    return buf_slice(&run->trace);
}
