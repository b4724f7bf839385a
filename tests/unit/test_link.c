/* SPDX-License-Identifier: Apache-2.0
 * A worker's link to a helper process that answers, goes away and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/channel.h"
#include "base/link.h"

static struct {
    struct event_base *base;
    struct link *link;
    struct channel *helper;
    unsigned heard;          /* frames that the helper got */
    char text[64];           /* of the last one */
    unsigned descriptors;    /* that came with them */
    unsigned told;           /* frames without "id" */
} world;

struct question {
    struct link_request request;
    unsigned answers, failures;
    bool last;
};

static void on_answer(struct link_request *r, const json_t *answer)
{
    struct question *q = container_of(r, struct question, request);
    q->answers += answer != NULL;
    q->failures += answer == NULL;
    if (q->last || !answer) link_end(r);
}

static void on_frame(void *arg, const json_t *m)
{
    world.told++;
}

static void on_helper_message(void *arg, const json_t *m, int fd)
{
    const char *text = json_string_value(json_object_get(m, "text"));
    world.heard++;
    world.descriptors += fd >= 0;
    if (fd >= 0) close(fd);
    snprintf(world.text, sizeof world.text, "%s", text ? text : "");
    if (!strcmp(world.text, "echo") || !strcmp(world.text, "tell")) channel_send(world.helper, m, -1);
}

static void on_helper_end(void *arg)
{
    channel_free(&world.helper);
}

static void turn(void)
{
    for (int i = 0; i < 6; i++) event_base_loop(world.base, EVLOOP_NONBLOCK);
}

static void connect_helper(void)
{
    struct err err;
    int pair[2];
    assert_true(channel_pair(pair, &err));
    channel_free(&world.helper);
    world.helper = channel_new(world.base, pair[1], on_helper_message, on_helper_end, NULL);
    link_connect(world.link, pair[0]);
}

static json_t *say(const char *text)
{
    return json_pack("{s:s}", "text", text);
}

static int setup(void **state)
{
    memset(&world, 0, sizeof world);
    world.base = event_base_new();
    world.link = link_new(world.base, NULL, on_frame, NULL);
    return 0;
}

static int teardown(void **state)
{
    channel_free(&world.helper);
    link_free(world.link);
    event_base_free(world.base);
    return 0;
}

static void answers_find_their_requests(void **state)
{
    struct question a = { 0 }, b = { .last = true };
    connect_helper();
    link_ask(world.link, &a.request, say("echo"), 0, on_answer);
    link_ask(world.link, &b.request, say("echo"), 60000, on_answer);
    assert_int_equal(a.answers + b.answers, 0);
    link_send(world.link, say("tell"));
    turn();
    assert_int_equal(a.answers, 1);
    assert_int_equal(b.answers, 1);
    assert_int_equal(world.told, 1);
    link_ask_on(&a.request, say("echo"));
    turn();
    assert_int_equal(a.answers, 2);
    link_ask_on(&a.request, say("echo"));
    link_end(&a.request); /* its answer comes to nobody */
    turn();
    assert_int_equal(a.answers + a.failures, 2);
    assert_int_equal(world.heard, 5);
}

static void without_a_process_requests_fail_from_the_loop(void **state)
{
    struct question a = { 0 }, b = { 0 }, c = { 0 };
    link_ask(world.link, &a.request, say("x"), 0, on_answer);
    link_ask(world.link, &b.request, NULL, 60000, on_answer);
    link_send(world.link, say("lost"));
    assert_int_equal(a.failures, 0);
    turn();
    assert_int_equal(a.failures, 1);
    assert_int_equal(b.failures, 1);
    connect_helper();
    link_ask(world.link, &c.request, say("x"), 0, on_answer);
    turn();
    assert_int_equal(c.failures, 0);
    channel_free(&world.helper);
    turn();
    assert_int_equal(c.failures, 1);
}

static void who_waits_is_asked_for_again(void **state)
{
    struct question a = { 0 }, b = { .last = true }, c = { 0 };
    link_ask(world.link, &a.request, say("late"), 20, on_answer);
    link_ask(world.link, &b.request, say("echo"), 60000, on_answer);
    turn();
    assert_int_equal(a.failures + b.failures, 0);
    connect_helper();
    link_ask(world.link, &c.request, say("x"), 0, on_answer);
    connect_helper(); /* another one, of whom nothing was asked yet */
    turn();
    assert_int_equal(world.heard, 2);
    assert_int_equal(b.answers, 1);
    assert_int_equal(c.failures, 1);
    while (!a.failures) event_base_loop(world.base, EVLOOP_ONCE); /* its time is over */
    assert_int_equal(a.failures, 1);
}

static void a_descriptor_goes_to_the_next_process_too(void **state)
{
    struct question a = { .last = true }, b = { 0 };
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    link_ask_with(world.link, &a.request, say("echo"), fd, 60000, on_answer);
    close(fd); /* the link has its own */
    connect_helper();
    link_ask_on(&a.request, say("more"));
    connect_helper();
    turn();
    assert_int_equal(world.descriptors, 1); /* the former process never read */
    assert_int_equal(a.answers, 1);
    link_ask_with(world.link, &b.request, say("x"), 9999, 60000, on_answer); /* no descriptor */
    turn();
    assert_int_equal(b.failures, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_find_their_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_process_requests_fail_from_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(who_waits_is_asked_for_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_goes_to_the_next_process_too, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
