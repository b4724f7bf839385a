/* SPDX-License-Identifier: Apache-2.0
 * The scan process as a worker knows it: messages by descriptor, reports, and whatever may happen to processes meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/link.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/parse.h"
#include "content/scan.h"
#include "scan/dispatch.h"
#include "scan/process.h"

#define MANY 60

static struct {
    struct event_base *base;
    struct config *config;
    struct link *link;
    struct arena arena;
    char directory[64];
    pid_t pid;
    int master;              /* our end of the dispatcher's channel to the master */
    json_t *state;           /* what it said last */
} world;

struct question {
    struct scan_request *request;
    bool done, crashed, has_report, ok;
    uint32_t part_n;
    enum scanner_state scanner;
    char blocked[100], error[200];
};

/* ---- the process */

static void on_state(void *arg, const json_t *m)
{
    json_decref(world.state);
    world.state = json_copy((json_t *)m);
}

static void hand_over(int master, int worker)
{
    struct event_base *base = event_base_new();
    struct channel *c = channel_new(base, dup(master), NULL, NULL, NULL);
    json_t *m = json_pack("{s:s, s:i}", "op", "worker", "pid", (int)getpid());
    channel_send(c, m, worker);
    json_decref(m);
    channel_free(&c);
    event_base_free(base);
}

static void start(void)
{
    struct err err;
    int master[2], worker[2];
    struct privilege_user nobody = { 0 };
    assert_true(channel_pair(master, &err) && channel_pair(worker, &err));
    log_flush();
    world.pid = fork();
    if (world.pid == 0) {
        close(master[0]);
        close(worker[0]);
        close(worker[1]);
        if (world.master) close(world.master);
        signal(SIGPIPE, SIG_IGN);
        log_open("scan", LOG_WARNING);
        _exit(helper_main(&(struct helper_start){ &scan_helper, world.config, world.directory, &nobody, master[1] }));
    }
    close(master[1]);
    if (world.master) close(world.master);
    world.master = master[0];
    hand_over(master[0], worker[1]);
    close(worker[1]);
    link_connect(world.link, worker[0]);
}

static void configure(const char *text)
{
    struct config_report report;
    char all[2000];
    snprintf(all, sizeof all, "hostname: mx.example.com\ndomains: [{name: example.com, deliver: 192.0.2.1}]\nattachments: {enabled: yes}\nlog: {level: warning}\n%s", text);
    world.config = config_parse(slice_str(all), "test", &report);
    for (size_t i = 0; i < report.n; i++) print_message("%s: %s\n", report.findings[i].option, report.findings[i].text);
    config_report_deinit(&report);
    assert_non_null(world.config);
    start();
}

static int setup(void **state)
{
    memset(&world, 0, sizeof world);
    setenv("POSTERN_SCAN_CRASH", "1", 1);
    snprintf(world.directory, sizeof world.directory, "/tmp/test-scan-XXXXXX");
    assert_non_null(mkdtemp(world.directory));
    world.base = event_base_new();
    world.link = link_new(world.base, NULL, on_state, NULL);
    return 0;
}

static int teardown(void **state)
{
    char command[100];
    if (world.pid > 0) kill(world.pid, SIGKILL);
    if (world.pid > 0) waitpid(world.pid, NULL, 0);
    link_free(world.link);
    if (world.master) close(world.master);
    json_decref(world.state);
    config_free(world.config);
    arena_deinit(&world.arena);
    event_base_free(world.base);
    snprintf(command, sizeof command, "rm -rf %s", world.directory);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a folder of our own
    return 0;
}

/* ---- asking */

static void on_report(void *arg, const struct report *r, const char *error)
{
    struct question *q = arg;
    q->done = true;
    q->request = NULL;
    q->has_report = r != NULL;
    snprintf(q->error, sizeof q->error, "%s", error ? error : "");
    if (!r) return;
    q->crashed = r->crashed;
    q->part_n = (uint32_t)r->part_n;
    if (r->scanner_n) q->scanner = r->scanners[0].state;
    for (size_t i = 0; i < r->part_n; i++)
        if (r->parts[i].blocked.n) snprintf(q->blocked, sizeof q->blocked, "%.*s", SLICE_ARG(r->parts[i].blocked));
}

static int file_of(const char *text)
{
    int fd = memfd_create("message", MFD_CLOEXEC);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    return fd;
}

static void ask_part(struct question *q, const char *text, uint64_t offset, uint64_t size)
{
    struct scan_context c = { .id = 5, .reputation = -1, .sender = SLICE("a@example.org") };
    int fd = file_of(text);
    *q = (struct question){ 0 };
    q->request = scan_start(world.link, world.config, &c, fd, offset, size, &world.arena, on_report, q);
    close(fd);
}

static void ask(struct question *q, const char *text) { ask_part(q, text, 0, strlen(text)); }

static void wait_for(const struct question *q, size_t n)
{
    uint64_t end = clock_mono_ms() + 60000;
    for (size_t i = 0; i < n; i++)
        while (!q[i].done) {
            assert_true(clock_mono_ms() < end);
            event_base_loop(world.base, EVLOOP_ONCE);
        }
}

static const char plain[] = "From: a@example.org\r\nTo: b@example.com\r\nSubject: hello\r\n\r\ntext\r\n";
static const char with_file[] = "From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n"
                                "--x\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.pdf.exe\r\n\r\n"
                                "hello\r\n--x--\r\n";
#define CRASH(what) "From: a@example.org\r\nX-Crash-Test: " what "\r\nSubject: hello\r\n\r\ntext\r\n"

/* Process ids of the children. */
static size_t children(pid_t *out, size_t max)
{
    char path[64];
    size_t n = 0;
    int pid;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)world.pid, (int)world.pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (n < max && fscanf(f, "%d", &pid) == 1) out[n++] = pid; // NOLINT(cert-err34-c)
    fclose(f);
    return n;
}

/* ---- cases */

static void messages_are_looked_into(void **state)
{
    struct question q[MANY];
    configure("");
    for (size_t i = 0; i < MANY; i++) ask(&q[i], i % 2 ? with_file : plain);
    wait_for(q, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_string_equal(q[i].error, "");
        assert_true(q[i].has_report && !q[i].crashed);
        assert_string_equal(q[i].blocked, i % 2 ? "extension exe" : "");
    }
    ask_part(&q[0], with_file, 3, strlen(with_file) - 3);
    ask_part(&q[1], "", 0, 0);
    wait_for(q, 2);
    assert_true(q[0].has_report && q[1].has_report);
}

static void a_message_that_ends_processes_is_told_of(void **state)
{
    struct question q[4];
    configure("scan: {memory: 64M, unpacked: 32M}");
    ask(&q[0], CRASH("abort"));
    ask(&q[1], with_file);
    ask(&q[2], CRASH("memory"));
    ask(&q[3], with_file);
    wait_for(q, 4);
    assert_true(q[0].crashed && q[2].crashed && !q[1].crashed && !q[3].crashed);
    assert_int_equal(q[0].part_n, 0);
    assert_string_equal(q[3].blocked, "extension exe");
}

static void what_takes_too_long_is_ended(void **state)
{
    struct question q[2];
    configure("scan: {timeout: 1s, unpack_time: 500ms}");
    ask(&q[0], CRASH("hang"));
    ask(&q[1], plain);
    uint64_t start_ms = clock_mono_ms();
    wait_for(q, 2);
    assert_true(q[0].crashed && !q[1].crashed && q[1].has_report);
    assert_true(clock_mono_ms() - start_ms < 20000);
}

static void children_may_be_killed(void **state)
{
    struct question q[MANY];
    size_t reports = 0;
    configure("");
    for (size_t i = 0; i < MANY; i++) {
        pid_t pids[16];
        ask(&q[i], i % 4 ? plain : CRASH("slow"));
        for (int k = 0; k < 5; k++) event_base_loop(world.base, EVLOOP_NONBLOCK);
        size_t n = children(pids, 16);
        if (i % 6 == 5 && n) kill(pids[i % n], SIGKILL);
    }
    wait_for(q, MANY);
    for (size_t i = 0; i < MANY; i++) reports += q[i].has_report && !q[i].crashed;
    assert_true(reports > MANY / 2);
    for (size_t i = 0; i < MANY; i++) assert_true(q[i].has_report);
}

static void the_dispatcher_may_be_killed(void **state)
{
    struct question q[MANY];
    configure("");
    for (size_t i = 0; i < MANY; i++) ask(&q[i], i % 4 ? plain : CRASH("slow"));
    wait_for(q, 3);
    for (int k = 0; k < 2; k++) {
        kill(world.pid, SIGKILL);
        waitpid(world.pid, NULL, 0);
        start();
        wait_for(q, (size_t)(8 + 8 * k));
    }
    wait_for(q, MANY);
    for (size_t i = 0; i < MANY; i++) assert_true(q[i].has_report && !q[i].crashed);
}

static void a_full_queue_says_so(void **state)
{
    static struct question q[1200];
    size_t full = 0;
    configure("scan: {processes: 1}");
    for (size_t i = 0; i < countof(q); i++) {
        ask(&q[i], i < 3 ? CRASH("slow") : plain);
        if (i % 20 == 0) event_base_loop(world.base, EVLOOP_NONBLOCK);
    }
    wait_for(q, countof(q));
    for (size_t i = 0; i < countof(q); i++) {
        full += !q[i].has_report;
        if (!q[i].has_report) assert_string_equal(q[i].error, "too many messages wait to be looked into");
    }
    assert_true(full > 0 && full < countof(q));
}

/* A child may send as much as a frame holds; with the worker's longer id it would be more than the worker's channel takes, which then ends. */
struct hung {
    json_t *m;
    bool ended;
};

static void on_frame(void *arg, const json_t *m, int fd)
{
    ((struct hung *)arg)->m = json_copy((json_t *)m);
}

static void on_hung(void *arg) { ((struct hung *)arg)->ended = true; }

static void an_answer_too_large_hangs_nobody_up(void **state)
{
    struct err err;
    struct hung worker = { 0 }, dispatcher = { 0 };
    struct peer peer = { 0 };
    struct buf text = { 0 };
    int pair[2];
    assert_true(channel_pair(pair, &err));
    struct channel *c = channel_new(world.base, pair[0], on_frame, on_hung, &worker);
    peer.helper.channel = channel_new(world.base, pair[1], on_frame, on_hung, &dispatcher);
    struct job *j = mem_new(struct job);
    *j = (struct job){ .peer = &peer, .id = INT64_MAX, .frame = json_object(), .fd = file_of("x") };
    while (text.n < CHANNEL_FRAME_MAX - 20) buf_add_char(&text, 'x');
    job_end(j, json_pack("{s:s}", "error", buf_cstr(&text)));
    while (!worker.m && !worker.ended && !dispatcher.ended) event_base_loop(world.base, EVLOOP_ONCE);
    assert_true(worker.m && !dispatcher.ended);
    assert_true(json_integer_value(json_object_get(worker.m, "id")) == INT64_MAX && json_object_get(worker.m, "error"));
    json_decref(worker.m);
    channel_free(&c);
    channel_free(&peer.helper.channel);
    buf_deinit(&text);
}

static void requests_can_be_cancelled(void **state)
{
    struct question q[20], last;
    configure("scan: {processes: 1}");
    for (size_t i = 0; i < countof(q); i++) ask(&q[i], CRASH("slow"));
    for (int k = 0; k < 10; k++) event_base_loop(world.base, EVLOOP_NONBLOCK);
    for (size_t i = 0; i < countof(q); i++) scan_cancel(&q[i].request);
    ask(&last, with_file);
    wait_for(&last, 1);
    for (size_t i = 0; i < countof(q); i++) assert_false(q[i].done);
    assert_true(last.has_report);
    while (!json_integer_value(json_object_get(world.state, "messages"))) event_base_loop(world.base, EVLOOP_ONCE);
    assert_true(json_integer_value(json_object_get(world.state, "messages")) < 10); /* those that nobody waits for are in nobody's way */
}

static void what_is_not_there_is_refused(void **state)
{
    struct question q[2];
    configure("");
    ask_part(&q[0], plain, 0, 1000000);
    ask_part(&q[1], plain, 1000000, 1);
    wait_for(q, 2);
    for (size_t i = 0; i < 2; i++) assert_string_equal(q[i].error, "the message is not where it is said to be");
}

static const json_t *scanner_state(const char *name)
{
    const json_t *all = json_object_get(world.state, "scanners");
    for (size_t i = 0; i < json_array_size(all); i++)
        if (slice_eq(json_text(json_array_get(all, i), "name"), slice_str(name))) return json_array_get(all, i);
    return NULL;
}

static void a_scanner_that_fails_is_left_alone(void **state)
{
    struct question q;
    configure("scanners: [{name: av, type: clamd, address: \"unix:/nonexistent/clamd.ctl\"}]");
    for (int i = 0; i < 6; i++) {
        ask(&q, plain);
        wait_for(&q, 1);
        assert_int_equal(q.scanner, i < 3 ? SCANNER_DOWN : SCANNER_NOT_ASKED);
    }
    uint64_t end = clock_mono_ms() + 10000;
    while (!json_is_true(json_object_get(scanner_state("av"), "paused")) && clock_mono_ms() < end) event_base_loop(world.base, EVLOOP_ONCE);
    assert_string_equal(json_string_value(json_object_get(scanner_state("av"), "state")), "down");
    assert_non_null(strstr(json_string_value(json_object_get(scanner_state("av"), "error")), "/nonexistent/clamd.ctl"));
}

static void on_learnt(void *arg, const char *error)
{
    struct question *q = arg;
    q->done = true;
    q->ok = !error;
    snprintf(q->error, sizeof q->error, "%s", error ? error : "");
}

static void on_view(void *arg, const json_t *view, const char *error)
{
    struct question *q = arg;
    q->done = true;
    q->ok = view != NULL;
    snprintf(q->error, sizeof q->error, "%s", view ? json_string_value(json_object_get(view, "text")) : error);
    q->part_n = (uint32_t)json_array_size(json_object_get(view, "headers"));
}

static void messages_are_learnt_and_shown(void **state)
{
    struct question q = { 0 };
    int fd = file_of(plain);
    configure("");
    scan_learn(world.link, world.config, "spam", fd, 0, strlen(plain), &world.arena, on_learnt, &q);
    wait_for(&q, 1);
    assert_string_equal(q.error, "");
    q.done = false;
    scan_learn(world.link, world.config, "nonsense", fd, 0, strlen(plain), &world.arena, on_learnt, &q);
    wait_for(&q, 1);
    assert_false(q.ok);
    q.done = false;
    scan_view(world.link, world.config, fd, 0, strlen(plain), &world.arena, on_view, &q);
    wait_for(&q, 1);
    assert_true(q.ok && strstr(q.error, "text"));
    assert_int_equal(q.part_n, 3);
    close(fd);
}

/* A text that is longer than it may be is cut between characters: else the state would lack the scanner. */
static void errors_of_scanners_are_cut_cleanly(void **state)
{
    struct buf text = { 0 };
    configure("scanners: [{name: av, type: clamd, address: \"unix:/nonexistent/clamd.ctl\"}]");
    for (int i = 0; i < 200; i++) buf_add_str(&text, i ? "\xC3\xBC" : "x");
    struct breaker *b = breaker_new(world.config);
    json_t *report = json_pack("{s:[{s:s, s:i, s:s}]}", "scanners", "name", "av", "state", (int)SCANNER_DOWN, "text", buf_cstr(&text));
    breaker_take(b, report);
    json_t *told = breaker_state(b);
    assert_int_equal(json_array_size(told), 1);
    json_decref(told);
    json_decref(report);
    breaker_free(b);
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_are_looked_into, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_that_ends_processes_is_told_of, setup, teardown),
        cmocka_unit_test_setup_teardown(what_takes_too_long_is_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(children_may_be_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_dispatcher_may_be_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_queue_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_too_large_hangs_nobody_up, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_can_be_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_scanner_that_fails_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_of_scanners_are_cut_cleanly, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_are_learnt_and_shown, setup, teardown),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
