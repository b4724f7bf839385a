/* SPDX-License-Identifier: Apache-2.0
 * Registrable domains, by the public suffix list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/public_suffix.h"

static void test_registrable(void **state)
{
    static const struct {
        const char *name, *domain; /* "": none */
    } cases[] = {
        { "example.org", "example.org" },
        { "mx1.mail.example.org", "example.org" },
        { "foo.co.uk", "foo.co.uk" },
        { "mail.foo.co.uk", "foo.co.uk" },
        { "Mail.Foo.CO.UK", "Foo.CO.UK" },
        { "mail.foo.co.uk.", "foo.co.uk" },
        { "co.uk", "" },
        { "org", "" },
        { "localhost", "" },
        { "host.nobody-has-this-tld", "host.nobody-has-this-tld" },
        { "a.b.host.nobody-has-this-tld", "host.nobody-has-this-tld" },
        { "me.github.io", "me.github.io" }, /* what a company lets its customers have */
        { "github.io", "" },
        { "a.b.ck", "a.b.ck" }, /* *.ck */
        { "b.ck", "" },
        { "x.www.ck", "www.ck" }, /* but for www.ck */
        { "mx.xn--bcher-kva.xn--p1ai", "xn--bcher-kva.xn--p1ai" },
        { "192.0.2.1", "" },
        { "2001:db8::1", "" },
        { "", "" },
        { ".", "" },
        { ".example.org", "" },
        { "a..example.org", "" },
        { "example.org..", "" },
    };
    struct public_suffix *l = public_suffix_load();
    assert_non_null(l);
    for (size_t i = 0; i < countof(cases); i++) {
        struct slice name = slice_str(cases[i].name), d = public_suffix_registrable(l, name);
        if (!slice_eq(d, slice_str(cases[i].domain))) fail_msg("%s: got %.*s", cases[i].name, SLICE_ARG(d));
        if (d.n) assert_true(d.p >= name.p && d.p + d.n <= name.p + name.n);
    }
    assert_int_equal(public_suffix_registrable(l, slice_of("a\0.example.org", 14)).n, 0);
    assert_int_equal(public_suffix_registrable(NULL, SLICE("example.org")).n, 0);
    public_suffix_free(l);
    public_suffix_free(NULL);
}

/* A slice ends where it ends, and no name is too long. */
static void test_bounds(void **state)
{
    struct public_suffix *l = public_suffix_load();
    for (size_t n = 0; n < 300; n++) {
        char *name = mem_alloc(n + 1);
        for (size_t i = 0; i < n; i++) name[i] = i % 2 ? '.' : 'a';
        struct slice d = public_suffix_registrable(l, slice_of(name, n));
        assert_int_equal(d.n, n < 3 || n > 254 ? 0 : 3);
        free(name);
    }
    public_suffix_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_registrable), cmocka_unit_test(test_bounds) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
