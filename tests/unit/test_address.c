/* SPDX-License-Identifier: Apache-2.0
 * Envelope addresses and domain names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/mem.h"
#include "smtp/address.h"

#define R64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define L63 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static void expect_slice(struct slice got, const char *want)
{
    if (slice_eq(got, slice_str(want))) return;
    fail_msg("got \"%.*s\", want \"%s\"", SLICE_ARG(got), want);
}

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
        { "<SRS0=" R64 "=" R64 "@x.y>", "SRS0=" R64 "=" R64 "@x.y", "SRS0=" R64 "=" R64, "x.y", ADDRESS_NAME },
        { "<srs1+" R64 "@x.y>", "srs1+" R64 "@x.y", "srs1+" R64, "x.y", ADDRESS_NAME },
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
        "<a\xe2\x80\x8f" "b@c>", /* this, too, turns the direction */
        "<a\xd8\x9c" "b@c>",
        "<a@x\xe2\x80\xae.b>",
        "<\"\\\xc3\xa4\"@b>",   /* no quoted pair: RFC 6531 §3.3 */
        "<a@\xc3\xa4..b>",
        "<a@\xc3\xa4.>",
        "<a@-\xc3\xa4.b>",
        "<a@\xe2\x98\x83 b>",
        "<@\xc3\xa4:x@y>",
        "<" R64 "x@b>",
        "<SRS2=" R64 "@b>",
        "<SRS0." R64 "@b>",
        "<SRS0=" R64 R64 R64 R64 "@b>",
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_good), cmocka_unit_test(test_path_bad), cmocka_unit_test(test_path_lengths),
        cmocka_unit_test(test_path_utf8), cmocka_unit_test(test_domain_ascii), cmocka_unit_test(test_address_bare),
        cmocka_unit_test(test_domain), cmocka_unit_test(test_unquote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
