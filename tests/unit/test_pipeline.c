/* SPDX-License-Identifier: Apache-2.0
 * The pipeline with checks made for the test: order, steps, waiting, sparing, forgetting, the trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/mem.h"
#include "policy/pipeline.h"
#include "policy/skip.h"

/* ---- checks that do as they are told */

enum kind { PASSES, REFUSES, DEFERS, ALLOWS, SCORES, HOLDS, DISCARDS, QUARANTINES };
static struct told {
    enum kind kind;
    bool waits, waits_for_earlier, in_background;
    const char *waits_for; /* another check */
    struct check_call *call; /* while it waits */
    unsigned ran, cancelled;
} told[12];
static unsigned order[64], order_n;

static void answer(struct check_call *c, enum kind kind)
{
    const struct config_place place = { 7, 1 };
    switch (kind) {
    case PASSES: check_pass(c, "fine"); break;
    case REFUSES: check_refuse(c, 550, "5.7.1", place, "go away", "bad %d", 1); break;
    case DEFERS: check_refuse(c, 450, "4.7.1", place, "come again", "early"); break;
    case ALLOWS: check_allow(c, ALLOW_CLIENT, place, "a friend"); break;
    case SCORES: check_score(c, -3, place, "somewhat good"); break;
    case HOLDS: check_hold(c, place, "too much"); break;
    case DISCARDS: check_discard(c, place, "away with it"); break;
    case QUARANTINES: check_quarantine(c, QUARANTINE_VIRUS, place, "a virus"); break;
    }
}

static void as_told(struct check_call *c) { answer(c, told[atoi(c->check->name)].kind); }

static void run(struct check_call *c)
{
    unsigned n = (unsigned)atoi(c->check->name);
    order[order_n++] = n;
    told[n].ran++;
    if (told[n].in_background) check_in_background(c);
    if (told[n].waits_for_earlier) check_when_earlier_done(c, as_told);
    else if (told[n].waits_for) check_when_answered(c, told[n].waits_for, as_told);
    else if (told[n].waits) told[n].call = c;
    else answer(c, told[n].kind);
}

static void cancel(struct check_call *c)
{
    unsigned n = (unsigned)atoi(c->check->name);
    told[n].cancelled++;
    told[n].call = NULL;
}

static void goes_on(unsigned n)
{
    struct check_call *c = told[n].call;
    assert_non_null(c);
    told[n].call = NULL;
    answer(c, told[n].kind);
}

#define CHECK(n, s, st, w, ...) { .name = #n, .stage = s, .step = st, .whom = w, .run = run, .cancel = cancel, ##__VA_ARGS__ }
static const struct check table[] = {
    CHECK(0, STAGE_CONNECT, 0, FOR_ALL),
    CHECK(1, STAGE_CONNECT, 0, FOR_STRANGERS, .holds_up = true, .told_at_once = true),
    CHECK(2, STAGE_CONNECT, 1, FOR_STRANGERS, .spared_by = ALLOW_CLIENT),
    CHECK(3, STAGE_HELO, 0, FOR_STRANGERS),
    CHECK(8, STAGE_HELO, 0, FOR_STRANGERS, .spared_by = ALLOW_CLIENT),
    CHECK(4, STAGE_MAIL, 0, FOR_STRANGERS),
    CHECK(5, STAGE_RCPT, 0, FOR_ALL),
    CHECK(6, STAGE_RCPT, 1, FOR_STRANGERS, .spared_by = ALLOW_CLIENT),
    CHECK(7, STAGE_DATA, 0, FOR_ALL),
};
static const struct check for_all = CHECK(9, STAGE_CONNECT, 1, FOR_ALL); /* behind 2, in tests that want it */

/* Some of the end of the text, in a table of their own: 4 in the background, 10 waits for it. */
static const struct check at_the_end[] = {
    CHECK(0, STAGE_CONNECT, 0, FOR_ALL),
    CHECK(4, STAGE_MAIL, 0, FOR_STRANGERS, .spared_by = ALLOW_CLIENT, .always_runs = true),
    CHECK(3, STAGE_MAIL, 0, FOR_STRANGERS),
    CHECK(5, STAGE_RCPT, 0, FOR_ALL),
    CHECK(7, STAGE_DATA, 0, FOR_ALL),
    CHECK(9, STAGE_CONTENT, 0, FOR_STRANGERS),
    CHECK(10, STAGE_CONTENT, 1, FOR_STRANGERS, .spared_by = ALLOW_CLIENT, .always_runs = true),
};

/* ---- a world */

static struct config config;
static struct policy policy;
static struct policy_engine engine;
static struct config_zone stranger, friend;
static struct policy_verdict got;
static unsigned calls;

static void on_verdict(void *arg, const struct policy_verdict *v)
{
    got = *v;
    calls++;
}

static int setup(void **state)
{
    static const struct check *list[countof(table) + 1];
    memset(told, 0, sizeof told);
    order_n = calls = 0;
    config = (struct config){ .checks.delay_reject = true };
    stranger = (struct config_zone){ .name = "internet" };
    friend = (struct config_zone){ .name = "lan", .trust = CONFIG_TRUST_RELAY };
    policy = (struct policy){ .config = &config, .checks = list, .n = countof(table) };
    for (size_t i = 0, stage = 0; i < countof(table); i++) {
        list[i] = &table[i];
        while (stage < table[i].stage) policy.from[++stage] = i;
    }
    policy.from[STAGE_CONTENT] = policy.from[STAGES] = countof(table);
    engine = (struct policy_engine){ .o = { .config = &config, .policy = &policy } };
    engine.counts = mem_zalloc((countof(table) + 1) * sizeof *engine.counts);
    engine.places = mem_zalloc((countof(table) + 1) * sizeof *engine.places);
    return 0;
}

static int setup_at_the_end(void **state)
{
    setup(state);
    memset(policy.from, 0, sizeof policy.from);
    policy.n = countof(at_the_end);
    for (size_t i = 0, stage = 0; i < countof(at_the_end); i++) {
        policy.checks[i] = &at_the_end[i];
        while (stage < at_the_end[i].stage) policy.from[++stage] = i;
    }
    policy.from[STAGES] = countof(at_the_end);
    return 0;
}

static int setup_for_all(void **state)
{
    setup(state);
    for (size_t i = policy.n++; i > 3; i--) policy.checks[i] = policy.checks[i - 1];
    policy.checks[3] = &for_all;
    for (unsigned stage = STAGE_HELO; stage <= STAGES; stage++) policy.from[stage]++;
    return 0;
}

static int teardown(void **state)
{
    free(engine.counts);
    free(engine.places);
    return 0;
}

static struct policy_run *begin(const struct config_zone *zone)
{
    return policy_run_new(&engine, &(struct policy_client){ .zone = zone, .ip = { .family = 4 } }, false);
}

static enum policy_outcome ask(struct policy_run *r, enum policy_stage stage)
{
    struct policy_verdict v;
    policy_ask(r, stage, &v, on_verdict, NULL);
    got = v;
    return v.outcome;
}

static void set_sender(struct policy_run *r)
{
    struct address a;
    assert_null(address_parse(SLICE("joe@Example.ORG"), &a));
    policy_set_sender(r, &a);
}

static void set_rcpt(struct policy_run *r, const char *rcpt)
{
    struct address a;
    assert_null(address_parse(slice_str(rcpt), &a));
    policy_set_recipient(r, &a, 0);
}

/* ---- tests */

static void test_all_pass(void **state)
{
    struct policy_run *r = begin(&stranger);
    assert_int_equal(ask(r, STAGE_CONNECT), POLICY_PASS);
    policy_set_helo(r, SLICE("mx.example.org"));
    assert_int_equal(ask(r, STAGE_HELO), POLICY_PASS);
    set_sender(r);
    assert_true(slice_eq(r->facts.sender_domain, SLICE("example.org")));
    assert_int_equal(ask(r, STAGE_MAIL), POLICY_PASS);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_PASS);
    assert_int_equal(ask(r, STAGE_DATA), POLICY_PASS);
    static const unsigned as_in_the_table[] = { 0, 1, 2, 3, 8, 4, 5, 6, 7 };
    for (unsigned i = 0; i < 9; i++) assert_int_equal(order[i], as_in_the_table[i]);
    assert_int_equal(order_n, 9);
    policy_run_free(&r);
}

static void test_a_refusal_waits_for_rcpt(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].kind = REFUSES;
    assert_int_equal(ask(r, STAGE_CONNECT), POLICY_PASS);
    policy_set_helo(r, SLICE("x"));
    assert_int_equal(ask(r, STAGE_HELO), POLICY_PASS);
    set_sender(r);
    assert_int_equal(ask(r, STAGE_MAIL), POLICY_PASS);
    assert_int_equal(order_n, 1); /* what is settled is not looked into further */
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_REJECT);
    assert_int_equal(got.code, 550);
    assert_int_equal(got.place.line, 7);
    assert_string_equal(got.check, "0");
    assert_string_equal(got.why, "bad 1");
    set_rcpt(r, "b@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_REJECT);
    policy_run_free(&r);
}

static void test_or_is_told_at_once(void **state)
{
    config.checks.delay_reject = false;
    struct policy_run *r = begin(&stranger);
    told[0].kind = REFUSES;
    assert_int_equal(ask(r, STAGE_CONNECT), POLICY_REJECT);
    policy_run_free(&r);
    config.checks.delay_reject = true;
    r = begin(&stranger);
    told[0].kind = PASSES;
    told[1].kind = DEFERS;
    assert_int_equal(ask(r, STAGE_CONNECT), POLICY_DEFER);
    policy_run_free(&r);
}

static void test_steps(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].waits = told[2].waits = true;
    assert_int_equal(ask(r, STAGE_CONNECT), POLICY_PASS); /* nobody waits for 0 here */
    assert_int_equal(told[1].ran, 1);
    assert_int_equal(told[2].ran, 0);
    goes_on(0);
    assert_int_equal(told[2].ran, 1);
    set_sender(r);
    assert_int_equal(ask(r, STAGE_MAIL), POLICY_PASS);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_WAIT);
    assert_int_equal(told[5].ran, 0); /* not before the client is known */
    told[2].kind = REFUSES;
    goes_on(2);
    assert_int_equal(calls, 1);
    assert_int_equal(got.outcome, POLICY_REJECT);
    policy_run_free(&r);
}

static void test_what_spares_may_come_late(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].waits = true;
    told[0].kind = ALLOWS;
    told[6].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    set_sender(r);
    ask(r, STAGE_MAIL);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_WAIT);
    goes_on(0);
    assert_int_equal(got.outcome, POLICY_PASS);
    policy_run_free(&r);
}

static void test_a_stage_is_held_up(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[1].waits = true;
    assert_int_equal(ask(r, STAGE_CONNECT), POLICY_WAIT);
    goes_on(1);
    assert_int_equal(calls, 1);
    assert_int_equal(got.outcome, POLICY_PASS);
    policy_run_free(&r);
}

static void test_rejecting_beats_deferring(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[3].waits = true;
    told[3].kind = REFUSES;
    told[4].waits = true;
    told[4].kind = DEFERS;
    ask(r, STAGE_CONNECT);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    set_sender(r);
    ask(r, STAGE_MAIL);
    goes_on(4);
    goes_on(3);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_REJECT);
    policy_run_free(&r);
}

static void test_sparing(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].kind = ALLOWS;
    told[2].kind = told[6].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    set_sender(r);
    ask(r, STAGE_MAIL);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_PASS);
    assert_int_equal(told[2].ran + told[6].ran, 0);
    told[4].kind = REFUSES; /* an allow spares nothing that does not say so */
    set_sender(r);
    ask(r, STAGE_MAIL);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_REJECT);
    policy_run_free(&r);
}

static void test_whom_it_concerns(void **state)
{
    struct policy_run *r = begin(&friend);
    told[2].kind = told[3].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    assert_int_equal(told[2].ran, 0);
    policy_run_free(&r);
    r = begin(&stranger); /* who logs in is no stranger any more */
    ask(r, STAGE_CONNECT);
    assert_int_equal(told[2].ran, 1);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    policy_set_account(r, SLICE("joe"));
    set_sender(r);
    ask(r, STAGE_MAIL);
    set_rcpt(r, "a@there.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_PASS);
    policy_run_free(&r);
}

/* From EHLO to RCPT. */
static enum policy_outcome ask_for_a_mail(struct policy_run *r)
{
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    set_sender(r);
    ask(r, STAGE_MAIL);
    set_rcpt(r, "a@there.example");
    return ask(r, STAGE_RCPT);
}

/* A refusal for strangers settles nothing for a user: what it had passed over is asked. */
static void test_who_logs_in_late_is_asked_what_was_passed_over(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[1].kind = told[9].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    assert_int_equal(told[9].ran, 0);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    policy_set_account(r, SLICE("joe"));
    assert_int_equal(ask_for_a_mail(r), POLICY_REJECT);
    assert_string_equal(got.check, "9");
    assert_int_equal(told[9].ran, 1);
    assert_int_equal(told[0].ran, 1);
    assert_int_equal(ask_for_a_mail(r), POLICY_REJECT); /* once is enough */
    assert_int_equal(told[9].ran, 1);
    policy_run_free(&r);
    r = begin(&stranger); /* and that may take its time */
    told[9].waits = true;
    ask(r, STAGE_CONNECT);
    policy_set_account(r, SLICE("joe"));
    assert_int_equal(ask_for_a_mail(r), POLICY_WAIT);
    goes_on(9);
    assert_int_equal(got.outcome, POLICY_REJECT);
    policy_run_free(&r);
}

/* And while the checks of the client still run. */
static void test_who_logs_in_while_checks_run(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].waits = true;
    told[1].kind = told[9].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    policy_set_account(r, SLICE("joe"));
    assert_int_equal(ask_for_a_mail(r), POLICY_WAIT);
    assert_int_equal(told[9].ran, 0);
    goes_on(0);
    assert_int_equal(got.outcome, POLICY_REJECT);
    assert_string_equal(got.check, "9");
    assert_int_equal(told[0].ran, 1);
    policy_run_free(&r);
}

/* As with STARTTLS after AUTH: what had not begun for the user begins for the stranger. */
static void test_who_is_a_stranger_again(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[2].kind = REFUSES;
    told[0].waits = true;
    ask(r, STAGE_CONNECT);
    policy_set_account(r, SLICE("joe"));
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    goes_on(0);
    assert_int_equal(told[2].ran, 0);
    policy_set_account(r, SLICE(""));
    assert_int_equal(ask_for_a_mail(r), POLICY_REJECT);
    assert_string_equal(got.check, "2");
    assert_int_equal(told[1].ran, 1);
    policy_run_free(&r);
}

/* ---- the background, and the end of the text */

static void test_nobody_waits_for_the_background_before_the_end(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[4].waits = told[4].in_background = true;
    told[10].waits_for = "4";
    ask(r, STAGE_CONNECT);
    assert_int_equal(ask_for_a_mail(r), POLICY_PASS);
    policy_set_recipients(r, 1);
    assert_int_equal(ask(r, STAGE_DATA), POLICY_PASS);
    assert_int_equal(ask(r, STAGE_CONTENT), POLICY_WAIT);
    assert_int_equal(told[9].ran, 1);
    assert_int_equal(told[10].ran, 1);
    told[10].kind = HOLDS;
    goes_on(4);
    assert_int_equal(got.outcome, POLICY_HOLD);
    policy_end_transaction(r);
    assert_int_equal(ask_for_a_mail(r), POLICY_PASS); /* and is broken off with its transaction */
    policy_end_transaction(r);
    assert_int_equal(told[4].cancelled, 1);
    assert_int_equal(r->background, 0);
    policy_run_free(&r);
}

static void test_the_background_without_one_who_waits_for_it(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[4].waits = told[4].in_background = true;
    ask(r, STAGE_CONNECT);
    assert_int_equal(ask_for_a_mail(r), POLICY_PASS);
    policy_set_recipients(r, 1);
    ask(r, STAGE_DATA);
    assert_int_equal(ask(r, STAGE_CONTENT), POLICY_WAIT);
    goes_on(4);
    assert_int_equal(calls, 1);
    assert_int_equal(got.outcome, POLICY_PASS);
    policy_run_free(&r);
}

static void test_who_waits_for_another_of_its_step(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[4].waits = true;
    told[3].waits_for = "4";
    told[3].kind = ALLOWS; /* and what it allows spares the other */
    told[4].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    assert_int_equal(ask_for_a_mail(r), POLICY_WAIT);
    assert_int_equal(told[3].ran, 1);
    goes_on(4);
    assert_int_equal(got.outcome, POLICY_PASS);
    policy_run_free(&r);
}

/* What always runs is judged for those who are allowed, too, and refuses none of them. */
static void test_a_refusal_that_is_spared(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].kind = ALLOWS;
    told[4].kind = told[10].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    assert_int_equal(ask_for_a_mail(r), POLICY_PASS);
    policy_set_recipients(r, 1);
    ask(r, STAGE_DATA);
    assert_int_equal(ask(r, STAGE_CONTENT), POLICY_PASS);
    assert_int_equal(told[4].ran + told[10].ran, 2);
    assert_false(r->rejected);
    json_t *all = trace_json(policy_trace(r));
    const json_t *last = json_array_get(all, json_array_size(all) - 1);
    assert_string_equal(json_string_value(json_object_get(last, "outcome")), "pass");
    assert_string_equal(json_string_value(json_object_get(last, "stage")), "content");
    assert_string_equal(json_string_value(json_object_get(last, "why")), "bad 1; an allow entry spares it");
    json_decref(all);
    policy_run_free(&r);
}

static void test_a_refusal_at_the_end(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[9].waits = true;
    told[10].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    ask_for_a_mail(r);
    policy_set_recipients(r, 1);
    ask(r, STAGE_DATA);
    assert_int_equal(ask(r, STAGE_CONTENT), POLICY_WAIT);
    goes_on(9);
    assert_int_equal(got.outcome, POLICY_REJECT);
    assert_string_equal(got.check, "10");
    policy_run_free(&r);
}

static void test_forgetting(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[4].waits = true;
    ask(r, STAGE_CONNECT);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    set_sender(r);
    ask(r, STAGE_MAIL);
    set_sender(r); /* anew: the first is broken off */
    assert_int_equal(told[4].cancelled, 1);
    told[4].waits = false;
    told[4].kind = SCORES;
    ask(r, STAGE_MAIL);
    assert_int_equal(policy_score(r), -3);
    set_rcpt(r, "a@here.example");
    told[6].kind = REFUSES;
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_REJECT);
    told[6].kind = PASSES;
    set_rcpt(r, "b@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_PASS);
    assert_int_equal(policy_score(r), -3);
    told[6].kind = REFUSES;
    set_rcpt(r, "c@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_REJECT);
    told[7].kind = HOLDS; /* a recipient that is refused is not the end of the message */
    policy_set_recipients(r, 1);
    assert_int_equal(ask(r, STAGE_DATA), POLICY_HOLD);
    policy_set_helo(r, SLICE("y"));
    assert_int_equal(policy_score(r), 0);
    policy_run_free(&r);
}

/* What a later stage says, and what is forgotten with the next EHLO, keeps no earlier check from running. */
static void test_an_early_check_is_not_skipped_by_a_later_refusal(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].waits = true;
    told[2].kind = told[3].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    policy_set_helo(r, SLICE("192.0.2.1"));
    ask(r, STAGE_HELO);
    goes_on(0);
    assert_int_equal(told[2].ran, 1);
    told[3].kind = PASSES;
    policy_set_helo(r, SLICE("mx.example.org"));
    ask(r, STAGE_HELO);
    set_sender(r);
    ask(r, STAGE_MAIL);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_REJECT);
    assert_string_equal(got.check, "2");
    policy_run_free(&r);
}

/* Who is allowed by a name that takes long to look up is allowed as if it had been there at once. */
static void test_a_late_allow_spares_what_was_refused(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].waits = true;
    told[0].kind = ALLOWS;
    told[8].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    assert_int_equal(told[8].ran, 1);
    set_sender(r);
    assert_int_equal(ask(r, STAGE_MAIL), POLICY_PASS);
    assert_int_equal(told[4].ran, 1);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_WAIT);
    goes_on(0);
    assert_int_equal(got.outcome, POLICY_PASS);
    policy_run_free(&r);
    told[0].kind = PASSES;
    r = begin(&stranger);
    ask(r, STAGE_CONNECT);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    set_sender(r);
    ask(r, STAGE_MAIL);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_WAIT);
    goes_on(0);
    assert_int_equal(got.outcome, POLICY_REJECT);
    assert_string_equal(got.check, "8");
    policy_run_free(&r);
}

/* Its own work is done, but what it says depends on those before it. */
static void test_waiting_for_earlier_stages(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].waits = told[3].waits_for_earlier = told[4].waits_for_earlier = true;
    told[0].kind = SCORES;
    told[3].kind = REFUSES;
    ask(r, STAGE_CONNECT);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    set_sender(r);
    ask(r, STAGE_MAIL);
    set_rcpt(r, "a@here.example");
    assert_int_equal(ask(r, STAGE_RCPT), POLICY_WAIT);
    assert_int_equal(told[3].ran + told[4].ran, 2);
    goes_on(0); /* and with it 2, then 3, then 4 */
    assert_int_equal(calls, 1);
    assert_int_equal(got.outcome, POLICY_REJECT);
    assert_string_equal(got.check, "3");
    assert_int_equal(check_score_of(&r->slots[3].call, &table[0]), -3);
    assert_int_equal(r->slots[4].state, SLOT_DONE);
    policy_run_free(&r);
    r = begin(&stranger); /* nothing to wait for */
    told[0].waits = false;
    ask(r, STAGE_CONNECT);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    assert_int_equal(r->slots[3].state, SLOT_DONE);
    policy_run_free(&r);
    r = begin(&stranger); /* broken off while it waits */
    told[0].waits = true;
    ask(r, STAGE_CONNECT);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    policy_set_helo(r, SLICE("y"));
    assert_int_equal(told[3].cancelled, 1);
    goes_on(0);
    assert_int_equal(told[3].ran, 3);
    policy_run_free(&r);
}

static void test_end_while_waiting(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[0].waits = told[1].waits = true;
    ask(r, STAGE_CONNECT);
    policy_run_free(&r);
    assert_int_equal(told[0].cancelled + told[1].cancelled, 2);
    assert_int_equal(calls, 0);
}

/* What a zone skips is not run for its clients and shows in the trace; other zones know nothing of it. */
static void test_what_a_zone_skips(void **state)
{
    static const struct check fixed = CHECK(11, STAGE_DATA, 0, FOR_ALL, .never_skipped = true), *const all[] = { &table[2], &table[7], &fixed, NULL };
    static const char *skipped[] = { "2", "6" }, *unknown[] = { "2", "7 up" }, *needed[] = { "11" };
    struct config_zone zones[] = { { .name = "lan", .skip_checks = skipped, .skip_check_n = 2, .place = { 5, 3 } }, stranger };
    struct policy_run *r;
    struct err err;
    config.zones = zones;
    config.zone_n = 2;
    config.file = "t.yaml";
    assert_true(skips_load(&policy, all, &err));
    assert_null(skips_of(&policy, &zones[1]));
    told[2].kind = told[6].kind = REFUSES;
    for (unsigned i = 0; i < 2; i++) {
        r = begin(&zones[i]);
        ask(r, STAGE_CONNECT);
        set_sender(r);
        ask(r, STAGE_MAIL);
        set_rcpt(r, "a@here.example");
        assert_int_equal(ask(r, STAGE_RCPT), i ? POLICY_REJECT : POLICY_PASS);
        assert_int_equal(told[2].ran, i);
        struct slice trace;
        struct trace_entry e = { 0 };
        assert_true(trace_open(policy_trace(r), &trace));
        while (trace_next(&trace, &e) && !slice_eq(e.check, SLICE("2"))) {}
        assert_int_equal(e.outcome, i ? POLICY_REJECT : POLICY_SKIP);
        if (!i) assert_true(slice_eq(e.why, SLICE("not for zone lan")) && e.line == 5);
        policy_run_free(&r);
    }
    skips_free(&policy);
    zones[0].skip_checks = unknown;
    assert_false(skips_load(&policy, all, &err));
    assert_string_equal(err.text, "t.yaml:5: zones.lan.skip_checks: there is no check \"7 up\"; possible are 2 6");
    zones[0].skip_checks = needed;
    zones[0].skip_check_n = 1;
    assert_false(skips_load(&policy, all, &err));
    assert_string_equal(err.text, "t.yaml:5: zones.lan.skip_checks: no zone may skip \"11\"; possible are 2 6");
    skips_free(&policy);
}

static void test_trace(void **state)
{
    struct policy_run *r = begin(&stranger);
    told[4].kind = SCORES;
    ask(r, STAGE_CONNECT);
    policy_set_helo(r, SLICE("x"));
    ask(r, STAGE_HELO);
    set_sender(r);
    ask(r, STAGE_MAIL);
    told[6].kind = REFUSES;
    set_rcpt(r, "a@here.example");
    ask(r, STAGE_RCPT);
    told[6].kind = PASSES;
    set_rcpt(r, "b@here.example");
    ask(r, STAGE_RCPT);
    for (unsigned again = 0; again < 2; again++) {
        json_t *all = trace_json(policy_trace(r));
        char *text = json_dumps(all, JSON_COMPACT);
        assert_int_equal(json_array_size(all), 10);
        const json_t *first = json_array_get(all, 7), *score = json_array_get(all, 5);
        assert_string_equal(json_string_value(json_object_get(first, "outcome")), "reject");
        assert_string_equal(json_string_value(json_object_get(first, "recipient")), "a@here.example");
        assert_string_equal(json_string_value(json_object_get(first, "why")), "bad 1");
        assert_int_equal(json_integer_value(json_object_get(first, "line")), 7);
        assert_int_equal(json_integer_value(json_object_get(score, "score")), -3);
        free(text);
        json_decref(all);
    }
    policy_run_free(&r);
}

static void test_damaged_traces(void **state)
{
    struct buf b = { 0 };
    trace_add(&b, &(struct trace_entry){ .check = SLICE("x"), .why = SLICE("y"), .us = 1234567, .score = INT32_MIN, .line = 77 });
    struct slice in;
    struct trace_entry e;
    assert_true(trace_open(buf_slice(&b), &in) && trace_next(&in, &e));
    assert_int_equal(e.score, INT32_MIN);
    assert_int_equal(e.us, 1234567);
    assert_false(trace_next(&in, &e));
    for (size_t n = 0; n < b.n; n++) {
        char *cut = mem_alloc(n ? n : 1);
        memcpy(cut, b.p, n);
        if (trace_open(slice_of(cut, n), &in)) assert_false(trace_next(&in, &e));
        free(cut);
    }
    buf_deinit(&b);
}

static void test_the_strongest_answer_decides(void **state)
{
    static const struct {
        enum kind kind;
        enum policy_outcome outcome;
    } answers[] = { /* the weakest first */
        { PASSES, POLICY_PASS }, { HOLDS, POLICY_HOLD }, { QUARANTINES, POLICY_QUARANTINE }, { DISCARDS, POLICY_DISCARD },
        { DEFERS, POLICY_DEFER }, { REFUSES, POLICY_REJECT },
    };
    for (size_t i = 0; i < countof(answers); i++)
        for (size_t k = 0; k < countof(answers); k++) {
            struct policy_run *r = begin(&stranger);
            order_n = 0;
            told[9].kind = answers[i].kind;
            told[10].kind = answers[k].kind;
            ask(r, STAGE_CONNECT);
            ask_for_a_mail(r);
            policy_set_recipients(r, 1);
            ask(r, STAGE_DATA);
            bool settled = answers[i].kind == REFUSES || answers[i].kind == DEFERS; /* nobody else is asked then */
            size_t wins = settled || i >= k ? i : k;
            assert_int_equal(ask(r, STAGE_CONTENT), answers[wins].outcome);
            if (wins) assert_string_equal(got.check, settled || i >= k ? "9" : "10");
            assert_int_equal(got.quarantine, got.outcome == POLICY_QUARANTINE ? QUARANTINE_VIRUS : QUARANTINE_NONE);
            json_t *trace = trace_json(policy_trace(r)), *last = json_array_get(trace, json_array_size(trace) - 1);
            if (!settled)
                assert_string_equal(json_string_value(json_object_get(last, "outcome")), trace_outcome_name(answers[k].outcome));
            json_decref(trace);
            policy_run_free(&r);
        }
    assert_string_equal(trace_outcome_name(POLICY_DISCARD), "discard");
    assert_string_equal(trace_outcome_name(POLICY_QUARANTINE), "quarantine");
    assert_string_equal(trace_outcome_name(6), "reject"); /* as it stands in old traces */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_waits_for_rcpt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_or_is_told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_spares_may_come_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stage_is_held_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rejecting_beats_deferring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sparing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whom_it_concerns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_logs_in_late_is_asked_what_was_passed_over, setup_for_all, teardown),
        cmocka_unit_test_setup_teardown(test_who_logs_in_while_checks_run, setup_for_all, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_a_stranger_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_waits_for_the_background_before_the_end, setup_at_the_end, teardown),
        cmocka_unit_test_setup_teardown(test_the_background_without_one_who_waits_for_it, setup_at_the_end, teardown),
        cmocka_unit_test_setup_teardown(test_who_waits_for_another_of_its_step, setup_at_the_end, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_that_is_spared, setup_at_the_end, teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_at_the_end, setup_at_the_end, teardown),
        cmocka_unit_test_setup_teardown(test_the_strongest_answer_decides, setup_at_the_end, teardown),
        cmocka_unit_test_setup_teardown(test_forgetting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_early_check_is_not_skipped_by_a_later_refusal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_late_allow_spares_what_was_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_for_earlier_stages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_while_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_zone_skips, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_traces, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
