/* SPDX-License-Identifier: Apache-2.0
 * Templates of the mail that the relay writes: the built-in ones in all languages, replaced ones, wrong ones, hostile values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "message/words.h"
#include "notice/kinds.h"

static bool has(const struct buf *b, const char *s) { return b->n && memmem(b->p, b->n, s, strlen(s)); }

/* 7-bit, lines end in CRLF and are short. */
static void assert_mail(const struct buf *b, size_t longest)
{
    size_t column = 0;
    for (size_t i = 0; i < b->n; i++) {
        assert_true((unsigned char)b->p[i] < 0x7F);
        if (b->p[i] == '\n') assert_true(i && b->p[i - 1] == '\r');
        if (b->p[i] == '\r') assert_true(i + 1 < b->n && b->p[i + 1] == '\n');
        column = b->p[i] == '\n' ? 0 : column + 1;
        assert_true(column <= longest + 1); /* with the CR */
    }
}

static unsigned columns(struct slice s)
{
    unsigned n = 0;
    uint32_t code = 0;
    while (s.n) {
        size_t k = utf8_char(s, &code);
        assert_true(k > 0);
        n += utf8_width(code);
        s = slice_sub(s, k, s.n);
    }
    return n;
}

static void assert_width(struct slice text)
{
    struct slice line;
    while (template_line(&text, &line)) {
        assert_true(columns(line) <= TEMPLATE_WIDTH);
        assert_true(!line.n || line.p[line.n - 1] != ' ');
    }
}

/* All names that any template knows, each with the same value. */
static size_t all_values(struct template_value *values, struct slice text)
{
    static const char *const names[] = { "hostname", "id", "arrival", "recipients", "sender", "subject", "until", "why", "found", "done", "client",
                                         "message-id", "untold", "last", "check", "text", "recipient", "messages", "list", "more", "advice", "rest",
                                         "files", "server", "count", "time", "score", "limit", "tests" };
    for (size_t i = 0; i < countof(names); i++) values[i] = (struct template_value){ .name = names[i], .text = text, .lines = i % 2 };
    return countof(names);
}

/* ---- the built-in ones */

static void all_are_right(void **state)
{
    struct err err;
    for (unsigned l = 0; l < LANGUAGES; l++)
        for (unsigned k = 0; k < TEMPLATE_KINDS; k++) {
            struct slice text = template_builtin(l, k), value;
            if (!template_check(k, text, "builtin", &err)) fail_msg("%s/%s: %s", template_language_name(l), template_kind_name(k), err.text);
            for (size_t i = 0; i < template_kinds[k].phrase_n; i++)
                if (!template_find_phrase(text, template_kinds[k].phrases[i].name, &value))
                    fail_msg("%s/%s: %s is not there", template_language_name(l), template_kind_name(k), template_kinds[k].phrases[i].name);
        }
}

static void all_are_mail(void **state)
{
    struct template_value values[40];
    size_t n = all_values(values, SLICE("value"));
    for (unsigned l = 0; l < LANGUAGES; l++)
        for (unsigned k = 0; k < TEMPLATE_KINDS; k++) {
            struct buf text = { 0 }, out = { 0 }, subject = { 0 }, plain = { 0 };
            struct wording w = { NULL, l };
            if (!template_kinds[k].body) continue;
            template_add_body(&w, k, values, n, &text);
            assert_true(text.n > 20 && utf8_clean(slice_trim(buf_slice(&text))));
            assert_width(buf_slice(&text));
            assert_false(has(&text, "{") || has(&text, "\r\n\r\n\r\n"));
            if (template_is_mail(k)) {
                template_add_subject(&w, k, values, n, &out);
                template_add_from(&w, "notices-from", SLICE("a@b.example"), &out);
                template_add_phrase(&w, k, "Subject", values, n, &subject);
                words_add(&plain, slice_sub(buf_slice(&out), 8, out.n));
                assert_true(slice_starts(slice_trim(buf_slice(&plain)), buf_slice(&subject)));
            }
            template_add_part(&w, "text/plain", buf_slice(&text), &out);
            assert_mail(&out, 78);
            assert_true(l || has(&out, "charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\nContent-Language: en\r\n"));
            assert_true(l != LANGUAGE_JA || has(&out, "charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nContent-Language: ja\r\n"));
            struct buf *const bufs[] = { &text, &out, &subject, &plain };
            for (size_t i = 0; i < countof(bufs); i++) buf_deinit(bufs[i]);
        }
}

static void dates(void **state)
{
    static const char *const days[LANGUAGES] = { "Sun, 22 Nov 2026 14:05:30 +0000", "22.11.2026, 15:05 Uhr (UTC+01:00)",
                                                 "22/11/2026, ore 15:05 (UTC+01:00)", "2026\xE5\xB9\xB4" "11\xE6\x9C\x88" "22\xE6\x97\xA5 15:05 (UTC+01:00)" };
    setenv("TZ", "CET-1", 1);
    for (unsigned l = 0; l < LANGUAGES; l++) {
        struct buf b = { 0 };
        template_add_date(&(struct wording){ NULL, l }, "date", 1795356330000, &b);
        assert_string_equal(buf_cstr(&b), days[l]);
        buf_deinit(&b);
    }
}

/* ---- replaced ones */

static void set(struct templates *t, enum template_kind k, const char *text)
{
    struct err err;
    if (!templates_set(t, LANGUAGE_EN, k, slice_str(text), "en/x.txt", &err)) fail_msg("%s", err.text);
}

static void body_is(const struct templates *t, const struct template_value *values, size_t n, const char *want)
{
    struct buf b = { 0 };
    template_add_body(&(struct wording){ t, LANGUAGE_EN }, TEMPLATE_FAILED, values, n, &b);
    assert_string_equal(b.n ? buf_cstr(&b) : "", want);
    buf_deinit(&b);
}

static void replaced(void **state)
{
    struct templates *t = templates_new();
    struct buf b = { 0 };
    const struct template_value values[] = {
        { .name = "hostname", .text = SLICE("{id} {{x") }, { .name = "recipients", .text = SLICE("<a@b.example>\n\n  said:\n<c@d.example>"), .lines = true },
        { .name = "sender", .text = SLICE("one\ntwo") },
    };
    set(t, TEMPLATE_FAILED, "\xEF\xBB\xBF# who knows\r\nSubject: No {hostname}\r\n\r\n\r\nSee {hostname} }}{{.\r\n\r\nTo: {recipients}\r\n\r\n{id}\r\n\r\nFrom {sender}\r\n");
    body_is(t, values, 3, "See {id} {{x }{.\r\n\r\nTo: <a@b.example>\r\n\r\n      said:\r\n    <c@d.example>\r\n\r\nFrom one?two\r\n");
    template_add_subject(&(struct wording){ t, LANGUAGE_EN }, TEMPLATE_FAILED, values, 3, &b);
    assert_string_equal(buf_cstr(&b), "Subject: No {id} {{x\r\n");
    buf_clear(&b);
    set(t, TEMPLATE_WORDS, "more: {count} besides\nbounces-from: Us, \"the\" relay\n"); /* the rest is built in */
    template_add_phrase(&(struct wording){ t, LANGUAGE_EN }, TEMPLATE_WORDS, "more", &(struct template_value){ .name = "count", .text = SLICE("3") }, 1, &b);
    template_add_phrase(&(struct wording){ t, LANGUAGE_EN }, TEMPLATE_WORDS, "release", NULL, 0, &b);
    assert_string_equal(buf_cstr(&b), "3 besidesRelease");
    buf_clear(&b);
    template_add_from(&(struct wording){ t, LANGUAGE_EN }, "bounces-from", SLICE("a@b.example"), &b);
    assert_string_equal(buf_cstr(&b), "From: \"Us, \\\"the\\\" relay\" <a@b.example>\r\n");
    assert_int_equal(templates_replaced(t), 2);
    templates_free(t);
    buf_deinit(&b);
}

static void wrapped(void **state)
{
    static const struct {
        const char *line;
        unsigned hang;
        const char *want;
    } cases[] = {
        { "", 0, "\r\n" },
        { "123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456", 0,
          "123456789 123456789 123456789 123456789 123456789 123456789 123456789\r\n123456\r\n" },
        { "Label: 3456789 123456789 123456789 123456789 123456789 123456789 123456789 123456", 7,
          "Label: 3456789 123456789 123456789 123456789 123456789 123456789\r\n       123456789 123456\r\n" },
        { "  https://relay.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b", 2,
          "  https://relay.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n  b\r\n" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b = { 0 };
        template_add_wrapped(&b, slice_str(cases[i].line), cases[i].hang);
        assert_string_equal(buf_cstr(&b), cases[i].want);
        buf_deinit(&b);
    }
    /* 35 characters of two columns, and one of those that begin no line. */
    struct buf b = { 0 }, line = { 0 };
    for (int i = 0; i < 36; i++) buf_add_str(&line, "\xE3\x81\x82");
    buf_add_str(&line, "\xE3\x80\x82\xE3\x81\x82");
    template_add_wrapped(&b, buf_slice(&line), 0);
    assert_int_equal((char *)memmem(b.p, b.n, "\r\n", 2) - b.p, 35 * 3);
    buf_deinit(&b);
    buf_deinit(&line);
}

static void wrong_ones(void **state)
{
    static const struct {
        enum template_kind kind;
        const char *text, *says;
    } cases[] = {
        { TEMPLATE_FAILED, "Subject: x\n\nHello {name}\n", "x.txt:3: {name} is not known here" },
        { TEMPLATE_FAILED, "Subject: x {sender}\n\nHello\n", "x.txt:1: {sender} is not known here; in a Subject line there are: hostname id" },
        { TEMPLATE_FAILED, "Subject: x\n\nHello {until}\n", "x.txt:3: {until}" },
        { TEMPLATE_FAILED, "Subject: x\n\nHello {hostname\n", "x.txt:3: a \"{\"" },
        { TEMPLATE_FAILED, "Subject: x\n\nHello }\n", "x.txt:3: a \"}\"" },
        { TEMPLATE_FAILED, "Subject: x\n\nHello { hostname}\n", "x.txt:3: a \"{\"" },
        { TEMPLATE_FAILED, "\nHello\n", "x.txt:1: there is no \"Subject" },
        { TEMPLATE_FAILED, "", "x.txt:1: there is no \"Subject" },
        { TEMPLATE_FAILED, "Hello\n", "x.txt:1: \"Hello\" is no \"name: text\"" },
        { TEMPLATE_FAILED, "Subject: x\n", "there is no text" },
        { TEMPLATE_FAILED, "Subject: x\n\n  \n", "there is no text" },
        { TEMPLATE_FAILED, "Subject:  \n\nHello\n", "x.txt:1: \"Subject\" has no text" },
        { TEMPLATE_FAILED, "Subject: x\nSubject: y\n\nHello\n", "x.txt:2: \"Subject\" is there already" },
        { TEMPLATE_FAILED, "Subject: x\nFrom: y\n\nHello\n", "x.txt:2: \"From\" is nothing that failed.txt has" },
        { TEMPLATE_FAILED, "Subject: x\n\nHello\n\xFF\n", "x.txt:4: byte 1 of the line is not UTF-8" },
        { TEMPLATE_FAILED, "Subject: x\n\nHel\tlo\n", "x.txt:3: a tab" },
        { TEMPLATE_FAILED, "Subject: x\n\nHel\x01lo\n", "x.txt:3: a control character (U+0001)" },
        { TEMPLATE_FAILED, "Subject: x\n\nHel\xE2\x80\xAElo\n", "x.txt:3: a control character (U+202E)" },
        { TEMPLATE_FAILED, "Subject: x\n \nHello\n", "x.txt:2: a line of blanks" },
        { TEMPLATE_WORDS, "more: {hostname}\n", "x.txt:1: {hostname} is not known here; there are: count" },
        { TEMPLATE_WORDS, "more: x\n\nHello\n", "x.txt:3: words.txt has only lines" },
        { TEMPLATE_PAGE, "ask-title: {hostname}\n", "this text has no values" },
        { TEMPLATE_REMOVED, "Subject: x\n\nHello\n", "x.txt:1: \"Subject\" is nothing" },
    };
    struct err err;
    struct templates *t = templates_new();
    for (size_t i = 0; i < countof(cases); i++) {
        if (templates_set(t, LANGUAGE_EN, cases[i].kind, slice_str(cases[i].text), "x.txt", &err)) fail_msg("%s: taken", cases[i].text);
        if (!strstr(err.text, cases[i].says)) fail_msg("%s: %s", cases[i].says, err.text);
    }
    char *large = mem_zalloc(TEMPLATE_MAX + 2);
    memset(large, 'x', TEMPLATE_MAX + 1);
    assert_false(templates_set(t, LANGUAGE_EN, TEMPLATE_FAILED, slice_str(large), "x.txt", &err));
    assert_non_null(strstr(err.text, "larger than"));
    assert_int_equal(templates_replaced(t), 0);
    free(large);
    templates_free(t);
}

/* ---- hostile values */

static void hostile(void **state)
{
    static const char *const hostile[] = {
        "a\r\nBcc: evil@example.net\r\n\r\n.\r\nQUIT", "{hostname}{sender}{{", "\xE2\x80\xAE" "moc.elpmaxe", "\xFF\xFE\x80 x \xC3", "\r", "\n", "\x1b[2J",
        "--=_boundary", "=?utf-8?q?=0D=0ABcc:?=", "\xE3\x81\x82\xE3\x81", "",
    };
    struct template_value values[40];
    char word[3000], long_one[3000];
    memset(word, 'w', sizeof word);
    for (size_t i = 0; i + 3 <= sizeof long_one; i += 3) memcpy(long_one + i, "\xE3\x81\x82", 3);
    for (size_t i = 0; i < countof(hostile) + 2; i++) {
        struct slice value = i < countof(hostile) ? slice_str(hostile[i]) : slice_of(i > countof(hostile) ? word : long_one, sizeof word);
        size_t n = all_values(values, value);
        for (unsigned l = 0; l < LANGUAGES; l++)
            for (unsigned k = 0; k < TEMPLATE_KINDS; k++) {
                struct buf text = { 0 }, out = { 0 }, html = { 0 };
                struct wording w = { NULL, l };
                if (!template_kinds[k].body) continue;
                template_add_body(&w, k, values, n, &text);
                assert_true(utf8_ok(buf_slice(&text)));
                assert_false(has(&text, "\xE2\x80\xAE") || has(&text, "\x1b"));
                if (template_is_mail(k) && i < countof(hostile)) template_add_subject(&w, k, values, n, &out);
                template_add_part(&w, "text/plain", buf_slice(&text), &out);
                assert_mail(&out, 98);
                const char *body = memmem(out.p, out.n, "\r\n\r\n", 4);
                assert_true(body && !memmem(out.p, (size_t)(body - out.p), "\nBcc", 4) && !has(&out, "\n--"));
                template_add_html(&w, k, values, n, &html);
                assert_true(utf8_ok(buf_slice(&html)) && !has(&html, "\xE2\x80\xAE"));
                buf_deinit(&text);
                buf_deinit(&out);
                buf_deinit(&html);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_right), cmocka_unit_test(all_are_mail), cmocka_unit_test(dates), cmocka_unit_test(replaced),
        cmocka_unit_test(wrapped),       cmocka_unit_test(wrong_ones),   cmocka_unit_test(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
