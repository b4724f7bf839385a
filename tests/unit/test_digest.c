/* SPDX-License-Identifier: Apache-2.0
 * Digests: tokens of links, the mail's text with what strangers write, when they are due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "admin/digest.h"
#include "admin/digest_text.h"
#include "base/html.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "message/words.h"
#include "proc/digest_mail.h"

static const unsigned char secret[DIGEST_SECRET_N] = "0123456789abcdef0123456789abcde", other[DIGEST_SECRET_N] = "another";
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static struct digest_link example(void)
{
    struct digest_link l = { .id = 0x1122334455667788, .number = 7, .expires = 2000 };
    digest_hash(SLICE("Bob@Example.com"), l.recipient);
    return l;
}

static void tokens(void **state)
{
    struct digest_link l = example(), out;
    char token[DIGEST_TOKEN_N + 1];
    unsigned char hash[DIGEST_HASH_N];
    digest_token_make(secret, &l, token);
    assert_int_equal(strlen(token), DIGEST_TOKEN_N);
    assert_int_equal(strspn(token, alphabet), DIGEST_TOKEN_N);
    assert_true(digest_token_read(secret, slice_str(token), 1999, &out));
    assert_true(out.id == l.id && out.number == 7 && out.expires == 2000);
    digest_hash(SLICE("bob@example.COM"), hash);
    assert_memory_equal(out.recipient, hash, sizeof hash);
    digest_hash(SLICE("bob@example.org"), hash);
    assert_memory_not_equal(out.recipient, hash, sizeof hash);
    assert_false(digest_token_read(secret, slice_str(token), 2000, &out)); /* expired */
    assert_false(digest_token_read(other, slice_str(token), 1, &out));
}

/* Each character counts, and each token has one form. */
static void changed_tokens(void **state)
{
    struct digest_link l = example(), out;
    char token[DIGEST_TOKEN_N + 2], bad[DIGEST_TOKEN_N + 2];
    digest_token_make(secret, &l, token);
    for (size_t i = 0; i < DIGEST_TOKEN_N; i++)
        for (const char *c = alphabet; *c; c++) {
            if (*c == token[i]) continue;
            memcpy(bad, token, sizeof bad);
            bad[i] = *c;
            assert_false(digest_token_read(secret, slice_of(bad, DIGEST_TOKEN_N), 1, &out));
        }
    for (size_t n = 0; n < DIGEST_TOKEN_N; n++) assert_false(digest_token_read(secret, slice_of(token, n), 1, &out));
    memcpy(bad, token, DIGEST_TOKEN_N);
    bad[DIGEST_TOKEN_N] = '=';
    assert_false(digest_token_read(secret, slice_of(bad, DIGEST_TOKEN_N + 1), 1, &out));
    for (size_t i = 0; i < DIGEST_TOKEN_N; i++) { /* the other alphabet */
        if (bad[i] == '-') bad[i] = '+';
        if (bad[i] == '_') bad[i] = '/';
    }
    assert_int_equal(digest_token_read(secret, slice_of(bad, DIGEST_TOKEN_N), 1, &out), !memcmp(bad, token, DIGEST_TOKEN_N));
}

static const char *shown(struct buf *b, const char *s, size_t max)
{
    buf_clear(b);
    html_add(b, slice_str(s), max);
    return buf_cstr(b);
}

static void escaping(void **state)
{
    struct buf b = { 0 };
    assert_string_equal(shown(&b, "<script>alert(\"x\" & 'y')</script>", 100),
                        "&lt;script&gt;alert(&quot;x&quot; &amp; &#39;y&#39;)&lt;/script&gt;");
    assert_string_equal(shown(&b, "a\x1b\r\n\tb\x80\xC3\xB1", 100), "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD b\xEF\xBF\xBD\xC3\xB1");
    assert_string_equal(shown(&b, "x\xE2\x80\xAE" "fdp.exe\xE2\x80\x8B", 100), "x\xEF\xBF\xBD" "fdp.exe\xEF\xBF\xBD"); /* turned, invisible */
    assert_string_equal(shown(&b, "a\xE1\x85\xA0\xE2\xA0\x80\xEF\xBE\xA0", 100), "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); /* fillers */
    assert_string_equal(shown(&b, "abcdef", 3), "abc...");
    assert_string_equal(shown(&b, "abc", 3), "abc");
    buf_deinit(&b);
}

static void words(void **state)
{
    static const char *const cases[][2] = {
        { "plain text", "plain text" },
        { "You won the =?utf-8?q?l=C3=B6ttery?=", "You won the l\xC3\xB6ttery" },
        { "=?UTF-8?B?w7E=?= =?utf-8?Q?a_b?= c", "\xC3\xB1" "a b c" },
        { "=?utf-8?q?=C3?= \r\n =?utf-8?q?=B6?=", "\xC3\xB6" },
        { "=?iso-8859-1?q?=E9=80?= =?iso-8859-15*de?q?=A4?=", "\xC3\xA9\xE2\x82\xAC\xE2\x82\xAC" },
        { "=?iso-2022-jp?B?GyRCJCIbKEI=?=", "[...]" },
        { "Re: =?iso-2022-jp?B?GyRCJCIbKEI=?= =?gb2312?q?=B0?= 7 =?big5?q?=A4=40?= =?utf-8?q?a?=", "Re: [...] 7 [...]a" },
        { "=?utf-8?q?a?b", "=?utf-8?q?a?b" }, { "=?", "=?" }, { "=?utf-8?b?!!?=", "=?utf-8?b?!!?=" },
        { "=?utf-8?q?a=?= x", "a= x" }, { "", "" }, { "a\r\n\tb  c", "a b  c" },
        { "=?utf-8?q?=3Cb=3E?=", "<b>" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b = { 0 };
        words_add(&b, slice_str(cases[i][0]));
        assert_string_equal(buf_cstr(&b), cases[i][1]);
        buf_deinit(&b);
    }
}

static bool has(const struct buf *b, const char *s)
{
    return b->n && memmem(b->p, b->n, s, strlen(s));
}

static void mail(void **state)
{
    struct buf b = { 0 };
    const struct digest_line lines[] = {
        { .kind = SLICE("spam"), .sender = SLICE("eve@x.example"), .subject = SLICE("<img src=http://x/>"), .stored = 1790000000000,
          .link = SLICE("https://mail.example.com:8443/release/abc"), .expires = 1790000900000 },
        { .kind = SLICE("virus"), .subject = SLICE("a\r\n.\r\nb"), .link = SLICE("x\"><b>") },
    };
    struct digest_mail m = { .hostname = "mx.example", .from = SLICE("q@example.com"), .to = SLICE("bob@example.com"), .id = 5,
                             .now = 1790000000000, .lines = lines, .line_n = 2, .count = 9 };
    digest_mail_format(&m, &b);
    assert_true(has(&b, "Subject: mx.example: 9 messages held back\r\n") && has(&b, "Auto-Submitted: auto-generated\r\n"));
    assert_true(has(&b, "multipart/alternative") && has(&b, "7 messages more") && has(&b, "<b>&lt;img") && !has(&b, "<b><img"));
    assert_true(has(&b, "it has a virus") && has(&b, "(no subject)") == false && has(&b, "(a mail system)"));
    assert_true(has(&b, "\"x&quot;&gt;&lt;b&gt;\"") && !has(&b, "\"x\">"));
    assert_false(has(&b, "\r\n.\r\n") || has(&b, "\n\n"));
    for (size_t i = 0, start = 0; i < b.n; i++) {
        assert_true((unsigned char)b.p[i] < 0x80);
        if (b.p[i] != '\n') continue;
        assert_true(i - start <= 77);
        start = i + 1;
    }
    buf_deinit(&b);
}

static void page(void **state)
{
    struct buf b = { 0 };
    json_t *m = json_pack("{s:s, s:s, s:I}", "sender", "\"><script>@x.example", "subject", "=?utf-8?q?=3Cscript=3E?=", "stored", (json_int_t)1790000000000);
    digest_page_text(&(struct wording){ 0 }, DIGEST_PAGE_ASK, m, SLICE("bob@example.com"), "TOKEN", &b);
    assert_true(has(&b, "method=\"post\"") && has(&b, "value=\"TOKEN\"") && has(&b, "bob@example.com") && !has(&b, "<script"));
    buf_clear(&b);
    digest_page_text(&(struct wording){ 0 }, DIGEST_PAGE_NONE, m, SLICE("bob@example.com"), "TOKEN", &b);
    assert_false(has(&b, "bob@") || has(&b, "TOKEN") || has(&b, "script") || has(&b, "form"));
    json_decref(m);
    buf_deinit(&b);
}

/* A store that was taken over cannot put its own into a mail. */
static void only_our_links(void **state)
{
    struct digest d = { .valid = 1000000, .has_secret = true };
    for (int with = 0; with < 2; with++) {
        json_t *a = json_pack("{s:s, s:[{s:s, s:s, s:s}, {s:s, s:s, s:s}, i]}", "address", "bob@example.com", "messages", "id", "1", "kind",
                              "virus", "link", "http://x/\"><script>", "id", "!", "kind", "spam", "link", "http://x/", 5);
        const json_t *m = json_object_get(a, "messages");
        d.url = with ? (char[]){ "https://mail.example.com" } : NULL;
        digest_add_links(&d, a);
        assert_null(json_object_get(json_array_get(m, 0), "link"));
        assert_null(json_object_get(json_array_get(m, 1), "link"));
        json_decref(a);
    }
    json_t *a = json_pack("{s:s, s:[{s:s, s:s, s:i}]}", "address", "bob@example.com", "messages", "id", "", "kind", "spam", "n", 0);
    char id[ID_TEXT_LEN + 1];
    id_format(77, id);
    json_object_set_new(json_array_get(json_object_get(a, "messages"), 0), "id", json_string(id));
    d.url = (char[]){ "https://mail.example.com" };
    digest_add_links(&d, a);
    struct slice link = json_text(json_array_get(json_object_get(a, "messages"), 0), "link"), base = SLICE("https://mail.example.com/release/");
    assert_true(slice_starts(link, base) && link.n == base.n + DIGEST_TOKEN_N);
    json_decref(a);
}

static uint64_t at(const char *text)
{
    struct tm tm = { .tm_isdst = -1 };
    assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
    return (uint64_t)mktime(&tm) * 1000;
}

static void due(void **state)
{
    const uint32_t minutes[] = { 7 * 60, 13 * 60 + 30 }, gap[] = { 150 };
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    assert_true(digest_due(minutes, 2, at("2026-06-01 07:00")) == at("2026-06-01 07:00"));
    assert_true(digest_due(minutes, 2, at("2026-06-01 06:59")) == at("2026-05-31 13:30"));
    assert_true(digest_next(minutes, 2, at("2026-06-01 07:00")) == at("2026-06-01 13:30"));
    assert_true(digest_next(minutes, 2, at("2026-12-31 23:00")) == at("2027-01-01 07:00"));
    assert_true(digest_due(minutes, 2, at("2026-03-29 07:00")) == at("2026-03-29 07:00")); /* the clocks changed that night */
    uint64_t skipped = digest_due(gap, 1, at("2026-03-29 12:00")); /* 02:30 is not there */
    assert_true(skipped >= at("2026-03-29 01:30") && skipped <= at("2026-03-29 03:30"));
    assert_true(digest_due(minutes, 0, 1790000000000) == 0 && digest_next(minutes, 0, 1790000000000) == 0);
    unsetenv("TZ");
    tzset();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tokens), cmocka_unit_test(changed_tokens), cmocka_unit_test(escaping),
                                        cmocka_unit_test(words),  cmocka_unit_test(mail),           cmocka_unit_test(page),
                                        cmocka_unit_test(due),    cmocka_unit_test(only_our_links) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
