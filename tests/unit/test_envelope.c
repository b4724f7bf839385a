/* SPDX-License-Identifier: Apache-2.0
 * The envelope on disk: what is written is read again, old records are read, damaged ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/mem.h"
#include "cuts_help.h"

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

static void marks(void **state)
{
    struct slice rcpts[] = { SLICE("a@example.com"), SLICE("b@example.com"), SLICE("c@example.com"), SLICE("d@example.com") };
    uint8_t some[] = { 0, MARK_COPY | MARK_FORWARDED, MARK_GROUP, 0x80 };
    struct envelope_dsn dsn[] = { { 0 }, { NOTIFY_NEVER, { 0 } }, { 0 }, { 0 } };
    struct envelope e = { .rcpts = rcpts, .rcpt_n = 4, .rcpt_marks = some, .rcpt_dsn = dsn };
    struct buf b = { 0 };
    envelope_encode(&e, &b);
    struct envelope d = decode(buf_slice(&b));
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(d.rcpt_marks[i], some[i]); /* also what a later version knows */
        assert_int_equal(d.rcpt_dsn[i].notify, dsn[i].notify);
    }
    assert_string_equal(envelope_marks_name(some[1]), "forwarded, copy");
    assert_string_equal(envelope_marks_name(some[3]), "");
    e.rcpt_dsn = NULL;
    buf_clear(&b);
    envelope_encode(&e, &b);
    d = decode(buf_slice(&b));
    assert_int_equal(envelope_marks(&d, 2), MARK_GROUP);
    assert_null(d.rcpt_dsn);
    memset(some, 0, sizeof some);
    buf_clear(&b);
    envelope_encode(&e, &b);
    d = decode(buf_slice(&b));
    assert_null(d.rcpt_marks);
    assert_int_equal(envelope_marks(&d, 1), 0);
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
        { SLICE(HEAD "\x08\x01" "a" "\x17\x01\x02"), true },            /* marks: of a recipient, */
        { SLICE(HEAD "\x08\x01" "a" "\x0d\x01\x08\x17\x01\x02"), true }, /* behind what was said of it, */
        { SLICE(HEAD "\x08\x01" "a" "\x17\x01\x02\x0d\x01\x08"), false }, /* not before that, */
        { SLICE(HEAD "\x08\x01" "a" "\x17\x01\x02\x17\x01\x02"), false }, /* once, */
        { SLICE(HEAD "\x17\x01\x02"), false }, { SLICE(HEAD "\x08\x01" "a" "\x17\0"), false },
        { SLICE(HEAD "\x08\x01" "a" "\x17\x02\x01\x01"), false },      /* one byte */
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

/* The text that is sent, put together by its runs. */
static void put_together(const struct envelope *e, const char *text, struct buf *out)
{
    struct slice with;
    uint64_t from = 0, n, at = 0;
    buf_clear(out);
    for (; (n = envelope_run(e, at, &from, &with)); at += n) buf_add(out, with.p ? with : slice_of(text + from, n));
    assert_int_equal(at, envelope_sent_size(e));
    assert_int_equal(at, out->n);
    for (uint64_t i = 0; i < at; i++) { /* from anywhere */
        assert_true(envelope_run(e, i, &from, &with) > 0);
        assert_int_equal(with.p ? with.p[0] : text[from], out->p[i]);
    }
    assert_int_equal(envelope_run(e, at + 1, &from, &with), 0);
}

static void cuts(void **state)
{
    struct slice rcpts[] = { SLICE("a@example.com") };
    struct envelope_cut some[] = { { .at = 0, .n = 2 }, { .at = 4, .n = 1 }, { .at = 5, .n = 1 }, { .at = 8, .n = 2 } };
    struct envelope e = { .rcpts = rcpts, .rcpt_n = 1, .text_size = 10, .cuts = some };
    const char *const left[] = { "0123456789", "23456789", "2356789", "236789", "2367" };
    for (e.cut_n = 0; e.cut_n <= 4; e.cut_n++) {
        struct buf b = { 0 };
        struct buf out = { 0 };
        envelope_encode(&e, &b);
        struct envelope d = decode(buf_slice(&b));
        assert_int_equal(d.cut_n, e.cut_n);
        put_together(&d, "0123456789", &out);
        assert_string_equal(buf_cstr(&out), left[e.cut_n]);
        buf_deinit(&out);
        buf_deinit(&b);
    }
    struct envelope_cut all = { .n = 10 };
    e.cuts = &all;
    e.cut_n = 1;
    assert_int_equal(envelope_sent_size(&e), 0);
    static const struct envelope_cut bad[][2] = {
        { { .at = 0 }, { .at = 1, .n = 1 } },
        { { .at = 4, .n = 2 }, { .at = 5, .n = 1 } },
        { { .at = 4, .n = 2 }, { .at = 2, .n = 1 } },
        { { .at = 1, .n = 1 }, { .at = 9, .n = 2 } },
        { { .at = 1, .n = 1 }, { .at = 11, .n = 1 } },
        { { .at = 1, .n = 1 }, { .at = UINT64_MAX, .n = UINT64_MAX } },
        { { .at = 1, .n = 1 }, { .at = 2, .n = UINT64_MAX } },
        { { .at = 4, .n = 2, .with = { "x", 1 } }, { .at = 5, .with = { "y", 1 } } },
        { { .at = 4, .n = 2, .with = { "x", 1 } }, { .at = 11, .with = { "y", 1 } } },
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

static uint32_t dice(uint64_t *state, uint32_t sides)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % sides;
}

static uint32_t make_edits(uint64_t *r, size_t n, struct envelope_cut *cuts, char *room)
{
    uint32_t k = 0;
    for (size_t at = 0; at <= n && k < ENVELOPE_CUTS_MAX; at += dice(r, 6)) {
        struct envelope_cut c = { .at = at, .n = dice(r, 3) ? dice(r, (uint32_t)(n - at) + 1) % 9 : 0 };
        c.with = slice_of(room, dice(r, 4));
        room += c.with.n;
        if (c.n || c.with.n) cuts[k++] = c;
        at += c.n;
    }
    return k;
}

static void random_edits(void **state)
{
    struct slice rcpts[] = { SLICE("a@example.com") };
    char text[100], room[300];
    uint64_t r = 7;
    struct buf want = { 0 }, got = { 0 }, b = { 0 };
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('0' + i % 10);
    for (size_t i = 0; i < sizeof room; i++) room[i] = (char)('a' + i % 26);
    for (int round = 0; round < 3000; round++) {
        struct envelope_cut cuts[ENVELOPE_CUTS_MAX];
        struct envelope e = { .rcpts = rcpts, .rcpt_n = 1, .text_size = dice(&r, sizeof text), .cuts = cuts };
        e.cut_n = make_edits(&r, e.text_size, cuts, room);
        assert_true(envelope_cuts_ok(cuts, e.cut_n, e.text_size));
        buf_clear(&b);
        envelope_encode(&e, &b);
        struct envelope d = decode(buf_slice(&b));
        assert_int_equal(d.cut_n, e.cut_n);
        edit(slice_of(text, e.text_size), cuts, e.cut_n, &want);
        put_together(&d, text, &got);
        assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
        arena_reset(&arena);
    }
    buf_deinit(&want);
    buf_deinit(&got);
    buf_deinit(&b);
}

static bool ends_with(const struct buf *b, struct slice end)
{
    return b->n >= end.n && slice_eq(slice_of(b->p + b->n - end.n, end.n), end);
}

/* Cuts alone are written as they ever were; what an older version cannot know, it refuses. */
static void forms(void **state)
{
    struct slice rcpts[] = { SLICE("a") };
    struct envelope_cut cut = { .at = 1, .n = 2 };
    struct envelope e = { .rcpts = rcpts, .rcpt_n = 1, .text_size = 9, .cuts = &cut, .cut_n = 1 };
    struct buf b = { 0 };
    envelope_encode(&e, &b);
    assert_true(ends_with(&b, SLICE("\x12\x0c\1\0\0\0\0\0\0\0\2\0\0\0")));
    buf_clear(&b);
    cut.with = SLICE("x");
    envelope_encode(&e, &b);
    assert_true(ends_with(&b, SLICE("\x12\0\x13\x15\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0x")));
    buf_clear(&b);
    cut = (struct envelope_cut){ .n = (uint64_t)5 << 32 };
    e.text_size = (uint64_t)6 << 32;
    envelope_encode(&e, &b);
    assert_int_equal(envelope_sent_size(&(struct envelope){ .text_size = e.text_size, .cuts = &cut, .cut_n = 1 }), (uint64_t)1 << 32);
    assert_true(decode(buf_slice(&b)).cuts[0].n == cut.n);
    const struct slice bad[] = {
        SLICE(HEAD "\x12\0"),                                             /* announced, not there */
        SLICE(HEAD "\x12\0\x0e\x01x\x13\x15\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0x"), /* not right behind */
        SLICE(HEAD "\x13\x15\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0x"),      /* not announced */
        SLICE(HEAD "\x12\0\x13\0"),                                       /* none */
        SLICE(HEAD "\x12\0\x13\x15\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0x"), /* shorter than it says */
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct envelope d;
        if (envelope_decode(bad[i], &arena, &d, &err)) fail_msg("case %zu", i);
    }
    buf_deinit(&b);
}

static void too_much(void **state)
{
    struct envelope_cut cuts[ENVELOPE_CUTS_MAX + 1];
    char *text = mem_zalloc(ENVELOPE_CUTS_TEXT_MAX);
    for (size_t i = 0; i < countof(cuts); i++) cuts[i] = (struct envelope_cut){ .at = i, .with = SLICE("x") };
    assert_true(envelope_cuts_ok(cuts, ENVELOPE_CUTS_MAX, 100));
    assert_false(envelope_cuts_ok(cuts, ENVELOPE_CUTS_MAX + 1, 100));
    cuts[0].with = slice_of(text, ENVELOPE_CUTS_TEXT_MAX);
    assert_true(envelope_cuts_ok(cuts, 1, 100));
    assert_false(envelope_cuts_ok(cuts, 2, 100));
    free(text);
}

static void quarantine(void **state)
{
    struct slice rcpts[] = { SLICE("a") };
    struct envelope e = { .rcpts = rcpts, .rcpt_n = 1, .flags = ENVELOPE_QUARANTINED, .quarantine = QUARANTINE_SPAM, .score = -725,
                          .findings = SLICE("{}"), .hold = SLICE("spam") };
    struct buf b = { 0 };
    envelope_encode(&e, &b);
    struct envelope d = decode(buf_slice(&b));
    assert_int_equal(d.quarantine, QUARANTINE_SPAM);
    assert_int_equal(d.score, -725);
    assert_true(slice_eq(d.findings, e.findings) && slice_eq(d.hold, e.hold) && d.flags == e.flags);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields),
        cmocka_unit_test(without_dsn),
        cmocka_unit_test(marks),
        cmocka_unit_test(cuts),
        cmocka_unit_test(random_edits),
        cmocka_unit_test(forms),
        cmocka_unit_test(too_much),
        cmocka_unit_test(quarantine),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
