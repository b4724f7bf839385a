/* SPDX-License-Identifier: Apache-2.0
 * The words of SMTP: command lines, replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "smtp/command.h"
#include "smtp/reply.h"
#include "smtp/xtext.h"

static void expect_slice(struct slice got, const char *want)
{
    if (slice_eq(got, slice_str(want))) return;
    fail_msg("got \"%.*s\", want \"%s\"", SLICE_ARG(got), want);
}

/* ---- commands */

static void test_verbs(void **state)
{
    static const struct {
        const char *line;
        enum command_verb verb;
        int code;
        const char *enhanced;
    } cases[] = {
        { "EHLO mx.example.com", COMMAND_EHLO, 0, "" },
        { "ehlo [127.0.0.1]  ", COMMAND_EHLO, 0, "" },
        { "EHLO", COMMAND_EHLO, 501, "5.5.4" },
        { "HELO a b", COMMAND_HELO, 501, "5.5.4" },
        { "HeLo a", COMMAND_HELO, 0, "" },
        { "DATA", COMMAND_DATA, 0, "" },
        { "DATA \t", COMMAND_DATA, 0, "" },
        { "DATA x", COMMAND_DATA, 501, "5.5.4" },
        { "RSET x", COMMAND_RSET, 501, "5.5.4" },
        { "QUIT x", COMMAND_QUIT, 501, "5.5.4" },
        { "STARTTLS x", COMMAND_STARTTLS, 501, "5.5.4" },
        { "NOOP", COMMAND_NOOP, 0, "" },
        { "NOOP any thing", COMMAND_NOOP, 0, "" },
        { "HELP", COMMAND_HELP, 0, "" },
        { "HELP mail", COMMAND_HELP, 0, "" },
        { "VRFY", COMMAND_VRFY, 501, "5.5.4" },
        { "VRFY joe", COMMAND_VRFY, 0, "" },
        { "EXPN list", COMMAND_EXPN, 0, "" },
        { "AUTH PLAIN", COMMAND_AUTH, 0, "" },
        { "BDAT 10 LAST", COMMAND_BDAT, 0, "" },
        { "NOOP \xff", COMMAND_NOOP, 501, "5.5.2" },
        { "NOOP a\tb", COMMAND_NOOP, 500, "5.5.2" },
        { "", COMMAND_UNKNOWN, 500, "5.5.2" },
        { " DATA", COMMAND_UNKNOWN, 500, "5.5.2" },
        { "DATAX", COMMAND_UNKNOWN, 500, "5.5.2" },
        { "GET / HTTP/1.1", COMMAND_UNKNOWN, 500, "5.5.2" },
        { "\x16\x03\x01", COMMAND_UNKNOWN, 500, "5.5.2" },
        { "MAIL", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL FROM", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL TO:<a@b>", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL FROM :<a@b>", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL  FROM:<a@b>", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL FROM:a@b", COMMAND_MAIL, 501, "5.1.7" },
        { "MAIL FROM:", COMMAND_MAIL, 501, "5.1.7" },
        { "MAIL FROM:<postmaster>", COMMAND_MAIL, 501, "5.1.7" },
        { "RCPT TO:<>", COMMAND_RCPT, 501, "5.1.3" },
        { "RCPT TO:<postmaster>", COMMAND_RCPT, 0, "" },
        { "rcpt to:<a@b>", COMMAND_RCPT, 0, "" },
        { "RCPT TO:<a@b> NOTIFY=NEVER", COMMAND_RCPT, 0, "" },
        { "VRFY \xc3\xa4", COMMAND_VRFY, 501, "5.5.2" },
        { "VRFY \xc3\xa4 smtputf8", COMMAND_VRFY, 0, "" },
        { "VRFY \xe4 SMTPUTF8", COMMAND_VRFY, 501, "5.5.2" },
        { "EXPN \xc3\xa4 SMTPUTF8", COMMAND_EXPN, 501, "5.5.2" },
        { "MAIL FROM:<\xc3\xa4@b>", COMMAND_MAIL, 0, "" },
        { "MAIL FROM:<\xe4@b>", COMMAND_MAIL, 501, "5.1.7" },
        { "RCPT TO:<a@b>x", COMMAND_RCPT, 501, "5.5.4" },
        { "MAIL FROM: <a@b>", COMMAND_MAIL, 0, "" },
        { "MAIL FROM:\t<a@b>", COMMAND_MAIL, 500, "5.5.2" },
        { "MAIL FROM:<a@b>  SIZE=1", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL FROM:<a@b> SIZE==1", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL FROM:<a@b> -X=1", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL FROM:<a@b> X=", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL FROM:<a@b> SIZE=1 size=1", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL FROM:<a@b> X=\xc3\xa4", COMMAND_MAIL, 0, "" }, /* RFC 6531 §3.3; X is not known */
        { "MAIL FROM:<a@b> X=\xe4", COMMAND_MAIL, 501, "5.5.4" },
        { "MAIL FROM:<a@b> a b c d e f g h i j k l m n o p", COMMAND_MAIL, 0, "" },
        { "MAIL FROM:<a@b> a b c d e f g h i j k l m n o p q", COMMAND_MAIL, 555, "5.5.4" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct command c;
        struct command_error e = { 0, "", NULL };
        bool ok = command_parse(slice_str(cases[i].line), &c, &e);
        if (ok != (cases[i].code == 0) || e.code != cases[i].code || c.verb != cases[i].verb ||
            strcmp(e.enhanced, cases[i].enhanced))
            fail_msg("%s: %d %s %s, verb %s", cases[i].line, e.code, e.enhanced, e.text, command_name(c.verb));
    }
    struct command c;
    struct command_error e;
    assert_false(command_parse(slice_of("NOOP a\0b", 8), &c, &e));
    assert_true(command_parse(SLICE("EHLO mx.example.com "), &c, &e));
    expect_slice(c.arg, "mx.example.com");
}

static const struct command_offer everything = { .esmtp = true, .dsn = true, .utf8 = true, .requiretls = true, .auth = true };

/* A command that is well-formed; it stays until the next. */
static struct command command_of(const char *start, const char *rest)
{
    static char line[700];
    struct command c;
    struct command_error e;
    snprintf(line, sizeof line, "%s%s", start, rest);
    if (!command_parse(slice_str(line), &c, &e)) fail_msg("%s: %d %s", line, e.code, e.text);
    return c;
}

/* The code of the refusal; 0: taken. */
static int mail_params(const char *params, const struct command_offer *offer, struct command_mail_params *p)
{
    struct command c = command_of("MAIL FROM:<>", params);
    struct command_error e;
    return command_mail_params(&c, offer, p, &e) ? 0 : e.code;
}

static int rcpt_params(const char *params, const struct command_offer *offer, struct command_rcpt_params *p)
{
    struct command c = command_of(*params ? "RCPT TO:<a@b> " : "RCPT TO:<a@b>", params);
    struct command_error e;
    return command_rcpt_params(&c, offer, p, &e) ? 0 : e.code;
}

static void test_mail_params(void **state)
{
    static const struct {
        const char *params;
        int code;
        uint64_t size;
        bool body_8bit;
    } cases[] = {
        { "", 0, 0, false },
        { " SIZE=1000", 0, 1000, false },
        { " size=5 body=8bitMIME", 0, 5, true },
        { " BODY=7BIT", 0, 0, false },
        { " SIZE=99999999999999999999", 0, UINT64_MAX, false },
        { " SIZE=999999999999999999999", 501, 0, false },
        { " SIZE=1x", 501, 0, false },
        { " SIZE", 501, 0, false },
        { " BODY", 501, 0, false },
        { " BODY=BINARYMIME", 501, 0, false },
        { " AUTH=<>", 555, 0, false },
        { " SMTPUTF8", 555, 0, false },
        { " RET=FULL", 555, 0, false },
        { " ENVID=x", 555, 0, false },
        { " REQUIRETLS", 555, 0, false },
        { " SIZE=-1", 501, 0, false },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct command_mail_params p;
        int code = mail_params(cases[i].params, &(struct command_offer){ .esmtp = true }, &p);
        if (code != cases[i].code) fail_msg("%s: %d", cases[i].params, code);
        if (code) continue;
        assert_int_equal(p.size, cases[i].size);
        assert_int_equal(p.body_8bit, cases[i].body_8bit);
    }
}

static void test_mail_extensions(void **state)
{
    static const struct {
        const char *params;
        int code;
    } cases[] = {
        { " SMTPUTF8", 0 }, { " SMTPUTF8=1", 501 }, { " REQUIRETLS", 0 }, { " requiretls=x", 501 }, { " RET=hdrs", 0 },
        { " RET=BODY", 501 }, { " RET", 501 }, { " ENVID=QQ314159", 0 }, { " ENVID=a+2Bb+20c", 0 }, { " ENVID=a+2bb", 501 },
        { " ENVID=a+", 501 }, { " ENVID=a+2", 501 }, { " ENVID=a+0D+0Ab", 501 }, { " ENVID=\xc3\xa4", 501 }, { " ENVID", 501 },
        { " AUTH=<>", 0 }, { " AUTH=joe@example.com", 0 }, { " AUTH=a+3Db@c", 0 }, { " AUTH=+", 501 }, { " X-Y=1", 555 },
    };
    struct command_mail_params p;
    struct command_offer helo = everything;
    helo.esmtp = false;
    for (size_t i = 0; i < countof(cases); i++) {
        int code = mail_params(cases[i].params, &everything, &p);
        if (code != cases[i].code) fail_msg("%s: %d", cases[i].params, code);
        assert_int_equal(mail_params(cases[i].params, &helo, &p), 555); /* nothing was offered */
    }
    for (size_t n = 99; n < 102; n++) {
        char envid[120] = " ENVID=";
        memset(envid + 7, 'x', n);
        assert_int_equal(mail_params(envid, &everything, &p), n <= 100 ? 0 : 501);
    }
}

static void test_rcpt_params(void **state)
{
    static const struct {
        const char *params;
        int code, notify;
        bool wide; /* only where SMTPUTF8 was declared */
    } cases[] = {
        { "", 0, 0, false }, { "NOTIFY=NEVER", 0, 8, false }, { "NOTIFY=success,Delay", 0, 5, false },
        { "NOTIFY=SUCCESS,FAILURE,DELAY", 0, 7, false }, { "NOTIFY=FAILURE,FAILURE", 0, 2, false },
        { "NOTIFY=NEVER,SUCCESS", 501, 0, false }, { "NOTIFY=SUCCESS,", 501, 0, false }, { "NOTIFY=,SUCCESS", 501, 0, false },
        { "NOTIFY", 501, 0, false }, { "NOTIFY=ALWAYS", 501, 0, false }, { "ORCPT=rfc822;joe@example.com", 0, 0, false },
        { "ORCPT=rfc822;a+2Bb@example.com NOTIFY=DELAY", 0, 4, false }, { "ORCPT=joe@example.com", 501, 0, false },
        { "ORCPT=rfc822;", 501, 0, false }, { "ORCPT=;x", 501, 0, false }, { "ORCPT=rf@c;x", 501, 0, false },
        { "ORCPT=rfc822;a+0Ab", 501, 0, false }, { "ORCPT=rfc822;a+C3+A4", 501, 0, false }, { "ORCPT", 501, 0, false },
        { "ORCPT=utf-8;\\x{E4}@example.com", 0, 0, false }, { "ORCPT=UTF-8;a\\x{2B}b@example.com", 0, 0, false },
        { "ORCPT=utf-8;\\x{10FFFF}", 0, 0, false }, { "ORCPT=utf-8;\\x{110000}", 501, 0, false },
        { "ORCPT=utf-8;\\x{D800}", 501, 0, false }, { "ORCPT=utf-8;\\x{0041}", 501, 0, false },
        { "ORCPT=utf-8;\\x{41}", 501, 0, false }, { "ORCPT=utf-8;\\x{}", 501, 0, false }, { "ORCPT=utf-8;\\x{E4", 501, 0, false },
        { "ORCPT=utf-8;\\x{0A}", 501, 0, false }, { "ORCPT=utf-8;\xc3\xa4@b", 0, 0, true },
        { "ORCPT=rfc822;\xc3\xa4@b", 501, 0, false }, { "SIZE=1", 555, 0, false },
    };
    struct command_rcpt_params p;
    for (size_t i = 0; i < countof(cases); i++)
        for (int utf8 = 0; utf8 < 2; utf8++) {
            struct command_offer offer = { .esmtp = true, .dsn = true, .utf8 = utf8 };
            int code = rcpt_params(cases[i].params, &offer, &p);
            if (code != (cases[i].wide && !utf8 ? 501 : cases[i].code)) fail_msg("%s: %d", cases[i].params, code);
            if (code) continue;
            assert_int_equal(p.notify, cases[i].notify);
            assert_int_equal(p.given, cases[i].params[0] != 0);
        }
    for (size_t n = 499; n < 502; n++) {
        char orcpt[600] = "ORCPT=rfc822;";
        memset(orcpt + 13, 'x', n - 7);
        assert_int_equal(rcpt_params(orcpt, &everything, &p), n <= 500 ? 0 : 501);
        if (n <= 500) assert_int_equal(p.orcpt.n, n);
    }
}

static void test_bdat(void **state)
{
    static const struct {
        const char *arg;
        bool ok, last;
        uint64_t size;
    } cases[] = {
        { "10", true, false, 10 }, { "0 LAST", true, true, 0 }, { "86 last", true, true, 86 },
        { "18446744073709551615", true, false, UINT64_MAX }, { "18446744073709551616", false, false, 0 },
        { "-1", false, false, 0 }, { "x", false, false, 0 }, { "10 FIRST", false, false, 0 }, { "10  LAST", false, false, 0 },
        { "10 LAST LAST", false, false, 0 }, { "0x10", false, false, 0 }, { "LAST", false, false, 0 }, { "1,0", false, false, 0 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct command c = command_of("BDAT ", cases[i].arg);
        struct command_error e;
        uint64_t size = 0;
        bool last = false;
        if (command_bdat(&c, &size, &last, &e) != cases[i].ok) fail_msg("%s", cases[i].arg);
        if (cases[i].ok && (size != cases[i].size || last != cases[i].last)) fail_msg("%s", cases[i].arg);
    }
}

static void test_xtext_decode(void **state)
{
    struct buf out = { 0 };
    xtext_decode(SLICE("a+2Bb+3Dc"), &out);
    assert_string_equal(buf_cstr(&out), "a+b=c");
    buf_deinit(&out);
}

/* ---- replies */

static enum reply_status read_one(struct reply_reader *r, const char *text, const char **why)
{
    struct slice in = slice_str(text);
    return reply_read(r, &in, why);
}

static void test_reply_read(void **state)
{
    struct reply_reader *r = mem_new(struct reply_reader);
    const char *why;
    struct slice in = SLICE("250-mx.example.com hello\r\n250-SIZE 1000\r\n250-Pipelining\r\n250-AUTH=LOGIN\r\n250 "
                            "HELP\r\n550 5.1.1 no\r\n4");
    assert_int_equal(reply_read(r, &in, &why), REPLY_DONE);
    assert_int_equal(r->code, 250);
    assert_int_equal(r->lines, 5);
    struct slice args;
    assert_true(reply_ehlo_has(r, "size", &args));
    expect_slice(args, "1000");
    assert_true(reply_ehlo_has(r, "PIPELINING", &args));
    assert_int_equal(args.n, 0);
    assert_false(reply_ehlo_has(r, "AUTH", &args));
    assert_false(reply_ehlo_has(r, "mx.example.com", &args));
    assert_false(reply_ehlo_has(r, "SIZ", &args));
    assert_int_equal(reply_read(r, &in, &why), REPLY_DONE);
    assert_int_equal(r->code, 550);
    assert_string_equal(r->enhanced, "5.1.1");
    expect_slice(slice_of(r->text, r->text_n), "no");
    assert_int_equal(reply_read(r, &in, &why), REPLY_MORE);
    assert_int_equal(in.n, 1);
    free(r);
}

static void test_reply_enhanced(void **state)
{
    static const struct {
        const char *line, *enhanced;
    } cases[] = {
        { "250\r\n", "" },
        { "250 \r\n", "" },
        { "250 2.1.0\r\n", "2.1.0" },
        { "250 2.1.0 ok\n", "2.1.0" },
        { "550 2.1.0 ok\r\n", "" },
        { "554 5.123.456 x\r\n", "5.123.456" },
        { "554 5.1234.1 x\r\n", "" },
        { "554 5.1 x\r\n", "" },
        { "554 5.1.1x\r\n", "" },
        { "354 3.1.1 x\r\n", "" },
        { "250-ok\r\n250 2.1.0 ok\r\n", "" },
        { "421 4.3.2 bye\r\n", "4.3.2" },
        { "554 5.1.\r\n", "" },
    };
    struct reply_reader *r = mem_new(struct reply_reader);
    const char *why;
    for (size_t i = 0; i < countof(cases); i++) {
        assert_int_equal(read_one(r, cases[i].line, &why), REPLY_DONE);
        assert_string_equal(r->enhanced, cases[i].enhanced);
    }
    assert_int_equal(read_one(r, "550-5.7.1 one\r\n550-5.7.1\r\n550-5.7.2 other\r\n550 5.7.1 two\r\n", &why),
                     REPLY_DONE);
    expect_slice(slice_of(r->text, r->text_n), "one\n\n5.7.2 other\ntwo");
    free(r);
}

static void test_reply_bad(void **state)
{
    static const char *const bad[] = {
        "\r\n",      "25\r\n",         "2500 x\r\n",         "abc\r\n",    "150 x\r\n",
        "650 x\r\n", "250x\r\n",       "250-a\r\n251 b\r\n", "250\tx\r\n", "HTTP/1.1 400 Bad\r\n",
        "-50 x\r\n", "250-a\r\nx\r\n",
    };
    const char *why;
    for (size_t i = 0; i < countof(bad); i++) {
        struct reply_reader *r = mem_new(struct reply_reader);
        assert_int_equal(read_one(r, bad[i], &why), REPLY_BAD);
        assert_non_null(why);
        free(r);
    }
    struct reply_reader *r = mem_new(struct reply_reader);
    char long_line[REPLY_LINE_MAX + 1];
    memset(long_line, 'a', sizeof long_line);
    memcpy(long_line, "250 ", 4);
    struct slice in = slice_of(long_line, REPLY_LINE_MAX - 1);
    assert_int_equal(reply_read(r, &in, &why), REPLY_MORE);
    in = slice_of(long_line, REPLY_LINE_MAX + 1);
    assert_int_equal(reply_read(r, &in, &why), REPLY_BAD);
    for (int i = 0; i < REPLY_LINES_MAX; i++) assert_int_equal(read_one(r, "250-many\r\n", &why), REPLY_MORE);
    assert_int_equal(read_one(r, "250 many\r\n", &why), REPLY_BAD);
    free(r);
}

static void test_reply_text_is_bounded(void **state)
{
    struct reply_reader *r = mem_new(struct reply_reader);
    const char *why;
    char line[1000];
    memset(line, 'x', sizeof line);
    memcpy(line, "550-", 4);
    line[998] = '\n';
    line[999] = 0;
    for (int i = 0; i < 100; i++) assert_int_equal(read_one(r, line, &why), REPLY_MORE);
    assert_int_equal(r->text_n, REPLY_TEXT_MAX);
    assert_int_equal(read_one(r, "550 end\r\n", &why), REPLY_DONE);
    assert_int_equal(r->text_n, REPLY_TEXT_MAX);
    free(r);
}

static void test_reply_format(void **state)
{
    struct buf b = { 0 };
    reply_format(&b, 250, "2.1.0", SLICE("Ok"));
    reply_format(&b, 250, NULL, SLICE("mx.example.com\nPIPELINING\r\nSIZE 5\n"));
    reply_format(&b, 550, "5.7.1", SLICE("\xc3\xa4\x01\rx\nsecond"));
    reply_format(&b, 250, "2.0.0", SLICE(""));
    assert_string_equal(buf_cstr(&b), "250 2.1.0 Ok\r\n250-mx.example.com\r\n250-PIPELINING\r\n250 SIZE 5\r\n"
                                      "550-5.7.1 \\xc3\\xa4\\x01\\x0dx\r\n550 5.7.1 second\r\n250 2.0.0\r\n");
    char text[1000];
    for (int odd = 0; odd < 4; odd++) {
        memset(text, 0x1F, sizeof text);
        memset(text, 'a', (size_t)odd);
        buf_clear(&b);
        reply_format(&b, 421, "4.3.0", slice_of(text, sizeof text));
        assert_in_range(b.n, 508, 512);
        assert_memory_equal(b.p + b.n - 6, "\\x1f\r\n", 6);
    }
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verbs), cmocka_unit_test(test_mail_params), cmocka_unit_test(test_mail_extensions),
        cmocka_unit_test(test_rcpt_params), cmocka_unit_test(test_bdat), cmocka_unit_test(test_xtext_decode),
        cmocka_unit_test(test_reply_read), cmocka_unit_test(test_reply_enhanced), cmocka_unit_test(test_reply_bad),
        cmocka_unit_test(test_reply_text_is_bounded), cmocka_unit_test(test_reply_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
