/* SPDX-License-Identifier: Apache-2.0
 * Taking over main.cf: names, lines, tables, and what must never come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "import/import.h"

static char folder[64];
static struct import *im;

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/test-import-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const names[] = { "main.cf", "master.cf", "table" };
    char path[128];
    import_free(im);
    im = NULL;
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

#define START "myhostname = mx.example.com\nmydestination =\nmynetworks = 127.0.0.1\n"

/* What main.cf becomes; valid until the end of the test. */
static const char *made(const char *text)
{
    struct err err;
    struct buf b = { 0 };
    put("main.cf", text);
    import_free(im);
    im = import_new(folder, true);
    assert_true(import_read_postfix(im, &err));
    struct slice s = import_compose(im);
    buf_add(&b, s);
    static char kept[65536];
    snprintf(kept, sizeof kept, "%s", buf_cstr(&b));
    buf_deinit(&b);
    return kept;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part)) return;
    print_error("not there: %s\n", part);
    fputs(text, stderr);
    fail();
}

static void names_are_replaced(void **state)
{
    const char *out = made(START "a = $b\nb = ${c}\nc = 5\nminimal_backoff_time = ${a}m\nrelayhost = ${x?wrong}${x:[right.example]}\n"
                                 "bounce_queue_lifetime = ${a?{1d}:{2d}}\nsmtp_helo_name = a$$b\n");
    assert_has(out, "retry_first: 300s");
    assert_has(out, "smarthost: right.example");
    assert_has(out, "bounce_lifetime: 1d");
}

static void loops_end(void **state)
{
    made(START "a = $b\nb = ${c?{$a}:{$a}}\nc = $a\nalways_bcc = $a\nx = $y$y$y$y$y$y$y$y$y$y\ny = $z$z$z$z$z$z$z$z$z$z\nz = $w$w$w$w$w$w$w$w$w$w\n"
               "w = $v$v$v$v$v$v$v$v$v$v\nv = $u$u$u$u$u$u$u$u$u$u\nu = 1234567890\nrelayhost = $x\n");
    assert_int_equal(import_count(im, IMPORT_LEFT_OUT), 2);
}

static void a_line_has_its_number(void **state)
{
    const char *out = made("# one\n\nmyhostname = mx.example.com\nmydestination =\nmynetworks = 127.0.0.1,\n  # two\n\n  10.1.0.0/16\nrelay_domains = a.example,\n"
                           "    b.example\n");
    assert_has(out, "# main.cf:9 relay_domains\n  - {name: a.example");
    assert_has(out, "# main.cf:10 relay_domains\n  - {name: b.example");
    assert_has(out, "networks: [127.0.0.1, 10.1.0.0/16]");
}

static void entries_are_scalars(void **state)
{
    put("table", "anna@example.com \"b: c\"@example.org\nx@example.com y@example.org}]\nnull null\n");
    const char *out = made(START "virtual_alias_maps = hash:table\nalways_bcc = a@b.example\\\n\nsmtp_bind_address = 1.2.3.4, hostname: x\n");
    assert_null(strstr(out, "\nhostname: x"));
    assert_has(out, "to: [\"\\\"b: c\\\"@example.org\"]");
}

static void a_line_is_dropped(void **state)
{
    struct slice text;
    made(START "relayhost = [a.example]\n");
    text = import_compose(im);
    uint32_t line = 1;
    const char *at = memmem(text.p, text.n, "smarthost:", 10);
    assert_non_null(at);
    for (const char *p = text.p; p < at; p++) line += *p == '\n';
    assert_true(import_drop_line(im, line, "why"));
    text = import_compose(im);
    assert_null(memmem(text.p, text.n, "smarthost:", 10));
    assert_int_equal(import_count(im, IMPORT_LEFT_OUT), 1);
    assert_false(import_drop_line(im, 1, "nothing is there"));
}

static void expressions_fit_the_whole(void **state)
{
    put("table", "/^a@b\\.example$/ REJECT\n/^x/ REJECT\n/y|z/ REJECT\n/end$/ REJECT no\\\n");
    const char *out = made(START "smtpd_sender_restrictions = check_sender_access pcre:table\n");
    assert_has(out, "\"/a@b\\\\.example/\"");
    assert_has(out, "\"/x.*/\"");
    assert_has(out, "\"/.*(?:y|z).*/\"");
    assert_has(out, "\"/.*end/\"");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loops_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_has_its_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(entries_are_scalars, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(expressions_fit_the_whole, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
