/* SPDX-License-Identifier: Apache-2.0
 * A queue in the world of queue_world.h: its start and end, and the words the tests are told in. */
#ifndef POSTERN_TESTS_QUEUE_RELAY_H
#define POSTERN_TESTS_QUEUE_RELAY_H
#include "queue_world.h"

static struct world {
    struct event_base *base;
    struct stream_loop *streams;
    struct config *config;
    struct resolver *resolver;
    struct queue *q;
    unsigned acked, refused;
    json_t *answer;
} w;

static void configure(const char *more)
{
    struct config_report report;
    struct buf text = { 0 };
    buf_addf(&text, "hostname: relay.example\npostmaster: root@relay.example\ndomains:\n  - {name: example.com, deliver: \"127.0.0.1:%u\"}\n"
                    "  - {name: relay.example, deliver: \"127.0.0.1:%u\"}\n  - {name: dead.example, deliver: \"127.0.0.2:%u\"}\n"
                    "routes:\n  - {to: other.example, via: \"127.0.0.1:%u\", source: 127.0.0.1}\n"
                    "dns: {servers: [\"127.0.0.1:9\"], timeout: 1s}\n%s", peer.port, peer.port, peer.port, peer.port, more);
    w.config = config_parse(buf_slice(&text), "test.yaml", &report);
    for (size_t i = 0; i < report.n; i++)
        if (!report.findings[i].warning) fail_msg("%s: %s", report.findings[i].option, report.findings[i].text);
    config_report_deinit(&report);
    buf_deinit(&text);
    w.config->queue.retry_first = 50;
    w.config->queue.retry_max = 50;
    w.config->queue.delay_warning = 0;
}

static void start_queue(void)
{
    w.q = queue_new(&(struct queue_options){ .base = w.base, .streams = w.streams, .config = w.config, .resolver = w.resolver,
                                              .worker = 5 });
    queue_add_spool(w.q, &disk, false, NULL, NULL);
}

static int setup(void **state)
{
    log_open("test", getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR + 1);
    w = (struct world){ .base = event_base_new() };
    disk = (struct spool){ .base = w.base };
    w.streams = stream_loop_new(w.base);
    peer_start();
    struct err err;
    configure("");
    w.resolver = resolver_new(w.base, w.config, &err);
    if (!w.resolver) fail_msg("%s", err.text);
    start_queue();
    return 0;
}

static int teardown(void **state)
{
    log_flush();
    if (getenv("VERBOSE")) fprintf(stderr, "%s\n%s\n", buf_cstr(&peer.log), buf_cstr(&peer.last_text));
    queue_free(w.q);
    json_decref(w.answer);
    peer_stop();
    resolver_free(w.resolver);
    event_base_loop(w.base, EVLOOP_NONBLOCK);
    stream_loop_free(w.streams);
    event_base_free(w.base);
    config_free(w.config);
    for (size_t i = 0; i < disk.n; i++) {
        free(disk.records[i].envelope);
        free(disk.records[i].text);
        free(disk.records[i].state);
    }
    return 0;
}

static void on_submitted(void *arg, bool ok, const struct err *err)
{
    if (ok) w.acked++;
    else w.refused++;
}

/* rcpts: divided by blanks. */
__attribute__((unused)) static uint64_t submit(const char *sender, const char *rcpts, const char *text, uint32_t flags)
{
    struct slice list[100], rest = slice_str(rcpts);
    struct err err;
    uint32_t n = 0;
    for (bool more = true; more;) more = slice_cut(&rest, ' ', &list[n++]);
    struct envelope e = { .id = queue_new_id(w.q), .arrival = clock_wall_ms(), .flags = flags, .sender = slice_str(sender),
                          .rcpts = list, .rcpt_n = n, .prepend = SLICE("Received: by relay.example\r\n"), .text_size = strlen(text),
                          .zone = SLICE("lan") };
    struct spool_draft *d = spool_draft_new(queue_spool(w.q));
    assert_true(spool_draft_append(d, slice_str(text), &err));
    queue_submit(w.q, d, &e, on_submitted, NULL);
    return e.id;
}

#define RUN_UNTIL(condition) \
    do { \
        uint64_t end_ = clock_mono_ms() + 60000; \
        while (!(condition) && clock_mono_ms() < end_) event_base_loop(w.base, EVLOOP_ONCE); \
        if (!(condition)) fail_msg("did not happen: %s", #condition); \
    } while (0)

__attribute__((unused)) static void run_for(uint64_t ms)
{
    uint64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end) {
        event_base_loop(w.base, EVLOOP_NONBLOCK);
        usleep(1000);
    }
}

static bool is_done(uint64_t id)
{
    return record_of(id)->done;
}

__attribute__((unused)) static unsigned done_n(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < disk.n; i++) n += disk.records[i].done;
    return n;
}

#define TEXT "Subject: hello\r\nFrom: a@example.org\r\n\r\nHello.\r\n"

/* ---- requests */

static void on_answer(void *arg, json_t *a)
{
    json_decref(w.answer);
    w.answer = a;
}

__attribute__((unused)) static json_int_t ask(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    json_t *request = json_vpack_ex(NULL, 0, format, ap);
    va_end(ap);
    assert_non_null(request);
    json_decref(w.answer);
    w.answer = NULL;
    queue_control(w.q, request, on_answer, NULL);
    json_decref(request);
    assert_null(w.answer);
    RUN_UNTIL(w.answer);
    return json_integer_value(json_object_get(w.answer, "matched"));
}

__attribute__((unused)) static const char *text_at(size_t i, const char *name)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(w.answer, "messages"), i), name));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
