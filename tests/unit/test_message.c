/* SPDX-License-Identifier: Apache-2.0
 * The reader of header fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/mem.h"
#include "message/header.h"

/* Fields as "name|value|" with ! behind a truncated value, its length in place of a long one. */
static void on_field(void *arg, struct slice name, struct slice value, bool truncated)
{
    struct buf *b = arg;
    buf_add(b, name);
    buf_add_char(b, '|');
    if (value.n > 1000) buf_addf(b, "#%zu", value.n);
    else buf_add(b, value);
    buf_add_str(b, truncated ? "!|" : "|");
}

struct seen {
    struct buf fields;
    uint64_t size;
    size_t taken;
    bool malformed, ended;
};

static struct seen read_in_pieces(struct slice text, size_t piece_max)
{
    struct seen seen = { 0 };
    struct header_reader r;
    header_reader_init(&r, on_field, &seen.fields);
    for (size_t at = 0, n; at < text.n && !r.ended; at += n) {
        n = text.n - at < piece_max ? text.n - at : piece_max;
        char *piece = mem_slicedup(slice_sub(text, at, at + n)); /* so that a sanitizer sees a slice kept too long */
        size_t took = header_read(&r, slice_of(piece, n));
        free(piece);
        assert_true(r.ended ? took <= n : took == n);
        seen.taken += took;
    }
    seen.ended = r.ended;
    if (r.ended) assert_int_equal(header_read(&r, SLICE("X: y\r\n")), 0);
    header_finish(&r);
    assert_true(r.ended);
    seen.size = r.size;
    seen.malformed = r.malformed;
    header_reader_deinit(&r);
    return seen;
}

static const struct {
    const char *text, *fields;
    size_t size;
    bool malformed;
} cases[] = {
    { "A: 1\r\nBc:2\r\n\r\nbody", "A| 1|Bc|2|", 14, false },
    { "A: 1\r\n folded\r\n\tmore\r\nB:\r\n\r\n", "A| 1\r\n folded\r\n\tmore|B||", 28, false },
    { "Subject \t: x:y\r\n\r\n", "Subject| x:y|", 18, false },
    { "\r\nbody", "", 2, false },
    { "A: 1\r\n", "A| 1|", 6, false },
    { "A: 1", "A| 1|", 4, false },
    { "A:", "A||", 2, false },
    { "A: 1\r\nno field here\r\nB: 2\r\n", "A| 1|", 6, true },
    { "A: 1\r\nno-field\r\nB: 2\r\n", "A| 1|", 6, true },
    { "A: 1\r\nno-field", "A| 1|", 6, true },
    { "no field\r\n", "", 0, true },
    { " folded first: x\r\n", "", 0, true },
    { ": empty name\r\n", "", 0, true },
    { "N\xc3\xa4me: x\r\n", "", 0, true },
    { "A: b\r\n\rX: c\r\n", "A| b|", 6, true },
    { "A: b\r\n\r", "A| b|", 6, true },
    { "A: \xc3\xa4\r\n \r\nB: c\r\n\r\n", "A| \xc3\xa4\r\n |B| c|", 18, false },
    { "A: 1\nB: 2\n\nbody", "A| 1|B| 2|", 11, false },
    { "", "", 0, false },
};

static void test_cases(void **state)
{
    for (size_t i = 0; i < countof(cases); i++)
        for (size_t piece = 1; piece < 40; piece++) {
            struct slice text = slice_str(cases[i].text);
            struct seen s = read_in_pieces(text, piece);
            if (!slice_eq(buf_slice(&s.fields), slice_str(cases[i].fields)) || s.size != cases[i].size ||
                s.malformed != cases[i].malformed)
                fail_msg("row %zu in pieces of %zu: \"%s\", size %llu, malformed %d", i, piece, buf_cstr(&s.fields),
                         (unsigned long long)s.size, s.malformed);
            if (!s.malformed) assert_int_equal(s.taken, s.size);
            if (piece >= text.n && s.ended) assert_int_equal(s.taken, s.size);
            buf_deinit(&s.fields);
        }
}

static void test_long_field(void **state)
{
    for (int over = -1; over <= 3; over++) {
        struct buf text = { 0 }, want = { 0 };
        size_t value_n = (size_t)(HEADER_FIELD_MAX - 2 + over), kept = over > 0 ? HEADER_FIELD_MAX - 2 : value_n;
        buf_add_str(&text, "L:");
        for (size_t i = 0; i < value_n; i++) buf_add_char(&text, i % 70 == 69 ? ' ' : 'x');
        buf_add_str(&text, "\r\nN: x\r\n\r\n");
        buf_addf(&want, "L|#%zu%s|N| x|", kept, over > 0 ? "!" : "");
        for (size_t piece = 1; piece < 200000; piece *= 7) {
            struct seen s = read_in_pieces(buf_slice(&text), piece);
            assert_string_equal(buf_cstr(&s.fields), buf_cstr(&want));
            assert_int_equal(s.size, text.n);
            buf_deinit(&s.fields);
        }
        buf_deinit(&text);
        buf_deinit(&want);
    }
}

static void test_long_name_is_no_field(void **state)
{
    struct buf text = { 0 };
    buf_add_str(&text, "A: 1\r\n");
    for (int i = 0; i < 100000; i++) buf_add_char(&text, 'x');
    buf_add_str(&text, ": y\r\n");
    struct seen s = read_in_pieces(buf_slice(&text), 1000);
    assert_true(s.malformed);
    assert_int_equal(s.size, 6);
    assert_string_equal(buf_cstr(&s.fields), "A| 1|");
    buf_deinit(&s.fields);
    buf_deinit(&text);
}

static void test_random_splits(void **state)
{
    static const char *const parts[] = {
        "A", ":", " ", "\r\n", "\r\n", "b", "\t", "\r", "\n", "Name: value\r\n", "Name: value\r\n"
    };
    srand(7);
    for (int i = 0; i < 20000; i++) {
        struct buf text = { 0 };
        for (int n = rand() % 14; n > 0; n--) buf_add_str(&text, parts[(size_t)rand() % countof(parts)]);
        struct seen whole = read_in_pieces(buf_slice(&text), 1000),
                    split = read_in_pieces(buf_slice(&text), (size_t)(1 + rand() % 5));
        assert_true(slice_eq(buf_slice(&whole.fields), buf_slice(&split.fields)));
        assert_true(whole.size == split.size && whole.malformed == split.malformed && whole.ended == split.ended);
        buf_deinit(&whole.fields);
        buf_deinit(&split.fields);
        buf_deinit(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_long_field),
        cmocka_unit_test(test_long_name_is_no_field),
        cmocka_unit_test(test_random_splits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
