/* SPDX-License-Identifier: Apache-2.0
 * What the test client tells: the conversation, a line of progress, the ledger, the sum of it all. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/send.h"

/* ---- the conversation */
void send_report_show(struct send_session *s, const char *arrow, struct slice text)
{
    const struct send *c = s->send;
    bool answer = arrow[0] == '<';
    if (!c->conversation || (!answer && !c->o.verbose)) return;
    struct buf b = { 0 };
    struct slice line;
    bool more = true;
    while (more) {
        more = slice_cut(&text, '\n', &line);
        if (s->send->o.sessions > 1) buf_addf(&b, "%d ", s->io.fd);
        buf_addf(&b, "%s ", arrow);
        if (answer) buf_addf(&b, "%d%c", s->reader.code, more ? '-' : ' ');
        if (answer && s->reader.enhanced[0] && !slice_starts(line, slice_str(s->reader.enhanced)))
            buf_addf(&b, "%s ", s->reader.enhanced);
        buf_add_printable(&b, line, 1000);
        buf_add_char(&b, '\n');
    }
    fwrite(b.p, 1, b.n, stdout);
    fflush(stdout);
    buf_deinit(&b);
}

/* ---- latency */
static unsigned bucket_of(uint64_t us)
{
    if (us < 64) return (unsigned)us;
    unsigned power = 63 - (unsigned)__builtin_clzll(us); /* 6 and up */
    return (power - 5) * 64 + (unsigned)((us >> (power - 6)) & 63);
}

static double bucket_ms(unsigned b)
{
    if (b < 64) return b / 1000.0;
    unsigned power = b / 64 + 5;
    return (double)((64ull + b % 64) << (power - 6)) / 1000.0;
}

static double percentile_ms(const struct send_latency *l, double part)
{
    uint64_t want = (uint64_t)(part * (double)l->n), seen = 0;
    for (unsigned b = 0; b < SEND_BUCKETS; b++) {
        seen += l->count[b];
        if (seen > want) return bucket_ms(b);
    }
    return (double)l->max / 1000.0;
}

/* ---- messages that were accepted */
void send_report_accepted(struct send_session *s)
{
    struct send *c = s->send;
    uint64_t us = clock_mono_us() - s->sent_us;
    c->latency.count[bucket_of(us)]++;
    c->latency.n++;
    if (us > c->latency.max) c->latency.max = us;
    if (c->ledger >= 0) buf_addf(&c->ledger_text, "%llu\n", (unsigned long long)s->number);
}

void send_report_flush(struct send *c)
{
    size_t done = 0;
    while (done < c->ledger_text.n) {
        ssize_t k = write(c->ledger, c->ledger_text.p + done, c->ledger_text.n - done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            fprintf(stderr, "postern send: cannot write the ledger: %s\n", strerror(errno));
            exit(EXIT_FAILURE);
        }
        done += (size_t)k;
    }
    buf_clear(&c->ledger_text);
}

/* ---- sums */
static uint64_t over(const struct send_totals *t)
{
    return t->accepted + t->refused + t->lost + t->vanished;
}

static double seconds(const struct send *c)
{
    uint64_t end = c->ended_us ? c->ended_us : clock_mono_us();
    return end > c->started_us ? (double)(end - c->started_us) / 1e6 : 1e-6;
}

void send_report_progress(const struct send *c, bool last)
{
    if (c->o.quiet || c->o.json || c->conversation || !isatty(STDERR_FILENO)) return;
    const struct send_totals *t = &c->totals;
    fprintf(stderr, "\r%llu of %llu, %.0f/s, refused %llu, lost %llu%s", (unsigned long long)over(t),
            (unsigned long long)c->o.messages, (double)over(t) / seconds(c), (unsigned long long)t->refused,
            (unsigned long long)t->lost, last ? "\n" : "   ");
}

static void summary_json(const struct send *c)
{
    const struct send_totals *t = &c->totals;
    struct buf b = { 0 };
    buf_addf(&b, "{\"run\":\"%s\",\"messages\":%llu,\"accepted\":%llu,\"refused\":%llu,\"lost\":%llu,\"vanished\":%llu,",
             c->run, (unsigned long long)c->o.messages, (unsigned long long)t->accepted, (unsigned long long)t->refused,
             (unsigned long long)t->lost, (unsigned long long)t->vanished);
    buf_addf(&b, "\"not_sent\":%llu,\"recipients_refused\":%llu,\"connections\":%llu,\"retries\":%llu,\"bytes\":%llu,",
             (unsigned long long)(c->o.messages - over(t)), (unsigned long long)t->rcpt_refused,
             (unsigned long long)t->connections, (unsigned long long)t->retries, (unsigned long long)t->bytes);
    buf_add_str(&b, "\"refused_by\":{");
    bool first = true;
    for (int code = 0; code < 600; code++) {
        if (!t->refused_by[code]) continue;
        buf_addf(&b, "%s\"%d\":%llu", first ? "" : ",", code, (unsigned long long)t->refused_by[code]);
        first = false;
    }
    buf_addf(&b, "},\"seconds\":%.3f,\"rate\":%.1f,", seconds(c), (double)t->accepted / seconds(c));
    buf_addf(&b, "\"latency_ms\":{\"median\":%.3f,\"p99\":%.3f,\"max\":%.3f}}", percentile_ms(&c->latency, 0.5),
             percentile_ms(&c->latency, 0.99), (double)c->latency.max / 1000.0);
    puts(buf_cstr(&b));
    buf_deinit(&b);
}

static void summary_single(const struct send *c)
{
    if (c->totals.accepted)
        puts(c->totals.rcpt_refused ? "accepted, but not for all recipients" : "accepted");
    else if (c->totals.vanished)
        puts("vanished as asked");
    else
        printf("not accepted: %s\n", c->last_error[0] ? c->last_error : "stopped");
}

void send_report_summary(const struct send *c)
{
    const struct send_totals *t = &c->totals;
    if (c->o.json) {
        summary_json(c);
        return;
    }
    if (c->o.quiet) return;
    if (c->o.messages == 1) {
        summary_single(c);
        return;
    }
    printf("accepted %llu of %llu in %.2f s, %.0f a second, over %llu connections\n", (unsigned long long)t->accepted,
           (unsigned long long)c->o.messages, seconds(c), (double)t->accepted / seconds(c),
           (unsigned long long)t->connections);
    for (int code = 0; code < 600; code++)
        if (t->refused_by[code]) printf("refused %llu with %d\n", (unsigned long long)t->refused_by[code], code);
    if (t->rcpt_refused) printf("refused %llu recipients of accepted messages\n", (unsigned long long)t->rcpt_refused);
    if (t->lost) printf("lost %llu without an answer\n", (unsigned long long)t->lost);
    if (t->vanished) printf("vanished from %llu as asked\n", (unsigned long long)t->vanished);
    if (over(t) < c->o.messages) printf("not sent %llu\n", (unsigned long long)(c->o.messages - over(t)));
    if (t->retries) printf("tried again %llu times\n", (unsigned long long)t->retries);
    if (c->last_error[0]) printf("last trouble: %s\n", c->last_error);
    if (c->latency.n)
        printf("final answer after: median %.2f ms, 99 %% within %.2f ms, longest %.2f ms\n",
               percentile_ms(&c->latency, 0.5), percentile_ms(&c->latency, 0.99), (double)c->latency.max / 1000.0);
}
