/* SPDX-License-Identifier: Apache-2.0
 * Addresses in header fields: whom a From field names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/buf.h"
#include "base/mem.h"
#include "message/mailbox.h"

static bool note(void *arg, struct slice address)
{
    struct buf *b = arg;
    if (b->n) buf_add_char(b, '|');
    buf_add(b, address);
    return !slice_eq(address, SLICE("stop@x"));
}

static void lists(void **state)
{
    static const struct {
        const char *value, *addresses;
        enum mailbox_outcome outcome;
    } cases[] = {
        { " joe@example.com", "joe@example.com", MAILBOX_OK },
        { " Joe Q. Public <joe@example.com>", "joe@example.com", MAILBOX_OK },
        { " \"Joe, <x@y>\" <joe@example.com>", "joe@example.com", MAILBOX_OK },
        { " =?utf-8?q?J=C3=B6?= <joe@example.com>\r\n", "joe@example.com", MAILBOX_OK },
        { " joe@example.com, Ann\r\n <ann@example.com>", "joe@example.com|ann@example.com", MAILBOX_OK },
        { " joe (that is (me)) @ (at) example . com", "joe@example.com", MAILBOX_OK },
        { " (a \\) b) joe@example.com (c)", "joe@example.com", MAILBOX_OK },
        { " <@relay.example:joe@example.com>", "joe@example.com", MAILBOX_OK },
        { " \"joe smith\"@example.com", "\"joe smith\"@example.com", MAILBOX_OK },
        { " \"joe@evil\"@example.com", "\"joe@evil\"@example.com", MAILBOX_OK },
        { " joe@[192.0.2.1]", "joe@[192.0.2.1]", MAILBOX_OK },
        { " us: joe@a, <ann@b>;", "joe@a|ann@b", MAILBOX_OK },
        { " nobody:;", "", MAILBOX_OK },
        { "", "", MAILBOX_OK },
        { " , joe@a,, ann@b,", "joe@a|ann@b", MAILBOX_OK },
        { " j\xc3\xb6@b\xc3\xbc" "cher.example", "j\xc3\xb6@b\xc3\xbc" "cher.example", MAILBOX_OK },
        { " stop@x, joe@a", "stop@x", MAILBOX_STOPPED },
        { " joe", "", MAILBOX_MALFORMED },
        { " joe@", "", MAILBOX_MALFORMED },
        { " @a", "", MAILBOX_MALFORMED },
        { " joe@a@b", "", MAILBOX_MALFORMED },
        { " joe smith@a", "", MAILBOX_MALFORMED },
        { " joe@a b", "", MAILBOX_MALFORMED },
        { " ann@b <joe@a>", "", MAILBOX_MALFORMED },
        { " <joe@a> ann@b", "joe@a", MAILBOX_MALFORMED },
        { " <joe@a", "", MAILBOX_MALFORMED },
        { " <joe@a><ann@b>", "joe@a", MAILBOX_MALFORMED },
        { " <<joe@a>>", "", MAILBOX_MALFORMED },
        { " joe@a;", "joe@a", MAILBOX_MALFORMED },
        { " us: joe@a", "joe@a", MAILBOX_MALFORMED },
        { " us: them: joe@a;;", "", MAILBOX_MALFORMED },
        { " \"joe@a", "", MAILBOX_MALFORMED },
        { " (joe@a", "", MAILBOX_MALFORMED },
        { " <>", "", MAILBOX_MALFORMED },
        { " joe\x01@a", "", MAILBOX_MALFORMED },
        { " \"joe\" \"x\"@a", "", MAILBOX_MALFORMED },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct buf b = { 0 };
        enum mailbox_outcome outcome = mailbox_each(slice_str(cases[i].value), note, &b);
        if (outcome != cases[i].outcome || !slice_eq(buf_slice(&b), slice_str(cases[i].addresses)))
            fail_msg("%s: %d, %s", cases[i].value, (int)outcome, buf_cstr(&b));
        buf_deinit(&b);
    }
}

static void bounds(void **state)
{
    struct buf b = { 0 }, out = { 0 };
    for (int i = 0; i < 400; i++) buf_add_char(&b, 'x');
    buf_add_str(&b, "@example.com");
    assert_int_equal(mailbox_each(buf_slice(&b), note, &out), MAILBOX_MALFORMED);
    buf_clear(&b);
    for (int i = 0; i < 400; i++) buf_add_str(&b, "long name ");
    buf_add_str(&b, "<joe@a>");
    assert_int_equal(mailbox_each(buf_slice(&b), note, &out), MAILBOX_OK); /* names may be long */
    buf_clear(&b);
    for (int i = 0; i < 1000; i++) buf_add_char(&b, '(');
    assert_int_equal(mailbox_each(buf_slice(&b), note, &out), MAILBOX_MALFORMED);
    assert_int_equal(mailbox_each(slice_of(" a\0b@c", 6), note, &out), MAILBOX_MALFORMED);
    buf_deinit(&b);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
