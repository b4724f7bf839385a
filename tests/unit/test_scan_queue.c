/* SPDX-License-Identifier: Apache-2.0
 * Who gets the next child: no client holds up the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "scan/dispatch.h"

#define RUNNERS 6

static struct world {
    struct process process;
    struct runner runners[RUNNERS];
    struct peer peer;
    json_int_t last;
} world;

static int setup(void **state)
{
    memset(&world, 0, sizeof world);
    list_init(&world.process.waiting);
    world.process.waiting_max = 100;
    world.process.runners = world.runners;
    world.process.runner_n = RUNNERS;
    return 0;
}

static struct job *new_job(const char *client, uint64_t size)
{
    struct job *j = mem_new(struct job);
    json_t *context = client ? json_pack("{s:s}", "client", client) : NULL;
    *j = (struct job){ .id = ++world.last, .frame = json_object(), .fd = open("/dev/null", O_RDONLY | O_CLOEXEC), .size = size,
                       .expires = UINT64_MAX, .client = queue_client(context) };
    json_decref(context);
    return j;
}

/* Returns its number. */
static json_int_t wait_for_child(const char *client)
{
    queue_take(&world.process, new_job(client, 100));
    return world.last;
}

static void has_child(unsigned runner, const char *client, uint64_t ms)
{
    struct job *j = world.runners[runner].job = new_job(client, 100);
    j->begun = clock_mono_ms() - ms;
}

/* The number of who is next; 0: nobody. It goes. */
static json_int_t next(void)
{
    struct job *j = queue_next(&world.process);
    json_int_t id = j ? j->id : 0;
    if (j) job_fail(j, "");
    return id;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < RUNNERS; i++)
        if (world.runners[i].job) job_fail(world.runners[i].job, "");
    memset(world.runners, 0, sizeof world.runners);
    while (next()) continue;
    return world.process.waiting_n ? -1 : 0;
}

static void first_come_first_served(void **state)
{
    json_int_t a = wait_for_child("192.0.2.1"), b = wait_for_child("192.0.2.2"), c = wait_for_child(NULL);
    assert_int_equal(next(), a);
    assert_int_equal(next(), b);
    assert_int_equal(next(), c);
    assert_int_equal(next(), 0);
}

static void what_takes_long_holds_up_its_own_client(void **state)
{
    has_child(0, "192.0.2.1", 1500);
    json_int_t first = wait_for_child("192.0.2.1"), other = wait_for_child("192.0.2.2");
    assert_int_equal(next(), other);
    assert_int_equal(next(), first); /* nobody else waits */
}

static void what_is_quick_holds_up_nobody(void **state)
{
    has_child(0, "192.0.2.1", 500);
    json_int_t first = wait_for_child("192.0.2.1"), other = wait_for_child("192.0.2.2");
    assert_int_equal(next(), first);
    assert_int_equal(next(), other);
}

static void nobody_has_more_than_half_while_others_wait(void **state)
{
    for (unsigned i = 0; i < RUNNERS / 2; i++) has_child(i, "192.0.2.1", 10);
    json_int_t mine = wait_for_child("192.0.2.1"), other = wait_for_child("192.0.2.2");
    assert_int_equal(next(), other);
    assert_int_equal(next(), mine); /* alone he may have all */
    for (unsigned i = RUNNERS / 2; i < RUNNERS - 1; i++) has_child(i, "192.0.2.1", 10);
    wait_for_child("192.0.2.1");
    struct job *large = new_job("192.0.2.2", 2 << 20);
    queue_take(&world.process, large);
    world.runners[0].job->size = world.runners[1].job->size = world.runners[2].job->size = world.runners[3].job->size =
        world.runners[4].job->size = 2 << 20;
    assert_int_equal(next(), 0); /* the other cannot begin, and he has enough */
    for (unsigned i = 0; i < RUNNERS - 1; i++) world.runners[i].job->size = 1;
    assert_int_equal(next(), large->id);
}

static void among_slow_clients_who_has_least_is_next(void **state)
{
    has_child(0, "192.0.2.1", 2000);
    has_child(1, "192.0.2.1", 2000);
    has_child(2, "192.0.2.2", 2000);
    json_int_t first = wait_for_child("192.0.2.1"), second = wait_for_child("192.0.2.2");
    assert_int_equal(next(), second);
    assert_int_equal(next(), first);
}

static void a_client_of_ipv6_is_its_network(void **state)
{
    has_child(0, "2001:db8:0:1::1", 1500);
    json_int_t same = wait_for_child("2001:db8:0:1:ffff::2"), other = wait_for_child("2001:db8:0:2::1");
    assert_int_equal(next(), other);
    assert_int_equal(next(), same);
}

static json_int_t asked_for(void)
{
    struct job *j = new_job(NULL, 100);
    j->asked = true;
    queue_take(&world.process, j);
    return world.last;
}

static void what_people_ask_for_holds_up_no_mail(void **state)
{
    json_int_t first = asked_for(), mail = wait_for_child("192.0.2.1");
    assert_int_equal(next(), mail); /* before all that was asked for */
    for (unsigned i = 0; i < RUNNERS / 2; i++) {
        has_child(i, NULL, 10);
        world.runners[i].job->asked = true;
    }
    assert_int_equal(next(), 0); /* the rest is for mail, also for what comes next */
    for (unsigned i = RUNNERS / 2; i < RUNNERS - 1; i++) has_child(i, "192.0.2.1", 1500);
    mail = wait_for_child("192.0.2.1");
    assert_int_equal(next(), mail); /* nobody else's waits that may begin */
    world.runners[0].job->asked = false;
    assert_int_equal(next(), first);
    world.process.runner_n = 1;
    first = asked_for();
    assert_int_equal(next(), first);
}

static void what_people_ask_for_leaves_room(void **state)
{
    for (unsigned i = 0; i < 200; i++) asked_for();
    assert_int_equal(world.process.waiting_n, 25);
    for (unsigned i = 0; i < 75; i++) wait_for_child("192.0.2.1");
    assert_int_equal(world.process.waiting_n, 100);
    while (next()) continue;
    for (unsigned i = 0; i < 2; i++) { /* one fits, however large */
        struct job *large = new_job(NULL, UINT64_C(600) << 20);
        large->asked = true;
        queue_take(&world.process, large);
    }
    assert_int_equal(world.process.waiting_n, 1);
}

static void who_is_not_known_is_held_up_by_nobody(void **state)
{
    has_child(0, NULL, 5000);
    has_child(1, "no address", 5000);
    json_int_t first = wait_for_child(""), other = wait_for_child("192.0.2.2");
    assert_int_equal(next(), first);
    assert_int_equal(next(), other);
}

static void a_single_child_serves_all(void **state)
{
    world.process.runner_n = 1;
    json_int_t first = wait_for_child("192.0.2.1"), other = wait_for_child("192.0.2.2");
    assert_int_equal(next(), first);
    assert_int_equal(next(), other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_come_first_served, setup, teardown),
        cmocka_unit_test_setup_teardown(what_takes_long_holds_up_its_own_client, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_quick_holds_up_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_has_more_than_half_while_others_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(among_slow_clients_who_has_least_is_next, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_of_ipv6_is_its_network, setup, teardown),
        cmocka_unit_test_setup_teardown(what_people_ask_for_holds_up_no_mail, setup, teardown),
        cmocka_unit_test_setup_teardown(what_people_ask_for_leaves_room, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_not_known_is_held_up_by_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_single_child_serves_all, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
