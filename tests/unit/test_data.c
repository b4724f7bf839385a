/* SPDX-License-Identifier: Apache-2.0
 * The text of a message on the wire: what ends it, what does not, and the fast reader against a plain one that keeps
 * whole lines, over random texts in random pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/mem.h"
#include "smtp/data.h"

static uint64_t seed = 20261121;

static uint32_t draw(uint32_t below) /* xorshift64*: the same numbers in every run */
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (uint32_t)(seed * 2685821657736338717u >> 33) % below;
}

/* ---- the plain reader */

struct plain {
    struct buf text;
    size_t used;
    bool end, bare_cr, bare_lf, nul, has_8bit, has_dots, long_line;
};

static bool ends_line(struct slice line) /* LF behind exactly one CR */
{
    return line.n >= 2 && line.p[line.n - 1] == '\n' && line.p[line.n - 2] == '\r' &&
           (line.n == 2 || line.p[line.n - 3] != '\r');
}

static void plain_take_line(struct plain *p, struct slice line, uint64_t line_max)
{
    if (line.n && line.p[0] == '.') {
        if (slice_eq(line, SLICE(".\r"))) return; /* at the end of the input only: not decided yet */
        line = slice_sub(line, 1, line.n);
        if (line.n && line.p[0] == '.') p->has_dots = true;
    }
    if (line.n > line_max) p->long_line = true;
    buf_add(&p->text, line);
}

static void plain_read(struct plain *p, struct slice in, uint64_t line_max)
{
    size_t from = 0, at = 0;
    while (at < in.n && !p->end) {
        struct slice line = slice_sub(in, from, ++at);
        if (!ends_line(line)) continue;
        p->end = slice_eq(line, SLICE(".\r\n"));
        if (!p->end) plain_take_line(p, line, line_max);
        from = at;
    }
    if (!p->end) plain_take_line(p, slice_sub(in, from, in.n), line_max);
    p->used = at;
    for (size_t i = 0; i < at; i++) {
        if (in.p[i] == '\r' && i + 1 < at && in.p[i + 1] != '\n') p->bare_cr = true;
        if (in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r')) p->bare_lf = true;
        if (in.p[i] == 0) p->nul = true;
        if ((unsigned char)in.p[i] >= 0x80) p->has_8bit = true;
    }
}

/* ---- the reader, in random pieces with random room; exact allocations so that a sanitizer sees each byte too many */

struct piecewise {
    struct data_reader reader;
    struct buf text;
    size_t used;
    bool end;
};

static void read_piecewise(struct piecewise *w, struct slice in, uint64_t line_max, uint32_t piece_max,
                           uint32_t room_max)
{
    data_reader_init(&w->reader, line_max);
    size_t offered = 0;
    while (!w->end && (w->used < offered || offered < in.n)) {
        if (w->used == offered) offered += 1 + draw(piece_max);
        if (offered > in.n) offered = in.n;
        size_t room = draw(room_max + 1), n = offered - w->used, used, put;
        char *piece = mem_slicedup(slice_sub(in, w->used, offered)), *out = mem_alloc(room);
        enum data_status status = data_read(&w->reader, slice_of(piece, n), &used, out, room, &put);
        assert_true(put <= room && used <= n);
        if (status == DATA_MORE) assert_int_equal(used, n);
        if (status == DATA_ROOM) assert_int_equal(put, room);
        buf_add(&w->text, slice_of(out, put));
        w->used += used;
        w->end = status == DATA_END;
        free(piece);
        free(out);
    }
}

static void compare(struct slice in, uint64_t line_max, uint32_t piece_max, uint32_t room_max)
{
    struct plain p = { 0 };
    struct piecewise w = { 0 };
    plain_read(&p, in, line_max);
    read_piecewise(&w, in, line_max, piece_max, room_max);
    struct data_reader *r = &w.reader;
    bool same = w.end == p.end && w.used == p.used && slice_eq(buf_slice(&w.text), buf_slice(&p.text)) &&
                r->size == p.text.n && r->bare_cr == p.bare_cr && r->bare_lf == p.bare_lf && r->nul == p.nul &&
                r->has_8bit == p.has_8bit && r->has_dots == p.has_dots && r->long_line == p.long_line;
    if (!same) {
        struct buf shown = { 0 };
        buf_add_printable(&shown, in, 4000);
        fail_msg("differs for %s: end %d/%d used %zu/%zu cr %d/%d lf %d/%d nul %d/%d 8bit %d/%d dots %d/%d long %d/%d",
                 buf_cstr(&shown), w.end, p.end, w.used, p.used, r->bare_cr, p.bare_cr, r->bare_lf, p.bare_lf, r->nul,
                 p.nul, r->has_8bit, p.has_8bit, r->has_dots, p.has_dots, r->long_line, p.long_line);
    }
    buf_deinit(&p.text);
    buf_deinit(&w.text);
}

static void test_random_bytes(void **state)
{
    static const char letters[] = { '\r', '\n', '.', 'a', '\r', '\n', '.', 0, '\xe4' };
    char in[64];
    for (int i = 0; i < 60000; i++) {
        size_t n = draw(sizeof in);
        uint32_t kinds = 3 + draw(sizeof letters - 2);
        for (size_t k = 0; k < n; k++) in[k] = letters[draw(kinds)];
        compare(slice_of(in, n), 1 + draw(20), 1 + draw(20), 1 + draw(20));
    }
}

static void test_random_lines(void **state)
{
    static const char *const parts[] = { "\r\n", "\r\n",   "\r\n.",   "\r\n..",  ".",          "\r",
                                         "\n",   "\r\r\n", "\n.\r\n", "\r\n.\n", "some words " };
    for (int i = 0; i < 4000; i++) {
        struct buf in = { 0 };
        for (uint32_t lines = draw(40); lines > 0; lines--) {
            for (uint32_t words = draw(12); words > 0; words--) buf_add_str(&in, "lorem ipsum dolor ");
            buf_add_str(&in, parts[draw(draw(4) ? 4 : countof(parts))]);
        }
        buf_add_str(&in, "\r\n.\r\nQUIT\r\n");
        compare(buf_slice(&in), 100 + draw(100), 1 + draw(2000), 1 + draw(2000));
        buf_deinit(&in);
    }
}

/* ---- by name */

static bool ends(const char *text)
{
    struct piecewise whole = { 0 }, bytes = { 0 };
    read_piecewise(&whole, slice_str(text), 1000, 1000, 1000);
    read_piecewise(&bytes, slice_str(text), 1000, 1, 1000);
    assert_int_equal(whole.end, bytes.end);
    buf_deinit(&whole.text);
    buf_deinit(&bytes.text);
    return whole.end;
}

static void test_smuggling(void **state)
{
    static const char *const no_end[] = {
        "a\n.\n",       "a\n.\r\n",     "a\r\n.\n",    "a\r.\r",      "a\r.\r\n",    "a\r\n.\r",
        "a\r\r\n.\r\n", "a\r\n.\r\r\n", "a\n\r.\r\n",  "a\r\n .\r\n", "a\r\n. \r\n", "a\r\n..\r\n",
        ".\n",          ".\r",          "\n.\r\n",     "\r.\r\n",     "..\r\n",      "a\r\n.\rx\n",
        "a\n.\r\n.",    "a.\r\n",       "\r\r\n.\r\n", "a\r\n.a\r\n", "a\n\n.\n\n",  "a\r\n\n.\r\n",
    };
    for (size_t i = 0; i < countof(no_end); i++)
        if (ends(no_end[i])) fail_msg("row %zu ends the text", i);
    assert_true(ends(".\r\n"));
    assert_true(ends("\r\n.\r\n"));
    assert_true(ends("a\r\n.\r\n"));
    assert_true(ends("a\n.\n\r\n.\r\n"));
    assert_true(ends("a\r.\r\r\n\r\n.\r\n"));
}

static void test_stuffing_comes_back(void **state)
{
    static const char *const parts[] = { "\r\n", "\r\n.", "\r\n..", ".", "word ", "\r\n\r\n" };
    for (int i = 0; i < 5000; i++) {
        struct buf text = { 0 }, wire = { 0 };
        bool start = true, has_dots = false;
        for (uint32_t n = draw(30); n > 0; n--) buf_add_str(&text, parts[draw(countof(parts))]);
        if (text.n) buf_add_str(&text, "\r\n");
        for (size_t at = 0, n; at < text.n; at += n) {
            n = 1 + draw(30);
            if (n > text.n - at) n = text.n - at;
            char *piece = mem_slicedup(slice_sub(buf_slice(&text), at, at + n)), *out = mem_alloc(2 * n);
            buf_add(&wire, slice_of(out, data_stuff(slice_of(piece, n), &start, out)));
            free(piece);
            free(out);
        }
        for (size_t k = 0; k < text.n; k++) has_dots |= text.p[k] == '.' && (k == 0 || text.p[k - 1] == '\n');
        assert_true(start);
        buf_add_str(&wire, ".\r\n");
        struct piecewise w = { 0 };
        read_piecewise(&w, buf_slice(&wire), 100000, 1 + draw(50), 1 + draw(50));
        assert_true(w.end && w.used == wire.n && slice_eq(buf_slice(&w.text), buf_slice(&text)));
        assert_int_equal(w.reader.has_dots, has_dots);
        assert_false(w.reader.bare_cr || w.reader.bare_lf);
        buf_deinit(&w.text);
        buf_deinit(&text);
        buf_deinit(&wire);
    }
}

/* ---- chunks and old devices */

static void check_chunks(struct slice in, uint32_t piece_max)
{
    struct data_reader r;
    struct buf text = { 0 };
    bool cr = false, lf = false, dots = in.n && in.p[0] == '.';
    data_reader_init(&r, 1000);
    for (size_t at = 0; at < in.n;) {
        size_t n = 1 + draw(piece_max);
        struct slice piece = slice_sub(in, at, at + n);
        char *out = mem_alloc(piece.n), *copy = mem_slicedup(piece);
        data_read_chunk(&r, slice_of(copy, piece.n), out);
        buf_add(&text, slice_of(out, piece.n));
        at += piece.n;
        free(out);
        free(copy);
    }
    for (size_t i = 0; i < in.n; i++) {
        cr |= in.p[i] == '\r' && (i + 1 == in.n || in.p[i + 1] != '\n');
        lf |= in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r');
        dots |= i >= 2 && in.p[i] == '.' && in.p[i - 1] == '\n' && in.p[i - 2] == '\r';
    }
    bool whole = data_end_chunks(&r), ended = !in.n || (slice_iends(in, SLICE("\r\n")) && !slice_iends(in, SLICE("\r\r\n")));
    if (!slice_eq(buf_slice(&text), in) || r.bare_cr != cr || r.bare_lf != lf || (!cr && !lf && r.has_dots != dots) ||
        whole != ended || r.size != in.n + (whole ? 0 : 2)) {
        struct buf shown = { 0 };
        buf_add_printable(&shown, in, 1000);
        fail_msg("%s: cr %d/%d lf %d/%d dots %d/%d whole %d/%d", buf_cstr(&shown), r.bare_cr, cr, r.bare_lf, lf, r.has_dots, dots,
                 whole, ended);
    }
    buf_deinit(&text);
}

static void test_chunks(void **state)
{
    static const char letters[] = "\r\n.a";
    for (int round = 0; round < 3000; round++) {
        char text[40];
        size_t n = draw(sizeof text);
        for (size_t i = 0; i < n; i++) text[i] = letters[draw(4)];
        check_chunks(slice_of(text, n), 1 + draw(12));
    }
    check_chunks(SLICE(".\r\n.\r\n\r\n.\r\nQUIT\r\n"), 3);
    check_chunks(SLICE("no end"), 10);
}

static void read_lenient(const char *in, const char *text, bool end, bool bare_cr, bool has_dots)
{
    for (uint32_t most = 1; most < 6; most++) {
        struct data_reader r;
        struct buf out = { 0 };
        size_t at = 0, n = strlen(in);
        enum data_status status = DATA_MORE;
        data_reader_init(&r, 1000);
        r.lenient = true;
        while (at < n && status != DATA_END) {
            char room[6];
            size_t used, put;
            status = data_read(&r, slice_sub(slice_of(in, n), at, at + 1 + draw(most)), &used, room, most, &put);
            buf_add(&out, slice_of(room, put));
            at += used;
        }
        if (strcmp(buf_cstr(&out), text) || (status == DATA_END) != end || r.bare_cr != bare_cr || r.bare_lf ||
            r.has_dots != has_dots || r.size != out.n)
            fail_msg("%s: %s", in, buf_cstr(&out));
        buf_deinit(&out);
    }
}

static void test_lenient(void **state)
{
    read_lenient("a\nb\r\nc\n.\n", "a\r\nb\r\nc\r\n", true, false, false);
    read_lenient("a\r\n.\r\n", "a\r\n", true, false, false);
    read_lenient("a\n.\r\n", "a\r\n", true, false, false);
    read_lenient(".\n", "", true, false, false);
    read_lenient("\n\n..\n.x\n.\n", "\r\n\r\n.\r\nx\r\n", true, false, true);
    read_lenient("a\rb\n.\n", "a\rb\r\n", true, true, false);
    read_lenient("a\r\r\n.\n", "a\r\r\n", true, true, false);
    read_lenient("a\n.\rb\n.\n", "a\r\n\rb\r\n", true, true, false);
    read_lenient("a\n.", "a\r\n", false, false, false);
    read_lenient("a.\n", "a.\r\n", false, false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_random_lines),
        cmocka_unit_test(test_stuffing_comes_back),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_lenient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
