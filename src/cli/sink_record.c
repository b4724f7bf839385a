/* SPDX-License-Identifier: Apache-2.0
 * What the test server keeps and tells of the messages it got: ledger, files, lines for people, totals. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "cli/common.h"
#include "cli/sink.h"

#define HEAD_MAX 16384     /* of a message's text, to find header fields in */
#define LINES_A_SECOND 50

size_t sink_record_want(const struct sink *k)
{
    if (k->store) return (size_t)k->message_max + 5;
    return k->ledger >= 0 || k->print ? HEAD_MAX : 0;
}

/* The value of the first header field of that name; unfolded it is not. */
static struct slice find_header(struct slice text, struct slice name)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line) && slice_trim(line).n) {
        if (slice_istarts(line, name)) return slice_trim(slice_sub(line, name.n, line.n));
    }
    return slice_str(NULL);
}

static void add_ledger_line(struct sink_session *s, struct slice mark)
{
    struct buf *b = &s->sink->ledger_text;
    if (mark.n) buf_add_printable(b, mark, 200);
    else buf_add_char(b, '-');
    for (size_t at = 0; at < s->rcpts.n; at += strlen(s->rcpts.p + at) + 1) {
        buf_add_char(b, ' ');
        buf_add_printable(b, slice_str(s->rcpts.p + at), 320);
    }
    buf_add_char(b, '\n');
}

bool sink_record_flush(struct sink *k)
{
    bool ok = io_write_all(k->ledger, buf_slice(&k->ledger_text));
    buf_clear(&k->ledger_text);
    if (!ok) {
        fprintf(stderr, "postern sink: cannot write the ledger: %s\n", strerror(errno));
        exit(EXIT_FAILURE); /* before the answer: what is not in the ledger was not acknowledged */
    }
    return true;
}

/* The text without the final dot's line and without the dots that were put before others (RFC 5321 §4.5.2). */
static void add_unstuffed(struct buf *out, struct slice text)
{
    if (text.n >= 3) text.n -= 3;
    if (text.n && text.p[0] == '.') text = slice_sub(text, 1, text.n);
    const char *found;
    while (text.n && (found = memmem(text.p, text.n, "\r\n.", 3))) {
        size_t to = (size_t)(found - text.p) + 2;
        buf_add(out, slice_sub(text, 0, to));
        text = slice_sub(text, to + 1, text.n);
    }
    buf_add(out, text);
}

static bool store_message(struct sink_session *s)
{
    struct sink *k = s->sink;
    char part[512], name[512];
    struct buf b = { 0 };
    buf_add_str(&b, "X-Helo: ");
    buf_add_printable(&b, buf_slice(&s->helo), 300);
    buf_add_str(&b, "\r\nX-Envelope-From: <");
    buf_add_printable(&b, slice_str(s->sender.p), 320);
    buf_add_str(&b, ">\r\n");
    for (size_t at = 0; at < s->rcpts.n; at += strlen(s->rcpts.p + at) + 1) {
        buf_add_str(&b, "X-Envelope-To: <");
        buf_add_printable(&b, slice_str(s->rcpts.p + at), 320);
        buf_add_str(&b, ">\r\n");
    }
    add_unstuffed(&b, buf_slice(&s->text));
    unsigned long long number = k->totals.messages + 1;
    snprintf(part, sizeof part, "%s/.%d-%08llu", k->store, (int)getpid(), number);
    snprintf(name, sizeof name, "%s/%d-%08llu.eml", k->store, (int)getpid(), number);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && io_write_all(fd, buf_slice(&b));
    if (fd >= 0 && close(fd) != 0) ok = false;
    if (ok && rename(part, name) != 0) ok = false;
    if (!ok) fprintf(stderr, "postern sink: cannot store %s: %s\n", name, strerror(errno));
    buf_deinit(&b);
    return ok;
}

/* JSON texts must be UTF-8; what came from outside is escaped first. */
static json_t *json_text(struct slice s)
{
    struct buf b = { 0 };
    buf_add_printable(&b, s, 998);
    json_t *j = json_stringn(b.n ? b.p : "", b.n);
    buf_deinit(&b);
    return j;
}

static void put_json(json_t *j)
{
    json_dumpf(j, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(j);
}

static void print_message_json(struct sink_session *s, struct slice mark, struct slice subject)
{
    json_t *to = json_array();
    for (size_t at = 0; at < s->rcpts.n; at += strlen(s->rcpts.p + at) + 1)
        json_array_append_new(to, json_text(slice_str(s->rcpts.p + at)));
    json_t *j = json_object();
    json_object_set_new(j, "helo", json_text(buf_slice(&s->helo)));
    json_object_set_new(j, "from", json_text(slice_str(s->sender.p)));
    json_object_set_new(j, "to", to);
    json_object_set_new(j, "size", json_integer((json_int_t)s->size));
    json_object_set_new(j, "test", json_text(mark));
    json_object_set_new(j, "subject", json_text(subject));
    put_json(j);
}

static void print_message(struct sink_session *s, struct slice subject)
{
    struct buf b = { 0 };
    buf_addf(&b, "received %llu bytes from <", (unsigned long long)s->size);
    buf_add_printable(&b, slice_str(s->sender.p), 320);
    buf_add_str(&b, "> to <");
    buf_add_printable(&b, slice_str(s->rcpts.p), 320);
    buf_add_char(&b, '>');
    if (s->rcpt_n > 1) buf_addf(&b, " and %u more", s->rcpt_n - 1);
    if (subject.n) {
        buf_add_str(&b, ": ");
        buf_add_printable(&b, subject, 100);
    }
    puts(buf_cstr(&b));
    buf_deinit(&b);
}

bool sink_record_message(struct sink_session *s)
{
    struct sink *k = s->sink;
    if (k->store && !store_message(s)) return false;
    if (k->ledger < 0 && !k->print) return true;
    struct slice text = buf_slice(&s->text), mark = find_header(text, SLICE("X-Postern-Test:"));
    if (k->ledger >= 0) add_ledger_line(s, mark);
    if (!k->print) return true;
    if (k->json) print_message_json(s, mark, find_header(text, SLICE("Subject:")));
    else if (k->printed++ < LINES_A_SECOND) print_message(s, find_header(text, SLICE("Subject:")));
    else k->unprinted++;
    return true;
}

void sink_record_totals(struct sink *k, bool last)
{
    const struct sink_totals *t = &k->totals;
    if (k->unprinted) printf("... and %llu more\n", (unsigned long long)k->unprinted);
    k->printed = k->unprinted = 0;
    if (k->json && (last || k->count))
        put_json(json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b}", "connections", (json_int_t)t->connections, "sessions",
                           (json_int_t)k->session_n, "messages", (json_int_t)t->messages, "recipients",
                           (json_int_t)t->recipients, "bytes", (json_int_t)t->bytes, "refused", (json_int_t)t->refused,
                           "dropped", (json_int_t)t->dropped, "broken", (json_int_t)t->broken, "final", last));
    else if (last || k->count)
        printf("%s: %llu messages, %llu recipients, %llu bytes; %llu connections, %zu open; %llu refused, %llu dropped, "
               "%llu broken\n", last ? "total" : "so far", (unsigned long long)t->messages,
               (unsigned long long)t->recipients, (unsigned long long)t->bytes, (unsigned long long)t->connections,
               k->session_n, (unsigned long long)t->refused, (unsigned long long)t->dropped,
               (unsigned long long)t->broken);
    fflush(stdout);
}
