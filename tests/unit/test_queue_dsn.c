/* SPDX-License-Identifier: Apache-2.0
 * The queue and servers of many abilities: delivery status notifications (RFC 3461), internationalized mail (RFC 6531), conversion to
 * 7-bit (RFC 6152), limits (RFC 9422), and what is learned of next hops. */
#include "queue_relay.h"

#define PLAIN_PEER "250-peer.example\r\n250-PIPELINING\r\n250 SIZE 1000000"
#define FULL_PEER "250-peer.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 SIZE 1000000"

static uint64_t submit_dsn(const char *sender, const char *rcpt, const char *text, uint32_t flags, uint8_t notify, const char *orcpt)
{
    struct slice rcpts = slice_str(rcpt);
    struct err err;
    struct envelope_dsn dsn = { notify, slice_str(orcpt) };
    struct envelope e = { .id = queue_new_id(w.q), .arrival = clock_wall_ms(), .flags = flags | ENVELOPE_DSN_SEEN,
                          .sender = slice_str(sender), .rcpts = &rcpts, .rcpt_n = 1, .rcpt_dsn = &dsn, .envid = SLICE("id+2B7"),
                          .prepend = SLICE("Received: by relay.example\r\n"), .text_size = strlen(text), .zone = SLICE("lan") };
    struct spool_draft *d = spool_draft_new(queue_spool(w.q));
    assert_true(spool_draft_append(d, slice_str(text), &err));
    queue_submit(w.q, d, &e, on_submitted, NULL);
    return e.id;
}

static bool said(const char *text)
{
    return strstr(buf_cstr(&peer.log), text) != NULL;
}

static bool holds(const char *text)
{
    return strstr(buf_cstr(&peer.last_text), text) != NULL;
}

/* ---- DSN */

static void parameters_are_passed_on(void **state)
{
    peer.extensions = FULL_PEER;
    submit_dsn("a@example.org", "b+c=d@example.com", TEXT, ENVELOPE_RET_HDRS, NOTIFY_SUCCESS | NOTIFY_DELAY, "");
    submit_dsn("a@example.org", "b@example.com", TEXT, ENVELOPE_RET_FULL, NOTIFY_UNSET, "rfc822;x+2By@z");
    submit_dsn("a@example.org", "c@example.com", TEXT, 0, NOTIFY_NEVER, "");
    RUN_UNTIL(done_n() == 3);
    assert_true(said("MAIL FROM:<a@example.org> SIZE=75 RET=HDRS ENVID=id+2B7\nRCPT TO:<b+c=d@example.com> NOTIFY=SUCCESS,DELAY "
                     "ORCPT=rfc822;b+2Bc+3Dd@example.com\n"));
    assert_true(said("RET=FULL ENVID=id+2B7\nRCPT TO:<b@example.com> ORCPT=rfc822;x+2By@z\n"));
    assert_true(said("RCPT TO:<c@example.com> NOTIFY=NEVER ORCPT=rfc822;c@example.com\n"));
    assert_int_equal(disk.n, 3); /* and nothing is reported by us */
}

/* Who hears what: by NOTIFY, by what the server offers, and by how it ends. */
static void notify_decides(void **state)
{
    static const struct {
        uint8_t notify;
        uint32_t flags;
        const char *sender;
        bool dsn, fails;
        const char *report; /* NULL: none */
    } cases[] = {
        { NOTIFY_UNSET, 0, "a@example.com", false, false, NULL },
        { NOTIFY_UNSET, 0, "a@example.com", false, true, "Action: failed" },
        { NOTIFY_SUCCESS, 0, "a@example.com", false, false, "Action: relayed" },
        { NOTIFY_SUCCESS, 0, "a@example.com", true, false, NULL },
        { NOTIFY_SUCCESS, 0, "a@example.com", false, true, NULL },
        { NOTIFY_SUCCESS | NOTIFY_FAILURE, 0, "a@example.com", true, true, "Action: failed" },
        { NOTIFY_SUCCESS | NOTIFY_FAILURE, 0, "a@example.com", false, false, "Action: relayed" },
        { NOTIFY_FAILURE, 0, "a@example.com", false, false, NULL },
        { NOTIFY_FAILURE, 0, "a@example.com", false, true, "Action: failed" },
        { NOTIFY_DELAY, 0, "a@example.com", false, true, NULL },
        { NOTIFY_NEVER, 0, "a@example.com", false, false, NULL },
        { NOTIFY_NEVER, 0, "a@example.com", false, true, NULL },
        { NOTIFY_SUCCESS, ENVELOPE_NO_DSN, "a@example.com", false, false, NULL },
        { NOTIFY_SUCCESS, 0, "", false, false, NULL },
        { NOTIFY_NEVER, 0, "", false, true, NULL },
        { NOTIFY_UNSET, 0, "", false, true, "Sender:    <>" }, /* to the postmaster */
    };
    static const struct rule refuse[] = { { "RCPT", 1, "550 5.1.1 nobody here", false } };
    for (size_t i = 0; i < countof(cases); i++) {
        peer.extensions = cases[i].dsn ? FULL_PEER : PLAIN_PEER;
        peer.rules = refuse;
        peer.rule_n = cases[i].fails;
        if (i) {
            memset(peer.seen, 0, sizeof peer.seen);
            peer.messages = 0;
        }
        size_t before = disk.n;
        uint64_t id = submit_dsn(cases[i].sender, "b@example.com", TEXT, cases[i].flags, cases[i].notify, "rfc822;old+40x");
        RUN_UNTIL(is_done(id) && done_n() == disk.n && disk.n == before + 1 + (cases[i].report != NULL));
        if (cases[i].report && !holds(cases[i].report)) fail_msg("case %zu: %s", i, buf_cstr(&peer.last_text));
        if (cases[i].report) {
            assert_true(holds("Original-Envelope-Id: id+7\r\n"));
            assert_true(holds("Original-Recipient: rfc822; old@x\r\nFinal-Recipient: rfc822; b@example.com\r\n"));
        }
        teardown(state);
        setup(state);
    }
}

static void a_relayed_report_names_the_server(void **state)
{
    peer.extensions = PLAIN_PEER;
    uint64_t id = submit_dsn("a@example.com", "b@example.com", TEXT, ENVELOPE_RET_FULL, NOTIFY_SUCCESS, "");
    RUN_UNTIL(is_done(id) && peer.messages == 2);
    assert_true(holds("Action: relayed\r\nStatus: 2.0.0\r\n"));
    assert_true(holds("Diagnostic-Code: smtp; 250 2.0.0 taken\r\n"));
    assert_true(holds("text/rfc822-headers") && !holds("Hello.")); /* RET is about failures */
}

static void a_relayed_report_outlives_a_failed_write_and_a_restart(void **state)
{
    peer.extensions = PLAIN_PEER;
    uint64_t id = submit_dsn("a@example.com", "b@example.com", TEXT, 0, NOTIFY_SUCCESS, "");
    RUN_UNTIL(disk.n == 1 && w.acked == 1);
    disk.fail_commits = true;
    RUN_UNTIL(disk.saves >= 1);
    disk.fail_commits = false;
    assert_int_equal(peer.messages, 1);
    queue_free(w.q);
    free(record_of(id)->state); /* as it would be after its delay of a minute */
    struct message m = { .rcpt_n = 1, .state = MESSAGE_DUE, .rcpts = (struct rcpt_memory[]){ { .status = RCPT_RELAYED } } };
    struct buf encoded = { 0 };
    state_encode(&m, &encoded);
    record_of(id)->state = encoded.p;
    record_of(id)->state_n = encoded.n;
    start_queue();
    RUN_UNTIL(is_done(id) && peer.messages == 2);
    assert_true(holds("Action: relayed"));
    assert_int_equal(peer.messages, 2); /* not sent again */
}

/* A recipient, a copy and a group. */
static uint64_t submit_marked(void)
{
    struct slice rcpts[] = { SLICE("one@example.com"), SLICE("copy@example.com"), SLICE("group@example.com") };
    struct envelope_dsn dsn[] = { { NOTIFY_FAILURE, SLICE("rfc822;group@example.com") }, { .notify = NOTIFY_NEVER }, { .notify = NOTIFY_SUCCESS } };
    uint8_t marks[] = { 0, MARK_COPY, MARK_GROUP };
    struct err err;
    struct envelope e = { .id = queue_new_id(w.q), .arrival = clock_wall_ms(), .flags = ENVELOPE_DSN_SEEN, .sender = SLICE("a@example.com"),
                          .rcpts = rcpts, .rcpt_n = 3, .rcpt_dsn = dsn, .rcpt_marks = marks, .text_size = sizeof TEXT - 1, .zone = SLICE("lan") };
    struct spool_draft *d = spool_draft_new(queue_spool(w.q));
    assert_true(spool_draft_append(d, SLICE(TEXT), &err));
    queue_submit(w.q, d, &e, on_submitted, NULL);
    return e.id;
}

static void a_copy_is_apart_and_a_group_is_reported(void **state)
{
    peer.extensions = PLAIN_PEER;
    uint64_t id = submit_marked();
    RUN_UNTIL(is_done(id) && peer.messages == 3);
    assert_true(said("MAIL FROM:<a@example.com> SIZE=47\nRCPT TO:<one@example.com>\nMAIL FROM:<> SIZE=47\n" /* it cannot be asked for silence */
                     "RCPT TO:<copy@example.com>\nMAIL"));
    assert_false(said("RCPT TO:<group@"));
    assert_true(holds("Final-Recipient: rfc822; group@example.com\r\nAction: expanded\r\nStatus: 2.0.0\r\n"));
    assert_false(holds("one@example.com\r\nAction"));
    teardown(state);
    setup(state);
    peer.extensions = FULL_PEER;
    id = submit_marked();
    RUN_UNTIL(is_done(id) && peer.messages == 3);
    assert_true(said("RCPT TO:<copy@example.com> NOTIFY=NEVER "));
}

/* The postmaster is told of the copy, the sender of the recipient; neither of the other's. */
static void a_copy_that_fails(void **state)
{
    PEER({ "RCPT", 1, "550 5.1.1 nobody here", false }, { "RCPT", 2, "550 5.1.1 nobody here", false });
    peer.extensions = PLAIN_PEER;
    uint64_t id = submit_marked();
    RUN_UNTIL(is_done(id) && done_n() == disk.n && disk.n == 4);
    assert_int_equal(peer.messages, 3); /* expanded, failed, and the notice */
    assert_true(holds("Final-Recipient: rfc822; copy@example.com") || holds("Final-Recipient: rfc822; one@example.com") ||
                holds("Action: expanded"));
}

static void ret_full_has_the_message(void **state)
{
    PEER({ "RCPT", 1, "550 5.1.1 nobody here", false });
    uint64_t id = submit_dsn("a@example.com", "b@example.com", TEXT, ENVELOPE_RET_FULL, 0, "");
    RUN_UNTIL(is_done(id) && peer.messages == 1);
    assert_true(holds("Content-Type: message/rfc822\r\n\r\nReceived: by relay.example\r\nSubject: hello"));
    assert_true(holds("\r\n\r\nHello.\r\n\r\n--"));
}

static void ret_full_has_its_limit(void **state)
{
    PEER({ "RCPT", 1, "550 5.1.1 nobody here", false });
    struct buf text = { 0 };
    buf_add_str(&text, "Subject: large\r\n\r\n");
    while (text.n < 70000) buf_add_str(&text, "line\r\n");
    uint64_t id = submit_dsn("a@example.com", "b@example.com", buf_cstr(&text), ENVELOPE_RET_FULL, 0, "");
    RUN_UNTIL(is_done(id) && peer.messages == 1);
    assert_true(holds("text/rfc822-headers") && peer.last_text.n < 4000);
    buf_deinit(&text);
}

static void delay_is_told_to_those_who_want_it(void **state)
{
    static const uint8_t notify[] = { NOTIFY_FAILURE, NOTIFY_DELAY };
    PEER({ "RCPT", 1, "450 4.2.1 later", false }, { "RCPT", 2, "450 4.2.1 later", false });
    w.config->queue.delay_warning = 1;
    for (size_t i = 0; i < countof(notify); i++) {
        memset(peer.seen, 0, sizeof peer.seen);
        size_t before = disk.n;
        uint64_t id = submit_dsn("a@example.com", "b@example.com", TEXT, 0, notify[i], "");
        RUN_UNTIL(is_done(id) && done_n() == disk.n);
        assert_int_equal(disk.n - before, 1 + i);
    }
}

/* ---- internationalized mail */

#define UTF8 (ENVELOPE_SMTPUTF8 | ENVELOPE_8BIT | ENVELOPE_HAS_8BIT)

static void utf8_goes_where_it_is_offered(void **state)
{
    peer.extensions = FULL_PEER;
    uint64_t id = submit("\xC3\xBC@example.org", "\xC3\xA4@example.com", "Subject: \xC3\xB6\r\n\r\nx\r\n", UTF8);
    RUN_UNTIL(is_done(id));
    assert_true(said("MAIL FROM:<\xC3\xBC@example.org> SIZE=46 BODY=8BITMIME SMTPUTF8\nRCPT TO:<\xC3\xA4@example.com>\n"));
}

static void where_it_is_not_it_comes_back(void **state)
{
    uint64_t id = submit("a@example.com", "\xC3\xA4@example.com b@example.com", TEXT, ENVELOPE_SMTPUTF8);
    RUN_UNTIL(is_done(id) && peer.messages == 2);
    assert_true(said("RCPT TO:<b@example.com>\n")); /* the others get it */
    assert_true(holds("message/global-delivery-status") && holds("Final-Recipient: utf-8; =C3=A4@example.com\r\n"));
    assert_true(holds("Status: 5.6.7\r\n"));
    id = submit("a@example.com", "b@example.com", "Subject: \xC3\xB6\r\n\r\nx\r\n", UTF8);
    RUN_UNTIL(is_done(id) && peer.messages == 3);
    assert_true(holds("Status: 5.6.9\r\n") && holds("message/global-headers"));
    id = submit("a@example.com", "b@example.com", "Subject: o\r\n\r\n\xC3\xB6\r\n", UTF8); /* only its body */
    RUN_UNTIL(is_done(id) && peer.messages == 4);
    assert_true(holds("\r\n\r\n\xC3\xB6\r\n"));
}

static void domains_have_another_form(void **state)
{
    uint64_t id = submit("a@b\xC3\xBC" "cher.example", "b@example.com", TEXT, ENVELOPE_SMTPUTF8);
    RUN_UNTIL(is_done(id));
    assert_true(said("MAIL FROM:<a@xn--bcher-kva.example> SIZE=75\n"));
}

/* ---- 8-bit text */

static void text_is_converted(void **state)
{
    static const char text[] = "Subject: x\r\n\r\n.\xE4\r\n";
    peer.extensions = PLAIN_PEER;
    for (int i = 0; i < 2; i++) {
        disk.as_file = i;
        uint64_t id = submit("a@example.org", "b@example.com", text, ENVELOPE_HAS_8BIT | ENVELOPE_HAS_DOTS);
        submit("a@example.org", "b@example.com", TEXT, 0);
        RUN_UNTIL(is_done(id) && done_n() == disk.n);
        assert_int_equal(peer.messages, 2 * (unsigned)(i + 1));
    }
    assert_true(said("MAIL FROM:<a@example.org>\n")); /* without a SIZE that would be wrong */
    uint64_t id = submit("a@example.org", "b@example.com", text, ENVELOPE_HAS_8BIT | ENVELOPE_HAS_DOTS);
    RUN_UNTIL(is_done(id));
    assert_true(holds("Content-Transfer-Encoding: quoted-printable\r\n\r\n..=E4\r\n"));
}

static void large_text_is_converted(void **state)
{
    struct buf text = { 0 };
    peer.extensions = "250 peer.example";
    buf_add_str(&text, "Content-Type: application/x\r\n\r\n");
    while (text.n < 1500000) buf_add_str(&text, "l\xC3\xA4nge\r\n");
    for (int i = 0; i < 2; i++) {
        disk.as_file = i;
        uint64_t id = submit("a@example.org", "b@example.com", buf_cstr(&text), ENVELOPE_HAS_8BIT);
        RUN_UNTIL(is_done(id));
        assert_true(peer.last_text.n > 2000000);
    }
    buf_deinit(&text);
}

static void what_is_signed_is_not_converted(void **state)
{
    peer.extensions = PLAIN_PEER;
    uint64_t id = submit("a@example.com", "b@example.com", "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\n\xE4\r\n--s--\r\n",
                         ENVELOPE_HAS_8BIT);
    RUN_UNTIL(is_done(id) && peer.messages == 1);
    assert_true(holds("Status: 5.6.3\r\n"));
}

/* ---- limits */

static void limits_of_the_server_are_kept(void **state)
{
    peer.extensions = "250-peer.example\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2 MAILMAX=2";
    w.config->delivery.connections = 1;
    uint64_t id = submit("a@example.org", "a@example.com b@example.com c@example.com d@example.com e@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.messages, 3);
    assert_int_equal(peer.connections, 2);
    assert_int_equal(disk.saves, 0); /* no delay in between */
}

static void too_many_recipients_are_tried_at_once(void **state)
{
    PEER({ "RCPT", 3, "452 4.5.3 too many recipients", false }, { "RCPT", 4, "452 4.5.3 too many recipients", false },
         { "RCPT", 6, "452 too many", false });
    uint64_t id = submit("a@example.org", "a@example.com b@example.com c@example.com d@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.messages, 3);
    assert_int_equal(disk.saves, 0);
}

static void a_full_mailbox_waits(void **state)
{
    PEER({ "RCPT", 2, "452 4.2.2 mailbox full", false });
    uint64_t id = submit("a@example.org", "a@example.com b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.messages, 2);
    assert_int_equal(disk.saves, 1);
}

/* ---- what is learned */

static void abilities_are_learned(void **state)
{
    struct hop_abilities a;
    peer.extensions = FULL_PEER;
    assert_false(queue_abilities(w.q, SLICE("a@sender.example"), SLICE("b@nobody.example"), &a)); /* by MX: not asked */
    assert_false(queue_abilities(w.q, SLICE("a@sender.example"), SLICE("b@example.com"), &a));
    RUN_UNTIL(queue_abilities(w.q, SLICE("a@sender.example"), SLICE("b@example.com"), &a)); /* asked by a connection of its own */
    assert_true(a.eight_bit && a.dsn && a.utf8 && !a.requiretls && a.size_max == 1000000);
    assert_int_equal(peer.connections, 1);
    assert_int_equal(peer.messages, 0);
    peer.extensions = PLAIN_PEER;
    submit("a@example.org", "b@other.example", TEXT, 0); /* the same server, another destination */
    RUN_UNTIL(peer.messages == 1);
    assert_true(queue_abilities(w.q, SLICE("a@sender.example"), SLICE("b@other.example"), &a) && !a.dsn);
}

static void a_dead_hop_is_not_asked_all_the_time(void **state)
{
    struct hop_abilities a;
    for (int i = 0; i < 200; i++) {
        assert_false(queue_abilities(w.q, SLICE("a@sender.example"), SLICE("b@dead.example"), &a));
        event_base_loop(w.base, EVLOOP_NONBLOCK);
    }
    run_for(300);
    assert_int_equal(w.q->connections, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(parameters_are_passed_on), CASE(notify_decides), CASE(a_relayed_report_names_the_server),
        CASE(a_relayed_report_outlives_a_failed_write_and_a_restart), CASE(a_copy_is_apart_and_a_group_is_reported), CASE(a_copy_that_fails),
        CASE(ret_full_has_the_message), CASE(ret_full_has_its_limit),
        CASE(delay_is_told_to_those_who_want_it), CASE(utf8_goes_where_it_is_offered), CASE(where_it_is_not_it_comes_back),
        CASE(domains_have_another_form), CASE(text_is_converted), CASE(large_text_is_converted), CASE(what_is_signed_is_not_converted),
        CASE(limits_of_the_server_are_kept), CASE(too_many_recipients_are_tried_at_once), CASE(a_full_mailbox_waits),
        CASE(abilities_are_learned), CASE(a_dead_hop_is_not_asked_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
