/* SPDX-License-Identifier: Apache-2.0
 * The words of SMTP: addresses, command lines, replies. */
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

#define R64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define L63 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static void expect_slice(struct slice got, const char *want)
{
    if (slice_eq(got, slice_str(want))) return;
    fail_msg("got \"%.*s\", want \"%s\"", SLICE_ARG(got), want);
}

/* ---- addresses */

static void test_path_good(void **state)
{
    static const struct {
        const char *path, *text, *local, *domain;
        enum address_domain kind;
    } good[] = {
        { "<a@b>", "a@b", "a", "b", ADDRESS_NAME },
        { "<joe.q+x=1@mx_1.example.COM>", "joe.q+x=1@mx_1.example.COM", "joe.q+x=1", "mx_1.example.COM", ADDRESS_NAME },
        { "<!#$%&'*+-/=?^_`{|}~@b-c.d>", "!#$%&'*+-/=?^_`{|}~@b-c.d", "!#$%&'*+-/=?^_`{|}~", "b-c.d", ADDRESS_NAME },
        { "<\"a b@c\\\"\\\\>\"@example.org>", "\"a b@c\\\"\\\\>\"@example.org", "\"a b@c\\\"\\\\>\"", "example.org",
          ADDRESS_NAME },
        { "<\"\"@x.y>", "\"\"@x.y", "\"\"", "x.y", ADDRESS_NAME },
        { "<a@[192.0.2.1]>", "a@[192.0.2.1]", "a", "[192.0.2.1]", ADDRESS_LITERAL },
        { "<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", ADDRESS_LITERAL },
        { "<a@[ipv6:::ffff:192.0.2.1]>", "a@[ipv6:::ffff:192.0.2.1]", "a", "[ipv6:::ffff:192.0.2.1]", ADDRESS_LITERAL },
        { "<@one.example,@two.example:joe@three>", "joe@three", "joe", "three", ADDRESS_NAME },
        { "<@h:\"q r\"@three>", "\"q r\"@three", "\"q r\"", "three", ADDRESS_NAME },
        { "<>", "", "", "", ADDRESS_NO_DOMAIN },
        { "<PostMaster>", "PostMaster", "PostMaster", "", ADDRESS_NO_DOMAIN },
        { "<" R64 "@" L63 ".com>", R64 "@" L63 ".com", R64, L63 ".com", ADDRESS_NAME },
    };
    for (size_t i = 0; i < countof(good); i++) {
        char line[400];
        snprintf(line, sizeof line, "%s TAIL", good[i].path);
        struct slice in = slice_str(line);
        struct address a;
        const char *why = address_parse_path(&in, true, true, &a);
        if (why) fail_msg("%s: %s", good[i].path, why);
        expect_slice(in, " TAIL");
        expect_slice(a.text, good[i].text);
        expect_slice(a.local, good[i].local);
        expect_slice(a.domain, good[i].domain);
        assert_int_equal(a.kind, good[i].kind);
    }
}

static void test_path_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "<",
        ">",
        "a@b",
        "<a@b",
        "<a>",
        "<@b>",
        "<a@>",
        "<a@@b>",
        "<a@b@c>",
        "<.a@b>",
        "<a.@b>",
        "<a..b@c>",
        "<a b@c>",
        "<a@b c>",
        "< a@b>",
        "<a@b >",
        "<a@.b>",
        "<a@b.>",
        "<a@b..c>",
        "<a@-b>",
        "<a@b->",
        "<a@b-.c>",
        "<a@b,c>",
        "<(x)a@b>",
        "<a@b(x)>",
        "<\"a@b>",
        "<\"a\"b@c>",
        "<a\"b\"@c>",
        "<\"a\\\"@b>",
        "<\"a\\",
        "<\"",
        "<a\\@b@c>",
        "<a@[1.2.3]>",
        "<a@[1.2.3.4>",
        "<a@[1.2.3.256]>",
        "<a@[1.2.3.4.5]>",
        "<a@[01.2.3.4]>",
        "<a@[2001:db8::1]>",
        "<a@[IPv6:1.2.3.4]>",
        "<a@[IPv6:::g]>",
        "<a@[IPv6:fe80::1%lo]>",
        "<a@[TAG:content]>",
        "<a@[]>",
        "<a@[1.2.3.4]x>",
        "<@a>",
        "<@a:>",
        "<@a,b@c>",
        "<@a,@b>",
        "<@a;@b:x@y>",
        "<@a @b:x@y>",
        "<@[1.2.3.4]:x@y>",
        "<@:x@y>",
        "<postmaster@>",
        "<postmasters>",
        "<a\x01@b>",
        "<a@b\x7f>",
        "<\"a\x01\"@b>",
        "<\xe4@b>",             /* Latin-1 */
        "<a@\xe4.b>",
        "<\xc0\xaf@b>",         /* overlong */
        "<\xed\xa0\x80@b>",     /* a surrogate */
        "<\xf4\x90\x80\x80@b>", /* above U+10FFFF */
        "<\xc3@b>",
        "<a\xc2\x85@b>",        /* a control character */
        "<a\xe2\x80\xae" "b@c>", /* text runs backwards behind it */
        "<a@x\xe2\x80\xae.b>",
        "<\"\\\xc3\xa4\"@b>",   /* no quoted pair: RFC 6531 §3.3 */
        "<a@\xc3\xa4..b>",
        "<a@\xc3\xa4.>",
        "<a@-\xc3\xa4.b>",
        "<a@\xe2\x98\x83 b>",
        "<@\xc3\xa4:x@y>",
        "<" R64 "x@b>",
        "<a@" R64 ">",
        "<a@" L63 "x.b>",
        "<" R64 "@" L63 "." L63 "." L63 ">",
        "<@" L63 "." L63 "." L63 ":" R64 "@b>",
        "<a!b!c@>",
        "<<a@b>>",
        "<a@b\\>",
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct slice in = slice_str(bad[i]);
        struct address a;
        if (!address_parse_path(&in, true, true, &a)) fail_msg("accepted %s", bad[i]);
    }
    struct slice in = slice_of("<a\0b@c>", 7);
    struct address a;
    assert_non_null(address_parse_path(&in, true, true, &a));
    in = SLICE("<>");
    assert_non_null(address_parse_path(&in, false, true, &a));
    in = SLICE("<postmaster>");
    assert_non_null(address_parse_path(&in, true, false, &a));
}

static void test_path_utf8(void **state)
{
    static const char *const good[] = { "\xc3\xa4@b.example", "a@b\xc3\xbc" "cher.example", "\"\xc3\xa4 x\"@b.example",
                                        "\xe7\x94\xa8\xe6\x88\xb7@\xe4\xbe\x8b\xe5\xad\x90.example",
                                        "a.\xc3\xa4@xn--bcher-kva.example" };
    char line[400], local[200];
    struct address a;
    for (size_t i = 0; i < countof(good); i++) {
        snprintf(line, sizeof line, "<%s> X", good[i]);
        struct slice in = slice_str(line);
        const char *why = address_parse_path(&in, false, false, &a);
        if (why || !a.utf8) fail_msg("%s: %s", line, why);
        expect_slice(a.text, good[i]);
        expect_slice(in, " X");
    }
    struct slice in = SLICE("<a@b>");
    assert_null(address_parse_path(&in, false, false, &a));
    assert_false(a.utf8);
    for (int n = 30; n < 35; n++) { /* octets count, not characters */
        local[0] = 0;
        for (int i = 0; i < n; i++) strncat(local, "\xc3\xa4", sizeof local - strlen(local) - 1);
        snprintf(line, sizeof line, "%s@b", local);
        assert_int_equal(address_parse(slice_str(line), &a) == NULL, n <= 32);
    }
}

static void test_domain_ascii(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "Example.COM", "example.com" }, { "example.com.", "example.com" }, { "_x.example", "_x.example" },
        { "b\xc3\xbc" "cher.example", "xn--bcher-kva.example" }, { "B\xc3\x9c" "CHER.example", "xn--bcher-kva.example" },
        { "bu\xcc\x88" "cher.example", "xn--bcher-kva.example" }, /* decomposed */
        { "XN--BCHER-KVA.example", "xn--bcher-kva.example" },
        { "fa\xc3\x9f.example", "xn--fa-hia.example" },           /* not "fass": non-transitional */
        { "\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95", "xn--fsqu00a.xn--0zwm56d" },
        { "", NULL }, { ".", NULL }, { "a b", NULL }, { "a..b", NULL }, { "\xe4.example", NULL }, { "\xc3\xbc..b", NULL },
        { "a@\xc3\xbc", NULL }, { "[192.0.2.1]", NULL }, { "\xe2\x80\xae" "a.b", NULL },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char out[256];
        bool ok = address_domain_ascii(slice_str(cases[i].in), out);
        if (ok != (cases[i].out != NULL) || (ok && strcmp(out, cases[i].out)))
            fail_msg("%s: %s", cases[i].in, ok ? out : "no");
    }
}

static void test_path_lengths(void **state)
{
    /* 256 bytes with brackets is the longest path (RFC 5321 §4.5.3.1.3). */
    char line[300];
    struct address a;
    for (int n = 50; n < 63; n++) {
        snprintf(line, sizeof line, "<%.61s@" L63 "." L63 ".%.*s.x>", R64, n, L63);
        struct slice in = slice_str(line);
        bool ok = address_parse_path(&in, false, false, &a) == NULL;
        assert_int_equal(ok, strlen(line) <= 256);
        assert_int_equal(address_parse(slice_of(line + 1, strlen(line) - 2), &a) == NULL, ok);
    }
}

static void test_address_bare(void **state)
{
    struct address a;
    assert_null(address_parse(SLICE("joe@example.com"), &a));
    expect_slice(a.domain, "example.com");
    assert_non_null(address_parse(SLICE("joe"), &a));
    assert_non_null(address_parse(SLICE("postmaster"), &a));
    assert_non_null(address_parse(SLICE(""), &a));
    assert_non_null(address_parse(SLICE("joe@example.com>"), &a));
    assert_non_null(address_parse(SLICE("<joe@example.com>"), &a));
    assert_non_null(address_parse(SLICE("@a:joe@example.com"), &a));
}

static void test_domain(void **state)
{
    assert_true(address_domain_ok(SLICE("a"), false));
    assert_false(address_domain_ok(SLICE("a"), true));
    assert_true(address_domain_ok(SLICE("a.b"), true));
    assert_true(address_domain_ok(SLICE("_dmarc.x-y.example"), true));
    assert_false(address_domain_ok(SLICE("a.b."), true));
    assert_false(address_domain_ok(SLICE(""), false));
    assert_false(address_domain_ok(SLICE("."), false));
    assert_false(address_domain_ok(SLICE("a b"), false));
    char name[300];
    for (int n = 1; n < 63; n++) {
        snprintf(name, sizeof name, L63 "." L63 "." L63 ".%.*s", n, L63);
        assert_int_equal(address_domain_ok(slice_str(name), true), strlen(name) <= 255);
    }
    assert_true(address_helo_ok(SLICE("mx.example.com")));
    assert_true(address_helo_ok(SLICE("[192.0.2.1]")));
    assert_true(address_helo_ok(SLICE("[IPv6:::1]")));
    assert_false(address_helo_ok(SLICE("[")));
    assert_false(address_helo_ok(SLICE("[]")));
    assert_false(address_helo_ok(SLICE("[192.0.2.1")));
    assert_false(address_helo_ok(SLICE("a b")));
    assert_false(address_helo_ok(SLICE("")));
}

static void test_unquote(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "joe", "joe" }, { "\"joe\"", "joe" }, { "\"j\\oe\"", "joe" }, { "\"a\\\"b\\\\\"", "a\"b\\" },
        { "\"\"", "" },   { "", "" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char out[32];
        size_t n = address_local_unquote(slice_str(cases[i].in), out);
        expect_slice(slice_of(out, n), cases[i].out);
    }
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
        char line[100];
        struct command c;
        struct command_error e = { 0, "", NULL };
        struct command_mail_params p;
        snprintf(line, sizeof line, "MAIL FROM:<>%s", cases[i].params);
        assert_true(command_parse(slice_str(line), &c, &e));
        bool ok = command_mail_params(&c, &(struct command_offer){ .esmtp = true }, &p, &e);
        if (ok != !cases[i].code || e.code != cases[i].code) fail_msg("%s: %d %s", line, e.code, e.text);
        if (!ok) continue;
        assert_int_equal(p.size, cases[i].size);
        assert_int_equal(p.body_8bit, cases[i].body_8bit);
    }
}

static const struct command_offer everything = { .esmtp = true, .dsn = true, .utf8 = true, .requiretls = true, .auth = true };

static void test_mail_extensions(void **state)
{
    char envid[120] = " ENVID=";
    static const struct {
        const char *params;
        int code;
    } cases[] = {
        { " SMTPUTF8", 0 }, { " SMTPUTF8=1", 501 }, { " REQUIRETLS", 0 }, { " requiretls=x", 501 }, { " RET=hdrs", 0 },
        { " RET=BODY", 501 }, { " RET", 501 }, { " ENVID=QQ314159", 0 }, { " ENVID=a+2Bb+20c", 0 }, { " ENVID=a+2bb", 501 },
        { " ENVID=a+", 501 }, { " ENVID=a+2", 501 }, { " ENVID=a+0D+0Ab", 501 }, { " ENVID=\xc3\xa4", 501 }, { " ENVID", 501 },
        { " AUTH=<>", 0 }, { " AUTH=joe@example.com", 0 }, { " AUTH=a+3Db@c", 0 }, { " AUTH=+", 501 }, { " X-Y=1", 555 },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char line[100];
        struct command c;
        struct command_error e = { 0, "", NULL };
        struct command_mail_params p;
        snprintf(line, sizeof line, "MAIL FROM:<>%s", cases[i].params);
        assert_true(command_parse(slice_str(line), &c, &e));
        bool ok = command_mail_params(&c, &everything, &p, &e);
        if (ok != !cases[i].code || e.code != cases[i].code) fail_msg("%s: %d %s", line, e.code, e.text);
        struct command_offer helo = everything;
        helo.esmtp = false;
        assert_false(command_mail_params(&c, &helo, &p, &e)); /* nothing was offered */
        assert_int_equal(e.code, 555);
    }
    for (int n = 99; n < 102; n++) {
        char line[200];
        struct command c;
        struct command_error e;
        struct command_mail_params p;
        memset(envid + 7, 'x', (size_t)n);
        envid[7 + n] = 0;
        snprintf(line, sizeof line, "MAIL FROM:<>%s", envid);
        assert_true(command_parse(slice_str(line), &c, &e));
        assert_int_equal(command_mail_params(&c, &everything, &p, &e), n <= 100);
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
    for (size_t i = 0; i < countof(cases); i++)
        for (int utf8 = 0; utf8 < 2; utf8++) {
            char line[100];
            struct command c;
            struct command_error e = { 0, "", NULL };
            struct command_rcpt_params p;
            struct command_offer offer = { .esmtp = true, .dsn = true, .utf8 = utf8 };
            int code = cases[i].wide && !utf8 ? 501 : cases[i].code;
            snprintf(line, sizeof line, "RCPT TO:<a@b>%s%s", *cases[i].params ? " " : "", cases[i].params);
            assert_true(command_parse(slice_str(line), &c, &e));
            bool ok = command_rcpt_params(&c, &offer, &p, &e);
            if (ok != !code || e.code != code) fail_msg("%s: %d %s", line, e.code, e.text);
            if (!ok) continue;
            assert_int_equal(p.notify, cases[i].notify);
            assert_int_equal(p.given, cases[i].params[0] != 0);
        }
    char line[600] = "RCPT TO:<a@b> ORCPT=rfc822;";
    struct command c;
    struct command_error e;
    struct command_rcpt_params p;
    size_t n = strlen(line);
    memset(line + n, 'x', 494);
    assert_true(command_parse(slice_of(line, n + 493), &c, &e) && command_rcpt_params(&c, &everything, &p, &e));
    assert_int_equal(p.orcpt.n, 500);
    assert_true(command_parse(slice_of(line, n + 494), &c, &e));
    assert_false(command_rcpt_params(&c, &everything, &p, &e));
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
        char line[100];
        struct command c;
        struct command_error e;
        uint64_t size = 0;
        bool last = false;
        snprintf(line, sizeof line, "BDAT %s", cases[i].arg);
        assert_true(command_parse(slice_str(line), &c, &e));
        if (command_bdat(&c, &size, &last, &e) != cases[i].ok) fail_msg("%s", line);
        if (cases[i].ok && (size != cases[i].size || last != cases[i].last)) fail_msg("%s", line);
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
        cmocka_unit_test(test_path_good),    cmocka_unit_test(test_path_bad),
        cmocka_unit_test(test_path_lengths), cmocka_unit_test(test_path_utf8), cmocka_unit_test(test_domain_ascii), cmocka_unit_test(test_address_bare),
        cmocka_unit_test(test_domain),       cmocka_unit_test(test_unquote),
        cmocka_unit_test(test_verbs),        cmocka_unit_test(test_mail_params),
        cmocka_unit_test(test_mail_extensions),
        cmocka_unit_test(test_rcpt_params),
        cmocka_unit_test(test_bdat),
        cmocka_unit_test(test_xtext_decode),
        cmocka_unit_test(test_reply_read),   cmocka_unit_test(test_reply_enhanced),
        cmocka_unit_test(test_reply_bad),    cmocka_unit_test(test_reply_text_is_bounded),
        cmocka_unit_test(test_reply_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
