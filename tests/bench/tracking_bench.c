/* SPDX-License-Identifier: Apache-2.0
 * Searching the history: fills one with messages, asks for them by every filter, prints medians and the worst; the answers are counted.
 *     tracking_bench DIRECTORY [MESSAGES [ROUNDS]] - the directory should be on a real disk; one that is filled is used as it is.
 * As in the store process, a search rests for a millisecond after every few that it takes. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/query.h"
#include "store/trace.h"

#define KEEP (UINT64_C(3650) * 86400000)
#define SIZE (UINT64_C(16) << 30)
#define PAUSE_US 1000
#define APART_MS 2400 /* between two messages: a million of them in about 30 days */

static uint64_t seed = 1;

static uint64_t chance(uint64_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % n;
}

/* ---- messages */

static const char *const words[] = { "invoice", "meeting", "report", "on", "Monday", "order", "your", "the", "new", "offer", "minutes", "re:",
                                     "plan", "summer", "house", "question", "about", "delivery", "of", "parts" };

static void add_checks(struct buf *out, unsigned refused_by)
{
    static const char *const names[] = { "client-list", "client-limits", "greeting-pause", "reverse-dns", "dns-lists-client", "reputation", "helo",
                                         "spf", "sender-list", "sender", "relay", "recipient-list", "recipient-exists", "greylist", "dkim",
                                         "dmarc", "content-scan", "virus", "attachments", "spam" };
    static const uint8_t stages[] = { 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 3, 3, 3, 3, 5, 5, 5, 5, 5, 5 };
    for (unsigned i = 0; i < countof(names); i++) {
        bool last = i == refused_by;
        unsigned outcome = last ? (i == 13 ? TRACE_DEFER : TRACE_REJECT) : i == 19 ? TRACE_SCORE : chance(4) ? TRACE_PASS : TRACE_SKIP;
        trace_add(out, &(struct trace_entry){ .stage = stages[i], .outcome = (uint8_t)outcome, .check = slice_str(names[i]),
                                              .why = last ? SLICE("not met before; may come again in 300 s") : SLICE("nothing against it"),
                                              .us = chance(500) });
        if (last) return;
    }
}

static void add_message(struct history *h, uint64_t i, uint64_t n, uint64_t when)
{
    char sender[80], rcpt[80], subject[120] = "", mid[80], text[80];
    struct buf trace = { 0 };
    bool rare = i == n / 3, refused = !rare && chance(10) < 3;
    unsigned by = refused ? (chance(3) ? 13 : 4) : 99;
    uint64_t id = when << 22 | (i & 0x3fffff);
    snprintf(sender, sizeof sender, rare ? "needle@haystack.example" : "sender%llu@domain%llu.example", (unsigned long long)chance(50000),
             (unsigned long long)chance(3000));
    snprintf(rcpt, sizeof rcpt, rare ? "rare@haystack.example" : "user%llu@example.org", (unsigned long long)chance(2000));
    snprintf(mid, sizeof mid, "<%016llx.%llu@mail%llu.example>", (unsigned long long)chance(UINT64_MAX), (unsigned long long)i, (unsigned long long)chance(900));
    for (unsigned k = 0; k < 5; k++)
        snprintf(subject + strlen(subject), sizeof subject - strlen(subject), "%s%s", k ? " " : "", words[chance(countof(words))]);
    snprintf(subject + strlen(subject), sizeof subject - strlen(subject), " %llu%s", (unsigned long long)i, rare ? " Needle in it" : "");
    add_checks(&trace, by);
    struct slice rcpts[] = { slice_str(rcpt) };
    struct history_event e = { .kind = refused ? HISTORY_REFUSED : HISTORY_ACCEPTED, .id = id, .session = id - 1, .when = when,
        .client = { .family = 4, .bytes = { (uint8_t)(rare ? 203 : 192), 0, (uint8_t)chance(200), (uint8_t)chance(250) } },
        .helo = SLICE("mail.client.example"), .sender = slice_str(sender), .rcpts = rcpts, .rcpt_n = 1, .message_id = slice_str(mid),
        .subject = slice_str(subject), .size = 4096 + chance(90000), .code = refused ? 450 : 250,
        .text = refused ? SLICE("4.7.1 not met before, please come again later (ref 0f3zt5tq2rk80)") : SLICE(""), .trace = buf_slice(&trace) };
    history_add(h, &e);
    buf_deinit(&trace);
    if (refused) return;
    unsigned end = (unsigned)chance(1000);
    snprintf(text, sizeof text, rare ? "5.2.2 the rarest of answers" : end < 20 ? "5.1.1 no such user here %llu" : "2.0.0 ok queued as %llX",
             (unsigned long long)chance(UINT64_MAX));
    if (end < 100)
        history_add(h, &(struct history_event){ .kind = HISTORY_DEFERRED, .id = id, .when = when + 1, .rcpts = rcpts, .rcpt_n = 1, .code = 450,
                                                .text = SLICE("4.3.2 try again later"), .host = SLICE("mx.example.org") });
    history_add(h, &(struct history_event){ .kind = rare || end < 20 ? HISTORY_BOUNCED : HISTORY_DELIVERED, .id = id, .when = when + 2, .rcpts = rcpts,
                                            .rcpt_n = 1, .code = end < 20 ? 550 : 250, .text = slice_str(text), .host = SLICE("mx.example.org") });
}

static void fill(struct history *h, uint64_t n)
{
    uint64_t began = clock_mono_us(), now = clock_wall_ms();
    for (uint64_t i = 0; i < n; i++) {
        add_message(h, i, n, now - (n - i) * APART_MS);
        if (i % 500 == 0) history_tend(h);
    }
    db_commit(&h->db);
    double s = (double)(clock_mono_us() - began) / 1e6;
    printf("filled: %llu messages in %.1f s, %.0f/s\n", (unsigned long long)n, s, (double)n / s);
}

/* ---- questions */

static uint64_t cpu_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static uint64_t ask(struct history *h, const char *text, size_t *found, unsigned *slices)
{
    struct err err = { .text = "" };
    json_t *request = json_loads(text, 0, NULL);
    uint64_t began = clock_mono_us();
    struct query *q = query_new(h, request, &err);
    if (!q) {
        fprintf(stderr, "%s: %s\n", text, err.text);
        exit(1);
    }
    for (*slices = 1; !query_run(q); ++*slices) usleep(PAUSE_US);
    json_t *answer = query_answer(q);
    uint64_t us = clock_mono_us() - began;
    *found = json_array_size(json_object_get(answer, "messages"));
    json_decref(answer);
    json_decref(request);
    query_free(q);
    return us;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t measure(struct history *h, const char *text, unsigned rounds)
{
    uint64_t took[100];
    size_t found = 0;
    unsigned slices = 0;
    uint64_t cpu = cpu_us();
    for (unsigned i = 0; i < rounds; i++) took[i] = ask(h, text, &found, &slices);
    cpu = (cpu_us() - cpu) / rounds;
    qsort(took, rounds, sizeof *took, compare);
    printf("%7.1f %7.1f %7.1f  %3u slices  %4zu found  %s\n", (double)took[rounds / 2] / 1e3, (double)took[rounds - 1] / 1e3, (double)cpu / 1e3, slices,
           found, text);
    return took[rounds - 1];
}

int main(int argc, char **argv)
{
    static const char *const questions[] = {
        "{\"limit\": 10}", "{\"sender\": \"needle@haystack.example\"}", "{\"sender\": \"haystack.example\"}", "{\"sender\": \".haystack.example\"}",
        "{\"sender\": \"sender7@domain7.example\"}", "{\"sender\": \"domain7.example\"}", "{\"sender\": \"nobody@nowhere.example\"}",
        "{\"recipient\": \"rare@haystack.example\"}", "{\"recipient\": \"user17@example.org\"}", "{\"recipient\": \"nobody@example.org\"}",
        "{\"address\": \"haystack.example\"}", "{\"address\": \"nobody@example.org\"}", "{\"client\": \"192.0.7.9\"}", "{\"client\": \"203.0.0.0/16\"}",
        "{\"client\": \"2001:db8::1\"}", "{\"outcome\": \"accepted\"}", "{\"outcome\": \"refused\"}", "{\"outcome\": \"delivered\"}",
        "{\"outcome\": \"bounced\"}", "{\"outcome\": \"deferred\"}", "{\"outcome\": \"quarantined\"}", "{\"outcome\": \"delivered\", \"sender\": \"needle@haystack.example\"}",
        "{\"message_id\": \"nothing-like-this\"}", "{\"message_id\": \".333333@\"}", "{\"subject\": \"needle in\"}", "{\"subject\": \"no such words\"}",
        "{\"subject\": \"summer\"}", "{\"subject\": \"x\"}", "{\"reason\": \"rarest of answers\"}", "{\"reason\": \"not met before\"}", "{\"reason\": \"no such user\"}",
        "{\"reason\": \"queued as\", \"sender\": \"haystack.example\"}", "{\"reason\": \"never said by anybody\"}", "{\"check\": \"greylist\", \"result\": \"defer\"}",
        "{\"check\": \"greylist\", \"result\": \"quarantine\"}", "{\"check\": \"spam\"}", "{\"stage\": \"connect\", \"result\": \"reject\", \"recipient\": \"rare@haystack.example\"}",
        "{\"outcome\": \"bounced\", \"reason\": \"rarest\", \"subject\": \"needle\"}", "{\"kind\": \"refused\", \"subject\": \"needle\"}", "{\"limit\": 1000, \"subject\": \"summer\"}",
    };
    uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000, worst = 0;
    unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5;
    struct history h;
    struct err err;
    struct rusage use;
    if (argc < 2 || rounds < 1 || rounds > 100) return 64;
    log_open("bench", LOG_ERROR);
    if (!history_open(&h, argv[1], KEEP, SIZE, &err)) return 1;
    uint64_t have = db_pragma(&h.db, "SELECT count(*) FROM message");
    if (!have) fill(&h, n);
    while (index_tend(&h)) continue;
    printf("%llu messages, %llu events, %llu MiB; of these the index %llu MiB\n median   worst     CPU (ms)\n", (unsigned long long)(have ? have : n),
           (unsigned long long)db_pragma(&h.db, "SELECT count(*) FROM event"), (unsigned long long)history_bytes(&h) >> 20,
           (unsigned long long)(db_pragma(&h.db, "SELECT sum(length(data)) FROM block_column") +
                                db_pragma(&h.db, "SELECT sum(length(ids)+length(kind)+length(text)) FROM event_block")) >> 20);
    for (size_t i = 0; i < countof(questions); i++) {
        uint64_t us = measure(&h, questions[i], rounds);
        if (us > worst) worst = us;
    }
    char since[100];
    snprintf(since, sizeof since, "{\"since\": %llu, \"until\": %llu}", (unsigned long long)(clock_wall_ms() - n / 2 * APART_MS),
             (unsigned long long)(clock_wall_ms() - (n / 2 - 100) * APART_MS));
    uint64_t us = measure(&h, since, rounds);
    history_close(&h);
    getrusage(RUSAGE_SELF, &use);
    printf("the worst: %.1f ms; %ld MiB of memory\n", (double)(us > worst ? us : worst) / 1e3, use.ru_maxrss / 1024);
    return 0;
}
