/* SPDX-License-Identifier: Apache-2.0
 * Canonical forms of fields and bodies, and hashes of bodies that come in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include "base/base64.h"
#include "base/mem.h"
#include "mailauth/message.h"

static void sha256(struct slice s, uint8_t out[32])
{
    assert_int_equal(EVP_Digest(s.p ? s.p : "", s.n, out, NULL, EVP_sha256(), NULL), 1);
}

/* The forms once more, byte by byte and with the whole body at hand. */
static void reference(enum auth_canon canon, struct slice body, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < body.n;) {
        size_t end = i;
        while (end < body.n && !(body.p[end] == '\r' && end + 1 < body.n && body.p[end + 1] == '\n')) end++;
        struct slice line = slice_sub(body, i, end);
        if (canon == AUTH_RELAXED) {
            size_t from = out->n;
            for (size_t k = 0; k < line.n; k++) {
                bool blank = line.p[k] == ' ' || line.p[k] == '\t';
                if (!blank) buf_add_char(out, line.p[k]);
                else if (k == 0 || (line.p[k - 1] != ' ' && line.p[k - 1] != '\t')) buf_add_char(out, ' ');
            }
            if (out->n > from && out->p[out->n - 1] == ' ') out->n--;
        } else {
            buf_add(out, line);
        }
        buf_add_str(out, "\r\n");
        i = end + 2;
    }
    while (out->n >= 4 && !memcmp(out->p + out->n - 4, "\r\n\r\n", 4)) out->n -= 2;
    if (!out->n && canon == AUTH_SIMPLE) buf_add_str(out, "\r\n");
    if (out->n == 2 && canon == AUTH_RELAXED) out->n = 0;
}

/* In pieces of `step` bytes, all of it and the first `limit`. */
static void check(enum auth_canon canon, struct slice body, struct slice expected, size_t step, uint64_t limit)
{
    struct auth_body *b = auth_body_new();
    uint8_t all[32], part[32];
    uint64_t size;
    int whole = auth_body_want(b, canon, UINT64_MAX), first = auth_body_want(b, canon, limit), again = auth_body_want(b, canon, UINT64_MAX);
    assert_true(whole >= 0 && first >= 0 && first != whole);
    assert_int_equal(whole, again);
    for (size_t i = 0; i < body.n; i += step) auth_body_push(b, slice_sub(body, i, i + step));
    auth_body_end(b);
    sha256(expected, all);
    sha256(slice_sub(expected, 0, limit < expected.n ? (size_t)limit : expected.n), part);
    assert_memory_equal(auth_body_digest(b, whole, &size), all, 32);
    assert_int_equal(size, expected.n);
    assert_memory_equal(auth_body_digest(b, first, &size), part, 32);
    assert_int_equal(size, expected.n);
    auth_body_free(&b);
    assert_null(b);
    auth_body_free(&b);
}

static void forms(void **state)
{
    static const struct {
        const char *body, *simple, *relaxed;
    } cases[] = {
        { "", "\r\n", "" },                                                          /* RFC 6376 §3.4.3, §3.4.4 */
        { "\r\n", "\r\n", "" },
        { "\r\n\r\n\r\n", "\r\n", "" },
        { " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },       /* RFC 6376 §3.4.5 */
        { "a", "a\r\n", "a\r\n" },
        { "a\r\n", "a\r\n", "a\r\n" },
        { "a\r\n\r\n\r\nb\r\n\r\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n" },
        { "a \t", "a \t\r\n", "a\r\n" },
        { "a\r\n \r\n\t\r\n", "a\r\n \r\n\t\r\n", "a\r\n" },
        { " \r\n", " \r\n", "" },
        { "\t", "\t\r\n", "" },
        { " a", " a\r\n", " a\r\n" },
        { "\ta\t \tb", "\ta\t \tb\r\n", " a b\r\n" },
        { "\r\n\r\na", "\r\n\r\na\r\n", "\r\n\r\na\r\n" },
        { "a \r", "a \r\r\n", "a \r\r\n" },                                          /* a CR alone is no line's end */
        { "a \r \r\n", "a \r \r\n", "a \r\r\n" },
        { "a\rb\nc\r\n", "a\rb\nc\r\n", "a\rb\nc\r\n" },
        { "a\r\r\n\r\n", "a\r\r\n", "a\r\r\n" },
        { "\n\n", "\n\n\r\n", "\n\n\r\n" },
        { "\x80\xff\x01\r\n", "\x80\xff\x01\r\n", "\x80\xff\x01\r\n" },
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct slice body = slice_str(cases[i].body);
        for (size_t step = 1; step <= body.n + 1; step++)
            for (uint64_t limit = 0; limit < body.n + 4; limit++) {
                check(AUTH_SIMPLE, body, slice_str(cases[i].simple), step, limit);
                check(AUTH_RELAXED, body, slice_str(cases[i].relaxed), step, limit);
            }
    }
}

static void generated(void **state)
{
    static const char letters[] = "  \t\r\r\n\nab", rare[] = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ .,- \t\r\n";
    struct buf body = { 0 }, expected = { 0 };
    srand(1);
    for (size_t k = 0; k < 3000; k++) {
        buf_clear(&body);
        size_t n = (size_t)rand() % (k % 50 ? 60 : 20000);
        bool few = k % 2;
        while (body.n < n) {
            if (rand() % 8 == 0) buf_add_str(&body, "\r\n");
            buf_add_char(&body, few ? letters[(size_t)rand() % (sizeof letters - 1)] : rare[(size_t)rand() % (sizeof rare - 1)]);
        }
        size_t step = 1 + (size_t)rand() % (body.n + 1);
        for (int canon = AUTH_SIMPLE; canon <= AUTH_RELAXED; canon++) {
            reference((enum auth_canon)canon, buf_slice(&body), &expected);
            check((enum auth_canon)canon, buf_slice(&body), buf_slice(&expected), step, (uint64_t)rand() % (body.n + 4));
        }
    }
    buf_deinit(&body);
    buf_deinit(&expected);
}

/* Many empty lines, long lines, runs of blanks over the buffers' sizes. */
static void large(void **state)
{
    struct buf body = { 0 }, expected = { 0 };
    for (size_t i = 0; i < 9000; i++) buf_add_str(&body, i < 3000 ? "\r\n" : i < 6000 ? "x" : i % 3 ? " " : "  y");
    buf_add_str(&body, "\r\n\r\n");
    for (int canon = AUTH_SIMPLE; canon <= AUTH_RELAXED; canon++)
        for (size_t step = 1; step < 40000; step = step * 3 + 1) {
            reference((enum auth_canon)canon, buf_slice(&body), &expected);
            check((enum auth_canon)canon, buf_slice(&body), buf_slice(&expected), step, 6001);
        }
    buf_deinit(&body);
    buf_deinit(&expected);
}

static void empty_hashes(void **state)
{
    static const char *const known[] = { "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" };
    for (int canon = AUTH_SIMPLE; canon <= AUTH_RELAXED; canon++) { /* RFC 6376 §3.4.3, §3.4.4 */
        struct auth_body *b = auth_body_new();
        struct buf text = { 0 };
        uint64_t size;
        int w = auth_body_want(b, (enum auth_canon)canon, UINT64_MAX);
        auth_body_push(b, SLICE(""));
        auth_body_end(b);
        base64_add(&text, slice_of(auth_body_digest(b, w, &size), 32));
        assert_string_equal(buf_cstr(&text), known[canon]);
        buf_deinit(&text);
        auth_body_free(&b);
    }
}

static void wishes(void **state)
{
    struct auth_body *b = auth_body_new();
    uint64_t size;
    uint8_t digest[32];
    for (uint64_t i = 0; i < AUTH_BODY_HASHES; i++) assert_int_equal(auth_body_want(b, i % 2 ? AUTH_RELAXED : AUTH_SIMPLE, i * 3), (int)i);
    assert_int_equal(auth_body_want(b, AUTH_SIMPLE, 77), -1);
    assert_int_equal(auth_body_want(b, AUTH_RELAXED, 9), 3);
    auth_body_push(b, SLICE("0123456789012345678901234567890123456789012345678901234567890123456789\r\n"));
    auth_body_end(b);
    for (int i = 0; i < AUTH_BODY_HASHES; i++) {
        sha256(slice_of("0123456789012345678901234567890123456789012345678901234567890123456789", (size_t)i * 3), digest);
        assert_memory_equal(auth_body_digest(b, i, &size), digest, 32);
        assert_int_equal(size, 72);
    }
    auth_body_free(&b);
    b = auth_body_new(); /* nobody is interested */
    auth_body_push(b, SLICE("x\r\n"));
    auth_body_end(b);
    auth_body_free(&b);
}

static void fields(void **state)
{
    static const struct {
        const char *raw, *relaxed;
    } cases[] = {
        { "A: X", "a:X\r\n" },                       /* RFC 6376 §3.4.5 */
        { "B : Y\t\r\n\tZ  ", "b:Y Z\r\n" },
        { "Subject:", "subject:\r\n" },
        { "SUBJect: \t", "subject:\r\n" },
        { "X:a\r\n b\r\n\r\n", "x:a b\r\n" },
        { "X\t :a:b", "x:a:b\r\n" },
        { "X:\r\n a\r\n \r\n b\r\n ", "x:a b\r\n" },
        { "X: a\rb\nc", "x:a\rb\nc\r\n" },
        { ":", ":\r\n" },
    };
    struct buf out = { 0 };
    for (size_t i = 0; i < countof(cases); i++) {
        buf_clear(&out);
        auth_canon_field(AUTH_RELAXED, slice_str(cases[i].raw), &out);
        assert_string_equal(buf_cstr(&out), cases[i].relaxed);
        buf_clear(&out);
        auth_canon_field(AUTH_SIMPLE, slice_str(cases[i].raw), &out);
        assert_int_equal(out.n, strlen(cases[i].raw) + 2);
        assert_memory_equal(out.p, cases[i].raw, out.n - 2);
    }
    buf_deinit(&out);
}

static void headers(void **state)
{
    struct arena arena = { 0 };
    struct auth_header h = { .arena = &arena };
    auth_header_add(&h, SLICE("To: a"));
    auth_header_add(&h, SLICE("no field"));
    auth_header_add(&h, SLICE("From \t: b\r\n c\r\n"));
    auth_header_add(&h, SLICE("TO:d:e"));
    assert_int_equal(h.n, 3);
    assert_true(slice_eq(h.fields[1].name, SLICE("From")) && slice_eq(h.fields[1].value, SLICE(" b\r\n c")));
    assert_true(slice_eq(h.fields[1].raw, SLICE("From \t: b\r\n c")) && slice_eq(h.fields[2].value, SLICE("d:e")));
    assert_ptr_equal(auth_header_last(&h, SLICE("to"), h.n), &h.fields[2]);
    assert_ptr_equal(auth_header_last(&h, SLICE("to"), SIZE_MAX), &h.fields[2]);
    assert_ptr_equal(auth_header_last(&h, SLICE("to"), 2), &h.fields[0]);
    assert_null(auth_header_last(&h, SLICE("to"), 0));
    assert_null(auth_header_last(&h, SLICE("t"), h.n));
    assert_int_equal(auth_header_count(&h, SLICE("tO")), 2);
    while (h.n < AUTH_FIELDS_MAX) auth_header_add(&h, SLICE("X:"));
    assert_false(h.overflow);
    auth_header_add(&h, SLICE("X:"));
    assert_true(h.overflow && h.n == AUTH_FIELDS_MAX);

    struct auth_header large = { .arena = &arena };
    char *text = mem_alloc(AUTH_HEADER_MAX + 1);
    memset(text, ':', AUTH_HEADER_MAX + 1);
    auth_header_add(&large, slice_of(text, AUTH_HEADER_MAX));
    assert_true(large.n == 1 && !large.overflow);
    auth_header_add(&large, SLICE(":"));
    assert_true(large.n == 1 && large.overflow);
    free(text);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms), cmocka_unit_test(generated), cmocka_unit_test(large), cmocka_unit_test(empty_hashes),
        cmocka_unit_test(wishes), cmocka_unit_test(fields), cmocka_unit_test(headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
