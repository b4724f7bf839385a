/* SPDX-License-Identifier: Apache-2.0
 * The table of tokens: counting, making room, damaged files, processes that write at the same time and die while they do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "spam/table.h"

static char folder[] = "/tmp/postern-spam-table-XXXXXX";

static const char *path(const char *name)
{
    static char text[100];
    (void)snprintf(text, sizeof text, "%s/%s", folder, name);
    return text;
}

static int setup(void **state)
{
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = { "tokens", "tokens.lock", "tokens.aside", "tokens.new" };
    for (size_t i = 0; i < 4; i++)
        (void)unlink(path(names[i]));
    return rmdir(folder);
}

static struct token_table *open_table(bool *aside)
{
    struct err err;
    struct token_table *t = token_table_open(folder, TOKEN_TABLE_MIN, aside, &err);
    if (!t)
        fail_msg("%s", err.text);
    return t;
}

static void begin(struct token_table *t)
{
    struct err err;
    if (!token_table_begin(t, &err))
        fail_msg("%s", err.text);
}

static void expect(const struct token_table *t, uint64_t token, uint32_t spam, uint32_t ham)
{
    struct token_counts c = token_table_get(t, token);
    assert_int_equal(c.spam, spam);
    assert_int_equal(c.ham, ham);
}

static void counts(void **state)
{
    bool aside;
    struct token_table *t = open_table(&aside);
    assert_false(aside);
    expect(t, 4711, 0, 0);
    begin(t);
    token_table_add(t, 4711, 1, 0);
    token_table_add(t, 4711, 1, 2);
    token_table_add(t, 0, 0, 1);
    token_table_add(t, 5, -1, 0); /* what is not there stays so */
    token_table_add_messages(t, 2, 1);
    token_table_end(t);
    expect(t, 4711, 2, 2);
    expect(t, 0, 0, 1);
    assert_int_equal(token_table_used(t), 2);
    uint64_t key[2] = { token_table_key(t)[0], token_table_key(t)[1] };
    token_table_close(t);
    t = open_table(&aside);      /* it is on disk, with its key */
    assert_memory_equal(key, token_table_key(t), sizeof key);
    expect(t, 4711, 2, 2);
    assert_int_equal(token_table_messages(t).spam, 2);
    begin(t);
    token_table_add(t, 4711, -2, -2);
    token_table_add(t, 0, 0, -5);
    token_table_end(t);
    assert_int_equal(token_table_used(t), 0); /* forgotten to the last */
    token_table_close(t);
}

/* A full table keeps what was seen often. */
static void makes_room(void **state)
{
    bool aside;
    struct token_table *t = open_table(&aside);
    begin(t);
    for (uint64_t i = 1; i <= 2000; i++)
        token_table_add(t, i * UINT64_C(0x9E3779B97F4A7C15), 50, 0);
    for (uint64_t i = 1; i <= 300000; i++)
        token_table_add(t, i * UINT64_C(0xD1B54A32D192ED03), 0, 1);
    token_table_end(t);
    size_t kept = 0;
    for (uint64_t i = 1; i <= 2000; i++)
        kept += token_table_get(t, i * UINT64_C(0x9E3779B97F4A7C15)).spam == 50;
    assert_true(kept >= 1990);
    token_table_close(t);
}

static void put_file(const char *name, const void *bytes, size_t n, off_t at, int flags)
{
    int fd = open(path(name), O_WRONLY | O_CREAT | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static void damaged_is_put_aside(void **state)
{
    bool aside;
    put_file("tokens", "not a table at all", 18, 0, O_TRUNC);
    struct token_table *t = open_table(&aside);
    assert_true(aside);
    begin(t);
    token_table_add(t, 1, 1, 0);
    token_table_end(t);
    token_table_close(t);
    assert_int_equal(access(path("tokens.aside"), F_OK), 0);
    put_file("tokens", "X", 1, 20, 0); /* the head */
    t = open_table(&aside);
    assert_true(aside);
    expect(t, 1, 0, 0);
    token_table_close(t);
    assert_int_equal(truncate(path("tokens"), 100000), 0); /* its end is gone */
    t = open_table(&aside);
    assert_true(aside);
    token_table_close(t);
    t = open_table(&aside);
    assert_false(aside);
    token_table_close(t);
    /* Slots of nonsense are counts of nonsense, and no more. */
    char junk[4096];
    memset(junk, 0xA5, sizeof junk);
    put_file("tokens", junk, sizeof junk, 4096, 0);
    t = open_table(&aside);
    assert_false(aside);
    begin(t);
    for (uint64_t i = 0; i < 2000; i++) {
        (void)token_table_get(t, i);
        token_table_add(t, i, 1, 1);
    }
    token_table_end(t);
    token_table_close(t);
}

static void folder_is_missing(void **state)
{
    struct err err = { .text = "" };
    bool aside;
    assert_null(token_table_open("/nonexistent/folder", TOKEN_TABLE_MIN, &aside, &err));
    assert_non_null(strstr(err.text, "/nonexistent/folder"));
}

/* Adds 1 to the same tokens over and over. */
static void write_on(int rounds)
{
    bool aside;
    struct err err;
    struct token_table *t = token_table_open(folder, TOKEN_TABLE_MIN, &aside, &err);
    for (int r = 0; t && (rounds == 0 || r < rounds); r++) {
        if (!token_table_begin(t, &err))
            _exit(1);
        for (uint64_t i = 1; i <= 500; i++)
            token_table_add(t, i * UINT64_C(0x9E3779B97F4A7C15), 1, 0);
        token_table_add_messages(t, 1, 0);
        token_table_end(t);
    }
    _exit(t ? 0 : 1);
}

static pid_t start_writer(int rounds)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        write_on(rounds);
    return pid;
}

static void two_writers(void **state)
{
    pid_t a = start_writer(200), b = start_writer(200);
    int status;
    assert_int_equal(waitpid(a, &status, 0), a);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(b, &status, 0), b);
    assert_int_equal(status, 0);
    bool aside;
    struct token_table *t = open_table(&aside);
    for (uint64_t i = 1; i <= 500; i++)
        expect(t, i * UINT64_C(0x9E3779B97F4A7C15), 400, 0);
    assert_int_equal(token_table_messages(t).spam, 400);
    token_table_close(t);
}

/* Children that inherit an open table keep each other out, too. */
static void forked_writers(void **state)
{
    bool aside;
    struct err err;
    struct token_table *t = open_table(&aside);
    pid_t pids[2];
    for (int k = 0; k < 2; k++) {
        pids[k] = fork();
        if (pids[k] == 0) {
            for (int i = 0; i < 3000; i++) {
                if (!token_table_begin(t, &err))
                    _exit(1);
                token_table_add(t, 7, 1, 0);
                token_table_end(t);
            }
            _exit(0);
        }
    }
    int status;
    for (int k = 0; k < 2; k++) {
        assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
        assert_int_equal(status, 0);
    }
    expect(t, 7, 6000, 0);
    token_table_close(t);
}

static void killed_while_writing(void **state)
{
    for (int round = 0; round < 20; round++) {
        pid_t writers[2] = { start_writer(0), start_writer(0) };
        (void)usleep(3000 + 1777u * (unsigned)round);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(kill(writers[i], SIGKILL), 0);
            assert_int_equal(waitpid(writers[i], NULL, 0), writers[i]);
        }
        bool aside;
        uint64_t before = clock_mono_ms();
        struct token_table *t = open_table(&aside);
        assert_false(aside);
        begin(t);                /* the dead hold no lock */
        token_table_add(t, 42, 0, 1);
        token_table_end(t);
        assert_true(clock_mono_ms() - before < 5000);
        uint32_t most = 0, least = UINT32_MAX;
        for (uint64_t i = 1; i <= 500; i++) {
            uint32_t n = token_table_get(t, i * UINT64_C(0x9E3779B97F4A7C15)).spam;
            most = n > most ? n : most;
            least = n < least ? n : least;
        }
        assert_true(most - least <= (uint32_t)(round + 1) * 2); /* each death leaves one message half counted, no more */
        expect(t, 42, 0, (uint32_t)round + 1);
        token_table_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts, setup, teardown),
        cmocka_unit_test_setup_teardown(makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_is_put_aside, setup, teardown),
        cmocka_unit_test(folder_is_missing),
        cmocka_unit_test_setup_teardown(two_writers, setup, teardown),
        cmocka_unit_test_setup_teardown(forked_writers, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_while_writing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
