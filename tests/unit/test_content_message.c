/* SPDX-License-Identifier: Apache-2.0
 * Messages taken apart: where things stand, limits, and input that is made to take long. What is found in some hundred crafted
 * messages is in tests/content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>
#include "base/mem.h"
#include "content/message_internal.h"

static const struct config_scan limits = { .depth = 10, .parts = 1000, .unpacked = 64 << 20, .ratio = 100, .unpack_time = 5000 };

static struct content_message read_text(struct arena *arena, struct slice bytes)
{
    struct content_message m;
    content_message_read(&m, bytes, &limits, NULL, arena);
    return m;
}

static struct slice cut(const struct content_message *m, uint64_t at, uint64_t n) { return slice_sub(m->bytes, at, at + n); }

static void test_places(void **state)
{
    struct arena arena = { 0 };
    struct slice text = slice_str("Subject: one\r\n two\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n--x\r\n"
                                  "Content-Type: text/plain\r\nX: y\r\n\r\nHello\r\n--x\r\n\r\nagain\r\n\r\n--x--\r\n");
    struct content_message m = read_text(&arena, text);
    assert_int_equal(m.part_n, 3);
    assert_int_equal(m.field_n, 2);
    assert_true(slice_eq(cut(&m, m.fields[0].at, m.fields[0].n), SLICE("Subject: one\r\n two\r\n")));
    assert_true(slice_eq(m.fields[0].raw, SLICE(" one\r\n two")) && slice_eq(m.subject, SLICE("one two")));
    assert_true(slice_iends(slice_sub(text, 0, m.header_n), SLICE("boundary=x\r\n\r\n")));
    assert_true(slice_eq(cut(&m, m.parts[1].at, m.parts[1].n), SLICE("Content-Type: text/plain\r\nX: y\r\n\r\nHello")));
    assert_true(slice_eq(cut(&m, m.parts[1].body_at, 5), SLICE("Hello")));
    assert_true(slice_eq(cut(&m, m.parts[1].fields[1].at, m.parts[1].fields[1].n), SLICE("X: y\r\n")));
    assert_true(slice_eq(cut(&m, m.parts[2].at, m.parts[2].n), SLICE("\r\nagain\r\n")));
    assert_true(slice_eq(m.parts[2].data, SLICE("again\r\n")));
    assert_true(slice_eq(m.text, SLICE("Hello\nagain\n")));
    assert_int_equal(m.findings, 0);
    assert_ptr_equal(content_message_field(&m, "content-type"), &m.fields[1]);
    assert_null(content_message_field(&m, "x"));
    arena_deinit(&arena);
}

/* What an attachment's cut leaves is the message with one part less, the boundary's line ends in place. */
static void test_cut_and_replaced(void **state)
{
    struct arena arena = { 0 };
    struct slice text = slice_str("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHello\r\n--x\r\nContent-Type: application/zip\r\n\r\nPK\r\n--x--\r\n");
    struct content_message m = read_text(&arena, text);
    assert_int_equal(m.part_n, 3);
    const struct content_part *p = &m.parts[2];
    char *left = arena_printf(&arena, "%.*s\r\nA note.%.*s", (int)p->at, text.p, (int)(text.n - p->at - p->n), text.p + p->at + p->n);
    struct content_message after = read_text(&arena, slice_str(left));
    assert_int_equal(after.part_n, 3);
    assert_true(slice_eq(after.parts[2].data, SLICE("A note.")) && after.findings == 0);
    left = arena_printf(&arena, "%.*s%.*s", (int)p->at, text.p, (int)(text.n - p->at - p->n), text.p + p->at + p->n);
    after = read_text(&arena, slice_str(left));
    assert_int_equal(after.part_n, 3);
    assert_int_equal(after.parts[2].data.n, 0);
    arena_deinit(&arena);
}

/* Parts that are not in the message's own bytes, or are there by a second reading alone, are not to be cut out. */
static void test_not_in_place(void **state)
{
    struct arena arena = { 0 };
    struct content_message m = read_text(&arena, slice_str("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp5DQo=\r\n"));
    assert_int_equal(m.part_n, 2);
    assert_true(!m.parts[1].is_mime && m.parts[1].fields[0].at == UINT64_MAX && m.parts[1].n == 0);
    assert_true(slice_eq(m.text, SLICE("y\n")) && (m.findings & CONTENT_MIME_BROKEN) && (m.findings & CONTENT_MESSAGE));
    arena_deinit(&arena);
}

static void test_decoding(void **state)
{
    struct arena arena = { 0 };
    struct message_decoded d = message_decode_base64(&arena, SLICE("SGVs\r\nbG8="));
    assert_true(slice_eq(d.data, SLICE("Hello")) && !d.junk && !d.cut && !d.behind.n);
    d = message_decode_base64(&arena, SLICE("SGVsbG8=V29ybGQ="));
    assert_true(slice_eq(d.data, SLICE("HelloWorld")) && slice_eq(d.behind, SLICE("World")));
    d = message_decode_base64(&arena, SLICE("SG!VsbG8"));
    assert_true(slice_eq(d.data, SLICE("Hello")) && d.junk == 1);
    assert_true(message_decode_base64(&arena, SLICE("SGVsb")).cut);
    assert_true(slice_eq(message_decode_quoted(&arena, SLICE("a=\r\nb=3Dc =20 \r\nd="), false), SLICE("ab=c  \r\nd")));
    assert_true(slice_eq(message_decode_quoted(&arena, SLICE("a_b=5F"), true), SLICE("a b_")));
    arena_deinit(&arena);
}

static void test_hosts(void **state)
{
    static const char *const cases[][2] = {
        { "Example.COM", "example.com" }, { "a@b:c@example.com:80", "example.com" }, { "0x7f.1", "127.0.0.1" }, { "017700000001", "127.0.0.1" },
        { "[::FFFF:1.2.3.4]", "1.2.3.4" }, { "[x]", "" }, { "1.2.3.4.5", "1.2.3.4.5" }, { "1.2.3.999", "1.2.3.999" }, { "...", "" }, { "", "" },
        { "4294967296", "4294967296" }, { "b\xC3\xBC" "cher.example", "xn--bcher-kva.example" }, { "ex%61mple.com", "example.com" }, { "a.b.", "a.b" },
    };
    struct arena arena = { 0 };
    for (size_t i = 0; i < countof(cases); i++) {
        struct slice host = message_host(&arena, slice_str(cases[i][0]));
        if (!slice_eq(host, slice_str(cases[i][1]))) fail_msg("%s is %.*s", cases[i][0], SLICE_ARG(host));
    }
    arena_deinit(&arena);
}

static void repeat(struct buf *b, const char *s, size_t n)
{
    while (n--) buf_add_str(b, s);
}

/* Texts that make careless readers take a time that grows with the square of their size. */
static void test_quick(void **state)
{
    static const struct { const char *head, *repeated; } cases[] = {
        { "Content-Type: text/html\r\n\r\n", "<!---->" }, { "Content-Type: text/html\r\n\r\n", "<!-- -" }, { "Content-Type: text/html\r\n\r\n<a ", "a=\"" },
        { "Content-Type: text/html\r\n\r\n", "<div>" }, { "Content-Type: text/html\r\n\r\n", "<a href=http://a.b/>" }, { "Content-Type: ", "(" },
        { "Content-Type: text/plain", "; name=a" }, { "Subject: ", "=?a?b?x" }, { "Subject: ", "=?" }, { "A: b\r\n", "junk\r\n" }, { "\r\n", "http://" },
        { "Content-Type: multipart/mixed; boundary=a\r\n\r\n", "--a\r\n" }, { "Content-Type: multipart/mixed; boundary=a\r\n\r\n", "--a--\r\n" },
        { "Content-Type: multipart/mixed; boundary=a\r\n\r\n", "--ax\r\n" }, { "Content-Type: multipart/mixed\r\n\r\n", "--a b\r\n" },
        { "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n", "\033$B\xFF" }, { "X: ", "\rContent-Type: text/plain" },
        { "Content-Transfer-Encoding: base64\r\n\r\n", "QUFB=" }, { "", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" },
        { "", "Content-Type: message/rfc822\r\n\r\n" }, { "Content-Type: multipart/digest; boundary=a\r\n\r\n", "--a\r\n\r\nA: b\r\n\r\nx\r\n" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b = { 0 };
        struct arena arena = { 0 };
        buf_add_str(&b, cases[i].head);
        repeat(&b, cases[i].repeated, (1 << 18) / strlen(cases[i].repeated));
        clock_t began = clock();
        struct content_message m = read_text(&arena, buf_slice(&b));
        double s = (double)(clock() - began) / CLOCKS_PER_SEC;
        if (s > 5) fail_msg("case %zu took %.1f s", i, s);
        assert_true(m.part_n >= 1 && m.part_n <= limits.parts);
        arena_deinit(&arena);
        buf_deinit(&b);
    }
}

static void test_many_parts(void **state)
{
    struct buf b = { 0 };
    struct arena arena = { 0 };
    buf_add_str(&b, "Content-Type: multipart/mixed; boundary=a\r\n\r\n");
    repeat(&b, "--a\r\n\r\nx\r\n", 100000);
    buf_add_str(&b, "--a--\r\n");
    struct content_message m = read_text(&arena, buf_slice(&b));
    assert_int_equal(m.part_n, limits.parts);
    assert_true(m.parts[0].findings & CONTENT_LIMIT_PARTS);
    arena_deinit(&arena);
    buf_deinit(&b);
}

static void test_depth(void **state)
{
    struct buf b = { 0 };
    struct arena arena = { 0 };
    for (int i = 0; i < 10000; i++) buf_addf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    struct content_message m = read_text(&arena, buf_slice(&b));
    assert_true(m.findings & CONTENT_LIMIT_DEPTH);
    assert_in_range(m.part_n, 20, MESSAGE_NEST_MAX + 1);
    arena_deinit(&arena);
    buf_deinit(&b);
}

/* Texts are cut off between characters. */
static void test_long_text(void **state)
{
    struct buf b = { 0 };
    struct arena arena = { 0 };
    buf_add_str(&b, "Content-Type: text/html; charset=utf-8\r\n\r\n<p hidden>");
    repeat(&b, "\xE3\x81\x82", 200000);
    buf_add_str(&b, "</p>");
    repeat(&b, "\xC3\xBC", 200000);
    struct content_message m = read_text(&arena, buf_slice(&b));
    assert_true(m.html.n > MESSAGE_TEXT_MAX - 4 && m.html.n <= MESSAGE_TEXT_MAX);
    assert_true(m.hidden.n > MESSAGE_TEXT_MAX - 4 && m.hidden.n <= MESSAGE_TEXT_MAX && m.hidden.n % 3 == 0);
    assert_true(m.text.n > MESSAGE_TEXT_MAX - 4 && m.text.n <= MESSAGE_TEXT_MAX && m.text.n % 2 == 0);
    arena_deinit(&arena);
    buf_deinit(&b);
}

static int set_up(void **state)
{
    struct err err;
    content_message_init();
    if (!unpack_init(&err)) return -1;
    return 0;
}

static int tear_down(void **state)
{
    unpack_deinit();
    content_message_deinit();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places), cmocka_unit_test(test_cut_and_replaced), cmocka_unit_test(test_not_in_place), cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_hosts), cmocka_unit_test(test_quick), cmocka_unit_test(test_many_parts), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_text),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
