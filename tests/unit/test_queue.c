/* SPDX-License-Identifier: Apache-2.0
 * The queue as a whole: submission, sessions with servers that behave in many ways, retries, bounces, requests. */
#include "queue_relay.h"

/* ---- delivery */

static void a_message_goes_through(void **state)
{
    uint64_t id = submit("a@example.org", "b@example.com", TEXT, ENVELOPE_8BIT);
    RUN_UNTIL(is_done(id));
    assert_int_equal(w.acked, 1);
    assert_int_equal(peer.messages, 1);
    assert_string_equal(buf_cstr(&peer.last_text), "Received: by relay.example\r\n" TEXT);
    assert_non_null(strstr(buf_cstr(&peer.log), "MAIL FROM:<a@example.org> SIZE=75 BODY=8BITMIME\nRCPT TO:<b@example.com>\n"));
    assert_int_equal(disk.loads, 0); /* the content was in memory */
}

static void many_share_a_connection_and_round_trips(void **state)
{
    w.config->delivery.connections = 1;
    for (int i = 0; i < 50; i++) submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(done_n() == 50);
    assert_int_equal(peer.messages, 50);
    assert_int_equal(peer.connections, 1);
    assert_true(peer.most_in_one_read >= 3); /* MAIL, RCPT, DATA together */
    assert_int_equal(w.q->memory, 0);
    assert_int_equal(w.q->active, 0);
}

static void connections_grow_with_work_up_to_the_limit(void **state)
{
    w.config->delivery.connections = 4;
    for (int i = 0; i < 100; i++) submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(done_n() == 100);
    assert_true(peer.most_open > 1 && peer.most_open <= 4);
}

static void messages_per_connection_are_limited(void **state)
{
    w.config->delivery.connections = 1;
    w.config->delivery.messages_per_connection = 10;
    for (int i = 0; i < 30; i++) submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(done_n() == 30);
    assert_int_equal(peer.connections, 3);
}

static void without_pipelining(void **state)
{
    peer.extensions = "250 peer.example";
    w.config->delivery.connections = 1;
    for (int i = 0; i < 5; i++) submit("a@example.org", "b@example.com c@example.com", TEXT, 0);
    RUN_UNTIL(done_n() == 5);
    assert_int_equal(peer.most_in_one_read, 1);
    assert_null(strstr(buf_cstr(&peer.log), "SIZE="));
}

static void helo_when_ehlo_is_not_known(void **state)
{
    PEER({ "EHLO", 0, "502 5.5.2 what?", false });
    uint64_t id = submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.messages, 1);
}

static void recipients_are_split(void **state)
{
    w.config->delivery.recipients = 2;
    uint64_t id = submit("a@example.org", "a@example.com b@example.com c@example.com d@example.com e@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.messages, 3);
}

static char *make_text(size_t n, bool dots)
{
    char *t = mem_alloc(n + 64), *p = t + sprintf(t, "Subject: big\r\n\r\n");
    while ((size_t)(p - t) < n) p += sprintf(p, "%sline of some text\r\n", dots ? "." : "");
    return t;
}

static void check_large(bool dots, bool file)
{
    char *t = make_text(700000, dots);
    disk.as_file = file;
    uint64_t id = submit("a@example.org", "b@example.com", t, dots ? ENVELOPE_HAS_DOTS : 0);
    submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id) && done_n() == 2);
    assert_int_equal(peer.messages, 2);
    free(t);
}
static void large_texts_from_memory(void **state) { check_large(false, false); }
static void large_texts_from_a_file(void **state) { check_large(false, true); }
static void large_texts_with_dots_from_memory(void **state) { check_large(true, false); }
static void large_texts_with_dots_from_a_file(void **state) { check_large(true, true); }

static void dots_are_stuffed(void **state)
{
    uint64_t id = submit("a@example.org", "b@example.com", "A: b\r\n\r\n.one\r\n..\r\n.\r\nend\r\n", ENVELOPE_HAS_DOTS);
    RUN_UNTIL(is_done(id));
    assert_string_equal(buf_cstr(&peer.last_text), "Received: by relay.example\r\nA: b\r\n\r\n..one\r\n...\r\n..\r\nend\r\n");
}

static void past_the_memory_budget_texts_are_read_again(void **state)
{
    w.config->queue.memory = 400;
    for (int i = 0; i < 20; i++) submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(done_n() == 20);
    assert_true(disk.loads > 0);
    assert_int_equal(w.q->memory, 0);
}

static void few_are_worked_on_at_once(void **state)
{
    w.config->queue.active = 2;
    disk.late = 2;
    for (int i = 0; i < 20; i++) submit("a@example.org", "b@example.com", TEXT, 0);
    while (done_n() < 20) {
        event_base_loop(w.base, EVLOOP_ONCE);
        assert_true(w.q->active <= 2);
    }
}

/* ---- servers that refuse or misbehave */

static void a_refused_recipient_is_bounced(void **state)
{
    PEER({ "RCPT", 2, "550 5.1.1 nobody here", false });
    uint64_t id = submit("a@example.com", "b@example.com c@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id) && peer.messages == 2); /* and the bounce */
    const char *bounce = buf_cstr(&peer.last_text);
    assert_non_null(strstr(buf_cstr(&peer.log), "MAIL FROM:<> SIZE="));
    assert_non_null(strstr(bounce, "To: <a@example.com>"));
    assert_non_null(strstr(bounce, "Final-Recipient: rfc822; c@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
    assert_non_null(strstr(bounce, "Diagnostic-Code: smtp; 550 5.1.1 nobody here"));
    assert_non_null(strstr(bounce, "Subject: hello"));
    assert_null(strstr(bounce, "b@example.com"));
}

static void a_deferred_recipient_is_tried_again_alone(void **state)
{
    PEER({ "RCPT", 2, "450 4.2.1 later", false });
    uint64_t id = submit("a@example.com", "b@example.com c@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.messages, 2);
    assert_int_equal(peer.seen[4], 3);
    assert_int_equal(disk.saves, 1);
}

static void a_lone_dot_when_no_recipient_is_left(void **state)
{
    PEER({ "RCPT", 1, "550 no", false }, { "DATA", 1, "354 yet go on", false }, { "TEXT", 1, "554 no valid recipients", false });
    w.config->delivery.connections = 1;
    uint64_t id = submit("", "b@example.com", TEXT, 0), next = submit("x@example.com", "c@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id) && is_done(next));
    assert_non_null(strstr(buf_cstr(&peer.log), "<root@relay.example>")); /* nobody else can be told */
}

static void each_message_is_decided_by_its_own_reply(void **state)
{
    PEER({ "TEXT", 2, "451 4.3.0 not this one", false }, { "TEXT", 3, "554 5.7.1 spam", false });
    w.config->delivery.connections = 1;
    uint64_t ids[4];
    for (int i = 0; i < 4; i++) ids[i] = submit("", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(ids[0]) && is_done(ids[1]) && is_done(ids[2]) && is_done(ids[3]));
    RUN_UNTIL(peer.messages == 4); /* 1, 4, the notice for 3, 2 again */
}

static void a_refused_sender_and_data(void **state)
{
    PEER({ "MAIL", 1, "451 4.7.1 greylisted", false }, { "DATA", 2, "451 4.3.1 no room", false });
    w.config->delivery.connections = 1;
    uint64_t a = submit("", "b@example.com", TEXT, 0), b = submit("", "c@example.com", TEXT, 0);
    RUN_UNTIL(is_done(a) && is_done(b));
    assert_int_equal(peer.messages, 2);
}

static void check_misbehaviour(const struct rule *rules, size_t n, unsigned least_connections)
{
    peer.rules = rules;
    peer.rule_n = n;
    uint64_t ids[5];
    w.config->delivery.connections = 1;
    for (int i = 0; i < 5; i++) ids[i] = submit("a@example.com", "b@example.com", TEXT, 0);
    for (int i = 0; i < 5; i++) RUN_UNTIL(is_done(ids[i]));
    assert_true(peer.messages >= 5); /* a message whose reply was lost may come twice, none is lost */
    assert_true(peer.connections >= least_connections);
    assert_null(strstr(buf_cstr(&peer.log), "MAIL FROM:<> "));
}

#define MISBEHAVES(name, least, ...) \
    static void name(void **state) \
    { \
        static const struct rule rules[] = { __VA_ARGS__ }; \
        check_misbehaviour(rules, countof(rules), least); \
    }

MISBEHAVES(closes_at_once, 2, { "CONNECT", 1, NULL, true })
MISBEHAVES(greets_with_554, 2, { "CONNECT", 1, "554 go away", true })
MISBEHAVES(greets_with_421, 2, { "CONNECT", 1, "421 busy", true })
MISBEHAVES(greets_strangely, 2, { "CONNECT", 1, "HTTP/1.0 200 fine", true })
MISBEHAVES(closes_at_ehlo, 2, { "EHLO", 1, NULL, true })
MISBEHAVES(defers_ehlo, 2, { "EHLO", 1, "451 not now", false })
MISBEHAVES(closes_at_mail, 2, { "MAIL", 2, NULL, true })
MISBEHAVES(closes_at_rcpt, 2, { "RCPT", 2, NULL, true })
MISBEHAVES(closes_at_data, 2, { "DATA", 3, NULL, true })
MISBEHAVES(closes_after_text, 2, { "TEXT", 2, NULL, true })
MISBEHAVES(says_421_to_mail, 2, { "MAIL", 2, "421 closing", true })
MISBEHAVES(says_421_to_text, 2, { "TEXT", 2, "421 closing", true })
MISBEHAVES(says_250_to_data, 2, { "DATA", 2, "250 fine", false })
MISBEHAVES(says_354_to_mail, 2, { "MAIL", 2, "354 what?", true })
MISBEHAVES(says_354_to_text, 2, { "TEXT", 2, "354 what?", true })
MISBEHAVES(says_more_than_asked, 2, { "TEXT", 5, "250 ok\r\n250 and ok\r\n250 and ok", false }, { "TEXT", 1, "250 ok\r\n250 ok", false })
MISBEHAVES(says_nonsense, 2, { "TEXT", 2, "taken, thanks", false })

static void a_reply_without_end(void **state)
{
    char *reply = mem_alloc(400 * 20), *p = reply;
    for (int i = 0; i < 300; i++) p += sprintf(p, "250-again\r\n");
    sprintf(p, "250 end");
    const struct rule rules[] = { { "TEXT", 2, reply, false } };
    check_misbehaviour(rules, 1, 2);
    free(reply);
}

static void silence_ends_with_a_timeout(void **state)
{
    PEER({ "MAIL", 1, NULL, false });
    w.config->timeouts.reply = 100;
    uint64_t id = submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.connections, 2);
}

static void a_message_above_the_servers_size_is_bounced_unsent(void **state)
{
    peer.extensions = "250-peer.example\r\n250-PIPELINING\r\n250 SIZE 2000";
    char *t = make_text(3000, false);
    uint64_t id = submit("a@example.com", "b@example.com", t, 0);
    RUN_UNTIL(is_done(id) && peer.messages == 1);
    assert_non_null(strstr(buf_cstr(&peer.last_text), "Status: 5.3.4"));
    free(t);
}

/* ---- back-off */

static void a_dead_host_is_not_tried_once_per_message(void **state)
{
    PEER({ "CONNECT", 1, "421 no", true }, { "CONNECT", 2, "421 no", true }, { "CONNECT", 3, "421 no", true });
    for (int i = 0; i < 100; i++) submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(peer.connections == 3);
    assert_int_equal(w.q->counts[MESSAGE_PARKED], 100);
    assert_int_equal(disk.saves, 0);
    assert_int_equal(w.q->memory, 0);
    RUN_UNTIL(done_n() == 100);
    assert_int_equal(peer.messages, 100);
}

static void servers_that_only_break_sessions_are_left_alone(void **state)
{
    PEER({ "MAIL", 0, NULL, true });
    for (int i = 0; i < 30; i++) submit("a@example.com", "b@example.com", TEXT, 0);
    w.config->queue.retry_first = w.config->queue.retry_max = 60000;
    run_for(600);
    assert_true(peer.connections < 20);
    peer.rule_n = 0;
}

/* ---- lifetime, warnings, bounces */

static void an_old_message_is_returned(void **state)
{
    PEER({ "RCPT", 1, "450 4.2.2 full", false }, { "RCPT", 2, "450 4.2.2 full", false }, { "RCPT", 3, "450 4.2.2 full", false });
    w.config->queue.lifetime = 70;
    uint64_t id = submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    peer.rule_n = 0;
    RUN_UNTIL(peer.messages == 1);
    assert_non_null(strstr(buf_cstr(&peer.last_text), "Action: failed\r\nStatus: 4.4.7\r\n"));
    assert_non_null(strstr(buf_cstr(&peer.last_text), "4.2.2 full"));
}

static void a_parked_message_is_returned_in_time(void **state)
{
    PEER({ "CONNECT", 1, "421 no", true });
    w.config->queue.retry_first = w.config->queue.retry_max = 60000;
    w.config->queue.lifetime = 200;
    w.config->queue.bounce_lifetime = 100000;
    uint64_t id = submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(disk.n, 2);
    assert_false(disk.records[1].done); /* the bounce goes to the same dead host and waits there */
    assert_non_null(strstr(disk.records[1].text, "Status: 4.4.7"));
}

static void the_sender_is_warned_once(void **state)
{
    PEER({ "RCPT", 1, "450 4.2.2 full", false }, { "RCPT", 2, "450 4.2.2 full", false });
    w.config->queue.delay_warning = 1;
    w.config->queue.lifetime = 432000000;
    uint64_t id = submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    RUN_UNTIL(done_n() == disk.n);
    assert_int_equal(disk.n, 2);
    assert_non_null(strstr(disk.records[1].text, "Action: delayed"));
    assert_non_null(strstr(disk.records[1].text, "Will-Retry-Until: "));
}

static void null_senders_are_not_answered(void **state)
{
    PEER({ "TEXT", 1, "550 5.7.1 no", false });
    uint64_t id = submit("", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id) && peer.messages == 1);
    assert_non_null(strstr(buf_cstr(&peer.log), "RCPT TO:<root@relay.example>"));
    assert_non_null(strstr(buf_cstr(&peer.last_text), "Subject: Mail that could be neither delivered nor returned"));
}

static void a_failing_notice_ends_in_the_log(void **state)
{
    PEER({ "TEXT", 0, "550 5.7.1 no", false });
    uint64_t id = submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    RUN_UNTIL(done_n() == 3); /* the message, its bounce, the notice to the postmaster */
    run_for(50);
    assert_int_equal(disk.n, 3);
}

static void without_dsn_the_postmaster_is_told(void **state)
{
    PEER({ "TEXT", 1, "550 5.7.1 no", false });
    submit("a@example.com", "b@example.com", TEXT, ENVELOPE_NO_DSN);
    RUN_UNTIL(peer.messages == 1);
    assert_non_null(strstr(buf_cstr(&peer.log), "RCPT TO:<root@relay.example>"));
}

static void nothing_is_removed_before_its_bounce_is_on_disk(void **state)
{
    PEER({ "TEXT", 1, "550 5.7.1 no", false });
    uint64_t id = submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.acked == 1);
    disk.fail_commits = true;
    RUN_UNTIL(w.q->counts[MESSAGE_DEFERRED] == 1);
    assert_false(is_done(id));
    disk.fail_commits = false;
    assert_int_equal(disk.saves, 1);
    /* a new queue takes over with what was saved */
    queue_free(w.q);
    start_queue();
    struct message *m = list_entry(w.q->all.next, struct message, all);
    assert_int_equal(m->rcpts[0].status, RCPT_FAILED);
    message_due(m);
    RUN_UNTIL(is_done(id) && peer.messages == 1);
    assert_non_null(strstr(buf_cstr(&peer.last_text), "Diagnostic-Code: smtp; 550 5.7.1 no"));
}

/* ---- submission and recovery */

static void a_failed_commit_leaves_nothing(void **state)
{
    disk.fail_commits = true;
    submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.refused == 1);
    assert_true(list_empty(&w.q->all));
}

static void damaged_messages_are_held(void **state)
{
    disk.no_content = disk.damaged = true;
    submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.q->counts[MESSAGE_HELD] == 1);
}

static void ids_grow_and_survive_the_clock(void **state)
{
    uint64_t last = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t id = queue_new_id(w.q);
        assert_true(id > last);
        assert_int_equal(id >> 12 & 0x3FF, 5);
        last = id;
    }
    uint64_t future = (clock_wall_ms() + 3600000) << 22 | 5u << 12 | 17;
    queue_raise_id(w.q, future);
    assert_true(queue_new_id(w.q) > future);
    assert_true(queue_new_id(w.q) > future);
}

static void a_queue_can_end_at_any_moment(void **state)
{
    for (int stop = 0; stop < 40; stop++) {
        for (int i = 0; i < 3; i++) submit("a@example.com", "b@example.com c@relay.example", TEXT, 0);
        RUN_UNTIL(w.acked == (unsigned)(3 * (stop + 1)));
        for (int i = 0; i < stop; i++) event_base_loop(w.base, EVLOOP_NONBLOCK);
        queue_free(w.q);
        usleep(3000); /* ids of one worker are told apart by the time */
        start_queue();
    }
    RUN_UNTIL(done_n() == disk.n);
}

static void on_idle(void *arg) { ++*(int *)arg; }

static void draining_ends_what_is_under_way(void **state)
{
    int idle = 0;
    for (int i = 0; i < 20; i++) submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(peer.messages >= 1);
    queue_drain(w.q, 3000, on_idle, &idle);
    RUN_UNTIL(idle);
    assert_int_equal(w.q->connections, 0);
    assert_true(peer.messages >= done_n());
    submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.acked == 21);
}

/* ---- requests */

static void fill_held(void)
{
    submit("alice@example.org", "b@example.com", "Subject: 1\r\n\r\n", ENVELOPE_HELD);
    submit("bob@example.org", "c@example.com d@relay.example", "Subject: 2\r\n\r\nlonger\r\n", ENVELOPE_HELD);
    submit("", "e@example.com", "Subject: 3\r\n\r\nlongest of all\r\n", ENVELOPE_HELD);
    RUN_UNTIL(w.q->counts[MESSAGE_HELD] == 3);
}

static void lists_filter_and_sort(void **state)
{
    fill_held();
    assert_int_equal(ask("{s:s}", "op", "list"), 3);
    assert_string_equal(text_at(0, "sender"), "alice@example.org");
    assert_string_equal(text_at(0, "state"), "held");
    assert_int_equal(ask("{s:s, s:s}", "op", "list", "sender", "<>"), 1);
    assert_int_equal(ask("{s:s, s:s}", "op", "list", "sender", "@EXAMPLE.org"), 2);
    assert_int_equal(ask("{s:s, s:s}", "op", "list", "sender", "bob@example.org"), 1);
    assert_int_equal(ask("{s:s, s:s}", "op", "list", "recipient", "@relay.example"), 1);
    assert_int_equal(ask("{s:s, s:s}", "op", "list", "destination", "127.0.0.1"), 3);
    assert_int_equal(ask("{s:s, s:s}", "op", "list", "destination", "nowhere"), 0);
    assert_int_equal(ask("{s:s, s:s}", "op", "list", "state", "deferred"), 0);
    assert_int_equal(ask("{s:s, s:i}", "op", "list", "older_than", 100000), 0);
    assert_int_equal(ask("{s:s, s:s, s:i}", "op", "list", "sort", "-size", "limit", 1), 3);
    assert_int_equal(json_array_size(json_object_get(w.answer, "messages")), 1);
    assert_string_equal(text_at(0, "sender"), "");
    char *id = mem_strdup(text_at(0, "id"));
    ask("{s:s, s:s, s:s}", "op", "list", "sort", "-size", "after", id);
    assert_int_equal(json_array_size(json_object_get(w.answer, "messages")), 2);
    assert_string_equal(text_at(0, "sender"), "bob@example.org");
    ask("{s:s, s:s}", "op", "list", "sort", "sender");
    assert_string_equal(text_at(1, "sender"), "alice@example.org");
    assert_int_equal(ask("{s:s, s:[s]}", "op", "show", "ids", id), 1);
    assert_string_equal(text_at(0, "zone"), "lan");
    free(id);
    ask("{s:s}", "op", "figures");
    assert_int_equal(json_integer_value(json_object_get(w.answer, "held")), 3);
    ask("{s:s}", "op", "nonsense");
    assert_non_null(json_object_get(w.answer, "error"));
    ask("{s:s, s:[s]}", "op", "show", "ids", "nonsense");
    assert_non_null(json_object_get(w.answer, "error"));
}

static void hold_release_delete(void **state)
{
    fill_held();
    assert_int_equal(ask("{s:s, s:s}", "op", "delete", "sender", "alice@example.org"), 1);
    assert_true(disk.records[0].done);
    assert_int_equal(ask("{s:s, s:s}", "op", "release", "sender", "<>"), 1);
    RUN_UNTIL(disk.records[2].done);
    assert_int_equal(peer.messages, 1);
    queue_free(w.q); /* what is held stays so */
    start_queue();
    assert_int_equal(w.q->counts[MESSAGE_HELD], 1);
    assert_int_equal(ask("{s:s}", "op", "release"), 1);
    RUN_UNTIL(disk.records[1].done);
}

static void requests_meet_messages_under_way(void **state)
{
    static const char *const ops[] = { "hold", "release", "retry", "list", "figures", "hold", "release" };
    PEER({ "RCPT", 5, "450 4.2.2 full", false }, { "TEXT", 9, NULL, true }, { "CONNECT", 2, "421 no", true });
    w.config->queue.active = 8;
    for (int i = 0; i < 60; i++) {
        submit("a@example.com", "b@example.com c@relay.example", TEXT, 0);
        ask("{s:s}", "op", ops[i % 7]);
    }
    ask("{s:s}", "op", "release");
    for (int i = 0; i < 20 && done_n() < 60; i++) {
        run_for(50);
        ask("{s:s}", "op", "retry");
    }
    RUN_UNTIL(done_n() == 60);
    for (int i = 0; i < 20; i++) submit("a@example.com", "b@example.com", TEXT, 0);
    ask("{s:s}", "op", "delete");
    RUN_UNTIL(w.acked == 80);
    ask("{s:s}", "op", "delete");
    RUN_UNTIL(done_n() == 80);
    assert_true(list_empty(&w.q->all));
}

static void retry_lifts_the_back_off(void **state)
{
    PEER({ "CONNECT", 1, "421 no", true });
    w.config->queue.retry_first = w.config->queue.retry_max = 600000;
    submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.q->counts[MESSAGE_PARKED] == 1);
    ask("{s:s}", "op", "list");
    assert_string_equal(text_at(0, "state"), "deferred");
    assert_non_null(strstr(text_at(0, "reason"), "421 no"));
    assert_non_null(strstr(text_at(0, "destination"), "127.0.0.1"));
    ask("{s:s}", "op", "figures");
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(w.answer, "destinations"), 0), "state")), "down");
    assert_int_equal(ask("{s:s, s:s}", "op", "retry", "reason", "421 NO"), 1);
    RUN_UNTIL(done_n() == 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_message_goes_through), CASE(many_share_a_connection_and_round_trips),
        CASE(connections_grow_with_work_up_to_the_limit), CASE(messages_per_connection_are_limited), CASE(without_pipelining),
        CASE(helo_when_ehlo_is_not_known), CASE(recipients_are_split), CASE(large_texts_from_memory),
        CASE(large_texts_from_a_file), CASE(large_texts_with_dots_from_memory), CASE(large_texts_with_dots_from_a_file),
        CASE(dots_are_stuffed), CASE(past_the_memory_budget_texts_are_read_again), CASE(few_are_worked_on_at_once),
        CASE(a_refused_recipient_is_bounced), CASE(a_deferred_recipient_is_tried_again_alone),
        CASE(a_lone_dot_when_no_recipient_is_left), CASE(each_message_is_decided_by_its_own_reply), CASE(a_refused_sender_and_data),
        CASE(closes_at_once), CASE(greets_with_554), CASE(greets_with_421), CASE(greets_strangely), CASE(closes_at_ehlo),
        CASE(defers_ehlo), CASE(closes_at_mail), CASE(closes_at_rcpt), CASE(closes_at_data), CASE(closes_after_text),
        CASE(says_421_to_mail), CASE(says_421_to_text), CASE(says_250_to_data), CASE(says_354_to_mail), CASE(says_354_to_text),
        CASE(says_more_than_asked), CASE(says_nonsense), CASE(a_reply_without_end), CASE(silence_ends_with_a_timeout),
        CASE(a_message_above_the_servers_size_is_bounced_unsent), CASE(a_dead_host_is_not_tried_once_per_message),
        CASE(servers_that_only_break_sessions_are_left_alone), CASE(an_old_message_is_returned),
        CASE(a_parked_message_is_returned_in_time), CASE(the_sender_is_warned_once), CASE(null_senders_are_not_answered),
        CASE(a_failing_notice_ends_in_the_log), CASE(without_dsn_the_postmaster_is_told),
        CASE(nothing_is_removed_before_its_bounce_is_on_disk), CASE(a_failed_commit_leaves_nothing),
        CASE(damaged_messages_are_held), CASE(ids_grow_and_survive_the_clock), CASE(a_queue_can_end_at_any_moment),
        CASE(draining_ends_what_is_under_way), CASE(lists_filter_and_sort), CASE(hold_release_delete),
        CASE(requests_meet_messages_under_way), CASE(retry_lifts_the_back_off),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
