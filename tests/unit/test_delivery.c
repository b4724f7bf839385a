/* SPDX-License-Identifier: Apache-2.0
 * The pure parts of delivery: times, labels, reasons, states, bounces, filters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/base64.h"
#include "base/mem.h"
#include "delivery/bounce.h"
#include "delivery/control.h"
#include "delivery/reason.h"

/* ---- times */

static void delays_grow_with_jitter(void **state)
{
    assert_int_equal(retry_delay(1000, 8000, 0, 200), 1000);
    assert_int_equal(retry_delay(1000, 8000, 2, 800), 4000);
    assert_int_equal(retry_delay(1000, 8000, 60, 1600), 8000);
    assert_int_equal(retry_delay(0, 0, 5, 7), 1);
    for (uint32_t r = 0; r < 5000; r += 7) {
        uint64_t d = retry_delay(1000, 8000, 1, r);
        assert_true(d >= 1600 && d <= 2400);
    }
    assert_true(retry_delay(UINT64_MAX / 4, UINT64_MAX / 2, 40, 1) > 0);
}

static void the_heap_gives_the_earliest(void **state)
{
    struct heap h = { 0 };
    static struct message m[3000];
    uint32_t seed = 7;
    for (size_t i = 0; i < countof(m); i++) heap_put(&h, &m[i], (seed = seed * 1664525 + 1013904223) >> 8);
    for (size_t i = 0; i < countof(m); i += 3) heap_remove(&h, &m[i]);
    heap_remove(&h, &m[0]); /* nothing */
    assert_int_equal(h.n, 2000);
    uint64_t last = 0;
    while (h.n) {
        assert_true(h.slots[0].when >= last);
        last = h.slots[0].when;
        assert_int_equal(h.slots[0].m->heap_at, 1);
        heap_remove(&h, h.slots[0].m);
    }
    free(h.slots);
}

/* ---- labels */

static void labels_are_shared_and_bounded(void **state)
{
    struct labels l;
    labels_init(&l);
    struct label *a = label_get(&l, SLICE("same")), *b = label_get(&l, SLICE("same"));
    assert_ptr_equal(a, b);
    assert_null(label_get(&l, SLICE("")));
    label_put(&l, &a);
    assert_int_equal(l.table.n, 1);
    label_put(&l, &b);
    assert_int_equal(l.table.n, 0);
    assert_int_equal(l.bytes, 0);
    char text[400];
    memset(text, 'x', sizeof text);
    memcpy(text + LABEL_MAX - 1, "\xC3\xA4", 2);
    a = label_get(&l, slice_of(text, sizeof text));
    assert_int_equal(a->n, LABEL_MAX - 1); /* not within a character */
    l.bytes = LABEL_BUDGET;
    b = label_get(&l, slice_of(text + 1, 200));
    assert_int_equal(b->n, LABEL_TIGHT);
    labels_deinit(&l);
}

/* ---- reasons */

static void check_reason(const char *text, bool permanent, const char *status, const char *host, bool remote)
{
    struct reason r;
    reason_parse(slice_str(text), permanent, &r);
    assert_string_equal(r.status, status);
    assert_true(slice_eq(r.host, slice_str(host)));
    assert_int_equal(r.remote, remote);
}

static void reasons_are_understood(void **state)
{
    check_reason("mx.example.com[192.0.2.1]: 550 5.1.1 no such user", true, "5.1.1", "mx.example.com", true);
    check_reason("mx.example.com[2001:db8::1]: 550 no such user", true, "5.0.0", "mx.example.com", true);
    check_reason("mx.example.com[192.0.2.1]: 550 4.1.1 which?", true, "5.1.1", "mx.example.com", true);
    check_reason("bad name![192.0.2.1]: 451 4.7.1 later", false, "4.7.1", "", true);
    check_reason("5.4.6 mail loops: x[1.2.3.4]: 550 hm", true, "5.4.6", "", false);
    check_reason("4.4.7 too old; mx[1.2.3.4]: 450 4.2.2 full", true, "4.4.7", "", false);
    check_reason("something else", true, "5.0.0", "", false);
    check_reason("something else", false, "4.0.0", "", false);
    check_reason("", false, "4.0.0", "", false);
    check_reason("]: 2", true, "5.0.0", "", false);
    check_reason("5.1.1234 x", true, "5.0.0", "", false);
    check_reason("5.1.", true, "5.0.0", "", false);
    check_reason("5.123.123 x", true, "5.123.123", "", false);
}

static void replies_become_one_printable_line(void **state)
{
    struct buf b = { 0 };
    reason_add_reply(&b, SLICE("mx[1.2.3.4]"), 550, "5.1.1", SLICE("first\nsecond\r\x1b[2J line"));
    assert_string_equal(buf_cstr(&b), "mx[1.2.3.4]: 550 5.1.1 first second\\x0d\\x1b[2J line");
    buf_clear(&b);
    char big[5000];
    memset(big, '\n', sizeof big);
    memset(big + 100, 'a', 4000);
    reason_add_reply(&b, SLICE("mx[1.2.3.4]"), 450, "", slice_of(big, sizeof big));
    assert_true(b.n <= LABEL_MAX);
    buf_deinit(&b);
}

/* ---- states */

struct states {
    struct labels reasons, names;
    struct message m;
};

static void states_deinit(struct states *s)
{
    for (uint32_t i = 0; s->m.rcpts && i < s->m.rcpt_n; i++) label_put(&s->reasons, &s->m.rcpts[i].reason);
    free(s->m.rcpts);
    s->m.rcpts = NULL;
    label_put(&s->reasons, &s->m.reason);
    label_put(&s->names, &s->m.where);
}

static void check_round_trip(struct states *s, bool same_reasons)
{
    struct buf b = { 0 };
    struct states back = { .m.rcpt_n = s->m.rcpt_n };
    labels_init(&back.reasons);
    labels_init(&back.names);
    state_encode(&s->m, &b);
    assert_true(b.n <= 65536);
    assert_true(state_decode(buf_slice(&b), &back.m, &back.reasons, &back.names));
    assert_int_equal(back.m.attempts, s->m.attempts);
    assert_int_equal(back.m.next_try, s->m.next_try);
    assert_int_equal(back.m.flags, s->m.flags);
    assert_true(slice_eq(label_text(back.m.reason), label_text(s->m.reason)));
    assert_true(slice_eq(label_text(back.m.where), label_text(s->m.where)));
    assert_int_equal(back.m.rcpts == NULL, s->m.rcpts == NULL);
    for (uint32_t i = 0; s->m.rcpts && i < s->m.rcpt_n; i++) {
        assert_int_equal(back.m.rcpts[i].status, s->m.rcpts[i].status);
        if (same_reasons) assert_true(slice_eq(label_text(back.m.rcpts[i].reason), label_text(s->m.rcpts[i].reason)));
    }
    /* Cut or changed anywhere it is refused or harmless. */
    for (size_t n = 0; n < b.n && n < 2000; n++) {
        struct states other = { .m.rcpt_n = s->m.rcpt_n };
        labels_init(&other.reasons);
        labels_init(&other.names);
        assert_false(state_decode(slice_of(b.p, n), &other.m, &other.reasons, &other.names));
        b.p[n] ^= 0x41;
        if (state_decode(buf_slice(&b), &other.m, &other.reasons, &other.names)) states_deinit(&other);
        b.p[n] ^= 0x41;
        assert_int_equal(other.reasons.table.n, 0);
        labels_deinit(&other.reasons);
        labels_deinit(&other.names);
    }
    states_deinit(&back);
    labels_deinit(&back.reasons);
    labels_deinit(&back.names);
    buf_deinit(&b);
}

static void states_come_back(void **state)
{
    struct states s = { .m = { .attempts = 7, .state = MESSAGE_DEFERRED, .next_try = 1795300000123,
                               .flags = MESSAGE_WARNED | MESSAGE_HOLD, .rcpt_n = 5 } };
    labels_init(&s.reasons);
    labels_init(&s.names);
    check_round_trip(&s, true);
    s.m.reason = label_get(&s.reasons, SLICE("mx[1.2.3.4]: 450 later"));
    s.m.where = label_get(&s.names, SLICE("mx:example.com:25"));
    check_round_trip(&s, true);
    s.m.rcpts = mem_zalloc(5 * sizeof *s.m.rcpts);
    s.m.rcpts[1] = (struct rcpt_memory){ label_get(&s.reasons, SLICE("x[1.2.3.4]: 550 no")), RCPT_FAILED };
    s.m.rcpts[2].status = RCPT_DELIVERED;
    s.m.rcpts[4].status = RCPT_CLOSED;
    check_round_trip(&s, true);
    states_deinit(&s);
    s.m.rcpt_n = 100000; /* no two neighbours alike */
    s.m.rcpts = mem_zalloc(s.m.rcpt_n * sizeof *s.m.rcpts);
    for (uint32_t i = 0; i < s.m.rcpt_n; i++) s.m.rcpts[i].status = (enum rcpt_status)(i % 4);
    check_round_trip(&s, false);
    s.m.rcpt_n = 9000;
    for (uint32_t i = 0; i < s.m.rcpt_n; i++) s.m.rcpts[i].status = (enum rcpt_status)(i % RCPT_STATUSES);
    check_round_trip(&s, false);
    states_deinit(&s);
    labels_deinit(&s.reasons);
    labels_deinit(&s.names);
}

/* ---- bounces */

static void build(struct buf *out, enum bounce_kind kind, const char *address, const char *reason, struct slice headers)
{
    struct bounce_rcpt rcpt = { slice_str(address), slice_str(reason) };
    struct bounce b = { .kind = kind, .hostname = "relay.example", .to = SLICE("a@example.org"), .sender = SLICE("a@example.org"),
                        .id = 5, .original_id = 6, .arrival = 1795300000000, .now = 1795300060000, .until = 1795700000000,
                        .rcpts = &rcpt, .rcpt_n = 1, .headers = headers, .random = 0x1234 };
    buf_clear(out);
    bounce_build(&b, out);
    for (size_t i = 0; i < out->n; i++) { /* 7-bit, only CRLF ends lines */
        assert_true((unsigned char)out->p[i] < 0x7F);
        if (out->p[i] == '\n') assert_true(i && out->p[i - 1] == '\r');
        if (out->p[i] == '\r') assert_true(i + 1 < out->n && out->p[i + 1] == '\n');
    }
    assert_memory_equal(out->p + out->n - 4, "--\r\n", 4);
}

static void bounces_are_well_formed(void **state)
{
    struct buf b = { 0 };
    build(&b, BOUNCE_FAILED, "b@example.com", "mx.example.com[192.0.2.1]: 550 5.1.1 no such user", SLICE("Subject: hi\r\n"));
    const char *t = buf_cstr(&b);
    assert_non_null(strstr(t, "multipart/report; report-type=delivery-status"));
    assert_non_null(strstr(t, "\r\nAuto-Submitted: auto-replied\r\n"));
    assert_non_null(strstr(t, "\r\nReporting-MTA: dns; relay.example\r\n"));
    assert_non_null(strstr(t, "Final-Recipient: rfc822; b@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"
                              "Remote-MTA: dns; mx.example.com\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    assert_non_null(strstr(t, "Content-Type: text/rfc822-headers\r\n\r\nSubject: hi\r\n"));
    assert_null(strstr(t, "Will-Retry-Until"));
    build(&b, BOUNCE_DELAYED, "b@example.com", "4.4.1 mx[192.0.2.1]: timed out", SLICE(""));
    assert_non_null(strstr(buf_cstr(&b), "Action: delayed\r\nStatus: 4.4.1\r\n"));
    assert_non_null(strstr(buf_cstr(&b), "Will-Retry-Until: "));
    build(&b, BOUNCE_NOTICE, "b@example.com", "x", SLICE(""));
    assert_non_null(strstr(buf_cstr(&b), "Sender:    <a@example.org>"));
    buf_deinit(&b);
}

static void nothing_gets_into_a_bounces_header(void **state)
{
    struct buf b = { 0 };
    build(&b, BOUNCE_FAILED, "b@example.com\r\nBcc: evil@example.net", "mx[1.2.3.4]: 550 x\r\n\r\n--=_\xC3\xA4\x80\x01", SLICE("A: \xE4 b\r\n"));
    assert_null(strstr(buf_cstr(&b), "\nBcc"));
    assert_non_null(strstr(buf_cstr(&b), "Content-Transfer-Encoding: quoted-printable\r\n\r\nA: =E4 b\r\n"));
    char line[3000];
    memset(line, '.', sizeof line);
    memcpy(line, "X: ", 3);
    memcpy(line + sizeof line - 3, " \r\n", 3);
    build(&b, BOUNCE_FAILED, "b@example.com", "", slice_of(line, sizeof line));
    assert_non_null(strstr(buf_cstr(&b), "=20\r\n")); /* blanks at the end of a line are encoded */
    size_t run = 0;
    for (size_t i = 0; i < b.n; i++) {
        run = b.p[i] == '\n' ? 0 : run + 1;
        assert_true(run < 600);
    }
    buf_deinit(&b);
}

/* Only what people read is in another language. */
static void bounces_speak_languages(void **state)
{
    static const char *const answers[LANGUAGES] = { "The server mx.example said:", "Der Server mx.example hat geantwortet:", "Il server mx.example ha risposto:",
                                                    "\xE3\x82\xB5\xE3\x83\xBC\xE3\x83\x90\xE3\x83\xBC mx.example \xE3\x81\x8B\xE3\x82\x89" };
    struct bounce_rcpt rcpt = { SLICE("b\xC3\xB6@example.com"), SLICE("mx.example[192.0.2.1]: 550 5.1.1 {hostname} no\r\nBcc: \xE4") };
    struct bounce b = { .hostname = "relay.example", .to = SLICE("a@example.org"), .sender = SLICE("a@example.org"), .rcpts = &rcpt, .rcpt_n = 1,
                        .subject = SLICE("=?utf-8?q?Gr=C3=BC=C3=9Fe=0D=0A=0D=0A{id}_=E2=80=AE?="), .random = 7, .more_n = 3 };
    for (unsigned l = 0; l < LANGUAGES; l++)
        for (unsigned kind = 0; kind <= BOUNCE_RELAYED; kind++)
            for (unsigned why = 0; why <= BOUNCE_WHY_FORGED; why++) {
                struct buf out = { 0 };
                b.kind = kind;
                b.why = why;
                b.wording.language = l;
                bounce_build(&b, &out);
                for (size_t i = 0; i < out.n; i++) assert_true((unsigned char)out.p[i] < 0x7F);
                const char *t = buf_cstr(&out);
                assert_non_null(strstr(t, "\r\nReporting-MTA: dns; relay.example\r\n"));
                assert_null(strstr(t, "\nBcc"));
                assert_non_null(strstr(t, l == LANGUAGE_JA ? "base64\r\nContent-Language: ja\r\n" : "quoted-printable\r\nContent-Language: "));
                struct buf people = { 0 };
                const char *part = strstr(t, "Content-Language"), *body = strstr(part, "\r\n\r\n") + 4, *end = strstr(body, "\r\n--=_");
                for (; body < end && l == LANGUAGE_JA; body = strstr(body, "\r\n") + 2)
                    assert_true(base64_decode(slice_of(body, (size_t)(strstr(body, "\r\n") - body)), &people));
                if (l == LANGUAGE_JA) assert_non_null(strstr(buf_cstr(&people), answers[l]));
                else assert_non_null(strstr(body, answers[l]));
                buf_deinit(&people);
                buf_deinit(&out);
            }
}

static void headers_end_at_the_empty_line(void **state)
{
    assert_int_equal(bounce_cut_headers(SLICE("A: b\r\nC: d\r\n\r\nbody\r\n"), 1000).n, 12);
    assert_int_equal(bounce_cut_headers(SLICE("A: b\r\nC: d\r\n\r\nbody\r\n"), 8).n, 6);
    assert_int_equal(bounce_cut_headers(SLICE("\r\nbody\r\n"), 1000).n, 0);
    assert_int_equal(bounce_cut_headers(SLICE("A: b"), 1000).n, 0);
    assert_int_equal(bounce_cut_headers(SLICE(""), 1000).n, 0);
}

/* ---- filters */

static void addresses_match(void **state)
{
    assert_true(match_address(SLICE("<>"), SLICE("")));
    assert_false(match_address(SLICE("<>"), SLICE("a@b.example")));
    assert_true(match_address(SLICE("@B.example"), SLICE("a@b.example")));
    assert_false(match_address(SLICE("@b.example"), SLICE("a@ab.example")));
    assert_true(match_address(SLICE("A@b.example"), SLICE("a@b.example")));
    assert_false(match_address(SLICE("a@b.example"), SLICE("aa@b.example")));
    assert_true(match_address(SLICE("b.ex"), SLICE("a@b.example")));
    assert_false(slice_ihas(SLICE("lon"), SLICE("long")));
    assert_true(slice_ihas(SLICE(""), SLICE("")));
}

static void bad_filters_are_refused(void **state)
{
    static const char *const bad[] = { "{\"ids\": [1]}", "{\"ids\": \"x\"}", "{\"sender\": 1}", "{\"state\": \"lost\"}",
                                       "{\"older_than\": -1}", "{\"older_than\": \"1h\"}" };
    for (size_t i = 0; i < countof(bad); i++) {
        struct match f;
        json_t *j = json_loads(bad[i], 0, NULL);
        assert_non_null(match_init(&f, j));
        match_deinit(&f);
        json_decref(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_grow_with_jitter), cmocka_unit_test(the_heap_gives_the_earliest),
        cmocka_unit_test(labels_are_shared_and_bounded), cmocka_unit_test(reasons_are_understood),
        cmocka_unit_test(replies_become_one_printable_line), cmocka_unit_test(states_come_back),
        cmocka_unit_test(bounces_are_well_formed), cmocka_unit_test(nothing_gets_into_a_bounces_header),
        cmocka_unit_test(bounces_speak_languages), cmocka_unit_test(headers_end_at_the_empty_line), cmocka_unit_test(addresses_match), cmocka_unit_test(bad_filters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
