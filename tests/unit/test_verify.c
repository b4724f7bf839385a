/* SPDX-License-Identifier: Apache-2.0
 * Questions to the next hop whether a recipient exists: what answers mean, and who hears of them at unlucky moments. */
#include "queue_relay.h"
#include "delivery/verify.h"

struct asked {
    struct verify_question *v;
    unsigned called;
    enum verify_status status;
    char why[400];
    void (*then)(struct asked *a);
};
static struct asked one, two, three;

static void on_verified(void *arg, const struct verify_answer *answer)
{
    struct asked *a = arg;
    a->v = NULL;
    a->called++;
    a->status = answer->status;
    snprintf(a->why, sizeof a->why, "%.*s", SLICE_ARG(answer->why));
    if (a->then) a->then(a);
}

static void ask_for(struct asked *a, const char *rcpt, uint64_t timeout)
{
    *a = (struct asked){ .then = a->then };
    a->v = verify_recipient(w.q, slice_str(rcpt), timeout, on_verified, a);
    assert_int_equal(a->called, 0);
}

static int begin(void **state)
{
    one = two = three = (struct asked){ 0 };
    return setup(state);
}

static int end(void **state)
{
    struct asked *all[] = { &one, &two, &three };
    for (size_t i = 0; i < countof(all); i++)
        if (!all[i]->called) verify_cancel(&all[i]->v);
    return teardown(state);
}

static enum verify_status answer_to(const char *reply)
{
    struct rule rules[] = { { "RCPT", 0, reply, false } };
    peer.rules = rules;
    peer.rule_n = 1;
    ask_for(&one, "a@example.com", 3000);
    RUN_UNTIL(one.called);
    peer.rule_n = 0;
    return one.status;
}

/* ---- what is said */

static void answers(void **state)
{
    static const struct { const char *reply; enum verify_status status; } table[] = {
        { "250 2.1.5 ok", VERIFY_KNOWN },           { "251 2.1.5 will forward", VERIFY_KNOWN },
        { "252 2.1.5 cannot tell", VERIFY_KNOWN },  { "550 no such user", VERIFY_UNKNOWN },
        { "550 5.1.1 unknown", VERIFY_UNKNOWN },    { "550 5.1.10 not found", VERIFY_UNKNOWN },
        { "550 5.4.1 denied", VERIFY_UNKNOWN },     { "553 5.1.3 bad", VERIFY_UNKNOWN },
        { "554 5.7.1 relaying denied", VERIFY_UNSURE }, { "552 5.2.2 full", VERIFY_UNSURE },
        { "550 5.2.2 full", VERIFY_UNSURE },        { "550 5.2.1 disabled", VERIFY_UNKNOWN },
        { "450 4.2.0 greylisted", VERIFY_UNSURE },  { "503 5.5.1 what", VERIFY_UNSURE },
        { "530 5.7.0 log in", VERIFY_UNSURE },      { "421 4.3.2 down", VERIFY_UNSURE },
        { "354 go on", VERIFY_UNSURE },             { "221 bye", VERIFY_UNSURE },
    };
    for (size_t i = 0; i < countof(table); i++)
        if (answer_to(table[i].reply) != table[i].status) fail_msg("%s: %d, %s", table[i].reply, one.status, one.why);
    assert_int_equal(peer.seen[5], 0); /* never DATA */
    assert_null(strstr(buf_cstr(&peer.log), "MAIL FROM:<a"));
}

static void words_are_printable(void **state)
{
    answer_to("550 5.1.1 \x1b[2J\xff evil");
    assert_int_equal(one.status, VERIFY_UNKNOWN);
    assert_non_null(strstr(one.why, "127.0.0.1[127.0.0.1]: 550 5.1.1"));
    for (const char *p = one.why; *p; p++) assert_true(*p >= ' ' && *p < 0x7f);
}

static void what_cannot_be_asked(void **state)
{
    ask_for(&one, "a@[192.0.2.1]", 1000);
    ask_for(&two, "a\r\nDATA@example.com", 1000);
    RUN_UNTIL(one.called && two.called);
    assert_int_equal(one.status, VERIFY_UNSURE);
    assert_int_equal(two.status, VERIFY_UNSURE);
    assert_int_equal(verify_hop(w.q, SLICE("a@[192.0.2.1]")), 0);
    assert_int_not_equal(verify_hop(w.q, SLICE("a@example.com")), verify_hop(w.q, SLICE("a@dead.example")));
    assert_int_equal(peer.connections, 0);
}

/* ---- unlucky moments */

static void a_reply_is_not_taken_for_another_question(void **state)
{
    PEER({ "RCPT", 1, NULL, false });
    ask_for(&one, "a@example.com", 100);
    RUN_UNTIL(one.called);
    assert_int_equal(one.status, VERIFY_UNSURE);
    ask_for(&two, "b@example.com", 3000);
    RUN_UNTIL(two.called);
    assert_int_equal(two.status, VERIFY_KNOWN);
    assert_int_equal(peer.connections, 2);
}

static void cancelled_at_any_time(void **state)
{
    PEER({ "RCPT", 0, "550 5.1.1 no", false });
    ask_for(&one, "a@example.com", 3000);
    verify_cancel(&one.v);
    for (unsigned turns = 0; turns < 40; turns++) {
        ask_for(&one, "a@example.com", 3000);
        for (unsigned i = 0; i < turns && !one.called; i++) event_base_loop(w.base, EVLOOP_NONBLOCK);
        if (!one.called) verify_cancel(&one.v);
        else assert_int_equal(one.status, VERIFY_UNKNOWN);
    }
    ask_for(&two, "b@example.com", 3000);
    RUN_UNTIL(two.called);
    assert_int_equal(two.status, VERIFY_UNKNOWN);
    assert_true(peer.most_open <= VERIFY_CONNECTIONS);
    verify_cancel(&three.v); /* NULL is fine */
}

static void asks_and_cancels(struct asked *a)
{
    a->then = NULL;
    verify_cancel(&two.v);
    ask_for(&three, "c@example.com", 3000);
}

static void a_callback_may_ask_and_cancel(void **state)
{
    PEER({ "RCPT", 2, NULL, false });
    one.then = asks_and_cancels;
    ask_for(&one, "a@example.com", 3000);
    ask_for(&two, "b@example.com", 3000);
    RUN_UNTIL(three.called);
    run_for(50);
    assert_int_equal(one.called, 1);
    assert_int_equal(two.called, 0);
    assert_int_equal(three.status, VERIFY_KNOWN);
}

#define MANY (VERIFY_WAITING + 20)
static struct asked many[MANY];

static void the_line_is_bounded(void **state)
{
    PEER({ "CONNECT", 0, NULL, false });
    for (size_t i = 0; i < MANY; i++) ask_for(&many[i], "a@example.com", 1500);
    run_for(50);
    for (size_t i = 0; i < MANY; i++) assert_int_equal(many[i].called, i >= VERIFY_WAITING);
    for (size_t i = 0; i < MANY; i += 2) verify_cancel(&many[i].v);
    RUN_UNTIL(many[VERIFY_WAITING - 1].called);
    RUN_UNTIL(many[1].called);
    run_for(20);
    for (size_t i = 0; i < MANY; i++) assert_int_equal(many[i].called, i >= VERIFY_WAITING || i % 2);
    assert_true(peer.most_open <= VERIFY_CONNECTIONS);
}

static void a_crowd_is_answered(void **state)
{
    for (size_t i = 0; i < 300; i++) ask_for(&many[i], "a@example.com", 4000);
    for (size_t i = 0; i < 300; i++) {
        RUN_UNTIL(many[i].called);
        assert_int_equal(many[i].status, VERIFY_KNOWN);
    }
    assert_true(peer.most_open <= VERIFY_CONNECTIONS);
}

/* ---- beside mail */

static void it_puts_no_mail_off(void **state)
{
    PEER({ "CONNECT", 1, "554 5.3.2 not now", true });
    ask_for(&one, "a@example.com", 3000);
    RUN_UNTIL(one.called);
    assert_int_equal(one.status, VERIFY_UNSURE);
    ask_for(&two, "b@example.com", 3000);
    RUN_UNTIL(two.called);
    assert_non_null(strstr(two.why, "554 5.3.2 not now"));
    assert_int_equal(peer.connections, 1); /* it is left alone */
    uint64_t id = submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
}

static void mail_that_waits_holds_nobody_up(void **state)
{
    PEER({ "DATA", 1, NULL, false });
    uint64_t id = submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(peer.seen[5] == 1);
    ask_for(&one, "a@example.com", 3000);
    RUN_UNTIL(one.called);
    assert_int_equal(one.status, VERIFY_KNOWN);
    assert_false(is_done(id));
}

static bool drained;
static void on_drained(void *arg) { drained = true; }

static void while_draining(void **state)
{
    drained = false;
    queue_drain(w.q, 3000, on_drained, NULL);
    ask_for(&one, "a@example.com", 3000);
    RUN_UNTIL(one.called);
    assert_int_equal(one.status, VERIFY_KNOWN);
    RUN_UNTIL(drained);
    RUN_UNTIL(!peer.open);
    ask_for(&one, "a@example.com", 3000);
    PEER({ "RCPT", 0, NULL, false });
    RUN_UNTIL(peer.open);
    queue_stop(w.q);
    ask_for(&two, "a@example.com", 3000);
    RUN_UNTIL(two.called);
    assert_int_equal(two.status, VERIFY_UNSURE);
}

static void its_destination_goes(void **state)
{
    ask_for(&one, "a@example.com", 3000);
    RUN_UNTIL(one.called);
    size_t at = 0;
    for (struct destination *d; (d = htable_next(&w.q->destinations, &at));) {
        if (!d->asker) continue;
        d->idle_since = 0;
        while (!list_empty(&d->clients)) client_free(list_entry(d->clients.next, struct client, link));
        d->idle_since = 0;
    }
    for (int i = 0; i < 3; i++) destination_collect(w.q);
    at = 0;
    for (struct destination *d; (d = htable_next(&w.q->destinations, &at));) assert_null(d->asker);
    ask_for(&one, "a@example.com", 3000);
    RUN_UNTIL(one.called);
    assert_int_equal(one.status, VERIFY_KNOWN);
}

int main(void)
{
#define VERIFY(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        VERIFY(answers), VERIFY(words_are_printable), VERIFY(what_cannot_be_asked), VERIFY(a_reply_is_not_taken_for_another_question),
        VERIFY(cancelled_at_any_time), VERIFY(a_callback_may_ask_and_cancel), VERIFY(the_line_is_bounded), VERIFY(a_crowd_is_answered),
        VERIFY(it_puts_no_mail_off), VERIFY(mail_that_waits_holds_nobody_up), VERIFY(while_draining), VERIFY(its_destination_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
