/* SPDX-License-Identifier: Apache-2.0
 * The history: what is found again, by what, and what is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/query.h"
#include "store/trace.h"

#define HOUR_MS UINT64_C(3600000)

static char dir[64];
static struct history h;
static uint64_t start; /* wall ms */

static int open_history(void **state)
{
    struct err err;
    snprintf(dir, sizeof dir, "/tmp/postern-history-XXXXXX");
    start = clock_wall_ms() - HOUR_MS;
    return mkdtemp(dir) && history_open(&h, dir, 24 * HOUR_MS, 64u << 20, &err) ? 0 : -1;
}

static int close_history(void **state)
{
    char command[100];
    history_close(&h);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static uint64_t id_of(uint64_t n)
{
    return (start + n) << 22 | 1;
}

static const char *id_text(uint64_t n)
{
    static char text[ID_TEXT_LEN + 1];
    id_format(id_of(n), text);
    return text;
}

static void add(enum history_kind kind, uint64_t n, const char *sender, const char *rcpt, const char *more)
{
    struct slice rcpts[] = { slice_str(rcpt), slice_str(more) };
    struct history_event e = { .kind = kind, .id = id_of(n), .session = 9, .when = start + n, .client = { .family = 4, .bytes = { 192, 0, 2, (uint8_t)n } },
                               .helo = SLICE("client.example.org"), .sender = slice_str(sender), .rcpts = rcpts, .rcpt_n = more ? 2 : 1,
                               .message_id = SLICE("<Abc@example.org>"), .subject = SLICE("What was said \xff on Monday"), .size = 4096,
                               .code = kind == HISTORY_REFUSED ? 550 : 250, .text = SLICE("the reply"), .host = SLICE("mx.example.net"),
                               .trace = SLICE("\1trace") };
    history_add(&h, &e);
}

static json_t *search(json_t *request)
{
    struct err err;
    struct query *q = query_new(&h, request, &err);
    json_decref(request);
    assert_non_null(q);
    while (!query_run(q)) {}
    json_t *answer = query_answer(q);
    query_free(q);
    return answer;
}

/* How many fit, and the first one's sender. */
static size_t found(json_t *request, const char *sender)
{
    json_t *a = search(request);
    const json_t *all = json_object_get(a, "messages");
    size_t n = json_array_size(all);
    if (sender) assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "sender")), sender);
    json_decref(a);
    return n;
}

static void fill(void)
{
    add(HISTORY_ACCEPTED, 1, "ann@example.org", "bob@example.net", "carol@sub.example.com");
    add(HISTORY_DELIVERED, 1, "", "bob@example.net", NULL);
    add(HISTORY_BOUNCED, 1, "", "carol@sub.example.com", NULL);
    add(HISTORY_ACCEPTED, 2, "Dan@Example.org", "bob@example.net", NULL);
    add(HISTORY_DEFERRED, 2, "", "bob@example.net", NULL);
    add(HISTORY_REFUSED, 3, "eve@spam.example", "bob@example.net", NULL);
    add(HISTORY_ACCEPTED, 4, "", "ann@example.org", NULL);
    add(HISTORY_DELETED, 4, "", "ann@example.org", NULL);
    add(HISTORY_ACCEPTED, 5, "fay@example.org", "bob@example.net", NULL);
}

static void searching(void **state)
{
    fill();
    assert_int_equal(found(json_object(), "fay@example.org"), 5); /* the newest first */
    assert_int_equal(found(json_pack("{s:s}", "sender", "dan@example.org"), "Dan@Example.org"), 1);
    assert_int_equal(found(json_pack("{s:s}", "sender", "example.org"), NULL), 3);
    assert_int_equal(found(json_pack("{s:s}", "sender", "@example.org"), NULL), 3);
    assert_int_equal(found(json_pack("{s:s}", "sender", "<>"), NULL), 1);
    assert_int_equal(found(json_pack("{s:s}", "recipient", "carol@sub.example.com"), "ann@example.org"), 1);
    assert_int_equal(found(json_pack("{s:s}", "recipient", ".example.com"), NULL), 1);
    assert_int_equal(found(json_pack("{s:s}", "recipient", "example.com"), NULL), 0);
    assert_int_equal(found(json_pack("{s:s}", "address", "ann@example.org"), NULL), 2); /* from and to */
    assert_int_equal(found(json_pack("{s:s}", "client", "192.0.2.3"), "eve@spam.example"), 1);
    assert_int_equal(found(json_pack("{s:s}", "client", "192.0.2.0/30"), NULL), 3);
    assert_int_equal(found(json_pack("{s:s}", "client", "2001:db8::/32"), NULL), 0);
    assert_int_equal(found(json_pack("{s:s}", "outcome", "accepted"), NULL), 4);
    assert_int_equal(found(json_pack("{s:s}", "outcome", "refused"), "eve@spam.example"), 1);
    assert_int_equal(found(json_pack("{s:s}", "outcome", "delivered"), "ann@example.org"), 1);
    assert_int_equal(found(json_pack("{s:s}", "outcome", "bounced"), "ann@example.org"), 1);
    assert_int_equal(found(json_pack("{s:s}", "outcome", "deferred"), "Dan@Example.org"), 1);
    assert_int_equal(found(json_pack("{s:s}", "outcome", "deleted"), NULL), 1);
    assert_int_equal(found(json_pack("{s:s}", "subject", "WAS SAID"), NULL), 5);
    assert_int_equal(found(json_pack("{s:s}", "message_id", "nothing"), NULL), 0);
    assert_int_equal(found(json_pack("{s:I, s:I}", "since", (json_int_t)start + 2, "until", (json_int_t)start + 3), NULL), 2);
    assert_int_equal(found(json_pack("{s:s, s:s}", "sender", "example.org", "recipient", "example.net"), NULL), 3);
}

/* What the client wrote, where that became others: found by either, and told. */
static void given_and_copies(void **state)
{
    const struct slice rcpts[] = { SLICE("ann@example.org"), SLICE("archive@example.net\tcopy") }, done = SLICE("ann@example.org\tgrp@sub.example.com");
    struct history_event e = { .kind = HISTORY_ACCEPTED, .id = id_of(1), .when = start + 1, .rcpts = rcpts, .rcpt_n = 2,
                               .given = SLICE("\tgrp@sub.example.com\n\t\"odd one\"@example.com") };
    history_add(&h, &e);
    history_add(&h, &(struct history_event){ .kind = HISTORY_DELIVERED, .id = id_of(1), .when = start + 2, .rcpts = &done, .rcpt_n = 1 });
    history_add(&h, &(struct history_event){ .kind = HISTORY_DELIVERED, .id = id_of(1), .when = start + 2, .rcpts = &rcpts[1], .rcpt_n = 1 });
    static const char *const fit[] = { "grp@sub.example.com", ".example.com", "ann@example.org", "archive@example.net", "\"odd one\"@example.com" };
    for (size_t i = 0; i < countof(fit); i++) assert_int_equal(found(json_pack("{s:s}", "recipient", fit[i]), NULL), 1);
    assert_int_equal(found(json_pack("{s:s}", "recipient", "<>"), NULL), 0);
    json_t *a = search(json_pack("{s:s}", "id", id_text(1))), *m = json_array_get(json_object_get(a, "messages"), 0);
    json_t *event = json_array_get(json_object_get(m, "events"), 0), *copy = json_array_get(json_object_get(m, "events"), 1);
    assert_string_equal(json_string_value(json_object_get(m, "state")), "delivered");
    assert_int_equal(json_array_size(json_object_get(m, "recipients")), 2);
    assert_int_equal(json_array_size(json_object_get(m, "given")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(m, "recipients"), 1)), "archive@example.net");
    assert_string_equal(json_string_value(json_array_get(json_object_get(m, "copies"), 0)), "archive@example.net");
    assert_string_equal(json_string_value(json_object_get(event, "recipient")), "ann@example.org");
    assert_string_equal(json_string_value(json_object_get(event, "for")), "grp@sub.example.com");
    assert_true(json_is_true(json_object_get(copy, "copy")) && !json_object_get(copy, "for"));
    json_decref(a);
}

static void going_on(void **state)
{
    for (uint64_t i = 0; i < 250; i++) add(HISTORY_ACCEPTED, i, "ann@example.org", "bob@example.net", NULL);
    json_t *a = search(json_pack("{s:i}", "limit", 100));
    size_t n = 0, turns = 0;
    while (a) {
        const char *before = json_string_value(json_object_get(a, "before"));
        n += json_array_size(json_object_get(a, "messages"));
        turns++;
        json_t *next = before ? search(json_pack("{s:i, s:s}", "limit", 100, "before", before)) : NULL;
        json_decref(a);
        a = next;
    }
    assert_int_equal(n, 250);
    assert_int_equal(turns, 3);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void stories(void **state)
{
    fill();
    json_t *a = search(json_pack("{s:s}", "id", id_text(1)));
    const json_t *m = json_array_get(json_object_get(a, "messages"), 0), *events = json_object_get(m, "events");
    assert_string_equal(text_of(m, "id"), id_text(1));
    assert_string_equal(text_of(m, "kind"), "accepted");
    assert_string_equal(text_of(m, "state"), "bounced");
    assert_string_equal(text_of(m, "subject"), "What was said \\xff on Monday");
    assert_string_equal(text_of(m, "trace"), "AXRyYWNl");
    assert_int_equal(json_array_size(json_object_get(m, "recipients")), 2);
    assert_int_equal(json_array_size(events), 2);
    assert_string_equal(text_of(json_array_get(events, 0), "kind"), "delivered");
    assert_string_equal(text_of(json_array_get(events, 1), "recipient"), "carol@sub.example.com");
    assert_string_equal(text_of(json_array_get(events, 1), "host"), "mx.example.net");
    json_decref(a);
    a = search(json_pack("{s:s}", "id", id_text(99)));
    assert_int_equal(json_array_size(json_object_get(a, "messages")), 0);
    json_decref(a);
    add(HISTORY_DELIVERED, 50, "", "late@example.net", NULL); /* what came before is forgotten */
    a = search(json_pack("{s:s}", "id", id_text(50)));
    assert_int_equal(json_array_size(json_object_get(a, "messages")), 1);
    json_decref(a);
    struct err err;
    json_t *wrong[] = { json_pack("{s:s}", "id", "x"), json_pack("{s:s}", "client", "x"), json_pack("{s:s}", "outcome", "x") };
    for (size_t i = 0; i < countof(wrong); i++) {
        assert_null(query_new(&h, wrong[i], &err));
        json_decref(wrong[i]);
    }
}

/* Some recipients were refused under the id of what was taken for others. */
static void refused_and_taken(void **state)
{
    add(HISTORY_REFUSED, 7, "ann@example.org", "no@example.net", NULL);
    add(HISTORY_REFUSED, 7, "ann@example.org", "nobody@example.net", NULL);
    add(HISTORY_ACCEPTED, 7, "ann@example.org", "yes@example.net", NULL);
    add(HISTORY_REFUSED, 7, "ann@example.org", "neither@example.net", NULL);
    json_t *a = search(json_pack("{s:s}", "id", id_text(7)));
    const json_t *m = json_array_get(json_object_get(a, "messages"), 0);
    assert_string_equal(text_of(m, "kind"), "accepted");
    assert_string_equal(text_of(m, "state"), "queued");
    assert_int_equal(json_array_size(json_object_get(m, "events")), 3);
    assert_string_equal(text_of(json_array_get(json_object_get(m, "events"), 0), "trace"), "AXRyYWNl");
    json_decref(a);
    assert_int_equal(found(json_pack("{s:s}", "recipient", "no@example.net"), NULL), 1);
    assert_int_equal(found(json_pack("{s:s}", "recipient", "neither@example.net"), NULL), 1);
    assert_int_equal(found(json_pack("{s:s}", "outcome", "refused"), NULL), 1);
}

static void trim_all(void)
{
    for (int i = 0; i < 1000; i++) {
        h.trimmed = 0;
        if (history_tend(&h) == 1000 || !h.more) break;
    }
}

static void bounded_by_age(void **state)
{
    for (uint64_t i = 0; i < 3000; i++) { /* the last third half an hour after the others */
        uint64_t when = i < 2000 ? i : HOUR_MS / 2 + i;
        add(HISTORY_ACCEPTED, when, "ann@example.org", "bob@example.net", NULL);
        add(HISTORY_DELIVERED, when, "", "bob@example.net", NULL);
    }
    h.keep = clock_wall_ms() - (start + HOUR_MS / 4);
    trim_all();
    assert_int_equal(found(json_pack("{s:i}", "limit", 1000), NULL), 1000);
    assert_int_equal(db_pragma(&h.db, "SELECT count(*) FROM message"), 1000);
    assert_int_equal(db_pragma(&h.db, "SELECT count(*) FROM event") , db_pragma(&h.db, "SELECT count(*) FROM message"));
    h.keep = 0; /* switched off: what is there goes, nothing comes */
    trim_all();
    add(HISTORY_ACCEPTED, 5000, "ann@example.org", "bob@example.net", NULL);
    assert_int_equal(found(json_object(), NULL), 0);
    assert_int_equal(db_pragma(&h.db, "SELECT count(*) FROM event"), 0);
}

static void bounded_by_size(void **state)
{
    char path[100];
    struct stat st;
    char trace[2000] = { 1 };
    struct slice rcpt = SLICE("bob@example.net");
    h.size = 4u << 20;
    for (uint64_t i = 0; i < 20000; i++) { /* 40 MB */
        struct history_event e = { .kind = HISTORY_REFUSED, .id = id_of(i), .when = start + i, .rcpts = &rcpt, .rcpt_n = 1,
                                   .trace = slice_of(trace, sizeof trace) };
        history_add(&h, &e);
        if (i % 100 == 0) history_tend(&h);
    }
    db_commit(&h.db);
    trim_all();
    assert_true(history_bytes(&h) <= h.size);
    assert_true(found(json_pack("{s:i}", "limit", 1000), NULL) > 500); /* the newest are there */
    snprintf(path, sizeof path, "%s/history.db", dir);
    db_commit(&h.db);
    sqlite3_wal_checkpoint_v2(h.db.sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    assert_int_equal(stat(path, &st), 0);
    print_message("a bound of %llu KiB, a file of %lld KiB\n", (unsigned long long)h.size >> 10, (long long)st.st_size >> 10);
    assert_true(st.st_size < 32 << 20); /* on a busy machine more comes between two looks at the bound */
}

/* ---- the index */

static json_t *by(const char *key, const char *value)
{
    return json_pack("{s:s}", key, value);
}

/* Blocks on disk, one in memory; ids out of order; all is found, once, the newest first. */
static void many_blocks(void **state)
{
    for (uint64_t i = 0; i < 5000; i++) add(HISTORY_ACCEPTED, i % 7 ? i : 5000 - i, i == 78 ? "needle@haystack.example" : "ann@example.org", "bob@example.net", NULL);
    add(HISTORY_BOUNCED, 78, "", "bob@example.net", NULL);
    while (index_tend(&h)) continue;
    assert_true(db_pragma(&h.db, "SELECT count(*) FROM block") >= 4);
    assert_int_equal(found(by("sender", "needle@haystack.example"), NULL), 1);
    assert_int_equal(found(by("address", ".example"), NULL), 1);
    assert_int_equal(found(by("outcome", "bounced"), NULL), 1);
    assert_int_equal(found(by("reason", "the reply"), NULL), 100); /* what was said of all that was taken */
    assert_int_equal(found(by("reason", "something else"), NULL), 0);
    uint64_t last = UINT64_MAX, n = 0;
    json_t *a = search(json_pack("{s:i}", "limit", 999));
    while (a) {
        const json_t *list = json_object_get(a, "messages"), *m;
        const char *before = json_string_value(json_object_get(a, "before"));
        size_t i;
        json_array_foreach(list, i, m) {
            uint64_t id;
            assert_true(id_parse(slice_str(text_of(m, "id")), &id) && id < last);
            last = id;
            n++;
        }
        json_t *next = before ? search(json_pack("{s:i, s:s}", "limit", 999, "before", before)) : NULL;
        json_decref(a);
        a = next;
    }
    assert_int_equal(n, db_pragma(&h.db, "SELECT count(*) FROM message"));
}

/* What was in memory alone when the process ended is found again, what came late too; what was rolled back is not. */
static void ended_and_begun(void **state)
{
    struct err err;
    for (uint64_t i = 0; i < 1500; i++) add(HISTORY_ACCEPTED, 10 + i, "ann@example.org", "bob@example.net", NULL);
    add(HISTORY_ACCEPTED, 3, "late@example.org", "bob@example.net", NULL);
    add(HISTORY_DEFERRED, 3, "", "bob@example.net", NULL);
    for (int i = 0; i < 2; i++) {
        history_close(&h);
        assert_true(history_open(&h, dir, 24 * HOUR_MS, 64u << 20, &err));
        while (index_tend(&h)) continue;
        assert_int_equal(found(by("sender", "late@example.org"), NULL), 1);
        assert_int_equal(found(by("outcome", "deferred"), "late@example.org"), 1);
        assert_int_equal(found(json_pack("{s:s, s:i}", "sender", "ann@example.org", "limit", 1000), NULL), 1000);
    }
    add(HISTORY_ACCEPTED, 4000, "lost@example.org", "bob@example.net", NULL);
    assert_int_equal(found(by("sender", "lost@example.org"), NULL), 1);
    sqlite3_exec(h.db.sql, "ROLLBACK", NULL, NULL, NULL);
    h.db.writing = false;
    h.db.rollbacks++;
    while (index_tend(&h)) continue;
    assert_int_equal(found(by("sender", "lost@example.org"), NULL), 0);
    assert_int_equal(found(by("sender", "late@example.org"), NULL), 1);
}

/* A file of the former version is taken over with all that is in it. */
static void taken_over(void **state)
{
    struct err err;
    fill();
    db_commit(&h.db);
    assert_int_equal(sqlite3_exec(h.db.sql, "DROP TABLE block; DROP TABLE block_column; DROP TABLE late; DROP TABLE event_block; DROP TABLE hour;"
                                            "PRAGMA user_version=1", NULL, NULL, NULL), SQLITE_OK);
    for (size_t i = 0; i < h.db.kind->statement_n; i++) sqlite3_reset(h.db.statements[i]);
    h.statistics.hour = 0; /* nothing of it is written */
    history_close(&h);
    assert_true(history_open(&h, dir, 24 * HOUR_MS, 64u << 20, &err));
    assert_int_equal(db_pragma(&h.db, "PRAGMA user_version"), 2);
    assert_int_equal(found(by("sender", "dan@example.org"), "Dan@Example.org"), 1);
    assert_int_equal(found(by("outcome", "bounced"), "ann@example.org"), 1);
    assert_int_equal(found(json_object(), NULL), 5);
}

/* The first word of what SPF noted is the sender's result; what others noted, or the result of EHLO, proves nobody. */
static void proof_in_a_trace(void **state)
{
    static const struct {
        const char *check, *why;
        enum trace_outcome outcome;
        bool proven;
    } cases[] = {
        { "spf", "a.example: pass (ip4:192.0.2.0/24); EHLO mail.a.example: none", TRACE_PASS, true },
        { "spf", "a.example: pass", TRACE_PASS, true },
        { "spf", "a.example: pass; EHLO b.example: fail", TRACE_PASS, true },
        { "spf", "a.example: softfail (~all); EHLO pass.example: pass", TRACE_PASS, false },
        { "spf", "a.example: fail (-all); an allow entry spares it", TRACE_PASS, false },
        { "spf", "no domain: none; EHLO b.example: pass", TRACE_SKIP, false },
        { "spf", "a.example: passable", TRACE_PASS, false },
        { "spf", "not asked: pass", TRACE_PASS, false },
        { "spf", "a.example: pass", TRACE_SKIP, false },
        { "dmarc", "a.example: pass", TRACE_PASS, false },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf trace = { 0 };
        trace_add(&trace, &(struct trace_entry){ .stage = 2, .outcome = TRACE_PASS, .check = SLICE("sender"), .why = SLICE("x.example: pass") });
        trace_add(&trace, &(struct trace_entry){ .stage = 2, .outcome = cases[i].outcome, .check = slice_str(cases[i].check), .why = slice_str(cases[i].why) });
        assert_int_equal(trace_sender_proven(buf_slice(&trace)), cases[i].proven);
        buf_deinit(&trace);
    }
    assert_false(trace_sender_proven(SLICE("")) || trace_sender_proven(SLICE("\1trace")));
}

static void of_checks(void **state)
{
    struct buf trace = { 0 };
    struct slice rcpt = SLICE("bob@example.net");
    trace_add(&trace, &(struct trace_entry){ .stage = 3, .outcome = TRACE_PASS, .check = SLICE("relay"), .us = 100 });
    trace_add(&trace, &(struct trace_entry){ .stage = 3, .outcome = TRACE_DEFER, .check = SLICE("greylist"), .why = SLICE("Not met before"), .us = 900 });
    add(HISTORY_ACCEPTED, 1, "ann@example.org", "bob@example.net", NULL);
    history_add(&h, &(struct history_event){ .kind = HISTORY_REFUSED, .id = id_of(2), .when = start + 2, .sender = SLICE("eve@example.org"), .rcpts = &rcpt,
                                             .rcpt_n = 1, .code = 450, .text = SLICE("come again (ref x)"), .trace = buf_slice(&trace) });
    buf_deinit(&trace);
    assert_int_equal(found(json_pack("{s:s, s:s}", "check", "greylist", "result", "defer"), "eve@example.org"), 1);
    assert_int_equal(found(json_pack("{s:s, s:s}", "check", "greylist", "result", "pass"), NULL), 0);
    assert_int_equal(found(json_pack("{s:s, s:s}", "stage", "rcpt", "result", "pass"), NULL), 1);
    assert_int_equal(found(json_pack("{s:s}", "stage", "mail"), NULL), 0);
    assert_int_equal(found(by("kind", "refused"), NULL), 1);
    assert_int_equal(found(by("reason", "not met"), NULL), 1);
    assert_int_equal(found(by("reason", "greylist"), NULL), 1);
    assert_int_equal(found(by("reason", "COME again"), NULL), 1);
}

/* ---- statistics */

static json_int_t of_hour(const json_t *a, const char *kind)
{
    const json_t *hours = json_object_get(a, "hours");
    return json_integer_value(json_object_get(json_array_get(hours, json_array_size(hours) - 1), kind));
}

static json_t *read_statistics(struct history *of)
{
    struct statistics_reading *s = statistics_reading_new(of, json_null());
    while (!statistics_reading_run(s)) continue;
    json_t *a = statistics_reading_answer(s);
    statistics_reading_free(s);
    return a;
}

static size_t held, most_held; /* values and keys of JSON */

static void *count_malloc(size_t n)
{
    held++;
    if (held > most_held) most_held = held;
    return malloc(n);
}

static void count_free(void *p)
{
    held -= p != NULL;
    free(p);
}

/* Whoever sends each message under another name: who reads the statistics of a long time does not need memory for all of them. */
static void many_names(void **state)
{
    char key[40];
    struct db *db = &h.db;
    uint64_t now = clock_wall_ms(), hour = now - now % HOUR_MS;
    assert_true(db_write(db));
    for (unsigned i = 0; i < 40000; i++) {
        snprintf(key, sizeof key, i % 2000 ? "s%u@client.example" : "often@client.example", i);
        db_bind_number(db, HISTORY_ADD_HOUR, 1, hour - (20 - i / 2000) * HOUR_MS);
        db_bind_number(db, HISTORY_ADD_HOUR, 2, STATISTICS_SENDERS);
        db_bind_blob(db, HISTORY_ADD_HOUR, 3, slice_str(key));
        db_bind_number(db, HISTORY_ADD_HOUR, 4, i % 2000 ? 1 : 5);
        db_bind_number(db, HISTORY_ADD_HOUR, 5, 0);
        assert_int_equal(db_run(db, HISTORY_ADD_HOUR), DB_DONE);
    }
    json_set_alloc_funcs(count_malloc, count_free);
    held = most_held = 0;
    json_t *a = read_statistics(&h), *first = json_array_get(json_object_get(json_object_get(a, "top"), "senders"), 0);
    json_int_t sum = json_integer_value(json_object_get(json_object_get(a, "other"), "senders"));
    assert_true(most_held < 40000);
    assert_string_equal(text_of(first, "key"), "often@client.example");
    assert_int_equal(json_integer_value(json_object_get(first, "n")), 100);
    for (size_t i = 0; i < 20; i++)
        sum += json_integer_value(json_object_get(json_array_get(json_object_get(json_object_get(a, "top"), "senders"), i), "n"));
    assert_int_equal(sum, 40000 - 20 + 100); /* none is lost */
    json_decref(a);
    json_set_alloc_funcs(malloc, free);
}

static void counted(void **state)
{
    struct err err;
    of_checks(state);
    for (int turn = 0; turn < 2; turn++) {
        json_t *a = read_statistics(&h), *top = json_object_get(a, "top");
        assert_int_equal(of_hour(a, "accepted"), 1);
        assert_int_equal(of_hour(a, "refused"), 1);
        assert_int_equal(of_hour(a, "bounced"), 0);
        const json_t *rcpt = json_array_get(json_object_get(json_array_get(json_object_get(a, "stages"), 3), "checks"), 1);
        assert_string_equal(text_of(rcpt, "check"), "greylist");
        assert_int_equal(json_integer_value(json_object_get(rcpt, "defer")), 1);
        assert_string_equal(text_of(json_array_get(json_object_get(top, "recipients"), 0), "key"), "bob@example.net");
        assert_true(json_array_size(json_object_get(top, "reasons")) > 0);
        json_decref(a);
        history_close(&h);
        assert_true(history_open(&h, dir, 24 * HOUR_MS, 64u << 20, &err));
    }
    json_t *live = statistics_live(&h);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(live, "counts"), "accepted")), 0); /* of this run alone */
    assert_int_equal(json_integer_value(json_object_get(json_object_get(live, "hour"), "accepted")), 1);   /* of the whole hour */
    json_decref(live);
}

/* More names than are kept: the frequent ones stay, and the sum is right. */
static void too_many_names(void **state)
{
    char sender[40];
    for (uint64_t i = 0; i < 9000; i++) {
        snprintf(sender, sizeof sender, "s%u@example.org", (unsigned)i);
        add(HISTORY_ACCEPTED, i, i % 3 ? sender : "often@example.org", "bob@example.net", NULL);
    }
    json_t *a = read_statistics(&h), *senders = json_object_get(json_object_get(a, "top"), "senders"), *one;
    json_int_t sum = json_integer_value(json_object_get(json_object_get(a, "other"), "senders"));
    size_t i;
    assert_string_equal(text_of(json_array_get(senders, 0), "key"), "often@example.org");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(senders, 0), "n")), 3000);
    assert_int_equal(json_array_size(senders), 20);
    json_array_foreach(senders, i, one) sum += json_integer_value(json_object_get(one, "n"));
    assert_int_equal(sum, 9000);
    assert_true(db_pragma(&h.db, "SELECT count(*) FROM hour WHERE kind=3") <= STATISTICS_KEPT + 1);
    json_decref(a);
}

static void reasons(void **state)
{
    static const char *const cases[][2] = {
        { "not met before, please come again (ref 0f3zt5tq2rk80)", "not met before, please come again" },
        { "5.1.1 <bob@example.org>: Recipient address rejected: User unknown", "Recipient address rejected: User unknown" },
        { "mailbox full", "mailbox full" },
        { "550", "550" },
        { "", "" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct slice s = statistics_reason(slice_str(cases[i][0]));
        assert_true(slice_eq(s, slice_str(cases[i][1])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(searching, open_history, close_history),
        cmocka_unit_test(proof_in_a_trace),
        cmocka_unit_test_setup_teardown(given_and_copies, open_history, close_history),
        cmocka_unit_test_setup_teardown(going_on, open_history, close_history),
        cmocka_unit_test_setup_teardown(stories, open_history, close_history),
        cmocka_unit_test_setup_teardown(refused_and_taken, open_history, close_history),
        cmocka_unit_test_setup_teardown(bounded_by_age, open_history, close_history),
        cmocka_unit_test_setup_teardown(bounded_by_size, open_history, close_history),
        cmocka_unit_test_setup_teardown(many_blocks, open_history, close_history),
        cmocka_unit_test_setup_teardown(ended_and_begun, open_history, close_history),
        cmocka_unit_test_setup_teardown(taken_over, open_history, close_history),
        cmocka_unit_test_setup_teardown(of_checks, open_history, close_history),
        cmocka_unit_test_setup_teardown(many_names, open_history, close_history),
        cmocka_unit_test_setup_teardown(counted, open_history, close_history),
        cmocka_unit_test_setup_teardown(too_many_names, open_history, close_history),
        cmocka_unit_test(reasons),
    };
    log_open("test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
