/* SPDX-License-Identifier: Apache-2.0
 * Counts shared by processes: windows, floods, distinct items, marks, sessions, and what remains of a process that dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/hash.h"
#include "policy/shared.h"

static struct shared *s;

static int setup(void **state)
{
    s = shared_new();
    return 0;
}

static int teardown(void **state)
{
    shared_free(s);
    return 0;
}

static uint32_t count(uint64_t key, uint32_t add, uint64_t now)
{
    return shared_count(s, SHARED_STRANGERS, hash_u64(key), add, 60000, now);
}

static void test_window(void **state)
{
    for (unsigned i = 1; i <= 5; i++) assert_int_equal(count(1, 1, 1000000 + i), i);
    assert_int_equal(count(1, 0, 1000010), 5);
    assert_int_equal(count(2, 0, 1000010), 0);
    assert_int_equal(shared_count(s, SHARED_OWN, hash_u64(1), 0, 60000, 1000010), 0);
    uint64_t next = (1000000 / 60000 + 1) * 60000;
    assert_int_equal(count(1, 0, next), 5);          /* a new window: the one before still counts in full, */
    assert_int_equal(count(1, 0, next + 30000), 2);  /* then half, */
    assert_int_equal(count(1, 1, next + 60000), 1);  /* then not at all */
}

static void test_saturation(void **state)
{
    count(3, 1000000, 5);
    count(3, 1000000, 6);
    assert_in_range(count(3, 1000000, 7), 1000000, 0xfffff);
}

/* A million others do not push out who counts now, and nothing grows. */
static void test_flood(void **state)
{
    for (uint64_t i = 0; i < 1000000; i++) {
        count(1000 + i, 1, 1000 + i / 1000);
        if (i % 100 == 0) shared_count(s, SHARED_OWN, hash_u64(7), 1, 60000, 1000 + i / 1000);
    }
    assert_int_equal(shared_count(s, SHARED_OWN, hash_u64(7), 0, 60000, 2000), 10000);
}

static void test_distinct(void **state)
{
    for (unsigned again = 0; again < 3; again++)
        for (unsigned i = 0; i < 10; i++) assert_in_range(shared_distinct(s, hash_u64(1), hash_u64(i), 3600000, 9000000), 1, 12);
    unsigned n = 0;
    for (unsigned i = 0; i < 40; i++) n = shared_distinct(s, hash_u64(2), hash_u64(i), 3600000, 9000000);
    assert_in_range(n, 25, 60);
    assert_in_range(shared_distinct(s, hash_u64(2), hash_u64(0), 3600000, 9000000 + 3600000), 25, 60);
    assert_int_equal(shared_distinct(s, hash_u64(2), hash_u64(0), 3600000, 9000000 + 3 * 3600000), 1);
}

static void test_marks(void **state)
{
    shared_mark(s, hash_u64(5), 1000);
    assert_true(shared_is_marked(s, hash_u64(5), 999));
    assert_false(shared_is_marked(s, hash_u64(5), 1000));
    assert_false(shared_is_marked(s, hash_u64(6), 1));
}

static void test_sessions(void **state)
{
    int a = shared_column_take(s), b = shared_column_take(s);
    assert_true(a >= 0 && b >= 0 && a != b);
    uint64_t key = hash_u64(9);
    shared_session_begin(s, a, key);
    shared_session_begin(s, a, key);
    shared_session_begin(s, b, key);
    assert_int_equal(shared_sessions(s, key), 3);
    shared_session_end(s, a, key);
    shared_session_end(s, a, key);
    shared_session_end(s, a, key); /* once too often */
    assert_int_equal(shared_sessions(s, key), 1);
    shared_session_end(s, b, key);
    assert_int_equal(shared_sessions(s, key), 0);
}

/* What a process counted goes with it, and its column serves the next. */
static void test_death(void **state)
{
    uint64_t key = hash_u64(11);
    pid_t pid = fork();
    if (!pid) {
        int mine = shared_column_take(s);
        for (unsigned i = 0; i < 100; i++) shared_session_begin(s, mine, key);
        _exit(mine);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(shared_sessions(s, key), 100);
    shared_column_drop(s, pid);
    assert_int_equal(shared_sessions(s, key), 0);
    assert_int_equal(shared_column_take(s), WEXITSTATUS(status));
}

/* Two processes count the same. */
static void test_together(void **state)
{
    pid_t pid = fork();
    for (unsigned i = 0; i < 100000; i++) shared_count(s, SHARED_OWN, hash_u64(3), 1, 3600000, 7200000);
    if (!pid) _exit(0);
    waitpid(pid, NULL, 0);
    assert_int_equal(shared_count(s, SHARED_OWN, hash_u64(3), 0, 3600000, 7200000), 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_window, setup, teardown),
        cmocka_unit_test_setup_teardown(test_saturation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
        cmocka_unit_test_setup_teardown(test_distinct, setup, teardown),
        cmocka_unit_test_setup_teardown(test_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sessions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_death, setup, teardown),
        cmocka_unit_test_setup_teardown(test_together, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
