/* SPDX-License-Identifier: Apache-2.0
 * Edits by a report: parts taken out, a text in front, fields removed, prefixes of subjects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "edits_help.h"

static struct arena arena;

static int teardown(void **state)
{
    arena_deinit(&arena);
    return 0;
}

/* Strips the parts whose name or declared type has that end; "": all files. NULL: it cannot be done. */
static const char *strip(const char *text, const char *end)
{
    struct slice bytes = slice_str(text);
    struct content_message m;
    struct edit_header h;
    struct edits e;
    content_message_read(&m, bytes, &edit_limits, NULL, &arena);
    struct report r = report_of(&m, &arena);
    struct slice *why = arena_alloc(&arena, (r.part_n + 1) * sizeof *why);
    struct edit_notes notes = { .hostname = "mx.example", .reference = "6h05x32d80000", .why = why };
    for (size_t i = 0; i < r.part_n; i++)
        if (r.parts[i].is_file && (slice_iends(r.parts[i].name, slice_str(end)) || slice_iends(r.parts[i].declared, slice_str(end))))
            why[i] = SLICE("extension exe");
    if (!edit_header_read(&h, bytes, bytes.n, &arena) || !edits_strip(&e, &h, &r, bytes.n, &notes, &arena)) return NULL;
    assert_true(envelope_cuts_ok(e.cuts, e.n, bytes.n));
    struct slice out = edited(bytes, e.cuts, e.n, &arena);
    assert_true(lines_are_whole(out));
    return arena_strdup(&arena, out);
}

#define NOTE "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" \
             "Something was taken out of this message by mx.example, as it is not let\r\nthrough here:\r\n\r\n  %s (extension exe)\r\n\r\n" \
             "Reference: 6h05x32d80000"
#define PARTS "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
#define FILE_PART "Content-Type: application/x-a; name=\"a.exe\"\r\n\r\nMZ\r\n"

static const char *note(const char *name) { return arena_printf(&arena, NOTE, name); }

static void part(void **state)
{
    assert_string_equal(strip(PARTS FILE_PART "--b--\r\n", ".exe"), arena_printf(&arena, "%s%s\r\n--b--\r\n", PARTS, note("a.exe")));
    assert_string_equal(strip(PARTS FILE_PART, ".exe"), arena_printf(&arena, "%s%s\r\n", PARTS, note("a.exe"))); /* not closed */
    assert_string_equal(strip(PARTS FILE_PART "--b--\r\n", ".doc"), PARTS FILE_PART "--b--\r\n");
}

static void whole_message(void **state)
{
    const char *got = strip("From: a\r\nContent-Type: application/x-a;\r\n name=a.exe\r\nSubject: s\r\nContent-Transfer-Encoding: base64\r\n\r\nTVo=\r\n", ".exe");
    assert_string_equal(got, arena_printf(&arena, "From: a\r\nSubject: s\r\nMIME-Version: 1.0\r\n%s\r\n", note("a.exe")));
    got = strip("mime-version: 1.0\r\nContent-Type: application/x-a; name=a.exe\r\n\r\n", ".exe"); /* nothing in it */
    assert_string_equal(got, arena_printf(&arena, "mime-version: 1.0\r\n%s\r\n", note("a.exe")));
    got = strip("A: b\r\nContent-Type: application/x-a; name=a.exe\r\nno field\r\n\r\nMZ\r\n", ".exe");
    assert_non_null(got);
    assert_null(strstr(got, "MZ"));
    assert_null(strstr(got, "no field"));
}

static void message_in_message(void **state)
{
    const char *inner = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: application/x-a; name=a.exe\r\n\r\nMZ\r\n";
    const char *got = strip(arena_printf(&arena, "%s%s--b--\r\n", PARTS, inner), ".exe");
    assert_string_equal(got, arena_printf(&arena, "%sContent-Type: message/rfc822\r\n\r\n%s\r\n--b--\r\n", PARTS, note("a.exe")));
    /* What is outside goes with all that is in it. */
    got = strip(arena_printf(&arena, "%s%s--b--\r\n", PARTS, inner), "");
    assert_non_null(strstr(got, "message/rfc822 (extension exe)"));
    assert_non_null(strstr(got, "a.exe (extension exe)"));
    assert_null(strstr(got, "Subject: in"));
}

static void names(void **state)
{
    const char *got = strip(PARTS "Content-Type: application/x-a; name*=utf-8''%E2%80%AE%0D%0A--b--%00%C3%A4.exe\r\n\r\nMZ\r\n--b--\r\n", ".exe");
    assert_non_null(got);
    assert_non_null(strstr(got, "charset=utf-8\r\nContent-Transfer-Encoding: base64"));
    assert_ptr_equal(strstr(got, "--b--"), strrchr(got, '\n') - 6);
}

/* A process that was taken over says where parts are. */
static void lies(void **state)
{
    struct slice text = SLICE("A: b\r\n\r\nbody\r\n");
    struct report_part parts[3] = { { .is_file = true }, { .is_mime = true, .at = 8, .n = 100 }, { .is_mime = true, .at = 7, .n = 3 } };
    struct slice why[3] = { { 0 }, SLICE("x"), { 0 } };
    struct report r = { .parts = parts, .part_n = 3 };
    struct edit_notes notes = { .hostname = "mx.example", .reference = "id", .why = why };
    struct edit_header h;
    struct edits e;
    assert_true(edit_header_read(&h, text, text.n, &arena));
    assert_false(edits_strip(&e, &h, &r, text.n, &notes, &arena));
    parts[1].n = 2;
    why[2] = SLICE("y"); /* overlapping */
    assert_false(edits_strip(&e, &h, &r, text.n, &notes, &arena));
    parts[1].parent = parts[2].parent = 2; /* circles */
    parts[1].is_mime = parts[2].is_mime = false;
    assert_true(edits_strip(&e, &h, &r, text.n, &notes, &arena));
    assert_false(edit_header_read(&h, slice_sub(text, 0, 4), text.n, &arena)); /* cut */
}

/* The words around a file do not go with it; packed files are named with what they are in. */
static void among_words(void **state)
{
    struct slice text = SLICE("A: b\r\n\r\nbegin 644 a.exe\r\n");
    struct report_part parts[3] = { { .is_mime = true, .declared = SLICE("text/plain"), .n = 26 },
                                    { .is_file = true, .name = SLICE("docs.zip"), .depth = 1 },
                                    { .is_file = true, .name = SLICE("a.exe"), .depth = 2, .parent = 1 } };
    struct slice why[3] = { { 0 }, { 0 }, SLICE("x") };
    struct report r = { .parts = parts, .part_n = 3 };
    struct edit_notes notes = { .hostname = "mx.example", .reference = "id", .why = why };
    struct edit_header h;
    struct edits e;
    assert_true(edit_header_read(&h, text, text.n, &arena));
    assert_false(edits_strip(&e, &h, &r, text.n, &notes, &arena));
    parts[0].is_file = true;
    assert_true(edits_strip(&e, &h, &r, text.n, &notes, &arena));
    assert_true(slice_eq(edits_file_name(&r, 2, &arena), SLICE("a.exe in docs.zip")));
    assert_true(slice_eq(edits_file_name(&r, 1, &arena), SLICE("docs.zip")));
}

static void wrapped(void **state)
{
    struct slice text = SLICE("A: b\r\nContent-Type: text/html\r\nContent-ID: <1>\r\n\r\n<p>\r\n");
    struct edit_header h;
    struct edits e;
    assert_true(edit_header_read(&h, text, text.n, &arena));
    assert_true(h.whole && h.end == 48 - 0);
    assert_true(edits_wrap(&e, &h, text.n, "xyz", SLICE("found\r\n"), &arena));
    assert_true(envelope_cuts_ok(e.cuts, e.n, text.n));
    assert_string_equal(arena_strdup(&arena, edited(text, e.cuts, e.n, &arena)),
                        "A: b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"xyz\"\r\n\r\n--xyz\r\n"
                        "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\nfound\r\n\r\n--xyz\r\n"
                        "Content-Type: text/html\r\nContent-ID: <1>\r\n\r\n<p>\r\n\r\n--xyz--\r\n");
    assert_true(edit_header_read(&h, SLICE("A: b\r\nno field\r\n"), 16, &arena));
    assert_false(edits_wrap(&e, &h, 16, "xyz", SLICE("found\r\n"), &arena));
}

static void removed(void **state)
{
    struct slice text = SLICE("X-Spam-A: 1\r\n 2\r\nx-spam-b: 3\r\nX: 4\r\nX-SPAM-: 5\r\n\r\nX-Spam-C: 6\r\n");
    struct edit_header h;
    struct edits e;
    assert_true(edit_header_read(&h, text, text.n, &arena));
    assert_true(edits_remove(&e, &h, SLICE("X-Spam-")));
    assert_int_equal(e.n, 2); /* neighbours are one */
    assert_string_equal(arena_strdup(&arena, edited(text, e.cuts, e.n, &arena)), "X: 4\r\n\r\nX-Spam-C: 6\r\n");
}

#define LONG "123456789012345678901234567890123456789012345678901234567890"
static void subjects(void **state)
{
    static const struct {
        const char *header, *prefix, *with;
        uint64_t at;
        const char *before;
    } cases[] = {
        { "Subject: s\r\n\r\n", "[SPAM] ", "[SPAM] ", 9 },
        { "A: b\r\nsubject:s\r\n\r\n", "[SPAM] ", " [SPAM] ", 14 },
        { "Subject: =?utf-8?q?s?=\r\n\r\n", "[SPAM]", "[SPAM] ", 9 },
        { "Subject: =?utf-8?q?s?=\r\n\r\n", "\xC3\xA4 ", "=?utf-8?B?w6Qg?= ", 9 },
        { "Subject: s\r\n\r\n", "\xC3\xA4 ", "=?utf-8?B?w6Q=?= ", 9 },
        { "Subject: s\r\n\r\n", "\xC3\xA4 ", " =?utf-8?B?w6Q=?= ", 9, "[A]" },
        { "Subject: s\r\n\r\n", "[B] ", "[B] ", 9, "[A] " },
        { "Subject:\r\n s\r\n\r\n", "[B] ", " [B]", 8, " [A]" },
        { "Subject: " LONG "\r\n\r\n", "[A] ", "[A] ", 9 },
        { "Subject: " LONG "\r\n\r\n", "\xC3\xA4", "=?utf-8?B?w6Q=?=\r\n ", 9 },
        { "Subject: =?utf-8?q?" LONG "?=\r\n\r\n", "[SPAM]", "[SPAM]\r\n ", 9 },
        { "Subject:\r\n s\r\n\r\n", "[SPAM] ", " [SPAM]", 8 },
        { "Subject: s\r\n\r\n", " \t ", "", 9 },
        { "Subject: s\r\n\r\n", "a\r\nb ", "a  b ", 9 },
        { "A: b\r\n\r\n", "[SPAM] ", "[SPAM] ", 0 },
    };
    struct edit_header h;
    for (size_t i = 0; i < countof(cases); i++) {
        struct slice text = slice_str(cases[i].header);
        assert_true(edit_header_read(&h, text, text.n, &arena));
        assert_int_equal(edit_subject_at(&h), cases[i].at);
        assert_string_equal(arena_strdup(&arena, edit_subject_prefix(text, cases[i].at, slice_str(cases[i].before ? cases[i].before : ""), slice_str(cases[i].prefix), &arena)), cases[i].with);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(part, teardown),     cmocka_unit_test_teardown(whole_message, teardown),
        cmocka_unit_test_teardown(message_in_message, teardown), cmocka_unit_test_teardown(names, teardown),
        cmocka_unit_test_teardown(lies, teardown),     cmocka_unit_test_teardown(among_words, teardown),
            cmocka_unit_test_teardown(wrapped, teardown),
        cmocka_unit_test_teardown(removed, teardown),  cmocka_unit_test_teardown(subjects, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    content_message_deinit();
    return failed;
}
