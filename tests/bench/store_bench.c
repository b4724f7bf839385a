/* SPDX-License-Identifier: Apache-2.0
 * How fast the store is: questions and history events from one worker over its socket, and a flood of greylist triplets.
 *     store_bench DIRECTORY [QUESTIONS [TRIPLETS [EVENTS]]] - the directory should be on a real disk */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/server.h"
#include "store/store.h"

#define ENTRIES 200000
#define AT_ONCE 500

struct bench {
    struct event_base *base;
    struct store_link *link;
    uint64_t asked, answered, gone, wanted;
    uint64_t slowest_us, sum_us;
    bool new_ones;
};

struct one {
    struct bench *bench;
    uint64_t began;
};

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    event_base_loopbreak(arg);
}

_Noreturn static void be_store(int fd, const char *directory)
{
    struct err err;
    struct event_base *base = event_base_new();
    struct store_server *s = store_server_new(
        base, directory, &(struct store_limits){ .entries = ENTRIES, .history = 86400000, .history_size = 256u << 20 }, &err);
    if (!s) {
        fprintf(stderr, "%s\n", err.text);
        _exit(1);
    }
    struct event *end = evsignal_new(base, SIGTERM, on_end, base);
    event_add(end, NULL);
    store_server_add_worker(s, fd);
    event_base_dispatch(base);
    store_server_free(s);
    log_flush();
    _exit(0);
}

static void on_answer(void *arg, const struct store_answer *a)
{
    struct one *one = arg;
    struct bench *b = one->bench;
    uint64_t us = clock_mono_us() - one->began;
    b->answered++;
    b->sum_us += us;
    if (a->status == STORE_GONE) b->gone++;
    if (us > b->slowest_us) b->slowest_us = us;
    free(one);
}

static void ask(struct bench *b)
{
    char key[80];
    uint64_t n = b->new_ones ? b->asked : (b->asked * 2654435761u) % ENTRIES;
    int k = snprintf(key, sizeof key, "%llx 203.0.%llu.0/24 someone%llu@example.org user@example.net",
                     (unsigned long long)(n * 0x9E3779B97F4A7C15u), (unsigned long long)(n % 250), (unsigned long long)n);
    struct one *one = mem_new(struct one);
    *one = (struct one){ b, clock_mono_us() };
    struct slice key_slice = slice_of(key, (size_t)k);
    if (b->new_ones)
        store_put_new(b->link, STORE_GREYLIST, key_slice, SLICE("1790000000000 1790000000000"), clock_wall_ms() + 3600000, on_answer, one);
    else store_get(b->link, STORE_GREYLIST, key_slice, on_answer, one);
    b->asked++;
}

static void questions(struct bench *b, const char *what, uint64_t n, bool new_ones)
{
    uint64_t began = clock_mono_us();
    b->asked = b->answered = b->gone = b->slowest_us = b->sum_us = 0;
    b->new_ones = new_ones;
    while (b->answered < n) {
        while (b->asked < n && b->asked - b->answered < AT_ONCE) ask(b);
        store_link_flush(b->link);
        event_base_loop(b->base, EVLOOP_ONCE);
    }
    double s = (double)(clock_mono_us() - began) / 1e6;
    printf("%-32s %8llu in %6.2f s: %8.0f/s, mean %.1f ms, slowest %.1f ms, unanswered %llu\n", what, (unsigned long long)n, s,
           (double)n / s, (double)b->sum_us / (double)n / 1e3, (double)b->slowest_us / 1e3, (unsigned long long)b->gone);
}

static void on_sync(void *arg, const struct store_answer *a)
{
    *(bool *)arg = true;
}

static void events(struct bench *b, uint64_t n)
{
    char trace[300] = { 1 }, sender[60];
    uint64_t began = clock_mono_us();
    struct slice rcpt = SLICE("recipient@example.net");
    for (uint64_t i = 0; i < n; i++) {
        int k = snprintf(sender, sizeof sender, "sender%llu@example.org", (unsigned long long)i % 5000);
        struct history_event e = { .kind = i % 2 ? HISTORY_DELIVERED : HISTORY_ACCEPTED, .id = ((clock_wall_ms() << 22) + i / 2),
            .when = clock_wall_ms(), .client = { .family = 4, .bytes = { 192, 0, 2, (uint8_t)i } }, .helo = SLICE("client.example.org"),
            .sender = slice_of(sender, (size_t)k), .rcpts = &rcpt, .rcpt_n = 1, .message_id = SLICE("<0123456789@client.example.org>"),
            .subject = SLICE("What we said on Monday about the meeting"), .size = 4096, .code = 250, .text = SLICE("2.0.0 taken"),
            .host = i % 2 ? SLICE("mx.example.net") : SLICE(""), .trace = i % 2 ? SLICE("") : slice_of(trace, sizeof trace) };
        store_history(b->link, &e);
        if (i % 64) continue;
        store_link_flush(b->link);
        event_base_loop(b->base, EVLOOP_NONBLOCK);
        if (i % 1024) continue;
        bool done = false; /* what was told before has been done when a question is answered */
        store_get(b->link, STORE_PAUSE, SLICE("-"), on_sync, &done);
        store_link_flush(b->link);
        while (!done) event_base_loop(b->base, EVLOOP_ONCE);
    }
    double s = (double)(clock_mono_us() - began) / 1e6;
    printf("%-32s %8llu in %6.2f s: %8.0f/s\n", "history events", (unsigned long long)n, s, (double)n / s);
}

int main(int argc, char **argv)
{
    int pair[2], status;
    struct rusage use;
    if (argc < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) return 64;
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        be_store(pair[1], argv[1]);
    }
    close(pair[1]);
    struct bench b = { .base = event_base_new() };
    b.link = store_link_new(b.base);
    store_link_connect(b.link, pair[0]);
    questions(&b, "new triplets", argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000, true);
    questions(&b, "questions", argc > 2 ? strtoull(argv[2], NULL, 10) : 300000, false);
    events(&b, argc > 4 ? strtoull(argv[4], NULL, 10) : 500000);
    store_link_free(b.link);
    kill(pid, SIGTERM);
    wait4(pid, &status, 0, &use);
    printf("the store: %.2f s of CPU, %.2f in the system, %ld MiB of memory\n",
           (double)use.ru_utime.tv_sec + (double)use.ru_utime.tv_usec / 1e6,
           (double)use.ru_stime.tv_sec + (double)use.ru_stime.tv_usec / 1e6, use.ru_maxrss / 1024);
    return status ? 1 : 0;
}
