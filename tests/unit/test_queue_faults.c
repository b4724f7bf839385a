/* SPDX-License-Identifier: Apache-2.0
 * The queue where things go wrong at an unlucky moment: each case shows how mail was once lost, stuck or sent twice. */
#include "queue_relay.h"

/* ---- helpers */

static struct destination *destination_named(const char *part)
{
    size_t at = 0;
    for (struct destination *d; (d = htable_next(&w.q->destinations, &at));)
        if (strstr(d->hop.key, part)) return d;
    fail_msg("no destination %s", part);
    return NULL;
}

/* The peer says something on all its connections. */
static void peer_says(const char *reply)
{
    list_each(node, &peer.sessions) {
        struct session *s = list_entry(node, struct session, link);
        s->mute = false;
        evbuffer_add_printf(bufferevent_get_output(s->bev), "%s\r\n", reply);
    }
}

static struct message *only_message(void)
{
    assert_false(list_empty(&w.q->all));
    return list_entry(w.q->all.next, struct message, all);
}

static void restart(void)
{
    queue_free(w.q);
    usleep(3000);
    start_queue();
}

static void run_short(bool (*over)(void), uint64_t ms, const char *what)
{
    uint64_t end = clock_mono_ms() + ms;
    while (!over() && clock_mono_ms() < end) {
        event_base_loop(w.base, EVLOOP_NONBLOCK);
        usleep(500);
    }
    if (!over()) fail_msg("not in time: %s", what);
}

/* ---- what waits */

/* A work remembers the destination it is to be parked at while another part is still under way. */
static void a_destination_outlives_the_works_that_wait_for_it(void **state)
{
    PEER({ "TEXT", 1, NULL, false });
    uint64_t id = submit("a@example.org", "b@example.com x@dead.example", TEXT, 0);
    RUN_UNTIL(peer.seen[6] == 1);
    RUN_UNTIL(!destination_named("127.0.0.2")->blocked); /* its first pause is over, and nothing is parked there */
    struct destination *dead = destination_named("127.0.0.2");
    dead->idle_since = dead->retry_at = 0;
    for (int i = 0; i < 3; i++) destination_collect(w.q);
    peer_says("250 2.0.0 taken");
    RUN_UNTIL(w.q->counts[MESSAGE_PARKED] == 1);
    assert_false(is_done(id));
}

/* What is saved with a parked message is not the moment its life ends. */
static void a_parked_message_is_tried_after_a_restart(void **state)
{
    w.config->queue.retry_first = w.config->queue.retry_max = 60000;
    submit("a@example.org", "b@example.com x@dead.example", TEXT, 0);
    RUN_UNTIL(w.q->counts[MESSAGE_PARKED] == 1);
    assert_int_equal(disk.saves, 1);
    restart();
    assert_int_equal(w.q->counts[MESSAGE_DEFERRED], 0);
    RUN_UNTIL(w.q->counts[MESSAGE_PARKED] == 1);
    assert_int_equal(peer.messages, 1); /* whoever has it does not get it again */
}

static void a_saved_time_in_the_far_future_is_not_waited_for(void **state)
{
    PEER({ "RCPT", 1, "450 4.2.1 later", false });
    w.config->queue.retry_first = w.config->queue.retry_max = 86400000;
    uint64_t id = submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.q->counts[MESSAGE_DEFERRED] == 1);
    w.config->queue.retry_first = w.config->queue.retry_max = 50; /* as if the clock had been a day ahead */
    restart();
    RUN_UNTIL(is_done(id));
}

static void a_clock_set_back_lets_nobody_wait(void **state)
{
    PEER({ "RCPT", 1, "450 4.2.1 later", false });
    w.config->queue.retry_first = w.config->queue.retry_max = 86400000;
    uint64_t id = submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.q->counts[MESSAGE_DEFERRED] == 1);
    w.config->queue.retry_first = w.config->queue.retry_max = 50;
    w.q->wall_ms = clock_wall_ms() + 86400000; /* what the last tick saw */
    RUN_UNTIL(is_done(id));
}

static bool rest_done(void) { return done_n() == disk.n; }

/* Messages parked for want of room come forward when those before them are taken away, too. */
static void room_made_by_deletion_is_used(void **state)
{
    peer.extensions = "250 peer.example";
    PEER({ "TEXT", 1, NULL, false });
    w.config->queue.active = 140; /* 105 for one destination */
    w.config->delivery.connections = 1;
    w.config->delivery.idle = 60000;
    for (int i = 0; i < 105; i++) submit("x@example.org", "b@example.com", TEXT, 0);
    for (int i = 0; i < 60; i++) submit("y@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.acked == 165 && peer.seen[6] == 1 && w.q->counts[MESSAGE_PARKED] > 20);
    ask("{s:s, s:s}", "op", "delete", "sender", "x@example.org");
    peer_says("250 2.0.0 taken");
    run_short(rest_done, 2000, "the parked messages");
}

/* ---- connections */

/* The last connection allowed goes idle, and another destination wants one. */
static void an_idle_connection_makes_room_for_others(void **state)
{
    PEER({ "TEXT", 1, NULL, false });
    w.config->delivery.connections_total = 1;
    w.config->delivery.idle = 60000;
    submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(peer.seen[6] == 1);
    submit("a@example.org", "c@other.example", TEXT, 0);
    RUN_UNTIL(w.acked == 2);
    run_for(20);
    assert_int_equal(peer.connections, 1);
    peer_says("250 2.0.0 taken");
    run_short(rest_done, 2000, "the other destination");
}

/* A destination that never pauses gives up a connection now and then while others have none. */
static void a_busy_destination_does_not_starve_others(void **state)
{
    w.config->delivery.connections_total = 1;
    w.config->delivery.idle = 60000;
    unsigned sent = 0;
    uint64_t other = 0;
    for (; sent < 200 && !(other && is_done(other)); event_base_loop(w.base, EVLOOP_ONCE)) {
        while (w.q->counts[MESSAGE_ACTIVE] + w.q->counts[MESSAGE_INCOMING] < 4 && sent < 200) {
            submit("a@example.org", sent == 20 ? "c@other.example" : "b@example.com", TEXT, 0);
            if (sent++ == 20) other = disk.records[disk.n - 1].id;
        }
    }
    assert_true(is_done(other));
}

/* Connections opened for a burst that was over before they stood: that the server closes them says nothing against it. */
static void idle_connections_closed_by_the_server_are_no_failures(void **state)
{
    struct err err;
    w.config->delivery.idle = 60000;
    submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(done_n() == 1);
    struct destination *d = destination_named("127.0.0.1");
    for (int i = 0; i < 6; i++) assert_true(client_open(d, &d->targets[0], &err));
    RUN_UNTIL(d->idle_n == 7);
    while (!list_empty(&peer.sessions)) session_free(list_entry(peer.sessions.next, struct session, link));
    RUN_UNTIL(d->client_n == 0);
    assert_false(d->blocked);
}

/* A name server that fails for a moment does not stop mail to a host that serves us. */
static void dns_that_fails_does_not_stop_open_connections(void **state)
{
    peer.extensions = "250 peer.example";
    w.config->delivery.idle = 60000;
    w.config->queue.retry_first = w.config->queue.retry_max = 60000;
    submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(done_n() == 1);
    struct destination *d = destination_named("127.0.0.1");
    static const struct config_hop by_name = { .host = "host.invalid.example", .port = 25 };
    const struct config_hop *hop = d->hop.hop;
    PEER({ "TEXT", 2, NULL, false });
    d->hop.hop = &by_name;
    d->targets_until = 0;
    for (int i = 0; i < 5; i++) submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.acked == 6 && d->query);
    RUN_UNTIL(!d->query);
    assert_false(d->blocked);
    peer_says("250 2.0.0 taken");
    run_short(rest_done, 2000, "mail over the connection that stood");
    d->hop.hop = hop;
}

/* ---- replies */

/* A server that accepts a text it cannot have seen has not accepted it. */
static void a_reply_ahead_of_the_text_counts_for_nothing(void **state)
{
    PEER({ "DATA", 1, "354 go on\r\n250 2.0.0 taken", true });
    uint64_t id = submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.messages, 1);
    assert_int_equal(peer.connections, 2);
}

static void a_farewell_accepts_nothing(void **state)
{
    PEER({ "TEXT", 1, "221 2.0.0 closing", true });
    uint64_t id = submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.connections, 2);
}

static void replies_ahead_of_the_commands_end_the_session(void **state)
{
    PEER({ "CONNECT", 1, "220 hello\r\n250 hello\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken", false });
    uint64_t id = submit("a@example.org", "b@example.com", TEXT, 0);
    RUN_UNTIL(is_done(id));
    assert_int_equal(peer.messages, 1);
    assert_int_equal(peer.connections, 2);
}

/* The text went out to its end; only the commands behind it did not. It may have arrived: no second copy at once. */
static void commands_behind_a_text_do_not_make_it_unsent(void **state)
{
    PEER({ "TEXT", 1, NULL, false });
    w.config->delivery.connections = 1;
    w.config->queue.retry_first = w.config->queue.retry_max = 60000;
    submit("a@example.org", "b@example.com", TEXT, 0);
    submit("a@example.org", "c@example.com", TEXT, 0);
    RUN_UNTIL(peer.seen[6] == 1);
    struct destination *d = destination_named("127.0.0.1");
    struct client *c = list_entry(d->clients.next, struct client, link);
    assert_non_null(c->ending);
    assert_non_null(c->sending);
    stream_write(c->s, SLICE("RSET\r\n"));
    c->behind_text += 6;
    client_fail(c, "broke");
    RUN_UNTIL(done_n() == 1);
    run_for(100);
    assert_int_equal(peer.messages, 1);
    assert_int_equal(w.q->counts[MESSAGE_DEFERRED], 1);
}

/* ---- an administrator's wishes */

static void hold_is_stronger_than_the_end_of_life(void **state)
{
    PEER({ "RCPT", 1, NULL, false });
    uint64_t id = submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(peer.seen[4] == 1);
    ask("{s:s}", "op", "hold");
    w.config->queue.lifetime = 1;
    peer_says("450 4.2.1 later\r\n554 no recipients");
    RUN_UNTIL(w.q->counts[MESSAGE_HELD] == 1);
    assert_false(is_done(id));
    assert_int_equal(disk.n, 1); /* no bounce */
}

static void a_hold_before_the_commit_lasts(void **state)
{
    disk.late = 50;
    submit("a@example.com", "b@example.com", TEXT, 0);
    assert_int_equal(ask("{s:s}", "op", "hold"), 1);
    assert_int_equal(w.acked, 0);
    RUN_UNTIL(w.q->counts[MESSAGE_HELD] == 1);
    restart();
    assert_int_equal(w.q->counts[MESSAGE_HELD], 1);
}

static void what_came_on_hold_stays_so_when_its_state_is_unreadable(void **state)
{
    submit("a@example.com", "b@example.com", TEXT, ENVELOPE_HELD);
    RUN_UNTIL(w.q->counts[MESSAGE_HELD] == 1);
    struct record *r = record_of(only_message()->spool.id);
    free(r->state);
    r->state = mem_strdup("\x63nonsense");
    r->state_n = 9;
    restart();
    assert_int_equal(w.q->counts[MESSAGE_HELD], 1);
}

static void a_retry_also_forgives_hosts(void **state)
{
    PEER({ "CONNECT", 1, "421 no", true });
    w.config->queue.retry_first = w.config->queue.retry_max = 600000;
    submit("a@example.com", "b@example.com", TEXT, 0);
    RUN_UNTIL(w.q->counts[MESSAGE_PARKED] == 1);
    ask("{s:s}", "op", "hold");
    struct destination *d = destination_named("127.0.0.1");
    destination_on_timer(-1, 0, d); /* the pause is over and nothing waits */
    assert_false(d->blocked);
    d->targets[0].bad_until = clock_mono_ms() + 600000;
    destination_retry_now(d);
    assert_int_equal(d->targets[0].bad_until, 0);
}

/* ---- what people are told */

/* Each recipient's own reason, whatever the others met. */
static void reasons_are_not_mixed_up(void **state)
{
    PEER({ "RCPT", 1, "450 4.2.2 mailbox full", false });
    w.config->queue.retry_first = w.config->queue.retry_max = 60000;
    w.config->queue.delay_warning = 1;
    disk.late = 5;
    submit("a@example.com", "x@dead.example b@example.com", TEXT, 0);
    RUN_UNTIL(disk.n == 2 && !w.q->commits);
    const char *full = strstr(disk.records[1].text, "4.2.2 mailbox full"), *b = strstr(disk.records[1].text, "<b@example.com>");
    const char *refused = strstr(disk.records[1].text, "127.0.0.2"), *x = strstr(disk.records[1].text, "<x@dead.example>");
    assert_true(x && refused && b && full && x < refused && refused < b && b < full);
}

/* Whoever wrote it to the spool: no line end gets into a command. */
static void no_address_ends_a_command(void **state)
{
    uint64_t a = submit("a@example.com", "b@example.com>\r\nRSET\r\nNOOP@example.com", TEXT, 0);
    uint64_t b = submit("a\nRSET@example.com", "c@example.com", TEXT, 0);
    RUN_UNTIL(is_done(a) && is_done(b));
    RUN_UNTIL(done_n() == disk.n);
    assert_int_equal(peer.seen[7], 0);
    assert_null(strstr(buf_cstr(&peer.log), "RCPT TO:<b@example.com"));
    assert_null(strstr(buf_cstr(&peer.log), "RCPT TO:<c@example.com"));
}

/* ---- memory */

/* Descriptors that loads under way will bring count as well. */
static void descriptors_are_bounded(void **state)
{
    disk.as_file = disk.no_content = true;
    disk.late = 20;
    for (int i = 0; i < 240; i++) submit("a@example.org", "b@example.com", TEXT, 0);
    unsigned most = 0;
    for (uint64_t end = clock_mono_ms() + 5000; done_n() < 240 && clock_mono_ms() < end;) {
        event_base_loop(w.base, EVLOOP_ONCE);
        unsigned held = 0;
        list_each(node, &w.q->all) {
            const struct work *work = list_entry(node, struct message, all)->work;
            held += work && (work->load || work->content);
        }
        if (held > most) most = held;
    }
    assert_int_equal(done_n(), 240);
    assert_true(most <= FILES_MAX);
    assert_int_equal(w.q->files, 0);
}

/* As a worker ends: stopped, spools closed (after which no commit calls back), freed. */
static void commits_a_closed_spool_swallows_are_forgotten(void **state)
{
    disk.late = 20;
    submit("a@example.org", "b@example.com", TEXT, 0);
    submit("a@example.org", "b@example.com", TEXT, 0);
    queue_stop(w.q);
    disk.closed = true;
    queue_free(w.q);
    run_for(40);
    disk.late = 0;
    disk.closed = false;
    start_queue();
    RUN_UNTIL(done_n() == 2);
}

/* Texts for one slow destination do not take all the memory there is for texts. */
static void a_slow_destination_leaves_memory_to_others(void **state)
{
    peer.extensions = "250 peer.example";
    PEER({ "TEXT", 1, NULL, false });
    w.config->delivery.connections = 1;
    w.config->queue.memory = 100000;
    char *t = mem_alloc(8001);
    memset(t, 'x', 8000);
    memcpy(t, "A: b\r\n\r\n", 8);
    memcpy(t + 7998, "\r\n", 3);
    for (int i = 0; i < 40; i++) submit("a@example.org", "b@example.com", t, 0);
    RUN_UNTIL(w.acked == 40 && peer.seen[6] == 1);
    run_for(50);
    uint64_t id = submit("a@example.org", "c@other.example", TEXT, 0);
    RUN_UNTIL(w.acked == 41);
    for (int i = 0; i < 1000 && !is_done(id); i++) run_for(1);
    free(t);
    assert_true(is_done(id));
    peer_says("250 2.0.0 taken");
    RUN_UNTIL(done_n() == 41);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(a_destination_outlives_the_works_that_wait_for_it), CASE(a_parked_message_is_tried_after_a_restart),
        CASE(a_saved_time_in_the_far_future_is_not_waited_for), CASE(a_clock_set_back_lets_nobody_wait),
        CASE(room_made_by_deletion_is_used), CASE(an_idle_connection_makes_room_for_others),
        CASE(a_busy_destination_does_not_starve_others), CASE(idle_connections_closed_by_the_server_are_no_failures),
        CASE(dns_that_fails_does_not_stop_open_connections), CASE(a_reply_ahead_of_the_text_counts_for_nothing),
        CASE(replies_ahead_of_the_commands_end_the_session), CASE(commands_behind_a_text_do_not_make_it_unsent),
        CASE(hold_is_stronger_than_the_end_of_life), CASE(a_hold_before_the_commit_lasts),
        CASE(what_came_on_hold_stays_so_when_its_state_is_unreadable), CASE(a_retry_also_forgives_hosts),
        CASE(a_slow_destination_leaves_memory_to_others),
        CASE(a_farewell_accepts_nothing), CASE(descriptors_are_bounded), CASE(commits_a_closed_spool_swallows_are_forgotten),
        CASE(reasons_are_not_mixed_up),
        CASE(no_address_ends_a_command),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
