/* SPDX-License-Identifier: Apache-2.0
 * The envelope on disk: what is written is read again, old records are read, damaged ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/mem.h"
#include "spool/envelope.h"

static struct arena arena;
static struct err err;

static struct envelope decode(struct slice s)
{
    struct envelope e;
    if (!envelope_decode(s, &arena, &e, &err)) fail_msg("%s", err.text);
    return e;
}

static void all_fields(void **state)
{
    struct slice rcpts[] = { SLICE("a@example.com"), SLICE("b@example.com"), SLICE("c@example.com") };
    struct envelope_dsn dsn[] = { { NOTIFY_SUCCESS | NOTIFY_DELAY, SLICE("rfc822;A@example.com") }, { 0 },
                                  { NOTIFY_NEVER, { 0 } } };
    struct envelope e = { .id = 7, .arrival = 8, .flags = ENVELOPE_DSN_SEEN | ENVELOPE_SMTPUTF8 | ENVELOPE_RET_HDRS | ENVELOPE_AUTHED,
                          .sender = SLICE("s@example.org"), .rcpts = rcpts, .rcpt_n = 3, .rcpt_dsn = dsn, .envid = SLICE("QQ+2B"),
                          .account = SLICE("joe"), .text_size = 9 };
    struct buf b = { 0 };
    envelope_encode(&e, &b);
    struct envelope d = decode(buf_slice(&b));
    assert_int_equal(d.flags, e.flags);
    assert_int_equal(d.rcpt_n, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(slice_eq(d.rcpts[i], rcpts[i]) && slice_eq(d.rcpt_dsn[i].orcpt, dsn[i].orcpt));
        assert_int_equal(d.rcpt_dsn[i].notify, dsn[i].notify);
    }
    assert_true(slice_eq(d.envid, e.envid) && slice_eq(d.account, e.account));
    /* each shortened record is refused or is read without a fault */
    for (size_t n = 0; n < b.n; n++) {
        struct envelope cut;
        char *copy = mem_slicedup(slice_of(b.p, n));
        if (envelope_decode(slice_of(copy, n), &arena, &cut, &err)) assert_true(cut.rcpt_n <= 3);
        free(copy);
    }
    buf_deinit(&b);
}

static void without_dsn(void **state)
{
    struct slice rcpts[] = { SLICE("a@example.com") };
    struct envelope e = { .rcpts = rcpts, .rcpt_n = 1 };
    struct buf b = { 0 };
    envelope_encode(&e, &b);
    assert_null(decode(buf_slice(&b)).rcpt_dsn);
    buf_clear(&b);
    e.flags = ENVELOPE_DSN_SEEN;
    envelope_encode(&e, &b);
    assert_non_null(decode(buf_slice(&b)).rcpt_dsn);
    buf_deinit(&b);
}

#define HEAD "\x01\x08\0\0\0\0\0\0\0\0\x02\x08\0\0\0\0\0\0\0\0\x0a\x08\0\0\0\0\0\0\0\0" /* id, arrival, text size */

static void damaged(void **state)
{
    const struct {
        struct slice s;
        bool ok;
    } cases[] = {
        { SLICE(HEAD "\x08\x01" "a" "\x0d\x01\x08"), true },
        { SLICE(HEAD "\x0d\x01\x08"), false },                          /* of no recipient */
        { SLICE(HEAD "\x08\x01" "a" "\x0d\x01\x08\x0d\x01\x08"), false }, /* twice */
        { SLICE(HEAD "\x08\x01" "a" "\x0d\0"), false },                 /* empty */
        { SLICE(HEAD "\x08\x01" "a" "\x0d\x01\x09"), false },           /* never, and success */
        { SLICE(HEAD "\x08\x01" "a" "\x0d\x01\x80"), false },
        { SLICE(HEAD "\x08\x01" "a" "\x0e\x01" "x" "\x0d\x01\x08"), false }, /* not right behind */
        { SLICE(HEAD "\x0e\x01" "x" "\x0e\x01" "x"), false },           /* two of what comes once */
        { SLICE(HEAD "\x7f\x01" "x"), true },                           /* of a later version */
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct envelope e;
        if (envelope_decode(cases[i].s, &arena, &e, &err) != cases[i].ok) fail_msg("case %zu", i);
    }
    struct buf b = { 0 };
    buf_add(&b, SLICE(HEAD "\x0e\x65")); /* an ENVID of 101 bytes */
    for (int i = 0; i < 101; i++) buf_add_char(&b, 'x');
    struct envelope e;
    assert_false(envelope_decode(buf_slice(&b), &arena, &e, &err));
    buf_deinit(&b);
}

static int clean_up(void **state)
{
    arena_deinit(&arena);
    return 0;
}

/* The text that is left, put together by its runs. */
static void put_together(const struct envelope *e, const char *text, char *out)
{
    uint64_t from, n, at = 0;
    for (; (n = envelope_run(e, at, &from)); at += n) memcpy(out + at, text + from, n);
    assert_int_equal(at, envelope_sent_size(e));
    out[at] = 0;
    for (uint64_t i = 0; i < at; i++) { /* from anywhere */
        assert_true(envelope_run(e, i, &from) > 0);
        assert_int_equal(text[from], out[i]);
    }
    assert_int_equal(envelope_run(e, at + 1, &from), 0);
}

static void cuts(void **state)
{
    struct slice rcpts[] = { SLICE("a@example.com") };
    struct envelope_cut some[] = { { 0, 2 }, { 4, 1 }, { 5, 1 }, { 8, 2 } };
    struct envelope e = { .rcpts = rcpts, .rcpt_n = 1, .text_size = 10, .cuts = some };
    const char *const left[] = { "0123456789", "23456789", "2356789", "236789", "2367" };
    for (e.cut_n = 0; e.cut_n <= 4; e.cut_n++) {
        struct buf b = { 0 };
        char out[11];
        envelope_encode(&e, &b);
        struct envelope d = decode(buf_slice(&b));
        assert_int_equal(d.cut_n, e.cut_n);
        put_together(&d, "0123456789", out);
        assert_string_equal(out, left[e.cut_n]);
        buf_deinit(&b);
    }
    struct envelope_cut all = { 0, 10 };
    e.cuts = &all;
    e.cut_n = 1;
    assert_int_equal(envelope_sent_size(&e), 0);
    static const struct envelope_cut bad[][2] = {
        { { 0, 0 }, { 1, 1 } }, { { 4, 2 }, { 5, 1 } }, { { 4, 2 }, { 2, 1 } }, { { 1, 1 }, { 9, 2 } }, { { 1, 1 }, { 11, 1 } },
        { { 1, 1 }, { UINT64_MAX, UINT32_MAX } },
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct buf b = { 0 };
        struct envelope d;
        e.cuts = bad[i];
        e.cut_n = 2;
        envelope_encode(&e, &b);
        assert_false(envelope_decode(buf_slice(&b), &arena, &d, &err));
        buf_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields),
        cmocka_unit_test(without_dsn),
        cmocka_unit_test(cuts),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
