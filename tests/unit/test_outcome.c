/* SPDX-License-Identifier: Apache-2.0
 * What checks may want done with a message: gathered, bounded, forgotten with it. And the mail that tells of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/mem.h"
#include "policy/notice.h"
#include "policy/outcome.h"
#include "policy/pipeline.h"

static struct config config;
static struct policy policy = { .config = &config };
static struct policy_engine engine = { .o = { .config = &config, .policy = &policy } };
static struct config_zone zone = { .name = "internet" };
static struct policy_run *run;

static int setup(void **state)
{
    run = policy_run_new(&engine, &(struct policy_client){ .zone = &zone }, false);
    return 0;
}

static int teardown(void **state)
{
    policy_run_free(&run);
    return 0;
}

static bool add(uint64_t at, uint64_t n, const char *with) { return policy_outcome_add_cut(run, at, n, slice_str(with), 100); }

static void cuts(void **state)
{
    assert_int_equal(policy_outcome(run)->cut_n, 0);
    assert_true(add(10, 5, "new"));
    assert_true(add(2, 3, ""));
    assert_false(add(12, 0, "within"));
    assert_false(add(9, 2, ""));
    assert_false(add(14, 1, ""));
    assert_false(add(0, 100, ""));
    assert_true(add(15, 5, "behind"));
    assert_true(add(10, 0, "before"));
    assert_true(add(10, 0, "and then"));
    assert_false(add(4, 7, "")); /* over what is put in */
    assert_true(add(5, 5, ""));
    assert_true(add(100, 0, "at the end"));
    assert_false(add(101, 0, "x"));
    assert_false(add(99, 2, "x"));
    assert_false(add(99, UINT64_MAX, "x"));
    assert_false(add(50, 0, ""));
    assert_false(add(50, 0, "a\n"));
    assert_false(add(50, 0, "a\rb\r\n"));
    assert_false(policy_outcome_add_cut(run, 50, 0, SLICE("\0"), 100));
    const struct content_outcome *o = policy_outcome(run);
    static const struct {
        uint64_t at, n;
        const char *with;
    } want[] = { { 2, 3, "" }, { 5, 5, "" }, { 10, 0, "before" }, { 10, 0, "and then" }, { 10, 5, "new" }, { 15, 5, "behind" },
                 { 100, 0, "at the end" } };
    assert_int_equal(o->cut_n, countof(want));
    for (size_t i = 0; i < countof(want); i++) {
        assert_int_equal(o->cuts[i].at, want[i].at);
        assert_int_equal(o->cuts[i].n, want[i].n);
        assert_true(slice_eq(o->cuts[i].with, slice_str(want[i].with)));
    }
    assert_true(envelope_cuts_ok(o->cuts, o->cut_n, 100));
}

/* The order in which they come does not matter where they are apart; what stays is always in order. */
static void any_order(void **state)
{
    uint32_t r = 5;
    for (int round = 0; round < 500; round++) {
        for (int i = 0; i < 60; i++) {
            uint64_t at = (r = r * 1664525 + 1013904223) >> 25, n = (r = r * 1664525 + 1013904223) >> 30;
            (void)!policy_outcome_add_cut(run, at, n, n % 2 ? SLICE("ab") : SLICE(""), 128);
        }
        const struct content_outcome *o = policy_outcome(run);
        assert_true(o->cut_n && envelope_cuts_ok(o->cuts, o->cut_n, 128));
        policy_end_transaction(run);
        assert_int_equal(policy_outcome(run)->cut_n, 0);
    }
}

static void bounds(void **state)
{
    char *text = mem_alloc(OUTCOME_CUTS_TEXT_MAX);
    memset(text, 'x', OUTCOME_CUTS_TEXT_MAX);
    assert_true(policy_outcome_add_cut(run, 0, 0, slice_of(text, OUTCOME_CUTS_TEXT_MAX - 10), 1000));
    assert_false(policy_outcome_add_cut(run, 1, 0, slice_of(text, 11), 1000));
    for (uint32_t i = 1; i < OUTCOME_CUTS_MAX; i++) assert_true(policy_outcome_add_cut(run, 2 * i, 1, SLICE(""), 1000));
    assert_false(policy_outcome_add_cut(run, 999, 1, SLICE(""), 1000));
    char line[1003];
    memset(line, 'x', sizeof line);
    memcpy(line, "X: ", 3);
    memcpy(line + 1000, "\r\n", 2);
    assert_false(policy_outcome_add_prepend(run, slice_of(line, 1002)));
    memcpy(line + 998, "\r\n", 2);
    int n = 0;
    while (policy_outcome_add_prepend(run, slice_of(line, 1000))) n++;
    assert_int_equal(n, OUTCOME_PREPEND_MAX / 1000);
    assert_int_equal(policy_outcome(run)->prepend.n, n * 1000);
    assert_true(policy_outcome_set_findings(run, slice_of(text, OUTCOME_FINDINGS_MAX), 5));
    assert_false(policy_outcome_set_findings(run, slice_of(text, OUTCOME_FINDINGS_MAX + 1), 7));
    assert_int_equal(policy_outcome(run)->findings.n, 0);
    assert_int_equal(policy_outcome(run)->score, 7);
    policy_outcome_set_subject(run, SLICE("L\xC3\xB6sung"));
    assert_true(slice_eq(policy_outcome(run)->subject, SLICE("L\xC3\xB6sung")));
    free(text);
}

static void fields(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        { "X-Spam: yes\r\n", true }, { "X:\r\n", true }, { "A: 1\r\nB: 2\r\n\tfolded\r\n", true }, { "", false }, { "X: a", false },
        { "X: a\n", false }, { "X: a\r\n\r\n", false }, { "\r\n", false }, { " X: a\r\n", false }, { "X: a\r\n \r\n", false },
        { "no field\r\n", false }, { ": x\r\n", false }, { "X y: x\r\n", false }, { "X: a\rb\r\n", false }, { "X: a\r\nyes\r\n", false },
        { "X\x80: a\r\n", false },
    };
    for (size_t i = 0; i < countof(cases); i++)
        if (policy_outcome_add_prepend(run, slice_str(cases[i].text)) != cases[i].ok) fail_msg("%s", cases[i].text);
    assert_true(slice_eq(policy_outcome(run)->prepend, SLICE("X-Spam: yes\r\nX:\r\nA: 1\r\nB: 2\r\n\tfolded\r\n")));
}

static void recipients(void **state)
{
    assert_false(policy_outcome_redirect(run, SLICE("nobody")));
    assert_false(policy_outcome_redirect(run, SLICE("a@b\r\nRCPT TO:<x@y>")));
    assert_true(policy_outcome_redirect(run, SLICE("quarantine@example.com")));
    assert_false(policy_outcome_redirect(run, SLICE("other@example.com")));
    assert_true(slice_eq(policy_outcome(run)->redirect, SLICE("quarantine@example.com")));
    for (int i = 0; i < OUTCOME_COPIES_MAX + 2; i++) {
        char a[40];
        snprintf(a, sizeof a, "copy%d@example.com", i);
        assert_int_equal(policy_outcome_copy(run, slice_str(a)), i < OUTCOME_COPIES_MAX);
    }
    assert_true(policy_outcome_copy(run, SLICE("COPY1@example.com")));
    assert_int_equal(policy_outcome(run)->copy_n, OUTCOME_COPIES_MAX);
}

static void notices(void **state)
{
    struct config_notify n = { .address = "admin@example.com", .recipients = true, .own_only = true, .from = "av@example.com" };
    policy_outcome_notify_all(run, NOTICE_VIRUS, &n, SLICE("the virus X"));
    policy_outcome_notify_all(run, NOTICE_VIRUS, &(struct config_notify){ 0 }, SLICE("nobody hears"));
    const struct content_outcome *o = policy_outcome(run);
    assert_int_equal(o->notice_n, 2);
    assert_true(!o->notices[0].to.n && o->notices[0].own_only && slice_eq(o->notices[0].from, SLICE("av@example.com")));
    assert_true(slice_eq(o->notices[1].to, SLICE("admin@example.com")) && !o->notices[1].own_only);
    assert_false(policy_outcome_notify(run, NOTICE_RULE, SLICE("<x>"), SLICE(""), SLICE("")));
    for (int i = 2; i < OUTCOME_NOTICES_MAX; i++) assert_true(policy_outcome_notify(run, NOTICE_RULE, SLICE("a@b.example"), SLICE(""), SLICE("x")));
    assert_false(policy_outcome_notify(run, NOTICE_RULE, SLICE("a@b.example"), SLICE(""), SLICE("x")));
}

static void mail(void **state)
{
    struct slice rcpts[30];
    struct buf b = { 0 };
    for (size_t i = 0; i < countof(rcpts); i++) rcpts[i] = SLICE("user@example.com");
    struct notice_mail m = { .hostname = "mx.example.com", .from = SLICE("postmaster@example.com"), .to = SLICE("admin@example.com"),
                             .what = SLICE("the virus Eicar\r\nBcc: x in \x80 a.exe"), .sender = SLICE("a@b.example"), .rcpts = rcpts,
                             .rcpt_n = 30, .subject = SLICE("hello\r\n.\r\nQUIT"), .untold = 7, .last = true };
    for (unsigned reason = 0; reason < NOTICE_REASONS; reason++)
        for (unsigned done = 0; done <= NOTICE_PASSED; done++) {
            m.reason = reason;
            m.done = done;
            buf_clear(&b);
            notice_format(&m, &b);
            for (size_t i = 0; i < b.n; i++)
                if (b.p[i] == '\n') assert_true(i && b.p[i - 1] == '\r');
            assert_non_null(strstr(buf_cstr(&b), notice_subject(reason)));
            assert_null(strstr(buf_cstr(&b), "\r\nBcc"));
            assert_null(strstr(buf_cstr(&b), "\r\n.\r\n"));
            assert_non_null(strstr(buf_cstr(&b), "and 10 more\r\n"));
            assert_non_null(strstr(buf_cstr(&b), "Auto-Submitted: auto-generated\r\n"));
        }
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cuts, setup, teardown),       cmocka_unit_test_setup_teardown(any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds, setup, teardown),     cmocka_unit_test_setup_teardown(fields, setup, teardown),
        cmocka_unit_test_setup_teardown(recipients, setup, teardown), cmocka_unit_test_setup_teardown(notices, setup, teardown),
        cmocka_unit_test(mail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
