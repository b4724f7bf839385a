/* SPDX-License-Identifier: Apache-2.0
 * Authentication-Results: what we write, and whose what we read is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include "base/mem.h"
#include "mailauth/results.h"

static const char *format(const struct auth_results *r)
{
    static struct buf b;
    buf_clear(&b);
    auth_results_format(r, &b);
    return buf_cstr(&b);
}

static struct auth_results about(const struct spf *spf, const char *sender)
{
    return (struct auth_results){ .authserv_id = SLICE("mx.example.org"), .spf_mailfrom = spf, .helo = SLICE("mail.example.com"),
                                  .sender = slice_str(sender) };
}

static void nothing(void **state)
{
    struct auth_results r = { .authserv_id = SLICE("mx.example.org") };
    assert_string_equal(format(&r), "mx.example.org; none");
    r.authserv_id = SLICE("mx example");
    assert_string_equal(format(&r), "\"mx example\"; none");
}

static void spf(void **state)
{
    static const struct {
        const char *sender, *text;
    } cases[] = {
        { "joe@example.com", "smtp.mailfrom=joe@example.com" },
        { "Joe.User+x@Example.COM", "smtp.mailfrom=Joe.User+x@example.com" },
        { "prvs=12=joe@example.com", "smtp.mailfrom=\"prvs=12=joe@example.com\"" },
        { "o'neil@example.com", "smtp.mailfrom=o'neil@example.com" },
        { "\"x\\\"; dkim=pass\"@example.com", "smtp.mailfrom=example.com" },
        { "\"joe smith\"@example.com", "smtp.mailfrom=example.com" },
        { "j\xc3\xb6@example.com", "smtp.mailfrom=example.com" },
        { "joe@b\xc3\xbc" "cher.example", "smtp.mailfrom=joe@xn--bcher-kva.example" },
        { "joe@[192.0.2.1]", "smtp.mailfrom=\"[192.0.2.1]\"" },
        { "", "smtp.helo=mail.example.com" },
    };
    struct spf s = { .result = SPF_SOFTFAIL, .reason = SLICE("~all of example.com") };
    for (size_t i = 0; i < countof(cases); i++) {
        char want[200];
        struct auth_results r = about(&s, cases[i].sender);
        snprintf(want, sizeof want, "spf=softfail (~all of example.com)");
        assert_non_null(strstr(format(&r), want));
        assert_non_null(strstr(format(&r), cases[i].text));
        assert_true(slice_iends(slice_str(format(&r)), slice_str(cases[i].text)));
    }
    struct auth_results r = about(&s, "joe@example.com");
    r.spf_helo = &s;
    assert_string_equal(format(&r), "mx.example.org;\r\n\tspf=softfail (~all of example.com) smtp.helo=mail.example.com;\r\n"
                                    "\tspf=softfail (~all of example.com) smtp.mailfrom=joe@example.com");
    r.sender = SLICE("");
    assert_string_equal(format(&r), "mx.example.org;\r\n\tspf=softfail (~all of example.com) smtp.helo=mail.example.com");
    r = about(&s, "joe@example.com");
    s.reason = SLICE("(a) \"b\\; dkim=pass\r\n\x80 <c>  d");
    assert_string_equal(format(&r), "mx.example.org;\r\n\tspf=softfail ([a] 'b/, dkim:pass??? [c] d) smtp.mailfrom=joe@example.com");
}

static void dkim(void **state)
{
    struct dkim_signature s[3] = {
        { DKIM_PASS, .domain = SLICE("example.com"), .selector = SLICE("s1"), .identity = SLICE("@mail.example.com"),
          .algorithm = SLICE("rsa-sha256"), .b = SLICE("abcdefghijk=="), .bits = 2048, .reason = "good" },
        { DKIM_FAIL, .domain = SLICE("example.net"), .selector = SLICE("s2"), .algorithm = SLICE("ed25519-sha256"),
          .b = SLICE("abcdefghijK=="), .reason = "the body has changed" },
        { DKIM_NEUTRAL, .b = SLICE("ab/"), .testing = true, .reason = "malformed" },
    };
    struct dkim d = { DKIM_PASS, s, 3 };
    struct auth_results r = { .authserv_id = SLICE("mx.example.org"), .dkim = &d };
    assert_string_equal(format(&r),
        "mx.example.org;\r\n\tdkim=pass (2048-bit key, good) header.d=example.com\r\n"
        "\theader.i=@mail.example.com header.s=s1 header.a=rsa-sha256\r\n"
        "\theader.b=abcdefghijk;\r\n"
        "\tdkim=fail (the body has changed) header.d=example.net header.s=s2\r\n"
        "\theader.a=ed25519-sha256 header.b=abcdefghijK;\r\n"
        "\tdkim=neutral (test mode, malformed) header.b=\"ab/\"");
    d = (struct dkim){ DKIM_NONE, NULL, 0 };
    assert_string_equal(format(&r), "mx.example.org;\r\n\tdkim=none");
}

static void dmarc_and_arc(void **state)
{
    struct dmarc d = { .result = DMARC_FAIL, .asked = DMARC_ASK_QUARANTINE, .published = DMARC_ASK_REJECT, .author = SLICE("example.com"),
                       .sampled_out = true, .pct = 10, .reason = SLICE("neither SPF nor DKIM passed") };
    struct arc a = { .result = ARC_PASS, .n = 2, .reason = "good" };
    struct auth_results r = { .authserv_id = SLICE("mx.example.org"), .dmarc = &d, .arc = &a };
    assert_string_equal(format(&r),
        "mx.example.org;\r\n\tdmarc=fail (neither SPF nor DKIM passed, policy reject, spared by its\r\n"
        "\tsampling rate) header.from=example.com policy.dmarc=quarantine;\r\n"
        "\tarc=pass (2 sets, good) header.oldest-pass=0");
    d = (struct dmarc){ .result = DMARC_NONE, .author = SLICE("example.com"), .reason = SLICE("there is no policy") };
    r.dmarc_override = "local policy: mailing list";
    r.arc = NULL;
    assert_string_equal(format(&r), "mx.example.org;\r\n\tdmarc=none (there is no policy) (local policy: mailing list)\r\n"
                                    "\theader.from=example.com");
    r.dmarc = NULL;
    r.arc = &a;
    a = (struct arc){ .result = ARC_FAIL, .n = 1, .reason = "the seal is bad" };
    assert_true(ip_parse(SLICE("2001:db8::1"), &r.client));
    assert_string_equal(format(&r), "mx.example.org;\r\n\tarc=fail (1 set, the seal is bad) smtp.remote-ip=\"2001:db8::1\"");
}

/* Texts of strangers as long as can be: what comes out is bounded. */
static void bounded(void **state)
{
    static char big[100000];
    struct dkim_signature s[500];
    memset(big, 'a', sizeof big - 1);
    struct slice all = slice_str(big);
    for (size_t i = 0; i < countof(s); i++)
        s[i] = (struct dkim_signature){ DKIM_POLICY, .domain = slice_sub(all, 0, 253), .selector = slice_sub(all, 0, 253), .identity = all,
                                        .algorithm = all, .b = all, .reason = big };
    struct dkim d = { DKIM_POLICY, s, countof(s) };
    struct spf p = { .result = SPF_FAIL, .reason = all };
    struct dmarc m = { .result = DMARC_FAIL, .author = all, .reason = all };
    struct auth_results r = { .authserv_id = SLICE("mx.example.org"), .spf_helo = &p, .spf_mailfrom = &p, .helo = all, .sender = all,
                              .dkim = &d, .dmarc = &m, .dmarc_override = big };
    assert_true(strlen(format(&r)) < 32768);
}

static void whose(void **state)
{
    static const struct {
        const char *value;
        bool ours;
    } cases[] = {
        { " mx.example.org; none", true },
        { " MX.Example.ORG ; spf=pass", true },
        { "mx.example.org", true },
        { " mx.example.org. ; none", true },
        { "\r\n mx.example.org;\r\n none\r\n", true },
        { " mx.example.org 1; none", true },
        { " (c (n\\) ) \"x\") mx.example.org(d); none", true },
        { " \"mx.example.org\"; none", true },
        { " \"m\\x.example.org\"; none", true },
        { " \" mx.example.org \"; none", true },
        { " other.example; none", false },
        { " other.example 1; none", false },
        { " other.example(c)\r\n\t(d) 12 (e); none", false },
        { " \"other.example\"; none", false },
        { " (mx.example.org) other.example; none", false },
        { " other.example; x=mx.example.org", false },
        { " other.example; spf=pass (mx.example.org", false },
        { " mx.example.orgs; none", false },
        { " amx.example.org; none", false },
        { " example.org; none", false },
        { " other.example", false },
        { "", false },
        { " (only a comment)", false },
        /* in doubt */
        { " (not closed mx.example.org; none", true },
        { " (a\\", true },
        { " \"not closed; none", true },
        { " \"a\\", true },
        { " ; none", true },
        { " \"\"; none", true },
        { " spf=pass smtp.mailfrom=x", true },
        { " other.example/1; none", true },
        { " other.example mx.example.org; none", true },
        { " other.example, mx.example.org; none", true },
        { " other.example 1 2; none", true },
        { " other.example 1 mx.example.org; none", true },
        { " mx (c) .example.org; none", true },
        { " mx.exam\r\n ple.org; none", true },
        { " \"other\" \"x\"; none", true },
        { " =?utf-8?q?mx.example.org?=; none", true },
        { " other.example\x01; none", true },
        { " m\xc3\xbc" "ller.example; none", false },
        { " mx\xff.example; none", true },
        { " other.example; none\rAuthentication-Results: mx.example.org; spf=pass", true },
        { " other.example; none\nmx.example.org; spf=pass", true },
        { " other.example; none\r\n\r\n", true },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        bool is = auth_results_is_from(slice_str(cases[i].value), SLICE("mx.example.org"));
        if (is != cases[i].ours) print_error("%s\n", cases[i].value);
        assert_int_equal(is, cases[i].ours);
    }
    assert_true(auth_results_is_from(slice_of(" other.example\0; x", 18), SLICE("mx.example.org")));
    assert_true(auth_results_is_from(slice_of(" mx.example.org\0.x; x", 21), SLICE("mx.example.org")));
    assert_true(auth_results_is_from(SLICE(" other.example; x"), SLICE("")));
    assert_true(auth_results_is_from(SLICE(" b\xc3\xbc" "cher.example; x"), SLICE("xn--bcher-kva.example")));
    char big[1000];
    memset(big, 'a', sizeof big);
    assert_true(auth_results_is_from(slice_of(big, sizeof big), SLICE("mx.example.org")));
    assert_false(auth_results_is_from(slice_of(big, 512), SLICE("mx.example.org")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing), cmocka_unit_test(spf), cmocka_unit_test(dkim), cmocka_unit_test(dmarc_and_arc),
        cmocka_unit_test(bounded), cmocka_unit_test(whose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
