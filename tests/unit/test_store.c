/* SPDX-License-Identifier: Apache-2.0
 * The store: frames, the link with a store process behind it, its bounds, and what it does with files that are no good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/history.h"
#include "store/memory.h"
#include "store/query.h"
#include "store/server.h"
#include "store/wire.h"

#define HOUR_MS UINT64_C(3600000)

static char dir[64];

static int make_dir(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/postern-store-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static uint64_t file_size(const char *name)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void write_file(const char *name, const char *text, size_t n, long at)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, at ? "r+b" : "wb");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

/* ---- frames */

static void frames(void **state)
{
    struct buf b = { 0 };
    struct wire_frame f = { .op = WIRE_PUT_NEW, .id = 7, .space = STORE_PAUSE, .key = SLICE("key"), .until = 99, .value = SLICE("v") };
    struct slice rcpts[150];
    for (size_t i = 0; i < 150; i++) rcpts[i] = SLICE("r@example.net");
    wire_add(&b, &f);
    struct history_event e = { .kind = HISTORY_BOUNCED, .id = 5, .session = 6, .when = 8, .client = { .family = 6, .bytes = { 0x20, 1 } },
                               .helo = SLICE("h"), .rcpts = rcpts, .rcpt_n = 150, .subject = SLICE("s"), .size = 1000, .code = 550,
                               .text = SLICE("no"), .host = SLICE("mx"), .trace = SLICE("\1abc") };
    struct wire_frame g = { .op = WIRE_HISTORY, .event = e };
    wire_add(&b, &g);
    struct slice in = buf_slice(&b), whole = in;
    struct wire_frame out;
    assert_int_equal(wire_take(&in, &out), WIRE_FRAME);
    assert_true(out.op == WIRE_PUT_NEW && out.id == 7 && out.space == STORE_PAUSE && out.until == 99);
    assert_true(slice_eq(out.key, SLICE("key")) && slice_eq(out.value, SLICE("v")));
    assert_int_equal(wire_take(&in, &out), WIRE_FRAME);
    assert_true(out.event.kind == HISTORY_BOUNCED && out.event.rcpt_n == 150 && out.event.code == 550 && out.event.size == 1000);
    assert_true(slice_eq(out.rcpts[99], SLICE("r@example.net")) && slice_eq(out.event.trace, SLICE("\1abc")));
    assert_int_equal(in.n, 0);
    for (size_t n = 0; n < whole.n; n++) { /* any part of it: nothing is read past its end */
        char *copy = malloc(n ? n : 1);
        memcpy(copy, whole.p, n);
        struct slice part = slice_of(copy, n);
        enum wire_status s;
        while ((s = wire_take(&part, &out)) == WIRE_FRAME) {}
        assert_int_equal(s, WIRE_MORE);
        free(copy);
    }
    static const char bad[][16] = { "\0\0\0\0", "\xff\xff\xff\xff", "\1\0\0\0\0", "\1\0\0\0\x63", "\2\0\0\0\1\0", "\6\0\0\0\4\x09\1\0kx" };
    for (size_t i = 0; i < countof(bad); i++) {
        in = slice_of(bad[i], 16);
        assert_int_equal(wire_take(&in, &out), WIRE_BAD);
    }
    buf_deinit(&b);
}

/* ---- memory */

static void memories(void **state)
{
    struct memory m;
    struct store_answer a;
    struct err err;
    uint64_t now = clock_wall_ms();
    assert_true(memory_open(&m, dir, 1000, &err));
    memory_get(&m, STORE_PAUSE, SLICE("k"), now, &a);
    assert_int_equal(a.status, STORE_NONE);
    memory_put_new(&m, STORE_PAUSE, SLICE("k"), SLICE("one"), now + HOUR_MS, now, &a);
    assert_int_equal(a.status, STORE_NONE);
    memory_put_new(&m, STORE_PAUSE, SLICE("k"), SLICE("two"), now + HOUR_MS, now, &a);
    assert_int_equal(a.status, STORE_FOUND);
    assert_true(slice_eq(a.value, SLICE("one")) && a.expires == now + HOUR_MS);
    memory_get(&m, STORE_GREYLIST, SLICE("k"), now, &a); /* kinds are apart */
    assert_int_equal(a.status, STORE_NONE);
    memory_put(&m, STORE_PAUSE, SLICE("k"), SLICE(""), now + 5);
    memory_get(&m, STORE_PAUSE, SLICE("k"), now, &a);
    assert_true(a.status == STORE_FOUND && a.value.n == 0 && a.expires == now + 5);
    memory_get(&m, STORE_PAUSE, SLICE("k"), now + 5, &a); /* its end has come */
    assert_int_equal(a.status, STORE_NONE);
    memory_put_new(&m, STORE_PAUSE, SLICE("k"), SLICE("three"), now + HOUR_MS, now + 6, &a);
    assert_int_equal(a.status, STORE_NONE);
    assert_int_equal(m.counts[STORE_PAUSE], 1);
    memory_close(&m);
    assert_true(memory_open(&m, dir, 1000, &err)); /* it was kept */
    assert_int_equal(m.counts[STORE_PAUSE], 1);
    memory_get(&m, STORE_PAUSE, SLICE("k"), now, &a);
    assert_true(a.status == STORE_FOUND && slice_eq(a.value, SLICE("three")));
    memory_remove(&m, STORE_PAUSE, SLICE("k"));
    memory_remove(&m, STORE_PAUSE, SLICE("k"));
    memory_get(&m, STORE_PAUSE, SLICE("k"), now, &a);
    assert_true(a.status == STORE_NONE && m.counts[STORE_PAUSE] == 0);
    memory_close(&m);
}

static void counts_fade(void **state)
{
    struct memory m;
    struct store_answer a;
    struct err err;
    uint64_t now = clock_wall_ms();
    assert_true(memory_open(&m, dir, 1000, &err));
    memory_add_counts(&m, SLICE("192.0.2.0/24"), 6, 2, HOUR_MS, now);
    memory_add_counts(&m, SLICE("192.0.2.0/24"), 2, 0, HOUR_MS, now);
    memory_get(&m, STORE_REPUTATION, SLICE("192.0.2.0/24"), now, &a);
    assert_true(a.status == STORE_FOUND && a.good > 7.99 && a.good < 8.01 && a.bad > 1.99 && a.bad < 2.01);
    memory_get(&m, STORE_REPUTATION, SLICE("192.0.2.0/24"), now + HOUR_MS, &a);
    assert_true(a.good > 3.99 && a.good < 4.01 && a.bad > 0.99 && a.bad < 1.01);
    memory_add_counts(&m, SLICE("192.0.2.0/24"), 1, 0, HOUR_MS, now + 2 * HOUR_MS);
    memory_get(&m, STORE_REPUTATION, SLICE("192.0.2.0/24"), now + 2 * HOUR_MS, &a);
    assert_true(a.good > 2.99 && a.good < 3.01 && a.bad > 0.49 && a.bad < 0.51);
    memory_get(&m, STORE_REPUTATION, SLICE("192.0.2.0/24"), now + 20 * HOUR_MS, &a); /* as good as forgotten */
    assert_int_equal(a.status, STORE_NONE);
    assert_int_equal(m.counts[STORE_REPUTATION], 1);
    memory_close(&m);
}

/* A flood: entries that end soonest give way, and neither file nor memory grow past what the bound allows. */
static void flood(void **state)
{
    struct memory m;
    struct store_answer a;
    struct err err;
    struct rusage before, after;
    const char *wanted = getenv("POSTERN_FLOOD");
    uint64_t n = wanted ? strtoull(wanted, NULL, 10) : 60000, now = clock_wall_ms(), began = clock_mono_us();
    char key[64];
    assert_true(memory_open(&m, dir, 5000, &err));
    memory_put(&m, STORE_GREYLIST, SLICE("known"), SLICE("x"), now + 1000 * HOUR_MS);
    getrusage(RUSAGE_SELF, &before);
    for (uint64_t i = 0; i < n; i++) {
        int k = snprintf(key, sizeof key, "%016llx from@example.org to@example.net", (unsigned long long)(i * 0x9E3779B97F4A7C15u));
        memory_put_new(&m, STORE_GREYLIST, slice_of(key, (size_t)k), SLICE("1790000000000"), now + HOUR_MS + i, now, &a);
        assert_int_equal(a.status, STORE_NONE);
        assert_true(m.counts[STORE_GREYLIST] <= 5000);
        if (i % 64 == 0) memory_tend(&m);
    }
    getrusage(RUSAGE_SELF, &after);
    double us = (double)(clock_mono_us() - began);
    print_message("%llu triplets, %.0f a second\n", (unsigned long long)n, (double)n / us * 1e6);
    memory_get(&m, STORE_GREYLIST, SLICE("known"), now, &a);
    assert_int_equal(a.status, STORE_FOUND);
    memory_get(&m, STORE_GREYLIST, slice_str(key), now, &a); /* the newest, too */
    assert_int_equal(a.status, STORE_FOUND);
    memory_close(&m);
    assert_true(file_size("memory.db") > 0 && file_size("memory.db") < 3u << 20);
    assert_true(memory_open(&m, dir, 1000, &err)); /* the bound is lowered */
    assert_true(m.counts[STORE_GREYLIST] > 4000);
    for (int i = 0; i < 100 && m.counts[STORE_GREYLIST] > 1000; i++) {
        m.swept = 0;
        memory_tend(&m);
    }
    assert_true(m.counts[STORE_GREYLIST] <= 1000);
    memory_close(&m);
}

static void sweeping(void **state)
{
    struct memory m;
    struct err err;
    char key[32];
    uint64_t now = clock_wall_ms();
    assert_true(memory_open(&m, dir, 5000, &err));
    for (int i = 0; i < 1500; i++) {
        snprintf(key, sizeof key, "%d", i);
        memory_put(&m, STORE_PAUSE, slice_str(key), SLICE(""), i % 3 ? now - 1 : now + HOUR_MS);
    }
    for (int i = 0; i < 5; i++) {
        m.swept = 0;
        memory_tend(&m);
    }
    assert_int_equal(m.counts[STORE_PAUSE], 500);
    memory_close(&m);
}

/* ---- files that are no good */

static void check_works(bool expect_aside)
{
    struct memory m;
    struct store_answer a;
    struct err err;
    uint64_t now = clock_wall_ms();
    assert_true(memory_open(&m, dir, 1000, &err));
    memory_put_new(&m, STORE_PAUSE, SLICE("new"), SLICE("v"), now + HOUR_MS, now, &a);
    assert_int_equal(a.status, expect_aside ? STORE_NONE : STORE_FOUND);
    memory_close(&m);
    assert_int_equal(file_size("memory.db.damaged") > 0, expect_aside);
}

static void foreign_files(void **state)
{
    char *noise = malloc(20000);
    sqlite3 *sql;
    char path[128];
    for (int i = 0; i < 20000; i++) noise[i] = (char)(i * 7);
    write_file("memory.db", noise, 20000, 0);
    check_works(true);
    assert_int_equal(file_size("memory.db.damaged"), 20000);
    snprintf(path, sizeof path, "%s/memory.db", dir);
    unlink(path);
    assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK); /* somebody else's */
    assert_int_equal(sqlite3_exec(sql, "CREATE TABLE memory(a)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(sql);
    check_works(true);
    assert_int_not_equal(file_size("memory.db.damaged"), 20000); /* the latest alone is kept */
    snprintf(path, sizeof path, "%s/memory.db.damaged", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/memory.db", dir);
    assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK); /* ours, but of another version */
    assert_int_equal(sqlite3_exec(sql, "PRAGMA user_version=7", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(sql);
    check_works(true);
    snprintf(path, sizeof path, "%s/memory.db.damaged", dir);
    unlink(path);
    check_works(false); /* and all is well from then on */
    free(noise);
}

/* Found while it is used: what is asked is not known, and then a new file is begun. */
static void damage_while_open(void **state)
{
    struct memory m;
    struct store_answer a;
    struct err err;
    char key[64], noise[4096];
    uint64_t now = clock_wall_ms();
    memset(noise, 0xA5, sizeof noise);
    assert_true(memory_open(&m, dir, 20000, &err));
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "a key of some length %08d", i);
        memory_put(&m, STORE_PAUSE, slice_str(key), SLICE("value"), now + HOUR_MS);
    }
    memory_close(&m);
    long n = (long)file_size("memory.db");
    for (long at = 4096 * 2; at + 4096 <= n; at += 4096) write_file("memory.db", noise, sizeof noise, at);
    assert_true(memory_open(&m, dir, 20000, &err));
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "a key of some length %08d", i * 10);
        memory_put_new(&m, STORE_PAUSE, slice_str(key), SLICE("v"), now + HOUR_MS, now, &a);
        memory_tend(&m);
    }
    assert_true(file_size("memory.db.damaged") > 0);
    memory_get(&m, STORE_PAUSE, slice_str(key), now, &a);
    assert_true(a.status == STORE_FOUND && slice_eq(a.value, SLICE("v")));
    memory_close(&m);
}

/* A disk that is full: nothing is written, what is there is read, and it goes on as soon as there is room. */
static void full_disk(void **state)
{
    struct memory m;
    struct store_answer a;
    struct err err;
    struct rlimit was, small = { 200000, RLIM_INFINITY };
    char key[64];
    int gone = 0;
    uint64_t now = clock_wall_ms();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small.rlim_max = was.rlim_max;
    assert_true(memory_open(&m, dir, 100000, &err));
    memory_put(&m, STORE_PAUSE, SLICE("early"), SLICE("bird"), now + HOUR_MS);
    db_commit(&m.db);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof key, "a key of some length %08d", i);
        memory_put_new(&m, STORE_PAUSE, slice_str(key), SLICE("v"), now + HOUR_MS, now, &a);
        gone += a.status == STORE_GONE;
        if (i % 500 == 499) db_commit(&m.db);
    }
    assert_true(gone > 0 && m.db.off_until);
    memory_get(&m, STORE_PAUSE, SLICE("early"), now, &a);
    assert_true(a.status == STORE_FOUND && slice_eq(a.value, SLICE("bird")));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    m.db.off_until = 1; /* the pause is over */
    memory_put_new(&m, STORE_PAUSE, SLICE("late"), SLICE("v"), now + HOUR_MS, now, &a);
    assert_int_equal(a.status, STORE_NONE);
    db_commit(&m.db);
    assert_int_equal(m.db.off_until, 0);
    memory_tend(&m);
    uint64_t counted = m.counts[STORE_PAUSE]; /* again, as something was rolled back */
    memory_close(&m);
    assert_true(memory_open(&m, dir, 100000, &err));
    assert_int_equal(m.counts[STORE_PAUSE], counted);
    memory_close(&m);
}

/* ---- the link */

struct asked {
    int answers;
    enum store_status status;
    char value[40];
    struct store_request *request;
};

static void on_answer(void *arg, const struct store_answer *a)
{
    struct asked *k = arg;
    k->answers++;
    k->status = a->status;
    k->request = NULL;
    snprintf(k->value, sizeof k->value, "%.*s", (int)a->value.n, a->value.p ? a->value.p : "");
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    event_base_loopbreak(arg);
}

static pid_t start_store(struct store_link *l)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err;
        close(pair[0]);
        struct event_base *base = event_base_new();
        struct store_server *s = store_server_new(
            base, dir, &(struct store_limits){ .entries = 1000, .history = 24 * HOUR_MS, .history_size = 16u << 20 }, &err);
        if (!s) _exit(1);
        struct event *end = evsignal_new(base, SIGTERM, on_end, base);
        event_add(end, NULL);
        store_server_add_worker(s, pair[1]);
        event_base_dispatch(base);
        store_server_free(s);
        event_free(end);
        event_base_free(base);
        log_flush();
        _exit(0);
    }
    close(pair[1]);
    store_link_connect(l, pair[0]);
    return pid;
}

static void turn(struct event_base *base, struct store_link *l, const int *until, int n)
{
    uint64_t end = clock_mono_ms() + 5000;
    while (*until < n && clock_mono_ms() < end) {
        store_link_flush(l);
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_int_equal(*until, n);
}

static void link_asks(void **state)
{
    struct event_base *base = event_base_new();
    struct store_link *l = store_link_new(base);
    struct asked k = { 0 }, never = { 0 };
    int status;
    uint64_t now = clock_wall_ms();
    k.request = store_get(l, STORE_PAUSE, SLICE("k"), on_answer, &k); /* there is none yet */
    assert_int_equal(k.answers, 0);
    turn(base, l, &k.answers, 1);
    assert_int_equal(k.status, STORE_GONE);
    pid_t pid = start_store(l);
    store_put(l, STORE_PAUSE, SLICE("k"), SLICE("value"), now + HOUR_MS);
    store_get(l, STORE_PAUSE, SLICE("k"), on_answer, &k);
    never.request = store_get(l, STORE_PAUSE, SLICE("k"), on_answer, &never);
    store_cancel(&never.request);
    assert_null(never.request);
    turn(base, l, &k.answers, 2);
    assert_int_equal(k.status, STORE_FOUND);
    assert_string_equal(k.value, "value");
    store_put_new(l, STORE_PAUSE, SLICE("n"), SLICE("1"), now + HOUR_MS, on_answer, &k);
    turn(base, l, &k.answers, 3);
    assert_int_equal(k.status, STORE_NONE);
    store_remove(l, STORE_PAUSE, SLICE("k"));
    store_count(l, SLICE("net"), 3, 1, HOUR_MS);
    store_get(l, STORE_PAUSE, SLICE("k"), on_answer, &k);
    turn(base, l, &k.answers, 4);
    assert_int_equal(k.status, STORE_NONE);
    store_get(l, STORE_PAUSE, SLICE(""), on_answer, &k); /* no such key can be */
    turn(base, l, &k.answers, 5);
    assert_int_equal(k.status, STORE_GONE);
    int many = 0;
    struct asked *all = calloc(10100, sizeof *all);
    for (int i = 0; i < 10100; i++) store_get(l, STORE_PAUSE, SLICE("n"), on_answer, &all[i]);
    for (uint64_t end = clock_mono_ms() + 5000; clock_mono_ms() < end;) {
        store_link_flush(l);
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        many = 0;
        for (int i = 0; i < 10100; i++) many += all[i].answers;
        if (many == 10100) break;
    }
    assert_int_equal(many, 10100);
    for (int i = 10000; i < 10100; i++) assert_int_equal(all[i].status, STORE_GONE); /* too many at once */
    free(all);
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(never.answers, 0);
    store_link_free(l);
    event_base_free(base);
}

/* Killed in the middle: those who asked are told, and the next store knows what was committed. */
static void link_loses_its_store(void **state)
{
    struct event_base *base = event_base_new();
    struct store_link *l = store_link_new(base);
    struct asked k = { 0 };
    uint64_t now = clock_wall_ms();
    pid_t pid = start_store(l);
    store_put(l, STORE_PAUSE, SLICE("k"), SLICE("kept"), now + HOUR_MS);
    store_get(l, STORE_PAUSE, SLICE("k"), on_answer, &k);
    turn(base, l, &k.answers, 1);
    assert_int_equal(k.status, STORE_FOUND);
    usleep(400000); /* it commits */
    kill(pid, SIGSTOP);
    uint64_t began = clock_mono_ms();
    store_get(l, STORE_PAUSE, SLICE("k"), on_answer, &k); /* it does not answer */
    turn(base, l, &k.answers, 2);
    assert_int_equal(k.status, STORE_GONE);
    assert_true(clock_mono_ms() - began >= 490 && clock_mono_ms() - began < 3000);
    for (int i = 0; i < 100; i++) store_get(l, STORE_PAUSE, SLICE("k"), on_answer, &k);
    store_link_flush(l);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    turn(base, l, &k.answers, 102);
    assert_int_equal(k.status, STORE_GONE);
    for (int i = 0; i < 10; i++) store_put(l, STORE_PAUSE, SLICE("lost"), SLICE(""), now + HOUR_MS);
    pid = start_store(l);
    store_get(l, STORE_PAUSE, SLICE("k"), on_answer, &k);
    turn(base, l, &k.answers, 103);
    assert_int_equal(k.status, STORE_FOUND);
    assert_string_equal(k.value, "kept");
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    store_link_free(l);
    event_base_free(base);
}

/* A store that reads nothing: what is told is bounded. */
static void link_is_bounded(void **state)
{
    struct event_base *base = event_base_new();
    struct store_link *l = store_link_new(base);
    struct asked k = { 0 };
    struct rusage before, after;
    char value[STORE_VALUE_MAX] = { 0 };
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    store_link_connect(l, pair[0]);
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 200000; i++) {
        store_put(l, STORE_PAUSE, SLICE("k"), slice_of(value, sizeof value), 1);
        if (i % 100 == 0) store_link_flush(l);
    }
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 32768); /* KiB */
    store_get(l, STORE_PAUSE, SLICE("k"), on_answer, &k);
    turn(base, l, &k.answers, 1);
    assert_int_equal(k.status, STORE_GONE);
    close(pair[1]);
    store_link_free(l);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),
        cmocka_unit_test_setup_teardown(memories, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(counts_fade, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(flood, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(sweeping, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(foreign_files, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_while_open, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(full_disk, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(link_asks, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(link_loses_its_store, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(link_is_bounded, make_dir, remove_dir),
    };
    log_open("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
